//! Constants: what a top-level expression is known to be without running it.
//!
//! Literals, operators on constants, and top-level locals that are constants
//! themselves. The value is exactly what running the expression would give.

use std::fmt;
use std::sync::Arc;

use moonswap_compiler::syntax::ast::{Ast, BinaryOp, Expr, ExprId, Symbol, UnaryOp};
use moonswap_number::{
    Number, float_floor_div, float_mod, float_pow, int_floor_div, int_mod, shift_left, shift_right,
    write_number,
};

/// Operators nest this deep at most; what is deeper is no constant.
const DEPTH: usize = 100;

/// The value of a constant expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Constant {
    /// `nil`
    Nil,
    /// `true`, `false`
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float, by its bits.
    Float(u64),
    /// A string.
    String(Arc<[u8]>),
}

impl Constant {
    /// The same as a key of a table, where `1.0` is `1`; `None` for what can be no key.
    pub(crate) fn key(self) -> Option<Self> {
        match self {
            Self::Nil => None,
            Self::Float(bits) => {
                let x = f64::from_bits(bits);
                match moonswap_number::float_to_int(x) {
                    Some(i) => Some(Self::Integer(i)),
                    None if x.is_nan() => None,
                    None => Some(self),
                }
            }
            other => Some(other),
        }
    }

    fn is_true(&self) -> bool {
        !matches!(self, Self::Nil | Self::Boolean(false))
    }

    fn number(&self) -> Option<Number> {
        match self {
            Self::Integer(i) => Some(Number::Int(*i)),
            Self::Float(bits) => Some(Number::Float(f64::from_bits(*bits))),
            _ => None,
        }
    }

    fn of_number(number: Number) -> Option<Self> {
        match number {
            Number::Int(i) => Some(Self::Integer(i)),
            Number::Float(x) if x.is_nan() => None,
            Number::Float(x) => Some(Self::Float(x.to_bits())),
        }
    }

    /// What `..` makes of it.
    fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::String(text) => Some(text.to_vec()),
            other => {
                let mut text = Vec::new();
                write_number(other.number()?, &mut text);
                Some(text)
            }
        }
    }
}

/// As in Lua source; long strings are cut.
impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Boolean(b) => b.fmt(f),
            Self::String(text) => {
                let text = String::from_utf8_lossy(text);
                match text.char_indices().nth(SHOWN) {
                    Some((cut, _)) => write!(f, "{:?}…", &text[..cut]),
                    None => write!(f, "{text:?}"),
                }
            }
            number => {
                let text = number.text().unwrap_or_default();
                f.write_str(&String::from_utf8_lossy(&text))
            }
        }
    }
}

/// What an expression is known to be. `known` tells the constants that names
/// stand for.
pub(crate) fn evaluate(
    ast: &Ast,
    expr: ExprId,
    known: &dyn Fn(Symbol) -> Option<Constant>,
) -> Option<Constant> {
    evaluate_within(ast, expr, known, DEPTH)
}

fn evaluate_within(
    ast: &Ast,
    expr: ExprId,
    known: &dyn Fn(Symbol) -> Option<Constant>,
    depth: usize,
) -> Option<Constant> {
    let depth = depth.checked_sub(1)?;
    let value = |expr: ExprId| evaluate_within(ast, expr, known, depth);
    match ast.exprs.get(expr.0 as usize)? {
        Expr::Nil => Some(Constant::Nil),
        Expr::True => Some(Constant::Boolean(true)),
        Expr::False => Some(Constant::Boolean(false)),
        Expr::Integer(i) => Some(Constant::Integer(*i)),
        Expr::Float(x) => Constant::of_number(Number::Float(*x)),
        Expr::String(text) => Some(Constant::String(
            ast.symbols.get(text.0 as usize)?.as_ref().into(),
        )),
        Expr::Name(name) => known(*name),
        Expr::Paren(inner) => value(*inner),
        Expr::Unary { op, operand } => unary(*op, &value(*operand)?),
        Expr::Binary { op, lhs, rhs } => {
            let lhs = value(*lhs)?;
            match op {
                BinaryOp::And if !lhs.is_true() => Some(lhs),
                BinaryOp::Or if lhs.is_true() => Some(lhs),
                BinaryOp::And | BinaryOp::Or => value(*rhs),
                _ => binary(*op, &lhs, &value(*rhs)?),
            }
        }
        Expr::Vararg
        | Expr::Function(_)
        | Expr::Index { .. }
        | Expr::Field { .. }
        | Expr::Call { .. }
        | Expr::MethodCall { .. }
        | Expr::Table(_) => None,
    }
}

fn unary(op: UnaryOp, operand: &Constant) -> Option<Constant> {
    match (op, operand) {
        (UnaryOp::Not, operand) => Some(Constant::Boolean(!operand.is_true())),
        (UnaryOp::Length, Constant::String(text)) => Some(Constant::Integer(text.len() as i64)),
        (UnaryOp::Length, _) => None,
        (UnaryOp::Negate, operand) => Constant::of_number(match operand.number()? {
            Number::Int(i) => Number::Int(i.wrapping_neg()),
            Number::Float(x) => Number::Float(-x),
        }),
        (UnaryOp::BitNot, operand) => Some(Constant::Integer(!operand.number()?.to_int()?)),
    }
}

fn binary(op: BinaryOp, lhs: &Constant, rhs: &Constant) -> Option<Constant> {
    match op {
        BinaryOp::Concat => {
            let text = [lhs.text()?, rhs.text()?].concat();
            return Some(Constant::String(text.into()));
        }
        BinaryOp::Eq | BinaryOp::NotEq => {
            let equal = match (lhs.number(), rhs.number()) {
                (Some(a), Some(b)) => moonswap_number::eq(a, b),
                _ => lhs == rhs,
            };
            return Some(Constant::Boolean(equal == (op == BinaryOp::Eq)));
        }
        _ => {}
    }
    let (a, b) = (lhs.number()?, rhs.number()?);
    let is_zero = match b {
        Number::Int(i) => i == 0,
        Number::Float(x) => x == 0.0,
    };
    let result = match op {
        BinaryOp::Add => arithmetic(a, b, i64::wrapping_add, |x, y| x + y),
        BinaryOp::Sub => arithmetic(a, b, i64::wrapping_sub, |x, y| x - y),
        BinaryOp::Mul => arithmetic(a, b, i64::wrapping_mul, |x, y| x * y),
        // Integers raise an error.
        BinaryOp::Mod | BinaryOp::IntDiv if is_zero => return None,
        BinaryOp::Mod => arithmetic(a, b, int_mod, float_mod),
        BinaryOp::IntDiv => arithmetic(a, b, int_floor_div, float_floor_div),
        BinaryOp::Div => Number::Float(a.to_float() / b.to_float()),
        BinaryOp::Pow => Number::Float(float_pow(a.to_float(), b.to_float())),
        BinaryOp::BitAnd => Number::Int(a.to_int()? & b.to_int()?),
        BinaryOp::BitOr => Number::Int(a.to_int()? | b.to_int()?),
        BinaryOp::BitXor => Number::Int(a.to_int()? ^ b.to_int()?),
        BinaryOp::ShiftLeft => Number::Int(shift_left(a.to_int()?, b.to_int()?)),
        BinaryOp::ShiftRight => Number::Int(shift_right(a.to_int()?, b.to_int()?)),
        BinaryOp::Lt => return Some(Constant::Boolean(moonswap_number::lt(a, b))),
        BinaryOp::Le => return Some(Constant::Boolean(moonswap_number::le(a, b))),
        BinaryOp::Gt => return Some(Constant::Boolean(moonswap_number::lt(b, a))),
        BinaryOp::Ge => return Some(Constant::Boolean(moonswap_number::le(b, a))),
        BinaryOp::Concat | BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::And | BinaryOp::Or => {
            return None;
        }
    };
    Constant::of_number(result)
}

fn arithmetic(
    a: Number,
    b: Number,
    int: fn(i64, i64) -> i64,
    float: fn(f64, f64) -> f64,
) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Number::Int(int(a, b)),
        (a, b) => Number::Float(float(a.to_float(), b.to_float())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moonswap_compiler::syntax::ast::StatementKind;
    use moonswap_compiler::{ParseLimits, parse};

    fn value(text: &str) -> String {
        let source = format!("return {text}");
        let ast = parse("=x", source.as_bytes(), ParseLimits::default()).expect("parses");
        let statements = crate::patch::statements::statements(&ast);
        let StatementKind::Return(values) = &statements[0].kind else {
            panic!("no return")
        };
        let n = |symbol: Symbol| {
            (*ast.symbols[symbol.0 as usize] == *b"N").then_some(Constant::Integer(7))
        };
        evaluate(&ast, values[0], &n).map_or_else(|| "?".to_owned(), |c| c.to_string())
    }

    #[test]
    fn operators_give_what_running_them_gives() {
        for (text, expected) in [
            ("5 * 60", "300"),
            ("-(2 ^ 3)", "-8.0"),
            ("7 // 2 .. 'x'", "\"3x\""),
            ("7 / 2", "3.5"),
            ("1 // 0", "?"),
            ("1 % 0", "?"),
            ("1 / 0 > 5", "true"),
            ("0 / 0", "?"),
            ("N * 2", "14"),
            ("N and nil or 'no'", "\"no\""),
            ("false or 3 == 3.0", "true"),
            ("#'four'", "4"),
            ("~5 & 0xFF", "250"),
            ("1 << 62", "4611686018427387904"),
            ("'a' < 'b'", "?"),
            ("M", "?"),
            ("f()", "?"),
            ("not nil", "true"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_chain_is_no_constant() {
        assert_eq!(value(&["1"; 100_000].join("+")), "?");
    }
}
