//! Call frames: how a stack is walked.
//!
//! A frame is a window of the value stack. Below its base stand the function
//! (`base[-2]`) and the link (`base[-1]`): the return address and, in the upper
//! 56 bits of the second word, the pinned version (0 for natives; bit 0 set
//! after a tail call). The CALL instruction before the return address says
//! where the caller's base is. Boundaries return into small stubs instead, so
//! that RETURN never tests for them:
//!
//! | stub | layout below the callee's base |
//! | --- | --- |
//! | FINMETA, FINCLOSE | continuation, function, link |
//! | FINPCALL | base of pcall's native frame = function, link |
//! | FINXPCALL | base of xpcall's frame = handler, function, link |
//! | FINTAIL | base of the native's frame = function, link |
//! | FINUNWIND | error, continuation (to pcall's frame), function, link |
//! | HALT | continuation (to the frame of the host's caller), function, link |
//! | FINCO | bottom of the stack |
//!
//! Nothing returns into ENTER: it makes a call that is laid out already.
//!
//! A continuation: payload = interrupted instruction (0 in natives), second
//! word = aux << 32 | distance in slots from the interrupted base << 8 | tag.
//!
//! Invariants: F1 every base reachable from the topmost one has a valid link;
//! F2 a link's version is live (the collector marks it through the frame).

use moonswap_bytecode::{Instruction, MULTI, OpCode};

pub(crate) use crate::callee::version_of;
use crate::object::{Closure, Coroutine, Version};
use crate::value::{Value, tag};
pub(crate) use crate::value::{meta_word, set_word};

const fn stub(a: u16, c: u16, finish: OpCode) -> [u64; 2] {
    [
        Instruction::from_raw(OpCode::Call, 0, a, 0, c).to_bits(),
        Instruction::from_raw(finish, 0, 0, 0, 0).to_bits(),
    ]
}

pub(crate) static STUB_META: [u64; 2] = stub(0, 1, OpCode::FinishMeta);
/// A native in tail position returned all its results.
pub(crate) static STUB_TAIL: [u64; 2] = stub(0, MULTI, OpCode::FinishMeta);
pub(crate) static STUB_CLOSE: [u64; 2] = stub(0, 0, OpCode::FinishClose);
pub(crate) static STUB_PCALL: [u64; 2] = stub(0, MULTI, OpCode::FinishPcall);
pub(crate) static STUB_XPCALL: [u64; 2] = stub(16, MULTI, OpCode::FinishXpcall);
pub(crate) static STUB_UNWIND: [u64; 2] = stub(0, 0, OpCode::FinishUnwind);
pub(crate) static STUB_NATIVE: [u64; 2] = stub(0, MULTI, OpCode::FinishTail);
pub(crate) static STUB_NATIVE_3: [u64; 2] = stub(0, 3, OpCode::FinishTail);
pub(crate) static STUB_HALT: [u64; 2] = stub(0, MULTI, OpCode::Halt);
/// As [`STUB_HALT`], for one result.
pub(crate) static STUB_HALT_ONE: [u64; 2] = stub(0, 1, OpCode::Halt);
pub(crate) static STUB_ENTER: [u64; 2] = stub(0, 0, OpCode::EnterCall);
pub(crate) static STUB_COROUTINE: [u64; 2] = stub(0, MULTI, OpCode::FinishCoroutine);

/// Address a callee of this stub returns to.
#[inline(always)]
pub(crate) fn return_into(stub: &'static [u64; 2]) -> *const u64 {
    // A pointer to the whole stub: the CALL before the address is read as well.
    // SAFETY: a stub has two words.
    unsafe { (&raw const *stub).cast::<u64>().add(1) }
}

/// Set in a link's version bits by a tail call.
pub(crate) const TAIL_CALL: u64 = 1 << 8;

/// Second word of a continuation.
pub(crate) fn continuation_word(distance: usize, aux: u32) -> u64 {
    (u64::from(aux) << 32) | ((distance as u64) << 8) | u64::from(tag::CONTINUATION)
}

/// Distance in slots kept in a continuation.
pub(crate) fn continuation_distance(word: u64) -> usize {
    (word >> 8) as usize & 0xFF_FFFF
}

/// In the auxiliary number of a FINCLOSE: a hook made the coroutine yield.
pub(crate) const BY_HOOK: u32 = 1 << 31;

/// Auxiliary number kept in a continuation.
pub(crate) fn continuation_aux(word: u64) -> u32 {
    (word >> 32) as u32
}

/// One activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) base: *mut Value,
    /// The instruction it is at (interrupted or calling); null for natives.
    pub(crate) pc: *const u64,
}

/// Base a frame had before its varargs were tucked under it.
///
/// # Safety
/// F1: the frame stands.
#[inline(always)]
pub(crate) unsafe fn original_base(base: *mut Value) -> *mut Value {
    // SAFETY: F1.
    unsafe {
        let link = base.sub(1);
        match (*link).tag == tag::VARARG_LINK {
            true => base.byte_sub((*link).payload as usize),
            false => base,
        }
    }
}

impl Frame {
    /// Base the frame had before its varargs were tucked under it.
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn original_base(self) -> *mut Value {
        // SAFETY: F1.
        unsafe { original_base(self.base) }
    }

    /// The pinned version; null for a native.
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn version(self) -> *mut Version {
        // SAFETY: F1.
        unsafe { version_of(self.base) }
    }

    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn is_lua(self) -> bool {
        // SAFETY: F1.
        unsafe { !self.version().is_null() }
    }

    /// The function value.
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn function(self) -> Value {
        // SAFETY: F1.
        unsafe { *self.base.sub(2) }
    }

    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn closure(self) -> *mut Closure {
        // SAFETY: F1.
        unsafe { (*self.base.sub(2)).as_closure() }
    }

    /// Whether the watchdog has met it (`hotpatch/after/watchdog.rs`).
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn is_seen(self) -> bool {
        // SAFETY: F1.
        unsafe { is_seen(self.base) }
    }

    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn is_tail_call(self) -> bool {
        // SAFETY: F1.
        unsafe { meta_word(self.original_base().sub(1)) & TAIL_CALL != 0 }
    }

    /// Index of the current instruction in the pinned version's code.
    ///
    /// # Safety
    /// F1, F2: a Lua frame that stands; its `pc` is not null.
    pub(crate) unsafe fn pc_index(self) -> usize {
        // SAFETY: F1, F2; pc lies in the version's code.
        unsafe { self.pc.offset_from(Version::code(self.version())) as usize }
    }

    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn return_address(self) -> *const u64 {
        // SAFETY: F1.
        unsafe { (*self.original_base().sub(1)).payload as *const u64 }
    }

    /// The operation the callee returns into (FIN…/HALT at boundaries).
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn return_op(self) -> Option<OpCode> {
        // SAFETY: F1: return addresses point to instructions.
        unsafe { Instruction::from_bits(*self.return_address()).opcode() }
    }

    /// End of the registers that live at the safe point where the frame stands, where it
    /// is known: what dead temporaries refer to is garbage, and programs wait for it to
    /// go.
    ///
    /// # Safety
    /// F1, F2: a Lua frame that stands at a safe point, or has no `pc`.
    pub(crate) unsafe fn live_end(self) -> Option<*mut Value> {
        // SAFETY: verified operands lie in the frame; a generic loop's call stands
        // before its end.
        unsafe {
            if self.pc.is_null() {
                return None;
            }
            let i = Instruction::from_bits(*self.pc);
            let a = usize::from(i.register_a());
            let n = match i.opcode()? {
                OpCode::Call => a + 2 + usize::from(i.b()),
                OpCode::TailCall if i.b() != MULTI => a + 2 + usize::from(i.b()),
                OpCode::ForLoop => a + 4,
                OpCode::TForLoop => {
                    let call = Instruction::from_bits(*self.pc.sub(1));
                    if call.opcode() != Some(OpCode::TForCall) {
                        return None;
                    }
                    a + usize::from(call.c()).max(1)
                }
                OpCode::JumpBack => usize::from(i.a()),
                _ => return None,
            };
            Some(self.base.add(n).min(frame_top(self.base)))
        }
    }

    /// The frame below, and how it called this one.
    ///
    /// # Safety
    /// F1: the frame stands.
    pub(crate) unsafe fn caller(self) -> Option<(Frame, OpCode)> {
        // SAFETY: F1, layouts as in the table above.
        unsafe {
            let base = self.original_base();
            let ret = self.return_address();
            let op = Instruction::from_bits(*ret).opcode()?;
            match op {
                OpCode::FinishMeta | OpCode::FinishClose | OpCode::Halt | OpCode::FinishUnwind => {
                    let cont = base.sub(3);
                    let word = meta_word(cont);
                    let below = cont.add(1).sub(continuation_distance(word));
                    let pc = (*cont).payload as *const u64;
                    Some((Frame { base: below, pc }, op))
                }
                OpCode::FinishPcall | OpCode::FinishTail => Some((
                    Frame {
                        base: base.sub(2),
                        pc: std::ptr::null(),
                    },
                    op,
                )),
                OpCode::FinishXpcall => Some((
                    Frame {
                        base: base.sub(3),
                        pc: std::ptr::null(),
                    },
                    op,
                )),
                OpCode::FinishCoroutine => None,
                _ => {
                    let call = ret.sub(1);
                    let a = usize::from(Instruction::from_bits(*call).a());
                    let below = base.sub(2).byte_sub(a);
                    Some((
                        Frame {
                            base: below,
                            pc: call,
                        },
                        op,
                    ))
                }
            }
        }
    }
}

/// First slot above the registers of the Lua frame at `base`.
///
/// # Safety
/// F1, F2: `base` is that of a Lua frame.
#[inline(always)]
pub(crate) unsafe fn frame_top(base: *mut Value) -> *mut Value {
    // SAFETY: F1, F2.
    unsafe { base.add(usize::from((*version_of(base)).frame_size)) }
}

/// In the second word of a link beside the version: the activation was seen.
const SEEN: u64 = 1 << 9;

/// Marks the link of the Lua frame at `base`.
///
/// # Safety
/// F1: `base` is that of a Lua frame.
pub(crate) unsafe fn mark_seen(base: *mut Value) {
    // SAFETY: F1, WD1.
    unsafe {
        let link = base.sub(1);
        let mut word = meta_word(link) | SEEN;
        if (*link).tag == tag::LINK {
            word ^= u64::from(tag::LINK ^ tag::SEEN_LINK);
        }
        link.cast::<u64>().add(1).write(word);
    }
}

/// Before a tail call replaces the link of the frame at `base`: whether the callee
/// is to be marked with [`mark_seen`].
///
/// # Safety
/// F1: `base` is that of a frame.
pub(crate) unsafe fn is_seen(base: *const Value) -> bool {
    // SAFETY: F1.
    unsafe { meta_word(base.sub(1)) & SEEN != 0 }
}

/// Where an activation stands: its coroutine and the slot of its base, before
/// varargs were tucked under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) coroutine: *mut Coroutine,
    pub(crate) slot: usize,
}

impl Place {
    /// # Safety
    /// F1: the frame is one of this coroutine's stack.
    pub(crate) unsafe fn of(coroutine: *mut Coroutine, frame: Frame) -> Self {
        // SAFETY: F1: a frame of this coroutine's stack.
        unsafe {
            let bottom = (&(*coroutine).stack).as_ptr();
            Self {
                coroutine,
                slot: frame.original_base().cast_const().offset_from(bottom) as usize,
            }
        }
    }

    /// Whether a frame of the running coroutine is the one.
    ///
    /// # Safety
    /// F1: the frame is one of the running coroutine.
    pub(crate) unsafe fn is(self, running: *mut Coroutine, frame: Frame) -> bool {
        // SAFETY: F1.
        unsafe {
            std::ptr::eq(self.coroutine, running)
                && frame.is_lua()
                && Self::of(self.coroutine, frame) == self
        }
    }
}
