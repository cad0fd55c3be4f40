"""Sources that are wrong, or nearly: their messages, or what they do."""
import re

from .dice import quote

CORPUS = r'''
local a <const>, b <close> = 1, nil
local function f(x, y, ...) local t = {...} return x + y, #t, t[1] end
for i = 1, 10, 2 do if i == 3 then goto continue end f(i) ::continue:: end
for k, v in pairs({a = 1, ["b c"] = 2, 3; 4}) do print(k, v) end
while not done do done = true break end
repeat local z = 1 until z == 1 or z > 2
function M.a.b:c(self, ...) return self, ... end
local s = "esc \n \x41 \u{48} \065 \z
   cont" .. 'q' .. [[long
]] .. [==[x]]y]==]
x, y.z, w[1] = 1, 0x1p4, 3.5e-2
do local q = function() return end end
if a then return a elseif b then return b else return -a ^ 2 // 3 end
goto done do ::inner:: goto inner end ::done::
t = { f = function(...) end, [1] = ~5 & 3 | 2 ~ 1 << 2 >> 1, "a" .. "b" ; }
return a and b or not c, a < b, a <= b, a ~= b, a == b, #t, (f{1}), f"s", f[[l]], o:m'x'.y
-- comment
--[[ long
comment ]] a.b["c"].d(e)(f){g}:h()
local m <const> = 5; m2 = m + 1;
local x <close> = setmetatable({}, {})
'''
TOKEN = re.compile(r'--\[\[.*?\]\]|--[^\n]*|\[(=*)\[.*?\]\1\]|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|0[xX][0-9a-fA-F.pP+-]+|\d[\w.]*|\w+|\.\.\.|\.\.|::|//|[=~<>]=|<<|>>|\s+|.', re.S)
TOKENS = ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while + - * / % ^ # & ~ | << >> // == ~= <= >= < > = ( ) { } [ ] :: ; : , . .. ... "
          "x name 1 0x 3. 1e 0x1p 1..2 3x 'str' \"dq\" [[long]] [==[ ]==] -- --[[ \" ' \\ @ $ ` ! ? <const> <close> <foo> a.b f() ::l1:: _ENV é \x01 \x7f").split(" ")
PIECES = [r'"\q"', r'"\x4"', r'"\xzz"', r'"\u{}"', r'"\u{110000}"', r'"\u{80000000}"', r'"\u41"', r'"\u{4x}"', r'"\300"', r'"\256x"', '"unfinished', "'line\nbreak'", "[[unfinished", "[==[ x ]=]", "[=x", "--[[unfinished", "--[==[ ]]", "0x", "0xg", "1e", "1e+", "3in", "08z", "0x1.p", "1.2.3", "..5", "5..6",
          "goto nowhere", "::dup:: ::dup::", "break", "local x <const> = 1; x = 2", "local x <close>, y <close> = nil", "local x <bad> = 1", "for i do end", "for i = 1 do end", "for i, j = 1, 2 do end", "for 1 = 1, 2 do end", "local function a.b() end", "function a:b.c() end", "function (x) end", "return return", "x", "x.y", "f() = 1", "(a) = 1", "a + b", "a, b", "a, f() = 1", "(f)", "'s'()", "{}()", "('s'):x()", "{}.x = 1", "local 1", "local a.b = 1", "if x the end", "do do end", "end", "until x", "else", "...", "x = ...", "x = }", "x = (1", "x = {1, 2", "x = {1 2}", "x = f(1 2)", "x = a..", "x = not", "x = #", "goto 1", "::1::", "goto", "::x", "local x <", "local x <const", "local <const> x", "function f(a, ..., b) end", "function f(a b) end", "function f(1) end", "x = function end", "return 1,", "return 1;;", "x = 1 = 2", "a.1 = 2", "a:b = 1", "a:b", "a.b:c", "x = a:b", "do local x goto l end local y ::l:: x = 1", "goto l; local a; ::l:: print(a)", "repeat goto c; local z; ::c:: until z", "goto f; local x; ::f::", "do goto x end; local v; ::x:: ;", "local _ENV <const> = {}; x = 1", "local a <const> = 1; function a() end", "local a <const> = 1; local function f() a = 2 end", "for i = 1, 2 do i = 3 end", "local x <close> = 1; x = 2", "local a <const> = 1; a, b = 1, 2", "global x", "x += 1", "x != y", "a ? b", "x = 1 -- c\n y = = 2", "x =\n\n=", "f\n(1)", "x = [[\n\n]] =", "\n\n\nx y", "if a then\n\nelse\n\n", "for i = 1, 2 do\n\n\nx", "(", "f(\n\n", "function f()\n\nx = 1", "local t = {\n1,\n2", "while true do\nif x then\nend", "repeat\n\n"]


def mutated(d, source):
    tokens = [m.group(0) for m in TOKEN.finditer(source)]
    for _ in range(d.choices([1, 2, 3, 4], [8, 4, 2, 1])[0]):
        i = d.randrange(len(tokens))
        r = d.random()
        if r < 0.25:
            del tokens[i]
        elif r < 0.5:
            tokens.insert(i, " " + d.one(TOKENS) + d.one(["", " ", " "]))
        elif r < 0.65:
            tokens[i] = d.one(TOKENS)
        elif r < 0.72:
            tokens.insert(i, tokens[i])
        elif r < 0.8:
            j = d.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif r < 0.88:
            tokens.insert(i, " " + d.one(PIECES) + " ")
        elif r < 0.93:
            tokens = tokens[:i]
        elif r < 0.96:
            t = tokens[i]
            k = d.randrange(len(t) + 1)
            tokens[i] = t[:k] + d.one("\"'[](){}=\\\n\0x1.e~<") + t[k:]
        else:
            tokens.insert(i, d.one(["\n", "\r\n", "\r", "\f", "\0", "\t", "--", "--[["]))
        if not tokens:
            break
    return "".join(tokens)


def mutations(d):
    out = []
    lines = CORPUS.strip().split("\n")
    for _ in range(d.randint(10, 16)):
        r = d.random()
        if r < 0.3:
            i = d.randrange(len(lines))
            source = "\n".join(lines[i:i + d.randint(1, 4)])
            source = mutated(d, source)
        elif r < 0.45:
            source = mutated(d, CORPUS)
        elif r < 0.7:
            source = d.one(["", "local a = 1 ", "x = 2\n", "do ", "function q() "]) + d.one(PIECES) + d.one(["", " end", "\n", " x = 1", " ;", "\nreturn"])
        elif r < 0.85:
            source = mutated(d, d.one(PIECES) + " " + d.one(lines))
        else:
            source = " ".join(d.one(TOKENS) for _ in range(d.randint(1, 8)))
        out.append(f"C({quote(source)})")
    return "\n".join(out)


def limits(d):
    """Too many of something, or nearly."""
    out = []
    n = lambda *around: d.one([a + k for a in around for k in (-2, -1, 0, 1, 2)])
    for _ in range(d.randint(3, 5)):
        out.append(d.one([
            f"do local t = {{}} for i = 1, {n(200)} do t[i] = 'local a' .. i end C(table.concat(t, ' ')) end",
            f"do local t = {{}} for i = 1, {n(200)} do t[i] = 'a' .. i end C('local ' .. table.concat(t, ',')) end",
            f"do local t = {{}} for i = 1, {n(200)} do t[i] = 'a' .. i end C('local function f(' .. table.concat(t, ',') .. ') end') end",
            f"do local t = {{}} for i = 1, {n(197)} do t[i] = 'local a' .. i end C('function f()\\n' .. table.concat(t, '\\n') .. '\\nfor i = 1, 2 do end end') end",
            f"do local t = {{}} for i = 1, {n(197)} do t[i] = 'local a' .. i end C('local function g()\\n' .. table.concat(t, ' ') .. ' for k, v in pairs{{}} do end end') end",
            f"C(('('):rep({n(190, 200)}) .. '1' .. (')'):rep(200))".replace("C(('('", "C('return ' .. ('('"),
            f"C('return ' .. ('{{'):rep({n(190, 200)}) .. ('}}'):rep({n(200)}))",
            f"C(('do '):rep({n(190, 200)}) .. ('end '):rep({n(200)}))",
            f"C('return ' .. ('-'):rep({n(190, 200)}) .. '1')".replace("('-')", "('- ')"),
            f"C('return ' .. ('not '):rep({n(190, 200)}) .. '1')",
            f"C('return ' .. ('1 .. '):rep({n(190, 200)}) .. '1')",
            f"C('return ' .. ('2 ^ '):rep({n(190, 200)}) .. '1')",
            f"C('x = ' .. ('a.'):rep({n(300)}) .. 'b')",
            f"C('x = ' .. ('f('):rep({n(190, 200)}) .. (')'):rep({n(200)}))",
            f"C(('function f() '):rep({n(190, 200)}) .. ('end '):rep({n(200)}))",
            f"C(('a,'):rep({n(190, 200)}) .. 'a = 1')",
            f"C(('if x then '):rep({n(190, 200)}) .. ('end '):rep({n(200)}))",
            f"C(('while x do '):rep({n(190, 200)}) .. ('break end '):rep({n(200)}))",
            f"C('x = ' .. ('function() return '):rep({n(95, 100, 195)}) .. '1 ' .. ('end '):rep({n(100, 195)}))",
            f"do local t, u = {{}}, {{}} for i = 1, {n(255)} do t[i] = 'local a' .. i % 128 .. ' = 1' u[i] = 'a' .. i end C('local function f() return ' .. table.concat(u, ' + ') .. ' end') end",
            f"do local a, b, u = {{}}, {{}}, {{}} for i = 1, 128 do a[i] = 'a' .. i b[i] = 'b' .. i end for i = 1, {n(127)} do u[#u + 1] = a[i] u[#u + 1] = b[i] end C('local ' .. table.concat(a, ',') .. '\\nlocal function g()\\nlocal ' .. table.concat(b, ',') .. '\\nreturn function() return ' .. table.concat(u, '\\n+') .. ' end end') end",
            f"C('return f(' .. ('1,'):rep({n(250, 255)}) .. '1)')",
            f"C('local a = {{' .. ('x,'):rep({n(50, 255)}) .. '}}')",
            f"C('return ' .. ('a,'):rep({n(250)}) .. 'a')",
            f"C('local ' .. ('a,'):rep({n(199)}) .. 'a = ' .. ('f(),'):rep({n(60)}) .. 'f()')",
            f"C(('x'):rep({n(80, 200)}) .. ' y')",
            f"C('x = \\\"' .. ('y'):rep({n(80, 200)}) .. '\\\" z')",
            f"C('goto ' .. ('l'):rep({n(50, 90)}))",
            f"C(('x'):rep({n(80)}) .. ' y', ('=c'):rep({n(30)}))",
        ]))
    return "\n".join(out)


def functions(d):
    """Valid expressions with every operator, whose value must agree; and long ones."""
    out = []
    ops = ["+", "-", "*", "/", "//", "%", "^", "..", "<", "<=", ">", ">=", "==", "~=", "and", "or", "&", "|", "~", "<<", ">>"]
    def e(k):
        r = d.random()
        if k == 0 or r < 0.3:
            return d.one(["1", "2", "3", "0.5", "7", "a", "b", "c", "'4'", "nil", "true", "false", "t.x", "t[1]", "K(3)", "#s", "s"])
        if r < 0.75:
            return f"{e(k - 1)} {d.one(ops)} {e(k - 1)}"
        if r < 0.85:
            return f"({e(k - 1)})"
        return f"{d.one(['-', 'not ', '~', '#', '- ', '-'])}{e(k - 1)}".replace("--", "- -")
    out.append("local a, b, c, s, t = 2, 3.5, '6', 'str', {x = 5, 9}")
    for _ in range(d.randint(10, 18)):
        x = e(d.randint(1, 4))
        r = d.random()
        if r < 0.6:
            out.append(f"E(function() return {x} end)")
        elif r < 0.7:
            out.append(f"E(function() if {x} then return 'T' else return 'F' end end)")
        elif r < 0.8:
            out.append(f"E(function() local r = {x} and {e(1)} or {e(2)} return r end)")
        elif r < 0.9:
            out.append(f"E(function() local n = 0 while {x} do n = n + 1 if n > 3 then break end end return n end)")
        else:
            out.append(f"E(function() local r = {{{x}, {e(2)}}} return #r < 9, r[1], r[2], not ({x}) end)")
    return "\n".join(out)


GENERATORS = {"mutations": mutations, "limits": limits, "expressions": functions}
