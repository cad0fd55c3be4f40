//! The host's code may panic where nobody can take a panic: in destructors, wakers,
//! listeners. It ends there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does what the host gave. `Some`: it panicked, and said so.
pub fn contained(work: impl FnOnce()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(work)).err()?;
    Some(spent(payload))
}

/// What a panic said, of which nobody wants the payload.
pub fn spent(payload: Box<dyn Any + Send>) -> String {
    let text = panic_text(&*payload);
    // Its own destructor might panic as well.
    std::mem::forget(payload);
    text
}

/// What a panic said.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "unknown reason".to_owned())
}
