-- Arrays of numbers: ten million integers in a hundred tables.
local all = {}
for i = 1, 100 do
  local t = {}
  for k = 1, 100000 do t[k] = k * i end
  all[i] = t
end
assert(all[5][7] == 35)
