//! Calls and returns.
//!
//! Invariants as in `interp`, F1–F2 (`frame.rs`). The fast call tests one
//! number for "enough arguments and no varargs" and one address for stack room;
//! the fast return tests one result count. All else is out of line.

use moonswap_bytecode::MULTI;

use super::drive::Driver;
use super::native::enter_native;
use super::operand::{a, b, c, ra, x};
use super::{Next, advance};
use crate::coroutine;
use crate::frame::{self, continuation_word, frame_top, return_into, set_word};
use crate::meta;
use crate::meta_event::Event;
use crate::unwind::{throw, throw_call};
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

const ANY: usize = MULTI as usize;

#[inline(always)]
pub(super) unsafe fn call<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
    // SAFETY: I1, VM1.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE {
            let slot = (*(*f).as_closure()).slot;
            let callee = f.add(2);
            if b(pc) >= usize::from((*slot).fast_args)
                && callee.byte_add((*slot).frame_bytes as usize) <= (*vm).stack_limit
            {
                set_word(f.add(1), pc.add(1) as u64, (*slot).link_word);
                return d.go(Next { pc: (*slot).code.cast(), base: callee });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| call_slow(pc, base, vm))
    }
}

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

#[inline(always)]
pub(super) unsafe fn call_multi<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
    // SAFETY: I1, VM1: `top` was set by the instruction before.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE {
            let slot = (*(*f).as_closure()).slot;
            let callee = f.add(2);
            // With 0xFFFF for varargs: more arguments than that go the slow way.
            let n = (*vm).top.offset_from(callee) as usize;
            if n >= usize::from((*slot).fast_args) && n < 256 && callee.byte_add((*slot).frame_bytes as usize) <= (*vm).stack_limit {
                set_word(f.add(1), pc.add(1) as u64, (*slot).link_word);
                return d.go(Next { pc: (*slot).code.cast(), base: callee });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| call_multi_slow(pc, base, vm))
    }
}

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
#[cold]
#[inline(never)]
unsafe fn call_object(vm: &mut Vm, ret: *const u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall; one slot more is within EXTRA_SLOTS or reserved.
    unsafe {
        let mut f = f;
        let mut n = n;
        // A chain of callable objects; the reference limits it by the stack.
        for _ in 0..200 {
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
        let _ = vm.raise_located("'__call' chain too long");
        throw_call(vm, ret, at)
    }
}

/// Enters a Lua function the general way: room, missing arguments, varargs.
unsafe fn enter_lua(vm: &mut Vm, ret: u64, flags: u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as precall.
    unsafe {
        let slot = (*(*f).as_closure()).slot;
        if n >= usize::from((*slot).fast_args) && n < 256 && f.add(2).byte_add((*slot).frame_bytes as usize) <= vm.stack_limit {
            set_word(f.add(1), ret, (*slot).link_word | flags);
            return Next { pc: (*slot).code.cast(), base: f.add(2) };
        }
        let np = usize::from((*slot).n_params);
        let frame = (*slot).frame_bytes as usize / size_of::<Value>();
        let at = vm.index_of(f);
        if vm.ensure_stack(f.add(2), n + np + frame + 4).is_err() {
            return throw_call(vm, ret as *const u64, at);
        }
        let f = vm.stack_base.add(at);
        let args = f.add(2);
        for i in n..np {
            (*args.add(i)).tag = tag::NIL;
        }
        set_word(f.add(1), ret, (*slot).link_word | flags);
        if !(*slot).is_vararg {
            return Next { pc: (*slot).code.cast(), base: args };
        }
        let kept = n.max(np);
        let base = args.add(kept + 2);
        copy(base.sub(2), f);
        let distance = base.offset_from(args) as usize * size_of::<Value>();
        set_word(base.sub(1), distance as u64, (*slot).link_word ^ u64::from(tag::LINK ^ tag::VARARG_LINK));
        for i in 0..np {
            copy(base.add(i), args.add(i));
            (*args.add(i)).tag = tag::NIL;
        }
        Next { pc: (*slot).code.cast(), base }
    }
}

/// Moves `n` results down to `dst`, padded or cut to `wanted`.
#[inline(never)]
pub(crate) unsafe fn place_results(vm: &mut Vm, dst: *mut Value, from: *mut Value, n: usize, wanted: usize) {
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

/// Calls a metamethod on behalf of the instruction at `pc`; its result reaches
/// the instruction through FINMETA.
pub(crate) unsafe fn call_metamethod(vm: &mut Vm, pc: *const u64, base: *mut Value, function: Value, args: &[Value]) -> Next {
    // SAFETY: I1, VM2: continuation, function, link and three arguments fit.
    unsafe { call_continuation(vm, pc, base, frame_top(base), 0, return_into(&frame::STUB_META), function, args) }
}

/// Calls `function` above `at` with a continuation back to (pc, base).
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn call_continuation(vm: &mut Vm, pc: *const u64, base: *mut Value, at: *mut Value, aux: u32, ret: *const u64, function: Value, args: &[Value]) -> Next {
    // SAFETY: as call_metamethod.
    unsafe {
        let f = at.add(1);
        set_word(at, pc as u64, continuation_word(f.offset_from(base) as usize, aux));
        store(f, function);
        for (i, &arg) in args.iter().enumerate() {
            store(f.add(2 + i), arg);
        }
        vm.pc = pc;
        vm.base = base;
        vm.top = f.add(2 + args.len());
        precall(vm, ret, f, args.len())
    }
}

#[inline(always)]
pub(super) unsafe fn return1<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
    // SAFETY: F1; the function slot receives the result.
    unsafe {
        let ret = (*base.sub(1)).payload as *const u64;
        let dst = base.sub(2);
        copy(dst, ra(pc, base));
        let call = ret.sub(1);
        if c(call) <= 1 {
            return d.go(Next { pc: ret, base: dst.byte_sub(a(call)) });
        }
        if c(call) == ANY {
            (*vm).top = dst.add(1);
            return d.go_apart::<1>(Next { pc: ret, base: dst.byte_sub(a(call)) });
        }
        d.slow(pc, base, vm, |_, base, vm| return_more(vm, base, 1))
    }
}

#[inline(always)]
pub(super) unsafe fn return0<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
    // SAFETY: F1.
    unsafe {
        let ret = (*base.sub(1)).payload as *const u64;
        let dst = base.sub(2);
        let call = ret.sub(1);
        if c(call) == 0 {
            return d.go(Next { pc: ret, base: dst.byte_sub(a(call)) });
        }
        d.slow(pc, base, vm, |_, base, vm| return_more(vm, base, 0))
    }
}

/// Returns the `n` results that stand in the function slot already.
#[inline(never)]
unsafe fn return_more(vm: *mut Vm, base: *mut Value, n: usize) -> Next {
    // SAFETY: F1.
    unsafe {
        let ret = (*base.sub(1)).payload as *const u64;
        let dst = base.sub(2);
        let call = ret.sub(1);
        place_results(&mut *vm, dst, dst, n, c(call));
        Next { pc: ret, base: dst.byte_sub(a(call)) }
    }
}

#[inline(never)]
pub(super) unsafe fn return_general(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F1.
    unsafe {
        let vm = &mut *vm;
        let results = ra(pc, base);
        let n = if b(pc) == ANY { vm.top.offset_from(results) as usize } else { b(pc) };
        if x(pc) & 1 != 0 {
            if let Some(next) = super::closure::close_pending(vm, pc, base, base, results.add(n)) {
                return next;
            }
            coroutine::close_upvalues(vm, vm.current, base);
        }
        let link = base.sub(1);
        let original = if (*link).tag == tag::VARARG_LINK { base.byte_sub((*link).payload as usize) } else { base };
        let ret = (*original.sub(1)).payload as *const u64;
        let dst = original.sub(2);
        let call = ret.sub(1);
        place_results(vm, dst, results, n, c(call));
        Next { pc: ret, base: dst.byte_sub(a(call)) }
    }
}

/// The usual tail call: a Lua function with enough arguments, from a frame with
/// nothing to close and no varargs under it.
#[inline(always)]
pub(super) unsafe fn tail_call<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
    // SAFETY: I1, F1: the callee takes over the frame's place and link.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE && x(pc) & 1 == 0 && (*base.sub(1)).tag == tag::LINK {
            let slot = (*(*f).as_closure()).slot;
            let n = if b(pc) == ANY { (*vm).top.offset_from(f) as usize - 2 } else { b(pc) };
            if n >= usize::from((*slot).fast_args) && n < 256 && base.byte_add((*slot).frame_bytes as usize) <= (*vm).stack_limit {
                let ret = (*base.sub(1)).payload;
                copy(base.sub(2), f);
                let mut i = 0;
                while i < n {
                    copy(base.add(i), f.add(2 + i));
                    i += 1;
                }
                set_word(base.sub(1), ret, (*slot).link_word | frame::TAIL_CALL);
                return d.go(Next { pc: (*slot).code.cast(), base });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| tail_call_slow(pc, base, vm))
    }
}

#[inline(never)]
pub(super) unsafe fn tail_call_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F1: the callee takes over the frame's place and link.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let f = ra(pc, base);
        let n = if b(pc) == ANY { vm.top.offset_from(f) as usize - 2 } else { b(pc) };
        if x(pc) & 1 != 0 {
            coroutine::close_upvalues(vm, vm.current, base);
        }
        if (*f).tag != tag::CLOSURE {
            // Natives and objects are called from this frame; the results are
            // returned as they come (see `resume_tail`).
            return tail_other(vm, pc, base, f, n);
        }
        let link = base.sub(1);
        let original = if (*link).tag == tag::VARARG_LINK { base.byte_sub((*link).payload as usize) } else { base };
        let ret = (*original.sub(1)).payload;
        let dst = original.sub(2);
        copy(dst, f);
        for i in 0..n {
            copy(original.add(i), f.add(2 + i));
        }
        // Fast entry: enough room and arguments.
        enter_tail(vm, ret, dst, n, original)
    }
}

unsafe fn enter_tail(vm: &mut Vm, ret: u64, dst: *mut Value, n: usize, original: *mut Value) -> Next {
    // SAFETY: as enter_lua. Should the stack overflow here, the frame that is
    // reported is the callee's: its link stands already.
    unsafe {
        let slot = (*(*dst).as_closure()).slot;
        set_word(dst.add(1), ret, (*slot).link_word | frame::TAIL_CALL);
        vm.base = original;
        vm.pc = (*slot).code.cast();
        let next = enter_lua(vm, ret, frame::TAIL_CALL, dst, n);
        // A loop of tail calls meets no other safe point. Not if it was refused.
        if vm.poll.requested.load(std::sync::atomic::Ordering::Relaxed) && std::ptr::eq(next.pc, (*slot).code.cast()) {
            return super::poll::poll(next.pc, next.base, vm);
        }
        next
    }
}

/// Tail call of something that is no Lua function: resolve `__call`, then call
/// natives above the frame.
#[inline(never)]
unsafe fn tail_other(vm: &mut Vm, pc: *const u64, base: *mut Value, f: *mut Value, n: usize) -> Next {
    // SAFETY: as tail_call.
    unsafe {
        let mut f = f;
        let mut n = n;
        for _ in 0..200 {
            if matches!((*f).tag, tag::CLOSURE | tag::NATIVE) {
                break;
            }
            let handler = meta::of(vm, *f, Event::Call);
            if handler.is_nil() {
                let _ = meta::raise_call(vm, f);
                return throw(vm);
            }
            let (at, base_at) = (vm.index_of(f), vm.index_of(base));
            if vm.ensure_stack(f.add(2), n + 8).is_err() {
                return throw(vm);
            }
            f = vm.stack_base.add(at);
            debug_assert_eq!(vm.base, vm.stack_base.add(base_at));
            for i in (0..n).rev() {
                copy(f.add(3 + i), f.add(2 + i));
            }
            copy(f.add(2), f);
            store(f, handler);
            n += 1;
        }
        let base = vm.base;
        let link = base.sub(1);
        let original = if (*link).tag == tag::VARARG_LINK { base.byte_sub((*link).payload as usize) } else { base };
        let ret = (*original.sub(1)).payload;
        if (*f).tag == tag::NATIVE {
            // It is called above this frame, which messages name and point
            // to; FINMETA then returns its results.
            let at = vm.index_of(f);
            if vm.ensure_stack(f.add(3), n + 8).is_err() {
                return throw(vm);
            }
            let f = vm.stack_base.add(at);
            for i in (0..n).rev() {
                copy(f.add(3 + i), f.add(2 + i));
            }
            copy(f.add(1), f);
            set_word(f, pc as u64, continuation_word(f.add(1).offset_from(vm.base) as usize, 0));
            vm.top = f.add(3 + n);
            return enter_native(vm, return_into(&frame::STUB_TAIL) as u64, f.add(1), n);
        }
        let dst = original.sub(2);
        copy(dst, f);
        for i in 0..n {
            copy(original.add(i), f.add(2 + i));
        }
        enter_tail(vm, ret, dst, n, original)
    }
}

/// A native in tail position returned (results from `f` to top): return them
/// from the frame at `base`.
pub(super) unsafe fn finish_tail(base: *mut Value, vm: *mut Vm, f: *mut Value) -> Next {
    // SAFETY: layout of FINMETA; F1.
    unsafe {
        let vm = &mut *vm;
        let n = vm.top.offset_from(f) as usize;
        let link = base.sub(1);
        let original = if (*link).tag == tag::VARARG_LINK { base.byte_sub((*link).payload as usize) } else { base };
        let ret = (*original.sub(1)).payload as *const u64;
        let dst = original.sub(2);
        let call = ret.sub(1);
        place_results(vm, dst, f, n, c(call));
        Next { pc: ret, base: dst.byte_sub(a(call)) }
    }
}

#[inline(never)]
pub(super) unsafe fn vararg(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1: only vararg functions contain it, so the link tells where
    // the arguments are.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let np = usize::from((&(*frame::version_of(base)).prototype).n_params);
        let distance = (*base.sub(1)).payload as usize / size_of::<Value>();
        let n = distance - 2 - np;
        let wanted = if b(pc) == ANY { n } else { b(pc) };
        if b(pc) == ANY {
            let at = ra(pc, base);
            if vm.ensure_stack(at, n + 8).is_err() {
                return throw(vm);
            }
        }
        let base = vm.base;
        let dst = ra(pc, base);
        let from = base.sub(distance).add(np);
        for i in 0..n.min(wanted) {
            copy(dst.add(i), from.add(i));
        }
        for i in n..wanted {
            (*dst.add(i)).tag = tag::NIL;
        }
        if b(pc) == ANY {
            vm.top = dst.add(n);
        }
        advance(pc, base)
    }
}
