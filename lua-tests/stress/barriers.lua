-- Stores of new objects into old ones by every kind of store.
local N = 300
local old = { array = {}, hash = {}, meta = {} }
for i = 1, N do old.array[i] = false old.hash["k" .. i] = false end
local up1, up2
local function set_up(v) up1 = v return function() up2 = { v } end end
local mt = { __index = {}, __newindex = function(t, k, v) rawset(t, k, { v }) end }
local proxy = setmetatable({}, mt)
local co = coroutine.wrap(function(...)
  local mine = { ... }
  while true do
    local v = coroutine.yield(mine)
    mine = { v, mine[1] }
  end
end)
co({ 0 })
local deep = {}
local bad = 0
local function check(c) if not c then bad = bad + 1 end end
for i = 1, N do
  old.array[i] = { i }
  old.hash["k" .. i] = { "v" .. i }
  old.hash[{ i }] = { i }
  old[i] = { n = { i } }
  set_up({ i })()
  proxy[i] = i
  mt.__index = { ["m" .. i] = { i } }
  setmetatable(old.meta, { __index = function(_, k) return k .. i end })
  local got = co({ i })
  check(got[1][1] == i)
  deep = { deep, tostring(i) .. "str" }
  rawset(old, "raw" .. i, { "raw" .. i })
  table.insert(old.array, { i })
  table.insert(old.array, 1, { 0 })
  table.move({ { i }, { i + 1 } }, 1, 2, #old.array + 1, old.array)
  table.remove(old.array)
  check(up1[1] == i and up2[1][1] == i)
  check(proxy[i][1] == i)
  check(proxy["m" .. i][1] == i)
  check(old.meta.x == "x" .. i)
end
for i = 1, N do
  check(old.hash["k" .. i][1] == "v" .. i)
  check(old[i].n[1] == i)
  check(old["raw" .. i][1] == "raw" .. i)
end
local n, s = 0, 0
for k, v in pairs(old.hash) do if type(k) == "table" then n = n + 1 s = s + k[1] check(v[1] == k[1]) end end
print(n, s)
local len = 0
while deep[1] do check(deep[2] == tostring(N - len) .. "str") len = len + 1 deep = deep[1] end
print(len, #old.array, bad)
local sum = 0
for i = 1, #old.array do local v = old.array[i] sum = sum + (v and v[1] or 1000) end
print(sum)
-- tables that grow, shrink and are filled again while they are traversed
local t = {}
for round = 1, 6 do
  for i = 1, 200 do t[i] = { i } t["s" .. i] = { "s" .. i } t[i + 0.5] = { i } end
  for i = 1, 200, 2 do t[i] = nil t["s" .. i] = nil end
  for i = 200, 1, -1 do if i % 3 == 0 then t[i] = { -i } end end
end
local c, total = 0, 0
for k, v in pairs(t) do c = c + 1 if type(v[1]) == "number" then total = total + v[1] end end
print(c, total)
-- weak tables and ephemerons between generations of objects
local eph = setmetatable({}, { __mode = "k" })
local keys = {}
for i = 1, 100 do local k = { i } keys[i] = k eph[k] = { keys[i - 1], i } end
for i = 1, 100 do check(eph[keys[i]][2] == i and (i == 1 or eph[keys[i]][1] == keys[i - 1])) end
for i = 1, 100, 2 do keys[i] = nil end
collectgarbage() collectgarbage()
local left = 0
for k in pairs(eph) do left = left + 1 end
print(left, bad)
-- a string shared by everything: keys that die and come back
local words = {}
for i = 1, 400 do words["word" .. i % 50] = i end
for i = 0, 49 do words["word" .. i] = nil end
for i = 1, 400 do words["word" .. i % 50] = (words["word" .. i % 50] or 0) + 1 end
local w = 0
for _, v in pairs(words) do w = w + v end
print(w)
