-- Variables captured while the stack moves: by calls, growth, coroutines, errors.
local function grow(n) if n == 0 then return 0 end local a, b, c = n, n, n return 1 + grow(n - 1) end
local function counter()
  local x, y = 0, {}
  local function inc() x = x + 1 y[#y + 1] = x return x end
  local function both() inc() grow(50) inc() return x end
  grow(30)
  inc()
  local seen = both()
  x = x + 100
  return inc, function() return x, #y, seen end
end
local inc, get = counter()
inc() grow(2000) inc()
print(get())
-- one variable, many closures, some made before and some after growth
local list = {}
do
  local shared = 0
  for i = 1, 40 do
    local own = i
    list[i] = function() shared = shared + own own = own + 1 return shared end
    grow(i * 5)
    list[i]()
  end
  print(shared)
end
local sum = 0
for i = 1, 40 do sum = sum + list[i]() end
print(sum)
-- captured by an inner coroutine while the outer frame goes on
local function producer(n)
  local state = { 0 }
  local total = 0
  local co = coroutine.wrap(function()
    for i = 1, n do total = total + i grow(i % 17 * 10) state = { total } coroutine.yield(function() return total end) end
  end)
  local last
  for _ = 1, n do last = co() grow(20) total = total + 1 end
  return last, function() return total, state[1] end
end
local last, f = producer(30)
print(last(), f())
-- captured, then left by an error
local kept
print(pcall(function()
  local v = { "kept" }
  local w <close> = setmetatable({}, { __close = function() grow(100) v[2] = "closed" end })
  kept = function() return v[1], v[2], w end
  grow(300)
  error("out", 0)
end))
local a, b, w = kept()
print(a, b, type(w))
-- loop variables and goto: fresh ones in every turn
local fs = {}
do
  local i = 1
  ::again::
  local v = i * 10
  fs[i] = function(d) v = v + (d or 0) return v end
  grow(i)
  i = i + 1
  if i <= 20 then goto again end
end
local out = {}
for i = 1, 20 do fs[i](i) out[i] = fs[i]() end
print(table.concat(out, " "))
-- varargs and tail calls between capture and use
local function vary(...)
  local n = select("#", ...)
  local first = ...
  local g = function() n = n + 1 return n, first end
  local function tail(k, ...) if k == 0 then return g() end return tail(k - 1, k, ...) end
  return tail(40, ...), g()
end
print(vary("a", "b"), (vary("c")))
-- debug: joined and set through the library
local function pair() local p = 1 return function() return p end, function(v) p = v end end
local get1, set1 = pair()
local get2 = pair()
debug.upvaluejoin(get2, 1, get1, 1)
set1("joined") grow(500)
print(get1(), get2(), debug.getupvalue(get2, 1))
