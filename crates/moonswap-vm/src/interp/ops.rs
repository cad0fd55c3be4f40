//! Every operation by its name: one line each, bodies live with their family.
//!
//! Invariants as in `interp`.
#![allow(non_snake_case, unused_variables)]

use super::drive::Driver;
use super::operand::{a, bc, kc, ra, rb, rc};
use super::{
    Next, arith, assign, backfill, call, closure, compare, concat, deferred, index, loops,
};
use super::{advance, jump, moves, returns, tail_call};
use crate::frame::{continuation_distance, meta_word};
use crate::unwind;
use crate::value::{Value, copy, tag};
use crate::vm::Vm;
use moonswap_bytecode::{Instruction, OpCode};

// `Name[d](…)`: the body goes on by itself; `Name(…)`: it says where to go on.
macro_rules! ops {
    ($($name:ident $([$d:ident])? ($pc:ident, $base:ident, $vm:ident) $body:expr;)*) => {
        $(ops!(@one $name [$($d)?] $pc, $base, $vm, $body);)*
    };
    (@one $name:ident [] $pc:ident, $base:ident, $vm:ident, $body:expr) => {
        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        pub(crate) unsafe fn $name<D: Driver>(d: D, $pc: *const u64, $base: *mut Value, $vm: *mut Vm) -> D::Out {
            // SAFETY: I1–I3, by the driver.
            unsafe { d.dispatch($body) }
        }
    };
    (@one $name:ident [$d:ident] $pc:ident, $base:ident, $vm:ident, $body:expr) => {
        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        pub(crate) unsafe fn $name<D: Driver>($d: D, $pc: *const u64, $base: *mut Value, $vm: *mut Vm) -> D::Out {
            // SAFETY: I1–I3, by the driver.
            unsafe { $body }
        }
    };
}

ops! {
    Move(pc, base, vm) moves::move_(pc, base);
    LoadInt(pc, base, vm) moves::load_int(pc, base);
    LoadFloat(pc, base, vm) moves::load_float(pc, base);
    LoadConst(pc, base, vm) moves::load_const(pc, base);
    LoadNil(pc, base, vm) moves::load_nil(pc, base);
    LoadFalse(pc, base, vm) moves::load_tag(pc, base, tag::FALSE);
    LoadTrue(pc, base, vm) moves::load_tag(pc, base, tag::TRUE);
    LoadFalseSkip(pc, base, vm) { (*ra(pc, base)).tag = tag::FALSE; jump(pc, base, 1) };
    GetUpvalue(pc, base, vm) moves::get_upvalue(pc, base);
    SetUpvalue[d](pc, base, vm) moves::set_upvalue(d, pc, base, vm);
    GetCell(pc, base, vm) moves::get_cell(pc, base);
    SetCell[d](pc, base, vm) moves::set_cell(d, pc, base, vm);
    GetBackfilled(pc, base, vm) backfill::get(pc, base, vm);
    SetBackfilled(pc, base, vm) backfill::set(pc, base, vm);
    JumpIfBackfilled(pc, base, vm) backfill::jump_if(pc, base, vm);

    GetTabUp[d](pc, base, vm) index::get_tab_up(d, pc, base, vm);
    SetTabUp[d](pc, base, vm) assign::set_tab_up(d, pc, base, vm);
    GetTable[d](pc, base, vm) index::get_table(d, pc, base, vm);
    GetIndex[d](pc, base, vm) index::get_index(d, pc, base, vm);
    GetField[d](pc, base, vm) index::get_field_of(d, pc, base, vm, |pc, base| rb(pc, base));
    SetTable[d](pc, base, vm) assign::set_table(d, pc, base, vm);
    SetIndex[d](pc, base, vm) assign::set_index(d, pc, base, vm);
    SetField[d](pc, base, vm) assign::set_field(d, pc, base, vm);
    SelfField[d](pc, base, vm) index::self_field(d, pc, base, vm);
    NewTable(pc, base, vm) assign::new_table(pc, base, vm);
    SetList(pc, base, vm) assign::set_list(pc, base, vm);

    Add[d](pc, base, vm) arith::add(d, pc, base, vm, rb(pc, base), rc(pc, base));
    Sub[d](pc, base, vm) arith::sub(d, pc, base, vm, rb(pc, base), rc(pc, base));
    Mul[d](pc, base, vm) arith::mul(d, pc, base, vm, rb(pc, base), rc(pc, base));
    Mod[d](pc, base, vm) arith::modulo(d, pc, base, vm, rb(pc, base), rc(pc, base));
    Pow[d](pc, base, vm) arith::pow(d, pc, base, vm, rb(pc, base), rc(pc, base));
    Div[d](pc, base, vm) arith::div(d, pc, base, vm, rb(pc, base), rc(pc, base));
    IntDiv[d](pc, base, vm) arith::int_div(d, pc, base, vm, rb(pc, base), rc(pc, base));
    BitAnd[d](pc, base, vm) arith::bit_and(d, pc, base, vm, rb(pc, base), rc(pc, base));
    BitOr[d](pc, base, vm) arith::bit_or(d, pc, base, vm, rb(pc, base), rc(pc, base));
    BitXor[d](pc, base, vm) arith::bit_xor(d, pc, base, vm, rb(pc, base), rc(pc, base));
    ShiftLeft[d](pc, base, vm) arith::shift(d, pc, base, vm, true);
    ShiftRight[d](pc, base, vm) arith::shift(d, pc, base, vm, false);
    AddImm[d](pc, base, vm) arith::add_imm(d, pc, base, vm);
    SubImm[d](pc, base, vm) arith::sub_imm(d, pc, base, vm);
    ShiftLeftImm[d](pc, base, vm) arith::shift_imm(d, pc, base, vm, true);
    ShiftRightImm[d](pc, base, vm) arith::shift_imm(d, pc, base, vm, false);
    AddConst[d](pc, base, vm) arith::add(d, pc, base, vm, rb(pc, base), kc(pc));
    SubConst[d](pc, base, vm) arith::sub(d, pc, base, vm, rb(pc, base), kc(pc));
    MulConst[d](pc, base, vm) arith::mul(d, pc, base, vm, rb(pc, base), kc(pc));
    ModConst[d](pc, base, vm) arith::modulo(d, pc, base, vm, rb(pc, base), kc(pc));
    PowConst[d](pc, base, vm) arith::pow(d, pc, base, vm, rb(pc, base), kc(pc));
    DivConst[d](pc, base, vm) arith::div(d, pc, base, vm, rb(pc, base), kc(pc));
    IntDivConst[d](pc, base, vm) arith::int_div(d, pc, base, vm, rb(pc, base), kc(pc));
    BitAndConst[d](pc, base, vm) arith::bit_and(d, pc, base, vm, rb(pc, base), kc(pc));
    BitOrConst[d](pc, base, vm) arith::bit_or(d, pc, base, vm, rb(pc, base), kc(pc));
    BitXorConst[d](pc, base, vm) arith::bit_xor(d, pc, base, vm, rb(pc, base), kc(pc));
    Negate[d](pc, base, vm) arith::negate(d, pc, base, vm);
    BitNot[d](pc, base, vm) arith::bit_not(d, pc, base, vm);
    Not(pc, base, vm) compare::not(pc, base);
    Length[d](pc, base, vm) compare::length(d, pc, base, vm);
    Concat(pc, base, vm) concat::concat(pc, base, vm);

    Jump(pc, base, vm) jump(pc, base, bc(pc));
    JumpBack(pc, base, vm) jump(pc, base, bc(pc));
    JumpEq[d](pc, base, vm) compare::equal::<D, true>(d, pc, base, vm);
    JumpNotEq[d](pc, base, vm) compare::equal::<D, false>(d, pc, base, vm);
    JumpLt[d](pc, base, vm) compare::less::<D, true>(d, pc, base, vm);
    JumpNotLt[d](pc, base, vm) compare::less::<D, false>(d, pc, base, vm);
    JumpLe[d](pc, base, vm) compare::less_equal::<D, true>(d, pc, base, vm);
    JumpNotLe[d](pc, base, vm) compare::less_equal::<D, false>(d, pc, base, vm);
    JumpEqConst[d](pc, base, vm) compare::equal_const::<D, true>(d, pc, base, vm);
    JumpNotEqConst[d](pc, base, vm) compare::equal_const::<D, false>(d, pc, base, vm);
    JumpLtImm[d](pc, base, vm) compare::less_imm::<D, true>(d, pc, base, vm);
    JumpNotLtImm[d](pc, base, vm) compare::less_imm::<D, false>(d, pc, base, vm);
    JumpLeImm[d](pc, base, vm) compare::less_equal_imm::<D, true>(d, pc, base, vm);
    JumpNotLeImm[d](pc, base, vm) compare::less_equal_imm::<D, false>(d, pc, base, vm);
    JumpGtImm[d](pc, base, vm) compare::greater_imm::<D, true>(d, pc, base, vm);
    JumpNotGtImm[d](pc, base, vm) compare::greater_imm::<D, false>(d, pc, base, vm);
    JumpGeImm[d](pc, base, vm) compare::greater_equal_imm::<D, true>(d, pc, base, vm);
    JumpNotGeImm[d](pc, base, vm) compare::greater_equal_imm::<D, false>(d, pc, base, vm);
    JumpIf[d](pc, base, vm) compare::jump_if::<D, true>(d, pc, base);
    JumpIfNot[d](pc, base, vm) compare::jump_if::<D, false>(d, pc, base);
    JumpIfSet[d](pc, base, vm) compare::jump_if_set::<D, true>(d, pc, base);
    JumpIfNotSet[d](pc, base, vm) compare::jump_if_set::<D, false>(d, pc, base);

    Call[d](pc, base, vm) call::call(d, pc, base, vm);
    CallMulti[d](pc, base, vm) call::call_multi(d, pc, base, vm);
    TailCall[d](pc, base, vm) tail_call::tail_call(d, pc, base, vm);
    Return(pc, base, vm) returns::return_general(pc, base, vm);
    Return0[d](pc, base, vm) returns::return0(d, pc, base, vm);
    Return1[d](pc, base, vm) returns::return1(d, pc, base, vm);
    Vararg(pc, base, vm) returns::vararg(pc, base, vm);
    Closure(pc, base, vm) closure::make(pc, base, vm);
    Close(pc, base, vm) closure::close(pc, base, vm);
    ToBeClosed(pc, base, vm) closure::to_be_closed(pc, base, vm);
    KeepScope(pc, base, vm) closure::keep_scope(pc, base, vm);

    ForPrep(pc, base, vm) loops::for_prep(pc, base, vm);
    ForLoop[d](pc, base, vm) loops::for_loop(d, pc, base);
    TForPrep[d](pc, base, vm) loops::t_for_prep(d, pc, base, vm);
    TForCall[d](pc, base, vm) loops::t_for_call(d, pc, base, vm);
    TForLoop[d](pc, base, vm) loops::t_for_loop(d, pc, base);

    Halt(pc, base, vm) advance(pc, base);
    FinishMeta(pc, base, vm) finish_meta(base, vm);
    FinishPcall(pc, base, vm) call::finish_pcall(base, vm, 0);
    FinishXpcall(pc, base, vm) call::finish_pcall(base, vm, 1);
    FinishCoroutine(pc, base, vm) crate::coroutine::finish(base, vm);
    FinishClose(pc, base, vm) closure::finish_close(base, vm);
    FinishUnwind(pc, base, vm) unwind::finish_close(base, vm);
    FinishTail(pc, base, vm) deferred::finish_native_tail(pc, base, vm);
    EnterCall(pc, base, vm) deferred::enter_deferred(base, vm);
    Trap(pc, base, vm) crate::hotpatch::seam::on_trap(pc, base, vm);
}

/// A metamethod called by an instruction returned (result in `f`): do what the
/// instruction wanted with it.
///
/// # Safety
/// The driver's: FINMETA with the result at `f`.
#[inline(never)]
unsafe fn finish_meta(f: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINMETA; the interrupted instruction is valid.
    unsafe {
        let cont = f.sub(1);
        let base = f.sub(continuation_distance(meta_word(cont)));
        let pc = (*cont).payload as *const u64;
        let mut op = Instruction::from_bits(*pc).opcode().unwrap_unchecked();
        if op == OpCode::Trap {
            op = crate::hotpatch::seam::operation_at(&*vm, pc).unwrap_or(op);
        }
        match op {
            OpCode::JumpEq
            | OpCode::JumpNotEq
            | OpCode::JumpLt
            | OpCode::JumpNotLt
            | OpCode::JumpLe
            | OpCode::JumpNotLe
            | OpCode::JumpLtImm
            | OpCode::JumpNotLtImm
            | OpCode::JumpLeImm
            | OpCode::JumpNotLeImm
            | OpCode::JumpGtImm
            | OpCode::JumpNotGtImm
            | OpCode::JumpGeImm
            | OpCode::JumpNotGeImm
            | OpCode::JumpEqConst
            | OpCode::JumpNotEqConst => compare::finish_comparison(pc, base, op, !(*f).is_falsy()),
            OpCode::SetTabUp | OpCode::SetTable | OpCode::SetIndex | OpCode::SetField => {
                advance(pc, base)
            }
            OpCode::Concat => concat::finish(pc, base, vm, f),
            OpCode::TailCall => tail_call::finish_tail(pc, base, vm, f),
            OpCode::GetTabUp
            | OpCode::GetTable
            | OpCode::GetIndex
            | OpCode::GetField
            | OpCode::SelfField
            | OpCode::Add
            | OpCode::Sub
            | OpCode::Mul
            | OpCode::Mod
            | OpCode::Pow
            | OpCode::Div
            | OpCode::IntDiv
            | OpCode::BitAnd
            | OpCode::BitOr
            | OpCode::BitXor
            | OpCode::ShiftLeft
            | OpCode::ShiftRight
            | OpCode::AddImm
            | OpCode::SubImm
            | OpCode::ShiftLeftImm
            | OpCode::ShiftRightImm
            | OpCode::AddConst
            | OpCode::SubConst
            | OpCode::MulConst
            | OpCode::ModConst
            | OpCode::PowConst
            | OpCode::DivConst
            | OpCode::IntDivConst
            | OpCode::BitAndConst
            | OpCode::BitOrConst
            | OpCode::BitXorConst
            | OpCode::Negate
            | OpCode::BitNot
            | OpCode::Length => {
                copy(base.byte_add(a(pc)), f);
                advance(pc, base)
            }
            OpCode::Move
            | OpCode::LoadInt
            | OpCode::LoadFloat
            | OpCode::LoadConst
            | OpCode::LoadNil
            | OpCode::LoadFalse
            | OpCode::LoadTrue
            | OpCode::LoadFalseSkip
            | OpCode::GetUpvalue
            | OpCode::SetUpvalue
            | OpCode::GetCell
            | OpCode::SetCell
            | OpCode::GetBackfilled
            | OpCode::SetBackfilled
            | OpCode::JumpIfBackfilled
            | OpCode::NewTable
            | OpCode::SetList
            | OpCode::Not
            | OpCode::Jump
            | OpCode::JumpBack
            | OpCode::JumpIf
            | OpCode::JumpIfNot
            | OpCode::JumpIfSet
            | OpCode::JumpIfNotSet
            | OpCode::Call
            | OpCode::CallMulti
            | OpCode::Return
            | OpCode::Return0
            | OpCode::Return1
            | OpCode::Vararg
            | OpCode::Closure
            | OpCode::Close
            | OpCode::ToBeClosed
            | OpCode::KeepScope
            | OpCode::ForPrep
            | OpCode::ForLoop
            | OpCode::TForPrep
            | OpCode::TForCall
            | OpCode::TForLoop
            | OpCode::Halt
            | OpCode::FinishMeta
            | OpCode::FinishPcall
            | OpCode::FinishXpcall
            | OpCode::FinishCoroutine
            | OpCode::FinishClose
            | OpCode::FinishUnwind
            | OpCode::FinishTail
            | OpCode::EnterCall
            | OpCode::Trap => advance(pc, base),
        }
    }
}
