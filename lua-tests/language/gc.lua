-- Reclaiming memory: cycles, closures, coroutines, strings; counts stay bounded.
local function settle() collectgarbage() collectgarbage() return collectgarbage("count") end
local before = settle()
for i = 1, 20000 do
  local a, b = {}, {}
  a.b, b.a = b, a
  local f = function() return a, b end
  local s = "string " .. i
  if i % 100 == 0 then local co = coroutine.wrap(function() coroutine.yield(f) end) co() end
end
print(settle() - before < 200)
local t = {}
for i = 1, 10000 do t[i] = { i } end
local with = settle()
print(with - before > 100)
t = nil
print(settle() < with - 100)
print(type(collectgarbage("count")), collectgarbage("isrunning"), collectgarbage("step") ~= nil)
collectgarbage("stop") print(collectgarbage("isrunning")) collectgarbage("restart") print(collectgarbage("isrunning"))
local weak = setmetatable({}, { __mode = "v" })
local kept = { 50 }
for i = 1, 100 do weak[i] = i == 50 and kept or { i } end
settle()
local n = 0
for _ in pairs(weak) do n = n + 1 end
print(n, kept and kept[1], weak[50] == kept)
local order = {}
local together = {}
for i = 1, 5 do together[i] = setmetatable({}, { __gc = function() order[#order + 1] = i end }) end
together = nil
settle()
print(table.concat(order, " "))
local obj = setmetatable({}, { __gc = function(o) o.again = true saved = o end })
obj = nil
settle()
print(saved.again)
saved = nil
settle()
print((pcall(setmetatable, {}, { __gc = true })))
local mode = collectgarbage("generational")
print(mode, collectgarbage("incremental"))
local grow = {}
for i = 1, 200 do grow[i] = ("x"):rep(i) .. i end
settle()
for i = 1, 200 do assert(grow[i] == ("x"):rep(i) .. i) end
local deep
for i = 1, 100000 do deep = { deep } end
settle()
deep = nil
settle()
local co = coroutine.create(function() local big = {} for i = 1, 1000 do big[i] = {} end coroutine.yield() return #big end)
coroutine.resume(co)
settle()
print(coroutine.resume(co))
print("end")
