//! Expressions.
//!
//! The left spine of an expression (operators, calls, indexing) can be a
//! million nodes long, so it is collected first and then worked off from its
//! innermost node outward. Right operands, arguments and keys recurse.

use std::sync::Arc;

use moonswap_bytecode::{OpCode, PathStep};

use crate::codegen::function::{FunctionState, Reached};
use crate::codegen::near::count_lines;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::literal_of;
use crate::syntax::ast::{BinaryOp, Expr, ExprId, Symbol};

/// The reference has larger indices in registers.
const REFERENCE_INDEX: u16 = 255;

/// An expression that does not exist, should the tree refer to one.
const MISSING: Expr = Expr::Nil;

impl<'a> Generator<'a> {
    /// A node of the tree.
    pub(crate) fn node(&self, id: ExprId) -> &'a Expr {
        self.ast.exprs.get(id.0 as usize).unwrap_or(&MISSING)
    }

    /// Where a node stands.
    pub(crate) fn span(&self, id: ExprId) -> Span {
        self.ast
            .spans
            .get(id.0 as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Byte offset behind a node's last token.
    pub(crate) fn end(&self, id: ExprId) -> u32 {
        self.ast
            .ends
            .get(id.0 as usize)
            .copied()
            .unwrap_or(u32::MAX)
    }

    /// Any expression.
    pub(crate) fn expr(&mut self, id: ExprId) -> Result<Operand> {
        self.tick()?;
        self.check_limits()?;
        // Most expressions are leaves: no list is made for them.
        if self.left_of(id).is_none() {
            let value = self.leaf(id);
            self.f.reached = self.end(id).into();
            return value;
        }
        let mut spine = Vec::new();
        let mut at = id;
        while let Some(left) = self.left_of(at) {
            spine.push(at);
            at = left;
        }
        let mut value = self.leaf(at)?;
        self.f.reached = self.end(at).into();
        for id in spine.into_iter().rev() {
            value = self.spine_node(id, value)?;
            self.f.reached = self.end(id).into();
        }
        Ok(value)
    }

    /// The left child of a spine node.
    fn left_of(&self, id: ExprId) -> Option<ExprId> {
        match self.node(id) {
            Expr::Binary {
                op: BinaryOp::Concat,
                ..
            } => None,
            Expr::Binary { lhs, .. } => Some(*lhs),
            Expr::Index { object, .. }
            | Expr::Field { object, .. }
            | Expr::MethodCall { object, .. } => Some(*object),
            Expr::Call { callee, .. } => Some(*callee),
            Expr::Nil
            | Expr::True
            | Expr::False
            | Expr::Vararg
            | Expr::Integer(_)
            | Expr::Float(_)
            | Expr::String(_)
            | Expr::Function(_)
            | Expr::Name(_)
            | Expr::Unary { .. }
            | Expr::Paren(_)
            | Expr::Table(_) => None,
        }
    }

    /// A node whose left child is done.
    fn spine_node(&mut self, id: ExprId, mut left: Operand) -> Result<Operand> {
        self.tick()?;
        let span = self.span(id);
        match self.node(id) {
            Expr::Binary { op, rhs, .. } => {
                // What the operator makes of its left operand is on its line.
                self.f.here = span;
                self.f.reached = span.end.into();
                self.f.infix(*op, &mut left);
                let right = self.expr(*rhs)?;
                Ok(self.f.postfix(*op, left, right, span))
            }
            Expr::Field { name, .. } => {
                let operand = self.field(&mut left, *name);
                self.f.here = self.end_of(id, span);
                Ok(operand)
            }
            Expr::Index { key, .. } => {
                let operand = self.index(left, *key, id);
                self.f.here = self.end_of(id, span);
                operand
            }
            Expr::Call { callee, args } => {
                let operand = self.call(left, *callee, args, (id, span))?;
                self.f.here = self.end_of(id, span);
                Ok(operand)
            }
            Expr::MethodCall { object, name, args } => {
                let line = self.ast.method_lines.get(&id).copied();
                let name_span = Span {
                    line: line.unwrap_or(span.line),
                    ..span
                };
                let operand =
                    self.method_call(left, *object, (*name, name_span), args, (id, span))?;
                self.f.here = self.end_of(id, span);
                Ok(operand)
            }
            _ => Ok(left),
        }
    }

    /// The place of what is done next with the value of a call or an indexing.
    fn end_of(&self, id: ExprId, span: Span) -> Span {
        let line = self.ast.end_lines.get(&id).copied();
        Span {
            line: line.unwrap_or(span.line),
            ..span
        }
    }

    /// The reference is `skip` tokens behind the end of an expression.
    pub(crate) fn behind(&mut self, id: ExprId, skip: u8) {
        self.f.reached = Reached {
            offset: self.end(id),
            skip,
        };
    }

    /// Goes to the line where a list's item is fetched.
    pub(crate) fn at_separator(&mut self, item: ExprId) {
        if let Some(&line) = self.ast.separator_lines.get(&item) {
            self.f.here.line = line;
        }
    }

    /// `object[key]`
    fn index(&mut self, mut object: Operand, key: ExprId, id: ExprId) -> Result<Operand> {
        if let Expr::String(name) = self.node(key)
            && self.f.is_field_key(*name)
        {
            return Ok(self.field(&mut object, *name));
        }
        let table = self.f.place_any(&mut object);
        let mut key = self.expr(key)?;
        self.f.reached = self.end(id).into();
        Ok(self.f.indexed(table, &mut key))
    }

    fn leaf(&mut self, id: ExprId) -> Result<Operand> {
        let span = self.span(id);
        let kind = match self.node(id) {
            Expr::Nil => Kind::Nil,
            Expr::True => Kind::True,
            Expr::False => Kind::False,
            Expr::Integer(i) => Kind::Integer(*i),
            Expr::Float(f) => Kind::Float(*f),
            Expr::String(s) => Kind::String(*s),
            Expr::Vararg => {
                self.f.here = span;
                Kind::Vararg(self.f.emit(OpCode::Vararg, 0, 0, 1, 0))
            }
            Expr::Name(name) => return Ok(self.name(*name, span)),
            Expr::Function(function) => return self.closure(*function, PathStep::Anonymous),
            Expr::Table(items) => return self.table(items, "", (id, span)),
            Expr::Unary { op, operand } => {
                let operand = self.expr(*operand)?;
                return Ok(self.f.unary(*op, operand, span));
            }
            Expr::Paren(inner) => {
                let mut value = self.expr(*inner)?;
                // What is still to be fetched is fetched behind the `)`.
                let text = self.source.get(span.start as usize..span.end as usize);
                self.f.here.line = span.line + count_lines(text.unwrap_or_default());
                self.f.discharge(&mut value);
                return Ok(value);
            }
            Expr::Binary { .. } => return self.concat(id),
            Expr::Index { .. }
            | Expr::Field { .. }
            | Expr::MethodCall { .. }
            | Expr::Call { .. } => Kind::Nil,
        };
        self.f.here = span;
        Ok(Operand::new(kind))
    }

    /// `a .. b .. c`: all operands in consecutive registers, one instruction.
    fn concat(&mut self, id: ExprId) -> Result<Operand> {
        let first = self.f.free;
        let mut at = id;
        let mut count: u16 = 1;
        let mut span = self.span(id);
        while let Expr::Binary {
            op: BinaryOp::Concat,
            lhs,
            rhs,
        } = self.node(at)
        {
            span = self.span(at);
            let mut value = self.expr(*lhs)?;
            self.f.here = span;
            self.f.reached = span.end.into();
            self.f.place_next(&mut value);
            count = count.saturating_add(1);
            at = *rhs;
        }
        let mut value = self.expr(at)?;
        self.f.place_next(&mut value);
        self.f.free = first;
        Ok(Operand::new(Kind::Relocatable(
            self.f.emit_concat(span, first, count),
        )))
    }

    /// An expression that is bound to something: a literal takes its identity
    /// from `step`, and so do the literals inside a table constructor.
    pub(crate) fn bound(&mut self, id: ExprId, step: impl FnOnce() -> PathStep) -> Result<Operand> {
        if let Some(function) = literal_of(self.ast, id) {
            return self.closure(function, step());
        }
        if let Expr::Table(items) = self.node(id) {
            let prefix = match step() {
                PathStep::Local(name) | PathStep::Field(name) | PathStep::TableField(name) => name,
                PathStep::Method(_)
                | PathStep::TableItem(_)
                | PathStep::Argument(..)
                | PathStep::Returned(_)
                | PathStep::Anonymous => Arc::from(""),
            };
            let span = self.span(id);
            let value = self.table(items, &prefix, (id, span));
            self.f.reached = self.end(id).into();
            return value;
        }
        self.expr(id)
    }

    /// Evaluates an expression list; all values but the last go to the next
    /// registers, the last is handed back undecided.
    pub(crate) fn expr_list(
        &mut self,
        values: &[ExprId],
        mut step: impl FnMut(&mut Self, usize) -> PathStep,
    ) -> Result<Option<Operand>> {
        let mut last = None;
        for (i, value) in values.iter().enumerate() {
            if let Some(mut operand) = last.take() {
                self.at_separator(values[i - 1]);
                self.behind(values[i - 1], 1);
                self.f.place_next(&mut operand);
            }
            last = Some(self.bound_by(*value, i, &mut step)?);
        }
        Ok(last)
    }

    fn bound_by(
        &mut self,
        value: ExprId,
        i: usize,
        step: &mut impl FnMut(&mut Self, usize) -> PathStep,
    ) -> Result<Operand> {
        let binds =
            literal_of(self.ast, value).is_some() || matches!(self.node(value), Expr::Table(_));
        if !binds {
            return self.expr(value);
        }
        let step = step(self, i);
        self.bound(value, || step)
    }

    /// The step of a literal bound to a local variable.
    pub(crate) fn local_step(&mut self, name: Symbol) -> PathStep {
        PathStep::Local(self.name_text(name))
    }
}

impl FunctionState<'_> {
    /// `table[key]` with the table in a register.
    pub(crate) fn indexed(&mut self, table: u16, key: &mut Operand) -> Operand {
        if !key.has_jumps() {
            if let Kind::String(name) = key.kind
                && self.is_field_key(name)
            {
                let constant = self.string_operand(name);
                return Operand::new(Kind::IndexField { table, constant });
            }
            if let Kind::Integer(i) = key.kind
                && let Ok(index) = u16::try_from(i)
            {
                if index > REFERENCE_INDEX {
                    self.need_registers(1);
                }
                return Operand::new(Kind::IndexInt { table, index });
            }
        }
        let key = self.place_any(key);
        Operand::new(Kind::Index { table, key })
    }

    /// `CONCAT` of `count` registers.
    fn emit_concat(&mut self, span: Span, first: u16, count: u16) -> u32 {
        self.emit_at(
            span,
            OpCode::Concat,
            0,
            0,
            crate::codegen::function::reg(first),
            count,
        )
    }
}
