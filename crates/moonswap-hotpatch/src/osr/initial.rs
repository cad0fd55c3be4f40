//! What a variable that is new holds when an activation moves.

/// A value that is made when an activation moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    /// Instructions of the new code that make it, in order.
    pub run: Vec<u32>,
    /// What it is.
    pub gives: Gives,
}

/// What is made when an activation moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// The variable in this register.
    Variable(u16),
    /// Limit and step of the numeric loop whose hidden variables begin here; its
    /// index is the one it had.
    Loop(u16),
}
