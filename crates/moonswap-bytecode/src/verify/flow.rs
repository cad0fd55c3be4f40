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
use crate::effects::{Effects, Outcome, Span};
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

    fn write(&mut self, registers: Registers<W>) {
        self.forget(registers);
        self.defined = self.defined.or(registers);
    }

    fn lose(&mut self, registers: Registers<W>) {
        self.forget(registers);
        self.defined = self.defined.without(registers);
    }

    /// What an instruction leaves on one of its ways out.
    fn leaves(&mut self, outcome: &Outcome) {
        if outcome.loses != Span::NONE {
            self.lose(Registers::of(outcome.loses));
        }
        for span in outcome.writes {
            if span != Span::NONE {
                self.write(Registers::of(span));
            }
        }
        self.open = outcome.opens;
    }

    fn reads(&self, registers: Registers<W>) -> Result<(), Fault> {
        if self.defined.contains(registers) {
            Ok(())
        } else {
            Err(Fault::Undefined)
        }
    }

    /// The values from `first` to the end of the list that is open.
    fn takes(&self, open: Option<u16>, first: u16) -> Result<(), Fault> {
        match open {
            Some(open) if first <= open => self.reads(Registers::range(first, open)),
            Some(_) | None => Err(Fault::Open),
        }
    }

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

/// Registers in foreign hands from an instruction on.
struct Change<const W: usize> {
    pc: u32,
    /// Named variables.
    named: Registers<W>,
    /// Top-level locals, which a patch may open.
    shared: Registers<W>,
}

/// An instruction at which a variable begins or ends, ordered by instructions, ends
/// first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge(u64);

impl Edge {
    fn new(pc: u32, begins: bool, register: u16, shared: bool) -> Self {
        let kind = u64::from(begins) << 17 | u64::from(register) << 1 | u64::from(shared);
        Self(u64::from(pc) << 18 | kind)
    }

    fn parts(self) -> (u32, bool, u16, bool) {
        let pc = (self.0 >> 18) as u32;
        (
            pc,
            self.0 >> 17 & 1 != 0,
            (self.0 >> 1) as u16,
            self.0 & 1 != 0,
        )
    }
}

/// Which registers are variables that somebody else may reach, by instruction.
fn variables<const W: usize>(prototype: &Prototype) -> Vec<Change<W>> {
    let n_edges = 2 * (prototype.debug.locals.len() + prototype.scope.len());
    let mut edges: Vec<Edge> = Vec::with_capacity(n_edges);
    let mut add = |register, start, end, shared| {
        if start < end {
            edges.push(Edge::new(start, true, register, shared));
            edges.push(Edge::new(end, false, register, shared));
        }
    };
    for local in &prototype.debug.locals {
        if !local.name.starts_with('(') {
            add(local.register, local.start_pc, local.end_pc, false);
        }
    }
    for variable in &prototype.scope {
        if let Some(register) = variable.register {
            add(register, variable.start_pc, variable.end_pc, true);
        }
    }
    edges.sort_unstable();
    let mut counts = [[[0u32; 64]; W]; 2];
    let mut now = [Registers::default(); 2];
    let mut changes = Vec::with_capacity(edges.len() + 1);
    changes.push(Change {
        pc: 0,
        named: now[0],
        shared: now[1],
    });
    for edge in edges {
        let (pc, begins, register, shared) = edge.parts();
        let kind = usize::from(shared);
        let count = &mut counts[kind][usize::from(register / 64) % W][usize::from(register % 64)];
        if begins {
            *count += 1;
            now[kind] = now[kind].or(Registers::one(register));
        } else {
            *count -= 1;
            if *count == 0 {
                now[kind] = now[kind].without(Registers::one(register));
            }
        }
        let change = Change {
            pc,
            named: now[0].or(now[1]),
            shared: now[1],
        };
        match changes.last_mut() {
            Some(last) if last.pc == pc => *last = change,
            Some(_) | None => changes.push(change),
        }
    }
    changes
}

/// Checks all paths of a function.
pub(crate) fn check(
    prototype: &Prototype,
    watch: Option<&Watch<'_>>,
    work: &mut Work,
) -> Check<()> {
    let leaders = &mut work.leaders;
    leaders.clear();
    leaders.push(0);
    leaders.extend(work.jumps.iter().map(|&(_, target)| target));
    leaders.sort_unstable();
    leaders.dedup();
    // The machine has two registers more above those of the frame.
    match usize::from(prototype.frame_size) + 2 {
        n if n < 64 => check_with::<1>(prototype, watch, leaders),
        n if n < 64 * FEW_WORDS => check_with::<FEW_WORDS>(prototype, watch, leaders),
        _ => check_with::<WORDS>(prototype, watch, leaders),
    }
}

/// The same with sets of that many words.
fn check_with<const W: usize>(
    prototype: &Prototype,
    watch: Option<&Watch<'_>>,
    leaders: &[u32],
) -> Check<()> {
    let code = &prototype.code;
    let changes = variables(prototype);
    let mut states: Vec<Option<State<W>>> = vec![None; leaders.len()];
    let mut dirty = vec![false; leaders.len()];
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
                    _ => match leaders.binary_search(&(pc as u32)) {
                        Ok(to) => to,
                        Err(_) => return,
                    },
                };
                let joined = states[to].map_or(*state, |known| known.joined(*state));
                if states[to] != Some(joined) {
                    states[to] = Some(joined);
                    dirty[to] = true;
                    again |= to <= at;
                }
            };
            block(prototype, &changes, start..end, state, watch, &mut arrive)?;
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
    for (pc, &i) in range.clone().zip(&prototype.code[range.clone()]) {
        while next_change <= pc {
            change += 1;
            next_change = change_at(change + 1);
        }
        go_on(watch).map_err(|fault| (pc, fault))?;
        let variables = &changes[change];
        let info = Info::of(i);
        // What a patch opened stays open when its name goes out of sight.
        state.captured = state.captured.or(variables.shared);
        if state.has_proofs() {
            state.forget(variables.named.or(state.captured));
        }
        for register in info.reads(i) {
            if !state.defined.has(register) {
                return Err((pc, Fault::Undefined));
            }
        }
        let target = info.target(pc, i);
        // Most have no effects but those of their operands.
        if info.is_plain {
            state.open = None;
            if info.writes {
                state.write(Registers::one(i.register_a()));
            }
            if let Some(target) = target {
                arrive(target as usize, &state);
            }
        } else if let Some(op) = i.opcode() {
            let jumped = step(
                prototype,
                pc,
                i,
                op,
                variables,
                target.is_some(),
                &mut state,
            );
            if let (Some(target), Some(jumped)) = (target, jumped.map_err(|f| (pc, f))?) {
                arrive(target as usize, &jumped);
            }
        }
        if !info.goes_on {
            return Ok(());
        }
    }
    arrive(range.end, &state);
    Ok(())
}

/// What one instruction that is not plain asks for and does; answers the state at its
/// jump's end.
fn step<const W: usize>(
    prototype: &Prototype,
    pc: usize,
    i: Instruction,
    op: OpCode,
    variables: &Change<W>,
    is_jump: bool,
    s: &mut State<W>,
) -> Result<Option<State<W>>, Fault> {
    let a = i.register_a();
    let effects = Effects::of(i, op);
    for span in effects.reads {
        if span != Span::NONE {
            s.reads(Registers::of(span))?;
        }
    }
    let open = s.open.take();
    if let Some(first) = effects.takes {
        s.takes(open, first)?;
    }
    let before = *s;
    if effects.clobbers != Span::NONE {
        s.forget(Registers::of(effects.clobbers));
    }
    if effects.cleared != Span::NONE {
        s.lose(Registers::of(effects.cleared));
    }
    let mut jumped = is_jump.then(|| {
        let mut jumped = *s;
        jumped.leaves(&effects.jump);
        jumped
    });
    s.leaves(&effects.next);
    let called = |named: Registers<W>, s: &State<W>| {
        let held = s.captured.or(s.closing).or(named);
        if held.meets(Registers::from(a)) {
            Err(Fault::Captured)
        } else {
            Ok(())
        }
    };
    match op.form() {
        Form::NewTable => s.tables = s.tables.or(Registers::one(a)),
        Form::SetList => {
            if !before.tables.contains(Registers::one(a)) {
                return Err(Fault::Table);
            }
            // Each list before this one was an instruction, too.
            if usize::from(i.x()) << 16 | usize::from(i.c()) > pc {
                return Err(Fault::Count);
            }
        }
        Form::Call | Form::TForCall => called(variables.named, &before)?,
        Form::TailCall => {
            if !before.closing.is_empty() {
                return Err(Fault::Close);
            }
            ends(&before, i.x())?;
            s.close(0);
            called(variables.named, s)?;
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
            jumped = Some(*s);
        }
        Form::ForPrep => s.loops = s.loops.or(Registers::one(a)),
        Form::ForLoop => {
            if !before.loops.contains(Registers::one(a)) {
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
    Ok(jumped)
}

/// The frame ends.
fn ends<const W: usize>(s: &State<W>, x: u8) -> Result<(), Fault> {
    if x & CLOSES == 0 && !s.captured.or(s.closing).is_empty() {
        return Err(Fault::Close);
    }
    Ok(())
}
