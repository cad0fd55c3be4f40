//! Lua 5.4 numbers as text and as arithmetic: the parts whose exact behaviour
//! the lexer, the constant folder, the VM and the string library must share.
//!
//! * [`parse`]: text to number, as `tonumber` and the lexer read it;
//! * [`write_int`], [`write_float`], [`write_number`], [`NumberBuffer`]:
//!   number to text, as `tostring` and `..` write it;
//! * [`format_int`], [`format_float`]: the conversions of C's `printf`;
//! * arithmetic with floor semantics, shifts, conversions and comparisons
//!   between integers and floats that never lose a bit.
//!
//! Every function is total: no argument makes one panic.
#![forbid(unsafe_code)]

mod arith;
mod format;
mod parse;
mod write;

pub use arith::{
    ceil_to_int, compare, eq, float_floor_div, float_le_int, float_lt_int, float_mod, float_pow,
    float_to_int, floor_to_int, int_eq_float, int_floor_div, int_le_float, int_lt_float, int_mod,
    le, lt, shift_left, shift_right,
};
pub use format::{FormatSpec, format_float, format_int, pad};
pub use parse::{digit_value, is_space, parse};
pub use write::{NumberBuffer, write_float, write_int, write_number};

/// A Lua number: one of its two subtypes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A 64-bit integer; arithmetic wraps around.
    Int(i64),
    /// An IEEE 754 double.
    Float(f64),
}

impl Number {
    /// The value as a float, rounded to nearest if it is a large integer.
    #[inline]
    pub fn to_float(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }

    /// The value as an integer, if it has an exact integer representation.
    #[inline]
    pub fn to_int(self) -> Option<i64> {
        match self {
            Number::Int(i) => Some(i),
            Number::Float(f) => float_to_int(f),
        }
    }
}
