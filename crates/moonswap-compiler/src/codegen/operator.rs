//! Operators: operand forms (register, constant, immediate), comparisons as
//! jumps, and the two moments of a binary operator: after its left operand
//! (`infix`) and after its right one (`postfix`).

use moonswap_bytecode::OpCode;
use moonswap_number::Number;

use crate::codegen::fold;
use crate::codegen::function::{FunctionState, reg};
use crate::codegen::operand::{Kind, Operand};
use crate::error::Span;
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// `x` bit: the constant operand was written on the left.
const FLIPPED: u8 = 1;

/// `x` bit of immediate comparisons: the immediate was written as a float.
const FLOAT_IMMEDIATE: u8 = 1;

/// The register form, and the forms with a constant and an immediate.
fn arithmetic_forms(op: BinaryOp) -> Option<(OpCode, Option<OpCode>, Option<OpCode>)> {
    use OpCode as O;
    Some(match op {
        BinaryOp::Add => (O::Add, Some(O::AddConst), Some(O::AddImm)),
        BinaryOp::Sub => (O::Sub, Some(O::SubConst), Some(O::SubImm)),
        BinaryOp::Mul => (O::Mul, Some(O::MulConst), None),
        BinaryOp::Mod => (O::Mod, Some(O::ModConst), None),
        BinaryOp::Pow => (O::Pow, Some(O::PowConst), None),
        BinaryOp::Div => (O::Div, Some(O::DivConst), None),
        BinaryOp::IntDiv => (O::IntDiv, Some(O::IntDivConst), None),
        BinaryOp::BitAnd => (O::BitAnd, Some(O::BitAndConst), None),
        BinaryOp::BitOr => (O::BitOr, Some(O::BitOrConst), None),
        BinaryOp::BitXor => (O::BitXor, Some(O::BitXorConst), None),
        BinaryOp::ShiftLeft => (O::ShiftLeft, None, Some(O::ShiftLeftImm)),
        BinaryOp::ShiftRight => (O::ShiftRight, None, Some(O::ShiftRightImm)),
        BinaryOp::Concat
        | BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::And
        | BinaryOp::Or => return None,
    })
}

/// Whether a constant left operand may change places with the right one.
fn commutes(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Mul | BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor
    )
}

/// Whether the operator needs integers, so that only an integer constant fits
/// its constant form.
fn is_bitwise(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight
    )
}

/// What the reference compares with without a register.
const REFERENCE_IMMEDIATES: std::ops::RangeInclusive<i16> = -127..=128;

/// An immediate of a comparison, and whether it was written as a float.
fn comparison_immediate(e: &Operand) -> Option<(i16, u8)> {
    match e.number()? {
        Number::Int(i) => Some((i16::try_from(i).ok()?, 0)),
        Number::Float(f) => {
            let small = f as i16;
            (f64::from(small) == f).then_some((small, FLOAT_IMMEDIATE))
        }
    }
}

impl FunctionState<'_> {
    /// Between left and right operand.
    pub(crate) fn infix(&mut self, op: BinaryOp, e: &mut Operand) {
        match op {
            BinaryOp::And => self.go_if_true(e),
            BinaryOp::Or => self.go_if_false(e),
            BinaryOp::Concat => {
                self.place_next(e);
            }
            BinaryOp::Eq | BinaryOp::NotEq => {
                if e.constant().is_none() {
                    self.place_any(e);
                }
            }
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                if comparison_immediate(e).is_none() {
                    self.place_any(e);
                }
            }
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Div
            | BinaryOp::IntDiv
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => {
                if e.number().is_none() {
                    self.place_any(e);
                }
            }
        }
    }

    /// After the right operand. Concatenation is not handled here.
    pub(crate) fn postfix(
        &mut self,
        op: BinaryOp,
        mut a: Operand,
        mut b: Operand,
        span: Span,
    ) -> Operand {
        match op {
            BinaryOp::And => {
                self.discharge(&mut b);
                b.f = self.join(a.f, b.f);
                b
            }
            BinaryOp::Or => {
                self.discharge(&mut b);
                b.t = self.join(a.t, b.t);
                b
            }
            BinaryOp::Eq | BinaryOp::NotEq => self.equality(op == BinaryOp::Eq, a, b, span),
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => self.order(op, a, b, span),
            BinaryOp::Concat
            | BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Div
            | BinaryOp::IntDiv
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => self.arithmetic(op, &mut a, &mut b, span),
        }
    }

    fn arithmetic(
        &mut self,
        op: BinaryOp,
        a: &mut Operand,
        b: &mut Operand,
        span: Span,
    ) -> Operand {
        if let (Some(x), Some(y)) = (a.number(), b.number())
            && let Some(result) = fold::binary(op, x, y)
        {
            return number_operand(result);
        }
        let Some((registers, constant, immediate)) = arithmetic_forms(op) else {
            return *a;
        };
        self.discharge(b);
        let flipped = commutes(op) && fits_constant(op, a) && !fits_constant(op, b);
        let (value, number) = if flipped { (*b, *a) } else { (*a, *b) };
        let x = if flipped { FLIPPED } else { 0 };
        if let (Some(code), Some(n)) = (immediate, immediate_operand(op, &number)) {
            return self.finish_unary_form(code, x, value, n as u16, span);
        }
        if let (Some(code), Some(constant)) = (constant, number.constant())
            && !self.big
            && fits_constant(op, &number)
        {
            let mut value = value;
            self.place_any(&mut value);
            let k = self.value_operand(constant);
            return self.finish_unary_form(code, x, value, k, span);
        }
        // A constant on the left gets its register after the right operand.
        let rb = self.place_any(b);
        let ra = self.place_any(a);
        self.free_registers(ra, rb);
        Operand::new(Kind::Relocatable(self.emit_at(
            span,
            registers,
            0,
            0,
            reg(ra),
            reg(rb),
        )))
    }

    /// An instruction with one register and one constant or immediate.
    fn finish_unary_form(
        &mut self,
        code: OpCode,
        x: u8,
        mut value: Operand,
        operand: u16,
        span: Span,
    ) -> Operand {
        let r = self.place_any(&mut value);
        self.free_register(r);
        Operand::new(Kind::Relocatable(self.emit_at(
            span,
            code,
            x,
            0,
            reg(r),
            operand,
        )))
    }

    fn equality(&mut self, equal: bool, mut a: Operand, mut b: Operand, span: Span) -> Operand {
        if a.constant().is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let ra = self.place_any(&mut a);
        let pc = match b.constant() {
            Some(constant) if !self.big => {
                let k = self.value_operand(constant);
                self.free_register(ra);
                let op = if equal {
                    OpCode::JumpEqConst
                } else {
                    OpCode::JumpNotEqConst
                };
                self.compare(op, 0, reg(ra), k)
            }
            Some(_) | None => {
                let rb = self.place_any(&mut b);
                self.free_registers(ra, rb);
                let op = if equal {
                    OpCode::JumpEq
                } else {
                    OpCode::JumpNotEq
                };
                self.compare(op, 0, reg(ra), reg(rb))
            }
        };
        self.finish_comparison(pc, span)
    }

    fn order(&mut self, op: BinaryOp, mut a: Operand, mut b: Operand, span: Span) -> Operand {
        use OpCode as O;
        // `5 < x` is `x > 5`: the immediate always stands on the right.
        let (registers, swapped, straight, turned) = match op {
            BinaryOp::Lt => (O::JumpLt, false, O::JumpLtImm, O::JumpGtImm),
            BinaryOp::Le => (O::JumpLe, false, O::JumpLeImm, O::JumpGeImm),
            BinaryOp::Gt => (O::JumpLt, true, O::JumpGtImm, O::JumpLtImm),
            _ => (O::JumpLe, true, O::JumpGeImm, O::JumpLeImm),
        };
        let pc = if let Some((n, x)) = comparison_immediate(&b) {
            let r = self.place_any(&mut a);
            if !REFERENCE_IMMEDIATES.contains(&n) {
                self.need_registers(1);
            }
            self.free_register(r);
            self.compare(straight, x, reg(r), n as u16)
        } else if let Some((n, x)) = comparison_immediate(&a) {
            let r = self.place_any(&mut b);
            self.free_register(r);
            self.compare(turned, x, reg(r), n as u16)
        } else {
            let ra = self.place_any(&mut a);
            let rb = self.place_any(&mut b);
            self.free_registers(ra, rb);
            let (first, second) = if swapped { (rb, ra) } else { (ra, rb) };
            self.compare(registers, 0, reg(first), reg(second))
        };
        self.finish_comparison(pc, span)
    }

    fn finish_comparison(&mut self, pc: u32, span: Span) -> Operand {
        // The reference blames the line where the right operand ends.
        let span = Span {
            line: self.here.line,
            ..span
        };
        self.set_place(pc, span);
        if self.big {
            self.set_place(pc.wrapping_sub(1), span);
        }
        Operand::new(Kind::Jump(pc))
    }

    /// `op e`
    pub(crate) fn unary(&mut self, op: UnaryOp, mut e: Operand, span: Span) -> Operand {
        if let Some(n) = e.number()
            && let Some(result) = fold::unary(op, n)
        {
            return number_operand(result);
        }
        let code = match op {
            UnaryOp::Not => return self.not(e, span),
            UnaryOp::Negate => OpCode::Negate,
            UnaryOp::BitNot => OpCode::BitNot,
            UnaryOp::Length => OpCode::Length,
        };
        let r = self.place_any(&mut e);
        self.free_register(r);
        Operand::new(Kind::Relocatable(self.emit_at(span, code, 0, 0, reg(r), 0)))
    }

    fn not(&mut self, mut e: Operand, span: Span) -> Operand {
        self.discharge(&mut e);
        match e.kind {
            Kind::Nil | Kind::False => e.kind = Kind::True,
            Kind::True | Kind::Integer(_) | Kind::Float(_) | Kind::String(_) => {
                e.kind = Kind::False
            }
            Kind::Jump(pc) => self.negate(pc),
            _ => {
                // The jumps out of `e` stay as they are: only the value that
                // remains is negated.
                let mut value = Operand::new(e.kind);
                let r = self.place_any(&mut value);
                self.free_register(r);
                e.kind = Kind::Relocatable(self.emit_at(span, OpCode::Not, 0, 0, reg(r), 0));
            }
        }
        std::mem::swap(&mut e.t, &mut e.f);
        self.drop_values(e.t);
        self.drop_values(e.f);
        e
    }
}

fn number_operand(n: Number) -> Operand {
    Operand::new(match n {
        Number::Int(i) => Kind::Integer(i),
        Number::Float(f) => Kind::Float(f),
    })
}

fn fits_constant(op: BinaryOp, e: &Operand) -> bool {
    match e.number() {
        Some(Number::Int(_)) => true,
        Some(Number::Float(_)) => !is_bitwise(op),
        None => false,
    }
}

fn immediate_operand(op: BinaryOp, e: &Operand) -> Option<i16> {
    let Some(Number::Int(i)) = e.number() else {
        return None;
    };
    let range = if is_bitwise(op) {
        0..=63
    } else {
        i64::from(i16::MIN)..=i64::from(i16::MAX)
    };
    range.contains(&i).then_some(i as i16)
}
