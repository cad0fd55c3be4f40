-- §3.4.3: strings and numbers convert both ways where an operator asks.
print("10" + 5, "0x10" + 0, "3.0" + 1, "1e1" * 1, " 7 " + 0, "10" / "2", -"2", - "0x2", "7" // 2, "7" % "4")
print(10 .. 20, 1.5 .. "", 2.0 .. "", -0.0 .. "", 2 ^ 63 .. "")
for _, s in ipairs { "10", " 10 ", "0x1F", "1e2", "0x1p4", "1e", "", " ", "0x", "1 2", "inf", "nan", "10a", "١", "1_000", "- 1", "-1", "+1", "--1", ".5", "5.", ".", "0x.8", "1e+5", "9223372036854775808", "0xffffffffffffffffff" } do
  print(("%q"):format(s), tonumber(s), math.type(tonumber(s)))
end
print(tonumber("ff", 16), tonumber("zz", 36), tonumber("777", 8), tonumber("8", 8), tonumber("-ff", 16), tonumber("1.0", 10))
print(tonumber("7fffffffffffffff", 16), tonumber("ffffffffffffffff", 16), tonumber(" 11 ", 2), tonumber("", 10))
print(tonumber(nil == 1), pcall(tonumber), pcall(tonumber, "1", 1), pcall(tonumber, 1, 10))
print(math.tointeger(3.0), math.tointeger(3.5), math.tointeger(2 ^ 63), math.tointeger({}))
print(tostring(1e15), tostring(-1e15), tostring(1e14), tostring(123456.789e3), tostring(2 ^ 24))
print(string.format("%d", 3.0), pcall(string.format, "%d", 3.5), pcall(string.format, "%d", "3.0"))
print(#tostring(0.1 + 0.2), 0.1 + 0.2, 1e300 * 1e10, -1e300 * 1e10)
print(pcall(function() return "a" + 1 end))
print(pcall(function() return {} .. "x" end))
print(pcall(function() return 1 < "2" end))
print(pcall(function() return "10" < "9" end), "a" < "b", "Z" < "a", "" < "a", "a\0b" < "a\0c")
print("10" == 10, 0 == "0", "abc" == "abc")
for i = "1" + 0, "3" + 0 do io.write(i, " ") end
print()
print(pcall(function() for i = "1", 2 do end end))
