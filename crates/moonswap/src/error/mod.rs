//! `Error`: everything that can go wrong, as variants to match on and as
//! questions to ask (`kind`, `traceback`, `span`). `Display` keeps standard Lua's
//! wording; `render` shows the source line.

mod chain;
pub(crate) mod context;
pub(crate) mod panic;
pub(crate) mod render;
mod show;
pub(crate) mod trace;

use std::fmt;
use std::sync::Arc;

use moonswap_compiler::{CompileError, Span};
use moonswap_hotpatch::Refused;

use crate::error::panic::Panicked;
use crate::error::render::{RenderStyle, render_diagnostic};
use crate::error::trace::{Traceback, split};

/// Result of the API.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of error it is, whatever it passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source text is not Lua.
    Syntax,
    /// Raised by Lua code, by a library function or by this library.
    Runtime,
    /// The memory limit was reached.
    Memory,
    /// The host interrupted the run ([`crate::Interrupter`]).
    Interrupted,
    /// The deadline passed ([`crate::Lua::set_deadline`]).
    Deadline,
    /// The fuel was used up ([`crate::Lua::set_fuel`]).
    OutOfFuel,
    /// A value has not the type that was asked for.
    Conversion,
    /// Raised by Rust code of the embedder.
    External,
    /// Rust code of the embedder panicked.
    Panic,
    /// The patch can not be applied.
    Refused,
    /// Another failure of hot patching, e.g. an unknown generation.
    Hot,
    /// A handle of another VM was passed in.
    ForeignHandle,
    /// The VM of a handle is gone.
    Destroyed,
}

/// Errors that one error may have as causes, one below the other.
const MAX_CAUSES: usize = 100;

/// What the compiler knows of a syntax error.
#[derive(Clone, Debug)]
pub struct SyntaxDetails {
    pub(crate) error: CompileError,
    pub(crate) source: Arc<[u8]>,
}

/// Anything that went wrong. Cheap to clone, may go to other threads.
///
/// ```
/// use moonswap::{Error, ErrorKind, Lua};
/// let lua = Lua::new();
/// let error = lua.load("error('no', 0)").exec().unwrap_err();
/// assert!(matches!(&error, Error::RuntimeError(text) if text.starts_with("no\nstack traceback:")));
/// assert_eq!((error.kind(), error.to_string()), (ErrorKind::Runtime, "no".to_string()));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The source text is not Lua.
    SyntaxError {
        /// Place and reason.
        message: String,
        /// The text ended too early: a prompt may ask for another line.
        incomplete_input: bool,
        /// The compiler's own error with the text that it is in.
        details: Option<Arc<SyntaxDetails>>,
    },
    /// Raised by Lua code, or by [`Error::runtime`]: the message, followed by the
    /// traceback if Lua raised it.
    RuntimeError(String),
    /// The memory limit was reached.
    MemoryError(String),
    /// Something was asked of a VM without the unsafe libraries that only they allow.
    SafetyError(String),
    /// The memory of this VM cannot be limited. Never made by moonswap.
    MemoryControlNotAvailable,
    /// A closure with state was called while it runs.
    RecursiveMutCallback,
    /// A function was called whose scope has ended.
    CallbackDestructed,
    /// Too many values for the stack.
    StackError,
    /// Too many arguments for [`Function::bind`](crate::Function::bind).
    BindError,
    /// An argument of a Rust function is not what it takes.
    BadArgument {
        /// Name of the function, if it has one.
        to: Option<String>,
        /// Which argument, from 1.
        pos: usize,
        /// Name of the argument, if it has one.
        name: Option<String>,
        /// What is wrong with it.
        cause: Arc<Error>,
    },
    /// A Lua value is not what was asked for.
    FromLuaConversionError {
        /// Name of the Lua type.
        from: &'static str,
        /// Name of the Rust type.
        to: String,
        /// More about the reason.
        message: Option<String>,
    },
    /// The coroutine has ended, or runs.
    CoroutineUnresumable,
    /// The userdata has data of another type.
    UserDataTypeMismatch,
    /// The data of the userdata was taken or destroyed.
    UserDataDestructed,
    /// The data of the userdata is being changed by somebody else.
    UserDataBorrowError,
    /// The data of the userdata is being used by somebody else.
    UserDataBorrowMutError,
    /// A metamethod of this name cannot be set.
    MetaMethodRestricted(String),
    /// A metamethod has a value that is none.
    MetaMethodTypeError {
        /// Name of the metamethod.
        method: String,
        /// Lua type of the value.
        type_name: &'static str,
        /// More about the reason.
        message: Option<String>,
    },
    /// A registry key of another VM was passed in.
    MismatchedRegistryKey,
    /// A Rust function failed that Lua called.
    CallbackError {
        /// Where Lua called it.
        traceback: String,
        /// What it returned.
        cause: Arc<Error>,
    },
    /// A panic whose payload the host has already.
    PreviouslyResumedPanic,
    /// A Rust value could not be serialized.
    SerializeError(String),
    /// A Lua value could not be deserialized.
    DeserializeError(String),
    /// An error of the embedder's own.
    ExternalError(Arc<dyn std::error::Error + Send + Sync>),
    /// An error with what was being done at the time.
    WithContext {
        /// What was being done.
        context: String,
        /// What went wrong.
        cause: Arc<Error>,
    },
    /// A limit ended the run, or the host did.
    Ended {
        /// [`ErrorKind::Deadline`], [`ErrorKind::OutOfFuel`] or
        /// [`ErrorKind::Interrupted`].
        kind: ErrorKind,
        /// What is said about it.
        message: String,
        /// What ran.
        traceback: String,
    },
    /// Lua code raised a text that is no UTF-8.
    RawError {
        /// The text.
        message: Arc<[u8]>,
        /// Where it was raised.
        traceback: String,
    },
    /// A Rust function panicked. It reaches the host after [`Lua::catch_panics`]; else
    /// the panic goes on there.
    ///
    /// [`Lua::catch_panics`]: crate::Lua::catch_panics
    Panic(Panicked),
    /// The patch can not be applied.
    Refused(Refused),
    /// Another failure of hot patching, e.g. an unknown generation.
    Hot(String),
    /// A handle of another VM was passed in.
    ForeignHandle,
    /// The VM of the handle is gone.
    Destroyed,
}

impl Error {
    /// A plain error with a message, as Lua's `error` raises it.
    #[inline]
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self::RuntimeError(message.to_string())
    }

    /// An error of the embedder's own. An [`Error`] stays what it is.
    ///
    /// ```
    /// # use moonswap::Error;
    /// let own = Error::external(std::io::Error::other("disk"));
    /// assert!(own.downcast_ref::<std::io::Error>().is_some());
    /// assert!(matches!(Error::external(Error::runtime("x")), Error::RuntimeError(_)));
    /// ```
    pub fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(other) => Self::ExternalError(other.into()),
        }
    }

    /// An error that Lua raised: a message and where it was. A traceback, be it empty,
    /// tells it from one that the host made.
    pub(crate) fn raised(message: Vec<u8>, traceback: Option<String>) -> Self {
        match String::from_utf8(message) {
            Ok(mut text) => {
                text.push('\n');
                text.push_str(traceback.as_deref().unwrap_or(trace::EMPTY));
                Self::RuntimeError(text)
            }
            Err(raw) => Self::RawError {
                message: raw.into_bytes().into(),
                traceback: traceback.unwrap_or_default(),
            },
        }
    }

    pub(crate) fn compile(error: CompileError, source: &[u8]) -> Self {
        Self::SyntaxError {
            message: String::from_utf8_lossy(&error.raw).into_owned(),
            incomplete_input: error.incomplete,
            details: Some(Arc::new(SyntaxDetails {
                error,
                source: source.into(),
            })),
        }
    }

    pub(crate) fn conversion(
        from: &'static str,
        to: impl Into<String>,
        message: Option<&str>,
    ) -> Self {
        Self::FromLuaConversionError {
            from,
            to: to.into(),
            message: message.map(str::to_owned),
        }
    }

    /// An argument that is not what the function takes.
    pub(crate) fn argument(self, pos: usize, to: Option<&str>) -> Self {
        Self::BadArgument {
            to: to.map(str::to_owned),
            pos,
            name: None,
            cause: Arc::new(self),
        }
    }

    /// The object that a method of `to` was called on is not what it takes.
    pub(crate) fn self_argument(self, to: &str) -> Self {
        Self::BadArgument {
            to: Some(to.to_owned()),
            pos: 1,
            name: Some("self".into()),
            cause: Arc::new(self),
        }
    }

    /// What it wraps, if it only says where or what for.
    pub(crate) fn wrapped(&self) -> Option<&Error> {
        match self {
            Self::CallbackError { cause, .. }
            | Self::WithContext { cause, .. }
            | Self::BadArgument { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// What went wrong at first.
    pub(crate) fn innermost(&self) -> &Error {
        let mut error = self;
        while let Some(cause) = error.wrapped() {
            error = cause;
        }
        error
    }

    /// The panic that it is, whatever it passed through.
    pub(crate) fn panicked(&self) -> Option<&Panicked> {
        match self.innermost() {
            Self::Panic(panic) => Some(panic),
            _ => None,
        }
    }

    /// Whether a limit of time ended the run.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self.innermost(), Self::Ended { .. })
    }

    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self.innermost() {
            Self::SyntaxError { .. } => ErrorKind::Syntax,
            Self::MemoryError(_) => ErrorKind::Memory,
            Self::Ended { kind, .. } => *kind,
            Self::FromLuaConversionError { .. } => ErrorKind::Conversion,
            Self::ExternalError(_) => ErrorKind::External,
            Self::Panic(_) => ErrorKind::Panic,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Hot(_) => ErrorKind::Hot,
            Self::ForeignHandle => ErrorKind::ForeignHandle,
            Self::Destroyed => ErrorKind::Destroyed,
            _ => ErrorKind::Runtime,
        }
    }

    /// The message as bytes: messages of Lua code need not be UTF-8.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let error = Lua::new().load(r"error('\xff', 0)").exec().unwrap_err();
    /// assert_eq!(error.message_bytes(), b"\xff");
    /// ```
    pub fn message_bytes(&self) -> Vec<u8> {
        match self {
            Self::RawError { message, .. } => message.to_vec(),
            Self::RuntimeError(text) => split(text).0.as_bytes().to_vec(),
            Self::CallbackError { cause, .. } => cause.message_bytes(),
            _ => self.to_string().into_bytes(),
        }
    }

    /// The error with at most [`MAX_CAUSES`] causes below it. Lua code that hands the
    /// error of a Rust function through it again and again makes the chain longer each
    /// time, and what walks chains needs native stack for each link.
    pub(crate) fn bounded(self) -> Self {
        let causes = std::iter::successors(self.wrapped(), |error| error.wrapped());
        match causes.take(MAX_CAUSES + 1).count() > MAX_CAUSES {
            true => Self::raised(self.message_bytes(), self.traceback().map(|t| t.text)),
            false => self,
        }
    }

    /// Where it came from, for errors raised while Lua code ran: the innermost
    /// place that is known.
    pub fn traceback(&self) -> Option<Traceback> {
        let mut found = None;
        let mut error = Some(self);
        while let Some(at) = error {
            let text = match at {
                Self::CallbackError { traceback, .. }
                | Self::Ended { traceback, .. }
                | Self::RawError { traceback, .. } => Some(traceback.as_str()),
                Self::RuntimeError(text) | Self::MemoryError(text) => split(text).1,
                _ => None,
            };
            found = text.filter(|text| text.contains('\t')).or(found);
            error = at.wrapped();
        }
        found.map(Traceback::parse)
    }

    fn details(&self) -> Option<&SyntaxDetails> {
        match self.innermost() {
            Self::SyntaxError { details, .. } => details.as_deref(),
            _ => None,
        }
    }

    /// The place in the source text, for syntax errors.
    pub fn span(&self) -> Option<Span> {
        self.details().map(|details| details.error.span)
    }

    /// The compiler's own error, for syntax errors.
    pub fn compile_error(&self) -> Option<&CompileError> {
        self.details().map(|details| &details.error)
    }

    /// The source text ended too early: a prompt may ask for another line.
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self.innermost(),
            Self::SyntaxError {
                incomplete_input: true,
                ..
            }
        )
    }

    /// Every reason of a refused patch.
    pub fn refused(&self) -> Option<&Refused> {
        match self.innermost() {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// The boxed view: a syntax error with its source line and a caret, any
    /// other error with its traceback.
    pub fn render(&self) -> String {
        self.render_as(RenderStyle::Plain)
    }

    /// [`Error::render`] with or without colours.
    pub fn render_as(&self, style: RenderStyle) -> String {
        if let Some(SyntaxDetails { error, source }) = self.details() {
            return render_diagnostic(
                style,
                &error.chunk,
                source,
                (error.span.start as usize, error.span.end as usize),
                &error.message,
                None,
            );
        }
        let mut out = self.to_string();
        if let Some(traceback) = self.traceback() {
            out.push('\n');
            out.push_str(&traceback.text);
        }
        out
    }
}
