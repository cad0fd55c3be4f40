//! Errors inside errors.

use std::error::Error as StdError;

use crate::Error;

impl StdError for Error {
    /// What caused an error of the embedder's own. That error itself is in
    /// [`Error::ExternalError`]: this one has its text already, as errors have the
    /// texts of those that they wrap.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.innermost() {
            Self::ExternalError(error) => error.source(),
            _ => None,
        }
    }
}

impl Error {
    /// The embedder's own error of type `T`, wherever in this one it is.
    ///
    /// ```
    /// use moonswap::{Error, Lua};
    /// let lua = Lua::new();
    /// let fails = lua.create_function(|_, ()| -> moonswap::Result<()> {
    ///     Err(Error::external(std::io::Error::other("disk")))
    /// })?;
    /// let error = fails.call::<()>(()).unwrap_err();
    /// assert!(error.downcast_ref::<std::io::Error>().is_some());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn downcast_ref<T: StdError + 'static>(&self) -> Option<&T> {
        match self.innermost() {
            Self::ExternalError(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// This error and those inside it, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first: &(dyn StdError + 'static) = match self {
            Self::ExternalError(error) => &**error,
            other => other,
        };
        std::iter::successors(Some(first), |&error| {
            let cause = error.downcast_ref::<Error>()?.wrapped()?;
            Some(match cause {
                Self::ExternalError(error) => &**error,
                other => other as &(dyn StdError + 'static),
            })
        })
    }

    /// What a failed call, or a context, is about.
    #[doc(hidden)]
    pub fn parent(&self) -> Option<&Error> {
        match self {
            Self::CallbackError { cause, .. } | Self::WithContext { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
