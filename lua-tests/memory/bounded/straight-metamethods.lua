-- at most 40 MiB; the reference takes 4
-- Natives as metamethods: neither a call nor a loop between them.
local text = ("x"):rep(5000)
local lines = {}
for i = 1, 3000 do lines[i] = "x = t[" .. i .. "] x = t .. 1" end
local f = assert(load("local t = ... local x " .. table.concat(lines, " "), "=metamethods"))
local mt = { __concat = function(a, b) return { a, b } end }
local t = setmetatable({}, mt)
mt.__index = function(_, n) return text .. n end
f(t)
mt.__index = coroutine.wrap(function(_, n) while true do _, n = coroutine.yield(text .. n) end end)
f(t)
-- indexing strings: `s[500]` is `string.rep(s, 500)`
local strings = getmetatable ""
local before = strings.__index
f = assert(load("local s = ... local x " .. ("x = s[500] "):rep(3000), "=repeat"))
strings.__index = before.rep
local ok, message = pcall(f, text)
strings.__index = before
assert(ok, message)
