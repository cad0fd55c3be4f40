"""string.format, patterns, pack and unpack, utf8, the other string functions."""
from .dice import quote


def format_(d):
    out = []
    for _ in range(d.randint(12, 20)):
        n = d.randint(1, 3)
        spec, args = "", []
        for _ in range(n):
            spec += d.one(["", "", " ", "a", "%%", "|"])
            c = d.one("ddiucsxXoeEfFgGaAqpsssgdq%") if d.often(0.95) else d.one("bhlnjtyLk\\0 1.")
            flags = "".join(d.one("-+ #0") for _ in range(d.choices([0, 1, 2, 3, 6], [10, 5, 3, 1, 0.4])[0]))
            width = d.one(["", "", "", "1", "5", "10", "20", "99", "100", "05"]) if d.often(0.7) else ""
            precision = d.one(["", "", ".", ".0", ".1", ".3", ".10", ".14", ".17", ".20", ".99", ".100", ".03"]) if d.often(0.6) else ""
            spec += "%" + flags + width + precision + c
            if c in "diucxXo":
                args.append(d.one([d.integer(), d.integer(), d.number(), d.value(), str(d.randint(0, 255))]))
            elif c in "eEfFgGaA":
                args.append(d.one([d.number(), d.number(), d.number(), d.value()]))
            elif c == "q":
                args.append(d.one([d.number(), d.string(), d.string(), d.value()]))
            elif c == "s":
                args.append(d.one([d.string(), d.string(), d.number(), "nil", "true", "setmetatable({}, {__tostring = function() return 'TS' end})",
                                   "setmetatable({}, {__tostring = function() return 1 end})", "setmetatable({}, {__tostring = function() return 'a\\0b' end})", "('x'):rep(120)"]))
            elif c == "p":
                args.append(d.one(["nil", "1", "true", "1.5"]))
            else:
                args.append(d.value())
        if d.often(0.08) and args:
            args.pop()
        out.append(f'E(string.format, "{spec}"{"".join(", " + a for a in args)})')
    return "\n".join(out)


SUBJECTS = ["hello world", "key = value", "a,b,,c", "THE (quick (brown)) fox", "  trim  ", "aaa", "", "abc123def456", "x\\0y\\0z", "f(a,b)[c]{d}",
            "2024-01-31", "%d", "aXbXc", "\\n\\t line", "ab\\255cd", "[[x]]", "--->", "_a1"]


def pattern(d):
    def item():
        r = d.random()
        if r < 0.3:
            s = d.one(["a", "b", "l", "o", "x", " ", ",", "X", "1", "\\0", "-", "]", "e"])
        elif r < 0.6:
            s = "%" + d.one("acdglpsuwxACDGLPSUWX.%()[]^$-")
        elif r < 0.7:
            s = "."
        elif r < 0.85:
            s = "[" + d.one(["", "^"]) + d.one(["a-z", "%w_", "0-9a-f", "]", "]x", "%]", "a-", "-a", "^", "%a-z", "a%-z", "(", "\\0-\\31", "%s%p", "z-a", ".", "$"]) + d.one(["]", "]", "]", "]", "]", "x]", ""])
        elif r < 0.89:
            return "%b" + d.one(["()", "[]", "xx", "(", "", "{}", "\\0z"])
        elif r < 0.93:
            return "%f" + d.one(["[%w]", "[%W]", "[^a]", "[%z]", "", "a", "[a"])
        elif r < 0.96:
            return "%" + d.one("12309")
        else:
            return d.one(["$", "^", "%", "()", "*", "+", "?", "-", ")", "(", "["])
        return s + d.one(["", "", "", "*", "+", "-", "?"])
    out = d.one(["", "", "", "^"])
    open_ = 0
    for _ in range(d.randint(0, 5)):
        if d.often(0.25):
            out += "("
            open_ += 1
        out += item()
        if open_ and d.often(0.5):
            out += ")"
            open_ -= 1
    if not d.often(0.05):
        out += ")" * open_
    return out + d.one(["", "", "", "$"])


def patterns(d):
    out = []
    for _ in range(d.randint(12, 20)):
        s, p = d.one(SUBJECTS), pattern(d)
        init = d.one(["", "", ", 1", ", 3", ", -2", ", 100", ", 0", ", -100", ", 4, true", ", nil, true", ', "2"', ", 1.5", ", {}", ", math.maxinteger", ", math.mininteger"])
        r = d.random()
        if r < 0.3:
            out.append(f'E(string.find, "{s}", "{p}"{init})')
        elif r < 0.5:
            out.append(f'E(string.match, "{s}", "{p}"{init})')
        elif r < 0.65:
            i = init if d.often(0.3) else ""
            out.append(f'E(function() local r = {{}} for a, b in string.gmatch("{s}", "{p}"{i}) do r[#r + 1] = show(a, b) if #r > 20 then break end end return table.concat(r, ";") end)')
        else:
            repl = d.one(['"<%0>"', '"%1"', '"%2-%1"', '"x"', '""', '"%%"', '"%"', '"%9"', '"%a"', '"\\0"', "{a = 1, hello = 'H', l = false, x = 2.5}",
                          "{[''] = 'e', [1] = 'one', ab = {}}", "function(a, b) return b end", "function(...) return select('#', ...) end", "function() end",
                          "function() return false end", "function() return {} end", "function() return true end", "function(a) error('E' .. tostring(a), 0) end", "5", "1.5", "nil", "true", "print == nil",
                          "setmetatable({}, {__index = function(t, k) return '[' .. tostring(k) .. ']' end})", "string.upper"])
            n = d.one(["", "", "", ", 1", ", 2", ", 0", ", -1", ", nil", ', "1"', ", 1.5", ", {}", ", math.maxinteger"])
            out.append(f'E(string.gsub, "{s}", "{p}", {repl}{n})')
    return "\n".join(out)


def pack(d):
    out = []
    for _ in range(d.randint(10, 16)):
        fmt, args = "", []
        for _ in range(d.randint(1, 5)):
            fmt += d.one(["", "", "", "<", ">", "=", "!", "!4", "!8", "!2", "!16", "! ", " ", "!1", "!3", "!17", "!0"]) if d.often(0.5) else ""
            o = d.one(["b", "B", "h", "H", "i", "I", "l", "L", "j", "J", "T", "f", "d", "n", "s", "z", "x", "c", "X", "i", "I", "s"])
            size = ""
            if o in "iI" and d.often(0.7):
                size = d.one(["1", "2", "3", "4", "7", "8", "9", "16", "0", "17", "15", "99999999999"])
            elif o == "s" and d.often(0.7):
                size = d.one(["1", "2", "4", "8", "3", "16", "17"])
            elif o == "c":
                size = d.one(["0", "1", "3", "10", "", "5"])
            elif o == "X":
                size = d.one(["i4", "i8", "b", "d", "", "x", "s", "i3", "z", "!"])
            fmt += o + size
            if o in "bBhHiIlLjJT":
                args.append(d.one([str(d.randint(-130, 260)), str(d.randint(0, 100)), str(d.randint(0, 100)), d.integer(), d.number(), d.value()]))
            elif o in "fdn":
                args.append(d.one([d.number(), d.number(), d.number(), d.value()]))
            elif o in "szc":
                args.append(d.one(['"abc"', '"a"', '""', '"x\\0y"', '("q"):rep(300)', d.string(), d.value()]))
        if d.often(0.05):
            fmt += d.one(["q", "1", "?", "é"])
        if d.often(0.08) and args:
            args.pop()
        if d.often(0.7):
            out.append(f'E(function() local s = string.pack("{fmt}"{"".join(", " + a for a in args)}) return #s, s, string.unpack("{fmt}", s) end)')
        elif d.often(0.5):
            out.append(f'E(string.packsize, "{fmt}")')
        else:
            s = d.one([d.string(), '("\\1\\2\\3\\4\\5\\6\\7\\8"):rep(3)', '("\\255"):rep(20)', '("\\0"):rep(16)', '"\\3abc\\0\\0\\0\\0\\0\\0"', '"\\255\\0\\0\\0\\0\\0\\0\\0" .. ("\\0"):rep(12)'])
            at = d.one(["", "", ", 1", ", 2", ", -1", ", 0", ", 100", ", -3", ", nil", ', "2"', ", math.mininteger", ", 1.5"])
            out.append(f'E(string.unpack, "{fmt}", {s}{at})')
    return "\n".join(out)


def utf8_(d):
    out = []
    strings = ['"abc"', '"héllo"', '"日本語"', '"\\u{7FFFFFFF}x"', '"\\u{10FFFF}\\u{110000}"', '"\\xff"', '"a\\x80b"', '"\\xc0\\x80"', '"\\xe0\\x80\\x80"',
               '"\\xed\\xa0\\x80"', '"\\u{D800}"', '"é\\xe9"', '""', '"\\xf4\\x90\\x80\\x80"', '"\\xc3"', '"\\u{3FFFFFF}\\u{4000000}"', "12", "nil", "{}", '"\\x80"', '"a\\x80"', '"é\\x80x"']
    at = ["1", "2", "-1", "0", "3", "4", "-2", "10", "-10", "nil", '"1"', "1.5", "math.maxinteger", "math.mininteger", "1.0"]
    for _ in range(d.randint(10, 20)):
        s = d.one(strings)
        r = d.random()
        rest = "".join(", " + d.one(at) for _ in range(d.randint(0, 2))) + d.one(["", "", ", true", ", false"])
        if r < 0.25:
            out.append(f"E(utf8.len, {s}{rest})")
        elif r < 0.45:
            out.append(f"E(utf8.codepoint, {s}{rest})")
        elif r < 0.65:
            out.append(f"E(utf8.offset, {s}{''.join(', ' + d.one(at) for _ in range(d.randint(0, 2)))})")
        elif r < 0.85:
            out.append(f"E(function() local r = {{}} for p, c in utf8.codes({s}{d.one(['', '', ', true', ', false'])}) do r[#r + 1] = show(p, c) if #r > 9 then break end end return table.concat(r, ';') end)")
        else:
            args = ", ".join(d.one(["65", "0", "127", "128", "0x7ff", "0x800", "0xffff", "0x10000", "0x10ffff", "0x7fffffff", "0x80000000", "-1", '"66"', "1.5", "nil", "{}"]) for _ in range(d.randint(0, 4)))
            out.append(f"E(function() return utf8.char({args}) end)")
    out.append("P(utf8.charpattern)")
    return "\n".join(out)


def strings_(d):
    out = []
    at = ["1", "2", "-1", "0", "3", "-3", "100", "-100", "nil", "math.maxinteger", "math.mininteger", '"2"', "2.0", "1.5", "{}", '"x"']
    for _ in range(d.randint(12, 20)):
        s = d.one([d.string(), d.string(), d.string(), d.number(), d.value()])
        f = d.one(["sub", "byte", "rep", "upper", "lower", "reverse", "len", "char", "sub", "byte", "rep"])
        if f == "rep":
            n = d.one(["0", "1", "3", "-1", '"2"', "2.0", "1.5", "nil", "1 << 62", "math.maxinteger", "{}", "5"])
            if n in ("1 << 62", "math.maxinteger") and s == '""':
                n = "3"
            args = [n] + ([d.string()] if d.often(0.4) else [])
        elif f == "char":
            out.append(f"E(function() return string.char({', '.join(d.one(['65', '0', '255', '256', '-1', '97.0', '1.5', chr(34) + '70' + chr(34), 'nil']) for _ in range(d.randint(0, 4)))}) end)")
            continue
        else:
            args = d.some(at, 0, 2) if f in ("sub", "byte") else []
        args = ", ".join(args)
        if d.often(0.6):
            out.append(f"E(function() return string.{f}({s}{', ' if args else ''}{args}) end)")
        else:
            out.append(f"E(function() local s = {s} return s:{f}({args}) end)")
    for _ in range(4):
        out.append(f"E(function() return {' .. '.join(d.value() + ' ' for _ in range(d.randint(2, 4)))} end)")
        out.append(f"E(function() local a, b = {d.string()}, {d.string()} return a < b, a <= b, a == b, #a end)")
    return "\n".join(out)


GENERATORS = {"format": format_, "patterns": patterns, "pack": pack, "utf8": utf8_, "strings": strings_}
