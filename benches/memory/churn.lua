-- A million live objects, replaced at random and at full rate.
local n = 1000000
local all = {}
for i = 1, n do all[i] = { x = i, y = i, z = i } end
local r = 1
for i = 1, 5 * n do
  r = (r * 1103515245 + 12345) & 0x7fffffff
  all[r % n + 1] = { x = i, y = r, z = i }
end
