-- Traversals while fields are cleared, replaced and collected.
local function fill(n) local t = {} for i = 1, n do t[i] = { i } t["s" .. i] = { i } t[{ i }] = { i } t[i + 0.25] = { i } t[-i] = { i } end return t end
-- clearing each entry as it is met visits every entry once
for _, n in ipairs { 1, 7, 40, 150 } do
  local t = fill(n)
  local seen = 0
  for k in pairs(t) do seen = seen + 1 t[k] = nil if seen % 9 == 0 then collectgarbage("step") end end
  print(n, seen, next(t))
end
-- clearing by next alone, with a full collection in between
local t = fill(30)
local k, count = nil, 0
repeat
  k = next(t, k)
  if k ~= nil then t[k] = nil count = count + 1 if count % 10 == 0 then collectgarbage() end end
until k == nil
print(count, next(t))
-- replacing values while traversing
local t = fill(60)
local n = 0
for k, v in pairs(t) do t[k] = { v[1] + 1 } n = n + 1 end
local sum = 0
for _, v in pairs(t) do sum = sum + v[1] end
print(n, sum)
-- clearing others: each is met at most once
local t, met = fill(60), {}
local once = true
for k in pairs(t) do
  once = once and not met[k]
  met[k] = true
  for d = 1, 5 do t["s" .. #met + d] = nil end
end
print(once)
-- a key that was never there, and keys of removed entries
print(pcall(next, {}, "absent"))
print(pcall(next, { 1, 2, 3 }, 4))
local t = { a = 1 }
local k1 = next(t)
t[k1] = nil
print(pcall(next, t, k1))
-- removed object keys must not be mistaken for new objects
local t = {}
for round = 1, 30 do
  for i = 1, 30 do t[{}] = i end
  for k in pairs(t) do t[k] = nil end
  local fresh = {}
  for i = 1, 30 do fresh[i] = {} assert(t[fresh[i]] == nil) end
end
print(next(t))
-- weak tables lose entries under the traversal
local weak = setmetatable({}, { __mode = "k" })
local hold = {}
for i = 1, 100 do local k = { i } weak[k] = i if i % 4 == 0 then hold[i] = k end end
local found = 0
for k, v in pairs(weak) do collectgarbage("step", 10) if v % 4 == 0 then found = found + 1 end assert(k[1] == v) end
print(found)
local weak = setmetatable({}, { __mode = "v" })
for i = 1, 100 do local v = { i } weak[i] = v weak["x" .. i] = v if i % 4 == 0 then hold["w" .. i] = v end end
local found = 0
for k, v in pairs(weak) do collectgarbage() if v[1] % 4 == 0 then found = found + 1 end end
print(found)
-- __pairs and iterators that end in odd ways
local t = setmetatable({}, { __pairs = function(s) return function(_, i) i = (i or 0) + 1 if i <= 3 then return i, i * i end end, s, nil end })
for i, v in pairs(t) do io.write(i, " ", v, " ") end print()
print(pcall(function() for k in next, {}, 1 do end end))
-- ipairs over a table that changes
local t = { 1, 2, 3 }
for i, v in ipairs(t) do if i < 50 then t[i + 3] = v + 1 end end
print(#t, t[#t])
