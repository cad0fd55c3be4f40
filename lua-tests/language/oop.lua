-- Classes with inheritance, super calls, mixins, properties, singletons.
local Animal = {} Animal.__index = Animal
function Animal.new(name, sound) local self = setmetatable({}, Animal) self.name, self.sound = name, sound return self end
function Animal:speak() return self.name .. " says " .. self.sound end
function Animal:__tostring() return "Animal<" .. self.name .. ">" end
local Dog = setmetatable({}, { __index = Animal }) Dog.__index = Dog Dog.__tostring = Animal.__tostring
function Dog.new(name) local self = Animal.new(name, "woof") return setmetatable(self, Dog) end
function Dog:fetch(what) return self.name .. " fetches " .. what end
function Dog:speak() return Animal.speak(self):upper() end
local d = Dog.new("Rex")
print(d:speak(), d:fetch("ball"), tostring(d), getmetatable(d) == Dog, rawget(d, "speak"))
local function class(parent)
  local c = {}
  c.__index = c
  return setmetatable(c, { __index = parent, __call = function(cls, ...) local o = setmetatable({}, cls) if cls.init then cls.init(o, ...) end return o end })
end
local A = class() function A:init(x) self.x = x end function A:get() return self.x end
local B = class(A) function B:init(x, y) A.init(self, x) self.y = y end function B:sum() return self:get() + self.y end
local C = class(B) function C:get() return B.get(self) * 10 end
print(A(1):get(), B(1, 2):sum(), C(1, 2):sum())
local function property(cls)
  cls.__index = function(self, k) local getter = cls["get_" .. k] if getter then return getter(self) end return cls[k] end
  cls.__newindex = function(self, k, v) local setter = cls["set_" .. k] if setter then setter(self, v) else rawset(self, k, v) end end
  return cls
end
local Temp = property {}
function Temp:get_f() return self.c * 9 / 5 + 32 end
function Temp:set_f(v) rawset(self, "c", (v - 32) * 5 / 9) end
local t = setmetatable({ c = 100 }, Temp)
print(t.f) t.f = 32 print(t.c) t.plain = 1 print(t.plain)
local Stack = {}
function Stack.new() local items = {} return { push = function(v) items[#items + 1] = v end, pop = function() return table.remove(items) end, size = function() return #items end } end
local s = Stack.new() s.push(1) s.push(2) print(s.pop(), s.size())
local mixin = { describe = function(self) return "I am " .. self.name end }
for k, v in pairs(mixin) do Animal[k] = v end
print(d:describe())
local readonly = setmetatable({}, { __index = { a = 1 }, __newindex = function(_, k) error("read-only field " .. k, 2) end })
print(readonly.a, pcall(function() readonly.b = 1 end))
local counter = setmetatable({ n = 0 }, { __call = function(self, k) self.n = self.n + (k or 1) return self.n end })
print(counter(), counter(5), counter.n)
local V = {} V.__index = V
V.__add = function(a, b) return setmetatable({ x = a.x + b.x }, V) end V.__eq = function(a, b) return a.x == b.x end V.__lt = function(a, b) return a.x < b.x end V.__le = function(a, b) return a.x <= b.x end
V.__tostring = function(a) return "V" .. a.x end V.__len = function(a) return a.x end V.__concat = function(a, b) return tostring(a) .. tostring(b) end V.__unm = function(a) return setmetatable({ x = -a.x }, V) end
local a, b = setmetatable({ x = 1 }, V), setmetatable({ x = 2 }, V)
print(tostring(a + b), a == b, a < b, a <= b, #b, a .. b, a .. "s", "s" .. b, tostring(-a))
print(d.missing, pcall(function() return d:missing() end))
