//! Calls.
//!
//! Invariants as in `interp`, F1–F2 (`frame.rs`). The fast call tests one
//! number for "enough arguments and no varargs" and one address for stack room.
//! All else is out of line.

use moonswap_bytecode::{Instruction, MULTI};

use super::Next;
use super::deferred::call_tail;
use super::drive::Driver;
use super::operand::{b, ra};
use crate::context::Context;
use crate::coroutine;
use crate::error::Raised;
use crate::frame::{self, continuation_word, frame_top, return_into, set_word};
use crate::hook;
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Closure, NativeCode, NativeKind};
use crate::unwind::{throw, throw_call};
use crate::value::{Value, copy, store, tag};
use crate::vm::{MAX_PCALLS, Vm};

pub(super) const ANY: usize = MULTI as usize;

/// How many objects may stand before the function in a chain of `__call`. The
/// reference limits it by the stack; each has one argument more.
pub(super) const MAX_CALL_HOPS: usize = 200;
pub(super) const CALL_CHAIN_TOO_LONG: &str = "'__call' chain too long";

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn call<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1, VM1.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE {
            let entry = Closure::entry((*f).as_closure());
            let callee = f.add(2);
            if b(pc) >= usize::from(entry.fast_args)
                && callee.byte_add(entry.frame_bytes as usize) <= (*vm).stack_limit
            {
                set_word(f.add(1), pc.add(1) as u64, entry.link());
                return d.dispatch(Next {
                    pc: entry.code.cast(),
                    base: callee,
                });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| call_slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn call_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        precall(vm, pc.add(1), ra(pc, base), b(pc))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn call_multi<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1, VM1: `top` was set by the instruction before.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE {
            let entry = Closure::entry((*f).as_closure());
            let callee = f.add(2);
            // With 0xFFFF for varargs: more arguments than that go the slow way.
            let n = (*vm).top.offset_from(callee) as usize;
            if n >= usize::from(entry.fast_args)
                && n < 256
                && callee.byte_add(entry.frame_bytes as usize) <= (*vm).stack_limit
            {
                set_word(f.add(1), pc.add(1) as u64, entry.link());
                return d.dispatch(Next {
                    pc: entry.code.cast(),
                    base: callee,
                });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| call_multi_slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn call_multi_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1: `top` was set by the instruction before.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let f = ra(pc, base);
        let n = vm.top.offset_from(f) as usize - 2;
        precall(vm, pc.add(1), f, n)
    }
}

/// Calls the function in `f[0]` with `n` arguments in `f[2..]`, to return to
/// `ret`. The caller's frame is in `vm.pc`/`vm.base`.
///
/// # Safety
/// The arguments are on the current stack; `ret` follows a CALL (or stub).
pub(crate) unsafe fn precall(vm: &mut Vm, ret: *const u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: I1–I3, F1.
    unsafe {
        match (*f).tag {
            tag::CLOSURE => enter_lua(vm, ret as u64, 0, f, n),
            tag::NATIVE => enter_native(vm, ret as u64, f, n),
            _ => call_object(vm, ret, f, n),
        }
    }
}

/// `__call`: the object becomes the first argument.
///
/// # Safety
/// As [`precall`](super::precall).
#[cold]
#[inline(never)]
unsafe fn call_object(vm: &mut Vm, ret: *const u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall; one slot more is within EXTRA_SLOTS or reserved.
    unsafe {
        let mut f = f;
        let mut n = n;
        for _ in 0..=MAX_CALL_HOPS {
            match (*f).tag {
                tag::CLOSURE => return enter_lua(vm, ret as u64, 0, f, n),
                tag::NATIVE => return enter_native(vm, ret as u64, f, n),
                _ => {}
            }
            let handler = meta::of(vm, *f, Event::Call);
            let at = vm.index_of(f);
            if handler.is_nil() {
                let at = vm.index_of(f);
                let _ = meta::raise_call(vm, f);
                return throw_call(vm, ret, at);
            }
            if vm.ensure_stack(f.add(2), n + 8).is_err() {
                return throw_call(vm, ret, at);
            }
            f = vm.stack_base.add(at);
            for i in (0..n).rev() {
                copy(f.add(3 + i), f.add(2 + i));
            }
            copy(f.add(2), f);
            store(f, handler);
            n += 1;
            vm.top = f.add(2 + n);
        }
        let at = vm.index_of(f);
        let _ = vm.raise_located(CALL_CHAIN_TOO_LONG);
        throw_call(vm, ret, at)
    }
}

/// Enters a Lua function the general way: room, missing arguments, varargs.
///
/// # Safety
/// As [`precall`](super::precall). The function is a Lua closure.
pub(super) unsafe fn enter_lua(vm: &mut Vm, ret: u64, flags: u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall.
    unsafe {
        let entry = Closure::entry((*f).as_closure());
        if n >= usize::from(entry.fast_args)
            && n < 256
            && f.add(2).byte_add(entry.frame_bytes as usize) <= vm.stack_limit
        {
            set_word(f.add(1), ret, entry.link() | flags);
            return Next {
                pc: entry.code.cast(),
                base: f.add(2),
            };
        }
        let np = usize::from(entry.n_params);
        let frame = entry.frame_bytes as usize / size_of::<Value>();
        let at = vm.index_of(f);
        if vm.ensure_stack(f.add(2), n + np + frame + 4).is_err() {
            return throw_call(vm, ret as *const u64, at);
        }
        let f = vm.stack_base.add(at);
        let args = f.add(2);
        for i in n..np {
            (*args.add(i)).tag = tag::NIL;
        }
        set_word(f.add(1), ret, entry.link() | flags);
        if !entry.is_vararg {
            return Next {
                pc: entry.code.cast(),
                base: args,
            };
        }
        let kept = n.max(np);
        let base = args.add(kept + 2);
        copy(base.sub(2), f);
        let distance = base.offset_from(args) as usize * size_of::<Value>();
        set_word(
            base.sub(1),
            distance as u64,
            entry.link() ^ u64::from(tag::LINK ^ tag::VARARG_LINK),
        );
        for i in 0..np {
            copy(base.add(i), args.add(i));
            (*args.add(i)).tag = tag::NIL;
        }
        Next {
            pc: entry.code.cast(),
            base,
        }
    }
}

/// Runs a native function; the few that change frames go their own way.
///
/// # Safety
/// As [`precall`](super::precall). The function is a native.
pub(super) unsafe fn enter_native(vm: &mut Vm, ret: u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall.
    unsafe {
        let mut f = f;
        // The native's own slots lie above the limit (VM2).
        if vm.stack_limit.offset_from(f) < n as isize + 10 || vm.stress.stack.is_on() {
            let at = vm.index_of(f);
            if vm.ensure_stack(f.add(2), n + 8).is_err() {
                return throw_call(vm, ret as *const u64, at);
            }
            f = vm.stack_base.add(at);
        }
        set_word(f.add(1), ret, u64::from(tag::LINK));
        let base = f.add(2);
        vm.top = base.add(n);
        vm.base = base;
        vm.pc = std::ptr::null();
        if vm.hook.active && hook::native_call(vm, n).is_err() {
            return throw(vm);
        }
        let native = (*vm.base.sub(2)).as_native();
        match (*native).kind {
            NativeKind::Plain | NativeKind::Next | NativeKind::IpairsStep => {
                match run_native(vm, native) {
                    // What it was given stands in for what could not be made.
                    Ok(_) if vm.heap.deferred => {
                        vm.native_tail = None;
                        let _ = vm.raise_deferred();
                        throw(vm)
                    }
                    Ok(results) => match vm.native_tail.take() {
                        None => {
                            if vm.hook.active && hook::native_return(vm, results).is_err() {
                                return throw(vm);
                            }
                            // The native's frame is the topmost one again (VM3).
                            finish_native(vm, vm.base.sub(2), results)
                        }
                        Some(tail) => call_tail(vm, tail),
                    },
                    Err(_) => {
                        vm.native_tail = None;
                        throw(vm)
                    }
                }
            }
            NativeKind::Pcall => enter_pcall(vm, n),
            NativeKind::Xpcall => enter_xpcall(vm, n),
            NativeKind::Resume => coroutine::enter_resume(vm, n, false),
            NativeKind::Wrap => coroutine::enter_resume(vm, n, true),
            NativeKind::Yield => coroutine::enter_yield(vm, n),
        }
    }
}

/// # Safety
/// VM3: the native's frame is the topmost one.
#[inline(always)]
unsafe fn run_native(vm: &mut Vm, native: *mut crate::object::Native) -> Result<usize, Raised> {
    // SAFETY: VM3: the native's frame is the topmost one.
    unsafe {
        let base = vm.index_of(vm.base);
        let mut cx = Context::of_frame(vm, base);
        let results = match &(*native).code {
            NativeCode::Function(function) => function(&mut cx),
            NativeCode::Boxed(function) => function(&mut cx),
        }?;
        // It may say that it pushed more than it did (CX5).
        Ok(results.min(vm.top.offset_from(vm.base) as usize))
    }
}

/// [`finish_native`] for natives that the interpreter finishes (pcall, resume
/// and their like): `base` is the native's frame, and a hook is told.
///
/// # Safety
/// F1: `base` is that of a native's frame, with `n` results below `vm.top`.
#[inline(always)]
pub(crate) unsafe fn leave_native(vm: &mut Vm, base: *mut Value, n: usize) -> Next {
    // SAFETY: F1; the hook leaves the results below the top.
    unsafe {
        if vm.hook.active {
            return match hook::finish(vm, base, n) {
                Ok(moved) => finish_native(vm, moved.sub(2), n),
                Err(_) => throw(vm),
            };
        }
        finish_native(vm, base.sub(2), n)
    }
}

/// Hands the `n` values below `vm.top` to the caller of the native whose
/// function slot is `f`.
///
/// # Safety
/// F1: `f` is the function slot of a native's frame, with `n` results below `vm.top`.
pub(crate) unsafe fn finish_native(vm: &mut Vm, f: *mut Value, n: usize) -> Next {
    // SAFETY: F1.
    unsafe {
        let ret = (*f.add(1)).payload as *const u64;
        let call = Instruction::from_bits(*ret.sub(1));
        let wanted = usize::from(call.c());
        let from = vm.top.sub(n);
        if wanted == 1 {
            if n == 0 {
                (*f).tag = tag::NIL;
            } else {
                copy(f, from);
            }
        } else {
            place_results(vm, f, from, n, wanted);
        }
        Next {
            pc: ret,
            base: f.byte_sub(usize::from(call.a())),
        }
    }
}

/// Moves `n` results down to `dst`, padded or cut to `wanted`.
///
/// # Safety
/// `dst <= from`, both on the current stack; `wanted` slots from `dst` on are there.
#[inline(never)]
pub(crate) unsafe fn place_results(
    vm: &mut Vm,
    dst: *mut Value,
    from: *mut Value,
    n: usize,
    wanted: usize,
) {
    // SAFETY: dst <= from, both on the current stack.
    unsafe {
        if wanted == ANY {
            for i in 0..n {
                copy(dst.add(i), from.add(i));
            }
            vm.top = dst.add(n);
            return;
        }
        let moved = n.min(wanted);
        for i in 0..moved {
            copy(dst.add(i), from.add(i));
        }
        for i in moved..wanted {
            (*dst.add(i)).tag = tag::NIL;
        }
    }
}

/// # Safety
/// VM3: the native frame of `pcall` is the topmost one, with `n` arguments.
unsafe fn enter_pcall(vm: &mut Vm, n: usize) -> Next {
    // SAFETY: VM3: the native frame of pcall is the topmost one.
    unsafe {
        let base = vm.base;
        if n == 0 {
            let at = vm.index_of(base);
            let cx = Context::of_frame(vm, at);
            let _ = cx.arg_error(0, "value expected");
            return throw(vm);
        }
        if !count_pcall(vm) {
            return throw(vm);
        }
        // function stays in base[0], a gap for the link, then the arguments
        for i in (1..n).rev() {
            copy(base.add(i + 1), base.add(i));
        }
        vm.top = base.add(n + 1);
        precall(vm, return_into(&frame::STUB_PCALL), base, n - 1)
    }
}

/// # Safety
/// VM3: the native frame of `xpcall` is the topmost one, with `n` arguments.
unsafe fn enter_xpcall(vm: &mut Vm, n: usize) -> Next {
    // SAFETY: as enter_pcall.
    unsafe {
        let base = vm.base;
        if n < 2 || !matches!((*base.add(1)).tag, tag::CLOSURE | tag::NATIVE) {
            let at = vm.index_of(base);
            let cx = Context::of_frame(vm, at);
            let _ = cx.type_error(1, "function");
            return throw(vm);
        }
        if !count_pcall(vm) {
            return throw(vm);
        }
        // handler in base[0], function in base[1], gap, arguments
        let f = *base;
        copy(base, base.add(1));
        store(base.add(1), f);
        for i in (2..n).rev() {
            copy(base.add(i + 1), base.add(i));
        }
        vm.top = base.add(n + 1);
        precall(vm, return_into(&frame::STUB_XPCALL), base.add(1), n - 2)
    }
}

/// Counts a protected call; false and an error if they nest too deep. The
/// interpreter has no need of the limit, but programs that recurse through
/// `pcall` do: each level may add to the message.
///
/// # Safety
/// `vm.current` is live (VM1).
unsafe fn count_pcall(vm: &mut Vm) -> bool {
    // SAFETY: `current` is live.
    unsafe {
        if (*vm.current).n_pcalls >= MAX_PCALLS {
            let _ = vm.raise_message("C stack overflow");
            return false;
        }
        (*vm.current).n_pcalls += 1;
        true
    }
}

/// The function called by pcall returned: its results are in `base[first..]`
/// up to top.
///
/// # Safety
/// The driver's: FINPCALL or FINXPCALL of the native frame at `base`, with results from
/// `base[first]` to `vm.top`.
#[inline(never)]
pub(super) unsafe fn finish_pcall(base: *mut Value, vm: *mut Vm, first: usize) -> Next {
    // SAFETY: layout of FINPCALL/FINXPCALL; `base` is pcall's native frame.
    unsafe {
        let vm = &mut *vm;
        (*vm.current).n_pcalls = (*vm.current).n_pcalls.saturating_sub(1);
        let results = base.add(first);
        let n = vm.top.offset_from(results) as usize;
        // Room for `true` right below the results.
        let from = if first == 0 {
            for i in (0..n).rev() {
                copy(base.add(i + 1), base.add(i));
            }
            vm.top = vm.top.add(1);
            base
        } else {
            results.sub(1)
        };
        store(from, Value::boolean(true));
        leave_native(vm, base, n + 1)
    }
}

/// Calls a metamethod on behalf of the instruction at `pc`; its result reaches
/// the instruction through FINMETA.
///
/// # Safety
/// The contract of operations (`interp`). V1: live arguments, at most three.
#[inline(always)]
pub(crate) unsafe fn call_metamethod(
    vm: &mut Vm,
    pc: *const u64,
    base: *mut Value,
    function: Value,
    args: &[Value],
) -> Next {
    // SAFETY: I1, VM2: continuation, function, link and three arguments fit.
    unsafe {
        call_continuation(
            vm,
            pc,
            base,
            frame_top(base),
            0,
            return_into(&frame::STUB_META),
            function,
            args,
        )
    }
}

/// Calls `function` above `at` with a continuation back to (pc, base).
///
/// # Safety
/// The contract of operations (`interp`). V1; VM2: at `at` there is room for a
/// continuation, function, link and the arguments.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn call_continuation(
    vm: &mut Vm,
    pc: *const u64,
    base: *mut Value,
    at: *mut Value,
    aux: u32,
    ret: *const u64,
    function: Value,
    args: &[Value],
) -> Next {
    // SAFETY: as call_metamethod.
    unsafe {
        let f = lay_out(vm, pc, base, at, aux, function, args);
        if vm.poll.look.load(std::sync::atomic::Ordering::Relaxed) {
            return super::poll::precall_watched(vm, ret, f, args.len());
        }
        precall(vm, ret, f, args.len())
    }
}

/// Writes the continuation at `at` and the call above it; the caller's frame is
/// the topmost one then.
///
/// # Safety
/// As [`call_continuation`].
#[inline(always)]
pub(super) unsafe fn lay_out(
    vm: &mut Vm,
    pc: *const u64,
    base: *mut Value,
    at: *mut Value,
    aux: u32,
    function: Value,
    args: &[Value],
) -> *mut Value {
    // SAFETY: as call_metamethod.
    unsafe {
        let f = at.add(1);
        set_word(
            at,
            pc as u64,
            continuation_word(f.offset_from(base) as usize, aux),
        );
        store(f, function);
        for (i, &arg) in args.iter().enumerate() {
            store(f.add(2 + i), arg);
        }
        vm.pc = pc;
        vm.base = base;
        vm.top = f.add(2 + args.len());
        f
    }
}
