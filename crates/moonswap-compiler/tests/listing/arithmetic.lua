-- Operand forms of arithmetic, and what is folded.
local a, b = 1, 2.5
local sums = {a + b, a + 1, 1 + a, a + 1.5, 1.5 + a, a + 40000, a - 3, 3 - a, a - 0.5}
local products = {a * 2, 2 * a, a / 2, 2 / a, a // 3, a % 4, a ^ 2, 2 ^ a}
local bits = {a & 7, 7 & a, a | 1.0, a ~ 3, a << 3, 3 << a, a >> 63, a >> 64, ~a, -a, not a, #sums}
local folded = {2 + 3 * 4, 7 // 2, 2 ^ 10, -5, ~0, 1 << 62, -(-3), 10 % 3, 5.0 // 2}
local kept = {1 // 0, 1 % 0, 0 * -1.0, -0.0, 0 / 0, 1.5 & 1, "1" + 2}
a = a + 1
b = b * a - a / b
local joined = a .. b .. "x" .. 1
return a .. (b .. joined)
