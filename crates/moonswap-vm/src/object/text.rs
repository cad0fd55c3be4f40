//! `HeldText`: a long text of a chunk, with what it takes on the account.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Texts of that many bytes are worth an entry.
pub(crate) const LONG_TEXT: usize = 256;
/// What an entry takes beside the text, about.
const ENTRY: usize = 128;

/// A long text, on the account of the heap's memory as long as instances have it
/// (`hotpatch/registry/texts.rs`).
pub(crate) struct HeldText {
    text: Arc<[u8]>,
    account: Rc<Cell<usize>>,
}

impl HeldText {
    pub(crate) fn new(text: Arc<[u8]>, account: Rc<Cell<usize>>) -> Rc<Self> {
        account.set(account.get() + text.len() + ENTRY);
        Rc::new(Self { text, account })
    }

    pub(crate) fn text(&self) -> &Arc<[u8]> {
        &self.text
    }
}

impl Drop for HeldText {
    fn drop(&mut self) {
        let left = self.account.get().saturating_sub(self.text.len() + ENTRY);
        self.account.set(left);
    }
}
