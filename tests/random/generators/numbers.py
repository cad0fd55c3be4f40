"""Arithmetic, comparisons, conversions between numbers and text, loops over numbers."""
ARITHMETIC = ["+", "-", "*", "/", "//", "%", "^", "&", "|", "~", "<<", ">>"]
COMPARE = ["<", "<=", ">", ">=", "==", "~="]
UNARY = ["-", "~", "not ", "#"]


def operand(d):
    r = d.random()
    if r < 0.82:
        return d.number()
    if r < 0.93:
        return d.string()
    return d.other()


def arithmetic(d):
    out = []
    for _ in range(d.randint(8, 16)):
        a, b = operand(d), operand(d)
        op = d.one(ARITHMETIC + COMPARE[:4] if d.often(0.7) else COMPARE + ["..", "and", "or"])
        r = d.random()
        # as registers, constants on either side, constants on both, upvalues, fields
        if r < 0.3:
            out.append(f"E(function() local a, b = {a}, {b} return a {op} b end)")
        elif r < 0.45:
            out.append(f"E(function() local a = {a} return a {op} ({b}) end)")
        elif r < 0.6:
            out.append(f"E(function() local b = {b} return ({a}) {op} b end)")
        elif r < 0.75:
            out.append(f"E(function() return ({a}) {op} ({b}) end)")
        elif r < 0.85:
            out.append(f"do local a, b = {a}, {b} E(function() if a {op} b then return 'yes' else return 'no' end end) end")
        elif r < 0.92:
            out.append(f"do local t = {{x = {a}, y = {b}}} E(function() return t.x {op} t.y end) end")
        else:
            out.append(f"E(function() local a = {a} return {d.one(UNARY)}a, {d.one(UNARY)}({b}) end)")
    for _ in range(4):
        a, b, c = d.number(), d.number(), d.number()
        o = [d.one(ARITHMETIC[:7]) for _ in range(3)]
        out.append(f"E(function(a, b) return a {o[0]} {b} {o[1]} {c} {o[2]} b end, {a}, {d.number()})")
    return "\n".join(out)


def maths(d):
    one = ["floor", "ceil", "abs", "sqrt", "tointeger", "type", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "deg", "rad", "modf"]
    two = ["fmod", "max", "min", "ult", "log", "atan"]
    out = []
    for _ in range(d.randint(10, 20)):
        if d.often(0.55):
            f = d.one(one)
            a = operand(d)
            shown = f"math.{f}({a})"
            # the last bit of a transcendental function is the C library's
            if f in ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan"):
                shown = f"string.format('%.10g', math.{f}({d.number()}))"
            out.append(f"E(function() return {shown} end)")
        else:
            f = d.one(two)
            args = ", ".join(operand(d) for _ in range(d.choices([0, 1, 2, 3], [1, 2, 12, 2])[0]))
            shown = f"math.{f}({args})"
            if f in ("log", "atan"):
                shown = f"string.format('%.10g', {shown})"
            out.append(f"E(function() return {shown} end)")
    return "\n".join(out)


def numeral(d):
    """Text that is, nearly is or is not a numeral."""
    r = d.random()
    sign = d.one(["", "", "", "-", "+", "--", "- "])
    if r < 0.3:
        digits = "".join(d.one("0123456789") for _ in range(d.randint(1, 25)))
        s = digits
        if d.often(0.5):
            k = d.randint(0, len(digits))
            s = digits[:k] + "." + digits[k:]
        if d.often(0.5):
            s += d.one(["e", "E"]) + d.one(["", "+", "-"]) + str(d.one([0, 1, 5, 10, 15, 300, 308, 309, 323, 324, 325, 400, 99999]))
    elif r < 0.65:
        s = "0" + d.one("xX") + "".join(d.one("0123456789abcdefABCDEF") for _ in range(d.randint(0, 20)))
        if d.often(0.5):
            s += "." + "".join(d.one("0123456789abcdef") for _ in range(d.randint(0, 18)))
        if d.often(0.6):
            s += d.one("pP") + d.one(["", "+", "-"]) + str(d.one([0, 1, 4, 52, 53, 1000, 1023, 1024, 1074, 1075, 1100, 5000]))
    elif r < 0.9:
        s = d.one(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616",
                   "0x8000000000000000", "0xffffffffffffffffff", "1e400", "-1e400", "1e-400", "0x1p-1074", "0x1p-1075", "0x1.8p-1075",
                   "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "1.7976931348623159e308", ".5", "5.",
                   ".", "0x.", "0x.p1", "1e+", "inf", "nan", "0b1", "1_000", "1f", "1l", "0x1g", "0x1p", "0x1p+", "1..2", "1.2.3", "infinity"])
    else:
        s = "".join(d.one("0123456789.eExXpP+-abf _") for _ in range(d.randint(1, 8)))
    s = sign + s
    if d.often(0.25):
        s = d.one(["", " ", "\\t", "\\n ", "\\v\\f\\r"]) + s + d.one(["", " ", "\\n", " \\t", " x", "\\0", "\\0001"])
    return s


def conversions(d):
    out = []
    for _ in range(d.randint(12, 22)):
        s = numeral(d)
        r = d.random()
        if r < 0.3:
            out.append(f'P(tonumber("{s}"), math.tointeger("{s}"))')
        elif r < 0.4:
            out.append(f'E(function() return "{s}" {d.one(["+ 0", "* 1", "| 0", "// 1", ".. 1", "< 1", "- -1", "% 3"])} end)')
        elif r < 0.45:
            out.append(f'E(function() return -"{s}", ~"{s}" end)')
        elif r < 0.6:
            out.append(f'L("return {s.replace(chr(92), chr(92) * 2)}")')
        elif r < 0.78:
            base = d.one(["2", "8", "10", "16", "36", "3", "1", "37", "0", "-1", "16.0", "2.5", '"16"', "nil"])
            text = d.one([s, "zz", "7fffffffffffffff", "-ff", "  1010  ", "12345678901234567890", "10.5", "", " ", "- 1", "1 1", "+1", "8", "Zz", "1\\0", "é"])
            out.append(f'E(tonumber, {d.one([chr(34) + text + chr(34)] * 8 + ["10", "nil", "{}", "1.5"])}, {base})')
        elif r < 0.9:
            n = d.number()
            out.append(f"P(tostring({n}), ({n}) .. '', string.format('%.14g', {n}))")
        elif r < 0.95:
            out.append(f"E(tonumber{d.one(['', ', nil', ', {}', ', true', ', print', ', 1, 10', ', nil, 10'])})")
        else:
            n = d.number()
            out.append(f"P(math.tointeger({n}), ({n}) == math.tointeger({n}), tonumber(tostring({n})) == ({n}))")
    return "\n".join(out)


def loops(d):
    out = []
    for _ in range(d.randint(8, 14)):
        def limit():
            r = d.random()
            if r < 0.35:
                return str(d.randint(-5, 8))
            if r < 0.55:
                return d.one(["math.maxinteger", "math.maxinteger - 2", "math.mininteger", "math.mininteger + 2", "2^53", "2^63", "-2^63", "1/0", "-1/0", "(0/0)"])
            if r < 0.75:
                return d.one(["0.5", "1.0", "3.7", "-0.0", "1e308", "2.5", "0.1"])
            if r < 0.9:
                return d.number()
            return d.one(['"1"', "nil", "{}", "true", '"x"', "print"])
        step = d.one(["", "", ", 1", ", -1", ", 2", ", 0", ", 0.5", ", -0.25", ", 0.0", ", math.maxinteger", ", math.mininteger", ", 1/0", ', "1"', ", nil", ", {}"]) if d.often(0.8) else f", {limit()}"
        a, b = limit(), limit()
        body = d.one(["r[#r + 1] = show(i)", "r[#r + 1] = show(i) i = i + 1", "local f = function() return i end r[#r + 1] = show(f())"])
        n = d.randint(2, 6)
        if d.often(0.5):
            out.append(f"E(function() local r = {{}} for i = {a}, {b}{step} do {body} if #r > {n} then break end end return table.concat(r, ' ') end)")
        else:
            c = step[2:]
            names = "a, b, c"
            out.append(f"E(function({names}) local r = {{}} for i = a, b{', c' if c else ''} do {body} if #r > {n} then break end end return table.concat(r, ' ') end, {a}, {b}{step})")
    return "\n".join(out)


GENERATORS = {"arithmetic": arithmetic, "maths": maths, "conversions": conversions, "loops": loops}
