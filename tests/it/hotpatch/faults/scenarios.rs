//! All scenario files, each with every fault in each of its patches: until one
//! comes too late, the patch is refused and nothing has changed; then the
//! scenario goes on as if nothing had been.
//!
//! A scenario for which that means nothing says so: `--- not faults: WHY`.

use std::cell::Cell;

use moonswap_vm::HotError;
use moonswap_vm::planning::{Patch, Policy, Report};

use super::{Fault, difference, tries_all};
use crate::hotpatch::modes::{assert_none, scenarios};
use crate::hotpatch::scenarios::{NOTHING, carry_out_by};
use crate::hotpatch::world::World;
use crate::support::in_parallel;

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

#[test]
fn scenarios_with_faults() {
    let (mut all, opted_out) = scenarios("faults");
    all.retain(|(_, sections, _)| sections.iter().any(|s| s.kind == "patch"));
    let results = in_parallel(&all, |(name, sections, _)| {
        let n_tripped = Cell::new(0);
        let failed = FAULTS.iter().find_map(|&fault| {
            let world = World::new();
            let apply = |world: &World, patch: Patch, policy: Policy| {
                apply(world, &patch, &policy, fault, &n_tripped)
            };
            let why = carry_out_by(&world, sections, &apply).err()?;
            if why == NOTHING || why.contains(BEHIND) {
                return None;
            }
            Some(format!("{name}, {fault:?}: {why}"))
        });
        (failed, n_tripped.get())
    });
    let n: u64 = results.iter().map(|(_, n)| n).sum();
    println!("{n} faults");
    assert!(
        opted_out * 4 < all.len() || all.len() < 50,
        "{opted_out} opt out"
    );
    assert_none(results.into_iter().map(|(failed, _)| failed).collect());
    assert!(n > 3000 || all.len() < 50, "{n} faults only");
}
