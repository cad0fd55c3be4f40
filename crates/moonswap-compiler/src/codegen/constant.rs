//! The constants of one function, each value once.

use foldhash::HashMap;
use moonswap_bytecode::Constant;

use crate::resolve::scope::ConstantValue;
use crate::syntax::ast::{Ast, Symbol};

/// What makes two constants the same: floats by their bits, so that `0.0` and
/// `-0.0` stay apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Nil,
    Boolean(bool),
    Integer(i64),
    Float(u64),
    String(Symbol),
    Cell(u32),
}

/// A pool of constants.
#[derive(Default)]
pub(crate) struct ConstantPool {
    constants: Vec<Constant>,
    index: HashMap<Key, u32>,
}

impl ConstantPool {
    fn add(&mut self, key: Key, make: impl FnOnce() -> Constant) -> u32 {
        let constants = &mut self.constants;
        *self.index.entry(key).or_insert_with(|| {
            constants.push(make());
            constants.len() as u32 - 1
        })
    }

    /// The index of a value.
    pub(crate) fn value(&mut self, ast: &Ast, value: ConstantValue) -> u32 {
        match value {
            ConstantValue::Nil => self.add(Key::Nil, || Constant::Nil),
            ConstantValue::Boolean(b) => self.add(Key::Boolean(b), || Constant::Boolean(b)),
            ConstantValue::Integer(i) => self.add(Key::Integer(i), || Constant::Integer(i)),
            ConstantValue::Float(f) => self.add(Key::Float(f.to_bits()), || Constant::Float(f)),
            ConstantValue::String(s) => self.string(ast, s),
        }
    }

    /// The index of a string.
    pub(crate) fn string(&mut self, ast: &Ast, symbol: Symbol) -> u32 {
        self.add(Key::String(symbol), || {
            // A symbol outside the table can only be a name that no text spells.
            Constant::String(
                ast.symbols
                    .get(symbol.0 as usize)
                    .cloned()
                    .unwrap_or_default(),
            )
        })
    }

    /// The index of a cell of the scope record.
    pub(crate) fn cell(&mut self, cell: u32) -> u32 {
        self.add(Key::Cell(cell), || Constant::Cell(cell))
    }

    /// Number of constants.
    pub(crate) fn len(&self) -> usize {
        self.constants.len()
    }

    /// The constants in index order.
    pub(crate) fn into_boxed(self) -> Box<[Constant]> {
        self.constants.into_boxed_slice()
    }
}
