local full = {}
for i = 1, 200000 do full[i] = i end
return function()
  local t = {}
  while true do t[#t + 1] = table.pack(table.unpack(full, 1, 200000)) end
end
