//! What errors say.

use std::fmt;

use crate::Error;
use crate::error::trace::split;

/// ` (message)`, if there is one.
fn detail(f: &mut fmt::Formatter<'_>, message: Option<&String>) -> fmt::Result {
    message.map_or(Ok(()), |message| write!(f, " ({message})"))
}

impl fmt::Display for Error {
    /// The message without the traceback; [`Error::render`] has both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyntaxError { message, .. } => f.write_str(message),
            // What Lua raised is in Lua's words.
            Self::RuntimeError(text) => match split(text) {
                (message, Some(_)) => f.write_str(message),
                (message, None) => write!(f, "runtime error: {message}"),
            },
            Self::MemoryError(text) => f.write_str(split(text).0),
            Self::SafetyError(text)
            | Self::SerializeError(text)
            | Self::DeserializeError(text)
            | Self::Hot(text) => f.write_str(text),
            Self::MemoryControlNotAvailable => f.write_str("memory cannot be limited"),
            Self::RecursiveMutCallback => {
                f.write_str("a Rust function with state was called while it runs")
            }
            Self::CallbackDestructed => {
                f.write_str("the scope of this function has ended; it cannot be called any more")
            }
            Self::StackError => f.write_str("too many arguments or results for the Lua stack"),
            Self::BindError => f.write_str("too many arguments to bind"),
            Self::BadArgument {
                to,
                pos,
                name,
                cause,
            } => {
                match name {
                    Some(name) => write!(f, "bad argument `{name}`")?,
                    None => write!(f, "bad argument #{pos}")?,
                }
                if let Some(to) = to {
                    write!(f, " to `{to}`")?;
                }
                write!(f, ": {cause}")
            }
            Self::FromLuaConversionError { from, to, message } => {
                write!(f, "error converting Lua {from} to {to}")?;
                detail(f, message.as_ref())
            }
            Self::CoroutineUnresumable => f.write_str("cannot resume dead coroutine"),
            Self::UserDataTypeMismatch => f.write_str("userdata has data of another type"),
            Self::UserDataDestructed => f.write_str("userdata has been destructed"),
            Self::UserDataBorrowError => {
                f.write_str("error borrowing userdata: it is being changed")
            }
            Self::UserDataBorrowMutError => {
                f.write_str("error mutably borrowing userdata: it is in use")
            }
            Self::MetaMethodRestricted(name) => write!(f, "metamethod {name} cannot be set"),
            Self::MetaMethodTypeError {
                method,
                type_name,
                message,
            } => {
                write!(f, "metamethod {method} cannot be a {type_name}")?;
                detail(f, message.as_ref())
            }
            Self::MismatchedRegistryKey => f.write_str("registry key of another VM"),
            Self::CallbackError { cause, .. } => cause.fmt(f),
            Self::PreviouslyResumedPanic => f.write_str("panic that was resumed before"),
            Self::ExternalError(error) => error.fmt(f),
            Self::WithContext { context, cause } => write!(f, "{context}\n{cause}"),
            Self::Ended { message, .. } => f.write_str(message),
            Self::RawError { message, .. } => f.write_str(&String::from_utf8_lossy(message)),
            Self::Panic(panic) => write!(f, "panic in a Rust function: {}", panic.text()),
            Self::Refused(refused) => refused.fmt(f),
            Self::ForeignHandle => f.write_str("value belongs to another VM"),
            Self::Destroyed => f.write_str("the Lua VM of this value is gone"),
        }
    }
}
