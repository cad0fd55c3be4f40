-- debug: upvalues, locals, metatables, user values, upvalue identity.
local a, b = 1, 2
local function f(x, y) local z = x + y return a + b + z end
print(debug.getupvalue(f, 1), debug.getupvalue(f, 2), debug.getupvalue(f, 3), debug.setupvalue(f, 1, 10), a, f(1, 1), debug.setupvalue(f, 5, 1))
print(debug.getlocal(f, 1), debug.getlocal(f, 2), debug.getlocal(f, 3))
local function locals(p, ...) local q = 5 local names = {} for i = 1, 3 do local n, v = debug.getlocal(1, i) names[#names + 1] = n .. "=" .. tostring(v):gsub("table.*", "table") end local vn, vv = debug.getlocal(1, -1) return table.concat(names, " "), vn, vv end
print(locals(1, "va"))
local function setter() local v = 1 debug.setlocal(1, 1, 99) return v end print(setter())
local g = function() return a end local h = function() return b end
print(debug.upvalueid(f, 1) == debug.upvalueid(g, 1), debug.upvalueid(g, 1) == debug.upvalueid(h, 1)) debug.upvaluejoin(g, 1, h, 1) print(g(), debug.upvalueid(g, 1) == debug.upvalueid(h, 1))
print(debug.getmetatable("").__index == string, debug.setmetatable(5, { __index = { double = function(n) return n * 2 end } }), (21):double(), debug.setmetatable(5, nil), debug.getmetatable(5))
debug.setmetatable(nil, { __index = function() return "nil field" end }) print((nil).x) debug.setmetatable(nil, nil) print(pcall(function() return (nil).x end))
print(debug.getinfo(1, "l").currentline, debug.getinfo(f, "S").linedefined, debug.getinfo(100), pcall(debug.getinfo, 1, "?"), pcall(debug.getinfo, "x"), debug.getinfo(print).what, debug.getinfo(f, "f").func == f)
local lines = {} for l in pairs(debug.getinfo(f, "L").activelines) do lines[#lines + 1] = l end table.sort(lines) print(table.concat(lines, " "))
print(debug.getregistry ~= nil, type(debug.getregistry()), debug.gethook(), debug.getuservalue(io.stdout, 1))
local count = 0 debug.sethook(function(e) count = count + 1 end, "l") local x = 1
x = 2
debug.sethook() print(count >= 2, debug.gethook())
local calls = {} debug.sethook(function(e) calls[#calls + 1] = e end, "cr") f(1, 2) debug.sethook() print(calls[2], calls[3], #calls >= 3)
local ticks = 0 debug.sethook(function() ticks = ticks + 1 end, "", 100) for i = 1, 10000 do end debug.sethook() print(ticks > 10)
print(pcall(debug.getlocal, 100, 1), pcall(debug.upvalueid, f, 10), debug.getupvalue(print, 1), debug.getupvalue(string.gmatch("x", "x"), 1) == "" or true)
local co = coroutine.create(function(arg) local inside = "v" coroutine.yield() end) coroutine.resume(co, "A") print(debug.getlocal(co, 1, 1), debug.getlocal(co, 1, 2), debug.getinfo(co, 1, "l").currentline)
