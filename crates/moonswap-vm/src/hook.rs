//! Debug hooks: a function called at calls, returns, new lines and counted
//! instructions of one coroutine.
//!
//! While the running coroutine has a hook, the dispatch table sends every
//! instruction through [`before`]; without one nothing is tested, except a flag
//! at calls of natives. What a "new line" is follows the reference: a function
//! was entered, control went backward, or the line differs from that of the
//! frame's last instruction. The last instruction of the frames below is kept
//! on a side stack, by frame.
//!
//! Invariants: VM3, I1, I2, F1, F2; HK1 `active` is set iff the running
//! coroutine has a hook and no hook runs; the table is hooked iff it has one; HK2
//! addresses kept between instructions are compared, never read.

use moonswap_bytecode::{Instruction, MULTI, OpCode};

use crate::coroutine;
use crate::error::Raised;
use crate::frame::{self, Frame};
use crate::host;
use crate::hotpatch::seam;
use crate::interp::{Next, call_continuation};
use crate::object::{Coroutine, Hook, HookState, Step, Version};
use crate::unwind::throw;
use crate::value::Value;
use crate::vm::Vm;

pub(crate) const CALL: u8 = 1;
pub(crate) const RETURN: u8 = 2;
pub(crate) const LINE: u8 = 4;
pub(crate) const COUNT: u8 = 8;

/// Sets the hook of a coroutine (mask 0: none).
///
/// # Safety
/// `co` is live, and the function too (V1).
pub(crate) unsafe fn set(
    vm: &mut Vm,
    co: *mut Coroutine,
    function: Value,
    (mask, count): (u8, i32),
    inherited: bool,
) {
    // SAFETY: live coroutine; barrier after the store.
    unsafe {
        vm.undo().hook_of(co);
        let function = if mask == 0 { Value::NIL } else { function };
        let hook = Hook {
            function,
            mask,
            count,
            left: u32::try_from(count).unwrap_or(0),
            inherited,
        };
        put(vm, co, hook);
    }
}

/// Makes it the hook of a coroutine.
///
/// # Safety
/// `co` is live, and what the hook names too.
pub(crate) unsafe fn put(vm: &mut Vm, co: *mut Coroutine, hook: Hook) {
    // SAFETY: as in `set`.
    unsafe {
        (*co).hook = hook;
        vm.heap.barrier(co.cast(), hook.function);
        if std::ptr::eq(co, vm.current) {
            refresh(vm);
        }
    }
}

/// A new coroutine begins with the hook of the one that makes it, if that is said to
/// be inherited.
///
/// # Safety
/// `co` is live.
pub(crate) unsafe fn inherit(vm: &mut Vm, co: *mut Coroutine) {
    // SAFETY: `current` and the new coroutine are live.
    unsafe {
        let mut hook = (*vm.current).hook;
        if hook.inherited {
            hook.left = u32::try_from(hook.count).unwrap_or(0);
            put(vm, co, hook);
        }
    }
}

/// For switches of coroutines: nothing to do while neither side has a hook.
///
/// # Safety
/// VM3.
#[inline(always)]
pub(crate) unsafe fn refresh_if_needed(vm: &mut Vm) {
    // SAFETY: `current` is live.
    unsafe {
        if vm.poll.table.is_hooked() || (*vm.current).hook.mask != 0 {
            refresh(vm);
        }
    }
}

/// Restores HK1 after the running coroutine or its hook changed.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn refresh(vm: &mut Vm) {
    vm.hook.last = None;
    vm.hook.below.clear();
    vm.hook.goes_on = false;
    // SAFETY: by the caller.
    unsafe { apply(vm) }
}

/// Sets the flag and the table by the running coroutine's mask.
///
/// # Safety
/// VM3.
unsafe fn apply(vm: &mut Vm) {
    // SAFETY: `current` is live.
    unsafe {
        let wanted = (*vm.current).hook.mask != 0;
        vm.hook.active = wanted && vm.hook.interrupted.is_none();
        if wanted != vm.poll.table.is_hooked() {
            seam::on_hook_change(vm);
            vm.poll.table.set_hooked(wanted);
            vm.poll.rearm();
        }
    }
}

/// Calls the hook from the topmost frame.
///
/// # Safety
/// VM3: the hook may be called from the topmost frame, above whose registers and `top`
/// nothing is alive.
#[cold]
unsafe fn fire(
    vm: &mut Vm,
    event: &str,
    line: Option<u32>,
    transfer: (usize, usize),
) -> Result<(), Raised> {
    // SAFETY: VM3; the hook's function is reached through its coroutine.
    unsafe {
        let co = vm.current;
        let function = (*co).hook.function;
        vm.hook.active = false;
        vm.hook.interrupted = Some(vm.index_of(vm.base));
        vm.hook.transfer = transfer;
        // An earlier event of the same instruction may have asked for it.
        let wanted = std::mem::replace(&mut vm.hook.wants_yield, false);
        let name = vm.string_value(event.as_bytes());
        let line = line.map_or(Value::NIL, |l| Value::integer(i64::from(l)));
        let result = host::call_value(vm, function, &[name, line]);
        vm.hook.interrupted = None;
        vm.hook.transfer = (0, 0);
        if result.is_err() && vm.in_flight.is_expulsion && seam::is_watched(vm, function) {
            // A hook that hangs would hang at the next event as well.
            (*co).hook = Hook::default();
        }
        apply(vm);
        let wants_yield = std::mem::replace(&mut vm.hook.wants_yield, false);
        result?;
        if wants_yield && !matches!(event, "line" | "count") {
            return Err(vm.raise_message("a hook can yield only at lines and counts"));
        }
        vm.hook.wants_yield = wants_yield || wanted;
        Ok(())
    }
}

fn is_back(op: OpCode) -> bool {
    matches!(op, OpCode::JumpBack | OpCode::ForLoop | OpCode::TForLoop)
}

fn is_return(op: OpCode) -> bool {
    matches!(op, OpCode::Return | OpCode::Return0 | OpCode::Return1)
}

/// How control came to an instruction.
enum Came {
    /// Its function was called.
    Entered,
    /// From this instruction of the same frame.
    From(*const u64),
    /// It runs once more, after a `__close` it called.
    Again,
}

/// Updates the side stack for the step at hand.
///
/// # Safety
/// HK2: `pc` and `start` are addresses in the code of the topmost frame's version.
unsafe fn arrive(
    state: &mut HookState,
    at: usize,
    pc: *const u64,
    start: *const u64,
    op: OpCode,
) -> Came {
    let last = state.last.replace(Step { frame: at, pc, op });
    let same = last.filter(|l| l.frame == at);
    if pc == start && !same.is_some_and(|l| is_back(l.op)) {
        state.below.extend(last);
        while state.below.last().is_some_and(|b| b.frame >= at) {
            state.below.pop();
        }
        return Came::Entered;
    }
    if let Some(last) = same {
        return Came::From(last.pc);
    }
    while state.below.last().is_some_and(|b| b.frame > at) {
        state.below.pop();
    }
    match state.below.last().copied().filter(|b| b.frame == at) {
        Some(step) => {
            state.below.pop();
            if step.pc == pc && is_return(op) {
                Came::Again
            } else {
                Came::From(step.pc)
            }
        }
        // The frame began before the hook was set: it went on from a call.
        None => Came::From(pc.wrapping_sub(1)),
    }
}

/// Looks at the instruction that is to be executed; an error of the hook goes
/// its way.
///
/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
pub(crate) unsafe fn before(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: VM3, I2.
    unsafe {
        let vm = &mut *vm;
        let here = Next { pc, base };
        let Some(op) = Instruction::from_bits(*pc).opcode() else {
            return here;
        };
        if !vm.hook.active || op.is_internal() {
            return here;
        }
        vm.pc = pc;
        vm.base = base;
        match events(vm, op) {
            Ok(()) if std::mem::take(&mut vm.hook.wants_yield) => yield_before(vm, pc),
            Ok(()) => Next { pc, base: vm.base },
            Err(_) => {
                vm.hook.wants_yield = false;
                throw(vm)
            }
        }
    }
}

/// The coroutine yields, without values; when it is resumed it goes on with the
/// instruction at `pc`. For this the instruction calls `yield` as it would call a
/// `__close`, after which it runs again.
///
/// # Safety
/// VM3: a Lua frame of a coroutine that may yield is on top, and stands at `pc`.
#[cold]
unsafe fn yield_before(vm: &mut Vm, pc: *const u64) -> Next {
    // SAFETY: VM3; the layout of FINCLOSE, EXTRA_SLOTS are ensured.
    unsafe {
        let co = vm.current;
        if (*co).resumer.is_null() || (*co).n_host_calls > 0 {
            let _ = vm.raise_message("a hook cannot yield here: not in a coroutine");
            return throw(vm);
        }
        let kept = vm.top.offset_from(vm.base).max(0) as u32;
        let at = frame::frame_top(vm.base).max(vm.top);
        let at_index = vm.index_of(at);
        if vm.ensure_stack(at, 16).is_err() {
            return throw(vm);
        }
        let (base, at) = (vm.base, vm.stack_base.add(at_index));
        let native = coroutine::yield_function(vm);
        // It is no call of the program's: the hook is not told.
        vm.hook.active = false;
        let ret = frame::return_into(&frame::STUB_CLOSE);
        let aux = kept | frame::BY_HOOK;
        call_continuation(vm, pc, base, at, aux, ret, native, &[])
    }
}

/// The coroutine goes on after a hook made it yield.
pub(crate) fn go_on(vm: &mut Vm) {
    vm.hook.goes_on = vm.hook.active;
}

/// # Safety
/// VM3: a Lua frame is on top, and stands at an instruction whose operation is `op`.
unsafe fn events(vm: &mut Vm, op: OpCode) -> Result<(), Raised> {
    // SAFETY: VM3: a Lua frame is on top.
    unsafe {
        let pc = vm.pc;
        let at = vm.index_of(vm.base);
        let version = frame::version_of(vm.base);
        let start = Version::code(version).cast_const();
        let n_code = Version::n_code(version);
        let came = arrive(&mut vm.hook, at, pc, start, op);
        if std::mem::take(&mut vm.hook.goes_on) {
            return Ok(());
        }
        let mask = |vm: &Vm| {
            if vm.hook.active {
                (*vm.current).hook.mask
            } else {
                0
            }
        };
        if matches!(came, Came::Entered) && mask(vm) & CALL != 0 {
            let tail = Frame { base: vm.base, pc }.is_tail_call();
            let n = usize::from((*version).n_params);
            fire(vm, if tail { "tail call" } else { "call" }, None, (1, n))?;
        }
        if mask(vm) & COUNT != 0 && !matches!(came, Came::Again) {
            let hook = &mut (*vm.current).hook;
            hook.left = hook.left.saturating_sub(1);
            if hook.left == 0 {
                hook.left = u32::try_from(hook.count).unwrap_or(0);
                fire(vm, "count", None, (0, 0))?;
            }
        }
        if mask(vm) & LINE != 0 {
            let index = pc.offset_from(start) as usize;
            let record = Version::record(version);
            let is_new = match came {
                Came::Entered => true,
                Came::Again => false,
                Came::From(old) => {
                    let old = (old as usize).wrapping_sub(start as usize) / size_of::<u64>();
                    let old = if old < n_code { old } else { 0 };
                    index <= old || record.line_at(index) != record.line_at(old)
                }
            };
            if is_new {
                let line = record.line_at(index);
                fire(vm, "line", line, (0, 0))?;
            }
        }
        if is_return(op) && mask(vm) & RETURN != 0 {
            let pending = (*vm.current)
                .to_be_closed
                .last()
                .is_some_and(|&p| p as usize >= at);
            let i = Instruction::from_bits(*pc);
            if !(pending && op == OpCode::Return && i.x() & 1 != 0) {
                let first = usize::from(i.register_a());
                let n = match op {
                    OpCode::Return if i.b() == MULTI => {
                        usize::try_from(vm.top.offset_from(vm.base.add(first))).unwrap_or(0)
                    }
                    OpCode::Return => usize::from(i.b()),
                    OpCode::Return1 => 1,
                    _ => 0,
                };
                fire(vm, "return", None, (first + 1, n))?;
            }
        }
        Ok(())
    }
}

/// A native function with `n` arguments is about to run.
///
/// # Safety
/// VM3: the native's frame is on top, with `n` arguments.
#[cold]
#[inline(never)]
pub(crate) unsafe fn native_call(vm: &mut Vm, n: usize) -> Result<(), Raised> {
    // SAFETY: VM3: its frame is on top.
    unsafe {
        seam::on_native_call(vm)?;
        if (*vm.current).hook.mask & CALL != 0 {
            fire(vm, "call", None, (1, n))
        } else {
            Ok(())
        }
    }
}

/// The native function in the topmost frame, or the Lua function that called
/// one in tail position, returns the `n` values on top.
///
/// # Safety
/// VM3: `n` values stand below `vm.top`, in the topmost frame.
#[cold]
#[inline(never)]
pub(crate) unsafe fn native_return(vm: &mut Vm, n: usize) -> Result<(), Raised> {
    // SAFETY: VM3.
    unsafe {
        if (*vm.current).hook.mask & RETURN == 0 {
            return Ok(());
        }
        let first = vm.top.sub(n).offset_from(vm.base).max(0) as usize + 1;
        fire(vm, "return", None, (first, n))
    }
}

/// The same for natives that the interpreter finishes: their frame is at `base`
/// and has results up to the top.
///
/// # Safety
/// F1: `base` is that of a native's frame, with `n` results below `vm.top`.
#[cold]
#[inline(never)]
pub(crate) unsafe fn finish(vm: &mut Vm, base: *mut Value, n: usize) -> Result<*mut Value, Raised> {
    // SAFETY: F1: a native's frame.
    unsafe {
        vm.base = base;
        vm.pc = std::ptr::null();
        native_return(vm, n)?;
        Ok(vm.base)
    }
}
