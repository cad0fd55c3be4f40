return function()
  local t = {}
  while true do
    local u = {}
    for i = 1, 100000 do u[i] = 100000 - i end
    table.sort(u)
    t[#t + 1] = u
  end
end
