//! Arithmetic, conversions and comparisons whose results the language fixes
//! exactly. Constant folding and execution both call these, so they agree.

use std::cmp::Ordering;

use crate::Number;

/// 2^63, the first float above the integers.
const TWO_63: f64 = 9223372036854775808.0;

/// `a // b` for integers: rounds towards minus infinity and wraps around.
/// The caller reports division by zero; here it yields 0.
#[inline]
pub const fn int_floor_div(a: i64, b: i64) -> i64 {
    if (b as u64).wrapping_add(1) <= 1 {
        // Division by -1 overflows for the smallest integer.
        return if b == 0 { 0 } else { a.wrapping_neg() };
    }
    let quotient = a / b;
    if (a ^ b) < 0 && a % b != 0 {
        quotient - 1
    } else {
        quotient
    }
}

/// `a % b` for integers: the result has the sign of `b`. The caller reports a
/// zero `b`; here it yields 0.
#[inline]
pub const fn int_mod(a: i64, b: i64) -> i64 {
    if (b as u64).wrapping_add(1) <= 1 {
        return 0;
    }
    let rest = a % b;
    if rest != 0 && (rest ^ b) < 0 {
        rest + b
    } else {
        rest
    }
}

/// `a // b` for floats.
#[inline]
pub fn float_floor_div(a: f64, b: f64) -> f64 {
    (a / b).floor()
}

/// `a % b` for floats: the result has the sign of `b`.
#[inline]
pub fn float_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let signs_differ = if rest > 0.0 {
        b < 0.0
    } else {
        rest < 0.0 && b > 0.0
    };
    if signs_differ { rest + b } else { rest }
}

/// `a ^ b`; squares are common enough to be worth a test.
#[inline]
pub fn float_pow(a: f64, b: f64) -> f64 {
    if b == 2.0 { a * a } else { a.powf(b) }
}

/// `x << by`: a logical shift; a negative count shifts to the right and a
/// count of 64 or more leaves nothing.
#[inline]
pub const fn shift_left(x: i64, by: i64) -> i64 {
    if by <= -64 || by >= 64 {
        0
    } else if by >= 0 {
        ((x as u64) << by) as i64
    } else {
        ((x as u64) >> -by) as i64
    }
}

/// `x >> by`: a logical shift; a negative count shifts to the left.
#[inline]
pub const fn shift_right(x: i64, by: i64) -> i64 {
    // Negating the smallest integer wraps onto itself, which shifts all out.
    shift_left(x, by.wrapping_neg())
}

/// The integer equal to `x`, if there is one.
#[inline]
pub fn float_to_int(x: f64) -> Option<i64> {
    // In range, the conversion truncates; it is exact if it converts back.
    // 2^63 itself saturates to a value that would convert back to it.
    let int = x as i64;
    if int as f64 == x && x < TWO_63 {
        Some(int)
    } else {
        None
    }
}

/// The largest integer not above `x`, if it fits.
#[inline]
pub fn floor_to_int(x: f64) -> Option<i64> {
    float_to_int(x.floor())
}

/// The smallest integer not below `x`, if it fits.
#[inline]
pub fn ceil_to_int(x: f64) -> Option<i64> {
    float_to_int(x.ceil())
}

/// Whether the integer and the float are the same mathematical value.
#[inline]
pub fn int_eq_float(i: i64, f: f64) -> bool {
    float_to_int(f) == Some(i)
}

/// Whether every integer of this size converts to a float without loss.
#[inline]
const fn fits_float(i: i64) -> bool {
    (i.wrapping_add(1 << 53) as u64) <= 1 << 54
}

/// `i < f`, exactly.
#[inline]
pub fn int_lt_float(i: i64, f: f64) -> bool {
    if fits_float(i) {
        return (i as f64) < f;
    }
    match ceil_to_int(f) {
        Some(limit) => i < limit,
        None => f > 0.0,
    }
}

/// `i <= f`, exactly.
#[inline]
pub fn int_le_float(i: i64, f: f64) -> bool {
    if fits_float(i) {
        return i as f64 <= f;
    }
    match floor_to_int(f) {
        Some(limit) => i <= limit,
        None => f > 0.0,
    }
}

/// `f < i`, exactly.
#[inline]
pub fn float_lt_int(f: f64, i: i64) -> bool {
    if fits_float(i) {
        return f < i as f64;
    }
    match floor_to_int(f) {
        Some(limit) => limit < i,
        None => f < 0.0,
    }
}

/// `f <= i`, exactly.
#[inline]
pub fn float_le_int(f: f64, i: i64) -> bool {
    if fits_float(i) {
        return f <= i as f64;
    }
    match ceil_to_int(f) {
        Some(limit) => limit <= i,
        None => f < 0.0,
    }
}

/// `a == b` for numbers of any subtype.
#[inline]
pub fn eq(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a == b,
        (Number::Float(a), Number::Float(b)) => a == b,
        (Number::Int(i), Number::Float(f)) | (Number::Float(f), Number::Int(i)) => {
            int_eq_float(i, f)
        }
    }
}

/// `a < b` for numbers of any subtype.
#[inline]
pub fn lt(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a < b,
        (Number::Float(a), Number::Float(b)) => a < b,
        (Number::Int(i), Number::Float(f)) => int_lt_float(i, f),
        (Number::Float(f), Number::Int(i)) => float_lt_int(f, i),
    }
}

/// `a <= b` for numbers of any subtype.
#[inline]
pub fn le(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a <= b,
        (Number::Float(a), Number::Float(b)) => a <= b,
        (Number::Int(i), Number::Float(f)) => int_le_float(i, f),
        (Number::Float(f), Number::Int(i)) => float_le_int(f, i),
    }
}

/// The order of two numbers, or `None` if one is not a number.
#[inline]
pub fn compare(a: Number, b: Number) -> Option<Ordering> {
    if lt(a, b) {
        Some(Ordering::Less)
    } else if eq(a, b) {
        Some(Ordering::Equal)
    } else if lt(b, a) {
        Some(Ordering::Greater)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_division() {
        assert_eq!(int_floor_div(7, 2), 3);
        assert_eq!(int_floor_div(-7, 2), -4);
        assert_eq!(int_floor_div(7, -2), -4);
        assert_eq!(int_floor_div(-7, -2), 3);
        assert_eq!(int_floor_div(-8, 2), -4);
        assert_eq!(int_floor_div(i64::MIN, -1), i64::MIN);
        assert_eq!(int_floor_div(1, 0), 0);
        assert_eq!(int_mod(7, 2), 1);
        assert_eq!(int_mod(-7, 2), 1);
        assert_eq!(int_mod(7, -2), -1);
        assert_eq!(int_mod(i64::MIN, -1), 0);
        assert_eq!(int_mod(i64::MIN, i64::MAX), i64::MAX - 1);
        assert_eq!(float_mod(-6.0, 4.0), 2.0);
        assert_eq!(float_mod(6.0, -4.0), -2.0);
        assert_eq!(float_mod(1.0, f64::INFINITY), 1.0);
        assert_eq!(float_mod(-1.0, f64::INFINITY), f64::INFINITY);
        assert_eq!(float_mod(1.0, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(float_mod(-1.0, f64::NEG_INFINITY), -1.0);
        assert!(float_mod(1.0, 0.0).is_nan());
        assert_eq!(float_mod(-6.0, -4.0), -2.0);
        assert_eq!(float_floor_div(-7.0, 2.0), -4.0);
    }

    #[test]
    fn shifts() {
        assert_eq!(shift_left(1, 63), i64::MIN);
        assert_eq!(shift_left(1, 64), 0);
        assert_eq!(shift_left(-1, -60), 15);
        assert_eq!(shift_right(-1, 63), 1);
        assert_eq!(shift_right(-1, i64::MIN), 0);
        assert_eq!(shift_left(-1, i64::MIN), 0);
        assert_eq!(shift_right(1, -4), 16);
    }

    #[test]
    fn conversions() {
        assert_eq!(float_to_int(3.0), Some(3));
        assert_eq!(float_to_int(3.5), None);
        assert_eq!(float_to_int(TWO_63), None);
        assert_eq!(float_to_int(-TWO_63), Some(i64::MIN));
        assert_eq!(float_to_int(f64::NAN), None);
        assert_eq!(float_to_int(f64::INFINITY), None);
        assert_eq!(floor_to_int(-0.5), Some(-1));
        assert_eq!(ceil_to_int(-0.5), Some(0));
    }

    #[test]
    fn comparisons() {
        let big = i64::MAX;
        assert!(int_lt_float(big, TWO_63));
        assert!(int_le_float(big, TWO_63));
        assert!(!float_lt_int(TWO_63, big));
        assert!(!int_eq_float(big, TWO_63));
        let i = (1i64 << 53) + 1;
        let f = 9007199254740992.0;
        assert!(float_lt_int(f, i));
        assert!(!int_le_float(i, f));
        assert!(int_lt_float(i, 9007199254740994.0));
        for i in [0, i64::MIN, i64::MAX] {
            assert!(!int_lt_float(i, f64::NAN));
            assert!(!int_le_float(i, f64::NAN));
            assert!(!float_lt_int(f64::NAN, i));
            assert!(!float_le_int(f64::NAN, i));
            assert!(int_lt_float(i, f64::INFINITY));
            assert!(float_lt_int(f64::NEG_INFINITY, i));
        }
        assert!(float_le_int(-TWO_63, i64::MIN));
        assert!(!float_lt_int(-TWO_63, i64::MIN));
        assert_eq!(compare(Number::Int(1), Number::Float(f64::NAN)), None);
        assert_eq!(
            compare(Number::Int(2), Number::Float(1.5)),
            Some(Ordering::Greater)
        );
    }
}
