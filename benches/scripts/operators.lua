-- A number type in Lua: modular integers through every arithmetic event.
local n = tonumber(arg and arg[1]) or 320000
local M = 998244353
local Mod = {}
local function new(v) return setmetatable({ v = v % M }, Mod) end
local function value(a) return type(a) == "table" and a.v or a end
Mod.__add = function(a, b) return new(value(a) + value(b)) end
Mod.__sub = function(a, b) return new(value(a) - value(b)) end
Mod.__mul = function(a, b) return new(value(a) * value(b)) end
Mod.__idiv = function(a, b) return new(value(a) // value(b)) end
Mod.__mod = function(a, b) return new(value(a) % value(b)) end
Mod.__band = function(a, b) return new(value(a) & value(b)) end
Mod.__concat = function(a, b) return tostring(value(a)) .. tostring(value(b)) end
Mod.__tostring = function(a) return "mod " .. a.v end
local x, len = new(3), 0
for i = 1, n do
  x = x * 7 + i
  x = x - 2
  x = (x // 3 + (x % 1000)) * (x & 255)
  if i % 16 == 0 then len = len + #(x .. i) end
end
print(tostring(x), len)
