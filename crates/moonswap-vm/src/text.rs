//! Strings of a VM that the host borrows for as long as it likes.
//!
//! Invariants: M4 (`machine.rs`); TX1 what a `HeldText` holds was found to be UTF-8,
//! and the bytes of a string do not change.

use std::fmt;
use std::ops::Deref;

use crate::{Machine, Root};

/// The bytes of a string, which keep the string and the VM alive.
#[derive(Clone)]
pub struct HeldBytes {
    machine: Machine,
    root: Root,
}

impl HeldBytes {
    /// The bytes of what `root` holds; none if that is no string of this VM.
    pub fn new(machine: Machine, root: Root) -> Self {
        Self { machine, root }
    }

    /// The text, if the bytes are UTF-8.
    ///
    /// # Errors
    /// Where they are not.
    pub fn into_text(self) -> Result<HeldText, std::str::Utf8Error> {
        std::str::from_utf8(&self)?;
        Ok(HeldText(self))
    }
}

impl Deref for HeldBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.machine.string_bytes(&self.root).unwrap_or(b"")
    }
}

impl fmt::Debug for HeldBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The text of a string, which keeps the string and the VM alive.
///
/// ```
/// use moonswap_vm::{HeldBytes, Machine};
/// let machine = Machine::new();
/// let root = machine.with(|cx| {
///     cx.push_bytes("tëxt".as_bytes());
///     cx.root_top()
/// });
/// let text = HeldBytes::new(machine, root).into_text().unwrap();
/// assert_eq!(&*text, "tëxt");
/// ```
#[derive(Clone)]
pub struct HeldText(HeldBytes);

impl Deref for HeldText {
    type Target = str;
    fn deref(&self) -> &str {
        // SAFETY: TX1.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }
}

impl fmt::Debug for HeldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
