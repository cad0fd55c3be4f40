//! Moving running activations to new code at the turn of a loop.
//!
//! Where that is right is planned elsewhere (`moonswap_hotpatch::Migration`).
//! A commit puts TRAP in place of the operations of the version it replaces at
//! which turns begin, so that nothing else pays for it; an activation that runs
//! into one leaves for the new version: its registers are laid out anew, captured
//! and to-be-closed variables follow theirs, top-level locals that are new become
//! the cells they have. Operands stay, since callees read those of the instruction
//! they return behind.
//!
//! Invariants: HP2, F1, F2, C3; MG1 a version has TRAP at the turns that lead
//! somewhere as long as it has a `migration`, and nowhere else but where TR1 says;
//! MG2 the target of a migration is live: dead ones are withdrawn by the
//! collector's atomic step; MG3 its landings are sound: they lead from one
//! operation to the same in code that passed the verifier, with all registers in
//! the frames, and such operations find what they trust in where they land: the
//! numbers of a prepared loop in its registers, anything anywhere else.

use std::collections::HashSet;
use std::sync::Arc;

use moonswap_bytecode::OpCode;
use moonswap_hotpatch::{Landing, Migrated, Migration, is_sound};

use super::activity::activation_of;
use super::inspect::each_frame;
use crate::frame::{Frame, TAIL_CALL, frame_top, meta_word, version_of};
use crate::interp::{Next, take_turn};
use crate::object::{Header, Upvalue, Version};
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// Where the activations of a replaced version go.
pub(crate) struct Pending {
    target: *mut Version,
    turns: Arc<Migration>,
}

/// Lets the activations of `before` move to `after`.
pub(super) unsafe fn begin(
    vm: &mut Vm,
    before: *mut Version,
    after: *mut Version,
    turns: &Arc<Migration>,
) {
    // SAFETY: MG1–MG3.
    unsafe {
        super::trap::clear(vm);
        withdraw(before);
        for turn in &turns.turns {
            if is_sound(&(*before).prototype, &(*after).prototype, turn) {
                set_operation(before, turn.pc, OpCode::Trap);
            }
        }
        (*before).migration = Some(Box::new(Pending {
            target: after,
            turns: Arc::clone(turns),
        }));
        vm.hot.migrating.get_mut().push(before);
    }
}

unsafe fn set_operation(version: *mut Version, pc: u32, op: OpCode) {
    // SAFETY: by the caller, an instruction of it.
    unsafe {
        debug_assert!((pc as usize) < (*version).n_code);
        let word = (*version).code.start().add(pc as usize).cast::<u8>();
        *word = op as u8;
    }
}

/// Its activations stay from now on.
pub(crate) unsafe fn withdraw(version: *mut Version) {
    // SAFETY: MG1.
    unsafe {
        let Some(pending) = (*version).migration.take() else {
            return;
        };
        for turn in &pending.turns.turns {
            restore(version, turn.pc);
        }
    }
}

unsafe fn restore(version: *mut Version, pc: u32) {
    // SAFETY: MG1.
    unsafe {
        let prototype = Arc::clone(&(*version).prototype);
        if let Some(op) = prototype.code.get(pc as usize).and_then(|i| i.opcode()) {
            set_operation(version, pc, op);
        }
    }
}

/// MG2, and forgets dead versions.
pub(super) fn forget_dead(
    migrating: &mut Vec<*mut Version>,
    is_live: &dyn Fn(*mut Header) -> bool,
) {
    migrating.retain(|&version| {
        if !is_live(version.cast()) {
            return false;
        }
        // SAFETY: live.
        unsafe {
            let target = (*version).migration.as_ref().map(|p| p.target);
            if target.is_some_and(|t| !is_live(t.cast())) {
                withdraw(version);
            }
            (*version).migration.is_some()
        }
    });
}

/// An activation ran into a turn of a version that was replaced.
pub(super) unsafe fn sprung(pc: *const u64, base: *mut Value, vm: &mut Vm) -> Next {
    // SAFETY: by the driver; MG1.
    unsafe {
        let version = version_of(base);
        let at = pc.offset_from((*version).code.start()) as usize;
        vm.pc = pc;
        vm.base = base;
        match go(vm, version, at) {
            Ok(next) => next,
            Err(Stays::All) => {
                withdraw(version);
                Next { pc, base: vm.base }
            }
            Err(Stays::Here) => {
                restore(version, at as u32);
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

unsafe fn go(vm: &mut Vm, version: *mut Version, at: usize) -> Result<Next, Stays> {
    // SAFETY: MG1–MG3; VM3.
    unsafe {
        let (target, turns) = match &(*version).migration {
            Some(pending) => (pending.target, Arc::clone(&pending.turns)),
            None => return Err(Stays::Here),
        };
        if !leads_on(target) {
            return Err(Stays::All);
        }
        let landing = match turns.at(at).map(|turn| &turn.to) {
            Some(Ok(landing)) => landing,
            Some(Err(_)) | None => return Err(Stays::Here),
        };
        let size = usize::from((&(*target).prototype).frame_size);
        let error = vm.error;
        let base = vm.base;
        if vm.ensure_stack(base, size + 2).is_err() {
            vm.error = error;
            return Err(Stays::Here);
        }
        move_frame(vm, version, target, landing)?;
        let pc = (*target).code.start().add(landing.pc as usize);
        Ok(take_turn(pc, vm.base))
    }
}

/// Whether a version is current, or its activations move to one that is.
unsafe fn leads_on(mut version: *mut Version) -> bool {
    // SAFETY: MG2. Migrations lead to ever newer versions.
    unsafe {
        loop {
            if std::ptr::eq((*(*version).slot).version, version) {
                return true;
            }
            match &(*version).migration {
                Some(pending) => version = pending.target,
                None => return false,
            }
        }
    }
}

/// Lays the frame at `vm.base` out anew.
unsafe fn move_frame(
    vm: &mut Vm,
    version: *mut Version,
    target: *mut Version,
    landing: &Landing,
) -> Result<(), Stays> {
    // SAFETY: MG3; the stack has room for the new frame; F1, F2, C3; this is the
    // topmost frame, so all that is open from its base on is its own.
    unsafe {
        let base = vm.base;
        let co = vm.current;
        let old_size = usize::from((&(*version).prototype).frame_size);
        let new_size = usize::from((&(*target).prototype).frame_size);
        let instance = (*(*version).slot).instance;
        let closure = (*base.sub(2)).as_closure();
        if ((*closure).header.word as usize) < (&(*target).prototype).upvalues.len() {
            return Err(Stays::Here);
        }
        let mut cells: Vec<(u16, *mut Upvalue)> = Vec::with_capacity(landing.cells.len());
        for &(to, cell) in &landing.cells {
            let found = (&(*instance).cells).get(cell as usize).copied();
            match found {
                // Open ones are variables of another activation.
                Some(cell) if !cell.is_null() && !Upvalue::is_open(cell) => cells.push((to, cell)),
                Some(_) | None => return Err(Stays::Here),
            }
        }
        let new_place = |from: usize| {
            let moves = landing.moves.iter();
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
        let values: Vec<(u16, Value)> = landing
            .moves
            .iter()
            .map(|&(from, to)| (to, *base.add(usize::from(from))))
            .collect();
        for register in 0..old_size.max(new_size) {
            store(base.add(register), Value::NIL);
        }
        for (to, value) in values {
            // A link of a call that is over is no value.
            let value = if value.tag > tag::COROUTINE {
                Value::NIL
            } else {
                value
            };
            store(base.add(usize::from(to)), value);
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

/// What becomes of the activations of functions whose versions a commit has just
/// replaced.
pub(super) unsafe fn outlook(vm: &mut Vm, replaced: &[*mut Version]) -> Vec<Migrated> {
    let mut found = Vec::new();
    if replaced.is_empty() {
        return found;
    }
    // SAFETY: HP2; replaced versions are live.
    unsafe {
        let slots: HashSet<_> = replaced.iter().map(|&v| (*v).slot).collect();
        each_frame(vm, &mut |vm, co, frame, version| {
            let slot = (*version).slot;
            if !slots.contains(&slot) || std::ptr::eq((*slot).version, version) {
                return;
            }
            let activation = activation_of(vm, co, frame, version);
            found.push(match prospect(version, frame) {
                Ok(line) => Migrated::moves(activation, line),
                Err(why) => Migrated::stays(activation, why),
            });
        });
    }
    found
}

/// Line of the loop at whose next turn a stale activation moves, or why it stays.
unsafe fn prospect(version: *mut Version, frame: Frame) -> Result<u32, String> {
    // SAFETY: F1, F2, MG2.
    unsafe {
        let pending = (*version).migration.as_ref();
        let Some(pending) = pending.filter(|p| leads_on(p.target)) else {
            return Err("a patch that moves no activations replaced its version".to_owned());
        };
        let turn = if frame.pc.is_null() {
            None
        } else {
            pending.turns.outlook(frame.pc_index())
        };
        match turn.map(|turn| (&turn.to, turn.line)) {
            None => Err("it is in no loop".to_owned()),
            Some((Ok(_), line)) => Ok(line),
            Some((Err(why), line)) => Err(format!("the loop at line {line}: {why}")),
        }
    }
}

/// When a stale activation moves, or why it does not; `None` if no patch wanted it
/// to.
pub(super) unsafe fn why_stale(version: *mut Version, frame: Frame) -> Option<String> {
    // SAFETY: F1, F2.
    unsafe {
        (*version).migration.as_ref()?;
        Some(match prospect(version, frame) {
            Ok(line) => format!("moves at the next turn of the loop at line {line}"),
            Err(why) => why,
        })
    }
}
