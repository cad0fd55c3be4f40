//! An open or closed file.

use std::cell::RefCell;
use std::io;

use super::stream::Stream;

/// An open or closed file. Shared between its userdata, the list of open files
/// and, for standard output, `print`.
#[derive(Debug)]
pub(super) struct Handle {
    /// None once closed. Never borrowed while Lua code may run.
    pub(super) stream: RefCell<Option<Stream>>,
    /// A standard file, which cannot be closed.
    pub(super) standard: bool,
}

impl Handle {
    pub(super) fn is_closed(&self) -> bool {
        self.stream.borrow().is_none()
    }

    /// Runs `f` on the stream, with the error of a closed file if there is none.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Stream) -> io::Result<R>) -> io::Result<R> {
        match self.stream.borrow_mut().as_mut() {
            Some(stream) => f(stream),
            None => Err(io::Error::from_raw_os_error(9)),
        }
    }
}
