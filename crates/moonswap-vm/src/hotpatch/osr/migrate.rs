//! On-stack replacement: moves running activations to new code at an iteration
//! boundary of a loop.
//!
//! Where that is right is planned elsewhere (`moonswap_hotpatch::plan_migration`),
//! for any version that something runs and the current one: beforehand for the
//! version that a patch replaces, here for older ones. Whoever asks (a commit, a
//! rollback, the operation of its own) puts TRAP in place of the operations of the
//! old version at which turns begin, so that nothing else pays for it; an activation
//! that runs into one leaves for the current version: its registers are laid out
//! anew, captured and to-be-closed variables follow theirs, top-level locals that are
//! new become the cells they have, other new variables are made by the new code's own
//! instructions. Operands stay, since callees read those of the instruction they
//! return behind.
//!
//! Invariants: HP2, F1, F2, C3; MG1 a version has TRAP at the turns that lead
//! somewhere as long as it has a `migration`, and nowhere else but where TR1 says;
//! MG2 the target of a migration is live: dead ones are withdrawn by the
//! collector's atomic step; MG3 its OSR entries are sound: they lead from one
//! operation to the same in code that passed the verifier, with all registers in
//! the frames, and such operations find what they trust in where they land: the
//! numbers of a prepared loop in its registers, anything anywhere else.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_bytecode::{OpCode, Prototype};
use moonswap_hotpatch::{
    ChangeClass, ChunkPlan, Gives, LiteralChange, Migrated, Migration, MigrationReport, OsrEntry,
    Policy, ScopeCells, StalePolicy, is_same_code, is_sound, plan_migration, scope_cells,
};

use crate::callee::FROZEN;
use crate::frame::{Frame, TAIL_CALL, frame_top, meta_word, version_of};
use crate::hotpatch::planner::planned;
use crate::hotpatch::registry::frames::activation_of;
use crate::hotpatch::registry::frames::each_frame;
use crate::hotpatch::registry::literals;
use crate::hotpatch::registry::manifest;
use crate::hotpatch::registry::scope;
use crate::hotpatch::registry::stale::StaleVersions;
use crate::hotpatch::registry::stale::{is_current, is_stale};
use crate::hotpatch::schedule::trap;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::interp::{Next, evaluate, other_limits, take_turn};
use crate::object::{Coroutine, Header, Instance, Pending, PrototypeSlot, Upvalue, Version};
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// A version that is replaced, by which, and how activations move.
pub(crate) type Planned = (*mut Version, *mut Version, Arc<Migration>);

/// Lets the activations of functions that are not current move to what is, and
/// tells of those whose code changed. `ready` are migrations that were planned.
pub(crate) fn begin(
    vm: &mut AtSafePoint,
    is_wanted: &dyn Fn(*mut PrototypeSlot) -> bool,
    ready: &[Planned],
) -> Vec<Migrated> {
    // SAFETY: HP2; nothing is collected and no stack moves meanwhile.
    unsafe {
        let mut frames: Vec<(*mut Coroutine, Frame, *mut Version)> = Vec::new();
        each_frame(vm, &mut |_, co, frame, version| {
            let slot = (*version).slot;
            if !std::ptr::eq(PrototypeSlot::version(slot), version) && is_wanted(slot) {
                frames.push((co, frame, version));
            }
        });
        let mut prepared: HashSet<*mut Version> = HashSet::default();
        let mut stale = StaleVersions::default();
        let mut found = Vec::new();
        for (co, frame, version) in frames {
            if prepared.insert(version) {
                prepare(vm, version, ready);
            }
            if stale.has(version) {
                let activation = activation_of(vm, co, frame, version);
                found.push(match speculative(version, frame) {
                    Ok(line) => Migrated::moves(activation, line),
                    Err(why) => Migrated::stays(activation, why),
                });
            }
        }
        found
    }
}

/// The operation of its own: all activations of a chunk (`None`: of all chunks).
pub(crate) fn begin_all(
    vm: &mut AtSafePoint,
    chunk: Option<&str>,
) -> Result<MigrationReport, HotError> {
    if FROZEN {
        return Err(HotError::CompiledOut);
    }
    // While a patch is prepared its own versions stand in slots for a time.
    if vm.hot.gate.is_preparing() {
        return Err(HotError::Busy);
    }
    // SAFETY: HP2; slots of activations are live.
    let activations = unsafe {
        begin(
            vm,
            &|slot| {
                let of = &*(*(*slot).instance).chunk;
                chunk.is_none_or(|c| c == of || Some(c) == of.strip_prefix(['@', '=']))
            },
            &[],
        )
    };
    Ok(MigrationReport {
        generation: vm.hot.generation(),
        activations,
    })
}

/// Lets the activations of a version move to the current one.
/// # Safety
/// HP2; `version` is live and was installed.
unsafe fn prepare(vm: &mut Vm, version: *mut Version, ready: &[Planned]) {
    // SAFETY: MG1–MG3.
    unsafe {
        let target = PrototypeSlot::version((*version).slot);
        let pending = Version::migration(version);
        if pending.is_some_and(|p| std::ptr::eq(p.target, target)) {
            return;
        }
        trap::clear(vm);
        withdraw(version);
        let known = ready.iter().find(|(before, after, _)| {
            std::ptr::eq(*before, version) && std::ptr::eq(*after, target)
        });
        let turns = match known {
            Some((_, _, turns)) => Arc::clone(turns),
            None => Arc::new(plan(vm, version, target)),
        };
        let (old, new) = (literals::of(vm, version), literals::of(vm, target));
        for turn in &turns.turns {
            if is_sound(&old, &new, turn) {
                set_operation(version, turn.pc, OpCode::Trap);
            }
        }
        let pending = Pending {
            target,
            turns,
            original: old,
            failed: Vec::new(),
        };
        vm.heap.change_boxed_quietly(version, |version| {
            let rare = version.rare.get_or_insert_default();
            rare.migration = Some(Box::new(pending));
        });
        let migrating = vm.hot.migrating.get_mut();
        if !migrating.contains(&version) {
            migrating.push(version);
        }
    }
}

/// # Safety
/// HP2; both are live.
unsafe fn plan(vm: &mut Vm, version: *mut Version, target: *mut Version) -> Migration {
    // SAFETY: live versions and instance.
    unsafe {
        let instance = (*(*version).slot).instance;
        let old = literals::of(vm, version);
        let new = literals::of(vm, target);
        if !new.scope.is_empty() {
            scope::open_running(vm, instance);
        }
        let cells = Instance::cells(instance);
        let present: Vec<bool> = cells.iter().map(|cell| !cell.is_null()).collect();
        let cells = ScopeCells {
            old: &scope::scope_cells(version),
            new: &scope::scope_cells(target),
            present: &present,
        };
        plan_migration(&old, &new, &cells)
    }
}

/// # Safety
/// `version` is live and has an instruction `pc`; MG1, TR1 hold afterwards.
unsafe fn set_operation(version: *mut Version, pc: u32, op: OpCode) {
    // SAFETY: by the caller, an instruction of it.
    unsafe {
        debug_assert!((pc as usize) < Version::n_code(version));
        *Version::code(version).add(pc as usize).cast::<u8>() = op as u8;
    }
}

/// Its activations stay from now on.
/// # Safety
/// `version` is live.
pub(crate) unsafe fn withdraw(version: *mut Version) {
    // SAFETY: MG1.
    unsafe {
        let rare = (&mut (*version).rare).as_deref_mut();
        let Some(pending) = rare.and_then(|rare| rare.migration.take()) else {
            return;
        };
        for turn in &pending.turns.turns {
            restore(version, &pending.original, turn.pc);
        }
    }
}

/// # Safety
/// `version` is live, and `original` what it was loaded from.
unsafe fn restore(version: *mut Version, original: &Prototype, pc: u32) {
    // SAFETY: MG1.
    unsafe {
        if let Some(op) = original.code.get(pc as usize).and_then(|i| i.opcode()) {
            set_operation(version, pc, op);
        }
    }
}

/// MG2, and forgets dead versions.
pub(crate) fn forget_dead(
    migrating: &mut Vec<*mut Version>,
    is_live: &dyn Fn(*mut Header) -> bool,
) {
    migrating.retain(|&version| {
        if !is_live(version.cast()) {
            return false;
        }
        // SAFETY: live.
        unsafe {
            let target = Version::migration(version).map(|p| p.target);
            if target.is_some_and(|t| !is_live(t.cast())) {
                withdraw(version);
            }
            Version::migration(version).is_some()
        }
    });
}

/// An activation ran into an iteration boundary of a version that was replaced.
/// # Safety
/// The driver's: TRAP at `pc`, of the frame at `base`.
pub(crate) unsafe fn on_osr_trap(pc: *const u64, base: *mut Value, vm: &mut Vm) -> Next {
    // SAFETY: by the driver; MG1.
    unsafe {
        let version = version_of(base);
        let at = pc.offset_from(Version::code(version)) as usize;
        vm.pc = pc;
        vm.base = base;
        match go(vm, version, at) {
            Ok(next) => next,
            Err(Stays::All) => {
                withdraw(version);
                Next { pc, base: vm.base }
            }
            Err(Stays::Here) => {
                let rare = (&mut (*version).rare).as_deref_mut();
                if let Some(pending) = rare.and_then(|rare| rare.migration.as_mut()) {
                    pending.failed.push(at as u32);
                    restore(version, &pending.original, at as u32);
                }
                Next { pc, base: vm.base }
            }
        }
    }
}

/// Who stays after all.
enum Stays {
    /// All activations of the version: a later patch left them behind.
    All,
    /// Those at this turn.
    Here,
}

/// # Safety
/// MG1–MG3, VM3: the topmost frame runs `version`, and is at instruction `at`.
unsafe fn go(vm: &mut Vm, version: *mut Version, at: usize) -> Result<Next, Stays> {
    // SAFETY: MG1–MG3; VM3.
    unsafe {
        let (target, turns) = match Version::migration(version) {
            Some(pending) => (pending.target, Arc::clone(&pending.turns)),
            None => return Err(Stays::Here),
        };
        if !is_current(target) {
            // Versions of a patch that is being prepared stand there for a time.
            return Err(if vm.hot.gate.is_preparing() {
                Stays::Here
            } else {
                Stays::All
            });
        }
        let osr_entry = match turns.at(at).map(|turn| &turn.to) {
            Some(Ok(osr_entry)) => osr_entry,
            Some(Err(_)) | None => return Err(Stays::Here),
        };
        let size = usize::from((*target).frame_size);
        let error = vm.error;
        let base = vm.base;
        if vm.ensure_stack(base, size + 2).is_err() {
            vm.error = error;
            return Err(Stays::Here);
        }
        move_frame(vm, version, target, osr_entry)?;
        let pc = Version::code(target).add(osr_entry.pc as usize);
        Ok(take_turn(pc, vm.base))
    }
}

/// The registers of the new frame.
/// # Safety
/// MG3; the topmost frame moves; `target` and the cells are live.
unsafe fn registers(
    vm: &mut Vm,
    target: *mut Version,
    osr_entry: &OsrEntry,
    cells: &[(u16, *mut Upvalue)],
) -> Result<Vec<Value>, Stays> {
    // SAFETY: MG3; the old frame is at `vm.base`.
    unsafe {
        let prototype = literals::of(vm, target);
        let code = Version::code(target);
        let mut all = vec![Value::NIL; usize::from(prototype.frame_size)];
        for &(from, to) in &osr_entry.moves {
            let value = *vm.base.add(usize::from(from));
            // A link of a call that is over is no value.
            if value.tag <= tag::COROUTINE {
                all[usize::from(to)] = value;
            }
        }
        for &(to, cell) in cells {
            all[usize::from(to)] = *(*cell).value;
        }
        for initial in &osr_entry.initials {
            let mut work = all.clone();
            for &pc in &initial.run {
                let op = prototype.code[pc as usize].opcode();
                let at = code.add(pc as usize);
                if op.is_none_or(|op| !evaluate(vm, op, at, work.as_mut_ptr())) {
                    return Err(Stays::Here);
                }
            }
            match initial.gives {
                Gives::Variable(to) => all[usize::from(to)] = work[usize::from(to)],
                Gives::Loop(state) => {
                    let at = usize::from(state);
                    let values = other_limits(all[at], work[at + 1], work[at + 2]);
                    all[at..at + 3].copy_from_slice(&values.ok_or(Stays::Here)?);
                }
            }
        }
        Ok(all)
    }
}

/// Lays the frame at `vm.base` out anew.
/// # Safety
/// MG3; the topmost frame runs `version`; above its base is room for one of `target`.
unsafe fn move_frame(
    vm: &mut Vm,
    version: *mut Version,
    target: *mut Version,
    osr_entry: &OsrEntry,
) -> Result<(), Stays> {
    // SAFETY: MG3; the stack has room for the new frame; F1, F2, C3; this is the
    // topmost frame, so all that is open from its base on is its own.
    unsafe {
        let base = vm.base;
        let co = vm.current;
        let old_size = usize::from((*version).frame_size);
        let new_size = usize::from((*target).frame_size);
        let instance = (*(*version).slot).instance;
        let mut cells: Vec<(u16, *mut Upvalue)> = Vec::with_capacity(osr_entry.cells.len());
        for &(to, cell) in &osr_entry.cells {
            let found = Instance::cells(instance).get(cell as usize).copied();
            match found {
                // Open ones are variables of another activation.
                Some(cell) if !cell.is_null() && !Upvalue::is_open(cell) => cells.push((to, cell)),
                Some(_) | None => return Err(Stays::Here),
            }
        }
        let new_place = |from: usize| {
            let moves = osr_entry.moves.iter();
            let found = moves.copied().find(|(f, _)| usize::from(*f) == from);
            found.map(|(_, to)| usize::from(to))
        };
        let first = vm.index_of(base);
        let mut closing = (*co).to_be_closed.clone();
        for place in closing.iter_mut().filter(|p| **p as usize >= first) {
            match new_place(*place as usize - first) {
                Some(to) => *place = (first + to) as u32,
                None => return Err(Stays::Here),
            }
        }

        let registers = registers(vm, target, osr_entry, &cells)?;

        // From here on nothing fails.
        (*co).to_be_closed = closing;
        let mut open: Vec<*mut Upvalue> = Vec::new();
        while !(*co).open_upvalues.is_null() && (*(*co).open_upvalues).value >= base {
            let up = (*co).open_upvalues;
            (*co).open_upvalues = (*up).next_open;
            let from = (*up).value.offset_from(base) as usize;
            match new_place(from) {
                Some(to) => {
                    // Their values move with the registers below.
                    (*up).value = base.add(to);
                    open.push(up);
                }
                None => {
                    copy(&raw mut (*up).closed, (*up).value);
                    (*up).value = &raw mut (*up).closed;
                    (*up).next_open = std::ptr::null_mut();
                    vm.heap.barrier(up.cast(), (*up).closed);
                }
            }
        }
        for register in 0..old_size.max(new_size) {
            let value = registers.get(register).copied().unwrap_or(Value::NIL);
            store(base.add(register), value);
        }
        for (to, cell) in cells {
            let place = base.add(usize::from(to));
            copy(place, (*cell).value);
            (*cell).value = place;
            open.push(cell);
        }
        open.sort_by_key(|&up| (*up).value as usize);
        for up in open {
            (*up).next_open = (*co).open_upvalues;
            (*co).open_upvalues = up;
        }
        pin(base, target);
        vm.hot.n_migrated += 1;
        debug_assert!(std::ptr::eq(frame_top(base), base.add(new_size)));
        Ok(())
    }
}

/// The frame runs another version from now on.
/// # Safety
/// F1: a Lua frame whose registers suit `version`, which is live.
unsafe fn pin(base: *mut Value, version: *mut Version) {
    // SAFETY: F1: links of a Lua frame, the second one if it took varargs.
    unsafe {
        let frame = Frame {
            base,
            pc: std::ptr::null(),
        };
        let original = frame.original_base();
        for link in [base.sub(1), original.sub(1)] {
            let kept = meta_word(link) & (0xFF | TAIL_CALL);
            let word = ((version as u64) << 8) | kept;
            link.cast::<u64>().add(1).write(word);
        }
    }
}

/// What would become of the activations of functions that plans change.
pub(crate) fn exit_at(
    vm: &mut AtSafePoint,
    planned: &[planned::Planned],
    policy: &Policy,
) -> Vec<Migrated> {
    // SAFETY: HP2, F1; live instances.
    unsafe {
        let mut changes: HashMap<*mut PrototypeSlot, (&ChunkPlan, &LiteralChange)> =
            HashMap::default();
        for (serial, plan) in planned {
            let Some(instance) = planned::find(vm, *serial) else {
                continue;
            };
            if plan.is_refused() {
                continue;
            }
            let registry = manifest::registry_for(vm, instance, plan);
            for change in plan.touched() {
                let slot = change.old.as_ref().and_then(|id| registry.get(id));
                if let Some(slot) = slot.filter(|_| change.new_prototype.is_some()) {
                    changes.insert(slot, (plan, change));
                }
            }
        }
        let mut known: HashMap<*mut Version, Option<Migration>> = HashMap::default();
        let mut found = Vec::new();
        each_frame(vm, &mut |vm, co, frame, version| {
            let Some((plan, change)) = changes.get(&(*version).slot) else {
                return;
            };
            let turns = known
                .entry(version)
                .or_insert_with(|| change_of(vm, version, plan, change, policy));
            let Some(turns) = turns else { return };
            let activation = activation_of(vm, co, frame, version);
            found.push(match (policy.stale, of_turns(turns, &[], frame)) {
                (StalePolicy::Migrate, Ok(line)) => Migrated::moves(activation, line),
                (StalePolicy::Migrate, Err(why)) => Migrated::stays(activation, why),
                _ => Migrated::stays(activation, NOT_ASKED),
            });
        });
        found
    }
}

/// Why activations stay that nobody wants to move.
const NOT_ASKED: &str = "the policy moves no activations";

/// How activations of a version would move to what a plan installs; `None`: it is
/// the same code.
/// # Safety
/// `version` is live.
unsafe fn change_of(
    vm: &Vm,
    version: *mut Version,
    plan: &ChunkPlan,
    change: &LiteralChange,
    policy: &Policy,
) -> Option<Migration> {
    // SAFETY: live version and instance.
    unsafe {
        let slot = (*version).slot;
        let new = change.new_prototype.as_ref()?;
        let old = literals::of(vm, version);
        let is_swapped = change.class == ChangeClass::Swapped;
        let is_same = match std::ptr::eq(PrototypeSlot::version(slot), version) {
            true => !is_swapped,
            false if is_swapped => is_same_code(&old, new),
            false => !is_stale(version),
        };
        if is_same {
            return None;
        }
        let turns = change.migration.as_ref();
        if let Some(turns) = turns.filter(|_| std::ptr::eq(PrototypeSlot::version(slot), version)) {
            return Some(Migration::clone(turns));
        }
        if policy.stale == StalePolicy::Finish {
            return Some(Migration::default());
        }
        let instance = (*slot).instance;
        let cells = Instance::cells(instance);
        let present: Vec<bool> = cells.iter().map(|cell| !cell.is_null()).collect();
        let cells = ScopeCells {
            old: &scope::scope_cells(version),
            new: &scope_cells(&new.scope, &plan.cell_labels),
            present: &present,
        };
        Some(plan_migration(&old, new, &cells))
    }
}

/// Line of the loop at whose next turn a stale activation moves, or why it stays.
/// # Safety
/// F1, F2: the frame stands, and runs the version.
unsafe fn speculative(version: *mut Version, frame: Frame) -> Result<u32, String> {
    // SAFETY: F1, F2, MG2.
    unsafe {
        let pending = Version::migration(version);
        let Some(pending) = pending.filter(|p| is_current(p.target)) else {
            return Err("a patch that moves no activations replaced its version".to_owned());
        };
        of_turns(&pending.turns, &pending.failed, frame)
    }
}

/// # Safety
/// F1, F2: the frame stands.
unsafe fn of_turns(turns: &Migration, failed: &[u32], frame: Frame) -> Result<u32, String> {
    // SAFETY: F1, F2.
    unsafe {
        let turn = if frame.pc.is_null() {
            None
        } else {
            turns.exit_at(frame.pc_index())
        };
        let has_failed = turn.is_some_and(|turn| failed.contains(&turn.pc));
        match turn.map(|turn| (&turn.to, turn.line)) {
            None => Err("it is in no loop".to_owned()),
            Some((Ok(_), line)) if has_failed => Err(format!(
                "the loop at line {line}: the values there did not allow it"
            )),
            Some((Ok(_), line)) => Ok(line),
            Some((Err(why), line)) => Err(format!("the loop at line {line}: {why}")),
        }
    }
}

/// When a stale activation moves, or why it does not; `None` if no patch wanted it
/// to.
/// # Safety
/// F1, F2: the frame stands, and runs the version.
pub(crate) unsafe fn why_stale(version: *mut Version, frame: Frame) -> Option<String> {
    // SAFETY: F1, F2.
    unsafe {
        Version::migration(version)?;
        Some(match speculative(version, frame) {
            Ok(line) => format!("moves at the next iteration of the loop at line {line}"),
            Err(why) => why,
        })
    }
}
