//! What others see: events and audit records, versions and frames.

pub(crate) mod event;
pub(crate) mod inspect;
