//! `local` declarations and assignments.

use std::sync::Arc;

use moonswap_bytecode::{OpCode, PathStep, VariableKind};

use crate::codegen::function::{FunctionState, reg};
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::expression_text;
use crate::resolve::scope::Place;
use crate::syntax::ast::{Attribute, Expr, ExprId, Symbol};

impl Generator<'_> {
    /// `local names = values`
    pub(crate) fn local(
        &mut self,
        names: &[(Symbol, Attribute, Span)],
        values: &[ExprId],
    ) -> Result<()> {
        let first = self.f.free;
        let mut last = self.expr_list(values, |this, i| match names.get(i) {
            Some((name, _, _)) => this.local_step(*name),
            None => PathStep::Anonymous,
        })?;
        // Only the last variable can be a compile-time constant: the values
        // before it are in registers already.
        let constant = match (names.last(), &last) {
            (Some((_, Attribute::Const, _)), Some(value)) if names.len() == values.len() => {
                value.constant()
            }
            _ => None,
        };
        match constant {
            Some(_) => {}
            None => self.f.adjust(names.len(), values.len(), last.as_mut()),
        }
        self.check_limits()?;
        let mut to_be_closed = None;
        for (i, (name, attribute, span)) in names.iter().enumerate() {
            let register = first.saturating_add(i.min(usize::from(u16::MAX)) as u16);
            let place = match constant {
                Some(value) if i + 1 == names.len() => Place::Constant(value),
                Some(_) | None => Place::Register(register),
            };
            let kind = match attribute {
                Attribute::None => VariableKind::Regular,
                Attribute::Const => VariableKind::Const,
                Attribute::Close => VariableKind::ToBeClosed,
            };
            self.declare(*name, kind, place, *span)?;
            match self.f.scope.active.last().map(|v| v.place) {
                Some(Place::Cell(cell)) => {
                    let constant = self.f.constants.cell(cell);
                    self.f.emit_wide(OpCode::SetCell, reg(register), constant);
                }
                Some(Place::Register(register)) if kind == VariableKind::ToBeClosed => {
                    to_be_closed = Some(register);
                }
                Some(Place::Register(_) | Place::Constant(_)) | None => {}
            }
        }
        if let Some(register) = to_be_closed {
            self.f.scope.mark_to_be_closed();
            self.f.needs_close = true;
            self.f.emit(OpCode::ToBeClosed, 0, reg(register), 0, 0);
        }
        Ok(())
    }

    /// `targets = values`
    pub(crate) fn assign(&mut self, targets: &[ExprId], values: &[ExprId]) -> Result<()> {
        let mut variables: Vec<Operand> = Vec::with_capacity(targets.len());
        for target in targets {
            let variable = self.expr(*target)?;
            if let Expr::Name(name) = self.node(*target) {
                let span = self.span(*target);
                self.check_assignable(*name, span.end, span.line)?;
            }
            self.f.keep_from_conflict(&mut variables, &variable);
            variables.push(variable);
        }
        let last = self.expr_list(values, |this, i| match targets.get(i) {
            Some(target) => PathStep::Field(Arc::from(expression_text(this.ast, *target))),
            None => PathStep::Anonymous,
        })?;
        let Some(mut last) = last else { return Ok(()) };
        if targets.len() == values.len() {
            self.f.discharge(&mut last);
            if let Some(variable) = variables.pop() {
                self.f.store(&variable, &mut last);
            }
        } else {
            self.f.adjust(targets.len(), values.len(), Some(&mut last));
        }
        for variable in variables.iter().rev() {
            let mut value = Operand::new(Kind::Register(self.f.free.saturating_sub(1)));
            self.f.store(variable, &mut value);
        }
        Ok(())
    }
}

impl FunctionState<'_> {
    /// A local that is assigned in the same statement may be the table or key
    /// of another target: those targets get a copy.
    fn keep_from_conflict(&mut self, earlier: &mut [Operand], variable: &Operand) {
        let copy = self.free;
        let mut conflict = false;
        match variable.kind {
            Kind::Local(local) => {
                for target in earlier {
                    match &mut target.kind {
                        Kind::Index { table, key } => {
                            for part in [table, key] {
                                if *part == local {
                                    *part = copy;
                                    conflict = true;
                                }
                            }
                        }
                        Kind::IndexInt { table, .. } | Kind::IndexField { table, .. }
                            if *table == local =>
                        {
                            *table = copy;
                            conflict = true;
                        }
                        _ => {}
                    }
                }
                if conflict {
                    self.emit(OpCode::Move, 0, reg(copy), reg(local), 0);
                    self.reserve(1);
                }
            }
            Kind::Upvalue(assigned) => {
                for target in earlier {
                    if let Kind::IndexUpvalue { upvalue, constant } = target.kind
                        && upvalue == assigned
                    {
                        target.kind = Kind::IndexField {
                            table: copy,
                            constant,
                        };
                        conflict = true;
                    }
                }
                if conflict {
                    self.emit(OpCode::GetUpvalue, 0, reg(copy), assigned, 0);
                    self.reserve(1);
                }
            }
            _ => {}
        }
    }
}
