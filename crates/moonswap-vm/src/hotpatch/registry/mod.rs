//! What runs: the instances of chunks, their texts and literals, and the frames in them.

pub(crate) mod current;
pub(crate) mod frames;
pub(crate) mod instances;
pub(crate) mod literals;
pub(crate) mod manifest;
pub(crate) mod scope;
pub(crate) mod stale;
pub(crate) mod texts;
