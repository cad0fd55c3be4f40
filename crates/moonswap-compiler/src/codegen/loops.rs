//! Loops. Only `JMPBACK`, `FORLOOP` and `TFORLOOP` go backward.

use std::sync::Arc;

use moonswap_bytecode::{LoopInfo, LoopKind, MULTI, OpCode, PathStep, VariableKind};

use crate::codegen::function::reg;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::scope::Place;
use crate::syntax::ast::{Block, ExprId, Symbol};

/// Hidden variables of a generic loop: function, state, control, closing.
const GENERIC_STATE: u16 = 4;

/// Registers that a call of the iterator needs: itself, link, two arguments.
const ITERATOR_CALL: u16 = 4;

impl<'a> Generator<'a> {
    /// `while condition do body end`
    pub(crate) fn while_loop(
        &mut self,
        condition: ExprId,
        body: &'a Block,
        span: Span,
    ) -> Result<()> {
        let start = self.f.label();
        let mut condition = self.expr(condition)?;
        self.f.go_if_true(&mut condition);
        self.f.here = body.start;
        self.enter_block(true);
        self.block(body)?;
        let header = self.header(span.start.saturating_add(5), body);
        self.note_loop(LoopKind::While, header, span, start, self.f.pc());
        self.f.jump_back(start);
        self.leave_block();
        self.f.patch_here(condition.f);
        Ok(())
    }

    /// `repeat body until condition`; the condition sees the body's locals.
    pub(crate) fn repeat_loop(
        &mut self,
        body: &'a Block,
        condition: ExprId,
        span: Span,
    ) -> Result<()> {
        let start = self.f.label();
        self.enter_block(true);
        self.enter_block(false);
        self.statements(body, true)?;
        let mut condition = self.expr(condition)?;
        self.f.go_if_false(&mut condition);
        if let Some(block) = self.f.scope.blocks.last().copied()
            && block.needs_close
        {
            let level = self.f.scope.register_level(block.n_active);
            self.f.close_from(level);
        }
        self.note_loop(LoopKind::Repeat, "".into(), span, start, self.f.pc());
        self.f.jump_back(start);
        self.f.patch_here(condition.t);
        self.leave_block();
        self.leave_block();
        Ok(())
    }

    /// `for variable = start, limit, step do body end`
    pub(crate) fn numeric_for(
        &mut self,
        variable: (Symbol, Span),
        bounds: [ExprId; 2],
        step: Option<ExprId>,
        body: &'a Block,
        span: Span,
    ) -> Result<()> {
        self.enter_block(true);
        let base = self.f.free;
        for bound in bounds {
            let mut value = self.expr(bound)?;
            self.f.place_next(&mut value);
        }
        let mut step = match step {
            Some(step) => self.expr(step)?,
            None => Operand::new(Kind::Integer(1)),
        };
        self.f.place_next(&mut step);
        for i in 0..3 {
            self.declare_hidden(base.saturating_add(i), variable.1)?;
        }
        self.f.here = body.start;
        let prepare = self.f.emit(OpCode::ForPrep, 0, reg(base), 0, 0);
        self.loop_body(&[variable], body)?;
        let next = self.f.emit_at(span, OpCode::ForLoop, 0, reg(base), 0, 0);
        self.f.set_wide(next, prepare + 1);
        let header = self.header(variable.1.end, body);
        self.note_loop(LoopKind::Numeric, header, span, prepare, next);
        let after = self.f.label();
        self.f.set_wide(prepare, after);
        self.f.here = body.end;
        self.leave_block();
        Ok(())
    }

    /// `for names in values do body end`
    pub(crate) fn generic_for(
        &mut self,
        names: &[(Symbol, Span)],
        values: &[ExprId],
        body: &'a Block,
        span: Span,
    ) -> Result<()> {
        self.enter_block(true);
        let base = self.f.free;
        let mut last = self.expr_list(values, |_, _| PathStep::Anonymous)?;
        self.f
            .adjust(usize::from(GENERIC_STATE), values.len(), last.as_mut());
        let place = names.first().map_or(span, |n| n.1);
        for i in 0..GENERIC_STATE {
            self.declare_hidden(base.saturating_add(i), place)?;
        }
        self.f.scope.mark_to_be_closed();
        self.f.needs_close = true;
        self.f.uncounted += 1;
        self.f.need_registers(ITERATOR_CALL);
        self.f.uncounted -= 1;
        self.f.here = body.start;
        let prepare = self.f.emit(OpCode::TForPrep, 0, reg(base), 0, 0);
        self.loop_body(names, body)?;
        let call = self.f.label();
        self.f.set_wide(prepare, call);
        let first = base.saturating_add(GENERIC_STATE);
        let n = names.len().min(usize::from(MULTI - 1)) as u16;
        // The reference blames the line of the first value.
        let blamed = values.first().map_or(span, |&value| self.span(value));
        self.f
            .emit_at(blamed, OpCode::TForCall, 0, reg(first), 2, n);
        let next = self
            .f
            .emit_at(blamed, OpCode::TForLoop, 0, reg(first), 0, 0);
        self.f.set_wide(next, prepare + 1);
        let header = self.header(names.last().map_or(span.end, |n| n.1.end), body);
        self.note_loop(LoopKind::Generic, header, span, prepare, next);
        self.f.label();
        self.f.here = body.end;
        self.leave_block();
        Ok(())
    }

    /// The text from `from` on to the body of a loop. Blanks do not count, unless
    /// they might stand in a string.
    fn header(&self, from: u32, body: &Block) -> Arc<str> {
        let text = self
            .source
            .get(from as usize..body.start.start as usize)
            .unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let is_plain = !text.contains(['"', '\'']) && !text.contains("--") && !text.contains("[[");
        if is_plain && !text.contains("[=") {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").into()
        } else {
            text.trim().into()
        }
    }

    /// Remembers a loop for patches.
    pub(crate) fn note_loop(
        &mut self,
        kind: LoopKind,
        header: Arc<str>,
        span: Span,
        start_pc: u32,
        end_pc: u32,
    ) {
        // Enough to tell two loops apart.
        const HASHED: usize = 1024;
        let text = self
            .source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default();
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for byte in text.iter().take(HASHED) {
            if !byte.is_ascii_whitespace() {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
        self.f.loops.push(LoopInfo {
            kind,
            header,
            text: hash,
            line: span.line,
            start_pc,
            end_pc,
        });
    }

    /// The body of a `for` with its visible variables.
    fn loop_body(&mut self, names: &[(Symbol, Span)], body: &'a Block) -> Result<()> {
        self.enter_block(false);
        self.f.label();
        self.f.reached = body.start.end.into();
        for (name, span) in names {
            let register = self.f.free;
            self.f.reserve(1);
            self.declare(
                *name,
                VariableKind::Regular,
                Place::Register(register),
                *span,
            )?;
        }
        self.check_limits()?;
        self.block(body)?;
        self.leave_block();
        Ok(())
    }
}
