//! How long single steps of the collector are, with 10^6 live objects or as many as are asked for.
//!
//! `gc_steps [OBJECTS] [--only NAME]` builds and then churns one heap per line and prints
//! p50/p99/max of the steps, the longest gap between two calls of a native that
//! the program makes all the time (steps, and everything else that stops Lua:
//! rehashes, calls of the system), and the cycles. The steps of the lines
//! marked with a bar must not exceed 1 ms (exit code 1). Times are CPU times of
//! the thread; `--wall` takes the time that passes, other programs included.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moonswap_benches::{cpu_time, machine, run};
use moonswap_vm::GcClock;

const BAR: Duration = Duration::from_millis(1);

/// One heap. `N` and `tick` are given; `all` is prepared before the clock runs.
struct Program {
    name: &'static str,
    has_bar: bool,
    build: &'static str,
    churn: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "objects {x=,y=}",
        has_bar: true,
        build: "for i = 1, N do all[i] = { x = i, y = i * 2 } tick() end",
        churn: "local r = 1 for i = 1, 4 * N do r = (r * 1103515245 + 12345) & 0x7fffffff all[r % N + 1] = { x = i, y = r } tick() end",
    },
    Program {
        name: "strings",
        has_bar: true,
        build: "for i = 1, N do all[i] = 'key' .. i tick() end",
        churn: "local r = 1 for i = 1, 3 * N do r = (r * 1103515245 + 12345) & 0x7fffffff all[r % N + 1] = 'new' .. i tick() end",
    },
    Program {
        name: "strings that die",
        has_bar: true,
        build: "for i = 1, N do all[i] = 'key' .. i tick() end",
        churn: "for i = 1, N do all[i] = false tick() end for i = 1, 4 * N do local t = { i } tick() end",
    },
    Program {
        name: "closures",
        has_bar: true,
        build: "for i = 1, N do local n = i all[i] = function() n = n + 1 return n end tick() end",
        churn: "local r = 1 for i = 1, 2 * N do r = (r * 1103515245 + 12345) & 0x7fffffff all[r % N + 1] = function() return i end tick() end",
    },
    Program {
        name: "weak values",
        has_bar: false,
        build: "weak = setmetatable({}, { __mode = 'v' }) for i = 1, N do local o = { i } all[i] = o weak['k' .. i] = o tick() end",
        churn: "for i = 1, 4 * N do local t = { i } tick() end",
    },
    Program {
        name: "ephemerons",
        has_bar: false,
        build: "weak = setmetatable({}, { __mode = 'k' }) for i = 1, N do local o = { i } all[i] = o weak[o] = i tick() end",
        churn: "for i = 1, 4 * N do local t = { i } tick() end",
    },
    Program {
        name: "finalizers",
        has_bar: false,
        build: "local m = { __gc = function() end } for i = 1, N do all[i] = setmetatable({ i }, m) tick() end",
        churn: "for i = 1, 4 * N do local t = { i } tick() end",
    },
    Program {
        name: "suspended coroutines",
        has_bar: false,
        build: "for i = 1, N // 10 do local co = coroutine.wrap(coroutine.yield) co() all[i] = co tick() end",
        churn: "for i = 1, 4 * N do local t = { i } tick() end",
    },
];

fn millis(d: Duration) -> String {
    format!("{:.3}", d.as_secs_f64() * 1e3)
}

/// Prints a line per phase; the longest step.
fn measure(program: &Program, n: usize, clock: GcClock) -> Duration {
    let machine = machine();
    machine.set_gc_clock(clock);
    let last = Rc::new(Cell::new(clock()));
    let gap = Rc::new(Cell::new(Duration::ZERO));
    machine.with(|cx| {
        let (last, gap) = (Rc::clone(&last), Rc::clone(&gap));
        cx.push_globals();
        cx.push_boxed(
            "tick",
            Box::new(move |_| {
                let now = clock();
                gap.set(gap.get().max(now - last.replace(now)));
                Ok(0)
            }),
        );
        let _ = cx.raw_set_field(0, "tick");
    });
    let head = format!("N = {n} all = {{}} for i = 1, N do all[i] = false end");
    run(&machine, "=head", &head, false);
    let mut longest = Duration::ZERO;
    for (phase, text) in [("build", program.build), ("churn", program.churn)] {
        machine.reset_gc_stats();
        gap.set(Duration::ZERO);
        last.set(clock());
        run(
            &machine,
            "=program",
            &format!("local all, N, tick = all, N, tick {text}"),
            false,
        );
        let stats = machine.gc_stats();
        longest = longest.max(stats.longest_step);
        println!(
            "{:22}{phase:7}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>10}{}",
            program.name,
            stats.cycles,
            stats.n_steps,
            millis(stats.quantile(0.5)),
            millis(stats.quantile(0.99)),
            millis(stats.longest_step),
            millis(stats.total),
            millis(gap.get()),
            match (program.has_bar, stats.longest_step > BAR) {
                (true, false) => "  bar 1 ms: met",
                (true, true) => "  bar 1 ms: EXCEEDED",
                (false, _) => "",
            }
        );
    }
    longest
}

fn wall_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn main() -> ExitCode {
    let n = std::env::args()
        .skip(1)
        .find_map(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let only = std::env::args().skip_while(|a| a != "--only").nth(1);
    let is_wall = std::env::args().any(|a| a == "--wall");
    let clock: GcClock = if is_wall { wall_time } else { cpu_time };
    println!(
        "{n} live objects; milliseconds of {}",
        if is_wall { "wall time" } else { "CPU time" }
    );
    println!(
        "{:22}{:7}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>10}",
        "heap", "phase", "cycles", "steps", "p50", "p99", "max", "total", "gap"
    );
    let mut exceeded = false;
    let is_wanted = |program: &&Program| {
        only.as_ref()
            .is_none_or(|only| program.name.contains(&**only))
    };
    for program in PROGRAMS.iter().filter(is_wanted) {
        let longest = measure(program, n, clock);
        exceeded |= program.has_bar && longest > BAR;
    }
    if exceeded {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
