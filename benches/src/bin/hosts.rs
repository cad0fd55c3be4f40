//! The memory of hosts: loops of what servers do with a VM, and a long soak.
//!
//! `hosts NAME [TURNS]` runs one loop and prints the process's peak and the VM's
//! account in KiB; `hosts list` prints the names. `hosts soak [CALLS]` makes so many
//! calls (10^8 without) of a server that uses strings, tables, closures, files,
//! finalizers, coroutines and patches; after a tenth of them resident memory must
//! stay within 5 % and a MiB of what it is then (exit code 1).

#![forbid(unsafe_code)]

use std::process::ExitCode;

use moonswap::{Function, Lua, ObjectLike, Result, Table, Value};

/// A loop: its name and what one turn does with the VM and its prepared function.
type Turn = fn(&Lua, &Function, usize) -> Result<()>;

const LOOPS: &[(&str, &str, Turn)] = &[
    ("calls", "return function(i) return i end", |_, f, i| {
        f.call::<usize>(i).map(drop)
    }),
    (
        "calls-allocate",
        "return function(i) return { i, 'x' .. i } end",
        |_, f, i| f.call::<Table>(i).map(drop),
    ),
    ("calls-library", "return string.rep", |_, f, i| {
        f.call::<String>(("text", i % 50)).map(drop)
    }),
    ("calls-rust", "return string.rep", |lua, _, i| {
        let function = lua.create_function(move |_, n: usize| Ok(n + i))?;
        function.call::<usize>(1).map(drop)
    }),
    ("create-table", "return print", |lua, _, i| {
        let table = lua.create_table()?;
        table.set("key", i)
    }),
    ("create-string", "return print", |lua, _, i| {
        lua.create_string(format!("a string that is number {i}"))
            .map(drop)
    }),
    ("set-strings", "return print", |lua, _, i| {
        lua.globals().set("field", format!("value {i}"))
    }),
    ("errors", "return error", |_, f, i| {
        let failed = f.call::<()>(format!("error {i}")).is_err();
        assert!(failed, "error returns");
        Ok(())
    }),
    (
        "coroutines",
        "return function(i) coroutine.yield(i) end",
        |lua, f, i| lua.create_thread(f.clone())?.resume::<usize>(i).map(drop),
    ),
    ("evaluations", "return print", |lua, _, _| {
        lua.load("1 + 1").eval::<i64>().map(drop)
    }),
    ("named-chunks", "return print", |lua, _, i| {
        let chunk = lua.load("1 + 1").set_name(format!("@request {i}.lua"));
        chunk.eval::<i64>().map(drop)
    }),
    (
        "finalizers",
        "local class = { __gc = function() end } return function(i) return setmetatable({ i }, class) end",
        |_, f, i| f.call::<Table>(i).map(drop),
    ),
    (
        "files",
        "return function(name) local f = assert(io.open(name)) local s = f:read 'a' f:close() return s end",
        |_, f, _| f.call::<String>("/proc/self/comm").map(drop),
    ),
    (
        "joined",
        "return function(i) local s = '' for k = 1, 10 do s = s .. k .. ' of ' .. i end return s end",
        |_, f, i| f.call::<String>(i).map(drop),
    ),
    ("patches", "return print", |lua, _, i| match i {
        0 => {
            let module = lua.load(module(0)).set_name("@module.lua");
            lua.globals().set("module", module.eval::<Table>()?)
        }
        _ if i % 1000 == 0 => {
            lua.hot().apply_source("@module.lua", module(i))?;
            let module: Table = lua.globals().get("module")?;
            assert_eq!(module.call_function::<usize>("g", 1)?, 2 * (1 + i));
            Ok(())
        }
        _ => Ok(()),
    }),
];

/// The text of a module whose function adds `n`.
fn module(n: usize) -> String {
    format!(
        "local M = {{}} function M.f(a) return a + {n} end function M.g(a) return M.f(a) * 2 end return M"
    )
}

/// The server of the soak: a request of each kind by turns.
const SERVER: &str = r#"
local M, sessions, finalised = {}, {}, 0
local class = { __gc = function(o) finalised = finalised + 1 end }
local name = os.tmpname()
do local f = assert(io.open(name, "w")) f:write "a line\n" f:close() end
function M.strings(i) return ("request %d"):format(i) .. ("x"):rep(i % 60) end
function M.tables(i) local t = { id = i, list = { i, i + 1 } } sessions[i % 1000 + 1] = t return #t.list end
function M.closures(i) local n = i return (function() n = n + 1 return n end)() end
function M.files(i) if i % 64 == 0 then local f <close> = assert(io.open(name)) return f:read "l" end return "" end
function M.finalizers(i) return setmetatable({ i }, class)[1] end
function M.coroutines(i) local co = coroutine.wrap(function(a) coroutine.yield(a + 1) end) return co(i) end
function M.parse(i) local n = 0 for w in ("a=1,b=2,c=" .. i):gmatch "%w+" do n = n + #w end return n end
function M.stop() os.remove(name) return finalised end
return M
"#;

/// A value of `/proc/self/status` in KiB; 0 where there is none.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.trim_matches([':', '\t', ' ']).split(' ').next());
    number.and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn run_loop(name: &str, turns: usize) -> Result<bool> {
    let Some((_, prepare, turn)) = LOOPS.iter().find(|(known, ..)| *known == name) else {
        eprintln!("hosts: no loop '{name}'; `hosts list` lists them");
        return Ok(false);
    };
    let lua = Lua::new();
    let function: Function = lua.load(*prepare).eval()?;
    let mut account = 0;
    for i in 0..turns {
        turn(&lua, &function, i)?;
        if i % 1024 == 0 {
            account = account.max(lua.machine().system_memory());
        }
    }
    println!("peak {} account {}", status("VmHWM"), account >> 10);
    Ok(true)
}

fn soak(calls: usize) -> Result<bool> {
    let lua = Lua::new();
    let server: Table = lua.load(SERVER).set_name("@server.lua").eval()?;
    let names = [
        "strings",
        "tables",
        "closures",
        "files",
        "finalizers",
        "coroutines",
        "parse",
    ];
    let handlers = names
        .iter()
        .map(|name| server.get::<Function>(*name))
        .collect::<Result<Vec<_>>>()?;
    let swap: Function = lua.load("return require 'moonswap'.swapstring").eval()?;
    let (mut warm, mut most) = (0, 0);
    let part = (calls / 100).max(1);
    for i in 0..calls {
        handlers[i % handlers.len()].call::<Value>(i)?;
        if i % 100_000 == 99_999 {
            let text = SERVER.replace("a + 1", &format!("a + {}", 1 + i / 100_000 % 7));
            swap.call::<Value>(("@server.lua", text))?;
        }
        if i % part == 0 {
            let resident = status("VmRSS");
            if i <= calls / 10 {
                warm = warm.max(resident);
            }
            most = most.max(resident);
            if i % (10 * part) == 0 {
                println!(
                    "{i:>10} calls: {resident} KiB resident, {} KiB on the account",
                    lua.machine().system_memory() >> 10
                );
            }
        }
    }
    let finalised: usize = server.call_function("stop", ())?;
    let is_flat = most <= warm + warm / 20 + 1024;
    println!(
        "{calls} calls, {finalised} finalizers: {warm} KiB when warm, {most} KiB at most: {}",
        if is_flat { "flat" } else { "GROWN" }
    );
    Ok(is_flat)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = arguments
        .get(1)
        .and_then(|n| n.parse::<f64>().ok())
        .map(|n| n as usize);
    let result = match arguments.first().map(String::as_str) {
        Some("list") => {
            LOOPS.iter().for_each(|(name, ..)| println!("{name}"));
            Ok(true)
        }
        Some("soak") => soak(number.unwrap_or(100_000_000)),
        Some(name) => run_loop(name, number.unwrap_or(1_000_000)),
        None => {
            eprintln!("hosts list | hosts NAME [TURNS] | hosts soak [CALLS]");
            Ok(false)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hosts: {error}");
            ExitCode::FAILURE
        }
    }
}
