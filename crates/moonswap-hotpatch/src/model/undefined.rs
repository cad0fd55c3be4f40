//! Global names that functions use and nobody defines.

use std::fmt;
use std::sync::Arc;

/// A global name that a text uses and nobody defines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Undefined {
    /// The name.
    pub name: Arc<str>,
    /// Line of its first use in the function.
    pub line: u32,
    /// Column of it.
    pub column: u32,
    /// Byte offsets of its begin and end.
    #[cfg_attr(feature = "json", serde(skip))]
    pub span: (u32, u32),
    /// The function that uses it.
    pub function: String,
    /// A name like it that there is.
    pub suggestion: Option<Arc<str>>,
}

impl Undefined {
    /// What is wrong, without the place.
    pub fn message(&self) -> String {
        let name = &self.name;
        match &self.suggestion {
            Some(like) => format!("the global {name} is not defined; did you mean {like}?"),
            None => format!("the global {name} is not defined"),
        }
    }
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: {}: {}",
            self.line,
            self.function,
            self.message()
        )
    }
}
