//! Names of variables and functions for messages.
//!
//! Values are given, not places: the operand that holds the value is looked for
//! in the registers the current instruction reads, in the order in which the
//! reference blames them.
//!
//! Invariants: F1, F2 (`frame.rs`), VM3.

use moonswap_bytecode::{Instruction, OpCode, OperandKind};
use smallvec::{SmallVec, smallvec};

use super::symbolic::{Code, Name};
use super::walk;
use crate::frame::Frame;
use crate::object::{Closure, NativeCode};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// What names of a Lua frame are read from.
///
/// # Safety
/// F1, F2: a frame of a live coroutine, which stands as long as the answer is used.
unsafe fn code<'a>(vm: &'a Vm, frame: Frame) -> Option<Code<'a>> {
    // SAFETY: F2: version, slot and instance live as long as the frame.
    unsafe {
        let version = walk::version(frame)?;
        Some(Code::new(vm, version))
    }
}

/// The topmost frame if it is Lua and stands at an instruction.
///
/// # Safety
/// VM3; the frame stands as long as the answer is used.
unsafe fn topmost(vm: &Vm) -> Option<(Frame, Code<'_>, usize)> {
    // SAFETY: VM3.
    unsafe {
        if vm.pc.is_null() {
            return None;
        }
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        let code = code(vm, frame)?;
        Some((frame, code, walk::pc_of(frame)))
    }
}

fn display(name: Option<Name>) -> Vec<u8> {
    match name {
        Some((kind, name)) => {
            // Names are C strings in the reference's messages: a zero ends them.
            let shown = name.split(|&c| c == 0).next().unwrap_or_default();
            [b" (", kind.as_bytes(), b" '", shown, b"')"].concat()
        }
        None => Vec::new(),
    }
}

/// The same value in the same form (no content comparison).
fn same(a: Value, b: Value) -> bool {
    a.tag == b.tag && (matches!(a.tag, tag::NIL | tag::FALSE | tag::TRUE) || a.payload == b.payload)
}

/// Registers an instruction reads, in the order in which they are blamed.
fn operands(i: Instruction, op: OpCode) -> SmallVec<[u16; 4]> {
    if op == OpCode::Concat {
        // From the right, of each pair the left one first.
        let (first, n) = (i.register_b(), i.c());
        return (1..n)
            .rev()
            .flat_map(|k| [first + k - 1, first + k])
            .collect();
    }
    if matches!(op, OpCode::Call | OpCode::CallMulti | OpCode::TailCall) {
        return smallvec![i.register_a()];
    }
    let kinds = op.operands();
    let registers = [i.register_a(), i.register_b(), i.register_c()];
    kinds
        .into_iter()
        .zip(registers)
        .filter(|(kind, _)| *kind == OperandKind::Register)
        .map(|(_, r)| r)
        .collect()
}

/// # Safety
/// F1: a Lua frame that has this register.
unsafe fn register(frame: Frame, register: u16) -> Value {
    // SAFETY: verified operands lie in the frame.
    unsafe { *frame.base.add(usize::from(register)) }
}

/// " (local 'x')" and the like for an operand of the current instruction that
/// holds `v`; nothing if there is none or it has no name.
pub(crate) fn of_value(vm: &Vm, v: Value) -> Vec<u8> {
    // SAFETY: VM3.
    unsafe {
        let Some((frame, code, pc)) = topmost(vm) else {
            return Vec::new();
        };
        let Some((i, op)) = code.at(pc) else {
            return Vec::new();
        };
        let holder = operands(i, op)
            .into_iter()
            .find(|&r| same(register(frame, r), v));
        display(holder.and_then(|r| code.register_name(pc, r)))
    }
}

/// The same for the indexed object of the current instruction.
pub(crate) fn of_indexed(vm: &Vm, object: Value, key: Value) -> Vec<u8> {
    let _ = key;
    // SAFETY: VM3; captured variables as verified.
    unsafe {
        let Some((frame, code, pc)) = topmost(vm) else {
            return Vec::new();
        };
        let Some((i, op)) = code.at(pc) else {
            return Vec::new();
        };
        if matches!(op, OpCode::GetTabUp | OpCode::SetTabUp) {
            let index = usize::from(i.b());
            let up = *Closure::upvalue_at(frame.closure(), index);
            let name =
                same(*(*up).value, object).then(|| ("upvalue", code.upvalue_name(index).to_vec()));
            return display(name);
        }
        let holder = if matches!(
            op,
            OpCode::GetTable | OpCode::GetIndex | OpCode::GetField | OpCode::SelfField
        ) {
            i.register_b()
        } else if matches!(op, OpCode::SetTable | OpCode::SetIndex | OpCode::SetField) {
            i.register_a()
        } else {
            return of_value(vm, object);
        };
        if !same(register(frame, holder), object) {
            // an `__index` further along the chain
            return Vec::new();
        }
        display(code.register_name(pc, holder))
    }
}

/// The same for what the current instruction calls: the called register, the
/// iterator of a loop, a metamethod.
pub(crate) fn of_called(vm: &Vm, v: Value) -> Vec<u8> {
    // SAFETY: VM3.
    unsafe {
        let Some((_, code, pc)) = topmost(vm) else {
            return Vec::new();
        };
        match code.callee_name(pc) {
            Some(name) => display(Some(name)),
            None => of_value(vm, v),
        }
    }
}

/// Name of the local variable in a stack slot of the topmost Lua frame; "?" if
/// it has none.
pub(crate) fn of_slot(vm: &Vm, slot: usize) -> Vec<u8> {
    // SAFETY: VM3.
    unsafe {
        let name = topmost(vm).and_then(|(frame, code, pc)| {
            let register = u16::try_from(slot.checked_sub(vm.index_of(frame.base))?).ok()?;
            // A variable that is just being declared lives from the next one on.
            code.local_name(register, pc)
                .or_else(|| code.local_name(register, pc + 1))
        });
        name.unwrap_or(b"?").to_vec()
    }
}

/// How the function of a frame is called by its caller, as `getinfo` tells:
/// kind and name. Nothing after tail calls and for what natives call.
///
/// # Safety
/// `frame` is a frame of a live stack.
pub(crate) unsafe fn function_name(vm: &Vm, frame: Frame) -> Option<Name> {
    // SAFETY: by the caller; F1, F2.
    unsafe {
        if frame.is_tail_call() {
            return None;
        }
        let (caller, op) = frame.caller()?;
        match op {
            OpCode::FinishPcall
            | OpCode::FinishXpcall
            | OpCode::FinishCoroutine
            | OpCode::FinishUnwind
            | OpCode::FinishTail
            | OpCode::EnterCall => None,
            OpCode::FinishClose => Some(("metamethod", b"close".to_vec())),
            OpCode::Halt if vm.hook.interrupted == Some(vm.index_of(caller.base)) => {
                Some(("hook", b"?".to_vec()))
            }
            OpCode::Halt => {
                let finalizes = vm.in_finalizer && (caller.is_lua() || is_collector(caller));
                if finalizes {
                    return Some(("metamethod", b"__gc".to_vec()));
                }
                // A message handler: what was being done names it, as in the
                // reference.
                code(vm, caller)?.callee_name(walk::pc_of(caller))
            }
            // whatever stands behind a call (for a moment a trap)
            op => {
                let after_call = matches!(op, OpCode::FinishMeta | OpCode::Trap);
                debug_assert!(after_call || !op.is_internal());
                code(vm, caller)?.callee_name(walk::pc_of(caller))
            }
        }
    }
}

/// Whether a native frame is `collectgarbage`, which calls finalizers.
///
/// # Safety
/// F1.
unsafe fn is_collector(frame: Frame) -> bool {
    // SAFETY: F1.
    unsafe {
        let f = frame.function();
        f.tag == tag::NATIVE && (*f.as_native()).name == "collectgarbage"
    }
}

/// Name an embedder gave to its own native function.
///
/// # Safety
/// V1.
pub(super) unsafe fn embedder_name(f: Value) -> Option<&'static str> {
    // SAFETY: V1 a native value is live.
    unsafe {
        if f.tag != tag::NATIVE {
            return None;
        }
        let native = &*f.as_native();
        match native.code {
            NativeCode::Boxed(_) if !native.name.is_empty() => Some(native.name),
            NativeCode::Boxed(_) | NativeCode::Function(_) => None,
        }
    }
}
