-- A million live strings under keys of a table, replaced at random.
local n = 1000000
local all = {}
for i = 1, n do all[i] = "item " .. i end
local r = 1
for i = 1, 3 * n do
  r = (r * 1103515245 + 12345) & 0x7fffffff
  all[r % n + 1] = "item " .. i
end
