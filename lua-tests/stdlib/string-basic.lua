-- len, sub, byte, char, rep, reverse, lower, upper: negative and huge indices.
local s = "hello"
print(s:len(), #s, s:sub(2), s:sub(2, 3), s:sub(-3), s:sub(-3, -2), s:sub(0), s:sub(10), s:sub(3, 2), s:sub(-100, 2), s:sub(2, 100))
print(s:sub(math.mininteger, math.maxinteger), s:sub(math.maxinteger), s:sub(2, math.mininteger) == "")
print(s:byte(), s:byte(-1), s:byte(1, -1)) print(s:byte(10), select("#", s:byte(10)), s:byte(2, 3))
print(string.char(), string.char(72, 105), #string.char(0, 255))
print(("ab"):rep(3), ("ab"):rep(3, "-"), ("ab"):rep(0), ("ab"):rep(-1), ("ab"):rep(1, "-"), (""):rep(1000) == "")
print(s:reverse(), (""):reverse(), s:upper(), ("HeLLo"):lower(), ("é"):upper() == "é")
print(("a\0b"):len(), ("a\0b"):upper() == "A\0B", ("a\0b"):rep(2) == "a\0ba\0b")
print(s == "hel" .. "lo", s < "hellp", s < "hello!", "" < "a", "a\0" > "a", "Z" < "a")
print(pcall(string.char, 256), pcall(string.rep, "x", 1e10), pcall(string.sub))
print(pcall(string.rep, "abc", math.maxinteger)) print(pcall(s.byte, s, {}))
print(("x"):rep(3, ", "), ("%d"):rep(2, "|"):format(1, 2), ("abc"):sub(2.0, 3), pcall(string.sub, "abc", 1.5))
print(#("x"):rep(100000), ("x"):rep(10):len(), tostring(12):rep(2))
