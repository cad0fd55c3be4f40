-- The debug library from inside hooks, callbacks, other coroutines; frames that
-- change under it.
local function grow(n) if n == 0 then return 0 end return 1 + grow(n - 1) end
local counts = {}
local function count(k) counts[k] = (counts[k] or 0) + 1 end
-- hooks that allocate, collect, call, set hooks and raise
local depth = 0
debug.sethook(function(event, line)
  count(event)
  depth = depth + 1
  local t = { event, line }
  for i = 1, 3 do t[i] = tostring(i) .. event end
  if counts[event] % 7 == 0 then collectgarbage("step") end
  local info = debug.getinfo(2, "nSlutf")
  count(info.what)
  local name, value = debug.getlocal(2, 1)
  if type(value) == "number" then debug.setlocal(2, 1, value) end
  depth = depth - 1
end, "crl", 5)
local function work(a, b) local t = {} for i = 1, 10 do t[i] = a + b + i end table.sort(t, function(x, y) return x > y end) return #t end
work(1, 2) grow(10) pcall(error, "x")
debug.sethook()
print(depth, counts.call ~= nil and counts["return"] ~= nil and counts.line ~= nil and counts.count ~= nil, counts.Lua > 10)
-- an error out of a hook, of each kind
for _, mask in ipairs { "c", "r", "l" } do
  local ok, e = pcall(function()
    debug.sethook(function() debug.sethook() error("from " .. mask, 0) end, mask)
    local x = grow(3)
    return x
  end)
  debug.sethook()
  print(mask, ok, e)
end
local ok, e = pcall(function() debug.sethook(function() error("count", 0) end, "", 100) while true do end end)
debug.sethook()
print(ok, e)
-- hooks of coroutines are their own
local seen = 0
local co = coroutine.create(function() for i = 1, 3 do coroutine.yield(grow(5)) end end)
debug.sethook(co, function() seen = seen + 1 local c <const> = {} end, "l")
while coroutine.resume(co) do end
print(seen > 5, debug.gethook(co) ~= nil, debug.gethook() == nil)
-- locals of other frames and coroutines, read and written
local function outer()
  local a, b, c = { 1 }, "two", 3
  local function inner()
    local names = {}
    for i = 1, 10 do local n, v = debug.getlocal(2, i) if not n then break end names[#names + 1] = n end
    debug.setlocal(2, 1, { "changed" })
    debug.setlocal(2, 3, { { {} } })
    collectgarbage()
    return table.concat(names, " ")
  end
  local names = inner()
  grow(100)
  return a[1], b, type(c[1][1]), names:sub(1, 5)
end
print(outer())
local co = coroutine.create(function(p, ...) local q = { p } coroutine.yield(function() return q end) return q end)
local _, f = coroutine.resume(co, "p", 1, 2, 3)
print(debug.getlocal(co, 1, 1), debug.getlocal(co, 1, 2) == "q", debug.getlocal(co, 1, -2))
debug.setlocal(co, 1, 2, { "set" })
collectgarbage()
print(f()[1], select(2, coroutine.resume(co))[1], debug.getlocal(print, 1))
print(pcall(debug.getlocal, co, 5, 1))
-- tracebacks at depth, of dead and failed coroutines, from handlers
local function tb(n) if n == 0 then return debug.traceback("m", 1) end local r = tb(n - 1) return r end
local text = tb(40)
print(select(2, text:gsub("\n", "\n")) >= 20, text:find("%.%.%.") ~= nil)
local co = coroutine.create(function() grow(5) error("dead") end)
coroutine.resume(co)
print(debug.traceback(co):find("stack traceback") ~= nil, debug.traceback({}) ~= nil, debug.traceback(co, nil) ~= nil)
print((xpcall(grow, debug.traceback, {})))
-- upvalues and metatables changed while they are in use
local function maker() local x = { 0 } return function() x[1] = x[1] + 1 grow(10) return x[1] end end
local m = maker()
m()
debug.setupvalue(m, 1, { 100 })
collectgarbage()
print(m(), m())
debug.setmetatable(1, { __index = function(n, k) grow(5) return n .. k end, __call = function(n, a) return n + a end })
print((5).x, (5)(6))
debug.setmetatable(1, nil)
debug.setmetatable(nil, { __index = function(_, k) collectgarbage() return k end })
local nothing
print(nothing.field)
debug.setmetatable(nil, nil)
debug.setmetatable(print, { __index = { a = 1 }, __concat = function(a, b) return "cat" end })
print(print.a, print .. 1, grow .. 2)
debug.setmetatable(print, nil)
