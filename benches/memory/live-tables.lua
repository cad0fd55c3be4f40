-- Tables that hold fields added one by one, and lists.
local all = {}
for i = 1, 300000 do
  local t = {}
  t.name = i
  t.size = i
  t.list = { i, i, i }
  t.list[4] = i
  all[i] = t
end
assert(all[5].list[4] == 5)
