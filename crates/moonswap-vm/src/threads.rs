//! The threads that the VM starts: the timer (`timer.rs`), and one for each patch
//! of a chunk that is planned for the first time (`hotpatch/request/mailbox.rs`). Both
//! callers have a way to do without one.

use std::sync::atomic::Ordering;
use std::thread::Builder;

use crate::safepoint::PollHandle;

/// A stack that no system has room for.
const IMPOSSIBLE_STACK: usize = 1 << (usize::BITS - 2);

/// Starts a thread on behalf of a VM; false if the system has none to give.
pub(crate) fn start(name: &str, poll: &PollHandle, work: impl FnOnce() + Send + 'static) -> bool {
    let mut builder = Builder::new().name(name.to_owned());
    if poll.without_threads.load(Ordering::Relaxed) {
        builder = builder.stack_size(IMPOSSIBLE_STACK);
    }
    builder.spawn(work).is_ok()
}
