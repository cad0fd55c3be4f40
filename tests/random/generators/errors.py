"""Error messages of operations on wrong types with the names and positions they give; levels; handlers; tracebacks; getinfo."""

WRONG = ["nil", "true", "{}", "'s'", "'10'", "1.5", "1", "print", "function() end", "setmetatable({}, {__name = 'My.Type'})", "2^63", "io.stdout", "(0/0)", "coroutine.create(print)"]
# what is broken, in each kind of place that a message can name
OPERATIONS = ["{} + 1", "1 + {}", "{} - {}", "{} .. 'x'", "'x' .. {}", "1 .. {} .. 2", "-{}", "#{}", "~{}", "{} & 1", "1 | {}", "{} << 2", "1 << {}", "{} // 0", "1 // {}", "{} % 0", "1 % {}", "{} < 1", "1 < {}", "{} <= {}", "'a' < {}", "{} > 2.5", "{}.x", "{}.x.y", "{}[1]", "{}[nil]", "({}).k", "{}()",
              "{}(1, 2)", "{}:m()", "{}.f()", "{}.f.g()", "{}:upper(1)", "{} ^ 2", "{} * 2", "2 * {}", "{} / {}", "{} ~ 3", "3 >> {}", "{} == 1", "not {}", "{}[{}]", "{} & 1.5", "1.5 | {}", "2^70 & {}", "{} + 'x'", "'x' * {}", "{} .. nil", "(nil) .. {}"]
STATEMENTS = ["{}.x = 1", "{}[1] = 2", "{}[nil] = 1", "{}.x.y = 1", "{}[(0/0)] = 1", "for i = {}, 2 do break end", "for i = 1, {} do break end", "for i = 1, 2, {} do break end", "for k in {} do break end", "for k in {}, 1 do break end", "{}.x, {}.y = 1, 2", "local a <close> = {}", "{}()", "{}.f()", "{}:m()", "local t = {{ [{}] = 1 }}",
              "local a, b = {}.x, 1", "if {} < 1 then end", "while {} > {} do break end", "return {}.q.r", "return ({})()", "return {}:m(1)", "return {}(...)"]


def context(d):
    """Statements to run first, and the expression that names the wrong value."""
    wrong = d.one(WRONG)
    r = d.random()
    name = d.one(["x", "value", "a_b", "_1", "self", "print2", "n"])
    if r < 0.22:
        return f"local {name} = {wrong}", name
    if r < 0.36:
        return f"local {name} = {wrong} return (function(...) ", name
    if r < 0.48:
        return f"{name} = {wrong}", name
    if r < 0.6:
        return f"local t = {{f = {wrong}, g = {{h = {wrong}}}}}", d.one(["t.f", "t.g.h", "t['f']", "t.g['h']"])
    if r < 0.68:
        return f"local t = {{ {wrong}, {wrong} }} local k, i = 'zz', 1", d.one(["t[1]", "t[2]", "t[k]", "t[i]", "t[3]", "t['a b']", "t['a\\0b']", "t[300]", "t[-1]", "t[1.5]", "t[true]"])
    if r < 0.74:
        return "local s = 'str'", d.one(["s", "s.nofield", "('lit')", "s.x"])
    if r < 0.8:
        return f"local t = {{f = {wrong}}} return (function() ", d.one(["t.f", "t.nope", "t[1]"])
    if r < 0.86:
        return f"local function f() return {wrong} end", d.one(["f()", "(f())", "f().x"])
    if r < 0.91:
        return "", d.one(["undefined", "math.nope", "string.nope", "_G.undefined", "_ENV.undefined", "debug.nope.x", "undefined.x", "(undefined)"])
    if r < 0.95:
        return f"local c <const> = {d.one(['1', chr(39) + 'k' + chr(39), 'nil', 'true', '1.5'])}", "c"
    return "", d.one(["(nil)", "(1)", "('x')", "({})", "(true)", "(...)", "(function() end)", "(1.5)", "(-1)", "('a' .. 'b')", "(not nil)", "(1 + 1)"])


def operations(d):
    out = []
    for _ in range(d.randint(12, 20)):
        before, name = context(d)
        after = "end)(1)" if before.endswith("(function(...) ") or before.endswith("(function() ") else ""
        if before.endswith("(function() "):
            after = "end)()"
        if d.often(0.6):
            op = d.one(OPERATIONS).replace("{}", name)
            shape = d.one(["return {}", "local r = {} return r", "return ({}), 1", "if {} then end", "return {{ {} }}", "return type({})", "local r r = {}", "g = {}"])
            body = shape.replace("{{", "{").replace("}}", "}").replace("{}", op, 1) if "{{" not in shape else "return { " + op + " }"
        else:
            body = d.one(STATEMENTS).replace("{{", "\1").replace("}}", "\2").replace("{}", name).replace("\1", "{").replace("\2", "}")
        out.append(f"E(function(...) {before} {body} {after} end, 1)")
    return "\n".join(out)


def positions(d):
    """Errors of expressions over several lines: the line that the message names."""
    out = []
    for _ in range(d.randint(8, 12)):
        before, name = context(d)
        after = "end)(1)" if before.endswith("(function(...) ") else "end)()" if before.endswith("(function() ") else ""
        op = d.one(OPERATIONS).replace("{}", name)
        tokens = op.replace("(", " ( ").replace(")", " ) ").split(" ")
        # a line may not begin with '(' of a call and end where a string would
        text = " ".join(tokens)
        words = text.split(" ")
        for i in range(len(words) - 1):
            if d.often(0.4) and "'" not in words[i] and not words[i + 1].startswith("("):
                words[i] += "\n"
        op = " ".join(words)
        shape = d.one(["return {}", "local r =\n{}\nreturn r", "f(\n1,\n{},\n2)", "local t = {\n1,\n{},\n}", "return 1 +\n({})", "local a, b = 1,\n{}", "if\n{}\nthen end", "g\n= {}", "return #(\n{}\n) .. 1", "local q = {}.x\n.y\n.z"])
        out.append(f"E(function(...) {before} {shape.replace('{}', op)} {after} end, 1)")
    return "\n".join(out)


def levels(d):
    out = []
    for _ in range(d.randint(8, 14)):
        value = d.one(["'m'", "'m'", "'m'", "nil", "{}", "5", "1.5", "true", "setmetatable({}, {__tostring = function() return 'TS' end})", ""])
        level = d.one(["", "", ", 0", ", 1", ", 2", ", 3", ", 4", ", -1", ", '2'", ", nil", ", {}", ", 1.5", ", 100"]) if value else ""
        depth = d.randint(0, 3)
        inner = d.one([f"error({value}{level})", f"error({value}{level})", "local x = nil + 1", "local x; x.y = 1", "assert(false)", "assert(nil, 'a')", "assert(false, {})", "assert()", "string.rep()", "('x'):bad()", "undefinedfunction()", "error()", "tostring()", "setmetatable(1, 2)", "string.rep('x', -1, 1, error('arg'))",
                       "string.gsub('x', 'x', function() error('cb') end)", "table.sort({2, 1}, function() error('cmp', 2) end)", "load('error(1)')()", "load('x.y.z = 1', '=c')()", "coroutine.wrap(function() error('co') end)()", "coroutine.wrap(function() error('co', 2) end)()", "select(-1)", "require('no.such.module.x')" if False else "ipairs()", "local t = setmetatable({}, {__index = function() error('idx', 2) end}) local q = t.x", "local t = setmetatable({}, {__add = function() error('add', 2) end}) local q = t + 1", "for i in error, 'it' do end"])
        text = f"local function f0() {inner} end"
        for i in range(depth):
            text += f" local function f{i + 1}(...) {d.one(['f{} () return 1', 'return f{} ()', 'local r = f{} () return r', 'return (f{} ())', 'return pcall(f{} )', 'return select(2, pcall(f{} ))', 'return error(select(2, pcall(f{} )), 2)']).replace('{} ', str(i))} end"
        catch = d.one([f"pcall(f{depth})", f"pcall(f{depth})", f"xpcall(f{depth}, function(m) return show(m) .. '!' end)", f"xpcall(f{depth}, function(m) error(m) end)", f"xpcall(f{depth}, print == nil)", f"xpcall(f{depth}, function(m) return m, 2 end)", f"xpcall(f{depth}, function(m) local q = nil .. m end)", f"xpcall(f{depth}, tostring)", f"xpcall(f{depth}, error)", f"xpcall(f{depth})", f"xpcall(f{depth}, 5)", f"xpcall(f{depth}, debug.traceback)" if d.often(0.5) else f"pcall(pcall, f{depth})", f"xpcall(xpcall, show, f{depth}, show)", f"coroutine.resume(coroutine.create(f{depth}))", f"coroutine.wrap(f{depth})()"])
        out.append(f"E(function() {text}\nreturn {catch} end)")
    return "\n".join(out)


def tracebacks(d):
    out = ["local TB = debug.traceback", "M = {} M.sub = {} local up local obj = setmetatable({}, {__index = function(t, k) return M.hook(k) end, __add = function() return M.hook() end, __call = function() return M.hook() end, __concat = function() return (M.hook()) end, __eq = function() return M.hook() end, __lt = function() return M.hook() end, __close = function() return M.hook() end, __tostring = function() M.hook() return 's' end, __unm = function() local r = M.hook() return r end, __len = function() return M.hook() end, __newindex = function() M.hook() end})"]
    for _ in range(d.randint(4, 7)):
        names = [d.fresh("f") for _ in range(d.randint(2, 6))]
        text = []
        what = d.one(["TB('msg')", "TB()", "TB('m', 1)", "TB('m', 2)", "TB('m', 0)", "TB(5)", "TB({}) and 'table'", "TB('a\\nb')", "TB(nil, 1)", "TB(1.5)", "TB(coroutine.running())", "TB('x', 50)"])
        text.append(f"M.hook = function() P(({what})) return 1 end")
        previous = "M.hook"
        for n in names:
            style = d.one(["local function {n}(...) {b} end", "function {n}(...) {b} end", "M.{n} = function(...) {b} end", "local {n} = function(...) {b} end", "function M.sub.{n}(...) {b} end", "function M:{n}(...) {b} end", "local u{n} u{n} = function(...) {b} end"])
            call = d.one([f"{previous}()", f"{previous}()", f"{previous}(1)"])
            body = d.one([f"{call} return 1", f"return {call}", f"local r = {call} return r", f"return ({call})", f"pcall({previous})", f"return select(1, {call})", f"string.gsub('a', 'a', {previous})", f"table.sort({{2, 1}}, function(a, b) {call} return a < b end)", f"for i in function() {call} end do end", f"coroutine.wrap({previous})()", f"load('local f = ... f() return 1', '=ld')({previous})", "local q = obj.x return q", "local q = obj + 1 return q", "local q = obj() return q", "local q = obj .. 1 return q", "local q = obj == setmetatable({}, getmetatable(obj)) return q",
                          "local q = obj < obj return q", "do local q <close> = obj end", "tostring(obj)", "local q = -obj", "local q = #obj", "obj.x = 1", f"xpcall({previous}, print)", f"for i = 1, 1 do {call} end", f"(function() {call} end)()", f"local t = {{ {call} }}", f"return {call}, 1", f"string.format('%s', obj)", f"require == {previous} or {call}"])
            text.append(style.replace("{n}", n).replace("{b}", body))
            previous = "u" + n if style.startswith("local u{n}") else "M.sub." + n if "M.sub" in style else "M:" + n if "M:" in style else "M." + n if "M." in style else n
            if previous.startswith("M:"):
                text.append(f"local function m{n}() M:{n}() end")
                previous = f"m{n}"
        deep = d.often(0.15)
        if deep:
            text.append(f"local function deep(n) if n == 0 then {previous}() else deep(n - 1) end return 1 end")
            previous = d.one(["function() deep(30) end", "function() deep(8) end", "function() deep(19) end"])
            text.append(f"E({previous})")
        else:
            text.append(f"E({previous})")
        out.append("do " + "\n".join(text) + " end")
    return "\n".join(out)


def debugging(d):
    out = ["local function info(f, w) local i = debug.getinfo(f, w) if not i then return 'none' end i.func = nil if i.activelines then local l = {} for k in pairs(i.activelines) do l[#l + 1] = k end table.sort(l) i.activelines = table.concat(l, ',') end T(i) end"]
    for _ in range(d.randint(5, 9)):
        params = d.one(["", "a", "a, b", "...", "a, ...", "a, b, c"])
        body = d.one(["return a", "local x = 1\nlocal y = x\nreturn y", "for i = 1, 2 do\nlocal z = i\nend", "return function() return a end", "if a then\nreturn 1\nelse\nreturn 2\nend", "local t = {\n1,\n2}\n\nreturn t", "while a do\na = nil\nend", "repeat local u = 1\nuntil u", "goto e\ndo local k end\n::e::", "\n\n", "for k, v in pairs({}) do\nP(k,\nv)\nend", "local a <const> = 1\nlocal b <close> = nil"])
        what = d.one(["'S'", "'Su'", "'L'", "'SLu'", "'u'", "'nSltuL'", "'r'", "'>S'", "'x'", "''", "nil", "'f'", "'t'", "'l'"])
        r = d.random()
        if r < 0.35:
            out.append(f"do local a\nlocal function f({params})\n{body}\nend E(info, f, {what}) end")
        elif r < 0.5:
            out.append(f"do local function f({params}) {d.one(['info(1, ' + what + ')', 'info(2, ' + chr(39) + 'nl' + chr(39) + ')', 'return info(1, ' + chr(39) + 'nt' + chr(39) + ')'])} end\nE(function() {d.one(['f()', 'return f()', 'local t = {m = f} t.m()', 'local t = {m = f} t:m()', 'pcall(f)', 'g2 = f g2()', 'for _ in f do end', 'setmetatable({}, {__index = f}).x = nil local q = setmetatable({}, {__index = f}).x', 'local q <close> = setmetatable({}, {__close = f})'])} end) end")
        elif r < 0.75:
            inner = d.one(["", "do local hidden = 1 end", "local x, y = 1, 2", "for i = 1, 1 do L1() end", "for k, v in pairs({1}) do L1() end", "local c <const> = 5 local q = 6", "do local s = 1 L1() end", "local function g() return a2 end"])
            out.append(f"do local function L1() local r, i = {{}}, 1 while true do local n, v = debug.getlocal(2, i) if not n then break end r[#r + 1] = n .. '=' .. show(v) i = i + 1 end i = -1 while true do local n, v = debug.getlocal(2, i) if not n then break end r[#r + 1] = n .. '=' .. show(v) i = i - 1 end P(table.concat(r, ' ')) end E(function({d.one(['a', '...', 'a, ...', 'a, b'])}) {inner} L1() return nil end, 1, 2, 3) end")
        elif r < 0.85:
            out.append(f"E(function() local a, b = 1, 'x' local function f() return {d.one(['a', 'a, b', 'b, a', 'P(a)', '1'])} end local r = {{}} for i = 1, 4 do r[i] = show(debug.getupvalue(f, i)) end P(table.concat(r, ' ')) return debug.setupvalue(f, {d.one(['1', '2', '0', '3', '-1'])}, 'new'), f() end)")
        elif r < 0.93:
            out.append(f"E(function() local r = {{}} debug.sethook(function(e, l) r[#r + 1] = e:sub(1, 1) .. tostring(l) end, '{d.one(['l', 'c', 'r', 'cr', 'lcr'])}') local x = 1\nlocal y = math.abs(x)\nfor i = 1, 2 do\nx = i\nend\nlocal function f()\nreturn 1 end f()\nif x then\ny = 2 end debug.sethook() P(table.concat(r, ' ')) end)")
        else:
            out.append(f"E(debug.getinfo, {d.one(['print', '1', '50', '-1', 'nil', '{}', chr(39) + 'x' + chr(39), '1.5', 'E'])}{d.one(['', ', ' + what])})".replace("E(debug.getinfo,", "E(function(...) return type((debug.getinfo(...))) end,"))
    return "\n".join(out)


def whole(d):
    """A program of its own process: how it ends, what it writes to both outputs."""
    out = ["--process", "print('start', select('#', ...), #arg)"]
    for _ in range(d.randint(0, 2)):
        out.append(d.one(["io.write('no newline')", "local t = setmetatable({}, {__close = function() print('closed') end})", "io.stderr:write('to stderr\\n')", "warn('@on')", "warn('w', '1')", "local c <close> = setmetatable({}, {__close = function(_, e) print('close', type(e)) end})", "kept = setmetatable({}, {__gc = function() print('gc at exit') end})", "print(pcall(error, {}) )"]))
    names = [d.fresh("f") for _ in range(d.randint(1, 4))]
    previous = None
    for n in names:
        last = d.one(["error('boom')", "error('boom', 0)", "error('boom', 2)", "error({code = 2})", "error(setmetatable({}, {__tostring = function() return 'custom' end}))", "error(setmetatable({}, {__tostring = function() return 5 end}))", "error()", "error(42)", "error(1.5)", "error(true)", "local x = nil + 1", "local t = {} t.a.b = 1", "undefinedf()", "string.rep()", "os.exit(3)", "os.exit(true)", "os.exit(false)", "os.exit(0, true)", "('x'):nope()",
                      "assert(false, 'as')", "coroutine.wrap(function() error('in co') end)()", "coroutine.yield(1)", "error('n\\nl')", "load('x x')()", "assert(load('x x'))", "require('no such module')" if False else "goto_()", "setmetatable({}, {__index = function() error('meta') end}).x()", "table.sort({3, 2, 1}, function() error('cmp') end)", "for i = 1, 'x' do end", "return 1", "return false", "debug.traceback(1)", "error(coroutine.create(print))" if False else "error('z', 3)"])
        body = last if previous is None else d.one([f"{previous}()", f"return {previous}()", f"local r = {previous}() return r", f"pcall({previous}) error('after')", f"string.gsub('x', 'x', {previous})", f"coroutine.wrap({previous})()", f"({previous})(1, 2)", f"table.sort({{2, 1}}, {previous})"])
        style = d.one(["local function {n}()\n  {b}\nend", "function {n}()\n  {b}\nend", "local {n} = function() {b} end", "M = M or {} function M.{n}() {b} end"])
        out.append(style.replace("{n}", n).replace("{b}", body))
        previous = "M." + n if "M." in style else n
    out.append(f"{previous}()" if d.often(0.9) else f"return {previous}()")
    return "\n".join(out)


GENERATORS = {"operations": operations, "positions": positions, "levels": levels, "tracebacks": tracebacks, "debugging": debugging, "whole": whole}
