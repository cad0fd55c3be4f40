//! Plans of patches against what runs here, made on this thread or on that of the submitter.

pub(crate) mod globals;
pub(crate) mod plan;
pub(crate) mod planned;
pub(crate) mod published;
