//! All scenario files, each with every fault in each of its patches: until one
//! comes too late, the patch is refused and nothing has changed; then the
//! scenario goes on as if nothing had been.
//!
//! A scenario for which that means nothing says so: `--- not faults: WHY`.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use moonswap_vm::HotError;
use moonswap_vm::planning::{Patch, Policy, Report};

use moonswap_harness::Cases;

use crate::fault::{Fault, difference, tries_all};
use crate::modes::{Scenario, add_mode};
use crate::scenario::{NOTHING, carry_out_by};
use crate::world::World;

const FAULTS: [Fault; 5] = [
    Fault::Allocation,
    Fault::Memory(512),
    Fault::Fuel,
    Fault::Interrupt,
    Fault::Deadline,
];

/// Given as the error of a patch that was committed before the fault tripped: what
/// the rest of the scenario expects may not have happened.
const BEHIND: &str = "behind the commit";

/// Applies a patch, with one fault after the other before.
fn apply(
    world: &World,
    patch: &Patch,
    policy: &Policy,
    fault: Fault,
    n_tripped: &Cell<u64>,
) -> Result<Report, HotError> {
    let printed = world.printed();
    world.state();
    let before = world.state();
    let mut k = 1;
    loop {
        let attempt = || world.machine.with(|cx| cx.hot_apply(patch, policy));
        let (outcome, came) = world.trip(fault, k, attempt);
        let is_cause = |text: &str| text.contains(fault.cause());
        match &outcome {
            Ok(report) => {
                if came || report.warnings.iter().any(|text| is_cause(text)) {
                    return Err(HotError::Other(BEHIND.to_owned()));
                }
                world.print_anew(&format!("{printed}{}", world.printed()));
                return outcome;
            }
            Err(error) => {
                let after = world.state();
                if before != after {
                    let difference = difference(&before, &after);
                    let text = format!("{fault:?} {k}: {error}: something changed\n{difference}");
                    return Err(HotError::Other(text));
                }
                world.print_anew("");
                if !came && !is_cause(&error.to_string()) {
                    // Does it fail by itself?
                    let outcome = attempt();
                    match &outcome {
                        Err(clean) if clean.to_string() == error.to_string() => {
                            world.print_anew(&format!("{printed}{}", world.printed()));
                            return outcome;
                        }
                        // The code may have made another error of it.
                        Err(_) => world.print_anew(""),
                        Ok(_) => {
                            let text = format!("{fault:?} {k}: the cause is not named: {error}");
                            return Err(HotError::Other(text));
                        }
                    }
                }
            }
        }
        n_tripped.set(n_tripped.get() + 1);
        k += if tries_all() || k < 32 { 1 } else { k / 8 };
        if k > 100_000 {
            return Err(HotError::Other(format!("{fault:?}: no end")));
        }
    }
}

/// Faults that tripped, in all scenarios.
static TRIPPED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn add(cases: &mut Cases) {
    let has_patch = |s: &Scenario| s.has("patch");
    add_mode(cases, "faults", 4, has_patch, |scenario| {
        let n_tripped = Cell::new(0);
        let failed = FAULTS.iter().find_map(|&fault| {
            let world = World::new();
            let apply = |world: &World, patch: Patch, policy: Policy| {
                apply(world, &patch, &policy, fault, &n_tripped)
            };
            let why = carry_out_by(&world, &scenario.sections, &apply).err()?;
            if why == NOTHING || why.contains(BEHIND) {
                return None;
            }
            Some(format!("{fault:?}: {why}"))
        });
        TRIPPED.fetch_add(n_tripped.get(), Relaxed);
        failed.map_or(Ok(()), Err)
    });
    cases.at_end(|| match TRIPPED.load(Relaxed) {
        n @ 0..=3000 => Err(format!("only {n} faults in all scenarios")),
        n => {
            println!("{n} faults in the scenarios' patches");
            Ok(())
        }
    });
}
