//! What a commit waits for.

use std::fmt;

use moonswap_hotpatch::{Activation, Code, Patch, Refusal, Refused};

use crate::hotpatch::error::HotError;
use crate::vm::Vm;

/// What a commit waits for.
#[derive(Clone, Debug)]
pub(crate) enum Obstacle {
    /// A native function that must not see a commit is calling back; its name.
    Native(&'static str),
    /// The host has to poll.
    HostPoll,
    /// An activation of a changed function, and perhaps more.
    Activation(Activation),
    /// The code that asked is called by the machine itself (a hook, a
    /// finalizer, a metamethod): the next safe point.
    SafePoint,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(name) => write!(f, "the native function '{name}', which is calling back"),
            Self::HostPoll => f.write_str("the host to poll"),
            Self::Activation(activation) => activation.fmt(f),
            Self::SafePoint => f.write_str("the next safe point"),
        }
    }
}

impl Obstacle {
    /// It as the reason why the patch was not committed (in time).
    pub(crate) fn refused(self, patch: &Patch) -> HotError {
        let (code, reason, remedy) = match self {
            Self::Activation(activation) => {
                return Refused::by_activations(vec![activation]).into();
            }
            Self::Native(name) => (
                Code::InsideNative,
                format!("the native function '{name}' is calling back"),
                "submit the patch, which waits, or choose timing = \"immediate\"",
            ),
            Self::HostPoll => (
                Code::NoPoll,
                "the host has not polled".to_owned(),
                "poll (Lua::poll, moonswap.sleep), or choose another timing",
            ),
            Self::SafePoint => return HotError::Busy,
        };
        let chunk = patch.chunks().first().map_or("", |c| &**c.chunk());
        let refusal = Refusal {
            code,
            chunk: chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into(),
            line: 1,
            column: 1,
            function: "patch".to_owned(),
            reason,
            remedy: remedy.to_owned(),
        };
        Refused::from(vec![refusal]).into()
    }
}

/// Something that stood in the way has ended.
#[cold]
pub(crate) fn ask(vm: &mut Vm) {
    vm.hot.waiting.is_asked = true;
    vm.poll.request();
}
