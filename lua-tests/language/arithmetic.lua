-- §3.4.1: integers wrap, floats follow IEEE, / and ^ are always floats.
print(7 // 2, -7 // 2, 7 // -2, -7 // -2, 7.0 // 2, -7 // 2.0)
print(7 % 3, -7 % 3, 7 % -3, -7 % -3, 7.5 % 2, -7.5 % 2, 7.5 % -2)
print(5 % math.huge, -5 % math.huge, 5 % -math.huge, -5 % -math.huge)
print(1 / 0, -1 / 0, 0 / 0 ~= 0 / 0, 1 // 0.0, -1 // 0.0, 5.0 % 0 ~= 5.0 % 0)
print(3 / 2, 4 / 2, 2 ^ 10, 2 ^ 0.5, (-8) ^ (1 / 3) ~= (-8) ^ (1 / 3), -2 ^ 2)
print(math.maxinteger + 1 == math.mininteger, math.mininteger - 1 == math.maxinteger)
print(math.maxinteger * 2, math.mininteger * -1, -math.mininteger)
print(math.mininteger // -1, math.mininteger % -1)
print(1e15, 1e16, 1e100, 123456789012345.0, 0.1, 1 / 3, 100.0, -0.0, 2 ^ 53, 2 ^ 63)
print(1e308 * 10, -1e308 * 10, 5e-324, 2.2250738585072014e-308)
print(0x10, 0xff, 0xA.8p0, 0x.1p4, 0x1p-2, 0xffffffffffffffff, 0x7fffffffffffffff + 0)
print(9223372036854775807, 9223372036854775808, -9223372036854775808, 1e1, .5, 3., 0e12)
print(1 == 1.0, 0.0 == -0.0, math.type(1), math.type(1.0), math.type("1"))
print(2 ^ 53 == 2 ^ 53 + 1, (1 << 53) + 1 == 2 ^ 53, math.maxinteger + 0.0 == math.maxinteger)
print(1 < 1.5, 2 <= 2.0, math.maxinteger < math.huge, math.mininteger > -math.huge)
print(math.maxinteger < 2 ^ 63, math.maxinteger + 0.0 == 2 ^ 63, math.mininteger == -2 ^ 63)
local nan = 0 / 0
print(nan == nan, nan < nan, nan <= 1, 1 <= nan, nan ~= nan)
print(2 ^ 3 ^ 2, -3 ^ 2, not nil == true, 1 .. 2 == "12", 2 * 3 % 4, 1 + 2 << 1, 1 | 2 ~ 3 & 4)
print(10 - 2 - 3, 100 / 10 / 2, "a" .. "b" .. "c" == "abc", 5 > 3 == true)
local t = {}
t[1.0] = "one"
t[2 ^ 53] = "big"
print(t[1], t[1 << 53], next({ [3.0] = 1 }))
print(pcall(function() return 1 // 0 end))
print(pcall(function() return 1 % 0 end))
