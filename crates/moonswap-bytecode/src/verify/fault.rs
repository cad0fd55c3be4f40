//! What the verifier finds.

use crate::watch::Watch;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A byte that names no operation, or an internal one.
    #[error("unknown operation")]
    Operation,
    /// An operand that must be zero is not.
    #[error("unused operand is set")]
    Unused,
    /// A register beyond the frame, or not on a register boundary.
    #[error("register outside the frame")]
    Register,
    /// A window of registers reaches beyond the frame.
    #[error("window of registers outside the frame")]
    Window,
    /// A count that the operation does not allow.
    #[error("bad count")]
    Count,
    /// A constant index that does not exist.
    #[error("constant does not exist")]
    Constant,
    /// A constant of a kind that the operation does not take.
    #[error("wrong kind of constant")]
    ConstantKind,
    /// A captured variable that does not exist.
    #[error("captured variable does not exist")]
    Upvalue,
    /// A closure site or child that does not exist, or does not fit.
    #[error("bad closure site")]
    Site,
    /// A jump out of the code or in the wrong direction.
    #[error("bad jump")]
    Jump,
    /// Code can run off its end.
    #[error("code does not end in a return")]
    End,
    /// An open list of values without producer or consumer.
    #[error("open list of values is not paired")]
    Open,
    /// A loop whose instructions do not fit together.
    #[error("bad loop")]
    Loop,
    /// A form of return that this function must not have.
    #[error("wrong form of return")]
    Return,
    /// A register is read that need not hold a value.
    #[error("register is read before it is written")]
    Undefined,
    /// A call's window lies over variables that others can reach.
    #[error("call over captured or named variables")]
    Captured,
    /// Variables captured or to be closed outlive the frame, or are marked in
    /// the wrong order.
    #[error("variables are left open")]
    Close,
    /// Items for what is not the table under construction.
    #[error("items without a table")]
    Table,
    /// Numbers of the function that contradict each other.
    #[error("bad header")]
    Header,
    /// Whoever watches wanted no more of it.
    #[error("stopped")]
    Stopped,
    /// There is less room than finding out takes.
    #[error("not enough memory to verify")]
    Memory,
    /// Debug information that does not fit the code.
    #[error("bad debug information")]
    Debug,
}

/// Looks whether to stop, once an instruction.
#[inline(always)]
pub(crate) fn go_on(watch: Option<&Watch<'_>>) -> Result<(), Fault> {
    match watch {
        Some(watch) if watch.says_stop() => Err(Fault::Stopped),
        Some(_) | None => Ok(()),
    }
}
