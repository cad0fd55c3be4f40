//! Calls: function, link register, arguments, in consecutive registers.

use std::sync::Arc;

use moonswap_bytecode::{MULTI, OpCode, PathStep};

use crate::codegen::function::reg;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::{expression_text, symbol_text};
use crate::syntax::ast::{ExprId, Symbol};

impl Generator<'_> {
    /// `callee(args)`
    pub(crate) fn call(
        &mut self,
        mut function: Operand,
        callee: ExprId,
        args: &[ExprId],
        (id, span): (ExprId, Span),
    ) -> Result<Operand> {
        let base = self.f.place_next(&mut function);
        let held = self.f.uncounted;
        self.f.uncounted = held.saturating_add(1);
        self.f.reserve(1);
        let value = self.finish_call(base, 0, args, (id, span), |this| {
            expression_text(this.ast, callee)
        });
        self.f.uncounted = held;
        value
    }

    /// `object:name(args)`
    pub(crate) fn method_call(
        &mut self,
        mut object: Operand,
        target: ExprId,
        (name, name_span): (Symbol, Span),
        args: &[ExprId],
        (id, span): (ExprId, Span),
    ) -> Result<Operand> {
        self.f.here = name_span;
        self.f.reached = span.start.into();
        let source = self.f.place_any(&mut object);
        self.f.free_operand(&object);
        let base = self.f.free;
        let held = self.f.uncounted;
        self.f.uncounted = held.saturating_add(1);
        self.f.reserve(3);
        if self.f.is_field_key(name) {
            let key = self.f.string_operand(name);
            self.f
                .emit_at(name_span, OpCode::SelfField, 0, reg(base), reg(source), key);
        } else {
            // The link register is free until the call: the key waits there.
            self.f
                .emit_at(name_span, OpCode::Move, 0, reg(base + 2), reg(source), 0);
            let key = self.f.constants.string(self.ast, name);
            let load = self.f.emit_wide(OpCode::LoadConst, reg(base + 1), key);
            self.f.set_place(load, name_span);
            self.f.emit_at(
                name_span,
                OpCode::GetTable,
                0,
                reg(base),
                reg(base + 2),
                reg(base + 1),
            );
        }
        let value = self.finish_call(base, 1, args, (id, span), |this| {
            format!(
                "{}:{}",
                expression_text(this.ast, target),
                symbol_text(this.ast, name)
            )
        });
        self.f.uncounted = held;
        value
    }

    /// The arguments and the call itself; `given` arguments are in place.
    fn finish_call(
        &mut self,
        base: u16,
        given: u16,
        args: &[ExprId],
        (id, span): (ExprId, Span),
        callee: impl Fn(&Self) -> String,
    ) -> Result<Operand> {
        let mut text: Option<Arc<str>> = None;
        let last = self.expr_list(args, |this, i| {
            let text = text.get_or_insert_with(|| Arc::from(callee(this)));
            PathStep::Argument(Arc::clone(text), i as u32 + 1)
        })?;
        let mut open = false;
        if let Some(mut last) = last {
            if last.is_multi() {
                self.f.set_results(&last, MULTI);
                open = true;
            } else {
                if let Some(&item) = args.last() {
                    self.at_separator(item);
                }
                self.f.reached = self.end(id).into();
                self.f.place_next(&mut last);
            }
        }
        let n = (args.len() as u64 + u64::from(given)).min(u64::from(MULTI - 1)) as u16;
        let pc = if open {
            self.f.emit_at(span, OpCode::CallMulti, 0, reg(base), 0, 1)
        } else {
            self.f.emit_at(span, OpCode::Call, 0, reg(base), n, 1)
        };
        self.check_limits()?;
        self.f.free = base + 1;
        self.f.here = span;
        Ok(Operand::new(Kind::Call(pc)))
    }
}
