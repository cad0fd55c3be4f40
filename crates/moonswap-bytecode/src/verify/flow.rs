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

use super::fault::{Fault, Work, go_on};
use super::info::Info;
use super::variables::{Change, Edge, variables};
use crate::effects::{Effects, Outcome};
use crate::form::Form;
use crate::instruction::Instruction;
use crate::opcode::OpCode;
use crate::prototype::{Capture, Prototype};
use crate::registers::{FEW_WORDS, Registers, WORDS};
use crate::watch::Watch;

type Check<T> = Result<T, (usize, Fault)>;

/// `x` bit of `RETURN` and `TAILCALL`: captured variables are closed first.
const CLOSES: u8 = 1;

/// What is known where control arrives.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct State<const W: usize> {
    /// Hold a value, on every path.
    defined: Registers<W>,
    /// Hold the table of a `NEWTABLE`, on every path.
    tables: Registers<W>,
    /// First of the three registers of a prepared loop, on every path.
    loops: Registers<W>,
    /// Captured and not closed, on some path.
    captured: Registers<W>,
    /// To be closed, on some path.
    closing: Registers<W>,
    /// First register of the open list that was just left.
    open: Option<u16>,
}

impl<const W: usize> State<W> {
    fn joined(self, other: Self) -> Self {
        Self {
            defined: self.defined.and(other.defined),
            tables: self.tables.and(other.tables),
            loops: self.loops.and(other.loops),
            captured: self.captured.or(other.captured),
            closing: self.closing.or(other.closing),
            // No jump arrives behind an open list.
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

    #[inline(always)]
    fn write_one(&mut self, register: u16) {
        if self.has_proofs() {
            self.forget(Registers::one(register));
        }
        self.defined.insert(register);
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

/// Checks all paths of a function.
pub(crate) fn check(
    prototype: &Prototype,
    watch: Option<&Watch<'_>>,
    work: &mut Work,
    flows: &mut Flows,
) -> Check<()> {
    find_leaders(prototype.code.len(), work);
    // The machine has two registers more above those of the frame.
    match usize::from(prototype.frame_size) + 2 {
        n if n < 64 => check_with(prototype, watch, work, &mut flows.small),
        n if n < 64 * 2 => check_with(prototype, watch, work, &mut flows.double),
        n if n < 64 * FEW_WORDS => check_with(prototype, watch, work, &mut flows.medium),
        _ => check_with(prototype, watch, work, &mut flows.large),
    }
}

/// Where straight code begins, and for each such instruction its place in this list.
fn find_leaders(n_code: usize, work: &mut Work) {
    let (leaders, leader_at) = (&mut work.leaders, &mut work.leader_at);
    leaders.clear();
    leaders.push(0);
    leader_at.clear();
    if work.jumps.is_empty() {
        return;
    }
    leader_at.resize(n_code, 0);
    for &(_, target) in &work.jumps {
        if let Some(at) = leader_at.get_mut(target as usize) {
            *at = 1;
        }
    }
    // The first one has the place 0.
    leader_at[0] = 0;
    for (pc, at) in leader_at.iter_mut().enumerate().skip(1) {
        if *at != 0 {
            *at = leaders.len() as u32;
            leaders.push(pc as u32);
        }
    }
}

/// What the run is about, one function after the other.
#[derive(Default)]
pub(crate) struct Flows {
    small: Flow<1>,
    double: Flow<2>,
    medium: Flow<FEW_WORDS>,
    large: Flow<WORDS>,
}

/// The same with sets of that many words.
#[derive(Default)]
struct Flow<const W: usize> {
    edges: Vec<Edge>,
    changes: Vec<Change<W>>,
    /// For each leader, what is known there.
    states: Vec<Option<State<W>>>,
    /// For each leader, whether that changed.
    dirty: Vec<bool>,
}

/// The same with sets of that many words.
fn check_with<const W: usize>(
    prototype: &Prototype,
    watch: Option<&Watch<'_>>,
    work: &mut Work,
    flow: &mut Flow<W>,
) -> Check<()> {
    let code = &prototype.code;
    let Flow {
        edges,
        changes,
        states,
        dirty,
    } = flow;
    let scopes = prototype.debug.locals.len() + prototype.scope.len();
    let of_scopes = 4 * scopes * (size_of::<Edge>() + size_of::<Change<W>>());
    let of_leaders = work.leaders.len() * (size_of::<Option<State<W>>>() + 1);
    let asked = work.ask(of_scopes.saturating_add(of_leaders));
    asked.map_err(|fault| (0, fault))?;
    let (leaders, leader_at) = (&work.leaders[..], &work.leader_at[..]);
    variables(prototype, edges, changes);
    states.clear();
    states.resize(leaders.len(), None);
    dirty.clear();
    dirty.resize(leaders.len(), false);
    states[0] = Some(State {
        defined: Registers::range(0, u16::from(prototype.n_params)),
        ..State::default()
    });
    dirty[0] = true;
    let mut again = true;
    while again {
        again = false;
        for at in 0..leaders.len() {
            if !std::mem::take(&mut dirty[at]) {
                continue;
            }
            let start = leaders[at] as usize;
            let end = leaders.get(at + 1).map_or(code.len(), |&end| end as usize);
            go_on(watch).map_err(|fault| (start, fault))?;
            let Some(state) = states[at] else { continue };
            let mut arrive = |pc: usize, state: &State<W>| {
                // Most go on to the next one, or not far.
                let to = match leaders.get(at + 1) {
                    Some(&next) if next as usize == pc => at + 1,
                    // Behind the code's end is nothing.
                    _ => match leader_at.get(pc) {
                        Some(&to) => to as usize,
                        None => return,
                    },
                };
                let joined = states[to].map_or(*state, |known| known.joined(*state));
                if states[to] != Some(joined) {
                    states[to] = Some(joined);
                    dirty[to] = true;
                    again |= to <= at;
                }
            };
            block(prototype, changes, start..end, state, watch, &mut arrive)?;
        }
    }
    Ok(())
}

/// Runs straight code; tells `arrive` where control goes and with what.
#[inline(always)]
fn block<const W: usize>(
    prototype: &Prototype,
    changes: &[Change<W>],
    range: std::ops::Range<usize>,
    mut state: State<W>,
    watch: Option<&Watch<'_>>,
    arrive: &mut impl FnMut(usize, &State<W>),
) -> Check<()> {
    let mut change = changes.partition_point(|c| c.pc as usize <= range.start) - 1;
    let change_at = |n: usize| changes.get(n).map_or(usize::MAX, |c| c.pc as usize);
    let mut next_change = change_at(change + 1);
    let mut variables = &changes[change];
    // Whether registers may have come into foreign hands since the last look, or hold
    // more than before.
    let mut is_new = true;
    for (pc, &i) in range.clone().zip(&prototype.code[range.clone()]) {
        if next_change <= pc {
            while next_change <= pc {
                change += 1;
                next_change = change_at(change + 1);
            }
            variables = &changes[change];
            is_new = true;
        }
        go_on(watch).map_err(|fault| (pc, fault))?;
        let info = Info::of(i);
        if is_new {
            is_new = false;
            // What a patch opened stays open when its name goes out of sight.
            state.captured = state.captured.or(variables.shared);
            if state.has_proofs() {
                state.forget(variables.named.or(state.captured));
            }
        }
        for register in info.reads(i) {
            if !state.defined.has(register) {
                return Err((pc, Fault::Undefined));
            }
        }
        // Most have no effects but those of their operands.
        if info.is_plain {
            state.open = None;
            if info.writes {
                state.write_one(i.register_a());
            }
            if info.jumps {
                arrive_at(info.target(pc, i), &state, arrive);
            }
        } else if let Some(op) = i.opcode() {
            is_new = true;
            let at = At {
                prototype,
                pc,
                i,
                op,
                named: variables.named,
            };
            if info.jumps {
                let mut jumped = state;
                step_of_any_form(&at, info.form, &mut state, Some(&mut jumped))
                    .map_err(|fault| (pc, fault))?;
                arrive_at(info.target(pc, i), &jumped, arrive);
            } else {
                step(&at, info.form, &mut state).map_err(|fault| (pc, fault))?;
            }
        }
        if !info.goes_on {
            return Ok(());
        }
    }
    arrive(range.end, &state);
    Ok(())
}

/// The state where a jump goes.
#[inline(always)]
fn arrive_at<const W: usize>(
    target: Option<i64>,
    state: &State<W>,
    arrive: &mut impl FnMut(usize, &State<W>),
) {
    if let Some(target) = target {
        arrive(target as usize, state);
    }
}

/// An instruction that is run.
struct At<'a, const W: usize> {
    prototype: &'a Prototype,
    pc: usize,
    i: Instruction,
    op: OpCode,
    /// Variables that can be reached by name.
    named: Registers<W>,
}

/// What one instruction that is not plain asks for and does, and does not jump. The
/// usual forms are compiled one by one.
#[inline(always)]
fn step<const W: usize>(at: &At<'_, W>, form: Form, s: &mut State<W>) -> Result<(), Fault> {
    match form {
        Form::Call => step_of_form(at, Form::Call, s, None),
        Form::Method => step_of_form(at, Form::Method, s, None),
        Form::Return => step_of_form(at, Form::Return, s, None),
        Form::ShortReturn => step_of_form(at, Form::ShortReturn, s, None),
        Form::NewTable => step_of_form(at, Form::NewTable, s, None),
        Form::SetList => step_of_form(at, Form::SetList, s, None),
        Form::Closure => step_of_form(at, Form::Closure, s, None),
        Form::Concat => step_of_form(at, Form::Concat, s, None),
        Form::Nils => step_of_form(at, Form::Nils, s, None),
        _ => step_of_any_form(at, form, s, None),
    }
}

#[inline(never)]
fn step_of_any_form<const W: usize>(
    at: &At<'_, W>,
    form: Form,
    s: &mut State<W>,
    jumped: Option<&mut State<W>>,
) -> Result<(), Fault> {
    step_of_form(at, form, s, jumped)
}

/// `jumped` becomes the state at the jump's end.
#[inline(always)]
fn step_of_form<const W: usize>(
    at: &At<'_, W>,
    form: Form,
    s: &mut State<W>,
    mut jumped: Option<&mut State<W>>,
) -> Result<(), Fault> {
    let At {
        prototype,
        pc,
        i,
        op,
        named,
    } = *at;
    let a = i.register_a();
    let effects = Effects::of_form(i, op, form);
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
            if !prototype.is_vararg {
                return Err(Fault::Return);
            }
        }
        Form::Closure => {
            let site = prototype.sites.get(i.bc() as u32 as usize);
            for capture in site.ok_or(Fault::Site)?.captures.iter() {
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
