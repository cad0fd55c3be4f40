//! Faults for tests: a limit, an interrupt, an allocation that fails, an error
//! raised, each at a chosen moment; and what a world must look like after them.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Instant;

use moonswap_vm::{Context, Outcome};

use crate::world::World;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The `k`-th allocation fails.
    Allocation,
    /// The memory limit leaves `k` portions of so many bytes.
    Memory(usize),
    /// Fuel for `k` steps.
    Fuel,
    /// An interrupt at the `k`-th safe point.
    Interrupt,
    /// The deadline passes at the `k`-th safe point.
    Deadline,
    /// The `k`-th call of the global function `fault` raises an error.
    Raise,
}

impl Fault {
    /// What the outcome must say.
    pub fn cause(self) -> &'static str {
        match self {
            Fault::Allocation | Fault::Memory(_) => "not enough memory",
            Fault::Fuel => "out of fuel",
            Fault::Interrupt => "interrupted!",
            Fault::Deadline => "deadline exceeded",
            Fault::Raise => "injected",
        }
    }
}

impl World {
    /// Makes a native a global. Patches may be committed while it calls back.
    pub fn set_global(
        &self,
        name: &'static str,
        f: impl Fn(&mut Context<'_>) -> Outcome<usize> + 'static,
    ) {
        self.machine.with(|cx| {
            cx.push_globals();
            cx.push_boxed(name, Box::new(f));
            cx.mark_transparent();
            let table = cx.height() - 2;
            assert!(cx.raw_set_field(table, name).is_ok(), "global");
        });
    }

    /// Does something while the `k`-th fault (from 1) of a kind is due; whether it
    /// tripped, as far as that can be told.
    pub fn trip<R>(&self, fault: Fault, k: u64, act: impl FnOnce() -> R) -> (R, bool) {
        let machine = &self.machine;
        match fault {
            Fault::Allocation => {
                machine.set_failing_allocation(k);
                let result = act();
                let came = !machine.is_failure_pending();
                machine.set_failing_allocation(0);
                (result, came)
            }
            Fault::Memory(portion) => {
                // Everything is given back that can be.
                machine.set_memory_limit(Some(1));
                let _ = self.run("local function f() end f()");
                let more = portion * (k as usize - 1);
                machine.set_memory_limit(Some(machine.system_memory() + more));
                let result = act();
                machine.set_memory_limit(None);
                (result, false)
            }
            Fault::Fuel => {
                machine.set_fuel(Some(k - 1));
                let result = act();
                let came = machine.with(|cx| cx.take_limit()).is_some();
                machine.set_fuel(None);
                (result, came)
            }
            Fault::Interrupt => {
                let interrupter = machine.interrupter();
                let result = self.at_safe_point(k, act, move |_| interrupter.interrupt());
                (result, false)
            }
            Fault::Deadline => {
                let handle = machine.clone();
                let pass = move |cx: &mut Context<'_>| {
                    cx.suspended(|| handle.set_deadline(Some(Instant::now())));
                };
                let result = self.at_safe_point(k, act, pass);
                machine.set_deadline(None);
                (result, false)
            }
            Fault::Raise => {
                self.raise_in(k);
                let result = act();
                let came = !self.is_raise_due();
                self.raise_in(0);
                (result, came)
            }
        }
    }

    /// Does something and `trip`s at the `k`-th safe point of it.
    pub fn at_safe_point<R>(
        &self,
        k: u64,
        act: impl FnOnce() -> R,
        trip: impl Fn(&mut Context<'_>) + 'static,
    ) -> R {
        let left = Cell::new(k);
        let hook = move |cx: &mut Context<'_>| {
            let n = left.get();
            left.set(n.saturating_sub(1));
            if n == 1 {
                trip(cx);
            }
        };
        let machine = &self.machine;
        machine.set_safe_point_hook(Some(Box::new(hook)));
        let result = act();
        machine.set_safe_point_hook(None);
        // One that came too late is not to trip later.
        let _ = self.run("local function f() end f()");
        let _ = machine.with(|cx| cx.take_limit());
        result
    }

    /// Everything that a patch which failed must leave as it was, as text.
    pub fn state(&self) -> String {
        let _ = self.machine.with(|cx| cx.gc_collect());
        let mut text = self.fingerprint();
        self.machine.with(|cx| {
            let _ = writeln!(text, "stale {:?}", cx.hot_frames(None));
            let _ = writeln!(text, "quarantine {:?}", cx.hot_quarantine());
            let _ = writeln!(text, "queued {}", cx.hot_queued());
            for chunk in cx.hot_chunks() {
                if chunk.starts_with('@') {
                    for source in cx.hot_sources(&chunk).into_iter().flatten() {
                        let _ = writeln!(text, "{chunk}: {}", String::from_utf8_lossy(&source));
                    }
                }
            }
        });
        text
    }
}

/// The lines by which two states differ.
pub fn difference(before: &str, after: &str) -> String {
    let only = |a: &str, b: &str| -> String {
        let lost: Vec<&str> = a.lines().filter(|line| !b.contains(line)).collect();
        lost.join("\n")
    };
    format!("- {}\n+ {}", only(before, after), only(after, before))
}

/// Without what counts attempts: a rollback gives back everything else.
pub fn without_numbers(state: &str) -> String {
    let counts = |line: &&str| line.starts_with("generation ") || line.starts_with("history ");
    let lines: Vec<&str> = state.lines().filter(|line| !counts(line)).collect();
    lines.join("\n")
}

/// Whether every fault of a long row is to be tried.
pub fn tries_all() -> bool {
    std::env::var("MOONSWAP_FAULTS").is_ok_and(|which| which == "all")
}
