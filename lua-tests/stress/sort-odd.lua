-- table.sort with comparators that lie, change the table, fail and re-enter.
local function make(n, seed) local t = {} local x = seed for i = 1, n do x = (x * 1103515245 + 12345) % 2147483648 t[i] = x % 1000 end return t end
local function multiset(t) local m, n = {}, 0 for _, v in pairs(t) do m[v] = (m[v] or 0) + 1 n = n + 1 end return m, n end
local function same(a, b) local x, n = multiset(a) local y, m = multiset(b) if n ~= m then return false end for k, v in pairs(x) do if y[k] ~= v then return false end end return true end
-- no order at all: may fail with one message, must keep the elements
local liars = {
  function() return true end,
  function() return false end,
  function(a, b) return a <= b end,
  function(a, b) return (a * 7 + b * 13) % 3 == 0 end,
  function(a, b) return a ~= b end,
}
local fine = true
for i, liar in ipairs(liars) do
  for n = 0, 60, 7 do
    local t = make(n, i * 100 + n)
    local ok, e = pcall(table.sort, t, liar)
    fine = fine and (ok or e == "invalid order function for sorting" or tostring(e):find("attempt to compare") ~= nil)
    if not ok then fine = fine and #t <= n + 1 else fine = fine and same(t, make(n, i * 100 + n)) end
  end
end
print("liars", fine)
-- honest, of all sizes
local honest = true
for n = 0, 130 do
  local t = make(n, n + 1)
  table.sort(t)
  for i = 2, n do honest = honest and t[i - 1] <= t[i] end
  table.sort(t, function(a, b) return a > b end)
  for i = 2, n do honest = honest and t[i - 1] >= t[i] end
  honest = honest and same(t, make(n, n + 1))
end
print("honest", honest)
-- the comparator empties, grows and replaces the table
local done = 0
for kind = 1, 4 do
  local t = make(50, kind)
  local calls = 0
  local ok, e = pcall(table.sort, t, function(a, b)
    calls = calls + 1
    if calls == 60 then
      if kind == 1 then for i = 1, 50 do t[i] = i end
      elseif kind == 2 then for i = 51, 400 do t[i] = i end
      elseif kind == 3 then setmetatable(t, { __index = function() return 1 end })
      else for i = 1, 50 do t[i] = { i } end collectgarbage() end
    end
    return (tonumber(a) or 0) < (tonumber(b) or 0)
  end)
  done = done + 1
end
print("mutated", done)
-- nil from holes, errors, yields, nested sorts
print(pcall(table.sort, { 3, 2, nil, 1 }, function(a, b) return (a or 0) < (b or 0) end))
print(pcall(table.sort, { 3, 1, 2 }, function() error({}, 0) end) == false)
print(pcall(table.sort, { 1, "a", {} }))
print(coroutine.resume(coroutine.create(function() table.sort({ 2, 1, 3 }, function(a, b) coroutine.yield() return a < b end) end)))
local depth = 0
local function nested(n)
  local t = make(8, n + 3)
  table.sort(t, function(a, b) if n > 0 and depth < 40 then depth = depth + 1 nested(n - 1) end return a < b end)
  for i = 2, 8 do assert(t[i - 1] <= t[i]) end
end
nested(4)
print("nested", depth)
-- through metamethods
local store = make(40, 9)
local proxy = setmetatable({}, { __len = function() return #store end, __index = function(_, k) return store[k] end, __newindex = function(_, k, v) store[k] = v end })
table.sort(proxy)
local ok = true
for i = 2, 40 do ok = ok and store[i - 1] <= store[i] end
print("proxy", ok, rawlen(proxy))
local objects = {}
local mt = { __lt = function(a, b) return a.v < b.v end }
for i, v in ipairs(make(60, 77)) do objects[i] = setmetatable({ v = v }, mt) end
table.sort(objects)
for i = 2, 60 do ok = ok and objects[i - 1].v <= objects[i].v end
print("objects", ok)
