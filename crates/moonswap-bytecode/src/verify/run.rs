//! Part of the verifier: the walk through the code. Each instruction is looked at by
//! itself, and run on what registers hold where it stands.
//!
//! The first walk goes through all of the code in order. Jumps forward arrive at places
//! that it has not reached yet. Where a jump back changes what is known, later walks run
//! that part of the code again, until nothing changes.

use super::fault::{Fault, go_on};
use super::flow::{State, step};
use super::info::{Info, Operands};
use super::loops::Loops;
use super::operands::{self, At, OpenLists, jump, returns, windows};
use super::place::{Place, count_jumps, find_back};
use super::shape::Shape;
use super::variables::{Change, variables};
use crate::effects::Effects;
use crate::form::Form;
use crate::instruction::Instruction;
use crate::registers::{FEW_WORDS, Registers, WORDS};
use crate::watch::{EVERY, Watch};

pub(super) type Check<T> = Result<T, (usize, Fault)>;

/// What the walk has at hand, one function after the other.
pub(super) struct Work {
    /// Bytes that its lists may take.
    pub(super) room: usize,
    /// The most that they needed.
    pub(super) most: usize,
    /// For each instruction the number of its place, from 1, if jumps go there.
    place_at: Vec<u32>,
    loops: Loops,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            room: usize::MAX,
            most: 0,
            place_at: Vec::new(),
            loops: Loops::default(),
        }
    }
}

impl Work {
    /// Asks for room for lists of so many bytes.
    pub(super) fn ask(&mut self, bytes: usize) -> Result<(), Fault> {
        self.most = self.most.max(bytes);
        match bytes > self.room {
            true => Err(Fault::Memory),
            false => Ok(()),
        }
    }
}

/// Lists with sets of registers, by how many words these have.
#[derive(Default)]
pub(super) struct Flows {
    small: Flow<1>,
    double: Flow<2>,
    medium: Flow<FEW_WORDS>,
    large: Flow<WORDS>,
}

/// Lists with sets of that many words.
#[derive(Default)]
struct Flow<const W: usize> {
    changes: Vec<Change<W>>,
    places: Vec<Place<W>>,
}

/// Checks the code of a function whose header is right.
pub(super) fn check(
    shape: &Shape<'_>,
    watch: Option<&Watch<'_>>,
    work: &mut Work,
    flows: &mut Flows,
) -> Check<()> {
    // The machine has two registers more above those of the frame.
    match usize::from(shape.frame_size) + 2 {
        n if n < 64 => check_with(shape, watch, work, &mut flows.small),
        n if n < 64 * 2 => check_with(shape, watch, work, &mut flows.double),
        n if n < 64 * FEW_WORDS => check_with(shape, watch, work, &mut flows.medium),
        _ => check_with(shape, watch, work, &mut flows.large),
    }
}

fn check_with<const W: usize>(
    shape: &Shape<'_>,
    watch: Option<&Watch<'_>>,
    work: &mut Work,
    flow: &mut Flow<W>,
) -> Check<()> {
    let Flow { changes, places } = flow;
    places.clear();
    let of_changes = 2 * shape.lists.variables.len() * size_of::<Change<W>>();
    let bytes = 4 * shape.code.len() + 2 * of_changes + shape.lists.heap_bytes();
    let (n_jumps, n_back) = count_jumps(shape.code);
    let of_places = n_jumps.saturating_mul(size_of::<Place<W>>());
    let asked = work.ask(bytes.saturating_add(of_places));
    asked.map_err(|fault| (0, fault))?;
    work.place_at.clear();
    work.place_at.resize(shape.code.len(), 0);
    places.reserve_exact(n_jumps);
    if n_back > 0 {
        find_back(shape.code, &mut work.place_at, places);
    }
    variables(&shape.lists.variables, changes);
    work.loops.clear();
    let mut walk = Walk {
        shape,
        watch,
        changes,
        place_at: &mut work.place_at,
        places,
        loops: &mut work.loops,
        lists: OpenLists::default(),
        state: State::entry(shape.n_params),
        is_reached: true,
        new_at: 0,
        change: 0,
        next_change: 0,
        next_stop: 0,
        counted: 0,
        n_ahead: 0,
        n_behind: 0,
        first_behind: usize::MAX,
    };
    walk.walk::<true>(0)?;
    let ended = walk.lists.arrive().and_then(|()| walk.loops.end());
    ended.map_err(|fault| (0, fault))?;
    while let Some(from) = walk.again() {
        walk.walk::<false>(from)?;
    }
    Ok(())
}

/// A walk through the code of a function.
struct Walk<'a, const W: usize> {
    shape: &'a Shape<'a>,
    watch: Option<&'a Watch<'a>>,
    changes: &'a [Change<W>],
    place_at: &'a mut [u32],
    places: &'a mut Vec<Place<W>>,
    /// Loops around the instruction, and whether a list is open: of the first walk.
    loops: &'a mut Loops,
    lists: OpenLists,
    /// What is known before the instruction, if control gets there.
    state: State<W>,
    is_reached: bool,
    /// Behind which instruction registers may have come into foreign hands, or hold more
    /// than before; `usize::MAX`: nowhere.
    new_at: usize,
    /// Which change of these hands was the last one, and where the next one is.
    change: usize,
    next_change: usize,
    /// The instruction at which there is something to look at besides it.
    next_stop: usize,
    /// Up to which instruction they were counted for whoever watches.
    counted: usize,
    /// Places with news that the walk is still to come to.
    n_ahead: usize,
    /// Those that it came past, and where the first of them is.
    n_behind: usize,
    first_behind: usize,
}

impl<const W: usize> Walk<'_, W> {
    /// Begins another walk, if one is needed; answers where.
    fn again(&mut self) -> Option<usize> {
        if self.n_behind == 0 {
            return None;
        }
        self.n_ahead = std::mem::take(&mut self.n_behind);
        let from = std::mem::replace(&mut self.first_behind, usize::MAX);
        self.is_reached = false;
        self.change = 0;
        self.next_change = 0;
        self.next_stop = 0;
        self.counted = from;
        Some(from)
    }

    /// Goes through the code from an instruction on. `FIRST`: through all of it, and
    /// looks at each instruction by itself; otherwise only through what must be run
    /// again.
    fn walk<const FIRST: bool>(&mut self, from: usize) -> Check<()> {
        let shape = self.shape;
        let operands = Operands {
            past: Operands::past(shape.frame_end()),
            // Those far away need more than a quick look.
            constants: match shape.is_large {
                true => &[],
                false => &shape.lists.constants,
            },
            n_upvalues: shape.n_upvalues,
            n_sites: shape.lists.n_sites(),
        };
        let mut pc = from;
        while let Some(&i) = shape.code.get(pc) {
            let number = self.place_at[pc];
            if number != 0 || pc >= self.next_stop {
                let looked = self.look::<FIRST>(pc, number as usize);
                if !looked.map_err(|fault| (pc, fault))? {
                    if self.n_ahead == 0 {
                        return Ok(());
                    }
                    pc += 1;
                    continue;
                }
            }
            let info = Info::of(i);
            if FIRST && !operands.are_right(info, i) {
                operands::check(shape, pc, i, info).map_err(|fault| (pc, fault))?;
            }
            if !self.state.has_operands(info, i) && self.is_reached {
                return Err((pc, Fault::Undefined));
            }
            // Most have no effects but those of their operands.
            if info.is_straight {
                if info.writes {
                    self.state.write_one(i.register_a());
                }
            } else {
                let done = self.other::<FIRST>(pc, i, info);
                done.map_err(|fault| (pc, fault))?;
            }
            pc += 1;
        }
        Ok(())
    }

    /// Looks at what is to be known before an instruction. `number`: that of the place
    /// there, or 0. Whether the walk goes through the instruction.
    #[inline(never)]
    fn look<const FIRST: bool>(&mut self, pc: usize, number: usize) -> Result<bool, Fault> {
        if let Some(watch) = self.watch {
            watch.count(pc - self.counted);
            self.counted = pc;
        }
        go_on(self.watch)?;
        if number != 0 {
            if FIRST {
                let place = &self.places[number - 1];
                self.loops
                    .arrive(place.first as usize, place.last as usize)?;
                self.lists.arrive()?;
            }
            if self.is_reached {
                self.catch_up(pc);
            }
            self.pass_place(number - 1);
            self.new_at = pc;
        }
        if FIRST && Info::of(self.shape.code[pc]).is_plain {
            self.lists.pass()?;
        }
        if !self.is_reached {
            self.next_stop = 0;
            return Ok(FIRST);
        }
        self.next_stop = pc + EVERY as usize;
        Ok(true)
    }

    /// Takes into account in whose hands registers were up to an instruction, that one
    /// included. Instructions that are straight do not ask for it.
    #[inline(always)]
    fn catch_up(&mut self, pc: usize) {
        if self.new_at != usize::MAX || self.next_change <= pc {
            self.share(pc);
        }
    }

    #[inline(never)]
    fn share(&mut self, pc: usize) {
        let change_at = |n: usize| self.changes.get(n).map_or(usize::MAX, |c| c.pc as usize);
        let new_at = std::mem::replace(&mut self.new_at, usize::MAX);
        self.next_change = change_at(self.change + 1);
        if new_at <= pc {
            // What is before that is over, or the walk did not come through it.
            while self.next_change <= new_at {
                self.change += 1;
                self.next_change = change_at(self.change + 1);
            }
            self.state.share(&self.changes[self.change]);
        }
        while self.next_change <= pc {
            self.change += 1;
            self.next_change = change_at(self.change + 1);
            self.state.share(&self.changes[self.change]);
        }
    }

    /// An instruction that jumps, has windows or lists, or ends the code before it.
    #[inline(never)]
    fn other<const FIRST: bool>(
        &mut self,
        pc: usize,
        i: Instruction,
        info: &Info,
    ) -> Result<(), Fault> {
        let target = match info.jumps {
            true => Some(self.target::<FIRST>(pc, i, info)?),
            false => None,
        };
        if self.is_reached {
            self.catch_up(pc);
        }
        if info.is_plain {
            if self.is_reached {
                if info.writes {
                    self.state.write_one(i.register_a());
                }
                if let Some(target) = target {
                    let state = self.state;
                    self.arrive(pc, target, &state);
                }
            }
        } else {
            let op = i.opcode().ok_or(Fault::Operation)?;
            let at = At {
                shape: self.shape,
                pc,
                i,
                op,
            };
            match target {
                None => self.run::<FIRST>(&at, info.form)?,
                Some(target) => {
                    let jumped = self.run_jump::<FIRST>(&at, info.form)?;
                    if self.is_reached {
                        self.arrive(pc, target, &jumped);
                        if FIRST && info.form == Form::TForPrep {
                            self.first_turn(pc, target, jumped);
                        }
                    }
                }
            }
        }
        self.is_reached = self.is_reached && info.goes_on;
        if !self.is_reached || self.lists.is_open() {
            self.next_stop = 0;
        }
        Ok(())
    }

    /// Control goes from the preparation of a generic loop to the call of its iterator,
    /// and from there to the loop's body, which comes first in the code. Without this
    /// the walk would come to the body before anything is known there, and walk through
    /// it again.
    fn first_turn(&mut self, pc: usize, call: usize, mut state: State<W>) {
        for (form, at) in [(Form::TForCall, call), (Form::TForLoop, call + 1)] {
            let Some(&i) = self.shape.code.get(at) else {
                return;
            };
            let Some(op) = i.opcode().filter(|op| op.form() == form) else {
                return;
            };
            let effects = Effects::of_form(i, op, form);
            let at = At {
                shape: self.shape,
                pc: at,
                i,
                op,
            };
            let nobody = Registers::default();
            let mut jumped = state;
            if step(&at, form, &effects, nobody, &mut state, Some(&mut jumped)).is_err() {
                // The walk finds out when it comes there: it knows no more then.
                return;
            }
            if form == Form::TForLoop {
                state = jumped;
            }
        }
        if self.place_at[pc + 1] != 0 {
            self.arrive(pc, pc + 1, &state);
        }
    }

    /// Where a jump goes: to a place.
    #[inline(always)]
    fn target<const FIRST: bool>(
        &mut self,
        pc: usize,
        i: Instruction,
        info: &Info,
    ) -> Result<usize, Fault> {
        let target = info.target(pc, i).ok_or(Fault::Jump)?;
        if !FIRST {
            return Ok(target as usize);
        }
        let target = jump(self.shape.code.len(), pc, info, target)?;
        let number = &mut self.place_at[target];
        if *number == 0 {
            self.places.push(Place::new(pc as u32, 0));
            *number = self.places.len() as u32;
        } else {
            let place = &mut self.places[*number as usize - 1];
            if !info.is_back {
                place.first = place.first.min(pc as u32);
            }
        }
        Ok(target)
    }

    /// Control goes from an instruction to a place.
    #[inline(always)]
    fn arrive(&mut self, pc: usize, target: usize, state: &State<W>) {
        let number = self.place_at[target] as usize;
        let place = &mut self.places[number - 1];
        if place.arrive(state) && !place.is_dirty {
            place.is_dirty = true;
            if target > pc {
                self.n_ahead += 1;
            } else {
                self.n_behind += 1;
                self.first_behind = self.first_behind.min(target);
            }
        }
    }

    /// The walk comes to a place: with what is known there it goes on, if that is news.
    #[inline(always)]
    fn pass_place(&mut self, index: usize) {
        let place = &mut self.places[index];
        let is_news = self.is_reached && place.arrive(&self.state);
        let was_dirty = std::mem::take(&mut place.is_dirty);
        self.n_ahead -= usize::from(was_dirty);
        self.is_reached = is_news || was_dirty;
        if self.is_reached {
            self.state = place.state;
        }
    }

    /// An instruction that is not plain and does not jump. The usual forms are compiled
    /// one by one, but for builds with assertions: that takes the compiler long.
    #[inline(always)]
    fn run<const FIRST: bool>(&mut self, at: &At<'_>, form: Form) -> Result<(), Fault> {
        if !matches!(
            form,
            Form::Call | Form::Method | Form::SetList | Form::Concat | Form::Nils | Form::Vararg
        ) {
            self.new_at = at.pc + 1;
        }
        match form {
            _ if cfg!(debug_assertions) => self.of_any_form::<FIRST>(at, form, None),
            Form::Call => self.of_form::<FIRST>(at, Form::Call, None),
            Form::Method => self.of_form::<FIRST>(at, Form::Method, None),
            Form::Return => self.of_form::<FIRST>(at, Form::Return, None),
            Form::ShortReturn => self.of_form::<FIRST>(at, Form::ShortReturn, None),
            Form::NewTable => self.of_form::<FIRST>(at, Form::NewTable, None),
            Form::SetList => self.of_form::<FIRST>(at, Form::SetList, None),
            Form::Closure => self.of_form::<FIRST>(at, Form::Closure, None),
            Form::Concat => self.of_form::<FIRST>(at, Form::Concat, None),
            Form::Nils => self.of_form::<FIRST>(at, Form::Nils, None),
            _ => self.of_any_form::<FIRST>(at, form, None),
        }
    }

    /// The same of one that jumps; answers the state at the jump's end.
    #[inline(always)]
    fn run_jump<const FIRST: bool>(&mut self, at: &At<'_>, form: Form) -> Result<State<W>, Fault> {
        self.new_at = at.pc + 1;
        let mut jumped = self.state;
        match form {
            _ if cfg!(debug_assertions) => self.of_any_form::<FIRST>(at, form, Some(&mut jumped)),
            Form::BranchSet => self.of_form::<FIRST>(at, Form::BranchSet, Some(&mut jumped)),
            _ => self.of_any_form::<FIRST>(at, form, Some(&mut jumped)),
        }?;
        Ok(jumped)
    }

    #[inline(never)]
    fn of_any_form<const FIRST: bool>(
        &mut self,
        at: &At<'_>,
        form: Form,
        jumped: Option<&mut State<W>>,
    ) -> Result<(), Fault> {
        if FIRST {
            self.loops.pass(self.shape.code, at.pc, form)?;
        }
        self.of_form::<FIRST>(at, form, jumped)
    }

    #[inline(always)]
    fn of_form<const FIRST: bool>(
        &mut self,
        at: &At<'_>,
        form: Form,
        jumped: Option<&mut State<W>>,
    ) -> Result<(), Fault> {
        let effects = Effects::of_form(at.i, at.op, form);
        if FIRST {
            windows(at, form, &effects)?;
            returns(at, form)?;
            self.lists.go_on(at.op, &effects)?;
        }
        if self.is_reached {
            let named = self.changes[self.change].named;
            step(at, form, &effects, named, &mut self.state, jumped)?;
        }
        Ok(())
    }
}
