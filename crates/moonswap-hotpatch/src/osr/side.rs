//! One of the two functions of a move.

use moonswap_bytecode::OpCode;
use moonswap_bytecode::prototype::{Capture, LocalVariable, LoopKind, Prototype, ScopeVariable};

use super::loops::Loops;

/// One of the two functions.
pub(super) struct Side<'a> {
    pub(super) prototype: &'a Prototype,
    pub(super) loops: Loops<'a>,
    /// Instruction and register of each capture of a variable.
    pub(super) captures: Vec<(u32, u16)>,
    /// The same of variables to be closed.
    closing: Vec<(u32, u16)>,
}

impl<'a> Side<'a> {
    pub(super) fn of(prototype: &'a Prototype) -> Self {
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

    pub(super) fn is_captured(&self, local: &LocalVariable) -> bool {
        self.captures.iter().any(|&(pc, register)| {
            register == local.register && local.start_pc <= pc && pc < local.end_pc
        })
    }

    pub(super) fn is_closed(&self, local: &LocalVariable) -> bool {
        self.closing.iter().any(|&(pc, register)| {
            register == local.register && local.start_pc <= pc + 1 && pc < local.end_pc
        })
    }

    /// Register of the hidden variables of a `for` loop.
    pub(super) fn state(&self, at: usize) -> u16 {
        let prepare = self.loops.all[at].start_pc as usize;
        self.prototype
            .code
            .get(prepare)
            .map_or(0, |i| i.register_a())
    }

    /// The variables in sight at an instruction.
    pub(super) fn in_sight(&self, pc: u32) -> impl Iterator<Item = &'a LocalVariable> {
        let locals = self.prototype.debug.locals.iter();
        locals.filter(move |l| l.start_pc <= pc && pc < l.end_pc && !l.name.starts_with('('))
    }

    /// Where the variables in sight at an iteration boundary of a loop are.
    pub(super) fn turn(&self, at: usize) -> u32 {
        let info = self.loops.all[at];
        match info.kind {
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => info.start_pc,
            LoopKind::Numeric | LoopKind::Generic => info.end_pc,
        }
    }

    /// In how many of these loops a variable is declared.
    pub(super) fn level(&self, around: &[usize], local: &LocalVariable) -> usize {
        let inside = |&&at: &&usize| self.loops.all[at].start_pc < local.start_pc;
        around.iter().filter(inside).count()
    }

    /// Its place among the top-level locals, if it is one.
    pub(super) fn top_level(&self, local: &LocalVariable) -> Option<(usize, &'a ScopeVariable)> {
        let mut scope = self.prototype.scope.iter().enumerate();
        scope.find(|(_, v)| {
            // A local function's name is in sight a little earlier.
            v.register == Some(local.register)
                && (v.start_pc..v.end_pc).contains(&local.start_pc)
                && v.name == local.name
        })
    }
}
