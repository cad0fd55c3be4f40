-- Binary trees: many short-lived small tables under one long-lived tree.
local depth = tonumber(arg and arg[1]) or 15
local function bottomup(d)
  if d == 0 then return {} end
  d = d - 1
  return { bottomup(d), bottomup(d) }
end
local function check(tree)
  if tree[1] then return 1 + check(tree[1]) + check(tree[2]) end
  return 1
end
local long = bottomup(depth)
for d = 4, depth, 4 do
  local count, sum = 1 << (depth - d + 5), 0
  for _ = 1, count do sum = sum + check(bottomup(d)) end
  print(count, d, sum)
end
print(check(long))
