-- one of many cells survives, then cells of other sizes are wanted
return function()
  local keep = {}
  for size = 1, 20 do
    local all = {}
    for i = 1, 20000 do
      local t = {}
      for j = 1, size do t[j] = j end
      all[i] = t
    end
    for i = 1, 20000, 500 do keep[#keep + 1] = all[i] end
  end
  error("not enough memory", 0)
end
