-- utf8: char, codepoint, len, offset, codes, charpattern; lax and bad bytes.
local s = "aé€😀z"
print(#s, utf8.len(s), utf8.codepoint(s, 1, -1)) print(utf8.char(97, 233, 8364, 128512), utf8.char(), utf8.char(0x7FFFFFFF):byte(1, -1))
for p, c in utf8.codes(s) do io.write(p, ":", c, " ") end print()
for c in s:gmatch(utf8.charpattern) do io.write("[", c, "]") end print(#utf8.charpattern)
for i = -5, 6 do io.write(tostring(utf8.offset(s, i)), " ") end print()
for i = 1, #s + 1 do local o = utf8.offset(s, 0, i) io.write(o, " ") end print()
print(utf8.len("\xff"), utf8.len("abc\x80"), utf8.len("\xc3"), utf8.len("\xe2\x82"), utf8.len("\xed\xa0\x80"), utf8.len("\xed\xa0\x80", 1, -1, true), utf8.len("\xc0\x80"), utf8.len("\xf4\x90\x80\x80"), utf8.len("\xf4\x90\x80\x80", 1, -1, true))
print(utf8.len(s, 2), utf8.len(s, 3), utf8.len(s, -1), utf8.len("", 1), utf8.len(s, #s + 1), pcall(utf8.len, s, #s + 2), pcall(utf8.len, s, 1, 100))
print(pcall(utf8.codepoint, "\xff"), pcall(utf8.codepoint, s, 3), pcall(utf8.codepoint, s, 100), pcall(utf8.char, -1), pcall(utf8.char, 0x80000000), pcall(utf8.offset, s, 1, 3), pcall(utf8.offset, s, 1, 100))
print(pcall(function() for _ in utf8.codes("a\xff") do end end)) print(pcall(function() for _ in utf8.codes("\xed\xa0\x80") do end end)) for p, c in utf8.codes("\xed\xa0\x80", true) do print(p, c) end
print(utf8.codepoint("é"), utf8.codepoint(s, 2), utf8.codepoint(s, 2, 4), "\u{e9}" == "é", ("é"):byte(1, -1), utf8.offset("é", 2), utf8.offset("", 1), utf8.offset("abc", 5), utf8.offset("abc", -4))
print(pcall(utf8.codes), pcall(utf8.codes, 5), utf8.len("abc", 4), utf8.len("a\0b"), utf8.char(0) == "\0")
