//! Building of syntax for delta chunks.

use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{
    Ast, Attribute, BinaryOp, Expr, ExprId, Statement, StatementKind, Symbol, TableItem,
};
use moonswap_compiler::syntax::graft::copy_expression;

use crate::compare::toplevel::outcome::{MergeCode, Removal, ValueCode};
use crate::model::change::DataChange;
use crate::patch::constant::Constant;
use crate::patch::path::Root;
use crate::patch::tree::parts;

/// The chunk's arguments, under names that no text can spell.
const MERGE: &str = "(merge)";
const CHOOSE: &str = "(choose)";
const CLEAR: &str = "(clear)";
const RETURNED: &str = "(returned)";
const ARGUMENTS: &str = "(arguments)";
const HOLD: &str = "(hold)";

/// A syntax tree to which statements are added.
pub(super) struct Edit {
    pub(super) ast: Ast,
    span: Span,
}

impl Edit {
    pub(super) fn new(ast: Ast) -> Self {
        let span = Span {
            line: 1,
            column: 1,
            ..Span::default()
        };
        Self { ast, span }
    }

    /// What is made next stands here.
    pub(super) fn at(&mut self, span: Span) {
        self.span = span;
    }

    pub(super) fn take_body(&mut self) -> Vec<Statement> {
        let main = self.ast.functions.last_mut();
        main.map(|main| std::mem::take(&mut main.body.statements))
            .unwrap_or_default()
    }

    pub(super) fn finish(mut self, statements: Vec<Statement>) -> Ast {
        if let Some(main) = self.ast.functions.last_mut() {
            main.body.statements = statements;
        }
        self.ast
    }

    fn symbol(&mut self, text: &[u8]) -> Symbol {
        let known = self.ast.symbols.iter().position(|s| **s == *text);
        let at = known.unwrap_or_else(|| {
            self.ast.symbols.push(text.into());
            self.ast.symbols.len() - 1
        });
        Symbol(at as u32)
    }

    fn expr(&mut self, expr: Expr) -> ExprId {
        self.ast.exprs.push(expr);
        self.ast.spans.push(self.span);
        self.ast.ends.push(self.span.end);
        ExprId(self.ast.exprs.len() as u32 - 1)
    }

    fn name(&mut self, text: &str) -> ExprId {
        let name = self.symbol(text.as_bytes());
        self.expr(Expr::Name(name))
    }

    fn integer(&mut self, i: usize) -> ExprId {
        self.expr(Expr::Integer(i as i64))
    }

    fn call(&mut self, callee: &str, args: Vec<ExprId>) -> ExprId {
        let callee = self.name(callee);
        self.expr(Expr::Call { callee, args })
    }

    fn statement(&self, kind: StatementKind) -> Statement {
        Statement {
            kind,
            span: self.span,
        }
    }

    /// `local merge, … = ...`
    pub(super) fn prologue(&mut self) -> Statement {
        let names = [MERGE, CHOOSE, CLEAR, RETURNED, ARGUMENTS, HOLD];
        let local = |name: &str| (self.symbol(name.as_bytes()), Attribute::None, self.span);
        let names = names.map(local).to_vec();
        let values = vec![self.expr(Expr::Vararg)];
        self.statement(StatementKind::Local { names, values })
    }

    /// One declaration for each name, values paired. A constant that is a variable in
    /// the whole statement stays one: of several names only the last one is folded.
    pub(super) fn split(&mut self, statement: Statement) -> Vec<(Statement, usize)> {
        let span = statement.span;
        let StatementKind::Local { names, values } = statement.kind else {
            return vec![(statement, 0)];
        };
        let first_folded = match names.len() == values.len() {
            true => names.len() - 1,
            false => names.len(),
        };
        let mut values = values.into_iter();
        let mut parts = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            let mut values: Vec<ExprId> = values.next().into_iter().collect();
            if name.1 == Attribute::Const && !values.is_empty() && index < first_folded {
                // A value too many: the compiler does not fold such a declaration.
                values.push(self.expr(Expr::Nil));
            }
            let kind = StatementKind::Local {
                names: vec![name],
                values,
            };
            parts.push((Statement { kind, span }, index));
        }
        parts
    }

    fn root(&mut self, root: &Root) -> ExprId {
        match root {
            Root::Local(name, _) => self.name(name),
            Root::Global => self.name("_ENV"),
            Root::Returned => self.call(RETURNED, Vec::new()),
        }
    }

    /// Keeps the value of an expression for a change: `hold(i, (value))`.
    pub(super) fn hold(&mut self, number: usize, value: ExprId) -> Statement {
        let number = self.integer(number);
        let value = self.expr(Expr::Paren(value));
        let call = self.call(HOLD, vec![number, value]);
        self.statement(StatementKind::Call(call))
    }

    /// The same of an expression of another tree; `None` if it cannot stand here.
    pub(super) fn hold_of(
        &mut self,
        from: &Ast,
        number: usize,
        value: ExprId,
    ) -> Option<Statement> {
        let value = copy_expression(from, value, &mut self.ast, self.span)?;
        Some(self.hold(number, value))
    }

    /// Copies an expression of another tree.
    pub(super) fn copy_of(&mut self, from: &Ast, value: ExprId) -> Option<ExprId> {
        copy_expression(from, value, &mut self.ast, self.span)
    }

    /// Keeps which of these conditions is the first one that holds, from 1; 0 if none:
    /// `hold(i, a and 1 or b and 2 or 0)`.
    pub(super) fn hold_arm(&mut self, number: usize, conditions: &[ExprId]) -> Statement {
        let mut value = self.integer(0);
        for (i, condition) in conditions.iter().enumerate().rev() {
            let arm = self.integer(i + 1);
            let (lhs, rhs) = (*condition, arm);
            let op = BinaryOp::And;
            let taken = self.expr(Expr::Binary { op, lhs, rhs });
            let (lhs, rhs) = (taken, value);
            let op = BinaryOp::Or;
            value = self.expr(Expr::Binary { op, lhs, rhs });
        }
        self.hold(number, value)
    }

    /// One change of data or of a definition.
    pub(super) fn merge(&mut self, code: &MergeCode, data: &[DataChange]) -> Statement {
        let is_variable = data.get(code.change).is_some_and(|c| c.keys.is_empty())
            && !matches!(code.value, ValueCode::List(_));
        let table = self.root(&code.root);
        let index = self.integer(code.change);
        let value = match &code.value {
            // It was evaluated before.
            _ if code.evaluation.new.is_some() => self.expr(Expr::Nil),
            ValueCode::Nil => self.expr(Expr::Nil),
            ValueCode::Expr(value) => {
                // One value, whatever it is.
                self.expr(Expr::Paren(*value))
            }
            ValueCode::Function(function) => self.expr(Expr::Function(*function)),
            ValueCode::List(items) => {
                let items = items.iter().map(|item| TableItem::Positional(*item));
                let items = items.collect();
                self.expr(Expr::Table(items))
            }
        };
        if !is_variable {
            let call = self.call(MERGE, vec![table, index, value]);
            return self.statement(StatementKind::Call(call));
        }
        let chosen = self.call(CHOOSE, vec![table, index, value]);
        let target = self.root(&code.root);
        self.statement(StatementKind::Assign {
            targets: vec![target],
            values: vec![chosen],
        })
    }

    fn constant(&mut self, value: &Constant) -> ExprId {
        let expr = match value {
            Constant::Nil => Expr::Nil,
            Constant::Boolean(true) => Expr::True,
            Constant::Boolean(false) => Expr::False,
            Constant::Integer(i) => Expr::Integer(*i),
            Constant::Float(bits) => Expr::Float(f64::from_bits(*bits)),
            Constant::String(bytes) => Expr::String(self.symbol(bytes)),
        };
        self.expr(expr)
    }

    /// Clears the field of a removed function, unless something else is there.
    pub(super) fn clearing(&mut self, removal: &Removal, index: usize) -> Statement {
        let mut args = vec![self.root(&removal.root), self.integer(index)];
        for key in &removal.keys {
            args.push(self.constant(key));
        }
        let call = self.call(CLEAR, args);
        self.statement(StatementKind::Call(call))
    }

    /// `...` of the main chunk becomes a call that answers its arguments. Answers
    /// whether the statement has it.
    pub(super) fn replace_arguments(&mut self, kind: &StatementKind) -> bool {
        let mut todo = kind.all_expressions();
        let mut found = false;
        while let Some(expr) = todo.pop() {
            if matches!(self.ast.exprs.get(expr.0 as usize), Some(Expr::Vararg)) {
                found = true;
                let callee = self.name(ARGUMENTS);
                let args = Vec::new();
                self.ast.exprs[expr.0 as usize] = Expr::Call { callee, args };
            }
            todo.extend(parts(&self.ast, expr));
        }
        found
    }
}
