//! Main chunks that are called again and again: `load` made a function, and the program
//! has called it more than once.
//!
//! What stands at the top level of such a text is the body of a function. A change of it
//! holds from the next call on, like that of any function, so it is neither run nor
//! listed. What functions of earlier calls share, and what is set in globals, is compared
//! as usual.

use super::comparison::Comparison;
use super::outcome::TopLevel;
use crate::manifest::is_reserved;
use crate::patch::path::{Path, Root};

impl Comparison<'_> {
    /// Whether the main chunk has been called more than once, and does not run now.
    pub(crate) fn is_called_again(&self) -> bool {
        self.manifest.n_runs > 1 && !self.manifest.main_running
    }

    /// Whether only the calls to come see what is set there.
    pub(super) fn is_of_each_call(&self, path: &Path) -> bool {
        self.is_called_again()
            && match &path.root {
                Root::Local(name, _) => !self.is_held(name),
                Root::Returned => !self.manifest.returned,
                Root::Global => false,
            }
    }

    /// Whether functions that were made may hold a variable of that name, or may be given
    /// one by the new text.
    pub(super) fn is_held(&self, name: &str) -> bool {
        let main = &self.manifest.main.id;
        let mut slots = self.manifest.slots.iter();
        let is_held = slots.any(|(id, slot)| {
            let mut held = slot.layout.iter().filter(|v| !is_reserved(v));
            !slot.is_unmade && id != main && held.any(|v| *v.name == *name)
        });
        let functions = self.new.facts().outline.literals.iter().skip(1);
        let is_wanted = |literal: &crate::patch::outline::Literal| {
            let mut wanted = literal.prototype.upvalues.iter();
            wanted.any(|v| *v.name == *name)
        };
        is_held || functions.into_iter().any(is_wanted)
    }

    /// Says what holds from the next call on.
    pub(super) fn tell_next_call(&self, top: &mut TopLevel) {
        if top.is_of_last_call {
            top.warnings.push(format!(
                "the main chunk was called {} times: what its last call made follows the text, what earlier calls made stays; new variables are shared by all of its functions",
                self.manifest.n_runs
            ));
        }
        let n = top.next_call.len();
        if n == 0 {
            return;
        }
        let (s, verb) = if n == 1 { ("", "takes") } else { ("s", "take") };
        top.warnings.push(format!(
            "the main chunk was called {} times: {n} changed statement{s} of it {verb} effect when it is called next",
            self.manifest.n_runs
        ));
    }
}
