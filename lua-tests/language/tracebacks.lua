-- debug.traceback and xpcall handlers; positions in messages.
local function inner(x) error("deep " .. x) end
local function middle(x) inner(x) return 1 end
function outer(x) middle(x) return 2 end
local ok, text = xpcall(outer, debug.traceback, "error")
print(ok)
print((text:gsub("%[C%]: in function 'xpcall'.*", "...")))
print(select(2, xpcall(outer, function(m) return "handled: " .. m end, "again")))
print(select(2, xpcall(function() local x = nil; return x.y end, function(m) return (m:gsub("^", "> ")) end)))
print(debug.traceback("msg", 1):match("^msg\nstack traceback:\n\ttracebacks.lua:%d+: in main chunk\n\t%[C%]: in %?$") ~= nil)
print(debug.traceback(nil) == nil, debug.traceback({}) ~= nil, debug.traceback(12))
local co = coroutine.create(function() local function f() coroutine.yield() end f() end)
coroutine.resume(co)
print(debug.traceback(co))
print(debug.traceback(co, "with message"))
print(debug.traceback(co, nil, 1))
co = coroutine.create(function() error("x") end)
coroutine.resume(co)
print(debug.traceback(co))
local t = {}
function t.field() error("in field") end
function t:method() error("in method") end
print(pcall(t.field)) print(pcall(t.method, t))
print(select(2, pcall(error, "at level 1", 1)), select(2, pcall(error, "at level 2", 2)))
local function level1() error("level 1", 1) end
local function level2() error("level 2", 2) end
print(pcall(level1)) print(pcall(function() level2() end))
local info = debug.getinfo(1, "Sl")
print(info.short_src, info.currentline, info.what)
info = debug.getinfo(inner, "S")
print(info.short_src, info.linedefined, info.lastlinedefined, info.what, info.source)
local function who() return debug.getinfo(1, "n").name, debug.getinfo(1, "n").namewhat end
print(who())
print(debug.getinfo(print, "S").what, debug.getinfo(print, "u").isvararg, debug.getinfo(inner, "u").nparams, debug.getinfo(inner, "u").nups)
local function tail() return inner("tail") end
print((select(2, xpcall(tail, debug.traceback)):gsub("%[C%]: in function 'xpcall'.*", "...")))
local function recurse(n) if n == 0 then error("bottom") end recurse(n - 1) return end
local _, long = xpcall(recurse, debug.traceback, 40)
print(select(2, long:gsub("\n", "\n")), long:match("\n\t(%.%.%.[^\n]*)"))
