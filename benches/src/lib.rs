//! What the benchmarks share: VMs with libraries, the patched module, worlds of
//! a given size.

#![forbid(unsafe_code)]

mod fit;

use std::fmt::Write as _;
use std::time::Duration;

pub use fit::Fit;

use moonswap_vm::planning::{Patch, Policy, Report};
use moonswap_vm::{Keep, Machine, Outcome, View};

/// Chunk name of the module that is patched.
pub const CHUNK: &str = "@world.lua";

/// How much there is for a commit to be slowed down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Live tables on the heap.
    pub tables: usize,
    /// Live closures of the first changed function.
    pub closures: usize,
    /// Functions of the module that change, all of them.
    pub functions: usize,
    /// Functions of the module that stay as they are.
    pub unchanged: usize,
    /// Coroutines suspended in the first changed function.
    pub coroutines: usize,
}

/// Little of everything.
pub const SMALL: World = World {
    tables: 1_000,
    closures: 1,
    functions: 1,
    unchanged: 0,
    coroutines: 0,
};

/// A VM with all libraries.
pub fn machine() -> Machine {
    let machine = Machine::new();
    let opened = machine.with(|cx| moonswap_stdlib::open_all(cx).is_ok());
    assert!(opened, "the libraries do not open");
    machine
}

/// Runs a chunk; `module` makes it patchable with all of its locals.
///
/// # Panics
/// With Lua's message, if it does not compile or fails.
pub fn run(machine: &Machine, chunk: &str, source: &str, module: bool) {
    let keep = match module {
        true => Keep::Module,
        false => Keep::Captured,
    };
    let failure = machine.with(|cx| -> Outcome<Option<String>> {
        let failed = !cx.load(source.as_bytes(), chunk.as_bytes(), "t", keep)?
            || cx.pcall(0, Some(0))?.is_err();
        if !failed {
            return Ok(None);
        }
        cx.push_tostring(cx.height() - 1)?;
        Ok(Some(match cx.at(cx.height() - 1) {
            View::String(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            _ => String::new(),
        }))
    });
    match failure {
        Ok(None) => {}
        Ok(Some(message)) => panic!("{chunk}: {message}"),
        Err(_) => panic!("{chunk}: stopped"),
    }
}

/// Text of the patched module: version `version` of its functions. The first is
/// the closure that `M.make` returns.
pub fn module(size: World, version: usize) -> String {
    let mut text = String::from(
        "local M = {}\nlocal total = 0\nfunction M.make()\n  local n = 0\n  return function(x)\n",
    );
    let _ = writeln!(
        text,
        "    n = n + x\n    total = total + 1\n    if x < 0 then coroutine.yield() end\n    return {version}, n\n  end\nend"
    );
    for i in 1..size.functions {
        let _ = writeln!(
            text,
            "function M.f{i}(x)\n  if x > {i} then\n    total = total + x * {version}\n  end\n  return x + {version}\nend"
        );
    }
    for i in 0..size.unchanged {
        let _ = writeln!(text, "function M.g{i}(x)\n  return x + total + {i}\nend");
    }
    text.push_str("MODULE = M\n");
    text
}

/// The compiled patch to version `version` of the module.
///
/// # Panics
/// If the generated text does not compile.
pub fn patch(size: World, version: usize) -> Patch {
    match Patch::compile(CHUNK, module(size, version).as_bytes()) {
        Ok(patch) => patch,
        Err(e) => panic!("{e:?}"),
    }
}

/// A VM with version 1 of the module loaded and the world filled.
pub fn world(size: World) -> Machine {
    let machine = machine();
    run(&machine, CHUNK, &module(size, 1), true);
    let fill = format!(
        "TABLES, CLOSURES, COROUTINES = {{}}, {{}}, {{}}
         for i = 1, {} do TABLES[i] = {{ x = i, y = i * 2 }} end
         for i = 1, {} do CLOSURES[i] = MODULE.make() end
         for i = 1, {} do
           COROUTINES[i] = coroutine.create(MODULE.make())
           coroutine.resume(COROUTINES[i], -1)
         end
         collectgarbage() collectgarbage()",
        size.tables, size.closures, size.coroutines
    );
    run(&machine, "=fill", &fill, false);
    machine
}

/// Applies a patch on the VM's thread.
///
/// # Panics
/// If it is refused.
pub fn apply(machine: &Machine, patch: &Patch) -> Report {
    match machine.with(|cx| cx.hot_apply(patch, &Policy::default())) {
        Ok(report) => report,
        Err(e) => panic!("{e}"),
    }
}

/// CPU time of this thread; the time that passes where that is not known.
pub fn cpu_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            time.tv_nsec.unsigned_abs() as u32,
        )
    }
    #[cfg(not(unix))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// Median, 99th percentile and maximum.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Lower quartile.
    pub p25: Duration,
    /// Median.
    pub p50: Duration,
    /// Upper quartile.
    pub p75: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Largest.
    pub max: Duration,
}

impl Summary {
    /// Of at least one sample.
    pub fn of(mut samples: Vec<Duration>) -> Summary {
        samples.sort_unstable();
        let at = |q: f64| {
            samples
                .get(((samples.len() as f64 * q) as usize).min(samples.len() - 1))
                .copied()
                .unwrap_or_default()
        };
        Summary {
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// Microseconds with one decimal.
pub fn micros(d: Duration) -> String {
    format!("{:.1}", d.as_secs_f64() * 1e6)
}
