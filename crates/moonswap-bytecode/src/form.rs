//! What kinds of operations there are, as to what they do to registers and flow.

/// What an operation does besides reading `Register`s and writing `Target`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing more; it may jump.
    Plain,
    /// A comparison that may call a metamethod and jumps by its truth.
    Compare,
    /// Goes past the next instruction.
    Skip,
    /// Fills B registers from A on.
    Nils,
    /// Leaves a function in A and its receiver in A+2.
    Method,
    /// Makes the table that `SETLIST` fills.
    NewTable,
    /// Puts what stands behind A into the table there.
    SetList,
    /// Joins C registers from B on, which are used up.
    Concat,
    /// Always jumps forward.
    Jump,
    /// Always jumps back, past a safe point at which A registers live.
    JumpBack,
    /// Writes its target only if it jumps.
    BranchSet,
    /// A call; without a count (B is unused) it takes an open list.
    Call,
    /// A call that ends the frame.
    TailCall,
    /// The end of the frame, in any kind of function.
    Return,
    /// The end of a frame without varargs and with nothing to close.
    ShortReturn,
    /// Values of `...` from A on.
    Vararg,
    /// Captures what its site says.
    Closure,
    /// Closes variables from A on.
    Close,
    /// Marks A as to be closed.
    ToBeClosed,
    /// Keeps the top-level locals.
    KeepScope,
    /// Prepares a numeric loop in A to A+3.
    ForPrep,
    /// Next step of a numeric loop, a safe point.
    ForLoop,
    /// Prepares a generic loop in A to A+3, and always jumps.
    TForPrep,
    /// Calls the iterator below A.
    TForCall,
    /// Next step of a generic loop, if A is no nil.
    TForLoop,
    /// The VM's own; in no prototype.
    Internal,
}
