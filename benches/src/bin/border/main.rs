//! What it costs to cross from Rust to Lua and back, row by row.
//!
//! `border [--only NAME] [--rounds N]` prints nanoseconds per turn: the smallest of the
//! rounds. With the feature `mlua` (which builds Lua's C code) each row is timed for
//! mlua as well, the two in turns, and the ratios are compared with the bars:
//! geometric mean at most 0.8, none above 1.3 (exit code 1).

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

mod with_moonswap {
    use moonswap as api;
    use moonswap::{
        FromLua, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, Result, Table, Thread,
        UserData, UserDataFields, UserDataMethods, Value, Variadic,
    };

    include!("rows.in");
}

#[cfg(feature = "mlua")]
mod with_mlua {
    use mlua as api;
    use mlua::{
        FromLua, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, Result, Table, Thread,
        UserData, UserDataFields, UserDataMethods, Value, Variadic,
    };

    include!("rows.in");
}

/// How long one measurement is to take.
const TIME: Duration = Duration::from_millis(10);

/// Something that is timed: how many turns take [`TIME`], and the best so far.
struct Timed {
    turns: Box<dyn FnMut(u32)>,
    n: u32,
    best: f64,
}

impl Timed {
    fn new(mut turns: Box<dyn FnMut(u32)>) -> Self {
        let mut n = 1;
        loop {
            let start = Instant::now();
            turns(n);
            let took = start.elapsed();
            if took > TIME / 4 || n > 1 << 28 {
                let per_turn = took.as_secs_f64() / f64::from(n);
                let n = (TIME.as_secs_f64() / per_turn).max(1.0) as u32;
                return Self {
                    turns,
                    n,
                    best: f64::INFINITY,
                };
            }
            n *= 4;
        }
    }

    fn measure(&mut self) {
        let start = Instant::now();
        (self.turns)(self.n);
        let nanos = start.elapsed().as_secs_f64() * 1e9 / f64::from(self.n);
        self.best = self.best.min(nanos);
    }
}

fn main() -> ExitCode {
    let argument = |name| std::env::args().skip_while(move |a| a != name).nth(1);
    let only = argument("--only");
    let rounds = argument("--rounds")
        .and_then(|n| n.parse().ok())
        .unwrap_or(9);
    let mut ratios: Vec<(f64, &str)> = Vec::new();
    println!(
        "{:28}{:>10}{:>10}{:>8}",
        "nanoseconds", "moonswap", "mlua", "ratio"
    );
    for (i, (name, make)) in with_moonswap::ROWS.iter().enumerate() {
        if only.as_ref().is_some_and(|only| !name.contains(&**only)) {
            continue;
        }
        let mut ours = Timed::new(make().unwrap_or_else(|error| panic!("{name}: {error}")));
        let mut theirs = mlua_row(i).map(Timed::new);
        for _ in 0..rounds {
            ours.measure();
            if let Some(theirs) = &mut theirs {
                theirs.measure();
            }
        }
        match theirs {
            None => println!("{name:28}{:10.1}", ours.best),
            Some(theirs) => {
                let ratio = ours.best / theirs.best;
                println!("{name:28}{:10.1}{:10.1}{ratio:8.2}", ours.best, theirs.best);
                ratios.push((ratio, name));
            }
        }
    }
    if ratios.is_empty() {
        return ExitCode::SUCCESS;
    }
    let mean =
        (ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let above: Vec<&str> = ratios
        .iter()
        .filter(|(ratio, _)| *ratio > 1.3)
        .map(|(_, name)| *name)
        .collect();
    println!(
        "geometric mean of {} rows: {mean:.2} (bar 0.8)",
        ratios.len()
    );
    println!(
        "above 1.3: {}",
        if above.is_empty() {
            "none".to_owned()
        } else {
            above.join(", ")
        }
    );
    match mean <= 0.8 && above.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[cfg(feature = "mlua")]
fn mlua_row(i: usize) -> Option<Box<dyn FnMut(u32)>> {
    let (name, make) = with_mlua::ROWS[i];
    Some(make().unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[cfg(not(feature = "mlua"))]
fn mlua_row(_: usize) -> Option<Box<dyn FnMut(u32)>> {
    None
}
