//! Moving running activations to new code at the turn of a loop: where from and
//! where to, or why not.
//!
//! A loop of the old code is recognised in the new one by its kind and head, among
//! the loops in the same recognised loop. At the turn, nothing is under way but
//! the variables in sight and the hidden state of the `for` loops around: each
//! register that the new code needs must be one of these with a counterpart in
//! the old activation, of the same name and scope, or a top-level local that has
//! a cell. What is said here is a proof: the VM only carries it out.
//!
//! A `while` that has no such counterpart is not compared by its place alone, and
//! a `for` whose values changed would have begun otherwise: both stay.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::effects::jump_distance;
use moonswap_bytecode::prototype::{Capture, LocalVariable, LoopInfo, LoopKind, Prototype};
use moonswap_bytecode::{OpCode, UpvalueDescription, verify};

use crate::liveness::{Set, needed};
use crate::manifest::ChunkManifest;

/// Where a turn of a loop goes on in the new code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The instruction.
    pub pc: u32,
    /// Registers of the old and the new frame that hold the same.
    pub moves: Vec<(u16, u16)>,
    /// Registers of the new frame that are variables of the scope record: index of
    /// the cell.
    pub cells: Vec<(u16, u32)>,
}

/// A turn of a loop of the old code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The instruction at which activations leave the old code.
    pub pc: u32,
    /// Line on which the loop begins, in the old text.
    pub line: u32,
    /// The loop's instructions.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Where to, or why they stay.
    pub to: Result<Landing, String>,
}

/// The turns of all loops of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// By `pc`.
    pub turns: Vec<Turn>,
}

impl Migration {
    /// The turn at an instruction.
    pub fn at(&self, pc: usize) -> Option<&Turn> {
        let found = self.turns.binary_search_by_key(&pc, |t| t.pc as usize);
        found.ok().map(|i| &self.turns[i])
    }

    /// What becomes of an activation that is at an instruction: the innermost loop
    /// around it whose turn leads to new code; else the innermost one.
    pub fn outlook(&self, pc: usize) -> Option<&Turn> {
        let around = || {
            let turns = self.turns.iter();
            turns.filter(move |t| (t.first as usize..=t.last as usize).contains(&pc))
        };
        let inner = |t: &&Turn| t.last - t.first;
        let moves = around().filter(|t| t.to.is_ok()).min_by_key(inner);
        moves.or_else(|| around().min_by_key(inner))
    }
}

/// Which cells of the scope record top-level locals have.
pub(crate) struct Cells<'a> {
    /// Before the patch.
    pub(crate) manifest: &'a ChunkManifest,
    /// All labels after it.
    pub(crate) labels: &'a [(Arc<str>, u32)],
}

/// Works the turns of a function out.
pub(crate) fn migration(old: &Prototype, new: &Prototype, cells: &Cells<'_>) -> Migration {
    let turns = turns(old);
    if turns.is_empty() {
        return Migration::default();
    }
    let general = frames_differ(old, new);
    let new_needs = match general {
        None => needed(new),
        Some(_) => Vec::new(),
    };
    let sides = Sides {
        old: Side::of(old),
        new: Side::of(new),
        needs: &new_needs,
        cells,
    };
    let matched = match_loops(&sides.old.loops, &sides.new.loops);
    let planned = turns.into_iter().map(|(pc, at)| {
        let info = &sides.old.loops.all[at];
        let to = match &general {
            Some(reason) => Err((*reason).to_owned()),
            None => matched[at]
                .clone()
                .and_then(|to| sides.landing(pc, at, to, &matched)),
        };
        Turn {
            pc,
            line: info.line,
            first: info.start_pc,
            last: info.end_pc,
            to,
        }
    });
    Migration {
        turns: planned.collect(),
    }
}

/// What keeps all activations of a function where they are.
fn frames_differ(old: &Prototype, new: &Prototype) -> Option<&'static str> {
    if old.is_stripped() || new.is_stripped() || new.debug.loops.is_empty() {
        let known = !old.is_stripped() && !new.is_stripped();
        return Some(if known {
            "the new text has no loops"
        } else {
            "names of variables are not known: the code is stripped"
        });
    }
    if old.is_vararg != new.is_vararg || old.is_vararg && old.n_params != new.n_params {
        return Some("its variable arguments are taken otherwise");
    }
    let same = |(a, b): (&UpvalueDescription, &UpvalueDescription)| {
        a.name == b.name && a.depth == b.depth && a.top_level == b.top_level
    };
    if new.upvalues.len() > old.upvalues.len() || !new.upvalues.iter().zip(&old.upvalues).all(same)
    {
        return Some("its closure has other captured variables");
    }
    None
}

/// The loops of a function, each with the one around it.
struct Loops<'a> {
    all: Vec<&'a LoopInfo>,
    parent: Vec<Option<usize>>,
}

impl<'a> Loops<'a> {
    fn of(prototype: &'a Prototype) -> Self {
        let mut all: Vec<&LoopInfo> = prototype.debug.loops.iter().collect();
        // Several jumps back to one label are one loop.
        all.sort_by_key(|l| (l.start_pc, std::cmp::Reverse(l.end_pc)));
        let mut labels: Vec<u32> = Vec::new();
        all.retain(|l| {
            let is_new = l.kind != LoopKind::Label || !labels.contains(&l.start_pc);
            if l.kind == LoopKind::Label && is_new {
                labels.push(l.start_pc);
            }
            is_new
        });
        // A label's loop is no scope: others are not seen as inside it.
        let mut open: Vec<usize> = Vec::new();
        let mut parent = Vec::with_capacity(all.len());
        for (i, info) in all.iter().enumerate() {
            while open.last().is_some_and(|&o| all[o].end_pc < info.start_pc) {
                open.pop();
            }
            parent.push(open.last().copied());
            if info.kind != LoopKind::Label {
                open.push(i);
            }
        }
        Self { all, parent }
    }

    /// The loops around one, outermost first.
    fn around(&self, at: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut next = self.parent[at];
        while let Some(outer) = next {
            found.push(outer);
            next = self.parent[outer];
        }
        found.reverse();
        found
    }
}

/// The instructions at which turns begin, with their loops.
fn turns(prototype: &Prototype) -> Vec<(u32, usize)> {
    let loops = Loops::of(prototype);
    let mut found = Vec::new();
    for (at, info) in loops.all.iter().enumerate() {
        match info.kind {
            LoopKind::Numeric => found.push((info.end_pc, at)),
            // Before the iterator is called: what it answers has no variables yet.
            LoopKind::Generic => found.push((info.end_pc.saturating_sub(1), at)),
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => {}
        }
    }
    for (pc, i) in prototype.code.iter().enumerate() {
        let Some(op) = i.opcode().filter(|op| *op == OpCode::JumpBack) else {
            continue;
        };
        let target = jump_distance(*i, op).map(|d| pc as i64 + 1 + i64::from(d));
        // Loops of one head: any of them is the same place. The innermost around.
        let of_head = loops.all.iter().enumerate().filter(|(_, l)| {
            let is_jump = match l.kind {
                LoopKind::While | LoopKind::Repeat | LoopKind::Label => true,
                LoopKind::Numeric | LoopKind::Generic => false,
            };
            is_jump && Some(i64::from(l.start_pc)) == target
        });
        let own = of_head.min_by_key(|(_, l)| (pc > l.end_pc as usize, l.end_pc));
        if let Some((at, _)) = own {
            found.push((pc as u32, at));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(pc, _)| *pc);
    found
}

/// For each old loop the new one, or why there is none.
fn match_loops(old: &Loops<'_>, new: &Loops<'_>) -> Vec<Result<usize, String>> {
    let mut found: Vec<Result<usize, String>> = Vec::with_capacity(old.all.len());
    for (at, info) in old.all.iter().enumerate() {
        let parent = match old.parent[at] {
            None => None,
            Some(outer) => match &found[outer] {
                Ok(outer) => Some(*outer),
                Err(_) => {
                    found.push(Err("the loop around it has no counterpart".to_owned()));
                    continue;
                }
            },
        };
        let alike = |a: &LoopInfo, b: &LoopInfo| a.kind == b.kind && a.header == b.header;
        let siblings = |loops: &Loops<'_>, of: Option<usize>| -> Vec<usize> {
            (0..loops.all.len())
                .filter(|&i| loops.parent[i] == of && alike(loops.all[i], info))
                .collect()
        };
        let (was, is) = (siblings(old, old.parent[at]), siblings(new, parent));
        let text = |loops: &Loops<'_>, i: usize| loops.all[i].text;
        found.push(if is.is_empty() {
            Err("the new text has no loop with this head here".to_owned())
        } else if was.len() != is.len() {
            Err(format!(
                "which loop it is in the new text is not certain: {} with this head became {}",
                was.len(),
                is.len()
            ))
        } else {
            let crossed = was.iter().zip(&is).enumerate().any(|(i, (&o, &n))| {
                text(old, o) != text(new, n)
                    && is
                        .iter()
                        .enumerate()
                        .any(|(j, &other)| i != j && text(new, other) == text(old, o))
            });
            match was.iter().position(|&o| o == at) {
                Some(ordinal) if !crossed => Ok(is[ordinal]),
                _ => Err("which loop it is in the new text is not certain: \
                          loops of the same head changed places"
                    .to_owned()),
            }
        });
    }
    found
}

/// One of the two functions.
struct Side<'a> {
    prototype: &'a Prototype,
    loops: Loops<'a>,
    /// Instruction and register of each capture of a variable.
    captures: Vec<(u32, u16)>,
    /// The same of variables to be closed.
    closing: Vec<(u32, u16)>,
}

impl<'a> Side<'a> {
    fn of(prototype: &'a Prototype) -> Self {
        let (mut captures, mut closing) = (Vec::new(), Vec::new());
        for (pc, i) in prototype.code.iter().enumerate() {
            let pc = pc as u32;
            match i.opcode() {
                Some(OpCode::Closure) => {
                    let site = prototype.sites.get(i.bc() as u32 as usize);
                    for capture in site.iter().flat_map(|site| site.captures.iter()) {
                        if let Capture::Register(register) = capture {
                            captures.push((pc, *register));
                        }
                    }
                }
                Some(OpCode::ToBeClosed) => closing.push((pc, i.register_a())),
                _ => {}
            }
        }
        Self {
            prototype,
            loops: Loops::of(prototype),
            captures,
            closing,
        }
    }

    fn is_captured(&self, local: &LocalVariable) -> bool {
        self.captures.iter().any(|&(pc, register)| {
            register == local.register && local.start_pc <= pc && pc < local.end_pc
        })
    }

    fn is_closed(&self, local: &LocalVariable) -> bool {
        self.closing.iter().any(|&(pc, register)| {
            register == local.register && local.start_pc <= pc + 1 && pc < local.end_pc
        })
    }

    /// Register of the hidden variables of a `for` loop.
    fn state(&self, at: usize) -> u16 {
        let prepare = self.loops.all[at].start_pc as usize;
        self.prototype
            .code
            .get(prepare)
            .map_or(0, |i| i.register_a())
    }

    /// The variables in sight at the turn of a loop.
    fn in_sight(&self, at: usize) -> impl Iterator<Item = &'a LocalVariable> {
        let info = self.loops.all[at];
        let pc = match info.kind {
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => info.start_pc,
            LoopKind::Numeric | LoopKind::Generic => info.end_pc,
        };
        let locals = self.prototype.debug.locals.iter();
        locals.filter(move |l| l.start_pc <= pc && pc < l.end_pc && !l.name.starts_with('('))
    }

    /// In how many of these loops a variable is declared.
    fn level(&self, around: &[usize], local: &LocalVariable) -> usize {
        let inside = |&&at: &&usize| self.loops.all[at].start_pc < local.start_pc;
        around.iter().filter(inside).count()
    }

    /// Name and declaration, if it is a top-level local.
    fn top_level(&self, local: &LocalVariable) -> Option<(&'a Arc<str>, u32)> {
        let mut scope = self.prototype.scope.iter();
        scope
            .find(|v| {
                // A local function's name is in sight a little earlier.
                v.register == Some(local.register)
                    && (v.start_pc..v.end_pc).contains(&local.start_pc)
                    && v.name == local.name
            })
            .map(|v| (&v.name, v.declaration))
    }
}

/// What tells a variable from the others in sight.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Cell(u32),
    TopLevel(Arc<str>, u32),
    /// Declared in so many of the loops around.
    Local(usize, Arc<str>),
}

struct Sides<'a> {
    old: Side<'a>,
    new: Side<'a>,
    /// By instruction of the new code.
    needs: &'a [Set],
    cells: &'a Cells<'a>,
}

impl<'a> Sides<'a> {
    fn old_identity(&self, around: &[usize], local: &LocalVariable) -> Identity {
        match self.old.top_level(local) {
            Some((name, declaration)) => match self.cells.manifest.cell(name, declaration) {
                Some((cell, _)) => Identity::Cell(cell),
                None => Identity::TopLevel(name.clone(), declaration),
            },
            None => Identity::Local(self.old.level(around, local), local.name.clone()),
        }
    }

    fn new_identity(&self, around: &[usize], local: &LocalVariable) -> Identity {
        match self.new.top_level(local) {
            Some((name, declaration)) => {
                let mut labels = self.cells.labels.iter();
                match labels.rposition(|(n, d)| n == name && *d == declaration) {
                    Some(cell) => Identity::Cell(cell as u32),
                    None => Identity::TopLevel(name.clone(), declaration),
                }
            }
            None => Identity::Local(self.new.level(around, local), local.name.clone()),
        }
    }

    fn landing(
        &self,
        from: u32,
        was: usize,
        is: usize,
        matched: &[Result<usize, String>],
    ) -> Result<Landing, String> {
        let (info, target) = (self.old.loops.all[was], self.new.loops.all[is]);
        let is_for = match info.kind {
            LoopKind::Numeric | LoopKind::Generic => true,
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => false,
        };
        let mut old_around = self.old.loops.around(was);
        let mut new_around = self.new.loops.around(is);
        let mut landing = Landing {
            pc: target.end_pc - u32::from(info.kind == LoopKind::Generic),
            moves: Vec::new(),
            cells: Vec::new(),
        };
        let mut order: Vec<(u16, u16)> = Vec::new();
        if is_for {
            old_around.push(was);
            new_around.push(is);
        }
        for (&o, &n) in old_around.iter().zip(&new_around) {
            if matched[o].as_ref() != Ok(&n) {
                return Err("the loops around it are others".to_owned());
            }
            let hidden = match self.old.loops.all[o].kind {
                LoopKind::Numeric => 3,
                LoopKind::Generic => 4,
                LoopKind::While | LoopKind::Repeat | LoopKind::Label => continue,
            };
            let (from, to) = (self.old.state(o), self.new.state(n));
            landing
                .moves
                .extend((0..hidden).map(|i| (from + i, to + i)));
            if hidden == 4 {
                order.push((from + 3, to + 3));
            }
        }
        if old_around.len() != new_around.len() {
            return Err("the loops around it are others".to_owned());
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
        let mut known: HashMap<Identity, Vec<&LocalVariable>> = HashMap::new();
        for local in self.old.in_sight(was).filter(|l| l.register < above) {
            let identity = self.old_identity(&old_around, local);
            known.entry(identity).or_default().push(local);
        }
        let mut wanted: HashMap<Identity, Vec<&LocalVariable>> = HashMap::new();
        let mut in_order = Vec::new();
        for local in self.new.in_sight(is) {
            let identity = self.new_identity(&new_around, local);
            let same = wanted.entry(identity.clone()).or_default();
            in_order.push((identity, same.len(), local));
            same.push(local);
        }
        let needs = &self.needs[landing.pc as usize];
        let mut opened = Vec::new();
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
                    landing.moves.push((before.register, local.register));
                    if closed {
                        order.push((before.register, local.register));
                    }
                    if self.old.is_captured(before) && self.new.top_level(local).is_none() {
                        opened.push((*local).clone());
                    }
                }
                None if closed => {
                    return Err(format!("'{name}' is to be closed and was never made"));
                }
                None => match self.cell(&identity) {
                    Some(cell) => landing.cells.push((local.register, cell)),
                    None if needs.has(local.register) => {
                        return Err(format!("'{name}' has no value in the old activation"));
                    }
                    None => {}
                },
            }
        }
        for (identity, locals) in &known {
            let gone = wanted.get(identity).map_or(0, Vec::len) < locals.len();
            if let Some(local) = locals.iter().find(|l| gone && self.old.is_closed(l)) {
                return Err(format!("'{}' is to be closed and is gone", local.name));
            }
        }
        order.sort_unstable();
        if order.windows(2).any(|pair| pair[0].1 >= pair[1].1) {
            return Err("variables to be closed changed their order".to_owned());
        }
        let given = |register| {
            landing.moves.iter().any(|(_, to)| *to == register)
                || landing.cells.iter().any(|(to, _)| *to == register)
        };
        if let Some(register) = needs.iter().find(|r| !given(*r)) {
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
        Ok(landing)
    }

    /// The cell of a variable that the old activation does not have.
    fn cell(&self, identity: &Identity) -> Option<u32> {
        let Identity::Cell(cell) = identity else {
            return None;
        };
        let known = self.cells.manifest.cells.get(*cell as usize);
        known.is_none_or(|c| c.present).then_some(*cell)
    }
}

/// Whether a landing fits the frames of both functions, and the operations it
/// leads between are alike.
pub fn is_sound(old: &Prototype, new: &Prototype, turn: &Turn) -> bool {
    let Ok(landing) = &turn.to else { return false };
    let at = |prototype: &Prototype, pc: u32| {
        let i = prototype.code.get(pc as usize)?;
        let op = i.opcode()?;
        let is_turn = [OpCode::JumpBack, OpCode::ForLoop, OpCode::TForCall].contains(&op);
        is_turn.then_some(op)
    };
    let op = at(old, turn.pc);
    op.is_some()
        && op == at(new, landing.pc)
        && landing
            .moves
            .iter()
            .all(|(from, to)| *from < old.frame_size && *to < new.frame_size)
        && landing.cells.iter().all(|(to, _)| *to < new.frame_size)
}
