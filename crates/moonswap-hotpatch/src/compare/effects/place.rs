//! Variables and fields, as numbers.

use foldhash::HashMap;
use smallvec::SmallVec;

use crate::patch::constant::Constant;

/// A name of the text, or what stands for several: an index into the links.
pub(super) type Node = u32;

/// Everything that the text does not show: other modules, the host, files.
pub(super) const OUTSIDE: Node = 0;

/// A key of a table.
pub(super) type KeyNumber = u32;

/// A key that is not known.
pub(super) const ANY: KeyNumber = 0;

/// A table's metatable.
pub(super) const METATABLE: KeyNumber = 1;

/// The variable of that name, or a field of the table in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) root: Node,
    /// None: the variable itself.
    pub(super) keys: SmallVec<[KeyNumber; 2]>,
}

impl Place {
    pub(super) fn variable(root: Node) -> Self {
        let keys = SmallVec::new();
        Self { root, keys }
    }

    pub(super) fn with(&self, key: KeyNumber) -> Self {
        let mut place = self.clone();
        place.keys.push(key);
        place
    }
}

/// Numbers for constant keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    numbers: HashMap<Constant, KeyNumber>,
    all: Vec<Constant>,
}

impl Keys {
    pub(super) fn number(&mut self, key: &Constant) -> KeyNumber {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = METATABLE + 1 + self.all.len() as KeyNumber;
        self.numbers.insert(key.clone(), number);
        self.all.push(key.clone());
        number
    }

    /// The text of a key that is one.
    pub(super) fn text(&self, key: KeyNumber) -> Option<&[u8]> {
        match self.all.get(key.checked_sub(METATABLE + 1)? as usize)? {
            Constant::String(text) => Some(text),
            _ => None,
        }
    }
}
