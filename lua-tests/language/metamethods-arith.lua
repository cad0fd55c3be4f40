-- §2.4: arithmetic, bitwise, concat, len, unm, and which operand decides.
local function name(v) return type(v) == "table" and v.name or tostring(v) end
local mt = {}
for _, event in ipairs { "add", "sub", "mul", "div", "mod", "pow", "idiv", "band", "bor", "bxor", "shl", "shr", "concat" } do
  mt["__" .. event] = function(a, b) return event .. "(" .. name(a) .. "," .. name(b) .. ")" end
end
mt.__unm = function(a, b) return "unm(" .. name(a) .. "," .. tostring(rawequal(a, b)) .. ")" end
mt.__bnot = function(a) return "bnot(" .. name(a) .. ")" end
mt.__len = function(a) return "len(" .. name(a) .. ")" end
local function new(n) return setmetatable({ name = n }, mt) end
local a, b = new "a", new "b"
print(a + b, a - 1, 1 * a, a / 2.5, a % b, a ^ 2, 2 // a)
print(a & 1, 1 | a, a ~ b, a << 2, 3 >> a, ~a, -a, #a)
print(a .. b, a .. "s", "s" .. a, 1 .. a, a .. 1 .. 2, "x" .. "y" .. a)
print(a + 1, 1 + a, a + 1.5, 7 - a, a - 7, 100000 * a, a // 1, a & 255, a << 1, 1 << a)
print(a & 1.5, "abc" | a, a + "x", pcall(function() return a + nil end))
print(pcall(function() return {} + 1 end))
print(pcall(function() return setmetatable({}, { __add = 5 }) + 1 end))
local second = setmetatable({ name = "second" }, { __add = function() return "second's" end })
print(a + second, second + a, {} == {} or ({} ~= second))
local multi = setmetatable({}, { __add = function() return 1, 2, 3 end })
print(multi + 1, (multi + 1))
local s = setmetatable({}, { __concat = function(x, y) return type(x) .. type(y) end })
print(s .. s, s .. 1, 1 .. s, nil == (s .. nil))
print(10 .. (setmetatable({}, { __concat = function(x, y) return x * 2 end })))
