-- One dictionary of a million string keys.
local all = {}
for i = 1, 1000000 do all["key " .. i] = i end
assert(all["key 5"] == 5)
