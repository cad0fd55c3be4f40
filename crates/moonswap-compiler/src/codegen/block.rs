//! Blocks, labels and jumps to them.

use std::sync::Arc;

use moonswap_bytecode::LoopKind;

use crate::codegen::jump_list::JumpList;
use crate::codegen::label::{Label, PendingJump};
use crate::codegen::near::following;
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::scope::Place;
use crate::syntax::ast::{Block, Statement, StatementKind, Symbol};

impl<'a> Generator<'a> {
    /// Opens a block; a loop's block is what `break` leaves.
    pub(crate) fn enter_block(&mut self, is_loop: bool) {
        let (labels, pending) = (self.f.labels.labels.len(), self.f.labels.pending.len());
        self.f.scope.enter(is_loop, labels, pending);
    }

    /// Closes the innermost block.
    pub(crate) fn leave_block(&mut self) {
        let Some(block) = self.f.scope.blocks.last().copied() else {
            return;
        };
        let level = self.f.scope.register_level(block.n_active);
        self.end_variables(block.n_active);
        let nested = self.f.scope.blocks.len() > 1;
        let closed = block.is_loop && self.place_label(None, block.first_goto);
        if !closed && nested && block.needs_close {
            self.f.close_from(level);
        }
        self.f.free = level;
        self.f.scope.blocks.pop();
        if nested {
            self.f.labels.leave_block(
                block.first_label,
                block.first_goto,
                block.n_active,
                level,
                block.needs_close,
            );
        }
    }

    /// The variables above the first `n` go out of scope.
    fn end_variables(&mut self, n: usize) {
        let pc = self.f.pc();
        let f = &mut self.f;
        for variable in f.scope.active.drain(n.min(f.scope.active.len())..) {
            if let Some(local) = variable.debug.and_then(|i| f.locals.get_mut(i as usize)) {
                local.end_pc = pc;
            }
            if let Some(scope) = variable
                .scope
                .and_then(|i| f.scope_variables.get_mut(i as usize))
            {
                scope.end_pc = pc;
            }
        }
    }

    /// Lets the pending jumps to `name` arrive here; true if that needed a
    /// `CLOSE`.
    fn place_label(&mut self, name: Option<Symbol>, first_goto: usize) -> bool {
        let jumps = self.f.labels.take(name, first_goto);
        let mut needs_close = false;
        for jump in jumps {
            needs_close |= jump.needs_close;
            self.f.patch_here(jump.jumps);
        }
        if needs_close {
            let level = self.f.scope.active_registers();
            self.f.close_from(level);
        }
        needs_close
    }

    /// A jump that arrives at a label still to come.
    pub(crate) fn pend(&mut self, name: Option<Symbol>, jumps: JumpList, span: Span) {
        let pending = PendingJump {
            name,
            jumps,
            span,
            n_active: self.f.scope.active.len(),
            level: self.f.scope.active_registers(),
            needs_close: false,
        };
        self.f.labels.pending.push(pending);
    }

    /// `goto name`
    pub(crate) fn goto(&mut self, name: Symbol, span: Span) {
        self.f.here = span;
        let Some(label) = self.f.labels.find(name) else {
            let jump = self.f.jump();
            self.pend(Some(name), jump, span);
            return;
        };
        let level = self.f.scope.register_level(label.n_active);
        if self.f.scope.active_registers() > level {
            self.f.close_from(level);
        }
        let name = self.name_text(name);
        self.note_loop(LoopKind::Label, name, span, label.pc, self.f.pc());
        self.f.jump_back(label.pc);
    }

    /// `::name::`, followed in its block by `rest`.
    pub(crate) fn label(
        &mut self,
        name: Symbol,
        span: Span,
        rest: &[Statement],
        end: Span,
        in_repeat: bool,
    ) -> Result<()> {
        if let Some(label) = self.f.labels.find(name) {
            let message = format!(
                "label '{}' already defined on line {}",
                self.name_text(name),
                label.line
            );
            let (_, place) = following(self.source, span.end, span.line);
            return Err(self.error(place, message));
        }
        let next = rest
            .iter()
            .find(|s| !matches!(s.kind, StatementKind::Label(_)));
        let Some(block) = self.f.scope.blocks.last().copied() else {
            return Ok(());
        };
        // At the end of a block its variables count as out of scope already; an
        // `until`, in place or not, is no such end.
        let end_text = self.source.get(end.start as usize..).unwrap_or_default();
        let is_end = if in_repeat {
            // Its `until` is missing, which is told later.
            end_text.is_empty() || end_text.starts_with(b"e")
        } else {
            !end_text.starts_with(b"until")
        };
        let n_active = if next.is_none() && is_end {
            block.n_active
        } else {
            self.f.scope.active.len()
        };
        let place = next.map_or(end, |s| s.span);
        let jumping_in = self.f.labels.pending.iter().skip(block.first_goto);
        if let Some(jump) = jumping_in
            .copied()
            .find(|j| j.name == Some(name) && j.n_active < n_active)
        {
            return Err(self.jump_into_scope(&jump, place));
        }
        let pc = self.f.label();
        self.f.labels.labels.push(Label {
            name,
            pc,
            line: span.line,
            n_active,
        });
        let closed = self.place_label(Some(name), block.first_goto);
        // A patch may open the top-level locals of a running main chunk at any
        // safe point, the backward jump to this label among them.
        if !closed && self.f.is_main && self.f.scope.blocks.len() == 1 {
            let level = self.f.scope.active_registers();
            self.f.close_from(level);
        }
        Ok(())
    }

    fn jump_into_scope(&mut self, jump: &PendingJump, place: Span) -> Box<crate::CompileError> {
        let variable = self.f.scope.active.get(jump.n_active).and_then(|v| v.name);
        let variable = match variable {
            Some(name) => self.name_text(name),
            None => Arc::clone(&self.for_state),
        };
        let label = jump
            .name
            .map_or_else(|| "break".into(), |n| self.name_text(n));
        let line = jump.span.line;
        self.error(
            place,
            format!("<goto {label}> at line {line} jumps into the scope of local '{variable}'"),
        )
    }

    /// At the end of a function no jump may be pending.
    pub(crate) fn check_pending_jumps(&mut self, end: Span) -> Result<()> {
        let Some(jump) = self.f.labels.pending.first().copied() else {
            return Ok(());
        };
        if end.start >= self.failed_at {
            return Ok(());
        }
        let line = jump.span.line;
        let message = match jump.name {
            None => format!("break outside loop at line {line}"),
            Some(name) => format!(
                "no visible label '{}' for <goto> at line {line}",
                self.name_text(name)
            ),
        };
        let (_, place) = following(self.source, end.end, end.line);
        Err(self.error(place, message))
    }

    /// A block with a scope of its own.
    pub(crate) fn block(&mut self, block: &'a Block) -> Result<()> {
        self.enter_block(false);
        self.statements(block, false)?;
        self.leave_block();
        Ok(())
    }

    /// The statements of a block in the current scope.
    pub(crate) fn statements(&mut self, block: &'a Block, in_repeat: bool) -> Result<()> {
        for i in 0..block.statements.len() {
            self.statement(block, i, in_repeat)?;
        }
        Ok(())
    }

    /// The statements of a main chunk of which some are only compiled for
    /// their declarations and the identities in them.
    pub(crate) fn selected_statements(&mut self, block: &'a Block) -> Result<()> {
        let selected = self.options.statements.unwrap_or_default();
        for i in 0..block.statements.len() {
            let start = self.f.code.len();
            let (n_children, n_sites) = (self.f.children.len(), self.f.sites.len());
            let n_pending = self.f.labels.pending.len();
            let (n_locals, n_scope) = (self.f.locals.len(), self.f.scope_variables.len());
            let n_loops = self.f.loops.len();
            let keep = selected.get(i).copied().unwrap_or(false);
            self.dropping = !keep;
            self.statement(block, i, false)?;
            self.dropping = false;
            if keep {
                continue;
            }
            self.f.truncate(start);
            self.f.children.truncate(n_children);
            self.f.sites.truncate(n_sites);
            self.f.labels.pending.truncate(n_pending);
            self.f.loops.truncate(n_loops);
            for label in &mut self.f.labels.labels {
                label.pc = label.pc.min(start as u32);
            }
            // Nor do variables of inner blocks reach into code that is gone.
            for local in &mut self.f.locals[n_locals..] {
                local.start_pc = local.start_pc.min(start as u32);
                local.end_pc = local.end_pc.min(start as u32);
            }
            for variable in &mut self.f.scope_variables[n_scope..] {
                variable.start_pc = variable.start_pc.min(start as u32);
                variable.end_pc = variable.end_pc.min(start as u32);
            }
            // A register of a statement that does not run holds nothing.
            let f = &mut self.f;
            for variable in &mut f.scope.active {
                let debug = variable.debug.and_then(|d| f.locals.get_mut(d as usize));
                if let (Place::Register(_), Some(local)) = (variable.place, debug) {
                    local.start_pc = local.start_pc.min(start as u32);
                    local.end_pc = local.end_pc.min(start as u32);
                }
            }
        }
        if let Some((span, name)) = self.uses_absent {
            let name = self.name_text(name);
            let message = format!("local '{name}' is declared by a statement that does not run");
            return Err(self.error(span, message));
        }
        Ok(())
    }
}
