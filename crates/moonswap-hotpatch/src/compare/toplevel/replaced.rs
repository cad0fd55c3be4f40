//! Entries that both texts have, of a table that the patch replaces or empties: they are
//! put into it again.

use super::merge::{Merging, Verdict};
use super::outcome::ValueCode;
use crate::model::change::{Before, ChangeKind};
use crate::patch::constant::Constant;
use crate::patch::entries::{Entry, Leaf, only_reads};
use crate::patch::path::Path;

impl Merging<'_> {
    /// An entry is set to something else as a whole.
    pub(super) fn note_replaced(&mut self, entry: &Entry) {
        if !matches!(entry.leaf, Leaf::Constant(_) | Leaf::Function(_)) {
            self.replaced.insert(entry.path.clone());
        }
    }

    /// Whether the table of an entry, or one around it, is replaced above.
    pub(super) fn is_in_replaced(&self, path: &Path) -> bool {
        let mut above = std::iter::successors(path.parent(), Path::parent);
        !self.replaced.is_empty() && above.any(|path| self.replaced.contains(&path))
    }

    /// What becomes of an entry that is the same in both texts.
    pub(super) fn again(&self, entry: &Entry) -> Verdict {
        let ast = self.new.text.ast();
        let kind = match entry.leaf {
            Leaf::Function(_) => ChangeKind::Definition,
            _ => ChangeKind::Data,
        };
        let value = match (&entry.leaf, entry.value) {
            (Leaf::Constant(Constant::Nil), _) => return Verdict::Same,
            (Leaf::Function(function), None) => ValueCode::Function(*function),
            (_, Some(value)) if only_reads(ast, value) => ValueCode::Expr(value),
            _ => {
                let option = self.comparison.run_option(entry.statement);
                let option = option.filter(|_| !entry.is_item);
                return Verdict::Listed("the table it is put into is another one now", option);
            }
        };
        Verdict::Change(Before::Absent, kind, value)
    }
}
