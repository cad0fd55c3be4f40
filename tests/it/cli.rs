//! The command line: a bare call means what `lua` means; the verbs, their
//! outputs and exit codes (0, 1 Lua error, 2 usage, 3 refused).
//!
//! Texts are checked only where tools rely on them.

use std::path::Path;

use crate::support::{Outcome, TempFolder, run_moonswap};

fn moonswap(folder: &Path, args: &[&str]) -> Outcome {
    run_moonswap(folder, args, b"")
}

/// One bare call: arguments, what goes in, exit code, all of stdout, a part of stderr.
#[test]
fn bare_calls() {
    let folder = TempFolder::new("cli");
    folder.write(
        "hello.lua",
        "print('hello', ...)\nprint(arg[0], #arg, arg[1])\n",
    );
    folder.write("shebang.lua", "#!/usr/bin/env moonswap\nprint 'ran'\n");
    folder.write("fails.lua", "local t\nprint 'before'\nprint(t.x)\n");
    folder.write("exits.lua", "io.write 'bye\\n'\nos.exit(7)\n");
    folder.write("false.lua", "os.exit(false)\n");
    folder.write("lib.lua", "return { answer = 42 }\n");
    folder.write("syntax.lua", "x = = 1\n");
    let cases: &[(&[&str], &str, i32, &str, &str)] = &[
        (&["-e", "print(1 + 1)"], "", 0, "2\n", ""),
        (&["-e", "x = 1", "-e", "print(x)"], "", 0, "1\n", ""),
        (&["hello.lua"], "", 0, "hello\nhello.lua\t0\tnil\n", ""),
        (
            &["hello.lua", "a", "b"],
            "",
            0,
            "hello\ta\tb\nhello.lua\t2\ta\n",
            "",
        ),
        (&["shebang.lua"], "", 0, "ran\n", ""),
        (&["-"], "print 'from stdin'", 0, "from stdin\n", ""),
        (&[], "print 'piped'", 0, "piped\n", ""),
        (&["-l", "lib", "-e", "print(lib.answer)"], "", 0, "42\n", ""),
        (
            &["-W", "-e", "warn('careful')"],
            "",
            0,
            "",
            "Lua warning: careful\n",
        ),
        (&["-E", "-e", "print(1)"], "", 0, "1\n", ""),
        (
            &["--", "hello.lua"],
            "",
            0,
            "hello\nhello.lua\t0\tnil\n",
            "",
        ),
        (&["exits.lua"], "", 7, "bye\n", ""),
        (&["false.lua"], "", 1, "", ""),
        (
            &["fails.lua"],
            "",
            1,
            "before\n",
            "fails.lua:3: attempt to index a nil value (local 't')",
        ),
        (&["fails.lua"], "", 1, "before\n", "stack traceback:"),
        (
            &["syntax.lua"],
            "",
            1,
            "",
            "syntax.lua:1: unexpected symbol near '='",
        ),
        (&["-e", "error('boom', 0)"], "", 1, "", "boom"),
        (&["missing.lua"], "", 1, "", "cannot open missing.lua"),
        (
            &["-l", "nosuchmodule"],
            "",
            1,
            "",
            "module 'nosuchmodule' not found",
        ),
    ];
    for (args, input, code, out, err) in cases {
        let outcome = run_moonswap(folder.path(), args, input.as_bytes());
        assert_eq!(outcome.code, Some(*code), "{args:?}: {}", outcome.tail());
        assert_eq!(outcome.out(), *out, "{args:?}");
        assert!(outcome.err().contains(err), "{args:?}: {}", outcome.err());
    }
}

#[test]
fn version_and_usage() {
    let folder = TempFolder::new("usage");
    let version = moonswap(folder.path(), &["-v"]);
    assert_eq!(version.code, Some(0), "{}", version.tail());
    assert!(version.out().contains("5.4"), "{}", version.out());
    let unknown = moonswap(folder.path(), &["-z"]);
    assert!(
        !matches!(unknown.code, Some(0) | None),
        "{}",
        unknown.tail()
    );
    assert!(unknown.err().contains("-z"), "{}", unknown.err());
    let nothing_to_run = moonswap(folder.path(), &["run"]);
    assert_eq!(nothing_to_run.code, Some(2), "{}", nothing_to_run.tail());
}

/// Words with a slip in them, and topics that there are not.
#[test]
fn what_was_meant() {
    let folder = TempFolder::new("meant");
    for (args, code, err) in [
        (&["rnu", "x"][..], 1, "moonswap run'?"),
        (&["chekc"], 1, "moonswap check'?"),
        (&["paln"], 1, "moonswap plan'?"),
        (&["lists"], 1, "moonswap list'?"),
        (&["rn"], 1, "moonswap run'?"),
        (&["help", "rnu"], 2, "did you mean 'run'?"),
        (&["help", "nothing"], 2, "the verbs are run, repl"),
    ] {
        let outcome = moonswap(folder.path(), args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {}", outcome.tail());
        assert!(outcome.err().contains(err), "{args:?}: {}", outcome.err());
    }
    let other = moonswap(folder.path(), &["script.lua"]);
    assert!(!other.err().contains("mean"), "{}", other.err());
    folder.write("rnu", "print 'a script'");
    let script = moonswap(folder.path(), &["rnu"]);
    assert_eq!(script.out(), "a script\n", "{}", script.tail());
    for (args, out) in [
        (
            &["-V"][..],
            concat!("moonswap ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        (&["help", "run"], "Run a script\n"),
        (&["help"], "Lua 5.4 whose functions"),
        (&["help", "patch", "build"], "Write a patch file"),
    ] {
        let outcome = moonswap(folder.path(), args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.tail());
        assert!(
            outcome.out().starts_with(out),
            "{args:?}: {}",
            outcome.out()
        );
    }
}

/// The reason of an error object whose `__tostring` raises is what is told.
#[test]
fn error_objects_that_cannot_say_what_they_are() {
    let folder = TempFolder::new("tostring");
    let object =
        |body: &str| format!("error(setmetatable({{}}, {{ __tostring = function() {body} end }}))");
    for (body, told) in [
        ("error 'reason'", "(command line):1: reason"),
        ("local x = nil .. 'a'", "attempt to concatenate a nil value"),
        ("return 1", "(error object is a table value)"),
        (
            "error(setmetatable({}, { __tostring = function() return 'inner' end }))",
            "inner",
        ),
        ("error()", "nil"),
        ("error({})", "(error object is a table value)"),
    ] {
        let outcome = moonswap(folder.path(), &["-e", &object(body)]);
        assert_eq!(outcome.code, Some(1), "{body}: {}", outcome.tail());
        assert!(outcome.err().contains(told), "{body}: {}", outcome.err());
    }
    // Each error object raises another one.
    let endless =
        "local function object() error(setmetatable({}, { __tostring = object })) end object()";
    let outcome = moonswap(
        folder.path(),
        &["-e", &endless.replace("local function", "function")],
    );
    assert_eq!(outcome.code, Some(1), "{}", outcome.tail());
}

#[test]
fn run_verb_passes_arguments_and_exit_codes() {
    let folder = TempFolder::new("run");
    folder.write("args.lua", "print(#arg, arg[1], ...)\n");
    folder.write("fails.lua", "error 'no'\n");
    let outcome = moonswap(folder.path(), &["run", "args.lua", "x"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    assert_eq!(outcome.out(), "1\tx\tx\n");
    let outcome = moonswap(folder.path(), &["run", "fails.lua"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.tail());
    assert!(
        outcome.err().contains("fails.lua:1: no"),
        "{}",
        outcome.err()
    );
}

/// Options, text of the script, exit code, all of stdout, a part of stderr.
#[test]
fn sandboxed_scripts_stay_inside() {
    let folder = TempFolder::new("sandbox");
    folder.write("other.lua", "return 1\n");
    const ALL: &[&str] = &["--sandbox", "--mem", "16M", "--fuel", "100000"];
    let cases: &[(&[&str], &str, i32, &str, &str)] = &[
        (ALL, "print('in', ..., #arg)", 0, "in\tx\t1\n", ""),
        (
            ALL,
            "print(io, require, dofile, debug, os.execute, string.dump)",
            0,
            "nil\tnil\tnil\tnil\tnil\tnil\n",
            "",
        ),
        (ALL, "require 'other'", 1, "", "attempt to call a nil value"),
        (ALL, "while true do end", 1, "", "fuel"),
        (ALL, "return ('x'):rep(1 << 30)", 1, "", "not enough memory"),
        (ALL, "\x1bLua", 1, "", "source text only"),
        (
            &["--sandbox", "--mem", "16M", "--timeout", "50ms"],
            "while true do end",
            1,
            "",
            "deadline",
        ),
        (
            &["--sandbox"],
            "",
            2,
            "",
            "needs --mem, and --timeout or --fuel",
        ),
        (&["--sandbox", "--fuel", "1"], "", 2, "", "needs --mem\n"),
        (
            &["--sandbox", "--mem", "1M"],
            "",
            2,
            "",
            "needs --timeout or --fuel",
        ),
        (
            &["--sandbox", "--mem", "10", "--fuel", "1"],
            "",
            2,
            "",
            "that the libraries take",
        ),
    ];
    for (options, text, code, out, err) in cases {
        folder.write("script.lua", text);
        let args = [&["run"], *options, &["script.lua", "x"]].concat();
        let outcome = moonswap(folder.path(), &args);
        assert_eq!(
            outcome.code,
            Some(*code),
            "{args:?} {text}: {}",
            outcome.tail()
        );
        assert_eq!(outcome.out(), *out, "{args:?} {text}");
        assert!(outcome.err().contains(err), "{args:?}: {}", outcome.err());
    }
}

#[test]
fn check_points_at_the_place() {
    let folder = TempFolder::new("check");
    folder.write("good.lua", "return 1\n");
    folder.write("bad.lua", "local x = 1\nlocal y = = 2\n");
    let good = moonswap(folder.path(), &["check", "good.lua"]);
    assert_eq!(good.code, Some(0), "{}", good.tail());
    let bad = moonswap(folder.path(), &["check", "good.lua", "bad.lua"]);
    assert_eq!(bad.code, Some(1), "{}", bad.tail());
    let message = bad.err() + &bad.out();
    assert!(message.contains("bad.lua:2:11"), "{message}");
    assert!(message.contains("local y = = 2"), "{message}");
}

#[test]
fn check_warns_of_names_that_nobody_defines() {
    let folder = TempFolder::new("check-names");
    folder.write(
        "a.lua",
        "local total = 0\nfunction add(n) totl = total + helper(n) return tota end\n",
    );
    folder.write("b.lua", "function helper(n) return spawn(n) end\n");
    let alone = moonswap(folder.path(), &["check", "a.lua"]);
    assert_eq!(alone.code, Some(0), "{}", alone.tail());
    let told = alone.err();
    for part in [
        "a.lua:2:32",
        "warning: the global helper is not defined",
        "a.lua:2:49",
        "warning: the global tota is not defined; did you mean total?",
        "function add(n)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let both = moonswap(
        folder.path(),
        &["check", "--globals", "ngx,spawn", "a.lua", "b.lua"],
    );
    assert_eq!(both.code, Some(0), "{}", both.tail());
    assert_eq!(both.err().matches("warning").count(), 1, "{}", both.err());
    let json = moonswap(folder.path(), &["check", "--json", "a.lua", "b.lua"]);
    assert_eq!(json.code, Some(0), "{}", json.tail());
    let lines: Vec<String> = json.out().lines().map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "{\"file\":\"a.lua\",\"start\":64,\"end\":68,\"severity\":\"warning\",\
             \"message\":\"the global tota is not defined; did you mean total?\",\"name\":\"tota\",\
             \"line\":2,\"column\":49,\"function\":\"add\",\"suggestion\":\"total\"}",
            "{\"file\":\"b.lua\",\"start\":26,\"end\":31,\"severity\":\"warning\",\
             \"message\":\"the global spawn is not defined\",\"name\":\"spawn\",\
             \"line\":1,\"column\":27,\"function\":\"helper\",\"suggestion\":null}",
        ]
    );
}

#[test]
fn list_shows_every_function() {
    let folder = TempFolder::new("list");
    folder.write(
        "f.lua",
        "local function double(x) return x * 2 end\nreturn double\n",
    );
    let outcome = moonswap(folder.path(), &["list", "f.lua"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    assert!(outcome.out().contains("double"), "{}", outcome.out());
    assert!(outcome.out().lines().count() >= 4, "{}", outcome.out());
}

#[test]
fn plan_names_the_class_of_every_function() {
    let folder = TempFolder::new("plan");
    let old = "local M = {}\nfunction M.price(x) return x * 1.2 end\nfunction M.name() return 'shop' end\nreturn M\n";
    folder.write("old.lua", old);
    folder.write("new.lua", old.replace("1.2", "1.25"));
    folder.write(
        "refused.lua",
        "local M = {}\nfunction M.price(x) return x +* 1.2 end\nreturn M\n",
    );
    let swapped = moonswap(folder.path(), &["plan", "old.lua", "new.lua"]);
    assert_eq!(swapped.code, Some(0), "{}", swapped.tail());
    let text = swapped.out();
    for word in ["price", "swapped", "unchanged"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let syntax = moonswap(folder.path(), &["plan", "old.lua", "refused.lua"]);
    assert!(!matches!(syntax.code, Some(0) | None), "{}", syntax.tail());

    folder.write(
        "outer.lua",
        "local function make(a, b)\n  a = a or 1\n  return function() return a end, b\nend\nreturn make\n",
    );
    folder.write(
        "capture.lua",
        "local function make(a, b)\n  a = a or 1\n  return function() return a + b end, b\nend\nreturn make\n",
    );
    let refused = moonswap(folder.path(), &["plan", "outer.lua", "capture.lua"]);
    assert_eq!(refused.code, Some(3), "{}", refused.tail());
    let text = refused.out() + &refused.err();
    assert!(text.contains("refused") && text.contains('b'), "{text}");
}

/// What `--compat` adds, and that it is not there without.
#[test]
fn older_names_on_demand() {
    let folder = TempFolder::new("compat");
    folder.write("compat.lua", include_str!("compat.lua.txt"));
    folder.write(
        "plain.lua",
        "for _, name in ipairs {'loadstring', 'unpack', 'setfenv', 'getfenv'} do assert(_G[name] == nil) end\n\
         assert(not table.getn and not table.maxn and not math.pow and not math.ldexp)\n\
         assert(not bit32 and not math.atan2 and not package.loaders)\n\
         print 'plain'\n",
    );
    for args in [
        &["--compat", "compat.lua"][..],
        &["-E", "--compat", "-W", "compat.lua"],
        &["run", "--compat", "compat.lua"],
    ] {
        let outcome = moonswap(folder.path(), args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.tail());
        assert_eq!(outcome.out(), "compat\n", "{args:?}");
    }
    let prompt = run_moonswap(folder.path(), &["repl", "--compat"], b"unpack {7, 8}\n");
    assert!(prompt.out().contains("7\t8"), "{}", prompt.tail());
    for args in [&["plain.lua"][..], &["run", "plain.lua"]] {
        let outcome = moonswap(folder.path(), args);
        assert_eq!(outcome.out(), "plain\n", "{args:?}: {}", outcome.tail());
    }
}

#[test]
fn modules_loaded_by_loadfile_follow_their_text() {
    let folder = TempFolder::new("loadfile");
    folder.write(
        "plugin.lua",
        "#!/usr/bin/lua\nlocal LIMIT = 1\nlocal M = {}\nfunction M.a() return LIMIT end\nreturn M\n",
    );
    folder.write(
        "main.lua",
        "local hot = require 'moonswap'
local box = setmetatable({ note = print }, { __index = _G })
local M = assert(loadfile('plugin.lua', 't', box))()
local old = assert(io.open('plugin.lua')):read('a'):gsub('^#[^\\n]*\\n', '')
local new = old:gsub('LIMIT = 1', 'LIMIT = 2'):gsub('return M', 'function M.b() note(LIMIT * 10) return nota end\\nreturn M')
local report, why = hot.swapstring('plugin.lua', new)
print(report and 'applied' or why, M.a(), M.b())
for _, warning in ipairs(report.warnings) do print(warning) end
local copy = assert(load(string.dump(assert(loadfile('plugin.lua'))), 'copy'))
copy()
",
    );
    let outcome = moonswap(folder.path(), &["main.lua"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    assert_eq!(
        outcome.out(),
        "20\napplied\t2\tnil\nline 4: M.b: the global nota is not defined; did you mean note?\n"
    );
}
