//! Part of the verifier: what registers hold, along every path.
//!
//! An abstract run of the code. It proves:
//!
//! - R1 only registers that hold a value are read: never the link of a call that
//!   is over;
//! - R2 `SETLIST` finds the table that `NEWTABLE` made, and its list is no longer
//!   than the code that fills it;
//! - R3 `FORLOOP` finds the three numbers that one `FORPREP` left;
//! - R4 the window of a call holds no variable that is captured, is to be closed,
//!   or can be reached by name through the debug library: the call writes its link
//!   there, and they would overwrite it;
//! - R5 a frame ends with no variable captured or to be closed, unless its return
//!   closes them; tail calls leave none to be closed;
//! - R6 variables to be closed are marked from the lowest register up;
//! - R7 an open list begins where its consumer can take it from.
//!
//! What R2 and R3 found may change through a captured variable, the debug
//! library, or a patch that opens a top-level local of a running main chunk:
//! registers in such hands prove nothing. Code that no path reaches is not looked
//! at; it never runs.

use super::fault::Fault;
use super::info::Info;
use super::operands::At;
use super::variables::Change;
use crate::effects::{Effects, Outcome};
use crate::form::Form;
use crate::instruction::Instruction;
use crate::prototype::Capture;
use crate::registers::Registers;

/// `x` bit of `RETURN` and `TAILCALL`: captured variables are closed first.
const CLOSES: u8 = 1;

/// What is known where control arrives.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State<const W: usize> {
    /// Hold a value, on every path.
    pub(super) defined: Registers<W>,
    /// Hold the table of a `NEWTABLE`, on every path.
    tables: Registers<W>,
    /// First of the three registers of a prepared loop, on every path.
    loops: Registers<W>,
    /// Captured and not closed, on some path.
    captured: Registers<W>,
    /// To be closed, on some path.
    closing: Registers<W>,
    /// First register of the open list that was just left.
    pub(super) open: Option<u16>,
}

impl<const W: usize> State<W> {
    /// At the first instruction.
    pub(super) fn entry(n_params: u8) -> Self {
        Self {
            defined: Registers::range(0, u16::from(n_params)),
            ..Self::default()
        }
    }

    /// No jump arrives behind an open list.
    pub(super) fn without_list(self) -> Self {
        Self { open: None, ..self }
    }

    /// What is known where both arrive.
    pub(super) fn joined(self, other: Self) -> Self {
        Self {
            defined: self.defined.and(other.defined),
            tables: self.tables.and(other.tables),
            loops: self.loops.and(other.loops),
            captured: self.captured.or(other.captured),
            closing: self.closing.or(other.closing),
            open: None,
        }
    }

    /// Whether something is known of what registers hold.
    #[inline(always)]
    fn has_proofs(&self) -> bool {
        !self.tables.or(self.loops).is_empty()
    }

    /// Nothing is known of what these registers hold but that it is a value.
    #[inline(always)]
    fn forget(&mut self, registers: Registers<W>) {
        if !self.has_proofs() {
            return;
        }
        self.tables = self.tables.without(registers);
        let one = registers.lowered();
        self.loops = self.loops.without(registers.or(one).or(one.lowered()));
    }

    #[inline(always)]
    fn write(&mut self, registers: Registers<W>) {
        self.forget(registers);
        self.defined = self.defined.or(registers);
    }

    /// A register of the frame is written.
    #[inline(always)]
    pub(super) fn write_one(&mut self, register: u16) {
        if self.has_proofs() {
            self.forget(Registers::one(register));
        }
        self.defined.insert_one(register);
    }

    /// Registers in foreign hands prove nothing. What a patch opened stays open when
    /// its name goes out of sight.
    #[inline(always)]
    pub(super) fn share(&mut self, variables: &Change<W>) {
        self.captured = self.captured.or(variables.shared);
        if self.has_proofs() {
            self.forget(variables.named.or(self.captured));
        }
    }

    #[inline(always)]
    fn lose(&mut self, registers: Registers<W>) {
        self.forget(registers);
        self.defined = self.defined.without(registers);
    }

    /// What an instruction leaves on one of its ways out.
    #[inline(always)]
    fn leaves(&mut self, outcome: &Outcome) {
        self.lose(Registers::of(outcome.loses));
        for span in outcome.writes {
            self.write(Registers::of(span));
        }
        self.open = outcome.opens;
    }

    /// Whether the registers that an instruction reads as single ones hold a value.
    /// They are registers of the frame.
    #[inline(always)]
    pub(super) fn has_operands(&self, info: &Info, i: Instruction) -> bool {
        let [a, b, c] = info.reads;
        (!a || self.defined.has_one(i.register_a()))
            && (!b || self.defined.has_one(i.register_b()))
            && (!c || self.defined.has_one(i.register_c()))
    }

    #[inline(always)]
    fn reads(&self, registers: Registers<W>) -> Result<(), Fault> {
        if self.defined.contains(registers) {
            Ok(())
        } else {
            Err(Fault::Undefined)
        }
    }

    /// The values from `first` to the end of the list that is open.
    #[inline(always)]
    fn takes(&self, open: Option<u16>, first: u16) -> Result<(), Fault> {
        match open {
            Some(open) if first <= open => self.reads(Registers::range(first, open)),
            Some(_) | None => Err(Fault::Open),
        }
    }

    #[inline(always)]
    fn close(&mut self, first: u16) {
        self.captured = self.captured.without(Registers::from(first));
        self.closing = self.closing.without(Registers::from(first));
    }

    fn closes_later(&mut self, register: u16) -> Result<(), Fault> {
        self.reads(Registers::one(register))?;
        if self.closing.meets(Registers::from(register)) {
            return Err(Fault::Close);
        }
        self.closing = self.closing.or(Registers::one(register));
        Ok(())
    }
}

/// What an instruction that is not plain asks for and does. `named`: variables that can
/// be reached by name. `jumped` becomes the state at the jump's end. Where the form is a
/// constant, only what it does is compiled.
#[inline(always)]
pub(super) fn step<const W: usize>(
    at: &At<'_>,
    form: Form,
    effects: &Effects,
    named: Registers<W>,
    s: &mut State<W>,
    mut jumped: Option<&mut State<W>>,
) -> Result<(), Fault> {
    let At { shape, pc, i, .. } = *at;
    let a = i.register_a();
    for span in effects.reads {
        s.reads(Registers::of(span))?;
    }
    let open = s.open.take();
    if let Some(first) = effects.takes {
        s.takes(open, first)?;
    }
    let (tables, loops) = (s.tables, s.loops);
    s.forget(Registers::of(effects.clobbers));
    s.lose(Registers::of(effects.cleared));
    if let Some(jumped) = &mut jumped {
        **jumped = *s;
        jumped.leaves(&effects.jump);
    }
    s.leaves(&effects.next);
    let called = |s: &State<W>| {
        let held = s.captured.or(s.closing).or(named);
        if held.meets(Registers::from(a)) {
            Err(Fault::Captured)
        } else {
            Ok(())
        }
    };
    match form {
        Form::NewTable => s.tables = s.tables.or(Registers::one(a)),
        Form::SetList => {
            if !tables.has(a) {
                return Err(Fault::Table);
            }
            // Each list before this one was an instruction, too.
            if usize::from(i.x()) << 16 | usize::from(i.c()) > pc {
                return Err(Fault::Count);
            }
        }
        Form::Call | Form::TForCall => called(s)?,
        Form::TailCall => {
            if !s.closing.is_empty() {
                return Err(Fault::Close);
            }
            ends(s, i.x())?;
            s.close(0);
            called(s)?;
        }
        Form::Return => ends(s, i.x())?,
        Form::ShortReturn => ends(s, 0)?,
        Form::Vararg => {
            if !shape.is_vararg {
                return Err(Fault::Return);
            }
        }
        Form::Closure => {
            let captures = shape.lists.captures(i.bc() as u32 as usize);
            for capture in captures.ok_or(Fault::Site)? {
                if let Capture::Register(register) = capture {
                    let register = Registers::one(*register);
                    s.reads(register)?;
                    s.captured = s.captured.or(register);
                }
            }
        }
        Form::Close => s.close(a),
        Form::ToBeClosed => s.closes_later(a)?,
        Form::TForPrep => {
            s.closes_later(a + 3)?;
            if let Some(jumped) = jumped {
                *jumped = *s;
            }
        }
        Form::ForPrep => s.loops = s.loops.or(Registers::one(a)),
        Form::ForLoop => {
            if !loops.has(a) {
                return Err(Fault::Loop);
            }
        }
        Form::KeepScope => s.open = open,
        Form::Plain
        | Form::Compare
        | Form::Skip
        | Form::Nils
        | Form::Method
        | Form::Concat
        | Form::Jump
        | Form::JumpBack
        | Form::BranchSet
        | Form::TForLoop => {}
        Form::Internal => return Err(Fault::Operation),
    }
    Ok(())
}

/// The frame ends.
fn ends<const W: usize>(s: &State<W>, x: u8) -> Result<(), Fault> {
    if x & CLOSES == 0 && !s.captured.or(s.closing).is_empty() {
        return Err(Fault::Close);
    }
    Ok(())
}
