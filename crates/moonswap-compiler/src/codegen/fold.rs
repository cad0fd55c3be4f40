//! Constant folding: arithmetic on literals whose result cannot surprise.
//!
//! Nothing is folded that raises an error, divides by zero, or yields NaN or a
//! float zero (whose sign a constant could lose).

use moonswap_number::{
    Number, float_floor_div, float_mod, float_pow, int_floor_div, int_mod, shift_left, shift_right,
};

use crate::syntax::ast::{BinaryOp, UnaryOp};

/// `a op b`, if it may be computed when compiling.
pub(crate) fn binary(op: BinaryOp, a: Number, b: Number) -> Option<Number> {
    let result = match op {
        BinaryOp::Add => arithmetic(a, b, i64::wrapping_add, |x, y| x + y),
        BinaryOp::Sub => arithmetic(a, b, i64::wrapping_sub, |x, y| x - y),
        BinaryOp::Mul => arithmetic(a, b, i64::wrapping_mul, |x, y| x * y),
        BinaryOp::Mod if is_zero(b) => return None,
        BinaryOp::Mod => arithmetic(a, b, int_mod, float_mod),
        BinaryOp::IntDiv if is_zero(b) => return None,
        BinaryOp::IntDiv => arithmetic(a, b, int_floor_div, float_floor_div),
        BinaryOp::Div if is_zero(b) => return None,
        BinaryOp::Div => Number::Float(a.to_float() / b.to_float()),
        BinaryOp::Pow => Number::Float(float_pow(a.to_float(), b.to_float())),
        BinaryOp::BitAnd => Number::Int(a.to_int()? & b.to_int()?),
        BinaryOp::BitOr => Number::Int(a.to_int()? | b.to_int()?),
        BinaryOp::BitXor => Number::Int(a.to_int()? ^ b.to_int()?),
        BinaryOp::ShiftLeft => Number::Int(shift_left(a.to_int()?, b.to_int()?)),
        BinaryOp::ShiftRight => Number::Int(shift_right(a.to_int()?, b.to_int()?)),
        BinaryOp::Concat
        | BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::And
        | BinaryOp::Or => return None,
    };
    safe(result)
}

/// `op a`, if it may be computed when compiling.
pub(crate) fn unary(op: UnaryOp, a: Number) -> Option<Number> {
    let result = match (op, a) {
        (UnaryOp::Negate, Number::Int(i)) => Number::Int(i.wrapping_neg()),
        (UnaryOp::Negate, Number::Float(f)) => Number::Float(-f),
        (UnaryOp::BitNot, _) => Number::Int(!a.to_int()?),
        (UnaryOp::Not | UnaryOp::Length, _) => return None,
    };
    safe(result)
}

fn arithmetic(
    a: Number,
    b: Number,
    int: fn(i64, i64) -> i64,
    float: fn(f64, f64) -> f64,
) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Number::Int(int(a, b)),
        (Number::Int(_) | Number::Float(_), Number::Int(_) | Number::Float(_)) => {
            Number::Float(float(a.to_float(), b.to_float()))
        }
    }
}

fn is_zero(n: Number) -> bool {
    match n {
        Number::Int(i) => i == 0,
        Number::Float(f) => f == 0.0,
    }
}

fn safe(result: Number) -> Option<Number> {
    match result {
        Number::Float(f) if f == 0.0 || f.is_nan() => None,
        Number::Int(_) | Number::Float(_) => Some(result),
    }
}
