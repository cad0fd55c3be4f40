-- Writes vectors.txt: what the reference makes of numbers. Run with lua5.4.
math.randomseed(42, 7)
local function bits(x) return ("%016x"):format(string.unpack("<i8", string.pack("<d", x))) end
local floats = {0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, 0.1, 1/3, 2/3, 1e14, 1e15, 1e16, 123456.0, 1234567.0, 99999.5, 999999.5,
  0.0001, 0.00001, 1e100, 1e-100, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1/0, -1/0, 9.5, 0.05, 0.25, 0.125, 1e21, 1e22, 1e23,
  3.14159265358979, 100.0, 12345678901234.5, 0x1.fffffffffffffp0, 0x1.08p0, 0x1.18p0, 9.9999999999999995e22}
for _ = 1, 20 do floats[#floats+1] = string.unpack("<d", string.pack("<i8", math.random(0))) end
for _ = 1, 20 do floats[#floats+1] = math.random() * 10.0 ^ math.random(-10, 20) end
local ff = {"%e", "%f", "%g", "%a", "%E", "%G", "%A", "%.0e", "%.0f", "%.0g", "%.0a", "%#.0e", "%#.0f", "%#.0g", "%#.0a", "%#g",
  "%.1f", "%.3f", "%.20f", "%.99f", "%.17g", "%.14g", "%.99g", "%.99e", "%.3a", "%.1a", "%.12a", "%.13a", "%.20a", "%10.2f", "%-10.2f|", "%+.3e", "% g",
  "%020g", "%+020.5f", "%-020g", "% 030a", "%010.1f", "%#20g", "%5.1g"}
for _, f in ipairs(ff) do
  for _, x in ipairs(floats) do
    -- The C library forgets the zeros of "%#g" when rounding carries over.
    if x == x and not (f:find'#.*g' and (x == 999999.5 or x == 99999.5)) then
      local g = f:gsub("|", "")
      print("F", g, bits(x), (string.format(g, x)))
    end
  end
end
local ints = {0, 1, -1, 7, 8, 255, -255, 1234567, math.maxinteger, math.mininteger}
for _, f in ipairs{"%d", "%i", "%5d", "%-5d", "%05d", "%+d", "% d", "%.3d", "%.0d", "%+.0d", "%10.4d", "%-10.4d", "%010d", "% 010d", "%+-8d",
  "%x", "%X", "%#x", "%#X", "%o", "%#o", "%#.5o", "%.0x", "%#.0x", "%#.0o", "%08x", "%#08x", "%-#20x", "%.20x", "%20.18d", "%-30.20o"} do
  for _, i in ipairs(ints) do print("I", f, i, (string.format(f, i))) end
end
for _, x in ipairs(floats) do if x == x then print("T", "-", bits(x), tostring(x)) end end
for _ = 1, 500 do
  local x = string.unpack("<d", string.pack("<i8", math.random(0)))
  if x == x then print("T", "-", bits(x), tostring(x)) end
  x = math.random(10^15) / 10 ^ math.random(0, 17)
  print("T", "-", bits(x), tostring(x))
end
