-- much garbage, little alive: the limit must not be met
return function()
  for i = 1, 40 do
    local s = ("x"):rep(20000000 + i)
    local t = {}
    for j = 1, 100000 do t[j] = j end
  end
  error("not enough memory", 0)
end
