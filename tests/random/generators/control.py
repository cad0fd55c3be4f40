"""Closures, goto, to-be-closed and constant variables, metamethods."""


def gotos(d):
    """Jumps within nested blocks and loops, closures over what they leave; a count ends what would not."""
    labels = []
    def block(depth, visible, in_loop):
        mine = [d.fresh("L") for _ in range(d.choices([0, 1, 2], [4, 4, 1])[0])]
        lines, here = [], visible + mine
        places = [d.randint(0, 4) for _ in mine]
        count = d.randint(2, 4)
        seen_local = False
        for i in range(count + 1):
            for m, p in zip(mine, places):
                if min(p, count) == i:
                    lines.append(f"::{m}:: t()")
            if i == count:
                break
            r = d.random()
            if r < 0.2 and here:
                lines.append(f"if {d.one(['n % 2 == 0', 'n % 3 == 1', 'n < 4', 'true', 'n > 6'])} then goto {d.one(here)} end")
            elif r < 0.26 and in_loop:
                lines.append(f"if n % {d.randint(2, 4)} == 0 then break end")
            elif r < 0.42 and depth:
                v = d.fresh("i")
                lines.append(f"for {v} = 1, {d.randint(1, 3)} do t('{v}', {v}) fs[#fs + 1] = function() {v} = {v} + 1 return {v} end {block(depth - 1, here, True)} end")
            elif r < 0.55 and depth:
                lines.append(f"do {block(depth - 1, here, in_loop)} end")
            elif r < 0.62 and depth:
                v = d.fresh("w")
                lines.append(f"do local {v} = 0 while {v} < 2 do {v} = {v} + 1 {block(depth - 1, here, True)} end end")
            elif r < 0.69 and depth:
                v = d.fresh("q")
                lines.append(f"do local {v} = 0 repeat {v} = {v} + 1 local u = {v} fs[#fs + 1] = function() u = u + 10 return u end {block(depth - 1, [], True)} until {v} > 1 or u > 5 end")
            elif r < 0.8:
                v = d.fresh("x")
                text = f"local {v} = n fs[#fs + 1] = function() {v} = {v} + 1 return {v} end"
                lines.append(text if d.often(0.3) else f"do {text} end")
            else:
                lines.append(f"t({d.randint(1, 99)})")
        return "\n".join(lines)
    out = ["local n, fs = 0, {}", "local function t(...) n = n + 1 if n > 60 then error('enough', 0) end P(n, ...) end"]
    for _ in range(2):
        body = block(3, [], False)
        # through a string: wrong jumps are syntax errors, which must agree too
        out.append("n, fs = 0, {}")
        out.append(f"E(function()\n{body}\nend)" if d.often(0.0) else f"do local f, m = load([==[local n, fs, t = ...\nlocal t0 = t t = function(...) n = n + 1 t0(...) end\n{body}]==], '=g') if f then E(f, n, fs, t) else P(m) end end")
        out.append("for i = 1, #fs do if i < 30 then P(i, fs[i](), fs[i]()) end end")
    return "\n".join(out)


def closures(d):
    out = []
    variables = ["a", "b", "c"]
    def expr(depth, names):
        r = d.random()
        if depth == 0 or r < 0.35:
            return d.one(names + ["1", "2", "'s'", "nil", "#log"])
        if r < 0.6:
            return f"({expr(depth - 1, names)} {d.one(['and', 'or', '==', '~='])} {expr(depth - 1, names)})"
        if r < 0.75:
            return f"num({expr(depth - 1, names)}) {d.one('+-*')} num({expr(depth - 1, names)})"
        if r < 0.9:
            p = d.fresh("p")
            return f"(function({p}, ...) {stat(depth - 1, names + [p])} return {expr(depth - 1, names + [p])} end)({expr(depth - 1, names)})"
        return f"({{{expr(depth - 1, names)}, {expr(depth - 1, names)}}})[{d.randint(1, 3)}]"
    def stat(depth, names):
        r = d.random()
        target = d.one(names)
        if r < 0.3 or depth == 0:
            return f"{target} = {expr(min(depth, 1), names)};"
        if r < 0.45:
            f = d.fresh("f")
            return f"local function {f}(x) {stat(depth - 1, names + ['x'])} return x end {target} = {f}({expr(depth - 1, names)}) {d.one(names)} = {f}(1);"
        if r < 0.6:
            i = d.fresh("i")
            return f"for {i} = {d.one(['1, 3', '3, 1, -1', '1, 2'])} do tick() keep[#keep + 1] = function() {i} = {i} + 1 {stat(depth - 1, names + [i])} return {i} end {stat(depth - 1, names + [i])} end"
        if r < 0.7:
            return f"{target}, {d.one(names)} = {expr(depth - 1, names)}, {expr(depth - 1, names)};"
        if r < 0.8:
            v = d.fresh("v")
            return f"do local {v}{d.one(['', '', ' <const>'])} = {expr(depth - 1, names)} keep[#keep + 1] = function() return {v}, {d.one(names)} end {stat(depth - 1, names)} end"
        if r < 0.9:
            return f"if {expr(depth - 1, names)} then {stat(depth - 1, names)} elseif {expr(depth - 1, names)} then {stat(depth - 1, names)} else {stat(depth - 1, names)} end"
        k = d.fresh("k")
        return f"do local {k} = 0 while {k} < 3 do {k} = {k} + 1 tick() {stat(depth - 1, names + [k])} if {expr(1, names)} then break end end end"
    out.append("local log, keep, ticks = {}, {}, 0 local function num(x) return tonumber(x) or 1 end local function tick() ticks = ticks + 1 if ticks > 2000 then error('enough', 0) end end")
    for _ in range(d.randint(2, 4)):
        out.append("keep = {}")
        body = "\n".join(stat(3, variables) for _ in range(d.randint(2, 4)))
        out.append(f"E(function(a, b, c)\n{body}\nkeep[#keep + 1] = function() a = num(a) + 1 return a, b, c end return a, b, c end, {d.value()}, 2, 'x')")
        out.append("for i = 1, #keep do if i < 20 then P(i, keep[i]()) end end")
        out.append("for i = 1, #keep do if i < 20 then P(i, keep[i]()) end end")
    return "\n".join(out)


def closing(d):
    out = ["local function c(n, e) return setmetatable({}, {__close = function(_, m) P('close', n, m) if e ~= nil then error(e, 0) end end}) end"]
    def value():
        return d.one([f"c({d.randint(1, 9)})", f"c({d.randint(1, 9)})", f"c({d.randint(1, 9)}, 'E{d.randint(1, 9)}')", "nil", "false", d.one(["5", "{}", "'x'", "setmetatable({}, {__close = 5})", "setmetatable({}, {__close = setmetatable({}, {__call = function(...) P('called', select('#', ...)) end})})"])] if d.often(0.7) else [f"c({d.randint(1, 9)})"])
    def body(depth, in_loop, may_break=True):
        lines = []
        for _ in range(d.randint(1, 3)):
            r = d.random()
            v = d.fresh("v")
            if r < 0.4:
                lines.append(f"local {v} <close> = {value()}")
            elif r < 0.55 and depth:
                # no break in it: 5.4.4 then closes the wrong variables
                lines.append(f"do {body(depth - 1, False)} end")
            elif r < 0.65 and depth:
                lines.append(f"for {v} = 1, 2 do {body(depth - 1, True)} end")
            elif r < 0.72 and depth:
                lines.append(f"for {v} in function(_, x) if not x then return 1 end end, nil, nil, {value()} do {body(depth - 1, True, False)} end")
            elif r < 0.8 and depth:
                lines.append(f"P(pcall(function() {body(depth - 1, False)} end))")
            elif r < 0.86 and depth:
                lines.append(f"do local w = coroutine.wrap(function() {body(depth - 1, False)} coroutine.yield(1) {body(depth - 1, False)} end) P(pcall(w)) P(pcall(w)) end")
            elif r < 0.9 and depth:
                lines.append(f"do local co = coroutine.create(function() {body(depth - 1, False)} coroutine.yield(1) end) P(coroutine.resume(co)) P(coroutine.close(co)) P(coroutine.status(co)) end")
            else:
                lines.append(f"P({d.randint(1, 99)})")
        r = d.random()
        if r < 0.15:
            lines.append("do return 1, 2, 3 end")
        elif r < 0.25:
            lines.append("do return P('tail') end")
        elif r < 0.35:
            lines.append(d.one(["error('x')", "error('y', 0)", "error({})", "error(nil)", "local q = nil + 1"]))
        elif r < 0.45 and in_loop:
            # nor out of a loop with a value to close and a variable to close
            if may_break or "<close>" not in " ".join(lines):
                lines.append("break")
        return " ".join(lines)
    for _ in range(d.randint(3, 6)):
        out.append(f"E(function(...) {body(3, False)} end, 1)")
    return "\n".join(out)


EVENTS = {"add": "a + b", "sub": "a - b", "mul": "a * b", "div": "a / b", "mod": "a % b", "pow": "a ^ b", "idiv": "a // b", "band": "a & b", "bor": "a | b", "bxor": "a ~ b", "shl": "a << b", "shr": "a >> b",
          "concat": "a .. b", "lt": "a < b", "le": "a <= b", "eq": "a == b", "unm": "-a", "bnot": "~a", "len": "#a", "index": "a.x", "newindex": "(function() a.y = b return rawget(a, 'y') end)()", "call": "a(b, 2)",
          "tostring": "tostring(a)", "name": "tostring(a):match('^[%w.]*')", "pairs": "select('#', pairs(a))", "metatable": "getmetatable(a)", "close": "(function() local x <close> = a return 1 end)()"}


def metamethods(d):
    out = []
    def handler(e):
        r = d.random()
        if r < 0.55:
            return f"function(...) P('{e}', ...) return {d.one(['1', 'nil', 'false', '...', chr(39) + 's' + chr(39), '1, 2', 'select(' + chr(39) + '#' + chr(39) + ', ...)', '{}'])} end"
        if r < 0.65:
            return f"function(...) error('{e}!', {d.one(['0', '1', '2'])}) end"
        if r < 0.75:
            return d.one(["5", "'str'", "{}", "true", "print == nil", "setmetatable({}, {__call = function(...) P('chain', ...) return 9 end})", "{x = 1, y = 2}", "setmetatable({}, {__index = function(_, k) return 'deep' .. tostring(k) end, __newindex = function(_, k, v) P('deepset', k, v) end})"])
        return f"function(a, b, ...) P('{e}', rawequal(a, b), ...) return b end"
    for _ in range(d.randint(3, 6)):
        chosen = d.sample(sorted(EVENTS), d.randint(2, 8))
        if "lt" in chosen and "le" not in chosen:
            # Debian builds its reference so that __lt also answers for __le
            chosen.append("le")
        fields = []
        for e in chosen:
            fields.append(f"__{e} = {d.one([chr(39) + 'My.Name' + chr(39), '5', handler(e)]) if e == 'name' else d.one([chr(39) + 'locked' + chr(39), 'false', '{}']) if e == 'metatable' else handler(e)}")
        out.append(f"do local mt = {{{', '.join(fields)}}}")
        out.append(f"local x, y = setmetatable({{}}, mt), setmetatable({{1}}, {d.one(['mt', 'mt', 'nil', '{__lt = function(...) P(2, ...) return 0 end, __le = print, __concat = function() return ' + chr(39) + 'yc' + chr(39) + ' end, __eq = function() return 1 end}'])})")
        for e in d.sample(sorted(EVENTS), 5) + chosen:
            a, b = d.one([("x", "y"), ("x", "x"), ("x", "y"), ("x", d.value()), (d.value(), "x"), ("y", "x"), ("x", d.one(["1", "'s'", "nil", "2.5"]))])
            if e in ("pairs", "tostring", "name", "metatable", "close", "newindex") and a not in "xy":
                a = "x"
            out.append(f"do local a, b = {a}, {b} E(function() return {EVENTS[e]} end) end")
        if d.often(0.3):
            out.append(f"E(function() return {d.one(['x.a.b', 'x.x.x', 'x:m()', 'x:m(1)', 'x[1]', 'x[nil]', 'x[x]', 'rawget(x, 1)', 'rawlen(x)', 'rawequal(x, y)', 'table.concat(x)', 'ipairs(x)', 'next(x)', 'setmetatable(x, nil)', 'setmetatable(x, {})', 'x .. 1 .. x', '1 .. 2 .. x', 'not x', 'x and 1', '#x + #y', 'string.rep(x, 2)', 'x ~= y', 'x > y', 'x >= y', 'math.max(x, y)', 'table.unpack(x)', 'select(2, pcall(x, x))', 'string.format(' + chr(39) + '%s' + chr(39) + ', x)'])} end)".replace("ipairs(x)", "select('#', ipairs(x))"))
        if d.often(0.3):
            out.append(f"E(function() x[{d.one(['1', 'nil', '(0/0)', 'x', '2.0', chr(39) + 'k' + chr(39)])}] = {d.one(['1', 'nil', 'y'])} return rawget(x, 1), rawget(x, 2), rawget(x, 'k') end)")
        out.append("end")
    if d.often(0.5):
        n = d.randint(1, 4)
        out.append(f"do local t = {{}} for i = 1, {n} do t = setmetatable({{[i] = i}}, {{__index = t, __newindex = {d.one(['t', 'function(_, k, v) P(k, v) end', 'nil'])}}}) end E(function() t.z = 5 return t[1], t[{n}], t[9], t.z, rawget(t, 'z') end) end")
    if d.often(0.2):
        out.append("do local t = setmetatable({}, {}) getmetatable(t).__index = t E(function() return t.x end) getmetatable(t).__newindex = t E(function() t.x = 1 end) end")
    return "\n".join(out)


GENERATORS = {"gotos": gotos, "closures": closures, "closing": closing, "metamethods": metamethods}
