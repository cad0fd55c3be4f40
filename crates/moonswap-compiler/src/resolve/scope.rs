//! Scopes of one function: its blocks and the variables alive in them.
//!
//! A variable becomes alive when it is declared, that is after its
//! initialiser. Where it lives is decided here once; which functions capture it
//! is `upvalue.rs`.

use foldhash::HashMap;
use moonswap_bytecode::VariableKind;

use crate::syntax::ast::Symbol;

/// Most variables alive at once in one function.
pub(crate) const MAX_LOCALS: usize = 200;

/// A value known when compiling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConstantValue {
    /// `nil`
    Nil,
    /// `true`, `false`
    Boolean(bool),
    /// an integer
    Integer(i64),
    /// a float
    Float(f64),
    /// a string of the chunk
    String(Symbol),
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In a register of its function's frame.
    Register(u16),
    /// Nowhere: `<const>` with a value known when compiling.
    Constant(ConstantValue),
    /// In a cell of the chunk's scope record (code made for a patch).
    Cell(u32),
}

/// A variable that is alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    /// Its name; `None` for hidden loop variables, which no name finds.
    pub(crate) name: Option<Symbol>,
    /// How it was declared.
    pub(crate) kind: VariableKind,
    /// Where it lives.
    pub(crate) place: Place,
    /// Ordinal among the function's declarations of this name; top-level ones
    /// of a main chunk are counted apart from those in inner blocks, so that
    /// an edit inside a block does not renumber them.
    pub(crate) declaration: u32,
    /// Declared in the main chunk's outermost block.
    pub(crate) top_level: bool,
    /// Declared inside a loop body.
    pub(crate) in_loop: bool,
    /// Its entry in the function's table of debug locals.
    pub(crate) debug: Option<u32>,
    /// Its entry in the main chunk's scope record.
    pub(crate) scope: Option<u32>,
    /// Its statement is dropped and there is no cell: it has no value.
    pub(crate) absent: bool,
}

/// A block that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Variables alive outside it.
    pub(crate) n_active: usize,
    /// Labels of the function defined outside it.
    pub(crate) first_label: usize,
    /// Jumps of the function pending outside it.
    pub(crate) first_goto: usize,
    /// `break` leaves it.
    pub(crate) is_loop: bool,
    /// It, or a block around it in the same function, is a loop.
    pub(crate) in_loop: bool,
    /// A variable of it is captured or to be closed.
    pub(crate) needs_close: bool,
    /// It is inside the scope of a to-be-closed variable.
    pub(crate) inside_tbc: bool,
}

/// All scopes of one function that are open.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Variables alive, outermost first.
    pub(crate) active: Vec<Variable>,
    /// Blocks open, outermost first.
    pub(crate) blocks: Vec<Block>,
    /// Declarations counted so far, by name and whether at top level.
    counters: HashMap<(Symbol, bool), u32>,
}

impl Scope {
    /// Opens a block.
    pub(crate) fn enter(&mut self, is_loop: bool, first_label: usize, first_goto: usize) {
        let outer = self.blocks.last();
        let block = Block {
            n_active: self.active.len(),
            first_label,
            first_goto,
            is_loop,
            in_loop: is_loop || outer.is_some_and(|b| b.in_loop),
            needs_close: false,
            inside_tbc: outer.is_some_and(|b| b.inside_tbc),
        };
        self.blocks.push(block);
    }

    /// The innermost variable of that name.
    pub(crate) fn find(&self, name: Symbol) -> Option<usize> {
        self.active.iter().rposition(|v| v.name == Some(name))
    }

    /// The next ordinal of a declaration of that name.
    pub(crate) fn count_declaration(&mut self, name: Symbol, top_level: bool) -> u32 {
        let counter = self.counters.entry((name, top_level)).or_insert(0);
        let ordinal = *counter;
        *counter += 1;
        ordinal
    }

    /// Number of registers that the first `n` variables occupy.
    pub(crate) fn register_level(&self, n: usize) -> u16 {
        for variable in self.active[..n.min(self.active.len())].iter().rev() {
            if let Place::Register(register) = variable.place {
                return register.saturating_add(1);
            }
        }
        0
    }

    /// Registers of all variables that are alive.
    pub(crate) fn active_registers(&self) -> u16 {
        self.register_level(self.active.len())
    }

    /// Notes that the variable is captured: the block that declares it has to
    /// close it.
    pub(crate) fn mark_captured(&mut self, index: usize) {
        if let Some(block) = self.blocks.iter_mut().rev().find(|b| b.n_active <= index) {
            block.needs_close = true;
        }
    }

    /// Notes a to-be-closed variable in the innermost block.
    pub(crate) fn mark_to_be_closed(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.needs_close = true;
            block.inside_tbc = true;
        }
    }

    /// Whether a to-be-closed variable is alive.
    pub(crate) fn inside_tbc(&self) -> bool {
        self.blocks.last().is_some_and(|b| b.inside_tbc)
    }
}
