//! Random programs over the language and the whole library, with hostile choices.
//!
//! They are correct Lua for the most part; what they do with it is not sensible.

use std::fmt::Write as _;

use crate::data::Data;

/// Deepest nesting of expressions and of blocks.
const DEPTH: usize = 4;

/// Values that often find what is not checked.
const VALUES: [&str; 56] = [
    "nil",
    "1",
    "true",
    "false",
    "0",
    "-1",
    "2",
    "3",
    "10",
    "0.5",
    "-0.0",
    "1/0",
    "-1/0",
    "0/0",
    "math.maxinteger",
    "math.mininteger",
    "2^53",
    "2^63",
    "-2^63",
    "1e308",
    "255",
    "256",
    "65536",
    "1 << 31",
    "1 << 40",
    "\"\"",
    "\"a\"",
    "\"abc\"",
    "\"10\"",
    "\"0x10\"",
    "\" 5 \"",
    "\"1e1\"",
    "\"\\0\"",
    "\"\\xff\\xfe\"",
    "\"%d\"",
    "\"n\"",
    "\"k\"",
    "(\"x\"):rep(100)",
    "{}",
    "{1, 2, 3}",
    "{n = 1, 2, nil, 4}",
    "t",
    "u",
    "m",
    "print",
    "f",
    "g",
    "co",
    "string",
    "_G",
    "_ENV",
    "function(...) return ... end",
    "setmetatable({}, m)",
    "coroutine.running()",
    "io",
    "math.huge",
];

const VARIABLES: [&str; 14] = [
    "a",
    "b",
    "c",
    "t",
    "u",
    "m",
    "f",
    "g",
    "co",
    "t[1]",
    "t.x",
    "u[a]",
    "m.__index",
    "_G.z",
];

const BINARY: [&str; 23] = [
    "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or", "&",
    "|", "~", "<<", ">>", "..", "+",
];

/// Functions of the libraries; each is called with anything.
const LIBRARY: [&str; 119] = [
    "assert",
    "collectgarbage",
    "error",
    "getmetatable",
    "ipairs",
    "load",
    "next",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "warn",
    "xpcall",
    "require",
    "coroutine.close",
    "coroutine.create",
    "coroutine.isyieldable",
    "coroutine.resume",
    "coroutine.running",
    "coroutine.status",
    "coroutine.wrap",
    "coroutine.yield",
    "string.byte",
    "string.char",
    "string.dump",
    "string.find",
    "string.format",
    "string.gmatch",
    "string.gsub",
    "string.len",
    "string.lower",
    "string.match",
    "string.pack",
    "string.packsize",
    "string.rep",
    "string.reverse",
    "string.sub",
    "string.unpack",
    "string.upper",
    "table.concat",
    "table.insert",
    "table.move",
    "table.pack",
    "table.remove",
    "table.sort",
    "table.unpack",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.fmod",
    "math.log",
    "math.max",
    "math.min",
    "math.modf",
    "math.random",
    "math.randomseed",
    "math.tointeger",
    "math.type",
    "math.ult",
    "math.sqrt",
    "math.sin",
    "math.exp",
    "utf8.char",
    "utf8.codepoint",
    "utf8.codes",
    "utf8.len",
    "utf8.offset",
    "os.clock",
    "os.date",
    "os.difftime",
    "os.getenv",
    "os.time",
    "os.setlocale",
    "io.type",
    "debug.gethook",
    "debug.getinfo",
    "debug.getlocal",
    "debug.getmetatable",
    "debug.getregistry",
    "debug.getupvalue",
    "debug.getuservalue",
    "debug.sethook",
    "debug.setlocal",
    "debug.setmetatable",
    "debug.setupvalue",
    "debug.setuservalue",
    "debug.traceback",
    "debug.upvalueid",
    "debug.upvaluejoin",
    "debug.setcstacklimit",
    "package.searchpath",
    "package.loadlib",
    "hot.swap",
    "hot.swapstring",
    "hot.rollback",
    "hot.version",
    "hot.versions",
    "hot.frames",
    "hot.history",
    "hot.stats",
    "t.x",
    "m.__call",
    "f",
    "g",
    "co",
    "getmetatable(\"\").__index.rep",
    "string.format",
    "table.concat",
    "table.sort",
    "string.pack",
    "string.unpack",
];

const EVENTS: [&str; 29] = [
    "__index",
    "__newindex",
    "__call",
    "__gc",
    "__close",
    "__eq",
    "__lt",
    "__le",
    "__concat",
    "__len",
    "__unm",
    "__bnot",
    "__add",
    "__sub",
    "__mul",
    "__div",
    "__mod",
    "__pow",
    "__idiv",
    "__band",
    "__bor",
    "__bxor",
    "__shl",
    "__shr",
    "__tostring",
    "__name",
    "__pairs",
    "__metatable",
    "__mode",
];

const PATTERNS: [&str; 24] = [
    "%a+",
    "(.-)%s",
    "[",
    "[^]",
    "[]]",
    "[a-",
    "%",
    "%b()",
    "%bx",
    "%f[%w]",
    "%f",
    "()",
    "(()",
    "%1",
    "(.)%1",
    ".-.-.-.-x",
    "a*",
    "^",
    "$",
    "[%a-z]",
    "%g*",
    "\0+",
    "((((((((.))))))))",
    "[%",
];

const FORMATS: [&str; 30] = [
    "%d", "%5.2f", "%s", "%q", "%x", "%c", "%a", "%g", "%i", "%o", "%u", "%p", "%e", "%%", "%",
    "%99d", "%100d", "%.99f", "%.100f", "%-+ #0d", "%5", "%y", "%#x", "%+s", "%.3q", "%10.4s",
    "%-99.99s", "%.0f", "% d", "%s%s%s",
];

const PACKS: [&str; 22] = [
    "i4",
    "<i16",
    ">I3",
    "i17",
    "i0",
    "s4",
    "s",
    "z",
    "!8d",
    "!16i16",
    "Xi4",
    "X",
    "c10",
    "c",
    "c99999999999",
    "b",
    "B",
    "hHlLjJT",
    "fdn",
    " ",
    "!17",
    "<>=!",
];

/// Whole idioms; `$e`, `$v`, `$b`, `$f` stand for an expression, a variable, a
/// block and a function.
const IDIOMS: [&str; 62] = [
    "$v = setmetatable({}, {__gc = function(o) $b end})",
    "$v = setmetatable({}, {__gc = function(o) setmetatable(o, getmetatable(o)) u = o end}) collectgarbage()",
    "$v = setmetatable({$e}, {__mode = 'k'}) $v[{}] = $e collectgarbage('step')",
    "$v = setmetatable({}, {__mode = 'kv', __index = $e})",
    "co = coroutine.wrap(function(...) $b coroutine.yield($e) $b return $e end)",
    "co = coroutine.create(function(...) local x <close> = setmetatable({}, {__close = function() $b end}) coroutine.yield($e) end) pcall(coroutine.resume, co) coroutine.close(co)",
    "pcall(coroutine.wrap(pcall), function() $b end)",
    "local w = coroutine.wrap(function() return pcall(function() coroutine.yield(1) $b error($e) end) end) w() pcall(w)",
    "pcall(coroutine.wrap(function() $b end))",
    "pcall(table.sort, {3, 1, 2, $e, 5}, function(x, y) $b return $e end)",
    "pcall(table.sort, {5, 4, 3, 2, 1, 9, 8, 7, 6, 0}, function() return true end)",
    "string.gsub(('abc'):rep(3), '.', function(s) $b return $e end)",
    "for w in string.gmatch('one two', '%a+') do $b end",
    "local x <close> = setmetatable({}, {__close = function(_, e) $b end}) $b",
    "do local x <close> = setmetatable({}, {__close = function(_, e) error($e) end}) $b end",
    "for i = $e, $e, $e do $b if i == 3 then break end end",
    "for i = 1, 3 do local j = i $v = function() j = j + 1 return j, i end $b end",
    "for k, x in pairs(t) do $b t[k] = nil end",
    "for k, x in next, {1, 2, x = 3} do $b end",
    "for k in $e do $b break end",
    "for i, x in ipairs($e) do $b break end",
    "local i = 0 while i < 5 do i = i + 1 $b if $e then break end end",
    "local i = 0 repeat local x = i i = i + 1 $v = function() return x end until i > 3",
    "do local i = 0 ::top:: i = i + 1 local x = i $v = function() x = x + 1 return x end if i < 4 then goto top end end",
    "debug.sethook(function(e, l) $b end, $e, 3)",
    "debug.sethook(function(e) debug.sethook() $b end, 'crl')",
    "debug.sethook()",
    "debug.sethook(co, function() $b end, 'l')",
    "pcall(debug.setlocal, 1, 1, $e)",
    "for i = 1, 20 do pcall(debug.setlocal, $e, i, {}) end",
    "for i = 1, 20 do local n, x = debug.getlocal(1, i) if n then pcall(debug.setlocal, 1, i, $e) end end",
    "for i = -3, 12 do pcall(debug.getlocal, 1, i) pcall(debug.setlocal, 2, i, $e) end",
    "pcall(debug.upvaluejoin, f, 1, g, 1)",
    "pcall(debug.setupvalue, f, 1, $e)",
    "pcall(debug.setmetatable, $e, {__index = $e, __call = $f, __eq = $f})",
    "debug.setmetatable(nil, {__index = function() return $e end})",
    "debug.setmetatable(1, {__index = math, __call = $f})",
    "debug.setmetatable(print, {__index = $e, __concat = $f})",
    "getmetatable('').__add = $f",
    "pcall(debug.traceback, co, $e, $e)",
    "pcall(debug.getinfo, 1, 'nSltufrL')",
    "local d = string.dump($f, $e) $v = load(d, 'd', 'b', $e)",
    "local d = string.dump(f) local x = d:sub(1, -5) pcall(load, x)",
    "$v = load('local a, b = ... return a, function() return b end', '=l', 't', $e)",
    "$v = load(function() return nil end)",
    "do local n = 0 $v = load(function() n = n + 1 return n < 4 and 'return ' .. n .. ' or ' or nil end) end",
    "collectgarbage($e)",
    "collectgarbage('step', $e) collectgarbage('incremental', $e, $e, $e)",
    "collectgarbage('generational') $b collectgarbage('stop') $b collectgarbage('restart')",
    "pcall(string.rep, $e, $e, $e)",
    "xpcall(function() $b error($e) end, function(e) $b return $e end)",
    "xpcall(function() error($e) end, error)",
    "local function r(n) if n > 0 then return r(n - 1) end $b end r(20)",
    "local function r() return 1 + r() end pcall(r)",
    "m.__index = function(o, k) return o[k] end pcall(function() return setmetatable({}, m).x end)",
    "local o = setmetatable({}, m) o = o .. $e",
    "t[#t + 1] = $e table.insert(t, $e) table.remove(t)",
    "pcall(table.move, $e, $e, $e, $e, t) ",
    "pcall(table.concat, {1, 2, $e}, $e, $e, $e)",
    "pcall(table.unpack, {}, $e, $e)",
    "pcall(hot.swapstring, 'fuzz.lua', 'local a = 1 function f() return ' .. tostring($e) .. ' end')",
    "function f(...) local x, y = ... $b return ..., $e end",
];

struct Writer<'d, 'b> {
    data: &'d mut Data<'b>,
    out: String,
    depth: usize,
}

/// A program; a few to some thousand bytes.
pub(crate) fn program(data: &mut Data<'_>) -> String {
    let mut writer = Writer {
        data,
        out: String::new(),
        depth: 0,
    };
    writer.out.push_str(
        "local a, b, c, t, u, m, f, g, co = 1, 'b', 2.5, {1, 2, 3}, {}, {}\n\
         hot = require 'moonswap'\n\
         function f(...) return ... end\n\
         function g(x) local y = x return function() y = a return y, b end end\n\
         co = coroutine.create(function(...) while true do coroutine.yield(...) end end)\n",
    );
    let mut n = 0;
    while n < 40 && writer.out.len() < 6000 && (n == 0 || !writer.data.is_done()) {
        writer.statement();
        writer.out.push('\n');
        n += 1;
    }
    writer.out
}

impl Writer<'_, '_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn statement(&mut self) {
        if self.depth >= DEPTH || self.out.len() > 8000 {
            self.put(";");
            return;
        }
        self.depth += 1;
        match self.data.below(20) {
            0..=8 => {
                let idiom = IDIOMS[self.data.below(IDIOMS.len())];
                self.template(idiom);
            }
            9..=13 => self.put_call_statement(),
            14..=15 => self.template("$v = $e"),
            16 => self.template("local a, b = $e, $e"),
            17 => self.template("if $e then $b else $b end"),
            18 => {
                let event = self.data.pick(&EVENTS);
                self.put("m.");
                self.put(event);
                if self.data.chance(4) {
                    self.template(" = $e");
                } else {
                    self.template(" = $f");
                }
                self.put(" pcall(setmetatable, t, m)");
            }
            _ => self.template("function m.x(...) $b return $e end"),
        }
        self.put(" ");
        self.depth -= 1;
    }

    /// Calls go through `pcall` more often than not, so that programs go on.
    fn put_call_statement(&mut self) {
        if self.data.chance(5) {
            self.put("local _ = ");
            self.call();
        } else {
            self.put("pcall(");
            let function = self.data.pick(&LIBRARY);
            self.put(function);
            let n = self.data.below(5);
            for _ in 0..n {
                self.put(", ");
                self.argument(function);
            }
            self.put(")");
        }
    }

    fn call(&mut self) {
        let function = self.data.pick(&LIBRARY);
        self.put(function);
        self.put("(");
        let n = self.data.below(5);
        for i in 0..n {
            if i > 0 {
                self.put(", ");
            }
            self.argument(function);
        }
        self.put(")");
    }

    fn argument(&mut self, function: &str) {
        let quoted: Option<&[&str]> = match function {
            "string.find" | "string.match" | "string.gmatch" | "string.gsub" => Some(&PATTERNS),
            "string.format" => Some(&FORMATS),
            "string.pack" | "string.unpack" | "string.packsize" => Some(&PACKS),
            "collectgarbage" => Some(&["collect", "step", "count", "stop", "restart", "isrunning"]),
            "debug.getinfo" => Some(&["n", ">", "Slnrtuf", "L", "x"]),
            "os.date" => Some(&["*t", "!%c", "%Ex", "%O", "%", "!*t", "%G-%V"]),
            _ => None,
        };
        match quoted {
            Some(texts) if self.data.below(2) == 1 => {
                let text = self.data.pick(texts);
                let again = if self.data.chance(3) {
                    self.data.pick(texts)
                } else {
                    ""
                };
                let _ = write!(self.out, "{:?}", format!("{text}{again}"));
                // Rust writes a zero byte as Lua does
            }
            Some(_) | None => self.expression(),
        }
    }

    fn expression(&mut self) {
        if self.depth >= DEPTH {
            let value = self.data.pick(&VALUES);
            self.put(value);
            return;
        }
        self.depth += 1;
        match self.data.below(16) {
            0..=6 => {
                let value = self.data.pick(&VALUES);
                self.put("(");
                self.put(value);
                self.put(")");
            }
            7..=8 => {
                let variable = self.data.pick(&VARIABLES);
                self.put(variable);
            }
            9..=10 => {
                self.put("(");
                self.expression();
                let operator = self.data.pick(&BINARY);
                let _ = write!(self.out, " {operator} ");
                self.expression();
                self.put(")");
            }
            11 => {
                let operator = self.data.pick(&["-", "#", "not ", "~", "- -"]);
                self.put("(");
                self.put(operator);
                self.expression();
                self.put(")");
            }
            12 => self.call(),
            13 => self.template("{$e, x = $e, [$e] = $e, ...}"),
            14 => self.template("(function(x, ...) $b return x, $e end)($e)"),
            _ => self.template("(select(2, pcall($f, $e)))"),
        }
        self.depth -= 1;
    }

    fn template(&mut self, text: &str) {
        let mut parts = text.split('$');
        self.put(parts.next().unwrap_or(""));
        for part in parts {
            let (hole, rest) = part.split_at(1);
            match hole {
                "e" => self.expression(),
                "v" => {
                    let variable = self.data.pick(&VARIABLES);
                    self.put(variable);
                }
                "b" => {
                    let n = self.data.below(3);
                    for _ in 0..n {
                        self.statement();
                    }
                }
                _ => match self.data.below(4) {
                    0 => self.put("print"),
                    1 => self.put("f"),
                    2 => self.template("function(x, y, ...) $b return $e end"),
                    _ => {
                        let function = self.data.pick(&LIBRARY);
                        self.put(function);
                    }
                },
            }
            self.put(rest);
        }
    }
}
