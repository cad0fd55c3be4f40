//! What the host gave to an object: closures of natives, data of userdata.

use std::any::Any;

use super::Context;
use crate::contained::contained;
use crate::error::Raised;

/// What is told of a warning.
pub type WarningSink = std::rc::Rc<dyn Fn(&[u8])>;

/// What the host gave to an object.
pub(crate) enum HostData {
    #[allow(clippy::type_complexity)]
    Function(Box<dyn Fn(&mut Context<'_>) -> Result<usize, Raised>>),
    Value(Box<dyn Any>),
    /// A warning that the host is to be told of.
    Warning(Vec<u8>),
}

impl HostData {
    /// Runs its destructor; answers what it said if it panicked.
    pub(crate) fn drop_now(self) -> Option<String> {
        let end = || match self {
            Self::Function(function) => drop(function),
            Self::Value(value) => drop(value),
            Self::Warning(_) => {}
        };
        contained(end)
    }
}
