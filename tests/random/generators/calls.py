"""Library functions called with odd arguments, as functions, methods and fields."""
FUNCTIONS = {
    "string": "byte char find format gmatch gsub len lower match rep reverse sub upper pack packsize unpack dump".split(),
    "table": "concat insert move pack remove sort unpack".split(),
    "math": "abs ceil floor fmod log max min modf sqrt tointeger type ult deg exp".split(),
    "utf8": "char codepoint len offset codes".split(),
    "coroutine": "create wrap resume status close isyieldable yield running".split(),
    "os": "time date difftime getenv setlocale".split(),
    "debug": "getinfo getlocal getupvalue setupvalue upvalueid upvaluejoin getmetatable setmetatable getuservalue setuservalue traceback sethook setlocal".split(),
    "io": "type open lines close read write".split(),
    "": "assert error getmetatable ipairs pairs next pcall xpcall rawequal rawget rawlen rawset select setmetatable tonumber tostring type load loadfile dofile require collectgarbage".split(),
}
# these would read, write or wait
EXCLUDED = {("io", "read"), ("io", "write"), ("io", "close"), ("io", "lines"), ("", "dofile"), ("", "loadfile"), ("debug", "sethook")}
PLACES = [(l, f) for l, fs in FUNCTIONS.items() for f in fs if (l, f) not in EXCLUDED]


def argument(d):
    r = d.random()
    if r < 0.25:
        return d.one(["1", "0", "-1", "2", "3", "1.5", "2^53", "2^70", "math.huge", "math.maxinteger", "(0/0)", "3.0"])
    if r < 0.45:
        return d.one(['"abc"', '"10"', '""', '"x"', '"%d"', '"k"', '"n"', '"i4"', '"0x10"', '"1e1"', '"collect"'])
    if r < 0.6:
        return d.one(["{}", "{1, 2, 3}", "{'a', 'b'}", "setmetatable({}, {__name = 'My.Type'})", "setmetatable({}, {__name = 5})", "setmetatable({}, {__metatable = 'locked'})",
                      "setmetatable({}, {__tostring = function() return 'TS' end})", "setmetatable({}, {__index = function(t, k) return k end})"])
    if r < 0.75:
        return d.one(["nil", "true", "false"])
    return d.one(["print", "function(...) return ... end", "coroutine.create(print)", "io.stdout", "function() error('E', 0) end"])


def odd(d):
    out = []
    for _ in range(d.randint(14, 24)):
        lib, f = d.one(PLACES)
        name = f"{lib}.{f}" if lib else f
        args = [argument(d) for _ in range(d.choices([0, 1, 2, 3, 4], [3, 6, 6, 4, 1])[0])]
        if f == "rep" and len(args) > 1:
            args[1] = d.one(["3", "'2'", "nil", "{}", "1.5"])
        if f == "collectgarbage":
            args = [d.one(["'foo'", "{}", "1", "true", "'step', {}", "'incremental', 'x'"])]
        if f in ("time", "date") and (not args or args[0] in ("nil",)):
            args = [d.one(["{}", "'%Q'", "'*t', 'x'", "{year = 2020}", "1", "'!%c', 0"])]
        if f == "running" or f == "getenv" and not args:
            args = ["'NO_SUCH_VARIABLE_HERE'"]
        if f == "unpack" and lib == "table":
            args = args[:1] + [d.one(["1", "0", "3", "'2'", "nil", "{}", "1.5", "-1"]) for _ in args[1:]]
        if f == "move":
            args = [d.one(["1", "0", "3", "'2'", "2", "1.5"]) if a[0] in "123m(0-" else a for a in args]
        if f == "concat" and len(args) > 2:
            args[2:] = [d.one(["1", "0", "3", "'2'", "nil", "{}", "1.5", "-1"]) for _ in args[2:]]
        if f in ("setmetatable", "getmetatable") and lib == "debug" or f == "sethook":
            # would change the metatables of types for the programs that follow
            args = args[:1] if f == "setmetatable" else args
        joined = ", ".join(args)
        wrap = "tostring" if f in ("upvalueid", "getinfo", "running", "getlocal") else ""
        call = f"{name}({joined})"
        if f in ("getinfo", "upvalueid", "getregistry"):
            call = f"type({call})"
        elif f == "traceback":
            call = f"(tostring({call}):gsub('\\n.*', ''))"
        elif f == "getlocal":
            # frames of functions that are not Lua's have temporaries of their own
            args = [d.one(["print", "1", "'x'", "50", "-1", "nil", "{}"]), d.one(["1", "2", "'x'", "nil"])]
            if args == ["1", "2"]:
                # links of calls are among the temporaries
                args[1] = "1"
            call = f"{name}({', '.join(args)})" if args[0] != "1" else f"type({name}({', '.join(args)}))"
        elif f == "dump":
            call = f"#{call} > 0"
        elif f == "require":
            # the places searched differ between builds
            out.append(f"E(function() return (tostring(select(2, pcall({', '.join([name] + args)}))):gsub('\\n.*', '')) end)")
            continue
        r = d.random()
        if r < 0.45:
            out.append(f"E(function() return {call} end)")
        elif r < 0.55 and f not in ("yield", "upvalueid", "getinfo", "running", "dump", "require", "traceback", "getlocal"):
            out.append(f"E({name}{', ' if joined else ''}{joined})")
        elif r < 0.65:
            out.append(f"do local f = {name} E(function() return type((f({joined}))) end) end")
        elif r < 0.72:
            out.append(f"do local t = {{m = {name}}} E(function() return type((t.m({joined}))) end) end")
        elif r < 0.82 and lib == "string":
            out.append(f"E(function() local s = 'abc' return type((s:{f}({', '.join(args[1:])}))) end)")
        elif r < 0.88:
            out.append(f"do local t = {{m = {name}}} E(function() return type((t:m({joined}))) end) end")
        elif r < 0.92:
            out.append(f"g = {name} E(function() return type((g({joined}))) end)")
        elif r < 0.96:
            out.append(f"E(function() local t <close> = setmetatable({{}}, {{__close = function() end}}) return {call} end)")
        else:
            out.append(f"E(function() return {call}, nil end)")
    return "\n".join(out)


def file_methods(d):
    """Errors of file handles; nothing is written."""
    out = []
    for _ in range(d.randint(8, 14)):
        m = d.one(["read", "write", "seek", "setvbuf", "lines", "close", "flush", "nothing"])
        arg = d.one(["", "1", "'x'", "{}", "nil", "'set', 'x'", "'set', 1.5", "'end', 0", "'*z'", "'nn'", "true", "0", "'full', 1.5", "'no'", "print"])
        if m in ("close", "write", "flush"):
            arg = d.one(["{}", "nil", "print", "true"]) if m == "write" else arg
        f = d.one(["io.tmpfile()", "io.tmpfile()", "(function() local f = io.tmpfile() f:close() return f end)()"])
        out.append(f"E(function() local f = {f} return type((f:{m}({arg}))) end)")
    out.append("P(io.type(io.stdout), io.type(1), io.type({}))")
    for _ in range(3):
        out.append(f"E(function() return io.{d.one(['open', 'lines', 'input', 'output'])}({d.one(['nil', '{}', chr(39) + '/no/such/file' + chr(39), 'print', chr(39) + '/no/such' + chr(39) + ', ' + chr(39) + 'q' + chr(39)])}) end)"
                   .replace("io.input(nil)", "io.input({})").replace("io.output(nil)", "io.output({})").replace("io.lines(nil)", "io.lines({})"))
    return "\n".join(out)


GENERATORS = {"arguments": odd, "files": file_methods}
