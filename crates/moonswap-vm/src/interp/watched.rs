//! Operations that write what lives outside their frame, while the writes of a
//! patch's code go into the undo log (`undo/`): no short ways, and the
//! old value is written down first. Reached in place of the usual handlers, so
//! that these know nothing of it.
//!
//! Invariants as in `interp`; J2.

use moonswap_bytecode::{OpCode, Written};

use super::assign::{self, set_slow};
use super::drive::returning::Returning;
use super::operand::{b, k_wide, kb, kc, ra, rb, rc};
use super::{Next, backfill, moves};
use crate::object::Upvalue;
use crate::value::Value;
use crate::vm::Vm;

/// Whether an operation is done by [`step`] while it is kept.
pub(super) const fn watches(op: OpCode) -> bool {
    op.writes().is_some()
}

/// Whether that is so and `op` is one of them.
///
/// # Safety
/// `vm` is live and not borrowed.
#[cfg_attr(not(moonswap_tail), allow(dead_code))]
pub(super) unsafe fn is_due(vm: *mut Vm, op: u8) -> bool {
    // SAFETY: by the caller.
    let logged = unsafe { (*vm).heap.logged };
    logged && OpCode::from_u8(op).is_some_and(watches)
}

/// Does the operation at `pc`, which is one that writes.
///
/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
pub(super) unsafe fn step(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1–I3; operands are those of the operation.
    unsafe {
        let Some(written) = OpCode::from_u8(*pc.cast::<u8>()).and_then(OpCode::writes) else {
            return Next { pc, base };
        };
        match written {
            Written::UpvalueField => {
                let object = *(*moves::upvalue(base, b(pc))).value;
                set_slow(pc, base, vm, object, *kc(pc), *ra(pc, base))
            }
            Written::Element => set_slow(pc, base, vm, *ra(pc, base), *rb(pc, base), *rc(pc, base)),
            Written::Index => {
                let key = Value::integer(b(pc) as i64);
                set_slow(pc, base, vm, *ra(pc, base), key, *rc(pc, base))
            }
            Written::Field => set_slow(pc, base, vm, *ra(pc, base), *kb(pc), *rc(pc, base)),
            Written::Upvalue => {
                (&mut *vm).undo().variable(moves::upvalue(base, b(pc)));
                moves::set_upvalue(Returning, pc, base, vm)
            }
            Written::Cell => {
                (&mut *vm)
                    .undo()
                    .variable((*k_wide(pc)).payload as *mut Upvalue);
                moves::set_cell(Returning, pc, base, vm)
            }
            Written::Late => {
                let closure = moves::running_closure(base);
                if let Some(upvalue) = (*vm).heap.find_upvalue(closure, b(pc)) {
                    (&mut *vm).undo().variable(upvalue);
                }
                backfill::set(pc, base, vm)
            }
            Written::Table => {
                let next = assign::new_table(pc, base, vm);
                (&mut *vm).undo().made((*ra(pc, base)).as_table());
                next
            }
        }
    }
}
