"""Programs of functions over a few variables and tables with metatables:
closures, varargs, loops, goto, coroutines, pcall, to-be-closed variables and
library calls with odd arguments. Each statement group runs in its own pcall and
prints its results and error messages; a count in `tick` ends runaway loops.
"""

PRELUDE = r'''
local ticks = 0
local function tick(n) ticks = ticks + 1 if ticks > (n or 3000) then error("too long", 0) end end
local function show(...)
  local out = {}
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    local k = math.type(v) or type(v)
    if k == "table" or k == "function" or k == "thread" or k == "userdata" then out[i] = k
    else out[i] = tostring(v) end
    if #out[i] > 200 then out[i] = #out[i] .. ":" .. out[i]:sub(1, 200) end
  end
  return table.concat(out, "|")
end
local log = {}
local MT = {}
MT.__index = function(t, k) tick() log[#log + 1] = "I" return rawget(t, 1) end
MT.__newindex = function(t, k, v) tick() log[#log + 1] = "N" rawset(t, k, v) end
MT.__add = function(a, b) return (type(a) == "table" and a[1] or a), (type(b) == "table" and b[1] or b) end
MT.__concat = function(a, b) return "<" .. type(a) .. type(b) .. ">" end
MT.__eq = function(a, b) log[#log + 1] = "E" return a[1] == b[1] end
MT.__lt = function(a, b) log[#log + 1] = "L" return show(a) < show(b) end
MT.__le = function(a, b) return coroutine.isyieldable() and coroutine.yield("le") or true end
MT.__len = function(t) return rawlen(t) + 1 end
MT.__call = function(self, ...) return select("#", ...), ... end
MT.__unm = function(a) return a end
MT.__close = function(o, e) log[#log + 1] = "C" .. tostring(o[1]) .. show(e) if o.bad then error(o.bad, 0) end end
MT.__tostring = function() return "OBJ" end
-- 5.4.4 makes wrong code of upvalue[a < b]
local function K(k) return k end
local function obj(v, bad) return setmetatable({v, bad = bad}, MT) end
'''

NUMBERS = ["0", "1", "-1", "2", "3", "7", "10", "0.5", "-0.0", "1e15", "2^53", "1e308", "1/0", "-1/0", "0/0",
           "math.maxinteger", "math.mininteger", "0x7fffffff", "3.0", "255", "-7", "64", "63"]
STRINGS = ['"a"', '"10"', '"0x10"', '"abc"', '""', '" 5 "', '"1e1"', '"x"', '"%d"', '"\\255z"', '"hello world"']
BINARY = ["+", "-", "*", "/", "//", "%", "^", "..", "<", "<=", ">", ">=", "==", "~=", "and", "or", "&", "|", "~", "<<", ">>"]
CALLS = [
    ("string.rep", "snS"), ("string.sub", "sii"), ("string.byte", "sii"), ("string.format", "Fvv"), ("#", "v"),
    ("string.find", "spi"), ("string.match", "sp"), ("string.gsub", "sps"), ("string.upper", "s"), ("string.reverse", "s"),
    ("math.floor", "n"), ("math.ceil", "n"), ("math.tointeger", "v"), ("math.type", "v"), ("math.abs", "n"),
    ("math.max", "nnn"), ("math.ult", "ii"), ("tostring", "v"), ("tonumber", "v"), ("tonumber", "si"), ("select", "ivv"),
    ("type", "v"), ("rawequal", "vv"), ("rawlen", "v"), ("rawget", "tv"), ("next", "t"), ("table.concat", "tsii"),
    ("table.unpack", "tkk"), ("table.insert", "tv"), ("table.insert", "tkv"), ("table.remove", "t"), ("table.remove", "tk"),
    ("table.move", "tkkk"), ("table.pack", "vv"), ("pcall", "fvv"), ("pcall", "vv"), ("select", "'#'vvv"), ("utf8.char", "k"), ("utf8.len", "sii"),
    ("utf8.codepoint", "sii"), ("utf8.offset", "sii"), ("string.pack", "Pv"), ("string.unpack", "Psi"), ("assert", "1v"), ("error", "vi"), ("getmetatable", "s"),
    ("setmetatable", "tv"), ("ipairs", "v"), ("math.sqrt", "n"), ("math.exp", "k"), ("string.len", "v"), ("string.char", "kk"),
]
PATTERNS = ['"a"', '"."', '"%d+"', '"(%w)(%w)"', '"^%s*"', '"()"', '"%"', '"[a-"', '"(a"', '"%f[%w]"', '"%b()"', '"l*"', '".-$"', '"[^%s]+"', '"%1"', '"(.)%1"']
FORMATS = ['"%d"', '"%5.2f"', '"%s"', '"%q"', '"%x"', '"%g"', '"%10s|"', '"%-5d|"', '"%c"', '"%i%%"', '"%a"', '"%.3s"', '"%e"', '"%u"', '"%"', '"%5.1q"', '"%+d % d"', '"%#x"', '"%.20g"', '"%.14g"']
PACKS = ['"i4"', '"b"', '"B"', '"<i8"', '">I2"', '"z"', '"s1"', '"d"', '"f"', '"i3"', '"j"', '"c3"', '"!4i1i4"', '"x"', '"i17"', '"n"', '"I16"']


class Program:
    def __init__(self, dice):
        self.r = dice
        self.functions = []
        self.lines = []
        self.n = 0

    def pick(self, items):
        return self.r.choice(items)

    def name(self, stem):
        self.n += 1
        return f"{stem}{self.n}"

    def argument(self, kind, names):
        r = self.r
        if r.random() < 0.08:
            kind = "v"
        if kind == "n":
            return self.pick(NUMBERS) if r.random() < 0.6 else self.expression(names, 1)
        if kind == "1":
            return self.pick(["1", "'a'", "nil, 'no'", "{}", "false, {}"])
        if kind == "S":
            return self.pick(['""', '","', "nil"])
        if kind == "i":
            return self.pick(["1", "2", "-1", "0", "3", "-3", "100", "nil", "math.maxinteger", "math.mininteger", "1.0", "1.5", '"2"'])
        if kind == "k":
            return self.pick(["1", "2", "0", "3", "5", "-1", "4", "8"])
        if kind == "s":
            return self.pick(STRINGS) if r.random() < 0.7 else self.expression(names, 1)
        if kind == "p":
            return self.pick(PATTERNS)
        if kind == "F":
            return self.pick(FORMATS)
        if kind == "P":
            return self.pick(PACKS)
        if kind == "t":
            return self.pick(["{}", "{1,2,3}", "{1,nil,3}", "{'a','b'}", "obj(5)", "{x=1}", "{1,2,3,4,5,6,7,8}"] + names)
        if kind == "f":
            return self.function_value(names, 1)
        return self.expression(names, 1)

    def call(self, names):
        function, kinds = self.pick(CALLS)
        if function == "#":
            return f"#{self.atom(names)}"
        if kinds.startswith("'#'"):
            arguments = ['"#"'] + [self.argument(k, names) for k in kinds[3:]]
        else:
            arguments = [self.argument(k, names) for k in kinds]
        if function == "string.rep":
            arguments[1] = self.pick(["0", "1", "3", "-1", "20", '"2"', "2.0", "1.5"])
        if self.r.random() < 0.15 and function not in ("assert", "string.pack"):
            arguments.pop()
        return f"{function}({', '.join(arguments)})"

    def atom(self, names):
        r = self.r.random()
        if r < 0.45 and names:
            return self.pick(names)
        if r < 0.7:
            return f"({self.pick(NUMBERS)})"
        if r < 0.85:
            return f"({self.pick(STRINGS)})"
        return self.pick(["nil", "true", "false", "({1,2,3})", "(obj(1))", "(obj('q'))", "({x=1})", "..."])

    def expression(self, names, depth):
        r = self.r.random()
        if depth <= 0 or r < 0.25:
            a = self.atom(names)
            return "(...)" if a == "..." else a
        if r < 0.6:
            return f"({self.expression(names, depth - 1)} {self.pick(BINARY)} {self.expression(names, depth - 1)})"
        if r < 0.67:
            return f"({self.pick(['-', 'not ', '#', '~'])}{self.expression(names, depth - 1)})"
        if r < 0.8:
            return self.call(names)
        if r < 0.86 and names:
            return f"{self.pick(names)}[K({self.expression(names, depth - 1)})]"
        if r < 0.9 and names:
            return f"{self.pick(names)}.{self.pick(['x', 'y', 'bad'])}"
        if r < 0.94 and self.functions:
            return f"{self.pick(self.functions)}({self.expression(names, depth - 1)}, {self.pick(['...', '1', 'nil'])})"
        if r < 0.97 and names:
            return f"{self.pick(names)}:{self.pick(['upper', 'rep', 'x', 'sub'])}({self.pick(['', '2', '1,2'])})"
        return self.function_value(names, depth - 1)

    def function_value(self, names, depth):
        a, b = self.name("p"), self.name("p")
        body = self.block(names + [a, b], depth, in_loop=False, top=False)
        return f"function({a}, {b}, ...) tick() {body} end"

    def block(self, names, depth, in_loop, top):
        names = list(names)
        out = []
        for _ in range(self.r.randint(1, 4)):
            out.append(self.statement(names, depth, in_loop))
        r = self.r.random()
        if r < 0.35:
            values = [self.expression(names, 1) for _ in range(self.r.randint(0, 3))]
            if self.r.random() < 0.2:
                values.append("...")
            out.append("do return " + ", ".join(values) + " end")
        elif r < 0.45:
            out.append(f"do return {self.call(names)} end")
        elif in_loop and r < 0.6:
            out.append("break")
        return " ".join(out)

    def statement(self, names, depth, in_loop):
        r = self.r.random()
        if r < 0.22 or not names:
            v = self.name("v")
            text = f"local {v} = {self.expression(names, 2)};"
            names.append(v)
            return text
        if r < 0.30:
            a, b = self.name("v"), self.name("v")
            text = f"local {a}, {b} = {self.pick(['...', self.call(names), self.expression(names, 1)])};"
            names += [a, b]
            return text
        if r < 0.40:
            return f"{self.pick(names)} = {self.expression(names, 2)};"
        if r < 0.46:
            return f"{self.pick(names)}[K({self.expression(names, 1)})] = {self.expression(names, 1)};"
        if r < 0.50:
            return f"log[#log+1] = show({self.expression(names, 2)}, {self.expression(names, 1)});"
        if depth <= 0:
            return f"{self.pick(names)}, {self.pick(names)} = {self.expression(names, 1)}, {self.expression(names, 1)};"
        if r < 0.57:
            return f"if {self.expression(names, 2)} then {self.block(names, depth - 1, in_loop, False)} else {self.block(names, depth - 1, in_loop, False)} end;"
        if r < 0.63:
            v = self.name("i")
            limits = self.pick(["1, 3", "3, 1, -1", "1, 0", "0.5, 2", "math.maxinteger - 1, math.maxinteger", "1, 10, 4", f"1, {self.atom(names) if names else 2}" if self.r.random() < 0.3 else "1, 5"])
            limits = limits.replace("...", "2")
            return f"for {v} = {limits} do tick() {self.block(names + [v], depth - 1, True, False)} end;"
        if r < 0.67:
            return f"while {self.expression(names, 1)} do tick(400) {self.block(names, depth - 1, True, False)} end;"
        if r < 0.70:
            v = self.name("r")
            return f"do local {v} = 0 repeat tick() {v} = {v} + 1 local z = {self.expression(names + [v], 1)} until {v} > 3 or z end;"
        if r < 0.74:
            k, v = self.name("k"), self.name("v")
            return f"for {k}, {v} in ipairs({self.pick(['{1,2,3}', 'obj(3)'] + names)}) do tick() {self.block(names + [k, v], depth - 1, True, False)} end;"
        if r < 0.79:
            v = self.name("c")
            bad = self.pick(["nil", "nil", "'bad'", "5"])
            return f"do local {v} <close> = obj({self.pick(NUMBERS)}, {bad}) {self.block(names + [], depth - 1, in_loop, False)} end;"
        if r < 0.83:
            return f"log[#log+1] = show(pcall({self.function_value(names, depth - 1)}, {self.expression(names, 1)}));"
        if r < 0.86:
            return f"log[#log+1] = show(xpcall({self.function_value(names, depth - 1)}, function(m) return show(m) .. '!' end, 1, 2));"
        if r < 0.93:
            c = self.name("co")
            body = self.block(names, depth - 1, False, False)
            y = self.expression(names, 1)
            close = self.pick(["", f"log[#log+1] = show(coroutine.close({c}))", f"log[#log+1] = coroutine.status({c})"])
            return (f"do local {c} = coroutine.create(function(...) tick() local q <close> = obj('co') local y1 = coroutine.yield({y}) {body} end) "
                    f"for j = 1, {self.pick(['1', '2', '3'])} do log[#log+1] = show(coroutine.resume({c}, j)) end {close} end;")
        if r < 0.96:
            w = self.name("w")
            return (f"do local {w} = coroutine.wrap({self.function_value(names, depth - 1)}) log[#log+1] = show(pcall({w}, 1)) "
                    f"log[#log+1] = show(pcall({w}, 2)) end;")
        l = self.name("L")
        v = self.name("g")
        return f"do local {v} = 0 ::{l}:: tick() {v} = {v} + 1 local up = {v} local function cap() up = up + 1 return up end log[#log+1] = cap() if {v} < 3 then goto {l} end end;"

    def text(self):
        lines = [PRELUDE]
        for _ in range(3):
            f = self.name("F")
            lines.append(f"local {f} = {self.function_value([], 2)}")
            self.functions.append(f)
        for _ in range(8):
            body = self.block([], 3, False, True)
            lines.append(f"ticks = 0 log = {{}} print(show(pcall(function(...) {body} end, 1, 'two', obj(3)))) print(table.concat(log, ';'))")
        return "\n".join(lines) + "\n"


GENERATORS = {"mixed": lambda d: Program(d).text()}
