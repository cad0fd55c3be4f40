//! The coverage score: of the twelve ways in which a program can hold a
//! function, how many run the new code after a change, keep the function's
//! identity, keep its state; and how long the change takes. For moonswap, and in
//! the reference interpreter for the two things people do there: `require` again,
//! and a reload that walks the heap (`benches/coverage`, where the ways are
//! described too).
//!
//! `coverage [--quick] [--reference lua5.4]` prints one table; exit code 1 when
//! moonswap does not do all twelve in full.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Instant;

use moonswap::prelude::*;

/// Ways there are.
const WAYS: usize = 12;

/// One tool that changes a running module.
struct Tool {
    name: &'static str,
    /// First argument of `ways.lua`.
    argument: &'static str,
    in_moonswap: bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "moonswap",
        argument: "moonswap",
        in_moonswap: true,
    },
    Tool {
        name: "require again",
        argument: "require",
        in_moonswap: false,
    },
    Tool {
        name: "heap walk",
        argument: "walk",
        in_moonswap: false,
    },
];

/// A way: new code, identity, state.
type Score = [bool; 3];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("coverage")
}

/// Runs `ways.lua` and answers what it printed.
fn run(tool: &Tool, reference: &str, more: &[String]) -> Result<String, String> {
    let script = folder().join("ways.lua");
    if tool.in_moonswap {
        return in_moonswap(&script, tool, more).map_err(|e| e.to_string());
    }
    let output = Command::new(reference)
        .arg(&script)
        .arg(tool.argument)
        .args(more)
        .output()
        .map_err(|e| format!("{reference}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn in_moonswap(script: &Path, tool: &Tool, more: &[String]) -> moonswap::Result<String> {
    let source = std::fs::read(script).map_err(|e| Error::runtime(e.to_string()))?;
    let lua = Lua::new();
    let globals = lua.globals();
    let arguments = lua.create_table()?;
    arguments.set(0, script.to_string_lossy().into_owned())?;
    arguments.set(1, tool.argument)?;
    for (i, argument) in (2..).zip(more) {
        arguments.set(i, argument.as_str())?;
    }
    globals.set("arg", arguments)?;

    let swap = |lua: &Lua, (chunk, text): (String, String)| {
        lua.hot().apply_source(&chunk, text)?;
        Ok(())
    };
    globals.set("SWAP", lua.create_function(swap)?)?;
    // What a host holds: handles that no Lua code can see.
    let handles: Rc<RefCell<Vec<Function>>> = Rc::default();
    let held = Rc::clone(&handles);
    let hold = move |_: &Lua, f: Function| {
        handles.borrow_mut().push(f);
        Ok(handles.borrow().len())
    };
    globals.set("HOLD", lua.create_function(hold)?)?;
    let give = move |_: &Lua, i: usize| Ok(held.borrow().get(i.wrapping_sub(1)).cloned());
    globals.set("HELD", lua.create_function(give)?)?;
    let start = Instant::now();
    let clock = move |_: &Lua, ()| Ok(start.elapsed().as_secs_f64());
    globals.set("CLOCK", lua.create_function(clock)?)?;
    let printed = Rc::new(RefCell::new(String::new()));
    let out = Rc::clone(&printed);
    let print = move |_: &Lua, line: String| {
        out.borrow_mut().push_str(&line);
        out.borrow_mut().push('\n');
        Ok(())
    };
    globals.set("print", lua.create_function(print)?)?;
    lua.load(source)
        .set_name(format!("@{}", script.display()))
        .exec()?;
    let text = printed.borrow().clone();
    Ok(text)
}

/// `name  1 0 1` → the name and the score.
fn parse(line: &str) -> Option<(String, Score)> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let mut score = [false; 3];
    for place in score.iter_mut().rev() {
        *place = words.pop()? == "1";
    }
    Some((words.join(" "), score))
}

fn main() -> ExitCode {
    let mut is_quick = false;
    let mut reference = "lua5.4".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => is_quick = true,
            "--reference" => reference = arguments.next().unwrap_or(reference),
            other => {
                eprintln!("coverage: {other}? [--quick] [--reference lua5.4]");
                return ExitCode::FAILURE;
            }
        }
    }

    let mut columns = Vec::new();
    for tool in &TOOLS {
        match run(tool, &reference, &[]) {
            Ok(text) => columns.push((
                tool,
                text.lines()
                    .filter_map(parse)
                    .collect::<Vec<(String, Score)>>(),
            )),
            Err(e) if tool.in_moonswap => {
                eprintln!("{}: {e}", tool.name);
                return ExitCode::FAILURE;
            }
            Err(e) => println!("{} is left out: {e}", tool.name),
        }
    }
    let Some((_, ours)) = columns.first() else {
        return ExitCode::FAILURE;
    };
    println!("After a change of the module a function is from, by the way it is held:");
    println!("C runs the new code, I is the same object, S keeps its state\n");
    print!("{:22}", "");
    for (tool, _) in &columns {
        print!("{:>16}", tool.name);
    }
    println!();
    for (i, (way, _)) in ours.iter().enumerate() {
        print!("{way:22}");
        for (_, ways) in &columns {
            let score = ways.get(i).map_or([false; 3], |(_, score)| *score);
            let letters: String = ["C", "I", "S"]
                .iter()
                .zip(score)
                .map(|(letter, yes)| if yes { letter } else { "-" })
                .collect();
            print!("{letters:>16}");
        }
        println!();
    }
    let count = |ways: &[(String, Score)], test: &dyn Fn(&Score) -> bool| {
        ways.iter().filter(|(_, score)| test(score)).count()
    };
    type Test<'a> = (&'a str, &'a dyn Fn(&Score) -> bool);
    let tests: [Test<'_>; 4] = [
        ("new code", &|s| s[0]),
        ("identity", &|s| s[1]),
        ("state", &|s| s[2]),
        ("all three", &|s| *s == [true; 3]),
    ];
    println!();
    for (what, test) in tests {
        print!("{what:22}");
        for (_, ways) in &columns {
            print!("{:>16}", format!("{} of {WAYS}", count(ways, test)));
        }
        println!();
    }
    let is_full = ours.len() == WAYS && count(ours, &|s| *s == [true; 3]) == WAYS;

    println!("\nOne change, compiling included, µs p50 / p99 (CPU time in the reference):\n");
    let sizes: &[(usize, usize)] = if is_quick {
        &[(1_000, 20), (10_000, 10)]
    } else {
        &[(1_000, 200), (100_000, 50), (1_000_000, 20)]
    };
    for &(objects, samples) in sizes {
        print!("{:22}", format!("{objects} tables"));
        for (tool, _) in &columns {
            let more = [objects.to_string(), samples.to_string()];
            let cell = match run(tool, &reference, &more) {
                Ok(text) => {
                    let mut words = text.split_whitespace();
                    let (p50, p99) = (words.next(), words.next());
                    format!("{} / {}", p50.unwrap_or("?"), p99.unwrap_or("?"))
                }
                Err(e) => {
                    eprintln!("{}: {e}", tool.name);
                    return ExitCode::FAILURE;
                }
            };
            print!("  {cell:>20}");
        }
        println!();
    }
    if is_full {
        ExitCode::SUCCESS
    } else {
        println!("\nFAIL: moonswap is to do all {WAYS} ways in full");
        ExitCode::FAILURE
    }
}
