-- The metatable that all strings share, changed while it is used.
local mt = getmetatable("")
local saved = {}
for k, v in pairs(mt) do saved[k] = v end
local function restore() for k in pairs(mt) do if not saved[k] then mt[k] = nil end end for k, v in pairs(saved) do mt[k] = v end end
mt.__index = function(s, k) collectgarbage("step") if type(k) == "number" then return string.sub(s, k, k) end return string[k] end
local s = "hello"
local out = {}
for i = 1, 6 do out[i] = s[i] end
print(table.concat(out, "|"), s:upper(), ("x"):rep(3))
mt.__add = function(a, b) return a .. "+" .. b end
mt.__lt = function(a, b) return "never" end
mt.__call = function(s, ...) return s .. select("#", ...) end
mt.__len = function() return -1 end
mt.__eq = function() return true end
print("a" + "b", "10" + 5, "a" < "b", ("f")(1, 2, 3), #"abc", "a" == "b")
mt.__concat = function() return "no" end
print("a" .. "b", pcall(function() return "a" .. {} end))
mt.__index = nil
print(pcall(function() return ("x"):upper() end))
mt.__index = setmetatable({}, { __index = function(_, k) return function(...) return k, select("#", ...) end end })
print(("x"):anything(1, 2))
mt.__newindex = function(s, k, v) out[k] = v end
local str = "target"
str.field = 7
print(out.field)
mt.__newindex = nil
print(pcall(function() str.field = 1 end))
mt.__name = "MyString"
print(pcall(function() return "a" + {} end))
mt.__tostring = function(s) return "<" .. #s .. ">" end
print(tostring("abcd"), string.format("%s|%8s", "abc", "de"), table.concat({ "a", "b" }))
mt.__metatable = "locked"
print(getmetatable(""), debug.getmetatable("") == mt)
mt.__gc = function() print("never") end
mt.__mode = "k"
mt.__close = function(s, e) print("closed", s) end
do local x <close> = "text" end
restore()
collectgarbage()
print(("abc"):rep(2), #"abc", pcall(function() return "a" + "b" end))
-- a method that replaces what it was looked up in
mt.__index = { grow = function(s) mt.__index = string collectgarbage() return s .. s end }
print(("z"):grow(), ("z"):rep(2))
restore()
debug.setmetatable("", nil)
print(pcall(function() return ("x"):len() end))
debug.setmetatable("", mt)
print(("x"):len())
