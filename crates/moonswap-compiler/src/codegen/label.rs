//! Labels of one function and the jumps to them (§3.3.4).
//!
//! A `break` is a jump to a nameless label at the end of its loop. A jump
//! forward is pending until a block it is inside of defines the label.

use crate::codegen::jump_list::JumpList;
use crate::error::Span;
use crate::syntax::ast::Symbol;

/// A label in sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) name: Symbol,
    /// The instruction it stands at.
    pub(crate) pc: u32,
    /// Line of its definition.
    pub(crate) line: u32,
    /// Variables alive at it.
    pub(crate) n_active: usize,
}

/// A jump whose label was not seen yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingJump {
    /// The label; `None` for `break`.
    pub(crate) name: Option<Symbol>,
    /// The jump instructions.
    pub(crate) jumps: JumpList,
    /// Where the statement stands.
    pub(crate) span: Span,
    /// Variables alive at the jump and, later, in the block it has come to.
    pub(crate) n_active: usize,
    /// Registers these occupy.
    pub(crate) level: u16,
    /// It leaves the scope of variables that need closing.
    pub(crate) needs_close: bool,
}

/// The labels and pending jumps of one function.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Labels in sight, of all open blocks.
    pub(crate) labels: Vec<Label>,
    /// Jumps that wait for a label.
    pub(crate) pending: Vec<PendingJump>,
}

impl Labels {
    /// The label of that name, if in sight.
    pub(crate) fn find(&self, name: Symbol) -> Option<Label> {
        self.labels.iter().rev().find(|l| l.name == name).copied()
    }

    /// A block is left: its labels go out of sight and its pending jumps now
    /// belong to the block around it, which has `n_active` variables in
    /// `level` registers.
    pub(crate) fn leave_block(
        &mut self,
        first_label: usize,
        first_goto: usize,
        n_active: usize,
        level: u16,
        needs_close: bool,
    ) {
        self.labels.truncate(first_label);
        for jump in self.pending.iter_mut().skip(first_goto) {
            if jump.level > level {
                jump.needs_close |= needs_close;
            }
            jump.n_active = n_active;
            jump.level = level;
        }
    }

    /// Takes out the jumps to `name` that are pending since `first_goto`.
    pub(crate) fn take(&mut self, name: Option<Symbol>, first_goto: usize) -> Vec<PendingJump> {
        if !self.pending.iter().skip(first_goto).any(|j| j.name == name) {
            return Vec::new();
        }
        let recent = self.pending.split_off(first_goto);
        let (taken, kept) = recent
            .into_iter()
            .partition(|j: &PendingJump| j.name == name);
        self.pending.extend::<Vec<PendingJump>>(kept);
        taken
    }
}
