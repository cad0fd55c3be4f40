//! The parser from outside: messages against those of standard Lua, trees,
//! spans, limits, and texts that are no programs.

use moonswap_compiler::syntax::ast::*;
use moonswap_compiler::{CompileError, ParseLimits, chunk_display, parse, skip_shebang};

fn parsed(source: impl AsRef<[u8]>) -> Ast {
    let source = source.as_ref();
    try_parse(source).unwrap_or_else(|error| {
        panic!("{error}\nin {:?}", String::from_utf8_lossy(source));
    })
}

fn try_parse(source: impl AsRef<[u8]>) -> Result<Ast, CompileError> {
    parse("=c", source.as_ref(), ParseLimits::default())
}

fn message(source: impl AsRef<[u8]>) -> String {
    try_parse(source).expect_err("a syntax error").to_string()
}

/// Undoes the `\xHH` of `errors/messages.tsv`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parts = text.split("\\x");
    out.extend(parts.next().unwrap_or("").bytes());
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        out.extend(part[2..].bytes());
    }
    out
}

/// Compares with a table that `errors/generate.lua` made.
fn compare_with_table(table: &str) {
    let mut n_cases = 0;
    let mut failures = String::new();
    for line in table.lines() {
        let (source, expected) = line.split_once('\t').expect("two columns");
        let result = try_parse(unescape(source));
        let actual = result.as_ref().err().map_or(&[][..], |error| &error.raw);
        let expected = unescape(expected);
        if actual != expected {
            failures += &format!(
                "{source}\n  expected {:?}\n  actual   {:?}\n",
                String::from_utf8_lossy(&expected),
                String::from_utf8_lossy(actual)
            );
        }
        if let Err(error) = &result {
            assert_eq!(error.incomplete, expected.ends_with(b"<eof>"), "{source}");
            if std::str::from_utf8(&error.raw).is_ok() {
                assert_eq!(error.to_string().as_bytes(), error.raw, "{source}");
            }
        }
        n_cases += 1;
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(n_cases > 0);
}

#[test]
fn messages_are_those_of_standard_lua() {
    compare_with_table(include_str!("../errors/messages.tsv"));
}

/// For a larger table, made on the spot:
/// `lua5.4 generate.lua 100000 7 > t.tsv; MESSAGE_TABLE=t.tsv cargo test …`.
#[test]
fn messages_of_another_table() {
    if let Some(path) = std::env::var_os("MESSAGE_TABLE") {
        compare_with_table(&std::fs::read_to_string(path).expect("a readable table"));
    }
}

/// The tree of the chunk as text: fully parenthesised, for comparing.
fn show(ast: &Ast, id: ExprId) -> String {
    let text =
        |symbol: &Symbol| String::from_utf8_lossy(&ast.symbols[symbol.0 as usize]).into_owned();
    let list = |ids: &[ExprId]| {
        ids.iter()
            .map(|&id| show(ast, id))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match &ast.exprs[id.0 as usize] {
        Expr::Nil => "nil".into(),
        Expr::True => "true".into(),
        Expr::False => "false".into(),
        Expr::Vararg => "...".into(),
        Expr::Integer(i) => i.to_string(),
        Expr::Float(f) => format!("{f:?}"),
        Expr::String(s) => format!("{:?}", text(s)),
        Expr::Function(f) => format!("function#{}", f.0),
        Expr::Name(name) => text(name),
        Expr::Index { object, key } => format!("{}[{}]", show(ast, *object), show(ast, *key)),
        Expr::Field { object, name } => format!("{}.{}", show(ast, *object), text(name)),
        Expr::Call { callee, args } => format!("{}({})", show(ast, *callee), list(args)),
        Expr::MethodCall { object, name, args } => {
            format!("{}:{}({})", show(ast, *object), text(name), list(args))
        }
        Expr::Binary { op, lhs, rhs } => {
            format!("({op:?} {} {})", show(ast, *lhs), show(ast, *rhs))
        }
        Expr::Unary { op, operand } => format!("({op:?} {})", show(ast, *operand)),
        Expr::Paren(inner) => format!("<{}>", show(ast, *inner)),
        Expr::Table(items) => {
            let items = items.iter().map(|item| match item {
                TableItem::Positional(value) => show(ast, *value),
                TableItem::Named(name, value) => format!("{}={}", text(name), show(ast, *value)),
                TableItem::Keyed(key, value) => {
                    format!("[{}]={}", show(ast, *key), show(ast, *value))
                }
            });
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
    }
}

fn main_body(ast: &Ast) -> &[Statement] {
    &ast.functions.last().expect("a main chunk").body.statements
}

/// `return <source>` as [`show`] has it.
fn expression(source: &str) -> String {
    let ast = parsed(format!("return {source}"));
    match &main_body(&ast)[0].kind {
        StatementKind::Return(values) => show(&ast, values[0]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn precedence_and_associativity() {
    let cases = [
        ("a + b * c", "(Add a (Mul b c))"),
        ("a - b - c", "(Sub (Sub a b) c)"),
        ("a .. b .. c", "(Concat a (Concat b c))"),
        ("-a ^ -b ^ c", "(Negate (Pow a (Negate (Pow b c))))"),
        ("not a == b", "(Eq (Not a) b)"),
        ("a or b and c", "(Or a (And b c))"),
        ("a < b == c", "(Eq (Lt a b) c)"),
        (
            "a | b ~ c & d << e .. f",
            "(BitOr a (BitXor b (BitAnd c (ShiftLeft d (Concat e f)))))",
        ),
        ("a >> b // c % d", "(ShiftRight a (Mod (IntDiv b c) d))"),
        ("~a ~ ~b", "(BitXor (BitNot a) (BitNot b))"),
        ("#a.b[1]:m'x'{y}.z", "(Length a.b[1]:m(\"x\")({y}).z)"),
        ("(f())", "<f()>"),
        (
            "{1, x = 2; [3] = 4, y, f(), ...}",
            "{1, x=2, [3]=4, y, f(), ...}",
        ),
        ("a ~= b ~ c", "(NotEq a (BitXor b c))"),
        ("a >= b <= c > d", "(Gt (Le (Ge a b) c) d)"),
        ("a / b", "(Div a b)"),
        ("function() end", "function#0"),
    ];
    for (source, expected) in cases {
        assert_eq!(expression(source), expected, "{source}");
    }
}

#[test]
fn numerals() {
    let cases = [
        ("0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9.223372036854776e18"),
        ("0xffffffffffffffff", "-1"),
        ("0x1ffffffffffffffff", "-1"),
        ("3.", "3.0"),
        (".5", "0.5"),
        ("1e2", "100.0"),
        ("0x.8p1", "1.0"),
        ("0xA", "10"),
        ("0x1P-2", "0.25"),
        ("1e400", "inf"),
        ("00012345678901", "12345678901"),
    ];
    for (source, expected) in cases {
        assert_eq!(expression(source), expected, "{source}");
    }
}

#[test]
fn strings() {
    let cases: [(&[u8], &[u8]); 14] = [
        (br#""a\n\t\\\"'""#, b"a\n\t\\\"'"),
        (br"'\a\b\f\r\v\''", b"\x07\x08\x0C\r\x0B'"),
        (br"'\65\066\x41\0'", b"ABA\0"),
        (b"'a\\z \r\n\t b\\\r\nc\\\nd'", b"ab\nc\nd"),
        (br"'\u{0}\u{7f}\u{80}\u{7FF}'", b"\0\x7F\xC2\x80\xDF\xBF"),
        (
            br"'\u{800}\u{D800}\u{10FFFF}'",
            b"\xE0\xA0\x80\xED\xA0\x80\xF4\x8F\xBF\xBF",
        ),
        (
            br"'\u{200000}\u{3FFFFFF}'",
            b"\xF8\x88\x80\x80\x80\xFB\xBF\xBF\xBF\xBF",
        ),
        (
            br"'\u{4000000}\u{7FFFFFFF}'",
            b"\xFC\x84\x80\x80\x80\x80\xFD\xBF\xBF\xBF\xBF\xBF",
        ),
        (b"[[\r\na\n\rb\rc\n\nd]]", b"a\nb\nc\n\nd"),
        (b"[==[]]]=]]==]", b"]]]=]"),
        (b"[[]\n]]", b"]\n"),
        (b"'a\0b\xFF\xFE'", b"a\0b\xFF\xFE"),
        (b"[=[\0\xFF\\n]=]", b"\0\xFF\\n"),
        (b"''", b""),
    ];
    for (source, expected) in cases {
        let ast = parsed([b"return ", source].concat());
        let Expr::String(symbol) = ast.exprs[0] else {
            panic!("{:?}", ast.exprs)
        };
        assert_eq!(
            &*ast.symbols[symbol.0 as usize],
            expected,
            "{}",
            source.escape_ascii()
        );
    }
}

#[test]
fn spans() {
    let source = "local a <const> = b\n  +\n  c\nf\n(1)\nx[[\n]]\ny.\nz = a:m\n{}\n";
    let ast = parsed(source);
    let text = |span: &moonswap_compiler::Span| &source[span.start as usize..span.end as usize];
    for (expr, span) in ast.exprs.iter().zip(&ast.spans) {
        let line_start = source[..span.start as usize]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        assert_eq!(
            span.column as usize,
            span.start as usize - line_start + 1,
            "{expr:?}"
        );
        let n_lines = source[..span.start as usize].matches('\n').count();
        assert_eq!(span.line as usize, n_lines + 1, "{expr:?}");
        match expr {
            Expr::Binary { .. } => assert_eq!((text(span), span.line), ("+", 2)),
            Expr::Call { args, .. } => {
                let expected = match ast.exprs[args[0].0 as usize] {
                    Expr::String(_) => ("[[\n]]", 6),
                    _ => ("(", 5),
                };
                assert_eq!((text(span), span.line), expected);
            }
            Expr::Field { .. } => assert_eq!((text(span), span.line), (".", 8)),
            Expr::MethodCall { .. } => assert_eq!((text(span), span.line), ("{", 10)),
            _ => {}
        }
    }
    let statements: Vec<_> = main_body(&ast).iter().map(|s| text(&s.span)).collect();
    assert_eq!(
        statements,
        [
            "local a <const> = b\n  +\n  c",
            "f\n(1)\nx[[\n]]",
            "y.\nz = a:m\n{}"
        ][..1]
            .iter()
            .chain(&["f\n(1)", "x[[\n]]", "y.\nz = a:m\n{}"])
            .copied()
            .collect::<Vec<_>>()
    );
    let main = ast.functions.last().expect("a main chunk");
    assert_eq!((main.span.line, main.end.line), (0, 11));
}

#[test]
fn lines_after_every_kind_of_newline() {
    for newline in ["\n", "\r", "\r\n", "\n\r"] {
        for filler in [
            "",
            "-- c",
            "--[[ a@ b@@ ]]",
            "s = [[@a@]]",
            "s = '\\@\\z @ @ x'",
        ] {
            let source = format!("{filler}@@x = = 1").replace('@', newline);
            let n_lines = filler.matches('@').count() + 3;
            let expected = format!("c:{n_lines}: unexpected symbol near '='");
            assert_eq!(message(&source), expected, "{source:?}");
        }
    }
}

#[test]
fn functions() {
    let ast = parsed(
        "function a.b:c(x, ...) end\n--@id timer.tick\nlocal f = function() end, function() end\n\
         --@id late\n\nlocal function g() return function() end end",
    );
    let name = |symbol: Symbol| ast.symbols[symbol.0 as usize].to_vec();
    let method = &ast.functions[0];
    assert!(method.is_vararg && method.is_method);
    let params: Vec<_> = method.params.iter().map(|p| name(p.0)).collect();
    assert_eq!(params, [b"self".to_vec(), b"x".to_vec()]);
    let ids: Vec<_> = ast
        .functions
        .iter()
        .map(|f| f.stable_id.map(name))
        .collect();
    assert_eq!(
        ids,
        [None, Some(b"timer.tick".to_vec()), None, None, None, None]
    );
    assert_eq!(
        (ast.functions[4].span.line, ast.functions[3].span.column),
        (6, 27)
    );
}

#[test]
fn statements() {
    let ast = parsed(
        "::top:: ; local a <close>, b <const>, c = 1 if a then elseif b then else end \
         for i = 1, 2, 3 do break end for k, v in pairs(t) do goto top end \
         repeat local x until x while a do end do end a, b[1], c.d = 1 return 1, 2;",
    );
    let kinds: Vec<String> = main_body(&ast)
        .iter()
        .map(|s| {
            format!("{:?}", s.kind)
                .split([' ', '('])
                .next()
                .unwrap_or("")
                .to_owned()
        })
        .collect();
    assert_eq!(
        kinds.join(" "),
        "Label Local If NumericFor GenericFor Repeat While Do Assign Return"
    );
}

/// Since 5.4.6, the line of the parenthesis; the table was made with 5.4.4,
/// which has the line on which the called expression begins.
#[test]
fn line_of_an_unclosed_call() {
    let text = "a.b\n.c(\n1\n2";
    assert_eq!(
        message(text),
        "c:4: ')' expected (to close '(' at line 2) near '2'"
    );
    assert_eq!(message("f\n("), "c:2: unexpected symbol near <eof>");
    assert_eq!(message("f\n(1"), "c:2: ')' expected near <eof>");
}

#[test]
fn error_spans() {
    let error = try_parse("x = 1\n  y = = [[\n]]").expect_err("a syntax error");
    assert_eq!((error.span.line, error.span.column), (2, 7));
    assert_eq!((error.span.start, error.span.end), (12, 13));
    let error = try_parse("f() [[\n]] 'a\\q'").expect_err("a syntax error");
    assert_eq!(
        (error.span.line, error.span.column, error.span.start),
        (2, 4, 10)
    );
}

#[test]
fn nesting_is_limited() {
    let shapes = [
        ("x = ", "(", "1", ")"),
        ("x = ", "- ", "1", ""),
        ("x = ", "not ", "1", ""),
        ("x = ", "a .. ", "1", ""),
        ("x = ", "a ^ ", "1", ""),
        ("x = ", "{", "1", "}"),
        ("x = ", "a[", "1", "]"),
        ("x = ", "f(", "1", ")"),
        ("", "do ", "", " end"),
        ("", "if x then ", "", " end"),
        ("", "while x do ", "", " end"),
        ("", "repeat ", "", " until x"),
        ("", "for i = 1, 2 do ", "", " end"),
        ("", "function f() ", "", " end"),
        ("x = ", "function() return ", "1", " end"),
        ("", "a, ", "a", " = 1"),
    ];
    for (head, open, middle, close) in shapes {
        let source = |n| {
            let close = if close.starts_with(" = ") {
                close.into()
            } else {
                close.repeat(n)
            };
            format!("{head}{}{middle}{close}", open.repeat(n))
        };
        parsed(source(95));
        for n in [200, 10_000] {
            let error = try_parse(source(n)).expect_err(open);
            assert_eq!(error.to_string(), "c:1: C stack overflow", "{open}");
        }
    }
    // The deepest programs that are accepted.
    parsed(format!("x = {}1{}", "(".repeat(197), ")".repeat(197)));
    parsed(format!(
        "x = {}1{}",
        "f{g(function() return ".repeat(49),
        " end)}".repeat(49)
    ));
    let few = parse("=c", b"x = ((((1))))", ParseLimits { levels: 4 });
    assert!(few.is_err());
}

#[test]
fn left_spines_are_not_limited() {
    for piece in [" + x", "(1)", ".x", "[1]", ":m()", " and x", "'s'", "{}"] {
        parsed(format!("return x{}", piece.repeat(100_000)));
    }
    parsed("x = 1; ".repeat(50_000));
    parsed(format!("return {{{}}}", "x = 1, 2; ".repeat(50_000)));
    parsed(format!("if x then {} end", "elseif y then ".repeat(50_000)));
    parsed("::l:: ;".repeat(10_000));
}

#[test]
fn chunk_names() {
    let long = "x".repeat(100);
    let cases = [
        ("=name", "name".to_owned()),
        (&format!("={long}"), "x".repeat(59)),
        ("@file.lua", "file.lua".to_owned()),
        (&format!("@{}", "y".repeat(59)), "y".repeat(59)),
        (&format!("@/a/{long}"), format!("...{}", "x".repeat(56))),
        ("return 1", "[string \"return 1\"]".to_owned()),
        ("a\nb", "[string \"a...\"]".to_owned()),
        ("", "[string \"\"]".to_owned()),
        ("=", String::new()),
        ("a\0b", "[string \"a\"]".to_owned()),
        (&"z".repeat(44), format!("[string \"{}\"]", "z".repeat(44))),
        (
            &"z".repeat(45),
            format!("[string \"{}...\"]", "z".repeat(45)),
        ),
    ];
    for (name, expected) in cases {
        assert_eq!(
            String::from_utf8_lossy(&chunk_display(name.as_bytes())),
            expected,
            "{name}"
        );
    }
    let error = parse("@a.lua", b"\nx", ParseLimits::default()).expect_err("no statement");
    assert_eq!(error.to_string(), "a.lua:2: syntax error near <eof>");
    assert!(error.incomplete);
}

#[test]
fn shebang() {
    assert_eq!(skip_shebang(b"#!/bin/lua\nx"), b"\nx");
    assert_eq!(skip_shebang(b"\xEF\xBB\xBF# x\r\ny"), b"\ny");
    assert_eq!(skip_shebang(b"\xEF\xBB\xBFx"), b"x");
    assert_eq!(skip_shebang(b"#"), b"");
    assert_eq!(skip_shebang(b"# x\n\x1BLua"), b"\x1BLua");
    assert_eq!(skip_shebang(b"x # y"), b"x # y");
}

/// Parses a folder of Lua files, such as the official tests, if one is named.
#[test]
fn files_of_a_folder() {
    let Some(folder) = std::env::var_os("LUA_FILES") else {
        return;
    };
    let mut n_files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "lua") {
            let text = std::fs::read(&path).expect("a readable file");
            let name = format!("@{}", path.display());
            if let Err(error) = parse(name, skip_shebang(&text), ParseLimits::default()) {
                panic!("{error}");
            }
            n_files += 1;
        }
    }
    assert!(n_files > 0);
}
