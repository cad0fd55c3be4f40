//! Which registers hold values that code still needs.
//!
//! Errs on the side of too many.

use moonswap_bytecode::effects::{Outcome, Span, goes_on, jump_distance};
use moonswap_bytecode::prototype::{Capture, Prototype};
use moonswap_bytecode::verify::MAX_REGISTERS;
use moonswap_bytecode::{Effects, Form, OpCode, OperandKind};

const WORDS: usize = (MAX_REGISTERS as usize + 1).div_ceil(64);

/// A set of registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set([u64; WORDS]);

impl Set {
    pub(crate) fn has(&self, register: u16) -> bool {
        let word = self.0.get(usize::from(register) / 64);
        word.is_some_and(|w| w >> (register % 64) & 1 == 1)
    }

    pub(crate) fn add(&mut self, register: u16) {
        if let Some(word) = self.0.get_mut(usize::from(register) / 64) {
            *word |= 1 << (register % 64);
        }
    }

    fn add_all(&mut self, span: Span) {
        (span.first..span.end.min(MAX_REGISTERS + 1)).for_each(|r| self.add(r));
    }

    fn remove_all(&mut self, span: Span) {
        for r in span.first..span.end.min(MAX_REGISTERS + 1) {
            if let Some(word) = self.0.get_mut(usize::from(r) / 64) {
                *word &= !(1 << (r % 64));
            }
        }
    }

    fn join(&mut self, other: Self) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a |= b;
        }
    }

    /// What of it was there before an instruction left this.
    fn before(mut self, outcome: &Outcome) -> Self {
        self.remove_all(outcome.loses);
        outcome.writes.into_iter().for_each(|w| self.remove_all(w));
        if let Some(first) = outcome.opens {
            self.remove_all(Span::from(first));
        }
        self
    }

    /// Its registers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=MAX_REGISTERS).filter(|r| self.has(*r))
    }
}

/// For each instruction the registers that are needed from there on.
pub(crate) fn needed(prototype: &Prototype) -> Vec<Set> {
    let code = &prototype.code;
    let mut at = vec![Set::default(); code.len()];
    let mut again = true;
    while again {
        again = false;
        for pc in (0..code.len()).rev() {
            let i = code[pc];
            let Some(op) = i.opcode() else { continue };
            let effects = Effects::of(i, op);
            let mut set = Set::default();
            if goes_on(op)
                && let Some(next) = at.get(pc + 1)
            {
                set.join(next.before(&effects.next));
            }
            let target = jump_distance(i, op)
                .and_then(|d| usize::try_from(pc as i64 + 1 + i64::from(d)).ok())
                .or_else(|| (op.form() == Form::Skip).then_some(pc + 2));
            if let Some(after) = target.and_then(|t| at.get(t)) {
                set.join(after.before(&effects.jump));
            }
            set.remove_all(effects.cleared);
            reads(prototype, pc, op, &effects, &mut set);
            if set != at[pc] {
                at[pc] = set;
                again = true;
            }
        }
    }
    at
}

/// Adds what an instruction reads.
pub(crate) fn reads(
    prototype: &Prototype,
    pc: usize,
    op: OpCode,
    effects: &Effects,
    set: &mut Set,
) {
    let i = prototype.code[pc];
    let raw = [i.register_a(), i.register_b(), i.register_c()];
    for (kind, register) in op.operands().into_iter().zip(raw) {
        if kind == OperandKind::Register {
            set.add(register);
        }
    }
    effects.reads.into_iter().for_each(|span| set.add_all(span));
    set.add_all(effects.clobbers);
    if let Some(first) = effects.takes {
        // The list that is open was left by the instruction before.
        let open = pc.checked_sub(1).and_then(|before| {
            let before = prototype.code[before];
            Effects::of(before, before.opcode()?).next.opens
        });
        set.add_all(Span {
            first,
            end: open.unwrap_or(prototype.frame_size),
        });
    }
    match op.form() {
        Form::ForLoop => set.add_all(Span::of(raw[0], 3)),
        Form::TForPrep => set.add_all(Span::of(raw[0], 4)),
        Form::Closure => {
            let site = prototype.sites.get(i.bc() as u32 as usize);
            for capture in site.iter().flat_map(|site| site.captures.iter()) {
                if let Capture::Register(register) = capture {
                    set.add(*register);
                }
            }
        }
        Form::KeepScope => {
            for variable in &prototype.scope {
                let alive = (variable.start_pc as usize..variable.end_pc as usize).contains(&pc);
                if let Some(register) = variable.register.filter(|_| alive) {
                    set.add(register);
                }
            }
        }
        Form::Plain
        | Form::Compare
        | Form::Skip
        | Form::Nils
        | Form::Method
        | Form::NewTable
        | Form::SetList
        | Form::Concat
        | Form::Jump
        | Form::JumpBack
        | Form::BranchSet
        | Form::Call
        | Form::TailCall
        | Form::Return
        | Form::ShortReturn
        | Form::Vararg
        | Form::Close
        | Form::ToBeClosed
        | Form::ForPrep
        | Form::TForCall
        | Form::TForLoop
        | Form::Internal => {}
    }
}
