local codes = {}
for i = 1, 200 do codes[i] = 0x7FFFFFFF end
return function()
  local t = {}
  while true do t[#t + 1] = utf8.char(table.unpack(codes)) .. #t end
end
