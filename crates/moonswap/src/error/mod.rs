//! `Error`: one struct for everything that can go wrong. `Display` keeps
//! standard Lua's wording; `render` shows the source line.

pub(crate) mod render;

use std::fmt;
use std::sync::Arc;

use moonswap_compiler::{CompileError, Span};
use moonswap_hotpatch::Refused;

use crate::error::render::{RenderStyle, render_diagnostic};

/// Result of the API.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of error it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source text is not Lua.
    Syntax,
    /// Raised by Lua code or by a library function.
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
    Conversion {
        /// Index of the argument or result, from 0, when it is one of several.
        position: Option<usize>,
        /// What was wanted, in Lua's words.
        expected: &'static str,
        /// What was there.
        actual: &'static str,
    },
    /// Raised by Rust code of the embedder.
    External(Arc<dyn std::error::Error + Send + Sync>),
    /// The patch can not be applied.
    Refused(Refused),
    /// Another failure of hot patching, e.g. an unknown generation.
    Hot,
    /// A handle of another VM was passed in.
    ForeignHandle,
}

/// One activation of a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFrame {
    /// Name of the function as far as known, e.g. `function 'f'`'s `f`.
    pub function: Option<String>,
    /// Chunk as messages show it; `[C]` for native functions.
    pub source: String,
    /// Line, if known.
    pub line: Option<u32>,
    /// Version it runs, if the function was ever patched.
    pub version: Option<u32>,
}

/// Where an error came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traceback {
    /// As standard Lua prints it, from `stack traceback:` on.
    pub text: String,
    /// Innermost first.
    pub frames: Vec<TraceFrame>,
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Inner {
    kind: ErrorKind,
    message: Vec<u8>,
    traceback: Option<Traceback>,
    /// Of syntax errors: where, and the text it is in.
    compile: Option<(CompileError, Arc<[u8]>)>,
    /// The whole text that Lua code saw, if it is not `message`.
    shown: Option<Vec<u8>>,
}

/// Anything that went wrong. Cheap to clone, may go to other threads.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of the embedder's own; raised in Lua it is an object whose
    /// text is that of `source`, caught in Rust it is itself again.
    pub fn external(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source: Arc<dyn std::error::Error + Send + Sync> = Arc::from(source.into());
        let message = source.to_string().into_bytes();
        Self::new(ErrorKind::External(source), message)
    }

    /// A plain error with a message, as Lua's `error` raises it.
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Runtime, message.to_string().into_bytes())
    }

    pub(crate) fn new(kind: ErrorKind, message: Vec<u8>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message,
            traceback: None,
            compile: None,
            shown: None,
        }))
    }

    /// Whether a limit of time ended the run.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Interrupted | ErrorKind::Deadline | ErrorKind::OutOfFuel
        )
    }

    pub(crate) fn with_traceback(self, traceback: Option<Traceback>) -> Self {
        if traceback.is_none() {
            return self;
        }
        let old = &self.0;
        let traceback = old.traceback.clone().or(traceback);
        Self(Arc::new(Inner {
            kind: old.kind.clone(),
            message: old.message.clone(),
            traceback,
            compile: old.compile.clone(),
            shown: old.shown.clone(),
        }))
    }

    /// The same error with the text that it has in Lua.
    pub(crate) fn shown_as(&self, text: &[u8]) -> Self {
        let old = &self.0;
        Self(Arc::new(Inner {
            kind: old.kind.clone(),
            message: old.message.clone(),
            traceback: old.traceback.clone(),
            compile: old.compile.clone(),
            shown: Some(text.to_vec()),
        }))
    }

    pub(crate) fn compile(error: CompileError, source: &[u8]) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Syntax,
            message: error.raw.clone(),
            traceback: None,
            compile: Some((error, source.into())),
            shown: None,
        }))
    }

    pub(crate) fn conversion(expected: &'static str, actual: &'static str) -> Self {
        Self::conversion_text(
            expected,
            actual,
            format!("{expected} expected, got {actual}"),
        )
    }

    pub(crate) fn conversion_text(
        expected: &'static str,
        actual: &'static str,
        text: String,
    ) -> Self {
        Self::new(
            ErrorKind::Conversion {
                position: None,
                expected,
                actual,
            },
            text.into_bytes(),
        )
    }

    /// Notes which of several values could not be converted.
    pub(crate) fn at_position(self, at: usize) -> Self {
        match &self.0.kind {
            &ErrorKind::Conversion {
                position: None,
                expected,
                actual,
            } => Self::new(
                ErrorKind::Conversion {
                    position: Some(at),
                    expected,
                    actual,
                },
                self.0.message.clone(),
            ),
            _ => self,
        }
    }

    /// Moves the noted position by the number of values that came before.
    pub(crate) fn shift_position(self, by: usize) -> Self {
        match &self.0.kind {
            &ErrorKind::Conversion {
                position: Some(at),
                expected,
                actual,
            } => Self::new(
                ErrorKind::Conversion {
                    position: Some(at + by),
                    expected,
                    actual,
                },
                self.0.message.clone(),
            ),
            _ => self,
        }
    }

    pub(crate) fn foreign_handle() -> Self {
        Self::new(
            ErrorKind::ForeignHandle,
            b"value belongs to another VM".to_vec(),
        )
    }

    /// What sort of error it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The message as bytes: messages of Lua code need not be UTF-8.
    pub fn message_bytes(&self) -> &[u8] {
        self.0.shown.as_ref().unwrap_or(&self.0.message)
    }

    /// Where it came from, for errors raised while Lua code ran.
    pub fn traceback(&self) -> Option<&Traceback> {
        self.0.traceback.as_ref()
    }

    /// The place in the source text, for syntax errors.
    pub fn span(&self) -> Option<Span> {
        self.0.compile.as_ref().map(|(error, _)| error.span)
    }

    /// The compiler's own error, for syntax errors.
    pub fn compile_error(&self) -> Option<&CompileError> {
        self.0.compile.as_ref().map(|(error, _)| error)
    }

    /// The source text ended too early: a prompt may ask for another line.
    pub fn is_incomplete(&self) -> bool {
        self.0
            .compile
            .as_ref()
            .is_some_and(|(error, _)| error.incomplete)
    }

    /// Every reason of a refused patch.
    pub fn refused(&self) -> Option<&Refused> {
        match &self.0.kind {
            ErrorKind::Refused(refused) => Some(refused),
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
        if let Some((error, source)) = &self.0.compile {
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
        if let Some(traceback) = &self.0.traceback {
            out.push('\n');
            out.push_str(&traceback.text);
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(shown) = &self.0.shown {
            return f.write_str(&String::from_utf8_lossy(shown));
        }
        let text = String::from_utf8_lossy(&self.0.message);
        match self.0.kind {
            ErrorKind::Conversion {
                position: Some(at), ..
            } => write!(f, "bad value #{} ({text})", at + 1),
            _ => f.write_str(&text),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("traceback", &self.0.traceback.as_ref().map(|t| &t.text))
            .finish()
    }
}

impl std::error::Error for Error {
    /// What caused an error of the embedder's own. That error itself is in
    /// [`ErrorKind::External`]: this one has its text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::External(error) => error.source(),
            _ => None,
        }
    }
}

impl From<CompileError> for Error {
    fn from(error: CompileError) -> Self {
        Self::compile(error, b"")
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::external(error)
    }
}
