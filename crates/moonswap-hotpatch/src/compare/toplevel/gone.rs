//! What the new text has no more: data goes where nobody changed it, functions
//! stay unless the policy says otherwise.

use super::merge::{Merging, is_in_list};
use super::outcome::{TopLevel, ValueCode};
use crate::compare::removal;
use crate::model::change::{Before, ChangeKind};
use crate::patch::constant::Constant;
use crate::patch::declarations::Variable;
use crate::patch::entries::{Entry, Leaf};
use crate::patch::path::{Path, Root};
use crate::policy::DataPolicy;

impl Merging<'_> {
    /// What the new text has no more.
    pub(super) fn gone(&mut self, top: &mut TopLevel) {
        let mut covered: Option<Path> = None;
        for at in 0..self.old.entries.len() {
            let entry = self.old.entries[at].clone();
            if let Some(whole) = &covered {
                if entry.is_item && entry.path.keys.starts_with(&whole.keys) {
                    continue;
                }
                covered = None;
            }
            if self.old.last(&entry.path) != Some(at) {
                let path = self.new_path(&entry.path);
                self.set_before(at, &path, top);
                covered = Some(entry.path);
            } else if !self.one_gone(at, &entry, top) {
                covered = Some(entry.path);
            }
        }
    }

    /// A path of the old text as the new one writes it.
    fn new_path(&self, path: &Path) -> Path {
        let root = match &path.root {
            Root::Local(name, at) => Root::Local(self.comparison.new_name(name), *at),
            Root::Global | Root::Returned => path.root.clone(),
        };
        let keys = path.keys.clone();
        Path { root, keys }
    }

    /// Answers whether the items are to be asked for as well.
    fn one_gone(&mut self, at: usize, entry: &Entry, top: &mut TopLevel) -> bool {
        let is_root = entry.path.keys.is_empty();
        if self.comparison.is_of_each_call(&entry.path) {
            return false;
        }
        let path = match &entry.path.root {
            Root::Local(name, declaration) => {
                let name = self.comparison.new_name(name);
                let state = top.variable(&name, *declaration).map(|v| &v.state);
                match state {
                    Some(Variable::Existing { cell: Some(_) }) => Path {
                        root: Root::Local(name, *declaration),
                        keys: entry.path.keys.clone(),
                    },
                    // The variable is gone with all of it, or cannot be reached.
                    _ => {
                        self.removed_function(entry, top);
                        return false;
                    }
                }
            }
            Root::Global | Root::Returned => entry.path.clone(),
        };
        if let Some(is) = self.new.last(&path) {
            return matches!(
                (&entry.leaf, &self.new.entries[is].leaf),
                (Leaf::Table(_), Leaf::Table(_)) | (Leaf::Wrapped(..), Leaf::Wrapped(..))
            );
        }
        if is_root {
            return false;
        }
        if is_in_list(&entry.path, &self.lists) {
            return false;
        }
        if matches!(entry.leaf, Leaf::Function(_)) {
            self.removed_function(entry, top);
            return false;
        }
        if entry.leaf == Leaf::Constant(Constant::Nil) {
            return false;
        }
        let name = path.to_string();
        let text = |this: &Self| match entry.is_item {
            true => name.clone(),
            false => this
                .comparison
                .old_statement_text(this.old.text, entry.statement),
        };
        let before = self.old.before(at);
        let rule = self.comparison.policy.data.of(&name);
        let is_known = entry.path.constants().is_some() && before != Before::Unknown;
        let is_reachable = entry.path.root != Root::Returned || self.comparison.manifest.returned;
        let is_state = rule != DataPolicy::Replace && self.may_be_state(&path, Some(&entry.path));
        if !is_known || !is_reachable || is_state || rule == DataPolicy::List {
            top.warnings.push(format!(
                "no longer in the text, its effect stays: {}",
                text(self)
            ));
            return false;
        }
        let gone = Entry {
            path,
            leaf: Leaf::Constant(Constant::Nil),
            statement: usize::MAX,
            value: None,
            ..entry.clone()
        };
        self.change(&gone, before, ChangeKind::Data, ValueCode::Nil, None, top);
        false
    }

    fn removed_function(&self, entry: &Entry, top: &mut TopLevel) {
        let Leaf::Function(function) = &entry.leaf else {
            return;
        };
        if entry.path.keys.is_empty() {
            return;
        }
        let text = match entry.is_item {
            true => entry.path.to_string(),
            false => self
                .comparison
                .old_statement_text(self.old.text, entry.statement),
        };
        let literal = self.old.literals.get(function);
        let id = literal.map(|l| self.old.text.facts().outline.get(*l).prototype.id.clone());
        let (old, policy) = (self.old.text, self.comparison.policy);
        let removal = removal::removal(&entry.path, old, id, policy, top);
        let what = match removal {
            Ok(removal) => {
                top.removals.push(removal);
                "the field is cleared if it still holds it"
            }
            Err(why) => why,
        };
        top.warnings.push(format!("removed: {text}: {what}"));
    }
}
