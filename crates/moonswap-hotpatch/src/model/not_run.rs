//! Top-level statements that a patch does not run.

/// A top-level statement that changed: most often one that is not going to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct NotRun {
    /// Line in the new text.
    pub line: u32,
    /// Its first line, shortened.
    pub text: String,
    /// What is new about it, or in which way it runs.
    pub why: String,
    /// The setting that would bring it about, as written in Lua's `opts`.
    pub option: Option<String>,
}
