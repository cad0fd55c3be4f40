//! From other errors to this one, and what they were about.

use std::fmt;
use std::sync::Arc;

use crate::sealed::Sealed;
use crate::{Error, Result};

/// Errors of others as [`Error`].
///
/// ```
/// use moonswap::ExternalError;
/// let error = "no such thing".into_lua_err();
/// assert_eq!(error.to_string(), "no such thing");
/// ```
pub trait ExternalError {
    /// As an [`Error::ExternalError`].
    fn into_lua_err(self) -> Error;
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> ExternalError for E {
    fn into_lua_err(self) -> Error {
        Error::external(self)
    }
}

/// Results with errors of others as results with [`Error`].
///
/// ```
/// use moonswap::ExternalResult;
/// let number: moonswap::Result<i32> = "x".parse::<i32>().into_lua_err();
/// assert!(number.is_err());
/// ```
pub trait ExternalResult<T> {
    /// Converts the error.
    ///
    /// # Errors
    /// The same.
    fn into_lua_err(self) -> Result<T>;
}

impl<T, E: ExternalError> ExternalResult<T> for std::result::Result<T, E> {
    fn into_lua_err(self) -> Result<T> {
        self.map_err(ExternalError::into_lua_err)
    }
}

/// What was being done when an error happened.
///
/// ```
/// use moonswap::{ErrorContext, Lua, Result};
/// let name: Result<String> = Lua::new().globals().get("name").context("reading the name");
/// assert!(name.unwrap_err().to_string().starts_with("reading the name\n"));
/// ```
pub trait ErrorContext: Sealed {
    /// With `context`, which replaces one that is there.
    fn context<C: fmt::Display>(self, context: C) -> Self;

    /// The same, made only if there is an error.
    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Self;
}

impl ErrorContext for Error {
    fn context<C: fmt::Display>(self, context: C) -> Self {
        self.with_context(|_| context)
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Self {
        let context = context(&self).to_string();
        let cause = match self {
            Self::WithContext { cause, .. } => cause,
            other => Arc::new(other),
        };
        Self::WithContext { context, cause }
    }
}

impl<T> ErrorContext for Result<T> {
    fn context<C: fmt::Display>(self, context: C) -> Self {
        self.map_err(|error| error.context(context))
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Self {
        self.map_err(|error| error.with_context(context))
    }
}

macro_rules! from {
    ($($error:ty)*) => { $(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::external(error)
            }
        }
    )* };
}
from! { std::io::Error std::str::Utf8Error std::net::AddrParseError }

impl From<moonswap_compiler::CompileError> for Error {
    fn from(error: moonswap_compiler::CompileError) -> Self {
        Self::compile(error, b"")
    }
}

#[cfg(feature = "anyhow")]
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(other) => Self::external(other),
        }
    }
}

#[cfg(feature = "serde")]
impl ::serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::SerializeError(message.to_string())
    }
}

#[cfg(feature = "serde")]
impl ::serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::DeserializeError(message.to_string())
    }
}
