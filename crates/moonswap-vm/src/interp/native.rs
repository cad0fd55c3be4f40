//! Calls of native functions, and the few natives that change frames: `pcall`,
//! `xpcall`, and those that end by calling another function.
//!
//! Invariants as in `interp`, F1–F2 (`frame.rs`).

use moonswap_bytecode::{Instruction, MULTI};

use super::Next;
use super::call::{place_results, precall};
use super::operand::c;
use crate::context::Context;
use crate::coroutine;
use crate::error::Raised;
use crate::frame::{self, return_into, set_word};
use crate::hook;
use crate::object::{NativeCode, NativeKind};
use crate::unwind::{throw, throw_call};
use crate::value::{Value, copy, store, tag};
use crate::vm::{MAX_PCALLS, NativeTail, Vm};

const ANY: usize = MULTI as usize;

/// Runs a native function; the few that change frames go their own way.
pub(super) unsafe fn enter_native(vm: &mut Vm, ret: u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall.
    unsafe {
        let at = vm.index_of(f);
        if vm.ensure_stack(f.add(2), n + 40).is_err() {
            return throw_call(vm, ret as *const u64, at);
        }
        let f = vm.stack_base.add(at);
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
                match run_native(vm, native, n) {
                    Ok(results) => match vm.native_tail.take() {
                        None => {
                            if vm.hook.active && hook::native_return(vm, results).is_err() {
                                return throw(vm);
                            }
                            finish_native(vm, vm.stack_base.add(at), results)
                        }
                        Some(tail) => call_tail(vm, at, tail),
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

#[inline(always)]
unsafe fn run_native(vm: &mut Vm, native: *mut crate::object::Native, n: usize) -> Result<usize, Raised> {
    // SAFETY: VM3: the native's frame is the topmost one.
    unsafe {
        let base = vm.index_of(vm.base);
        let mut cx = Context::of_frame(vm, base, n);
        match &(*native).code {
            NativeCode::Function(function) => function(&mut cx),
            NativeCode::Boxed(function) => function(&mut cx),
        }
    }
}

/// The native at slot `at` left a function and arguments on top: calls it with
/// the native's frame below, which hands the results on.
#[cold]
#[inline(never)]
unsafe fn call_tail(vm: &mut Vm, at: usize, tail: NativeTail) -> Next {
    // SAFETY: VM3: the native's frame is the topmost one; EXTRA_SLOTS (VM2)
    // cover the link.
    unsafe {
        let base = vm.stack_base.add(at + 2);
        let from = vm.top.sub(tail.n_args + 1);
        copy(base, from);
        let direction = from.offset_from(base);
        if direction == 0 {
            for i in (0..tail.n_args).rev() {
                copy(base.add(2 + i), from.add(1 + i));
            }
        } else {
            for i in 0..tail.n_args {
                copy(base.add(2 + i), from.add(1 + i));
            }
        }
        vm.top = base.add(2 + tail.n_args);
        let stub = if tail.three { &frame::STUB_NATIVE_3 } else { &frame::STUB_NATIVE };
        precall(vm, return_into(stub), base, tail.n_args)
    }
}

/// What a native ended by calling has returned: its results are in `base[0..]`.
#[inline(never)]
pub(super) unsafe fn finish_native_tail(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINTAIL; `base` is the native's frame.
    unsafe {
        let vm = &mut *vm;
        let wanted = c(pc.sub(1));
        if wanted != ANY {
            vm.top = base.add(wanted);
        }
        let n = vm.top.offset_from(base) as usize;
        let mut base = base;
        if vm.hook.active {
            match hook::finish(vm, base, n) {
                Ok(moved) => base = moved,
                Err(_) => return throw(vm),
            }
        }
        finish_native(vm, base.sub(2), n)
    }
}

/// Hands the `n` values below `vm.top` to the caller of the native whose
/// function slot is `f`.
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
        Next { pc: ret, base: f.byte_sub(usize::from(call.a())) }
    }
}

unsafe fn enter_pcall(vm: &mut Vm, n: usize) -> Next {
    // SAFETY: VM3: the native frame of pcall is the topmost one.
    unsafe {
        let base = vm.base;
        if n == 0 {
            let at = vm.index_of(base);
            let cx = Context::of_frame(vm, at, n);
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

unsafe fn enter_xpcall(vm: &mut Vm, n: usize) -> Next {
    // SAFETY: as enter_pcall.
    unsafe {
        let base = vm.base;
        if n < 2 || !matches!((*base.add(1)).tag, tag::CLOSURE | tag::NATIVE) {
            let at = vm.index_of(base);
            let cx = Context::of_frame(vm, at, n);
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
#[inline(never)]
pub(super) unsafe fn finish_pcall(base: *mut Value, vm: *mut Vm, first: usize) -> Next {
    // SAFETY: layout of FINPCALL/FINXPCALL; `base` is pcall's native frame.
    unsafe {
        let vm = &mut *vm;
        (*vm.current).n_pcalls = (*vm.current).n_pcalls.saturating_sub(1);
        let f = base.sub(2);
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
        let mut f = f;
        if vm.hook.active {
            match hook::finish(vm, base, n + 1) {
                Ok(moved) => f = moved.sub(2),
                Err(_) => return throw(vm),
            }
        }
        finish_native(vm, f, n + 1)
    }
}
