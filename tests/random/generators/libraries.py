"""The table library, os.time and os.date, load, select and varargs, debug on own functions."""


def tables(d):
    out = []
    def table():
        return d.one(["{}", "{1, 2, 3}", "{1, nil, 3}", "{n = 1}", "{'a', 'b', 'c', 'd'}", "{3, 1, 2}", "{1, 2, x = 3}", "{[1] = 1, [2] = 2, [4] = 4}", "{10, 20, 30, 40, 50, 60, 70, 80}",
                      "{1, {}, 3}", "{1, true}", "{'x', 1.5, 2}", "setmetatable({1, 2, 3}, {__len = function() return 5 end})", "setmetatable({}, {__len = function() return '3' end})",
                      "setmetatable({1, 2}, {__len = function() return 1.5 end})", "setmetatable({}, {__index = function(t, k) return k * 10 end, __len = function() return 3 end})",
                      "setmetatable({}, {__len = function() return math.maxinteger end})", "setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, tostring(v) .. '!') end})",
                      "setmetatable({'a', 'b'}, {__index = {nil, nil, 'c'}})", "'str'", "nil", "5", "print"])
    at = lambda: d.one(["1", "2", "3", "0", "-1", "4", "5", "9", "math.maxinteger", "math.mininteger", "1.0", "1.5", '"2"', "nil", "{}", "2^53"])
    small = lambda: d.one(["1", "2", "3", "0", "-1", "4", "5", "9", "1.0", "1.5", '"2"', "nil", "{}"])
    for _ in range(d.randint(10, 18)):
        r = d.random()
        t = table()
        if r < 0.15:
            args = d.one([f"{d.value()}", f"{at()}, {d.value()}", "", f"{at()}, 1, 2"])
            out.append(f"do local t = {t} E(function() return table.insert(t{', ' if args else ''}{args}) end) if type(t) == 'table' then T(t) end end")
        elif r < 0.3:
            out.append(f"do local t = {t} E(function() return table.remove(t{d.one(['', ', ' + at()])}) end) if type(t) == 'table' then T(t) end end")
        elif r < 0.42:
            t2 = d.one(["", ", {}", ", t", ", {7, 8}", ", nil", ", 5"])
            out.append(f"do local t = {t} E(function() local r = table.move(t, {at()}, {small()}, {at()}{t2}) T(r) end) end".replace("move(t, math.mininteger, ", "move(t, 3, "))
        elif r < 0.56:
            if "maxinteger" in t:
                t = "{1, 2}"
            args = d.one(["", ", ','", ", nil", ", 1", ", {}", f", '-', {small()}", f", '-', {small()}, {small()}", ", '', math.maxinteger, math.maxinteger", ", '', math.maxinteger"])
            out.append(f"E(function() return table.concat({t}{args}) end)")
        elif r < 0.7:
            args = d.one(["", f", {small()}", f", {small()}, {small()}", ", 1, 1e7", ", math.mininteger, math.maxinteger", ", math.maxinteger, math.maxinteger", ", 1, math.maxinteger", ", -2, 2", ", 0, math.maxinteger"])
            if "maxinteger" in t:
                t = "{1, 2}"
            out.append(f"E(function() return {d.one(['table.unpack', 'table.unpack', 'select(2, table.unpack'])}({t}{args}) end)".replace("select(2, table.unpack(", "select(2, table.unpack(").replace("select(2, table.unpack", "table.unpack"))
        elif r < 0.85:
            cmp = d.one(["", "", ", function(a, b) return a > b end", ", function(a, b) return true end", ", function(a, b) return tostring(a) < tostring(b) end", ", nil", ", 1", ", function() error('cmp', 0) end", ", function() return nil end", ", math.max"])
            if "maxinteger" in t or d.often(0.5):
                t = "{" + ", ".join(d.one([str(d.randint(0, 9)), d.float(), d.string(), str(d.randint(0, 99))]) if d.often(0.15) else str(d.randint(0, 20)) for _ in range(d.randint(0, 30))) + "}"
            out.append(f"do local t = {t} E(function() return table.sort(t{cmp}) end) if type(t) == 'table' then T(t) end end")
        elif r < 0.92:
            out.append(f"E(function() local t = table.pack({', '.join(d.value() for _ in range(d.randint(0, 3)))}) return t.n, #t >= 0 and t[1] end)")
        else:
            k = d.value()
            out.append(f"E(function() local t = {{}} t[{k}] = 1 return t[{k}], next(t), rawlen(t) end)")
    for _ in range(3):
        # the border of a sequence without holes is determined
        out.append(f"E(function() local t = {{{', '.join(str(i) for i in range(d.randint(0, 6)))}}} for i = 1, {d.randint(0, 20)} do t[#t + 1] = i end for i = 1, {d.randint(0, 5)} do t[#t] = nil end return #t, next(t, #t > 0 and #t or nil) end)")
        out.append(f"E(next, {d.one(['{}', '{1, 2, 3}', '{x = 1}', '{1}'])}, {d.one(['nil', '1', '2', '3', '4', '5', '0', '-1', chr(34) + 'x' + chr(34), chr(34) + 'y' + chr(34), '1.0', '2.5', 'true', '{}', '(0/0)', '100'])})")
        n = d.randint(0, 9)
        out.append(f"E(function() local t = {{}} for i = 1, {n} do t[i] = i end local function f() end return next(t, {d.randint(1, 20)}) end)")
    return "\n".join(out)


def dates(d):
    out = []
    def field(low, high):
        return d.one([str(d.randint(low, high)), str(d.randint(low, high)), str(d.randint(low - 50, high + 50)), '"5"', "1.0", "1.5", '"x"', "nil", "{}", "2^40", "math.maxinteger", "math.mininteger", "2147483647", "-2147483648"]
                     if d.often(0.4) else [str(d.randint(low, high))])
    for _ in range(d.randint(8, 14)):
        t = f"{{year = {field(1900, 2100)}, month = {field(1, 12)}, day = {field(1, 31)}"
        for name, low, high in (("hour", 0, 23), ("min", 0, 59), ("sec", 0, 60)):
            if d.often(0.5):
                t += f", {name} = {field(low, high)}"
        t += d.one(["", ", isdst = false", ", isdst = true", ", isdst = 1"]) + "}"
        r = d.random()
        if r < 0.45:
            out.append(f"E(function() local t = {t} local n = os.time(t) T(t) return n, os.date('!%Y-%m-%d %H:%M:%S', n) end)")
        else:
            when = d.one(["0", "1", "86399", "-1", "1e9", "2^31", "2^40", "-2^40", "951782400", str(d.randint(-10**10, 10**11)), str(d.randint(0, 2 * 10**9)), str(d.randint(0, 2 * 10**9)), '"100"', "1.5", "math.maxinteger", "math.mininteger", "{}", "2^60", "67768036191676799", "67768036191676800"])
            f = d.one(["!*t", "!%c", "!%x %X %p", "!%a %A %b %B", "!%d %H %I %j %m %M", "!%S %U %w %W %y %Y %%", "!%Ex %EX %Ec %Ey %EY %EC", "!%Od %Oe %OH %OI %Om %OM %OS %Ou %OU %OV %Ow %OW %Oy", "!%D %e %F %g %G %h %n %R %t %T %u %V %C %r",
                       "!%E", "!%Q", "!%O", "!%", "!%Ez", "!%z %Z", "!%s", "*t", "%c", "!", "", "!abc\\0def", "!%Y\\0%m", "!%5d", "!%k", "!%l", "!%P", "!%+", "!%i", "!%EY%Od%"])
            show = "T" if f.endswith("*t") else "P"
            out.append(f'E(function() {show}(os.date("{f}", {when})) end)')
    out.append("P(os.difftime(5, 3), os.difftime(1.5, 0))")
    return "\n".join(out)


def loading(d):
    out = []
    chunks = ["return 1", "return ...", "x = 1", "error('m')", "error('m', 2)", "local x = ", "return x", "return _ENV", "return x.y.z", "goto l", "syntax error here", "", "#!shebang", "return function() error('in') end", "\\27Lua", "return 1,", "local a <const> = 1; a = 2", "return debug.getinfo(1, 'S').short_src, debug.getinfo(1, 'S').source"]
    names = ["=name", "@file.lua", "code", "line one\\nline two", "=", "@", "", "=" + "x" * 70, "@" + "/dir" * 20 + "/f.lua", "y" * 70, "a b c d " * 12, "first\\rsecond", "return 1", "=a\\0b", "@a\\nb", "x" * 45, "x" * 44 + "\\n", "=" + "z" * 59, "=" + "z" * 60, "@" + "z" * 59, "@" + "z" * 60]
    for _ in range(d.randint(8, 14)):
        c = d.one(chunks)
        name = d.one(["nil", f'"{d.one(names)}"', f'"{d.one(names)}"', f'"{d.one(names)}"', "5", "{}"] if d.often(0.9) else ["true"])
        mode = d.one(["nil", '"t"', '"b"', '"bt"', '""', '"x"', '"tb"', "1"])
        env = d.one(["", "", ", {}", ", {x = 5}", ", nil", ", {error = error}", ", setmetatable({}, {__index = function(_, k) return k end})", ", 5", ", _ENV"])
        r = d.random()
        if r < 0.6:
            out.append(f'E(function() local f, m = load("{c}", {name}, {mode}{env}) if not f then return f, m end return pcall(f, 1, 2) end)')
        elif r < 0.8:
            pieces = d.one(["'return ', '1', nil", "'ret', 'urn 5'", "'', 'x'", "'return 1', 5", "'return ', {}", "nil", "'x = ', true", "'return \"', 'a', '\"'", "12, 13"])
            out.append(f"E(function() local i, t = 0, {{{pieces}}} local f, m = load(function() i = i + 1 return t[i] end, {name}, {mode}{env}) if not f then return f, m end return pcall(f) end)")
        elif r < 0.88:
            out.append(f"E(function() local f, m = load(function() error({d.one(['{}', chr(39) + 'reader' + chr(39), 'nil', '5'])}) end{d.one(['', ', ' + name])}) return f, m end)")
        elif r < 0.95:
            strip = d.one(["", ", true", ", false"])
            out.append(f"E(function() local up = 5 local function f(a) return a, {d.one(['1', 'up', 'x.y', 'error({})', 'nil + a', 'up.x'])} end local g = load(string.dump(f{strip}), {name}, {d.one(['nil', chr(34) + 'b' + chr(34), chr(34) + 't' + chr(34)])}{env}) return pcall(g, 3) end)")
        else:
            out.append(f"E(load{d.one(['', ', nil', ', {}', ', 5', ', print == nil', ', true'])})")
    return "\n".join(out)


def varargs(d):
    out = []
    for _ in range(d.randint(8, 14)):
        args = ", ".join(d.one(["1", "nil", "'x'", "false", "...", "table.unpack({1, nil, 3}, 1, 3)", "(...)"]) for _ in range(d.randint(0, 5)))
        n = d.one(["1", "2", "-1", "-2", "0", "'#'", "10", "-10", "1.0", "1.5", "'2'", "nil", "{}", "math.mininteger", "math.maxinteger"])
        sep = ", " if args else ""
        out.append(d.one([
            f"E(function(...) return select({n}{sep}{args}) end, 'p', 'q')",
            f"E(function(...) local a, b, c = {args or '...'} return c, b, a end, 7, 8, 9)",
            f"E(function(...) local t = {{{args}{sep}...}} return #t > 100, t[1], t[2], t[3], select('#', ...) end, 1)",
            f"E(function(a, ...) a = a or 0 return a, ... end{sep}{args.replace('...', '5')})",
            f"E(function(...) local function f(...) return ..., ... end return f({args}) end, 4, 5)",
            f"E(function(...) return (function(...) return select('#', ...) end)({args}{sep}...) end, nil, nil)",
            f"E(function(...) local a <const>, b = ... a2 = b return pcall(select, {n}{sep}{args}) end, nil, 3)",
            f"E(function(...) for i, v in ipairs {{{args}}} do P(i, v) end return (...), ... end)",
        ]))
    return "\n".join(out)


def coroutines(d):
    out = []
    def act(depth):
        r = d.random()
        if depth <= 0 or r < 0.3:
            return d.one(["r('y', coroutine.yield(1, 2))", "r(coroutine.yield())", "r(coroutine.isyieldable())", "r(coroutine.status(co))", "error('e')", "error({})", "error()", "local x = nil + 1", "return 'ret', 5",
                          "r(coroutine.resume(co))", "r(pcall(coroutine.close, co))", "r(select(2, coroutine.running()))", "r(pcall(coroutine.wrap(function() error('w') end)))", "r(pcall(coroutine.wrap(function() error({}) end)))", "coroutine.yield(...)", "return coroutine.yield('tail')", "r(coroutine.resume(coroutine.create(function() return coroutine.status(co) end)))"])
        if r < 0.42:
            return f"r(pcall(function(...) {act(depth - 1)} {act(depth - 1)} end, 'a'))".replace("return ", "do return ", 0)
        if r < 0.52:
            return f"r(xpcall(function(...) {act(depth - 1)} end, function(m) {d.one(['return show(m)', 'r(m) return m', 'error(1)', 'return coroutine.isyieldable()'])} end, 'a'))"
        if r < 0.62:
            return f"do local c <close> = setmetatable({{}}, {{__close = function(_, e) r('close', e) {d.one(['', act(depth - 1), 'coroutine.yield(3)', 'error(4, 0)'])} end}}) {act(depth - 1)} end"
        if r < 0.75:
            ev = d.one(["add", "index", "call", "lt", "eq", "concat", "len", "unm", "newindex", "le", "idiv"])
            use = {"add": "m + 1", "index": "m.x", "call": "m(1)", "lt": "m < m2", "eq": "m == m2", "concat": "m .. 'x'", "len": "#m", "unm": "-m", "newindex": "1; m.x = 1", "le": "m <= m2", "idiv": "3 // m"}[ev]
            return f"do local mt = {{__{ev} = function(...) {act(depth - 1)} end}} local m, m2 = setmetatable({{}}, mt), setmetatable({{}}, mt) local v = {use} r(v) end"
        if r < 0.85:
            return f"for i in function(s, c) {d.one(['', 'coroutine.yield(c)'])} if (c or 0) < 2 then return (c or 0) + 1 end end do {act(depth - 1)} end"
        if r < 0.93:
            return f"do local w = coroutine.wrap(function(...) {act(depth - 1)} end) r(pcall(w, 1)) r(pcall(w, 2)) end"
        return f"table.sort({{3, 1, 2}}, function(a, b) {act(0)} return a < b end)"
    def fix(s):
        return s.replace("return 'ret', 5", "do return 'ret', 5 end").replace("return coroutine.yield('tail')", "do return coroutine.yield('tail') end").replace("error()", "error() ")
    for _ in range(d.randint(3, 6)):
        body = fix(" ".join(act(2) for _ in range(d.randint(1, 3))))
        out.append("do local co local function r(...) P(...) end")
        out.append(f"co = coroutine.create(function(...) {body} end)")
        for _ in range(d.randint(1, 5)):
            out.append(d.one(["E(coroutine.resume, co, 'in', nil)", "E(coroutine.resume, co)", "E(coroutine.resume, co, 1, 2, 3)", "P(coroutine.status(co))", "E(coroutine.close, co)", "P((debug.traceback(co)))", "P((debug.traceback(co, 'msg')))", "P((debug.traceback(co, nil, 1)))", "P(coroutine.isyieldable(co))"]))
        out.append("P(coroutine.status(co)) end")
    out.append(f"E(coroutine.wrap(function(...) {fix(act(2)).replace('(co)', '(coroutine.running())')} end), 1)".replace("r(", "P(").replace("coroutine.resume(co))", "1)").replace("coroutine.close, co", "print"))
    return "\n".join(out)


GENERATORS = {"tables": tables, "dates": dates, "loading": loading, "varargs": varargs, "coroutines": coroutines}
