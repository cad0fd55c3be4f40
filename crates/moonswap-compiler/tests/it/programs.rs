//! Whole programs: whatever compiles also verifies, and nothing panics.

use std::fmt::Write;

use moonswap_bytecode::OpCode;

fn check(name: &str, source: &[u8]) {
    match moonswap_compiler::compile(name, source) {
        Ok(prototype) => {
            if let Err(error) = moonswap_bytecode::verify(&prototype) {
                panic!(
                    "{error}\n{}",
                    String::from_utf8_lossy(&source[..source.len().min(4000)])
                );
            }
            assert!(!moonswap_bytecode::listing(&prototype).is_empty());
        }
        Err(error) => panic!(
            "{error}\n{}",
            String::from_utf8_lossy(&source[..source.len().min(4000)])
        ),
    }
}

/// The official test suite, where it is at hand (`LUA_TESTS`).
#[test]
fn official_suite_compiles() {
    let Some(folder) = std::env::var_os("LUA_TESTS") else {
        return;
    };
    for entry in std::fs::read_dir(folder).expect("LUA_TESTS is a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "lua") {
            let source = std::fs::read(&path).expect("a readable file");
            check(
                &format!("@{}", path.display()),
                moonswap_compiler::skip_shebang(&source),
            );
        }
    }
}

/// A small generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len() as u64) as usize]
    }
}

/// Writes random programs that are valid by construction.
struct Writer {
    random: Random,
    out: String,
    depth: u32,
    loops: u32,
    labels: u32,
    vararg: bool,
}

impl Writer {
    fn name(&mut self) -> String {
        self.random
            .pick(&["a", "b", "c", "d", "t", "f", "x", "_ENV"])
            .to_owned()
    }

    fn expr(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.random.next(11) {
                0 => "nil".into(),
                1 => "true".into(),
                2 => "false".into(),
                3 => self
                    .random
                    .pick(&["0", "1", "7", "255", "70000", "0x7fffffffffffffff"])
                    .into(),
                4 => self
                    .random
                    .pick(&["0.0", "1.5", "-3", "1e300", "2.0", "40000.0"])
                    .into(),
                5 => "\"text\"".into(),
                6 if self.vararg => "...".into(),
                7 => format!("\"{}\"", "long".repeat(12)),
                _ => self.name(),
            };
        }
        let d = depth - 1;
        match self.random.next(14) {
            0..=4 => {
                let op = self.random.pick(&[
                    "+", "-", "*", "/", "//", "%", "^", "&", "|", "~", "<<", ">>", "..", "==",
                    "~=", "<", "<=", ">", ">=", "and", "or", "and", "or",
                ]);
                format!("{} {op} {}", self.expr(d), self.expr(d))
            }
            5 => format!(
                "{}({})",
                self.random.pick(&["not ", "-", "#", "~"]),
                self.expr(d)
            ),
            6 => format!("({})", self.expr(d)),
            7 => {
                let name = self.name();
                format!("{name}[{}]", self.expr(d))
            }
            8 => {
                let name = self.name();
                format!(
                    "{name}.{}",
                    self.random
                        .pick(&["x", "y", "a_field_with_a_name_of_more_than_forty_bytes"])
                )
            }
            9 => {
                let name = self.name();
                format!("{name}({})", self.exprs(d))
            }
            10 => {
                let name = self.name();
                format!("{name}:m({})", self.exprs(d))
            }
            11 => {
                let mut items = String::from("{");
                for _ in 0..self.random.next(5) {
                    let value = self.expr(d);
                    let _ = match self.random.next(3) {
                        0 => write!(items, "{value}, "),
                        1 => write!(items, "k = {value}; "),
                        _ => {
                            let key = self.expr(d);
                            write!(items, "[{key}] = {value}, ")
                        }
                    };
                }
                items + "}"
            }
            12 if self.depth < 6 => {
                let body = self.function();
                format!("function {body}")
            }
            _ => self.expr(d),
        }
    }

    fn exprs(&mut self, depth: u32) -> String {
        let n = self.random.next(4);
        (0..n)
            .map(|_| self.expr(depth))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn function(&mut self) -> String {
        let outer = std::mem::take(&mut self.out);
        let (loops, vararg) = (self.loops, self.vararg);
        self.loops = 0;
        self.vararg = self.random.next(2) == 0;
        let head = match (self.random.next(2), self.vararg) {
            (0, true) => "(...)",
            (0, false) => "()",
            (_, true) => "(a, b, ...)",
            (_, false) => "(a, b)",
        };
        self.depth += 1;
        self.block();
        self.depth -= 1;
        self.loops = loops;
        self.vararg = vararg;
        let body = std::mem::replace(&mut self.out, outer);
        format!("{head}\n{body} end")
    }

    fn block(&mut self) {
        if self.depth >= 6 {
            return;
        }
        self.depth += 1;
        for _ in 0..self.random.next(6) {
            self.statement();
        }
        match self.random.next(8) {
            0 => {
                let values = self.exprs(2);
                let _ = writeln!(self.out, "return {values}");
            }
            1 => {
                let call = format!("{}({})", self.name(), self.exprs(1));
                let _ = writeln!(self.out, "return {call}");
            }
            2 if self.loops > 0 => self.out.push_str("break\n"),
            _ => {}
        }
        self.depth -= 1;
    }

    fn loop_body(&mut self, head: &str, tail: &str) {
        let _ = writeln!(self.out, "{head}");
        self.loops += 1;
        self.labels += 1;
        let label = self.labels;
        // A jump to the end of the block it is in is always allowed.
        let condition = self.expr(1);
        let _ = writeln!(self.out, "if {condition} then goto l{label} end");
        self.out.push_str("do ");
        self.block();
        let _ = writeln!(self.out, "end ::l{label}:: {tail}");
        self.loops -= 1;
    }

    fn statement(&mut self) {
        let value = self.expr(3);
        let name = self.name();
        match self.random.next(16) {
            0 => {
                let values = self.exprs(2);
                let equals = if values.is_empty() { "" } else { " = " };
                let _ = writeln!(self.out, "local {name}, b{equals}{values}");
            }
            1 => {
                let attribute = self.random.pick(&["", "", " <close>"]);
                let _ = writeln!(self.out, "do local q{attribute} = {value} f(q)");
                self.block();
                self.out.push_str("end\n");
            }
            2 => {
                let _ = writeln!(
                    self.out,
                    "local K <const> = {value}; f(K, function() return K end)"
                );
            }
            3 => {
                let key = self.expr(1);
                let _ = writeln!(self.out, "{name}[{key}], {name}.x, a = {value}, f()");
            }
            4 | 5 => {
                let _ = writeln!(self.out, "{name} = {value}");
            }
            6 => {
                let _ = writeln!(self.out, "if {value} then");
                self.block();
                if self.random.next(2) == 0 {
                    let other = self.expr(2);
                    let _ = writeln!(self.out, "elseif {other} then");
                    self.block();
                }
                if self.random.next(2) == 0 {
                    self.out.push_str("else\n");
                    self.block();
                }
                self.out.push_str("end\n");
            }
            7 => self.loop_body(&format!("while {value} do"), "end"),
            8 => self.loop_body(&format!("for i = {value}, 10 do"), "end"),
            9 => self.loop_body(&format!("for k, v in {value} do"), "end"),
            10 => {
                let condition = self.expr(2);
                self.loop_body("repeat local r = f()", &format!("until r or {condition}"));
            }
            11 => {
                let body = self.function();
                let _ = writeln!(self.out, "local function g{body}");
            }
            12 => {
                let body = self.function();
                let _ = writeln!(self.out, "function t.{name}:m{body}");
            }
            13 => {
                self.labels += 1;
                let _ = writeln!(
                    self.out,
                    "do ::l{}:: local u = {value}; f(function() return u end)",
                    self.labels
                );
                let _ = writeln!(self.out, "if u then goto l{} end end", self.labels);
            }
            _ => {
                let args = self.exprs(2);
                let _ = writeln!(self.out, "{name}({args})");
            }
        }
    }
}

#[test]
fn random_programs_verify() {
    for seed in 0..3000 {
        let random = Random(seed);
        let mut writer = Writer {
            random,
            out: String::new(),
            depth: 0,
            loops: 0,
            labels: 0,
            vararg: true,
        };
        for _ in 0..4 {
            writer.statement();
        }
        check(&format!("=seed {seed}"), writer.out.as_bytes());
    }
}

#[test]
fn long_left_spines_are_no_recursion() {
    let n = 300_000;
    for (start, part) in [
        ("return a", "+1"),
        ("return f", "()"),
        ("return a", ".b"),
        ("return a", "[x]"),
        ("return a", ":m()"),
        ("return f", "{}"),
        ("return a", " and b"),
        ("return a", " or b"),
        ("return a", "==b"),
        ("return a", " // 3"),
    ] {
        let source = format!("{start}{}", part.repeat(n));
        check("=spine", source.as_bytes());
    }
    let source = format!("t = {{{}}}", "f(),".repeat(n));
    check("=items", source.as_bytes());
}

#[test]
fn nesting_at_the_limit_fits_the_stack() {
    for (open, middle, close) in [
        ("(", "a", ")"),
        ("{", "", "}"),
        ("-", "a", ""),
        ("f(", "a", ")"),
        ("a .. ", "a", ""),
        ("a ^ ", "a", ""),
        ("function() return ", "a", " end"),
    ] {
        for n in [60, 90, 180, 190] {
            let source = format!("return {}{middle}{}", open.repeat(n), close.repeat(n));
            let _ = moonswap_compiler::compile("=deep", source.as_bytes());
        }
    }
    for (open, close) in [
        ("do ", "end "),
        ("while a do ", "end "),
        ("for i = 1, 2 do ", "end "),
        ("if a then ", "end "),
    ] {
        let source = format!("{}{}", open.repeat(190), close.repeat(190));
        let _ = moonswap_compiler::compile("=deep", source.as_bytes());
    }
}

#[test]
fn huge_functions_take_the_wide_forms() {
    let mut source = String::from("local a, t = 1, {}\nwhile a do\nif a == 1 or a < t then\n");
    for i in 0..30_000 {
        let _ = writeln!(source, "t.field{i} = a + {i}.5");
    }
    source.push_str("end\na = a and t.x or not t.y\n end\nreturn function() return t.z end");
    check("=huge", source.as_bytes());
    let prototype = moonswap_compiler::compile("=huge", source.as_bytes()).expect("it compiles");
    // The huge function does without 16-bit constants, its child has them.
    let uses = |prototype: &moonswap_bytecode::Prototype, op| {
        prototype.code.iter().any(|i| i.opcode() == Some(op))
    };
    assert!(uses(&prototype, OpCode::GetTable) && !uses(&prototype, OpCode::GetField));
    assert!(uses(&prototype.children[0], OpCode::GetTabUp));
}
