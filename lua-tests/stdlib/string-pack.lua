-- pack, unpack, packsize: sizes, endianness, alignment, strings, errors.
local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
print(hex(("b"):pack(-1)), hex((">i4"):pack(1)), hex(("<i4"):pack(1)), hex((">I2"):pack(65535)), hex(("<i3"):pack(-2)), hex((">j"):pack(1)), hex(("<i16"):pack(-1)))
print(hex((">d"):pack(1)), hex(("<f"):pack(0.5)), hex((">n"):pack(-0.0)), hex(("z"):pack("ab")), hex((">s1"):pack("abc")), hex((">s2"):pack("abc")), hex(("<s4"):pack("")), hex(("c5"):pack("ab")))
print((">i4"):unpack("\0\0\1\0"), ("<i4"):unpack("\0\0\1\0"), ("b"):unpack("\255"), ("B"):unpack("\255"), (">i2 i2"):unpack("\0\1\255\255"), ("z"):unpack("abc\0def"), (">s1"):unpack("\3abcdef"))
print(("i4i8"):packsize(), ("!8i4i8"):packsize(), ("bi4"):packsize(), ("!bi4"):packsize(), ("<!4 b i8"):packsize(), ("c10"):packsize(), ("bXi4"):packsize(), ("!4bXi4"):packsize(), (""):packsize())
print(hex(("!4 b i4"):pack(1, 2)), hex((">!4 b x b Xi4"):pack(1, 2)), ("<d"):unpack(("<d"):pack(math.pi)) == math.pi, ("f"):unpack(("f"):pack(0.1)) == 0.1)
print(("i1"):unpack("\1\2\3", 2), ("i1"):unpack("\1\2\3", -1), pcall(string.unpack, "i1", "\1", 3), pcall(string.unpack, "i4", "abc"))
for _, args in ipairs { { "i1", 128 }, { "I1", 256 }, { "i1", -129 }, { "i17", 1 }, { "i0", 1 }, { "c", "x" }, { "c2", "abc" }, { "z", "a\0b" }, { "s1", ("x"):rep(256) }, { "q", 1 }, { "i4", "x" }, { "i4", 1.5 }, { "!3i4", 1 }, { "Xz", 1 }, { "X", 1 }, { "!17i4", 1 } } do print(args[1], pcall(string.pack, table.unpack(args))) end
print(pcall(string.packsize, "s"), pcall(string.packsize, "z"), pcall(string.unpack, "z", "abc"), pcall(string.unpack, "s1", "\5ab"), pcall(string.unpack, ">i9", ("\255"):rep(9)), pcall(string.unpack, ">i9", ("\1"):rep(9)))
print((">I8"):unpack(("\255"):rep(8)), (">I3"):unpack("\1\2\3"), ("<I16"):unpack("\5" .. ("\0"):rep(15)), ("h H l L j J T"):packsize(), (" < i2 > i2 = i2"):packsize())
