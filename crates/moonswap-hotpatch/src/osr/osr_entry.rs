//! Where an activation goes on in the new code: which registers move, which are
//! cells, which are made; or why it stays.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::prototype::{LocalVariable, LoopKind};
use moonswap_bytecode::verify;

use super::fresh::{Initialisers, is_state, is_steady};
use super::liveness::Set;
use super::loops::Match;
use super::migration::{OsrEntry, ScopeCells};
use super::side::Side;

/// What tells a variable from the others in sight.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Cell(u32),
    TopLevel(Arc<str>, u32),
    /// Declared in so many of the loops around.
    Local(usize, Arc<str>),
}

/// A place that both codes have.
pub(super) struct Place {
    /// Where the variables in sight are, in the old code.
    pub(super) old_pc: u32,
    /// The same in the new code.
    pub(super) new_pc: u32,
    /// The loops around it, outermost first; those of both codes belong together.
    pub(super) old_around: Vec<usize>,
    pub(super) new_around: Vec<usize>,
    /// Registers of the old frame from here on hold nothing of worth.
    pub(super) above: u16,
    /// Where the new code comes to from outside: a loop's beginning, the place itself.
    pub(super) entry: u32,
    /// Where activations go on.
    pub(super) osr_entry: u32,
    /// First register of the results of a call that is over, and how many, in both
    /// codes.
    pub(super) results: Option<(u16, u16, u16)>,
}

pub(super) struct Sides<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    /// By instruction of the new code.
    pub(super) needs: &'a [Set],
    pub(super) cells: &'a ScopeCells<'a>,
}

impl<'a> Sides<'a> {
    fn old_identity(&self, around: &[usize], local: &LocalVariable) -> Identity {
        match self.old.top_level(local) {
            Some((at, v)) => match self.cells.old.get(at).copied().flatten() {
                Some(cell) => Identity::Cell(cell),
                None => Identity::TopLevel(v.name.clone(), v.declaration),
            },
            None => Identity::Local(self.old.level(around, local), local.name.clone()),
        }
    }

    fn new_identity(&self, around: &[usize], local: &LocalVariable) -> Identity {
        match self.new.top_level(local) {
            Some((at, v)) => match self.cells.new.get(at).copied().flatten() {
                Some(cell) => Identity::Cell(cell),
                None => Identity::TopLevel(v.name.clone(), v.declaration),
            },
            None => Identity::Local(self.new.level(around, local), local.name.clone()),
        }
    }

    /// The place where a loop turns.
    pub(super) fn turn(
        &self,
        from: u32,
        was: usize,
        to: Match,
        matched: &[Result<Match, String>],
    ) -> Result<OsrEntry, String> {
        let (info, target) = (self.old.loops.all[was], self.new.loops.all[to.new]);
        let mut old_around = self.old.loops.around(was);
        let mut new_around = self.new.loops.around(to.new);
        match info.kind {
            LoopKind::Numeric | LoopKind::Generic => {
                old_around.push(was);
                new_around.push(to.new);
            }
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => {}
        }
        // What stands above is gone at the turn.
        let above = self
            .old
            .prototype
            .code
            .get(from as usize)
            .map_or(0, |i| match info.kind {
                LoopKind::Numeric => i.register_a() + 3,
                LoopKind::Generic => i.register_a(),
                LoopKind::While | LoopKind::Repeat | LoopKind::Label => i.a(),
            });
        let place = Place {
            old_pc: self.old.turn(was),
            new_pc: self.new.turn(to.new),
            old_around,
            new_around,
            above,
            entry: target.start_pc,
            osr_entry: target.end_pc - u32::from(info.kind == LoopKind::Generic),
            results: None,
        };
        self.osr_entry(&place, matched)
    }

    /// How an activation goes on at a place.
    pub(super) fn osr_entry(
        &self,
        place: &Place,
        matched: &[Result<Match, String>],
    ) -> Result<OsrEntry, String> {
        let mut osr_entry = OsrEntry {
            pc: place.osr_entry,
            moves: Vec::new(),
            cells: Vec::new(),
            initials: Vec::new(),
        };
        let mut order: Vec<(u16, u16)> = Vec::new();
        // Loops whose values are to be made.
        let mut limits: Vec<(u32, u16)> = Vec::new();
        if place.old_around.len() != place.new_around.len() {
            return Err("the loops around it are others".to_owned());
        }
        for (&o, &n) in place.old_around.iter().zip(&place.new_around) {
            let same_head = match matched[o] {
                Ok(to) if to.new == n => to.same_head,
                _ => return Err("the loops around it are others".to_owned()),
            };
            let (from, to) = (self.old.state(o), self.new.state(n));
            let hidden = match self.old.loops.all[o].kind {
                LoopKind::Numeric if same_head => 3,
                LoopKind::Numeric => {
                    limits.push((self.new.loops.all[n].start_pc, to));
                    1
                }
                LoopKind::Generic => {
                    order.push((from + 3, to + 3));
                    4
                }
                LoopKind::While | LoopKind::Repeat | LoopKind::Label => continue,
            };
            osr_entry
                .moves
                .extend((0..hidden).map(|i| (from + i, to + i)));
        }
        if let Some((from, to, n)) = place.results {
            osr_entry.moves.extend((0..n).map(|i| (from + i, to + i)));
        }

        let mut known: HashMap<Identity, Vec<&LocalVariable>> = HashMap::default();
        for local in self.old.in_sight(place.old_pc) {
            if local.register < place.above {
                let identity = self.old_identity(&place.old_around, local);
                known.entry(identity).or_default().push(local);
            }
        }
        let mut wanted: HashMap<Identity, Vec<&LocalVariable>> = HashMap::default();
        let mut in_order = Vec::new();
        for local in self.new.in_sight(place.new_pc) {
            let identity = self.new_identity(&place.new_around, local);
            let same = wanted.entry(identity.clone()).or_default();
            in_order.push((identity, same.len(), local));
            same.push(local);
        }
        let needs = &self.needs[place.osr_entry as usize];
        let mut opened = Vec::new();
        let mut missing = Vec::new();
        let mut initialisers = Initialisers::new(&self.new);
        for (identity, ordinal, local) in in_order {
            let name = &local.name;
            let same = known.get(&identity).map_or(&[][..], Vec::as_slice);
            let n = wanted[&identity].len();
            if (same.len() > 1 || n > 1) && same.len() != n {
                return Err(format!("which variable '{name}' is, is not certain"));
            }
            let closed = self.new.is_closed(local);
            match same.get(ordinal) {
                Some(before) => {
                    if self.old.is_closed(before) != closed {
                        return Err(format!("'{name}' is to be closed in one version only"));
                    }
                    osr_entry.moves.push((before.register, local.register));
                    if closed {
                        order.push((before.register, local.register));
                    }
                    if self.old.is_captured(before) && self.new.top_level(local).is_none() {
                        opened.push((*local).clone());
                    }
                    if is_steady(&self.old, before) {
                        initialisers.keeps(local);
                    }
                }
                None if closed => {
                    return Err(format!("'{name}' is to be closed and was never made"));
                }
                None => match self.cell(&identity) {
                    Some(cell) => osr_entry.cells.push((local.register, cell)),
                    None => missing.push(local),
                },
            }
        }
        // Who may be one of the new variables under another name, by level.
        let mut vanished: Vec<(usize, &LocalVariable)> = Vec::new();
        for (identity, locals) in &known {
            if let Identity::Local(level, _) = identity
                && !wanted.contains_key(identity)
            {
                let state = locals.iter().filter(|l| is_state(&self.old, l));
                vanished.extend(state.map(|l| (*level, *l)));
            }
            let gone = wanted.get(identity).map_or(0, Vec::len) < locals.len();
            if let Some(local) = locals.iter().find(|l| gone && self.old.is_closed(l)) {
                return Err(format!("'{}' is to be closed and is gone", local.name));
            }
        }
        order.sort_unstable();
        if order.windows(2).any(|pair| pair[0].1 >= pair[1].1) {
            return Err("variables to be closed changed their order".to_owned());
        }
        for local in missing.iter().filter(|l| needs.has(l.register)) {
            let level = self.new.level(&place.new_around, local);
            let mut same_level = vanished.iter().filter(|(l, _)| *l == level);
            if let Some((_, before)) = same_level.next()
                && is_state(&self.new, local)
            {
                return Err(format!(
                    "'{}' may be '{}' under another name",
                    local.name, before.name
                ));
            }
        }
        self.make(place, initialisers, &missing, &limits, &mut osr_entry)?;
        if let Some(register) = needs.iter().find(|r| !osr_entry.gives(*r)) {
            return Err(format!(
                "register {register} has no value in the old activation"
            ));
        }
        if !opened.is_empty() && !verify::closes(self.new.prototype, &opened) {
            let names: Vec<&str> = opened.iter().map(|l| &*l.name).collect();
            return Err(format!(
                "the new code would leave captured variables open: {}",
                names.join(", ")
            ));
        }
        Ok(osr_entry)
    }

    /// Variables and limits that the old activation does not have, in the order of
    /// the new code.
    fn make(
        &self,
        place: &Place,
        mut initialisers: Initialisers<'_, '_>,
        missing: &[&LocalVariable],
        limits: &[(u32, u16)],
        osr_entry: &mut OsrEntry,
    ) -> Result<(), String> {
        let needs = &self.needs[place.osr_entry as usize];
        let starts = place.new_around.iter();
        let starts = starts.map(|&at| self.new.loops.all[at].start_pc);
        let entries: Vec<u32> = starts.chain([place.entry]).collect();
        let mut todo: Vec<(u32, Result<&LocalVariable, u16>)> =
            missing.iter().map(|l| (l.start_pc, Ok(*l))).collect();
        todo.extend(limits.iter().map(|&(pc, state)| (pc, Err(state))));
        todo.sort_by_key(|(pc, _)| *pc);
        for (pc, what) in todo {
            match what {
                Ok(local) => {
                    let until = entries.iter().copied().filter(|&e| e >= pc).min();
                    let is_made = until.is_some_and(|e| initialisers.variable(local, e));
                    if !is_made && needs.has(local.register) {
                        return Err(format!(
                            "'{}' has no value in the old activation, and what would give it one \
                             cannot be run there",
                            local.name
                        ));
                    }
                }
                Err(state) => {
                    if !initialisers.limits(pc, state) {
                        return Err(
                            "the values at its head changed, and cannot be worked out there"
                                .to_owned(),
                        );
                    }
                }
            }
        }
        osr_entry.initials = initialisers.finish();
        Ok(())
    }

    /// The cell of a variable that the old activation does not have.
    fn cell(&self, identity: &Identity) -> Option<u32> {
        let Identity::Cell(cell) = identity else {
            return None;
        };
        let known = self.cells.present.get(*cell as usize);
        known.copied().unwrap_or(true).then_some(*cell)
    }
}
