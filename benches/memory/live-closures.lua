-- A million closures with a variable each.
local all = {}
for i = 1, 1000000 do
  local n = i
  all[i] = function() n = n + 1 return n end
end
assert(all[5]() == 6)
