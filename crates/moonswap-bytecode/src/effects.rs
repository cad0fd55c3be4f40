//! What an instruction does to registers and to control, worked out from the
//! opcode table: the one place that knows the windows of calls, loops and lists.
//!
//! The verifier proves by it, and names in messages are found by it. Single
//! registers stand in the table itself (`Register` is read, `Target` written);
//! here is what the table's [`Form`] adds. Works on any operands, also those
//! that no verifier has seen. Nothing is known here of values.

use crate::form::Form;
use crate::instruction::{Instruction, MULTI};
use crate::opcode::{OpCode, OperandKind};

/// Registers from `first` to before `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first one.
    pub first: u16,
    /// The first one that is not in it.
    pub end: u16,
}

impl Span {
    /// No register.
    pub const NONE: Span = Span { first: 0, end: 0 };

    /// `count` registers from `first` on.
    #[inline(always)]
    pub const fn of(first: u16, count: u16) -> Self {
        Self {
            first,
            end: first.saturating_add(count),
        }
    }

    /// One register.
    #[inline(always)]
    pub const fn one(register: u16) -> Self {
        Self::of(register, 1)
    }

    /// All registers from `first` on.
    #[inline(always)]
    pub const fn from(first: u16) -> Self {
        Self {
            first,
            end: u16::MAX,
        }
    }

    /// Whether a register is in it.
    pub const fn has(self, register: u16) -> bool {
        self.first <= register && register < self.end
    }
}

/// What registers hold behind an instruction, on one of its ways out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Hold nothing any more, before `writes`.
    pub loses: Span,
    /// Hold a new value.
    pub writes: [Span; 2],
    /// First register of an open list of values.
    pub opens: Option<u16>,
}

impl Outcome {
    /// As before. A constant: `Default` is a call that hides what it answers.
    const SAME: Self = Self {
        loses: Span::NONE,
        writes: [Span::NONE; 2],
        opens: None,
    };

    #[inline(always)]
    fn writes(span: Span) -> Self {
        Self {
            writes: [span, Span::NONE],
            ..Self::SAME
        }
    }

    #[inline(always)]
    fn loses(span: Span) -> Self {
        Self {
            loses: span,
            ..Self::SAME
        }
    }

    /// `count` results that a call or `...` leaves.
    #[inline(always)]
    fn results(first: u16, count: u16) -> Self {
        let mut outcome = Self::loses(Span::from(first));
        if count == MULTI {
            outcome.opens = Some(first);
        } else {
            outcome.writes[0] = Span::of(first, count);
        }
        outcome
    }

    /// Whether a register holds something else than before.
    fn changes(&self, register: u16) -> bool {
        self.loses.has(register) || self.writes.iter().any(|span| span.has(register))
    }
}

/// What one instruction does to registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Read, besides `Register` operands.
    pub reads: [Span; 2],
    /// Where the open list begins that is taken, if one is.
    pub takes: Option<u16>,
    /// Used up while the operation works: some value, nobody knows which.
    pub clobbers: Span,
    /// Hold nothing of worth at the safe point here: the collector clears them.
    pub cleared: Span,
    /// The next instruction finds this.
    pub next: Outcome,
    /// The target of the jump finds this.
    pub jump: Outcome,
    /// Register behind the last one of the windows, links included.
    pub end: u16,
}

impl Effects {
    /// None.
    const NONE: Self = Self {
        reads: [Span::NONE; 2],
        takes: None,
        clobbers: Span::NONE,
        cleared: Span::NONE,
        next: Outcome::SAME,
        jump: Outcome::SAME,
        end: 0,
    };

    /// What an instruction of the operation `op` does.
    pub fn of(i: Instruction, op: OpCode) -> Self {
        Self::of_form(i, op, op.form())
    }

    /// The same; `form` is that of the operation. Where it is a constant, only what
    /// that form does is compiled.
    #[inline(always)]
    pub(crate) fn of_form(i: Instruction, op: OpCode, form: Form) -> Self {
        let (a, b, c) = (i.register_a(), i.b(), i.c());
        let behind = |n: u16| a.saturating_add(n);
        // A count of a list: how many, and whether it is open instead.
        let counted = |n: u16| if n == MULTI { 0 } else { n };
        let open = |n: u16, first: u16| (n == MULTI).then_some(first);
        let both = |outcome: Outcome| Self {
            next: outcome,
            jump: outcome,
            ..Self::NONE
        };
        match form {
            Form::Plain
            | Form::Compare
            | Form::Skip
            | Form::NewTable
            | Form::Closure
            | Form::Jump
            | Form::Close
            | Form::ToBeClosed
            | Form::KeepScope
            | Form::ShortReturn
            | Form::Internal => {
                let target = op.operands()[0] == OperandKind::Target;
                let written = if target { Span::one(a) } else { Span::NONE };
                both(Outcome::writes(written))
            }
            Form::Nils => Self {
                end: behind(b),
                ..both(Outcome::writes(Span::of(a, b)))
            },
            Form::Method => Self {
                end: behind(3),
                ..both(Outcome {
                    loses: Span::one(behind(1)),
                    writes: [Span::one(a), Span::one(behind(2))],
                    opens: None,
                })
            },
            Form::SetList => Self {
                reads: [Span::of(behind(1), counted(b)), Span::NONE],
                takes: open(b, behind(1)),
                end: behind(1).saturating_add(counted(b)),
                ..Self::NONE
            },
            Form::Concat => {
                let parts = Span::of(i.register_b(), c);
                Self {
                    reads: [parts, Span::NONE],
                    clobbers: parts,
                    end: parts.end,
                    ..both(Outcome::writes(Span::one(a)))
                }
            }
            Form::JumpBack => Self {
                cleared: Span::from(i.a()),
                end: i.a(),
                ..Self::NONE
            },
            Form::BranchSet => Self {
                jump: Outcome::writes(Span::one(a)),
                ..Self::NONE
            },
            Form::Call | Form::TailCall => {
                let takes_open = op.operands()[1] == OperandKind::Unused;
                let n = if takes_open { MULTI } else { b };
                let results = if form == Form::Call {
                    Outcome::results(a, c)
                } else {
                    Outcome::loses(Span::from(a))
                };
                let arguments = Span::of(behind(2), counted(n));
                let returned = if form == Form::Call { counted(c) } else { 0 };
                Self {
                    reads: [Span::one(a), arguments],
                    takes: open(n, behind(2)),
                    end: arguments.end.max(behind(returned)),
                    ..both(results)
                }
            }
            Form::Return => Self {
                reads: [Span::of(a, counted(b)), Span::NONE],
                takes: open(b, a),
                end: behind(counted(b)),
                ..Self::NONE
            },
            Form::Vararg => Self {
                end: behind(counted(b)),
                ..both(if b == MULTI {
                    Outcome::results(a, b)
                } else {
                    Outcome::writes(Span::of(a, b))
                })
            },
            Form::ForPrep => Self {
                reads: [Span::of(a, 3), Span::NONE],
                next: Outcome {
                    loses: Span::of(a, 4),
                    writes: [Span::one(behind(3)), Span::NONE],
                    opens: None,
                },
                jump: Outcome::loses(Span::of(a, 4)),
                end: behind(4),
                ..Self::NONE
            },
            Form::ForLoop => Self {
                cleared: Span::from(behind(4)),
                next: Outcome::loses(Span::of(a, 4)),
                jump: Outcome::writes(Span::one(behind(3))),
                end: behind(4),
                ..Self::NONE
            },
            Form::TForPrep => Self {
                end: behind(4),
                ..Self::NONE
            },
            Form::TForCall => Self {
                reads: [Span::of(a.saturating_sub(4), 3), Span::NONE],
                end: behind(c.max(4)),
                ..both(Outcome::results(a, c))
            },
            Form::TForLoop => Self {
                reads: [Span::one(a), Span::NONE],
                jump: Outcome::writes(Span::one(a.saturating_sub(2))),
                ..Self::NONE
            },
        }
    }

    /// Whether a register may hold something else behind the instruction.
    pub fn changes(&self, register: u16) -> bool {
        self.next.changes(register) || self.jump.changes(register)
    }
}

/// Distance of the jump that an instruction names, from the next one on.
pub fn jump_distance(i: Instruction, op: OpCode) -> Option<i32> {
    let [_, b, c] = op.operands();
    if b == OperandKind::WideJump {
        Some(i.bc())
    } else if c == OperandKind::Jump {
        Some(i32::from(i.c()))
    } else {
        None
    }
}

/// Whether the next instruction may follow.
pub const fn goes_on(op: OpCode) -> bool {
    match op.form() {
        Form::Skip
        | Form::Jump
        | Form::JumpBack
        | Form::TForPrep
        | Form::TailCall
        | Form::Return
        | Form::ShortReturn
        | Form::Internal => false,
        Form::Plain
        | Form::Compare
        | Form::Nils
        | Form::Method
        | Form::NewTable
        | Form::SetList
        | Form::Concat
        | Form::BranchSet
        | Form::Call
        | Form::Vararg
        | Form::Closure
        | Form::Close
        | Form::ToBeClosed
        | Form::KeepScope
        | Form::ForPrep
        | Form::ForLoop
        | Form::TForCall
        | Form::TForLoop => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window in the table says nothing without a form that tells its extent.
    #[test]
    fn windows_have_extents() {
        for &op in OpCode::ALL {
            let window = op.operands().contains(&OperandKind::Window);
            let i = Instruction::from_raw(op, 0, 4 * 16, 4 * 16, 3);
            let effects = Effects::of(i, op);
            if op.form() == Form::JumpBack {
                // A is a count.
                assert!(!window);
            } else if [Form::Close, Form::TForLoop].contains(&op.form()) {
                // All from A on, or counted from A down.
                assert!(window && effects.end == 0, "{op:?}");
            } else {
                assert_eq!(window, effects.end > 0, "{op:?}");
            }
        }
    }

    #[test]
    fn operands_nobody_looked_at_do_not_overflow() {
        for &op in OpCode::ALL {
            for (a, b, c) in [(0, 0, 0), (MULTI, MULTI, MULTI), (0, MULTI - 1, MULTI - 1)] {
                let i = Instruction::from_raw(op, 0, a, b, c);
                let effects = Effects::of(i, op);
                let spans = [effects.clobbers, effects.cleared, effects.next.loses];
                for span in spans.into_iter().chain(effects.reads) {
                    assert!(span.first <= span.end, "{op:?}: {span:?}");
                }
            }
        }
    }

    #[test]
    fn a_call_takes_and_leaves_its_window() {
        let call = |b, c| {
            Effects::of(
                Instruction::from_raw(OpCode::Call, 0, 32, b, c),
                OpCode::Call,
            )
        };
        let effects = call(3, 1);
        assert_eq!(effects.reads, [Span::one(2), Span::of(4, 3)]);
        assert_eq!((effects.end, effects.takes), (7, None));
        assert!(effects.changes(2) && effects.changes(200) && !effects.changes(1));
        assert_eq!(call(0, 9).end, 11);
        assert_eq!(call(0, MULTI).next.opens, Some(2));
        let tail = Instruction::from_raw(OpCode::TailCall, 0, 32, MULTI, 0);
        assert_eq!(Effects::of(tail, OpCode::TailCall).takes, Some(4));
    }
}
