//! The command line beside the reference's: the same arguments, environment and
//! input must give the same output, messages and exit status.
//!
//! Program names and versions are put aside. Without `lua5.4` there is nothing
//! to compare with: the cases are skipped.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use moonswap_harness::{Cases, Verdict};

use crate::packages::{has_reference, without_reference};
use crate::support::{Outcome, TempFolder, clean_environment, moonswap, run};

/// Arguments, environment, standard input.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static str,
);

const FILES: &[(&str, &str)] = &[
    ("args.lua", "print(#arg, arg[0], arg[-1] ~= nil, ...)"),
    ("lib.lua", "print('lib', ...) return { answer = 42 }"),
    ("fails.lua", "local t\nprint 'before'\nprint(t.x)\n"),
    ("syntax.lua", "x = = 1\n"),
    ("unfinished.lua", "x = {\n"),
    (
        "shebang.lua",
        "#!/usr/bin/env lua\nprint 'ran'\nerror 'line 3'\n",
    ),
    ("init.lua", "print('init', ...) ready = true"),
    (
        "closes.lua",
        "local a <close> = setmetatable({}, {__close = function(_, e) print('a', e) end})\n\
         local b <close> = setmetatable({}, {__close = function(_, e) print('b', e) error('in b', 0) end})\n\
         setmetatable({}, {__gc = function() print 'collected' end})\n\
         local function deep(n)\n\
           local c <close> = setmetatable({}, {__close = function(_, e) print(n, e) end})\n\
           if n == 0 then leave() end\n\
           return (deep(n - 1))\n\
         end\n\
         pcall(table.sort, {1, 2, 3}, function() deep(3) end)\n",
    ),
];

const CASES: &[Case] = &[
    // options and their order
    (&["-e", "print(1)", "-e", "print(x)"], &[], ""),
    (&["-eprint(1)"], &[], ""),
    (&["-e", "x=1", "-i"], &[], "x\n=x\n"),
    (&["-lib"], &[], ""),
    (&["-l", "lib", "-e", "print(lib.answer)"], &[], ""),
    (
        &["-l", "other=lib", "-e", "print(lib, other.answer)"],
        &[],
        "",
    ),
    (&["-l", "nosuch"], &[], ""),
    (&["-e", "print(pcall(require, 'syntax'))"], &[], ""),
    (&["-e", "print(...)", "args.lua", "a", "-e", "b"], &[], ""),
    (&["-W", "-e", "warn('a', 'b')"], &[], ""),
    (
        &[
            "-e",
            "warn('a') warn('@on') warn('b') warn('@off') warn('c')",
        ],
        &[],
        "",
    ),
    (
        &[
            "-W",
            "-e",
            "setmetatable({}, {__gc = function() error 'x' end}) collectgarbage()",
        ],
        &[],
        "",
    ),
    (&["--", "args.lua", "-x"], &[], ""),
    (&["-e", "print 'e'", "--"], &[], "print 'never'"),
    (&["--"], &[], "print('stdin', ...)"),
    (&["-"], &[], "print('stdin', #arg, arg[0], ...)"),
    (&["-", "a", "b"], &[], "print('stdin', #arg, arg[0], ...)"),
    (&["--", "-"], &[], "print('stdin')"),
    (&[], &[], "print 'piped' error 'x'"),
    (
        &[],
        &[],
        "#!first line\nprint(debug.getinfo(1).currentline)",
    ),
    (
        &["-e", "print(io.read())", "-"],
        &[],
        "a line\nprint(io.read())\n",
    ),
    (&["args.lua", "a", "b c", ""], &[], ""),
    (
        &[
            "-e",
            "arg[1] = 'new' arg[2] = nil arg[3] = nil",
            "args.lua",
            "a",
            "b",
            "c",
        ],
        &[],
        "",
    ),
    (&["-e", "arg = nil", "args.lua"], &[], ""),
    (&["-e", "arg = 1", "args.lua"], &[], ""),
    (
        &[
            "-e",
            "for i = -6, 3 do print(i, i < -4 and '' or arg[i]) end",
            "args.lua",
            "x",
        ],
        &[],
        "",
    ),
    // what is wrong with a call
    (&["-e"], &[], ""),
    (&["-l"], &[], ""),
    (&["-e", "-i"], &[], ""),
    (&["-h"], &[], ""),
    (&["-x"], &[], ""),
    (&["-vv"], &[], ""),
    (&["-ix"], &[], ""),
    (&["-Ex"], &[], ""),
    (&["---"], &[], ""),
    (&["missing.lua"], &[], ""),
    (&["."], &[], ""),
    // errors
    (&["fails.lua"], &[], ""),
    (&["syntax.lua"], &[], ""),
    (&["unfinished.lua"], &[], ""),
    (&["shebang.lua"], &[], ""),
    (&["-e", "x ="], &[], ""),
    (&["-e", "error('boom', 0)"], &[], ""),
    (&["-e", "error()"], &[], ""),
    (&["-e", "error(nil)"], &[], ""),
    (&["-e", "error({})"], &[], ""),
    (&["-e", "error(12)"], &[], ""),
    (&["-e", "error(1.5)"], &[], ""),
    (&["-e", "error(true)"], &[], ""),
    (&["-e", "error(print)"], &[], ""),
    (
        &[
            "-e",
            "error(setmetatable({}, {__tostring = function() return 'text' end}))",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "error(setmetatable({}, {__tostring = function() return 12 end}))",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "error(setmetatable({}, {__tostring = function() return {} end}))",
        ],
        &[],
        "",
    ),
    (
        &["-e", "error(setmetatable({}, {__name = 'Kind'}))"],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "debug.setmetatable(true, {__tostring = function() return 'yes' end}) error(true)",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "error(setmetatable({}, {__tostring = function() return debug.traceback('trace') end}))",
        ],
        &[],
        "",
    ),
    (&["-e", "local function f() error 'deep' end f()"], &[], ""),
    (
        &["-e", "coroutine.wrap(function() error 'inside' end)()"],
        &[],
        "",
    ),
    // ends
    (&["-e", "os.exit()"], &[], ""),
    (&["-e", "os.exit(7)"], &[], ""),
    (&["-e", "os.exit(false)"], &[], ""),
    (&["-e", "os.exit(true)"], &[], ""),
    (&["-e", "os.exit(256 + 3)"], &[], ""),
    (&["-e", "io.write 'unflushed' os.exit(0)"], &[], ""),
    (
        &["-e", "setmetatable({}, {__gc = function() print 'gc' end})"],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "setmetatable({}, {__gc = function() print 'gc' end}) os.exit(0)",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "setmetatable({}, {__gc = function() print 'gc' end}) os.exit(4, true)",
        ],
        &[],
        "",
    ),
    (
        &["-e", "function leave() os.exit(5, true) end", "closes.lua"],
        &[],
        "",
    ),
    (
        &["-e", "function leave() os.exit(6) end", "closes.lua"],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "function leave() coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() print 'not main' end}) os.exit(5, true) end)() end",
            "closes.lua",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "local x <close> = setmetatable({}, {__close = function() print 'x' os.exit(9, true) end}) local y <close> = setmetatable({}, {__close = function() print 'y' os.exit(8, true) end}) os.exit(7, true)",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "setmetatable({}, {__gc = function() print 'one' os.exit(3, true) end}) setmetatable({}, {__gc = function() print 'two' end})",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "local up = 1 local x <close> = setmetatable({}, {__close = function() print('up', up) up = up + 1 end}) local y <close> = setmetatable({}, {__close = function() up = up + 10 end}) os.exit(true, true)",
        ],
        &[],
        "",
    ),
    // what an error is to variables closed on its way out
    (
        &[
            "-e",
            "local x <close> = setmetatable({}, {__close = function(_, e) print(e) end}) local function f() error('deep') end f()",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "local x <close> = setmetatable({}, {__close = function(_, e) print(e) end}) error({})",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "local x <close> = setmetatable({}, {__close = function(_, e) print(e) error('other') end}) error(5)",
        ],
        &[],
        "",
    ),
    (
        &[
            "-e",
            "local x <close> = setmetatable({}, {__close = function(_, e) print(e) end}) error(setmetatable({}, {__tostring = function() return 'own' end}))",
        ],
        &[],
        "",
    ),
    // environment
    (
        &["-e", "print 'main'"],
        &[("LUA_INIT", "print('init', ...)")],
        "",
    ),
    (
        &["-e", "print 'main'"],
        &[("LUA_INIT", "a"), ("LUA_INIT_5_4", "print 'own'")],
        "",
    ),
    (&["-e", "print(ready)"], &[("LUA_INIT", "@init.lua")], ""),
    (&["-e", "print 'main'"], &[("LUA_INIT", "@missing.lua")], ""),
    (
        &["-e", "print 'main'"],
        &[("LUA_INIT", "error 'in init'")],
        "",
    ),
    (&["-e", "print 'main'"], &[("LUA_INIT_5_4", "x x")], ""),
    (&["-e", "print 'main'"], &[("LUA_INIT", "")], ""),
    (
        &["args.lua", "a"],
        &[("LUA_INIT", "print(arg[0], arg[1])")],
        "",
    ),
    (
        &["-E", "-e", "print 'main'"],
        &[("LUA_INIT", "print 'init'")],
        "",
    ),
    (
        &["-e", "print(package.path, package.cpath)"],
        &[("LUA_PATH", "a;b"), ("LUA_CPATH", "c")],
        "",
    ),
    (
        &["-e", "print(package.path)"],
        &[("LUA_PATH", "a"), ("LUA_PATH_5_4", "x;y")],
        "",
    ),
    (
        &["-e", "print(package.cpath)"],
        &[("LUA_CPATH", "a"), ("LUA_CPATH_5_4", "x;y")],
        "",
    ),
    (
        &[
            "-E",
            "-e",
            "print(package.path:find('only', 1, true), package.cpath:find('only', 1, true))",
        ],
        &[("LUA_PATH", "only"), ("LUA_CPATH_5_4", "only")],
        "",
    ),
    // the prompt; what it shows of the input is the line editor's
    (&["-i"], &[], ""),
    (&["-i"], &[], "1 + 1\n= 2\nx = 5\nx\nprint(x, nil)\nnil\n"),
    (
        &["-i"],
        &[],
        "return 1, nil, 'a'\nfor i = 1, 2 do\nprint(i)\nend\n",
    ),
    (
        &["-i"],
        &[],
        "f(\n1)\nerror {}\nerror(setmetatable({}, {__tostring = function() return 'T' end}))\n'go on'\n",
    ),
    (
        &["-i"],
        &[],
        "x = = 2\nlocal function f() error 'deep' end f()\n",
    ),
    (
        &["-i"],
        &[],
        "print = nil\n1\nprint = function() error 'no' end\n2\n",
    ),
    (
        &["-i"],
        &[],
        "_PROMPT = 'ask ' _PROMPT2 = 'more '\nx = {\n1}\n_PROMPT = setmetatable({}, {__tostring = function() return 'obj' end})\n3\n",
    ),
    (
        &["-i", "-e", "_PROMPT=''"],
        &[],
        "goto done\n::done:: print 'label'\nbreak\n",
    ),
    (&["-i"], &[], "x = [[\nlong\n]]\n#x\n"),
    (&["-i", "args.lua", "a"], &[], "arg[1]\n"),
    (&["-i", "fails.lua"], &[], "'not reached'\n"),
    (&["-i", "-e", "error 'first'"], &[], "'not reached'\n"),
    (&["-i"], &[], "os.exit(3)\n"),
    (&["-v", "-e", "print 'after'"], &[], ""),
    (&["-v"], &[], "print 'never'"),
];

/// What both may print of themselves and of where they are.
fn plain(outcome: &Outcome, program: &Path, prompt: bool) -> String {
    let name = program.to_string_lossy();
    let mut text = String::new();
    for (title, stream) in [("out", outcome.out()), ("err", outcome.err())] {
        text.push_str(&format!("--- {title}\n"));
        for line in stream.replace(&*name, "lua").lines() {
            if line.starts_with("Lua 5.4") {
                text.push_str("VERSION\n");
            } else if line.starts_with("  --compat") || line.starts_with("'moonswap --help'") {
                // ours on top of the reference's
            } else if line.contains("-linux-gnu/lua/") {
                // Debian's addition to package.cpath
            } else if prompt && title == "out" {
                text.push_str(line.trim_end());
                text.push('\n');
            } else {
                text.push_str(&addresses(line));
                text.push('\n');
            }
        }
    }
    text
}

/// Addresses are not the same in any two runs.
fn addresses(line: &str) -> String {
    match line.split_once(": 0x") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{before}: ADDRESS{rest}")
        }
        None => line.to_owned(),
    }
}

fn ran(program: &Path, folder: &Path, (args, environment, input): &Case) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.current_dir(folder).args(*args);
    clean_environment(&mut command);
    command
        .env("TERM", "dumb")
        .envs(environment.iter().copied());
    let outcome = run(&mut command, input.as_bytes(), Duration::from_secs(60));
    let text = plain(&outcome, program, args.contains(&"-i"));
    (outcome.code, text)
}

/// How much of a command line is in the name of its case.
const LONGEST_NAME: usize = 50;

pub(crate) fn add(cases: &mut Cases) {
    for (index, case) in CASES.iter().enumerate() {
        let (args, _, _) = case;
        let line = args.join(" ").escape_debug().to_string();
        let line: String = line.chars().take(LONGEST_NAME).collect();
        let name = format!("cli-reference/{:03} {line}", index + 1);
        cases.add_skippable(name, move || as_the_reference(case));
    }
}

fn as_the_reference(case: &Case) -> Result<Verdict, String> {
    if !has_reference() {
        return Ok(without_reference());
    }
    let folder = TempFolder::new("reference");
    for (name, text) in FILES {
        folder.write(name, text);
    }
    let wanted = ran(Path::new("lua5.4"), folder.path(), case);
    let got = ran(moonswap(), folder.path(), case);
    if wanted == got {
        return Ok(Verdict::Passed);
    }
    Err(format!(
        "{case:?}\nthe reference ({:?}):\n{}\nmoonswap ({:?}):\n{}",
        wanted.0, wanted.1, got.0, got.1
    ))
}
