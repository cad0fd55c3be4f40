//! The scope record: cells of a chunk instance's top-level locals.
//!
//! Invariants: S1 cells of variables that are alive in a running main chunk are
//! open upvalues on its frame; KEEPSCOPE records the last ones before it ends.

use moonswap_bytecode::{Instruction, OpCode};
use moonswap_hotpatch::Progress;

use super::literals;
use crate::coroutine;
use crate::frame::{self, Frame};
use crate::object::{Coroutine, Instance, Keep, Upvalue, Version};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// Finds or makes the cell entry of a variable; answers its index.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn cell_index(
    vm: &mut Vm,
    instance: *mut Instance,
    name: &str,
    declaration: u32,
) -> usize {
    // SAFETY: live instance.
    unsafe {
        let known = Instance::cell_names(instance).iter();
        let mut known = known.map(|(n, d)| **n == *name && *d == declaration);
        if let Some(i) = known.position(|is_it| is_it) {
            return i;
        }
        vm.heap.more(instance, |more| {
            more.cell_names.list().push((name.into(), declaration));
            more.cells.push(std::ptr::null_mut());
            more.cells.len() - 1
        })
    }
}

/// Records the top-level locals alive at `pc` of the main chunk's frame `base`
/// on the current coroutine's stack, as it ends: all of them, or the captured
/// ones ([`Keep`]).
///
/// # Safety
/// F1, F2: `base` is that of a main chunk's frame on the current stack, and `pc` is in
/// its code.
pub(crate) unsafe fn record(vm: &mut Vm, base: *mut Value, pc: *const u64) {
    // SAFETY: a Lua frame of a main chunk (F1, F2).
    unsafe {
        let version = frame::version_of(base);
        let slot = (*version).slot;
        let instance = (*slot).instance;
        if !std::ptr::eq((*instance).main, slot) {
            // Delta chunks have a slot of their own, no variables, and do not count.
            return;
        }
        vm.undo().scope(instance);
        let all = match Instance::keep(instance) {
            Keep::Module => true,
            // Of later runs there would be several variables of a name, which no
            // patch can use.
            Keep::Locals => (*instance).header.word == 0,
            Keep::Captured => false,
        };
        (*instance).header.word += 1;
        note_end(vm, instance, version, base, pc);
        let co = vm.current;
        record_frame(vm, co, instance, base, pc, all);
    }
}

/// The cell of a top-level local by its number among a main chunk's; a version that
/// was loaded with its chunk has them in order.
///
/// # Safety
/// `version` is live.
unsafe fn scope_cell(version: *mut Version, k: usize) -> Option<u32> {
    // SAFETY: live version.
    unsafe {
        match &(*version).rare {
            Some(rare) if rare.records.is_some() => rare.scope_cells.get(k).copied().flatten(),
            _ => u32::try_from(k).ok(),
        }
    }
}

/// The same of all.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn scope_cells(version: *mut Version) -> Box<[Option<u32>]> {
    // SAFETY: live version.
    unsafe {
        let n = match (*version).is_main {
            true => Version::record(version).top_level().count(),
            false => 0,
        };
        (0..n).map(|k| scope_cell(version, k)).collect()
    }
}

/// Arguments that are kept at most.
const ARGUMENTS: usize = 16;

/// Notes how far a main chunk got that ends at `pc`, what it returns, and its
/// arguments.
///
/// # Safety
/// F1, F2: `base` is that of a frame of `version`, a main chunk of `instance`, at the
/// KEEPSCOPE at `pc`.
unsafe fn note_end(
    vm: &mut Vm,
    instance: *mut Instance,
    version: *mut Version,
    base: *mut Value,
    pc: *const u64,
) {
    // SAFETY: a Lua frame of a main chunk at KEEPSCOPE (F1, F2): a return follows.
    unsafe {
        let at = pc.offset_from(Version::code(version)) as u32;
        if literals::is_committed(version) {
            (*instance).progress = Progress::Ended(at);
        } else if at as usize + 2 >= Version::n_code(version) {
            (*instance).progress = Progress::Unknown;
        } else if (*instance).progress == Progress::NotStarted {
            // An older text ended early; the new one has no such place.
            (*instance).progress = Progress::Statement(0);
        }
        let is_kept = match Instance::keep(instance) {
            Keep::Module => true,
            Keep::Locals => (*instance).header.word == 1,
            Keep::Captured => false,
        };
        if !is_kept {
            // Not for each call of a function that `load` made.
            if let Some(more) = Instance::more_mut(instance) {
                more.returned = Value::NIL;
                more.arguments = None;
            }
            (*instance).header.flags &= !Instance::NO_ARGUMENTS;
            return;
        }
        let next = Instruction::from_bits(*pc.add(1));
        let returned = match next.opcode() {
            Some(OpCode::Return) if next.b() != 0 => *base.byte_add(usize::from(next.a())),
            _ => Value::NIL,
        };
        let returned = match returned.tag {
            tag::TABLE => returned,
            _ => Value::NIL,
        };
        if !returned.is_nil() || (*instance).more.is_some() {
            vm.heap.more(instance, |more| {
                more.returned = returned;
                more.arguments = None;
            });
        }
        vm.heap.barrier(instance.cast(), returned);
        (*instance).header.flags &= !Instance::NO_ARGUMENTS;
        let link = *base.sub(1);
        if link.tag == tag::VARARG_LINK {
            let n_params = usize::from((*version).n_params);
            let distance = link.payload as usize / size_of::<Value>();
            let n = distance - 2 - n_params;
            if n == 0 {
                (*instance).header.flags |= Instance::NO_ARGUMENTS;
                return;
            }
            let first = base.sub(distance).add(n_params);
            let all: Vec<Value> = (0..n.min(ARGUMENTS + 1)).map(|i| *first.add(i)).collect();
            if n <= ARGUMENTS
                && all
                    .iter()
                    .all(|v| v.tag <= tag::STRING && v.tag != tag::LIGHT)
            {
                for value in &all {
                    vm.heap.barrier(instance.cast(), *value);
                }
                vm.heap
                    .more(instance, |more| more.arguments = Some(all.into()));
            }
        }
    }
}

/// How far an instance's main chunk got.
///
/// # Safety
/// VM3; `instance` is live.
pub(crate) unsafe fn progress(vm: &Vm, instance: *mut Instance) -> Progress {
    let mut running = None;
    // SAFETY: by the caller; F1, F2.
    unsafe {
        each_run(vm, instance, &mut |_, frame| {
            running.get_or_insert(frame);
        });
        let Some(frame) = running else {
            return (*instance).progress;
        };
        let version = frame.version();
        if !literals::is_committed(version) {
            return (*instance).progress;
        }
        // Behind the call that it is in.
        let at = frame.pc.offset_from(Version::code(version)) as u32;
        Progress::Running(at.saturating_sub(1))
    }
}

/// The same for a frame on any coroutine's stack.
///
/// # Safety
/// F1, F2: `base` is that of a frame of a main chunk of `instance`, on the stack of `co`,
/// and `pc` is in its code.
pub(crate) unsafe fn record_frame(
    vm: &mut Vm,
    co: *mut Coroutine,
    instance: *mut Instance,
    base: *mut Value,
    pc: *const u64,
    all: bool,
) {
    // SAFETY: as `record`.
    unsafe {
        let version = frame::version_of(base);
        let at = pc.offset_from(Version::code(version)) as u32;
        for (k, variable) in Version::record(version).top_level().enumerate() {
            let Some(register) = variable.register else {
                continue;
            };
            if at < variable.start_pc || at >= variable.end_pc {
                continue;
            }
            let place = base.add(usize::from(register));
            // `local function f` is in sight one instruction before it is made.
            if (*place).tag > tag::COROUTINE {
                store(place, Value::NIL);
            }
            let cell: *mut Upvalue = if all {
                coroutine::find_upvalue_of(vm, co, place)
            } else {
                existing(co, place)
            };
            if cell.is_null() {
                continue;
            }
            // Later texts may have given its name to another cell.
            let i = match scope_cell(version, k) {
                Some(cell) if (cell as usize) < Instance::cells(instance).len() => cell as usize,
                _ => cell_index(vm, instance, variable.name, variable.declaration),
            };
            vm.heap.more(instance, |more| more.cells[i] = cell);
            vm.heap.barrier_object(instance.cast(), cell.cast());
        }
    }
}

/// Opens the cells of top-level locals of a main chunk that is running now, on
/// the current coroutine or one that waits for it. Answers whether it runs.
///
/// # Safety
/// VM3; `instance` is live.
pub(crate) unsafe fn open_running(vm: &mut Vm, instance: *mut Instance) -> bool {
    let mut found = Vec::new();
    // SAFETY: S1; recording moves no frame.
    unsafe {
        each_run(vm, instance, &mut |co, frame| found.push((co, frame)));
        for &(co, frame) in &found {
            record_frame(vm, co, instance, frame.base, frame.pc, true);
        }
    }
    !found.is_empty()
}

/// Whether a main chunk runs now, as [`open_running`] sees it.
///
/// # Safety
/// VM3; `instance` is live.
pub(crate) unsafe fn is_running(vm: &Vm, instance: *mut Instance) -> bool {
    let mut found = false;
    // SAFETY: by the caller.
    unsafe { each_run(vm, instance, &mut |_, _| found = true) };
    found
}

/// The frames of a main chunk, innermost first.
///
/// # Safety
/// VM3; `instance` is live.
unsafe fn each_run(vm: &Vm, instance: *mut Instance, visit: &mut dyn FnMut(*mut Coroutine, Frame)) {
    // SAFETY: VM3, F1; waiting coroutines stand in resume (C2).
    unsafe {
        let mut co = vm.current;
        let mut frame = Some(Frame {
            base: vm.base,
            pc: vm.pc,
        });
        loop {
            while let Some(here) = frame {
                let version = here.version();
                if !version.is_null()
                    && !here.pc.is_null()
                    && std::ptr::eq((*version).slot, (*instance).main)
                {
                    visit(co, here);
                }
                frame = here.caller().map(|(below, _)| below);
            }
            co = (*co).resumer;
            if co.is_null() {
                return;
            }
            let base = (&mut (*co).stack).as_mut_ptr().add((*co).base + 2);
            frame = Some(Frame {
                base,
                pc: std::ptr::null(),
            });
        }
    }
}

/// # Safety
/// C3; `co` is live and `place` is a slot of its stack.
unsafe fn existing(co: *mut Coroutine, place: *mut Value) -> *mut Upvalue {
    // SAFETY: C3.
    unsafe {
        let mut up = (*co).open_upvalues;
        while !up.is_null() && (*up).value > place {
            up = (*up).next_open;
        }
        if !up.is_null() && (*up).value == place {
            up
        } else {
            std::ptr::null_mut()
        }
    }
}
