//! Errors that need scopes: labels, constants, limits. The texts are those of
//! standard Lua 5.4 (`luac -p`), line and near-token included.

fn message(source: &str) -> String {
    match moonswap_compiler::compile("@t", source.as_bytes()) {
        Ok(_) => String::new(),
        Err(error) => {
            assert_eq!(
                error.to_string().as_bytes(),
                &error.raw[..],
                "both texts agree"
            );
            error.to_string()
        }
    }
}

#[test]
fn messages_are_the_reference_s() {
    let cases = [
        ("break", "t:1: break outside loop at line 1"),
        ("do break end", "t:1: break outside loop at line 1"),
        (
            "while true do local function f() break end end",
            "t:1: break outside loop at line 1",
        ),
        (
            "goto nowhere",
            "t:1: no visible label 'nowhere' for <goto> at line 1",
        ),
        (
            "do ::inner:: end goto inner",
            "t:1: no visible label 'inner' for <goto> at line 1",
        ),
        (
            "goto skip; local x; ::skip:: print(x)",
            "t:1: <goto skip> at line 1 jumps into the scope of local 'x'",
        ),
        ("do goto skip; local x; ::skip:: ::more:: end", ""),
        (
            "repeat if a then goto cont end; local c = 1; ::cont:: until c",
            "t:1: <goto cont> at line 1 jumps into the scope of local 'c'",
        ),
        (
            "::twice:: ::twice::",
            "t:1: label 'twice' already defined on line 1",
        ),
        (
            "::twice:: do ::twice:: end",
            "t:1: label 'twice' already defined on line 1",
        ),
        (
            "local x <const> = 1; x = 2",
            "t:1: attempt to assign to const variable 'x'",
        ),
        (
            "local x <const> = f(); x, y = 2",
            "t:1: attempt to assign to const variable 'x'",
        ),
        (
            "local x <close> = f(); x = 2",
            "t:1: attempt to assign to const variable 'x'",
        ),
        (
            "local x <const> = 1; function x() end",
            "t:1: attempt to assign to const variable 'x'",
        ),
        (
            "local x <const> = 1; local function g() x = 2 end",
            "t:1: attempt to assign to const variable 'x'",
        ),
        (
            "local x <const> = f(); return function() return function() x = 3 end end",
            "t:1: attempt to assign to const variable 'x'",
        ),
        ("goto = 1", "t:1: <name> expected near '='"),
        (
            "local function f() goto out end ::out::",
            "t:1: no visible label 'out' for <goto> at line 1",
        ),
        (
            "for i = 1, 2 do goto done end do local y ::done:: end",
            "t:1: no visible label 'done' for <goto> at line 1",
        ),
        (
            "return function() while a do end break end",
            "t:1: break outside loop at line 1",
        ),
        (
            "local x <const> = 1\n\nx\n=\n2",
            "t:4: attempt to assign to const variable 'x'",
        ),
        (
            "goto l\n\n-- c\n",
            "t:4: no visible label 'l' for <goto> at line 1",
        ),
        (
            "do\n goto l\n local x\n ::l::\n\n print(x)\nend",
            "t:6: <goto l> at line 2 jumps into the scope of local 'x'",
        ),
        (
            "function f()\n break\nend\n\nlocal y",
            "t:5: break outside loop at line 2",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(message(source), expected, "{source}");
    }
}

fn names(prefix: &str, n: usize, separator: &str) -> String {
    (0..n)
        .map(|i| format!("{prefix}{i}"))
        .collect::<Vec<_>>()
        .join(separator)
}

#[test]
fn limits_are_the_reference_s() {
    let locals = format!("local {}", names("a", 201, "\nlocal "));
    assert_eq!(
        message(&locals),
        "t:201: too many local variables (limit is 200) in main function near <eof>"
    );
    let inner = format!("function f()\n{locals}\nend");
    assert_eq!(
        message(&inner),
        "t:203: too many local variables (limit is 200) in function at line 1 near 'end'"
    );
    let parameters = format!("local function f({}) end", names("a", 201, ","));
    assert_eq!(
        message(&parameters),
        "t:1: too many local variables (limit is 200) in function at line 1 near ')'"
    );
    let hidden = format!("local {}\nfor i = 1, 2 do end", names("a", 200, ","));
    assert_eq!(
        message(&hidden),
        "t:2: too many local variables (limit is 200) in main function near '='"
    );
    let upvalues = format!(
        "local {}\nlocal function g()\nlocal {}\nreturn function() return {}+\n{}\nend end",
        names("a", 128, "\nlocal "),
        names("b", 128, "\nlocal "),
        names("a", 128, "+"),
        names("b", 128, "+")
    );
    assert!(message(&upvalues).contains("too many upvalues (limit is 255) in function at line"));
    let registers = format!("f({})", names("a", 300, ","));
    assert!(message(&registers).contains("function or expression needs too many registers near"));
    let concat = names("a", 150, "..");
    assert_eq!(message(&format!("return {concat}")), "");
}
