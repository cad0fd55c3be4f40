//! Random modules whose top-level code matters, and their texts.
//!
//! A module is a list of items; each has an identity, which its names bear, so that
//! an edit (`edit.rs`) of one item is an edit of its statements. An item that uses
//! another writes a number instead where that one is not above it.

use super::text::Text;
use super::write::write;

/// What an item defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A constant local, perhaps with others in the statement, perhaps derived.
    Constant,
    /// A field or global that is a constant.
    Field,
    /// A table of constants, with some entries that are none.
    Table,
    /// A function, in any form.
    Function,
    /// A local or field that is computed by calls and reads.
    Value,
    /// A variable that functions change.
    State,
    /// A class with methods.
    Class,
    /// A statement that defines nothing: a call, a loop, a condition.
    Effect,
    /// A function with a variable of its own in a block.
    Block,
    /// Another name for a table or a function.
    Alias,
    /// A function that makes closures.
    Factory,
    /// A way out of the main chunk.
    Leave,
}

pub(super) const KINDS: [Kind; 12] = [
    Kind::Constant,
    Kind::Field,
    Kind::Table,
    Kind::Function,
    Kind::Value,
    Kind::State,
    Kind::Class,
    Kind::Effect,
    Kind::Block,
    Kind::Alias,
    Kind::Factory,
    Kind::Leave,
];

/// One item. All choices are numbers, so that an edit is another number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: u8,
    pub(super) kind: Kind,
    /// Where it is put: a local, a field of the module, a global.
    pub(super) place: u8,
    /// In which form.
    pub(super) style: u8,
    /// The number in it.
    pub(super) k: u8,
    /// What else is in it, bit by bit.
    pub(super) shape: u16,
    /// The items it uses.
    pub(super) uses: [u8; 3],
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) items: Vec<Item>,
    /// How it is put where others find it, and what it returns.
    pub(super) form: u8,
}

impl Item {
    pub(super) fn bit(&self, bit: u16) -> bool {
        self.shape & 1 << bit != 0
    }

    /// A value that is a table of computed entries.
    pub(super) fn is_table(&self) -> bool {
        self.kind == Kind::Value && self.style / 8 % 4 == 2
    }

    /// The main chunk ends here.
    pub(super) fn leaves(&self) -> bool {
        self.kind == Kind::Leave
            && match self.style % 4 {
                0 => true,
                1 => self.k > 100,
                _ => false,
            }
    }

    fn letter(&self) -> &'static str {
        match self.kind {
            Kind::Constant => "K",
            Kind::Field => "c",
            Kind::Table => "T",
            Kind::Function => "f",
            Kind::Value => "v",
            Kind::State => "n",
            Kind::Class => "C",
            Kind::Effect => "e",
            Kind::Block => "b",
            Kind::Alias => "a",
            Kind::Factory => "mk",
            Kind::Leave => "x",
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}{}", self.letter(), self.id)
    }

    pub(super) fn place(&self) -> Place {
        match (self.kind, self.place % 4) {
            (Kind::Constant, _) => Place::Local,
            (Kind::Field, 3) => Place::Global,
            (Kind::Field | Kind::Factory | Kind::Block, _) => Place::Field,
            (Kind::Function, 3) if self.style % 5 == 4 => Place::On,
            (_, 0) => Place::Local,
            (_, 1 | 2) => Place::Field,
            (Kind::Value | Kind::Alias, _) => Place::Local,
            (_, _) => Place::Global,
        }
    }

    /// How code refers to it.
    pub(super) fn reference(&self) -> String {
        let name = self.name();
        match self.place() {
            Place::Local | Place::Global => name,
            Place::Field => format!("M.{name}"),
            Place::On => format!("on.{name}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Local,
    Field,
    Global,
    On,
}

impl Module {
    /// Its text. With `probe`, with a function that tells the top-level locals.
    pub(super) fn text(&self) -> Text {
        let (_, assigned) = write(self, None);
        write(self, Some(assigned)).0
    }

    /// What scripts outside call.
    pub(super) fn exported(&self) -> Vec<Exported> {
        let mut found = Vec::new();
        for item in &self.items {
            if item.leaves() {
                break;
            }
            let reference = item.reference();
            let name = match item.place() {
                Place::Local => continue,
                Place::On => format!("M.{reference}"),
                Place::Field | Place::Global => reference,
            };
            match item.kind {
                Kind::Function | Kind::Block => found.push(Exported::Function(name)),
                Kind::Factory => found.push(Exported::Factory(name)),
                Kind::Class => found.push(Exported::Class(name)),
                _ => {}
            }
        }
        found
    }
}

/// Something that scripts outside can call, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exported {
    Function(String),
    /// Makes closures, which the program keeps.
    Factory(String),
    /// Makes objects, which the program keeps.
    Class(String),
}
