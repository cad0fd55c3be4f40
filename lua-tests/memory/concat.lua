return function()
  local s = ("x"):rep(100000)
  local t = {}
  for i = 1, 10000 do t[i] = s end
  return table.concat(t)
end
