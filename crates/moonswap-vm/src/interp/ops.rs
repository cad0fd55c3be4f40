//! Every operation by its name: one line each, bodies live with their family.
//!
//! Invariants as in `interp`.
#![allow(non_snake_case, unused_variables)]

use super::{Next, arith, call, closure, compare, concat, index, loops, moves};
use super::operand::{a, bc, kc, ra, rb, rc};
use super::{advance, jump};
use crate::frame::{continuation_distance, meta_word};
use crate::unwind;
use crate::value::{Value, copy, tag};
use crate::vm::Vm;
use moonswap_bytecode::{Instruction, OpCode};

macro_rules! ops {
    ($($name:ident($pc:ident, $base:ident, $vm:ident) $body:expr;)*) => {
        $(
            #[inline(always)]
            pub(crate) unsafe fn $name($pc: *const u64, $base: *mut Value, $vm: *mut Vm) -> Next {
                // SAFETY: I1–I3, by the driver.
                unsafe { $body }
            }
        )*
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
    SetUpvalue(pc, base, vm) moves::set_upvalue(pc, base, vm);
    GetCell(pc, base, vm) moves::get_cell(pc, base);
    SetCell(pc, base, vm) moves::set_cell(pc, base, vm);

    GetTabUp(pc, base, vm) index::get_tab_up(pc, base, vm);
    SetTabUp(pc, base, vm) index::set_tab_up(pc, base, vm);
    GetTable(pc, base, vm) index::get_table(pc, base, vm);
    GetIndex(pc, base, vm) index::get_index(pc, base, vm);
    GetField(pc, base, vm) index::get_field_of(pc, base, vm, rb(pc, base));
    SetTable(pc, base, vm) index::set_table(pc, base, vm);
    SetIndex(pc, base, vm) index::set_index(pc, base, vm);
    SetField(pc, base, vm) index::set_field(pc, base, vm);
    SelfField(pc, base, vm) index::self_field(pc, base, vm);
    NewTable(pc, base, vm) index::new_table(pc, base, vm);
    SetList(pc, base, vm) index::set_list(pc, base, vm);

    Add(pc, base, vm) arith::add(pc, base, vm, rb(pc, base), rc(pc, base));
    Sub(pc, base, vm) arith::sub(pc, base, vm, rb(pc, base), rc(pc, base));
    Mul(pc, base, vm) arith::mul(pc, base, vm, rb(pc, base), rc(pc, base));
    Mod(pc, base, vm) arith::modulo(pc, base, vm, rb(pc, base), rc(pc, base));
    Pow(pc, base, vm) arith::pow(pc, base, vm, rb(pc, base), rc(pc, base));
    Div(pc, base, vm) arith::div(pc, base, vm, rb(pc, base), rc(pc, base));
    IntDiv(pc, base, vm) arith::int_div(pc, base, vm, rb(pc, base), rc(pc, base));
    BitAnd(pc, base, vm) arith::bit_and(pc, base, vm, rb(pc, base), rc(pc, base));
    BitOr(pc, base, vm) arith::bit_or(pc, base, vm, rb(pc, base), rc(pc, base));
    BitXor(pc, base, vm) arith::bit_xor(pc, base, vm, rb(pc, base), rc(pc, base));
    ShiftLeft(pc, base, vm) arith::shift(pc, base, vm, true);
    ShiftRight(pc, base, vm) arith::shift(pc, base, vm, false);
    AddImm(pc, base, vm) arith::add_imm(pc, base, vm);
    SubImm(pc, base, vm) arith::sub_imm(pc, base, vm);
    ShiftLeftImm(pc, base, vm) arith::shift_imm(pc, base, vm, true);
    ShiftRightImm(pc, base, vm) arith::shift_imm(pc, base, vm, false);
    AddConst(pc, base, vm) arith::add(pc, base, vm, rb(pc, base), kc(pc));
    SubConst(pc, base, vm) arith::sub(pc, base, vm, rb(pc, base), kc(pc));
    MulConst(pc, base, vm) arith::mul(pc, base, vm, rb(pc, base), kc(pc));
    ModConst(pc, base, vm) arith::modulo(pc, base, vm, rb(pc, base), kc(pc));
    PowConst(pc, base, vm) arith::pow(pc, base, vm, rb(pc, base), kc(pc));
    DivConst(pc, base, vm) arith::div(pc, base, vm, rb(pc, base), kc(pc));
    IntDivConst(pc, base, vm) arith::int_div(pc, base, vm, rb(pc, base), kc(pc));
    BitAndConst(pc, base, vm) arith::bit_and(pc, base, vm, rb(pc, base), kc(pc));
    BitOrConst(pc, base, vm) arith::bit_or(pc, base, vm, rb(pc, base), kc(pc));
    BitXorConst(pc, base, vm) arith::bit_xor(pc, base, vm, rb(pc, base), kc(pc));
    Negate(pc, base, vm) arith::negate(pc, base, vm);
    BitNot(pc, base, vm) arith::bit_not(pc, base, vm);
    Not(pc, base, vm) compare::not(pc, base);
    Length(pc, base, vm) compare::length(pc, base, vm);
    Concat(pc, base, vm) concat::concat(pc, base, vm);

    Jump(pc, base, vm) jump(pc, base, bc(pc));
    JumpBack(pc, base, vm) jump(pc, base, bc(pc));
    JumpEq(pc, base, vm) compare::equal(pc, base, vm, true);
    JumpNotEq(pc, base, vm) compare::equal(pc, base, vm, false);
    JumpLt(pc, base, vm) compare::less(pc, base, vm, true);
    JumpNotLt(pc, base, vm) compare::less(pc, base, vm, false);
    JumpLe(pc, base, vm) compare::less_equal(pc, base, vm, true);
    JumpNotLe(pc, base, vm) compare::less_equal(pc, base, vm, false);
    JumpEqConst(pc, base, vm) compare::equal_const(pc, base, true);
    JumpNotEqConst(pc, base, vm) compare::equal_const(pc, base, false);
    JumpLtImm(pc, base, vm) compare::less_imm(pc, base, vm, true);
    JumpNotLtImm(pc, base, vm) compare::less_imm(pc, base, vm, false);
    JumpLeImm(pc, base, vm) compare::less_equal_imm(pc, base, vm, true);
    JumpNotLeImm(pc, base, vm) compare::less_equal_imm(pc, base, vm, false);
    JumpGtImm(pc, base, vm) compare::greater_imm(pc, base, vm, true);
    JumpNotGtImm(pc, base, vm) compare::greater_imm(pc, base, vm, false);
    JumpGeImm(pc, base, vm) compare::greater_equal_imm(pc, base, vm, true);
    JumpNotGeImm(pc, base, vm) compare::greater_equal_imm(pc, base, vm, false);
    JumpIf(pc, base, vm) compare::jump_if(pc, base, true);
    JumpIfNot(pc, base, vm) compare::jump_if(pc, base, false);
    JumpIfSet(pc, base, vm) compare::jump_if_set(pc, base, true);
    JumpIfNotSet(pc, base, vm) compare::jump_if_set(pc, base, false);

    Call(pc, base, vm) call::call(pc, base, vm);
    CallMulti(pc, base, vm) call::call_multi(pc, base, vm);
    TailCall(pc, base, vm) call::tail_call(pc, base, vm);
    Return(pc, base, vm) call::return_general(pc, base, vm);
    Return0(pc, base, vm) call::return0(base, vm);
    Return1(pc, base, vm) call::return1(pc, base, vm);
    Vararg(pc, base, vm) call::vararg(pc, base, vm);
    Closure(pc, base, vm) closure::make(pc, base, vm);
    Close(pc, base, vm) closure::close(pc, base, vm);
    ToBeClosed(pc, base, vm) closure::to_be_closed(pc, base, vm);
    KeepScope(pc, base, vm) closure::keep_scope(pc, base, vm);

    ForPrep(pc, base, vm) loops::for_prep(pc, base, vm);
    ForLoop(pc, base, vm) loops::for_loop(pc, base);
    TForPrep(pc, base, vm) loops::t_for_prep(pc, base, vm);
    TForCall(pc, base, vm) loops::t_for_call(pc, base, vm);
    TForLoop(pc, base, vm) loops::t_for_loop(pc, base);

    Halt(pc, base, vm) advance(pc, base);
    FinishMeta(pc, base, vm) finish_meta(base, vm);
    FinishPcall(pc, base, vm) call::finish_pcall(base, vm, 0);
    FinishXpcall(pc, base, vm) call::finish_pcall(base, vm, 1);
    FinishCoroutine(pc, base, vm) crate::coroutine::finish(base, vm);
    FinishClose(pc, base, vm) closure::finish_close(base, vm);
    FinishUnwind(pc, base, vm) unwind::finish_close(base, vm);
}

/// A metamethod called by an instruction returned (result in `f`): do what the
/// instruction wanted with it.
#[inline(never)]
unsafe fn finish_meta(f: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINMETA; the interrupted instruction is valid.
    unsafe {
        let cont = f.sub(1);
        let base = f.sub(continuation_distance(meta_word(cont)));
        let pc = (*cont).payload as *const u64;
        let op = Instruction::from_bits(*pc).opcode().unwrap_unchecked();
        match op {
            OpCode::JumpEq | OpCode::JumpNotEq | OpCode::JumpLt | OpCode::JumpNotLt | OpCode::JumpLe
            | OpCode::JumpNotLe | OpCode::JumpLtImm | OpCode::JumpNotLtImm | OpCode::JumpLeImm
            | OpCode::JumpNotLeImm | OpCode::JumpGtImm | OpCode::JumpNotGtImm | OpCode::JumpGeImm
            | OpCode::JumpNotGeImm | OpCode::JumpEqConst | OpCode::JumpNotEqConst => {
                compare::finish_comparison(pc, base, op, !(*f).is_falsy())
            }
            OpCode::SetTabUp | OpCode::SetTable | OpCode::SetIndex | OpCode::SetField => advance(pc, base),
            OpCode::Concat => concat::finish(pc, base, vm, f),
            OpCode::TailCall => call::finish_tail(base, vm, f),
            OpCode::GetTabUp | OpCode::GetTable | OpCode::GetIndex | OpCode::GetField | OpCode::SelfField
            | OpCode::Add | OpCode::Sub | OpCode::Mul | OpCode::Mod | OpCode::Pow | OpCode::Div | OpCode::IntDiv
            | OpCode::BitAnd | OpCode::BitOr | OpCode::BitXor | OpCode::ShiftLeft | OpCode::ShiftRight
            | OpCode::AddImm | OpCode::SubImm | OpCode::ShiftLeftImm | OpCode::ShiftRightImm | OpCode::AddConst
            | OpCode::SubConst | OpCode::MulConst | OpCode::ModConst | OpCode::PowConst | OpCode::DivConst
            | OpCode::IntDivConst | OpCode::BitAndConst | OpCode::BitOrConst | OpCode::BitXorConst
            | OpCode::Negate | OpCode::BitNot | OpCode::Length => {
                copy(base.byte_add(a(pc)), f);
                advance(pc, base)
            }
            OpCode::Move | OpCode::LoadInt | OpCode::LoadFloat | OpCode::LoadConst | OpCode::LoadNil
            | OpCode::LoadFalse | OpCode::LoadTrue | OpCode::LoadFalseSkip | OpCode::GetUpvalue | OpCode::SetUpvalue
            | OpCode::GetCell | OpCode::SetCell | OpCode::NewTable | OpCode::SetList | OpCode::Not | OpCode::Jump
            | OpCode::JumpBack | OpCode::JumpIf | OpCode::JumpIfNot | OpCode::JumpIfSet | OpCode::JumpIfNotSet
            | OpCode::Call | OpCode::CallMulti | OpCode::Return | OpCode::Return0
            | OpCode::Return1 | OpCode::Vararg | OpCode::Closure | OpCode::Close | OpCode::ToBeClosed
            | OpCode::KeepScope | OpCode::ForPrep | OpCode::ForLoop | OpCode::TForPrep | OpCode::TForCall
            | OpCode::TForLoop | OpCode::Halt | OpCode::FinishMeta | OpCode::FinishPcall | OpCode::FinishXpcall
            | OpCode::FinishCoroutine | OpCode::FinishClose | OpCode::FinishUnwind => advance(pc, base),
        }
    }
}
