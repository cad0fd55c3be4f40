//! Which globals a program has: what plans ask that cannot decide from the texts
//! whether a name is defined. Nothing of the program runs: tables are read raw.
//!
//! Invariants: HP2.

use std::sync::Arc;

use foldhash::HashSet;
use moonswap_hotpatch::{ChunkPlan, Globals, Report, Undefined, settle};

use super::planned::Planned;
use super::planned::find;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::apply::prepare;
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Instance, Table};
use crate::table;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Tables behind one another that are looked into.
const MOST_TABLES: usize = 8;
/// Names of a table that are looked at for one that may have been meant: a
/// program with more globals is not held up.
const MOST_NAMES: usize = 4096;

/// The environment of an instance.
struct Environment {
    /// Where globals are looked for, in order.
    tables: Vec<*mut Table>,
    /// What was asked and is there, or may be.
    there: HashSet<Arc<str>>,
}

impl Globals for Environment {
    fn has(&self, name: &str) -> bool {
        self.there.contains(name)
    }

    fn each(&self, see: &mut dyn FnMut(&str)) {
        for &t in &self.tables {
            let mut cursor = 0;
            for _ in 0..MOST_NAMES {
                // SAFETY: live tables (HP2); nothing is written meanwhile.
                let Some((next, key, _)) = (unsafe { table::next_at(t, cursor) }) else {
                    break;
                };
                cursor = next;
                if key.tag == tag::STRING {
                    // SAFETY: a live string.
                    let bytes = unsafe { crate::object::StringObject::bytes(key.as_string()) };
                    if let Ok(name) = std::str::from_utf8(bytes) {
                        see(name);
                    }
                }
            }
        }
    }
}

impl Environment {
    /// # Safety
    /// The instance is live.
    unsafe fn new(vm: &mut Vm, instance: Option<*mut Instance>, asked: &[Undefined]) -> Self {
        let names = || asked.iter().map(|one| Arc::clone(&one.name));
        // SAFETY: live instance (HP2).
        unsafe {
            let Some((tables, is_all)) = instance.and_then(|i| tables(vm, i)) else {
                // Its globals are where only its own code finds them.
                return Self {
                    tables: Vec::new(),
                    there: names().collect(),
                };
            };
            let mut there = HashSet::default();
            for name in names() {
                let key = vm.string_value(name.as_bytes());
                let is_there = |t: &*mut Table| table::get(*t, key).tag != tag::NIL;
                if !is_all || tables.iter().any(is_there) {
                    there.insert(name);
                }
            }
            Self { tables, there }
        }
    }
}

/// The tables in which the globals of an instance are, and whether these are all:
/// a function may know more.
///
/// # Safety
/// `instance` is live.
unsafe fn tables(vm: &Vm, instance: *mut Instance) -> Option<(Vec<*mut Table>, bool)> {
    // SAFETY: live instance; its environment is a live variable.
    unsafe {
        let environment = (*instance).environment;
        let mut at: Value = match environment.is_null() {
            true => return None,
            false => *(*environment).value,
        };
        let mut found = Vec::new();
        while at.tag == tag::TABLE && found.len() < MOST_TABLES {
            let t = at.as_table();
            if found.contains(&t) {
                return Some((found, true));
            }
            found.push(t);
            at = meta::fast(vm, (*t).metatable, Event::Index);
        }
        (!found.is_empty()).then_some((found, at.tag == tag::NIL))
    }
}

/// Settles the names of plans, of which the instances are given as well.
///
/// # Safety
/// The instances are live.
unsafe fn settle_for(
    vm: &mut Vm,
    instances: &[Option<*mut Instance>],
    plans: &mut [&mut ChunkPlan],
) {
    settle(plans, &[], |at, asked| {
        // SAFETY: by the caller.
        unsafe { Environment::new(vm, instances[at], asked) }
    });
}

/// Settles the names of plans that are not committed.
pub(crate) fn settle_planned(vm: &mut AtSafePoint, planned: &mut [Planned]) {
    let instances: Vec<_> = planned
        .iter()
        .map(|(serial, _)| find(vm, *serial))
        .collect();
    let mut plans: Vec<&mut ChunkPlan> = planned.iter_mut().map(|(_, plan)| plan).collect();
    // SAFETY: by the caller.
    unsafe { settle_for(vm, &instances, &mut plans) }
}

/// Settles the names of plans of which all is prepared: what their code has defined
/// counts. Adds what is undefined to the report.
pub(crate) fn settle_prepared(
    vm: &mut AtSafePoint,
    prepared: &mut [prepare::Prepared],
    report: &mut Report,
) {
    let instances: Vec<_> = prepared.iter().map(|p| Some(p.instance)).collect();
    let mut plans: Vec<&mut ChunkPlan> = prepared.iter_mut().map(|p| &mut p.plan).collect();
    // SAFETY: by the caller.
    unsafe { settle_for(vm, &instances, &mut plans) };
    for plan in plans {
        report.warn(plan);
    }
}
