-- Protected calls: values, nesting, handlers, state after an error.
print(pcall(function() return 1, 2, 3 end)) print(pcall(error)) print(pcall(error, nil)) print(pcall(error, 1)) print(pcall(error, true))
print(pcall(pcall, error, "x")) print(pcall(pcall)) print(pcall(xpcall))
print(xpcall(function(...) return select("#", ...) end, print, 1, nil, nil))
print(xpcall(error, function(m) return m, "dropped" end, "m"))
print(xpcall(error, function(m) return nil end, "m"))
print(select("#", xpcall(error, function() end, "m")))
local function level(n) if n == 0 then error("bottom", 0) end local ok, e = pcall(level, n - 1) error(e .. n, 0) end
print(pcall(level, 5))
local t = {}
print(pcall(function() for i = 1, 10 do t[i] = i if i == 5 then error("stop", 0) end end end), #t)
local function count(n) local ok, r = pcall(function() if n == 0 then return 0 end return 1 + count(n - 1) end) return r end
print(count(100))
local ok, e = pcall(function() local x <close> = setmetatable({}, { __close = function(_, e) error("close:" .. e, 0) end }) error("first", 0) end)
print(ok, e)
print(pcall(string.rep, "x", -1)) print(pcall(string.rep)) print(pcall(next, {}, 1))
local deep = 0
local function overflow() deep = deep + 1 return 1 + overflow() end
ok, e = pcall(overflow)
print(ok, e:match("stack overflow") , deep > 1000)
ok, e = pcall(overflow)
print(ok, e:match("stack overflow"))
print(xpcall(function() local function f() return 1 + f() end return f() end, function(m) return m:match("stack overflow") end))
print(pcall(error, setmetatable({}, { __tostring = function() return "obj" end })) == false)
print(select("#", pcall(error)), assert(1, 2, 3))
print(pcall(assert, false, "msg", 1)) print(pcall(assert)) print(pcall(assert, nil)) print(pcall(assert, 1 == 1, "unused"))
local f = coroutine.wrap(function() return pcall(function() coroutine.yield(1) error("E", 0) end) end)
print(f()) print(f())
print(pcall(load("error('in chunk')", "=chunk")))
print(pcall(function() local a = {} ; return a.b.c end))
