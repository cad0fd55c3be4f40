-- Prints messages.tsv: what standard Lua says about each of the sources below.
--   lua5.4 generate.lua > messages.tsv
-- Each line is the source and the message, separated by a tab; bytes that do
-- not print, the tab and the backslash are written \xHH. The chunk is called
-- "=c". A source that standard Lua accepts has no message.
-- With an argument: that many random sources, for comparing on the spot.

local function quote (s)
  return (s:gsub("[%c\\\128-\255]", function (c) return ("\\x%02X"):format(c:byte()) end))
end

-- Left to the later stages of the compiler.
local later = { "attempt to assign to const", "outside a loop", "break outside", "no visible label",
  "<goto ", "already defined", "too many", "control structure too long", "overflow" }

local function case (source)
  local f, message = load(source, "=c", "t")
  message = message or ""
  message = message:gsub("\nstack traceback:.*", "")
  for _, text in ipairs(later) do
    if message:find(text, 1, true) then return end
  end
  -- The line in this message changed in 5.4.6.
  if source:find("[\r\n]") and message:find("')' expected", 1, true) then return end
  io.write((quote(source)), "\t", (quote(message)), "\n")
end

local n_random = tonumber((...))
if n_random then
  local pieces = {}
  for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return
    then true until while + - * / // % ^ # & ~ | << >> == ~= <= >= < > = ( ) { } [ ] :: : ; , . .. ...
    a b c self f x.y x[1] f() f(1) a:b() 1 0x1F 3.5 1e5 3x 0x 'str' "dq" [[long]-] [=[l]=]
    <const> <close> <foo> -- --[[c]-] \ ? $ ! @ ' " [= [==]]):gsub("]%-]", "]]"):gmatch("%S+") do
    pieces[#pieces + 1] = word
  end
  for _, s in ipairs { "\n", "\r\n", "\0", "\255", "'\\q'", "'\\x4", "'\\u{41}'", "'\\", "if a then", "end",
    "function f()", "local x =", "x =", "return", "f(", ")", "for i = 1, 2 do", "while a do", "\n", "{", "}",
    "a", "=", "1", "a.b", ",", "a = 1", "a = 1", "local a", "f()", "do", "end", "'a\\\nb'", "[[\n]]" } do
    for _ = 1, 3 do pieces[#pieces + 1] = s end
  end
  math.randomseed(tonumber((select(2, ...))) or 1)
  for _ = 1, n_random do
    local t = {}
    for i = 1, math.random(12) do t[i] = pieces[math.random(#pieces)] end
    case(table.concat(t, math.random(5) > 1 and " " or ""))
  end
  return
end

local sources = {
  -- bytes that start no token
  "x = \0", "x = \255", "x = \1", "x = $", "x = é", "\128x = 1", "x = ?", "x ! 1", "@", "x = a\0b", "x\0",
  "x = 3é", "`", "\\", "x = 1 \127", "local \0", "f(\0)", "x \r\n= \n\r\1",
  -- numerals
  "x = 3x", "x = 3..2", "x = 0x", "x = 1e", "x = 9e+-1", "x = 0xep1+1e1e+1", "x = 0x.p1", "x = 1.2.3",
  "x = 0xp", "x = 1_000", "x = 08z", "x = .5e", "x = .0x1", "x = 0x1p", "x = 0xGG", "x = 3.e+", "x = 0b1",
  "x = 12abc", "x = 0xe-", "x = 0xep-p", "x = 1e+q", "x = 5 5", "x = 5.5 5.5", "1", "x = .", "x = 1..", "x = 1 ..",
  -- quoted strings
  "x = \"abc\n\"", "x = \"abc", "x = 'abc", "x = 'abc\rd'", "x = \"a\\q\"", "x='\\xg1'", "x='\\x1", "x='\\x",
  "x='\\x1g'", "x='\\300'", "x='\\9999'", "x='a\\256", "x='\\u{80000000}'", "x='\\u12'", "x='\\u{}'",
  "x='\\u{12'", "x='\\u{12", "x='\\u{", "x='\\u", "x='\\u{g}'", "x='\\u{11000000000000}'", "x='\\", "x='abc\\",
  "x = '\\\n\n'", "x = '\\z  \n  \n", "x = '\\z  \n  \n'y", "x = '\\\r\n\\\n\r\n", "x='\\xqq'", "x='é\\q'",
  "x='a\\n\\65\\u{48}\\x41\\z  \\?'", "x='\\\0'", "x='\0\\q'", "x = 'a' 'b\\0c'", "x = 'a' 'b\\10c'", "x = 'a' 'b\\'c'",
  "x = 'a'\n\n'b'", "x='\\x\n'", "x='\\1\n'", "x='\\u{1\n'", "x='\\Q", "x='\\u{7FFFFFFF}'", "'x'", "x = 'a\\\nb' y",
  -- long strings and comments
  "x=[==[abc", "x=[[\n\n", "x=[[\r\n\r", "--[==[abc", "--[[\n\n]=]", "x=[=abc", "x=[=", "[=[a\n]=]", "[==", "x = [[a\n]] y",
  "x = [[a]] [[\nb\r\nc]]", "x = [[a]] [==[]=]]==]", "x = [[a]] [[]] [[]", "x = [[]]]", "--[=x\ny", "--[==", "x = [=[]]",
  "-- c\n\n-- d\ny", "--[[ \n ]] y", "x = 1 --[[", "x = 1 --", "[[", "x = [", "x = a[", "x = a[[",
  -- names and expected tokens
  "goto if", "goto", "local", "local 1", "local x.y", "local function", "local function 1()", "local function a.b() end",
  "function a[b]() end", "function", "function a.", "function a:b.c() end", "function a:1() end", "function f", "function f(",
  "function f(a,", "function f(a,)", "function f(...,a)", "function f(1)", "function f(a b)", "function f(a) ", "function f(a)\nx=1\n",
  "x = function", "x = function a() end", "x = function()", "x = function\n()\n", "local function f\n(\n)\n", "function f\n()\n",
  "local x <foo> = 1", "local x <foo>\n= 1", "local x <close>, y <close> = 1", "local x <const", "local x <", "local x <1>",
  "local x <const> y", "local x <close>, y <const>, z <close>\n", "local x,", "local x =", "local x = 1,", "local x <const>, y <bar>",
  -- statements
  "x", "x y", "x.y", "x.y.z 1", "x[1]", "f() = 1", "f().x = 1", "f() g()", "(a) = 1", "(a+b)=1", "(a).b = 1", "(a)", "a, b", "a, b +",
  "a, f() = 1", "a, (b) = 1", "f(), a = 1", "a.b:c = 1", "a:b", "a:b.c=1", "a:", "a:1", "a:b'x' = 1", "a.", "a.1", "a.if = 1", "a..b",
  "a = ", "a = 1,", "a == 1", "a += 1", "= 1", "1 = 1", "'a' = 1", "nil", "x = 1 ; ~", "x ~ 1", "(", ")", "{}", "{", "}", ";;;}", "x = 1 = 2",
  "for", "for 1", "for x", "for x do", "for x,y", "for x,1 in", "for x in", "for x in y", "for x = ", "for a=1 do", "for a=1,2", "for a=1,2,3,4 do end",
  "for a=1,2 do", "for a=1,2 do\n\n", "for a.b in c do end", "for a, b = 1, 2 do end", "for a in b do\n\nuntil",
  "if", "if x", "if x the", "if x then", "if x then\n\n", "if x then else elseif", "if x then else else end", "if x\nthen\nelseif y\nthen\n", "elseif x then", "else", "then",
  "while", "while x", "while x do", "while x do\n\n", "while x then", "do", "do\n\n", "do\nuntil", "end", "until x", "repeat", "repeat x=1", "repeat\n\nend", "repeat until",
  "return 1 2", "return;1", "return 1,", "return return", "return\n\nx = 1", "return (", "do return 1 end end", "if x then return 1; 2 end", "return\n;\n;",
  "break x", "::a", "::", "::1::", "::a:b", "::a::  ::", "goto a.b", "goto\n\n1", "do goto x y end", "in", "and", "not", "not x", "or x",
  -- expressions
  "x = }", "x = )", "x = *", "x = a *", "x = a * * b", "x = - ", "x = #", "x = not", "x = ~", "x = a ~", "x = a and", "x = a or or b", "x = a // ", "x = a >> ",
  "x = a ? b", "x = a => b", "x = a != b", "x = a ~ = b", "x = a < = b", "x = a...b", "x = ....", "x = a . . b", "x = a : b()", "x = a :: b", "x = &a", "x = |a",
  "f(\n", "f(1\n2", "f(1 2)", "f(1,", "f(1,)", "f(,)", "f(", "f(a", "f\n(\n1\n2", "a.b\n.c(\n1\n2", "x = (1", "x = (\n1\n2", "x = ()", "x = (1,2)", "x = (a))", "x = a[1", "x = a[]", "x = a[1\n2", "x = a[1}",
  "a={1 2", "a={\n1 2", "a={1,,2}", "a={,}", "a={;}", "a={[1]}", "a={[1}", "a={[1]=}", "a={x=}", "a={x=1 y=2}", "a={x", "a={x\n", "a={x\n\n'", "a={x.y=1}", "a={'x'=1}", "a={f()=1}", "a={1=2}", "a={if=1}", "a={...", "a={x=1;;}",
  "function f() return ... end", "x = function() return ... end", "function f(...) return function() return ... end end", "function f() x = {...} end", "... = 1", "...", "x = ...", "x, ... = 1", "local ...", "function f() return (...) end",
  "x = function(a, ...) return ... end y", "f = function() end()", "x = {}.y", "x = {}[1]", "x = 'a'.b", "x = 'a':b()", "x = 1.b", "x = nil.b", "x = function() end.a", "f{1}'a'[[b]](c) d",
  "x = a.b.c:d'e'.f[g]:h{}(i) j", "x = 2^-3^4 y", "x = -x^2 .. 'a' .. b == c and d or e y", "x = - - -x y", "x = not not x y", "if x then\nf(\n)\nelse\ng{\n}\nwhil",
}
for _, source in ipairs(sources) do case(source) end
