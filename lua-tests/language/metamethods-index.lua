-- §2.4: __index and __newindex as functions and tables, rawget/rawset, chains.
local log = {}
local t = setmetatable({ own = 1 }, {
  __index = function(self, k) log[#log + 1] = "get " .. tostring(k) return k end,
  __newindex = function(self, k, v) log[#log + 1] = "set " .. tostring(k) rawset(self, k, v) end,
})
print(t.own, t.other, t[1], t[1.5], t[true])
t.own = 2
t.fresh = 3
t.fresh = 4
t[1] = "x"
print(table.concat(log, ", "), rawget(t, "fresh"), rawget(t, "missing"), rawlen(t))
local base = { x = 1 }
local mid = setmetatable({ y = 2 }, { __index = base })
local top = setmetatable({ z = 3 }, { __index = mid, __newindex = mid })
print(top.x, top.y, top.z, top.w)
top.x = 10
print(rawget(top, "x"), rawget(mid, "x"), base.x, top.x)
print(("abc").len == string.len, ("abc"):upper(), #"abc", ("x").y)
print(pcall(function() return (1).x end))
print(pcall(function() local v = true; v.x = 1 end))
print(pcall(function() return nil .. "x" end))
print(pcall(function() local a = {} return a.b.c end))
print(pcall(function() local a = { b = {} } return a.b.c.d end))
print(pcall(function() undefinedglobal.x = 1 end))
print(pcall(function() local a = "str" a.x = 1 end))
print(pcall(rawset, 1, 2, 3))
print(pcall(function() local t = {} t[nil] = 1 end))
print(pcall(function() local t = {} t[0 / 0] = 1 end), ({})[nil], ({})[0 / 0])
local protected = setmetatable({}, { __metatable = "locked" })
print(getmetatable(protected), pcall(setmetatable, protected, {}), getmetatable("").__index == string)
local default = setmetatable({}, { __index = function(self, k) local v = k * 2 rawset(self, k, v) return v end })
print(default[5], rawget(default, 5), default[5])
local calls = 0
local multi = setmetatable({}, { __index = function() calls = calls + 1 return 1, 2, 3 end })
local a, b = multi.x, 9
print(a, b, calls, (multi.y))
local loop = {}
setmetatable(loop, { __index = loop })
print(pcall(function() return loop.x end))
local proxy = setmetatable({}, { __index = string })
print(proxy.upper("x"), proxy.rep("ab", 2))
local Class = {}
Class.__index = Class
function Class.new(n) return setmetatable({ n = n }, Class) end
function Class:get() return self.n end
function Class:add(k) self.n = self.n + k return self end
print(Class.new(5):add(2):add(3):get())
