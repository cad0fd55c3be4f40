-- Comparison and keys at the borders between integers and floats.
local ints = { math.mininteger, math.mininteger + 1, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, math.maxinteger - 1, math.maxinteger }
local floats = { -math.huge, -2 ^ 63, -2 ^ 53, -1.5, -0.0, 0.5, 2 ^ 53, 2 ^ 63, math.huge, 0 / 0 }
for _, i in ipairs(ints) do
  local row = {}
  for _, f in ipairs(floats) do
    row[#row + 1] = (i < f and "<" or "") .. (i <= f and "l" or "") .. (i == f and "=" or "") .. (i > f and ">" or "") .. (i >= f and "g" or "")
    if row[#row] == "" then row[#row] = "-" end
  end
  print(i, table.concat(row, " "))
end
print(math.floor(3.7), math.floor(-3.7), math.ceil(3.2), math.ceil(-3.2), math.floor(2 ^ 70), math.floor(5))
print(math.ult(1, -1), math.ult(-1, 1), math.abs(math.mininteger), math.abs(-5), math.abs(-5.5))
print(math.fmod(7, 3), math.fmod(-7, 3), math.fmod(7, -3), math.fmod(7.5, 2), math.fmod(-6, 2), pcall(math.fmod, 1, 0))
print(math.modf(3.7), math.modf(-3.7), math.modf(5), math.modf(math.huge), math.modf(-math.huge))
print(7 // 1.5, -7 // 1.5, 7 % 1.5, -7 % 1.5, 1e308 // 1e-308, 0.0 / 1, -0.0 / 1)
print(3 | 0, 3.0 | 0, pcall(function() return 3.5 | 0 end))
print(1e15 // 1, 2 ^ 53 // 1, 10 // 3.0, 10.0 // 3, 10 % 3.0)
print(math.maxinteger // 1 | 0, math.maxinteger + 1.0, math.maxinteger * 1.0 == 2 ^ 63)
print(0x7fffffffffffffff + 1 == math.mininteger, 0xffffffffffffffff == -1, 1e18 == 10 ^ 18, 1e19)
print(string.format("%.17g %.3f %5.1f %g %g", 0.1, 2 / 3, 3.14159, 1e20, 1e-5))
print(100 // 1e-320, 5 // math.huge, -5 // math.huge, 5 % -math.huge)
for _, v in ipairs { 1, 1.0, -0.0, 1e100, 1 / 3, 123456789.123, 1e-10, 2 ^ 31, 2 ^ 32 + 0.5 } do io.write(tostring(v), " ") end
print()
print(tostring(3) == "3", tostring(3.0) == "3.0", 3 == 3.0, ({ [3] = "k" })[3.0])
print(8 // 3 * 3 + 8 % 3 == 8, -8 // 3 * 3 + -8 % 3 == -8, 8 // -3 * -3 + 8 % -3 == 8)
