//! The memory of hosts: loops of what servers do with a VM, and a long soak.
//!
//! `hosts NAME [TURNS]` runs one loop and prints the process's peak and the VM's
//! account in KiB; `hosts list` prints the names. `hosts soak [CALLS]` makes so many
//! calls (10^8 without) of a server; after a tenth of them resident memory must
//! stay within 5 % and a MiB of what it is then (exit code 1).
//! `hosts_mlua` runs the same loops with mlua.

#![forbid(unsafe_code)]

mod soak;

use std::process::ExitCode;

use moonswap::{Function, Lua, ObjectLike, Result, Table};

include!("loops.in");

/// The loops that mlua has nothing for.
const OWN_LOOPS: &[Loop] = &[("patches", "return print", |lua, _, i| match i {
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
})];

/// The text of a module whose function adds `n`.
fn module(n: usize) -> String {
    format!(
        "local M = {{}} function M.f(a) return a + {n} end function M.g(a) return M.f(a) * 2 end return M"
    )
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let loops = [LOOPS, OWN_LOOPS].concat();
    let number = number(arguments.get(1));
    exit_code(match arguments.first().map(String::as_str) {
        Some("list") => {
            loops.iter().for_each(|(name, ..)| println!("{name}"));
            Ok(true)
        }
        Some("soak") => soak::soak(number.unwrap_or(100_000_000)),
        Some(name) => {
            let account = |lua: &Lua| lua.machine().system_memory();
            run_loop(&loops, name, number.unwrap_or(TURNS), account)
        }
        None => {
            eprintln!("hosts list | hosts NAME [TURNS] | hosts soak [CALLS]");
            Ok(false)
        }
    })
}
