//! The loops of `hosts` with mlua, and Lua programs: what `benches/memory.py` compares
//! moonswap with.
//!
//! `hosts_mlua NAME [TURNS]` and `hosts_mlua list` are as those of `hosts`, but for the
//! loops that swap functions. `hosts_mlua run FILE [ARGUMENT...]` runs a program.
//!
//! `cargo build --release -p moonswap-benches --features mlua --bin hosts_mlua`

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use mlua::{Function, Lua, Result, Table};

include!("hosts/loops.in");

/// Runs a file, with `arg` as an interpreter sets it.
fn run_file(arguments: &[String]) -> Result<bool> {
    let Some(file) = arguments.first() else {
        eprintln!("hosts_mlua run FILE [ARGUMENT...]");
        return Ok(false);
    };
    let lua = Lua::new();
    let arg = lua.create_table()?;
    for (i, argument) in arguments.iter().enumerate() {
        arg.set(i, &**argument)?;
    }
    lua.globals().set("arg", arg)?;
    lua.load(Path::new(file)).exec()?;
    Ok(true)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    exit_code(match arguments.first().map(String::as_str) {
        Some("list") => {
            LOOPS.iter().for_each(|(name, ..)| println!("{name}"));
            Ok(true)
        }
        Some("run") => run_file(&arguments[1..]),
        Some(name) => {
            let turns = number(arguments.get(1)).unwrap_or(TURNS);
            run_loop(LOOPS, name, turns, Lua::used_memory)
        }
        None => {
            eprintln!(
                "hosts_mlua list | hosts_mlua NAME [TURNS] | hosts_mlua run FILE [ARGUMENT...]"
            );
            Ok(false)
        }
    })
}
