//! Statements without loops and assignments.

use std::sync::Arc;

use moonswap_bytecode::{Instruction, MULTI, OpCode, PathStep, VariableKind};

use crate::codegen::function::{FunctionState, reg};
use crate::codegen::jump_list::JumpList;
use crate::codegen::near::token_start;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::expression_text;
use crate::resolve::scope::Place;
use crate::syntax::ast::{Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol};

impl<'a> Generator<'a> {
    /// The statement at position `i` of a block.
    pub(crate) fn statement(&mut self, block: &'a Block, i: usize, in_repeat: bool) -> Result<()> {
        self.tick()?;
        let statement = &block.statements[i];
        let span = statement.span;
        self.f.here = span;
        match &statement.kind {
            StatementKind::Local { names, values } => self.local(names, values)?,
            StatementKind::LocalFunction {
                name,
                name_span,
                function,
            } => {
                self.local_function(*name, *name_span, *function)?;
            }
            StatementKind::Function { target, function } => {
                self.function_statement(*target, *function, span)?
            }
            StatementKind::Assign { targets, values } => self.assign(targets, values)?,
            StatementKind::Call(call) => {
                let value = self.expr(*call)?;
                self.f.set_results(&value, 0);
            }
            StatementKind::Do(body) => self.block(body)?,
            StatementKind::While { condition, body } => self.while_loop(*condition, body, span)?,
            StatementKind::Repeat { body, condition } => {
                self.repeat_loop(body, *condition, span)?
            }
            StatementKind::If { arms, otherwise } => self.if_statement(arms, otherwise.as_ref())?,
            StatementKind::NumericFor {
                variable,
                variable_span,
                start,
                limit,
                step,
                body,
            } => {
                self.numeric_for(
                    (*variable, *variable_span),
                    [*start, *limit],
                    *step,
                    body,
                    span,
                )?;
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => self.generic_for(names, values, body, span)?,
            StatementKind::Goto(name) => self.goto(*name, self.line_of_jump(statement)),
            StatementKind::Label(name) => {
                let rest = &block.statements[i + 1..];
                self.label(*name, span, rest, block.end, in_repeat)?;
            }
            StatementKind::Break => {
                let jump = self.f.jump();
                self.pend(None, jump, span);
            }
            StatementKind::Return(values) => self.return_statement(values)?,
        }
        self.check_limits()?;
        self.f.free = self.f.scope.active_registers();
        Ok(())
    }

    fn local_function(
        &mut self,
        name: Symbol,
        name_span: Span,
        function: FunctionIndex,
    ) -> Result<()> {
        let register = self.f.free;
        self.declare(
            name,
            VariableKind::Regular,
            Place::Register(register),
            name_span,
        )?;
        let step = self.local_step(name);
        let variable = self.f.scope.active.last().map(|v| (v.place, v.debug));
        if let Some((Place::Cell(cell), _)) = variable {
            let mut value = self.closure(function, step)?;
            self.f.store(&Operand::new(Kind::Cell(cell)), &mut value);
            return Ok(());
        }
        self.f.reserve(1);
        let mut value = self.closure(function, step)?;
        self.f.place_in(&mut value, register);
        // The variable has no value before its function exists.
        let pc = self.f.pc();
        if let Some(local) = variable.and_then(|(_, d)| self.f.locals.get_mut(d? as usize)) {
            local.start_pc = pc;
        }
        Ok(())
    }

    fn function_statement(
        &mut self,
        target: ExprId,
        function: FunctionIndex,
        span: Span,
    ) -> Result<()> {
        let literal = self.ast.functions.get(function.0 as usize);
        let text = expression_text(self.ast, target);
        let step = match (self.node(target), literal) {
            (Expr::Field { object, name }, Some(literal)) if literal.is_method => {
                let object = expression_text(self.ast, *object);
                PathStep::Method(Arc::from(format!("{object}:{}", self.name_text(*name))))
            }
            _ => PathStep::Field(Arc::from(text)),
        };
        let variable = self.expr(target)?;
        let mut value = self.closure(function, step)?;
        if let (Expr::Name(name), Some(literal)) = (self.node(target), literal) {
            self.check_assignable(*name, literal.end.end, literal.end.line)?;
        }
        self.f.store(&variable, &mut value);
        // The definition happens where it begins.
        let pc = self.f.pc().wrapping_sub(1);
        self.f.set_place(pc, span);
        Ok(())
    }

    fn if_statement(
        &mut self,
        arms: &'a [(ExprId, Block)],
        otherwise: Option<&'a Block>,
    ) -> Result<()> {
        let mut escapes = JumpList::NONE;
        for (i, (condition, block)) in arms.iter().enumerate() {
            let last = i + 1 == arms.len() && otherwise.is_none();
            let id = *condition;
            let mut condition = self.expr(id)?;
            self.f.here = block.start;
            self.behind(id, 1);
            if let Some(label) = self.lone_jump(block) {
                self.f.go_if_false(&mut condition);
                let place = self.line_of_jump(&block.statements[0]);
                self.pend(label, condition.t, place);
                continue;
            }
            self.f.go_if_true(&mut condition);
            self.block(block)?;
            if !last && !ends_in_jump(block) {
                let escape = self.f.jump();
                escapes = self.f.join(escapes, escape);
            }
            self.f.patch_here(condition.f);
        }
        if let Some(block) = otherwise {
            self.block(block)?;
        }
        self.f.patch_here(escapes);
        Ok(())
    }

    /// Where messages place a `goto` or `break`: a `goto` on the line of its label.
    fn line_of_jump(&self, statement: &Statement) -> Span {
        let span = statement.span;
        let StatementKind::Goto(_) = statement.kind else {
            return span;
        };
        let keyword_end = span.start + "goto".len() as u32;
        let (_, line) = token_start(self.source, keyword_end, span.line);
        Span { line, ..span }
    }

    /// The label if a block is nothing but a jump forward (`None`: `break`):
    /// its condition can jump there itself.
    fn lone_jump(&self, block: &Block) -> Option<Option<Symbol>> {
        let [statement] = &block.statements[..] else {
            return None;
        };
        match statement.kind {
            StatementKind::Break => Some(None),
            StatementKind::Goto(name) if self.f.labels.find(name).is_none() => Some(Some(name)),
            _ => None,
        }
    }

    fn return_statement(&mut self, values: &[ExprId]) -> Result<()> {
        if let [single] = values
            && matches!(
                self.node(*single),
                Expr::Call { .. } | Expr::MethodCall { .. }
            )
            && !self.f.scope.inside_tbc()
        {
            let value = self.expr(*single)?;
            self.f.make_tail_call(&value);
            return Ok(());
        }
        let first = self.f.free;
        let last = self.expr_list(values, |_, i| PathStep::Returned(i as u32 + 1))?;
        let Some(mut last) = last else {
            self.f.emit_return(0, 0);
            return Ok(());
        };
        if last.is_multi() {
            self.f.set_results(&last, MULTI);
            self.f.emit_return_many(first, MULTI);
        } else if values.len() == 1 {
            let register = self.f.place_any(&mut last);
            self.f.emit_return(register, 1);
        } else {
            self.f.place_next(&mut last);
            self.f
                .emit_return_many(first, self.f.free.saturating_sub(first));
        }
        Ok(())
    }
}

/// Whether code after the block can only be reached by a jump.
fn ends_in_jump(block: &Block) -> bool {
    block.statements.last().is_some_and(|s| {
        matches!(
            s.kind,
            StatementKind::Return(_) | StatementKind::Break | StatementKind::Goto(_)
        )
    })
}

impl FunctionState<'_> {
    /// A return of several values, or of all up to the top.
    fn emit_return_many(&mut self, first: u16, n: u16) {
        if self.is_main {
            self.emit(OpCode::KeepScope, 0, 0, 0, 0);
        }
        self.emit(OpCode::Return, 0, reg(first), n, 0);
    }

    /// The call just emitted becomes a tail call.
    fn make_tail_call(&mut self, call: &Operand) {
        let Kind::Call(pc) = call.kind else { return };
        let Some(i) = self.code.get(pc as usize).copied() else {
            return;
        };
        let count = if i.opcode() == Some(OpCode::CallMulti) {
            MULTI
        } else {
            i.b()
        };
        let tail = Instruction::from_raw(OpCode::TailCall, 0, i.a(), count, 0);
        if self.is_main {
            self.modify(pc, |_| Instruction::from_raw(OpCode::KeepScope, 0, 0, 0, 0));
            self.emit(OpCode::TailCall, 0, tail.a(), tail.b(), 0);
        } else {
            self.modify(pc, |_| tail);
        }
    }
}
