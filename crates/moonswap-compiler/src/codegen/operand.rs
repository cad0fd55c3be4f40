//! The value of an expression whose code is not finished: *where it is or how
//! it would be got*. Delaying the last instruction lets the consumer choose the
//! target register, a constant operand or a jump instead of a value.

use crate::codegen::jump_list::JumpList;
use crate::resolve::scope::ConstantValue;
use crate::syntax::ast::Symbol;

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `nil`
    Nil,
    /// `true`
    True,
    /// `false`
    False,
    /// an integer constant
    Integer(i64),
    /// a float constant
    Float(f64),
    /// a string constant
    String(Symbol),
    /// in that register, which may be a temporary of the expression
    Register(u16),
    /// a local variable's register
    Local(u16),
    /// a captured variable
    Upvalue(u16),
    /// a cell of the scope record
    Cell(u32),
    /// `table[key]`, both in registers
    Index { table: u16, key: u16 },
    /// `table[n]`
    IndexInt { table: u16, index: u16 },
    /// `table.K`
    IndexField { table: u16, constant: u16 },
    /// `upvalue.K`
    IndexUpvalue { upvalue: u16, constant: u16 },
    /// a comparison: the instruction there jumps if it holds
    Jump(u32),
    /// the instruction there can put it into any register
    Relocatable(u32),
    /// results of the call there
    Call(u32),
    /// results of the `VARARG` there
    Vararg(u32),
}

/// An expression: its value, and jumps out of its middle that end it early
/// with a true (`t`) or false (`f`) value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    /// The value when no jump was taken.
    pub(crate) kind: Kind,
    /// Jumps taken when the expression is true.
    pub(crate) t: JumpList,
    /// Jumps taken when the expression is false.
    pub(crate) f: JumpList,
}

impl Operand {
    /// An operand without jumps.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            t: JumpList::NONE,
            f: JumpList::NONE,
        }
    }

    /// Whether jumps can end it early.
    pub(crate) fn has_jumps(&self) -> bool {
        !self.t.is_empty() || !self.f.is_empty()
    }

    /// Whether it can yield several values.
    pub(crate) fn is_multi(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::Vararg(_))
    }

    /// The value if it is known when compiling.
    pub(crate) fn constant(&self) -> Option<ConstantValue> {
        if self.has_jumps() {
            return None;
        }
        match self.kind {
            Kind::Nil => Some(ConstantValue::Nil),
            Kind::True => Some(ConstantValue::Boolean(true)),
            Kind::False => Some(ConstantValue::Boolean(false)),
            Kind::Integer(i) => Some(ConstantValue::Integer(i)),
            Kind::Float(f) => Some(ConstantValue::Float(f)),
            Kind::String(s) => Some(ConstantValue::String(s)),
            Kind::Register(_)
            | Kind::Local(_)
            | Kind::Upvalue(_)
            | Kind::Cell(_)
            | Kind::Index { .. }
            | Kind::IndexInt { .. }
            | Kind::IndexField { .. }
            | Kind::IndexUpvalue { .. }
            | Kind::Jump(_)
            | Kind::Relocatable(_)
            | Kind::Call(_)
            | Kind::Vararg(_) => None,
        }
    }

    /// The number, if it is a numeric constant.
    pub(crate) fn number(&self) -> Option<moonswap_number::Number> {
        match self.constant() {
            Some(ConstantValue::Integer(i)) => Some(moonswap_number::Number::Int(i)),
            Some(ConstantValue::Float(f)) => Some(moonswap_number::Number::Float(f)),
            Some(ConstantValue::Nil | ConstantValue::Boolean(_) | ConstantValue::String(_))
            | None => None,
        }
    }
}

impl From<ConstantValue> for Operand {
    fn from(value: ConstantValue) -> Self {
        Self::new(match value {
            ConstantValue::Nil => Kind::Nil,
            ConstantValue::Boolean(true) => Kind::True,
            ConstantValue::Boolean(false) => Kind::False,
            ConstantValue::Integer(i) => Kind::Integer(i),
            ConstantValue::Float(f) => Kind::Float(f),
            ConstantValue::String(s) => Kind::String(s),
        })
    }
}
