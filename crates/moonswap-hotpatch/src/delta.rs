//! Delta chunks: what of the new main chunk runs, compiled beside the running
//! instance, whose top-level locals it reaches as cells.
//!
//! Two of them, so that everything that may fail runs before anything is
//! stored where others see it: first the initialisers of new locals and the
//! statements chosen by `run`, then definitions of added functions and
//! configuration constants.
//!
//! A definition runs raw and only where nothing stands:
//! `if standing(M, "f", "M.f") == nil then rawset(M, "f", function … end)
//! else skipped["M.f"] = true end`. `standing` and `rawset` are the chunk's
//! arguments (the text may have globals of these names), and it returns
//! the table `skipped`. `standing` answers nil, too, for what a text before this
//! one put there. A configuration constant is stored where nobody changed the
//! variable: `if MAX == 10 then MAX = 20 else skipped["MAX"] = true end`. Fields of removed functions are cleared last, by a third
//! one: `if not clear(M, "f", 0) then skipped["M.f"] = true end`.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::{Capture, Prototype, UpvalueDescription};
use moonswap_compiler::syntax::ast::{
    Ast, Attribute, BinaryOp, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol,
    UnaryOp,
};
use moonswap_compiler::{CompileError, CompileOptions, Span, compile_ast};

use crate::outline::{statement_literals, symbol_text};
use crate::removal::Removal;
use crate::statements::{Constant, definition, target_text};
use crate::toplevel::Action;

/// A new main chunk cut down to some of its statements.
pub(crate) struct Delta<'a> {
    pub(crate) chunk: &'a str,
    pub(crate) source: &'a [u8],
    pub(crate) ast: &'a Ast,
    pub(crate) actions: &'a HashMap<usize, Action>,
    pub(crate) removals: &'a [Removal],
    pub(crate) options: CompileOptions<'a>,
    /// The main chunk made for the commit: closures get its children.
    pub(crate) main: &'a Prototype,
}

/// Which of the two chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Initialise,
    Define,
}

impl Delta<'_> {
    /// Compiles the statements of a stage; `None` if it has none.
    pub(crate) fn compile(&self, stage: Stage) -> Result<Option<Arc<Prototype>>, CompileError> {
        let of_stage = |action: &Action| match action {
            Action::Run | Action::RunNames(_) => stage == Stage::Initialise,
            Action::Define | Action::Configure(_) => stage == Stage::Define,
        };
        let clears = stage == Stage::Define && !self.removals.is_empty();
        if !clears && !self.actions.values().any(of_stage) {
            return Ok(None);
        }
        // A tree of its own: statements are cut out of it.
        let mut edit = Edit {
            ast: self.ast.clone(),
            span: Span::default(),
            locals: Vec::new(),
        };
        edit.find_locals();
        let Some(body) = edit
            .ast
            .functions
            .last_mut()
            .map(|main| std::mem::take(&mut main.body.statements))
        else {
            return Ok(None);
        };
        let mut statements = Vec::with_capacity(body.len() + 3);
        let mut keep = Vec::with_capacity(body.len() + 3);
        // Which children of the main chunk the children of this chunk are.
        let mut child_of = Vec::new();
        let mut n_children = 0;
        if stage == Stage::Define {
            statements.extend(edit.prologue());
            keep.extend([true, true]);
        }
        for (at, statement) in body.into_iter().enumerate() {
            edit.span = statement.span;
            let n_literals = statement_literals(&edit.ast, &statement.kind).len();
            let literals = n_children..n_children + n_literals;
            n_children = literals.end;
            match self.actions.get(&at).filter(|action| of_stage(action)) {
                None => {
                    child_of.extend(literals.map(|i| (i, false)));
                    statements.push(statement);
                    keep.push(false);
                }
                Some(Action::Run) => {
                    child_of.extend(literals.map(|i| (i, true)));
                    statements.push(statement);
                    keep.push(true);
                }
                Some(Action::Configure(before)) => {
                    let store = edit.configured(&statement, before);
                    keep.push(store.is_none());
                    keep.extend(store.is_some().then_some(true));
                    statements.push(statement);
                    statements.extend(store);
                }
                Some(Action::RunNames(names)) => {
                    for (part, index) in edit.split(statement) {
                        let n = statement_literals(&edit.ast, &part.kind).len();
                        let start = child_of.last().map_or(0, |(i, _): &(usize, bool)| i + 1);
                        let kept = names.contains(&index);
                        child_of.extend((start..start + n).map(|i| (i, kept)));
                        statements.push(part);
                        keep.push(kept);
                    }
                }
                Some(Action::Define) => {
                    child_of.extend(literals.map(|i| (i, true)));
                    statements.push(edit.guarded(statement));
                    keep.push(true);
                }
            }
        }
        if stage == Stage::Define {
            for (i, removal) in self.removals.iter().enumerate() {
                statements.push(edit.clearing(removal, i));
                keep.push(true);
            }
            let skipped = edit.name("(skipped)");
            statements.push(edit.statement(StatementKind::Return(vec![skipped])));
            keep.push(true);
        }
        let Edit { mut ast, .. } = edit;
        if let Some(main) = ast.functions.last_mut() {
            main.body.statements = statements;
        }
        let options = CompileOptions {
            delta: true,
            statements: Some(&keep),
            ..self.options
        };
        let compiled = compile_ast(self.chunk, self.source, &ast, options)?;
        Ok(Some(self.with_children(compiled, &child_of)))
    }

    /// Replaces the children by those of the main chunk, so that closures made
    /// here belong to the same literals.
    fn with_children(
        &self,
        compiled: Arc<Prototype>,
        child_of: &[(usize, bool)],
    ) -> Arc<Prototype> {
        let mut delta = Prototype::clone(&compiled);
        let places: Vec<usize> = if delta.children.len() == child_of.len() {
            child_of.iter().map(|(i, _)| *i).collect()
        } else {
            child_of
                .iter()
                .filter(|(_, kept)| *kept)
                .map(|(i, _)| *i)
                .collect()
        };
        for (child, place) in delta.children.iter_mut().zip(places) {
            if let Some(own) = self.main.children.get(place) {
                *child = own.clone();
            }
        }
        // It has no variables of its own to keep: KEEPSCOPE, which stands
        // before each return of a main chunk, finds nothing to do.
        delta.scope = Box::default();
        // The order of captured variables is that of the literal's slot.
        for site in &mut delta.sites {
            let (as_compiled, own) = (
                &compiled.children[site.child as usize],
                &delta.children[site.child as usize],
            );
            let capture = |wanted: &UpvalueDescription| {
                let same = |u: &UpvalueDescription| {
                    u.name == wanted.name
                        && u.declaration == wanted.declaration
                        && u.top_level == wanted.top_level
                };
                as_compiled
                    .upvalues
                    .iter()
                    .position(same)
                    .map_or(Capture::Vacant, |i| site.captures[i])
            };
            site.captures = own.upvalues.iter().map(capture).collect();
        }
        Arc::new(delta)
    }
}

/// Building of syntax.
struct Edit {
    ast: Ast,
    span: Span,
    /// Names of the main chunk's top-level locals.
    locals: Vec<Symbol>,
}

impl Edit {
    fn symbol(&mut self, text: &str) -> Symbol {
        self.symbol_of(text.as_bytes())
    }

    fn symbol_of(&mut self, text: &[u8]) -> Symbol {
        let at = self
            .ast
            .symbols
            .iter()
            .position(|s| **s == *text)
            .unwrap_or_else(|| {
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
        let name = self.symbol(text);
        self.expr(Expr::Name(name))
    }

    fn string(&mut self, text: &str) -> ExprId {
        let text = self.symbol(text);
        self.expr(Expr::String(text))
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

    fn block(&self, statements: Vec<Statement>) -> Block {
        Block {
            statements,
            start: self.span,
            end: self.span,
        }
    }

    /// `local standing, rawset, clear = ...` and `local skipped = {}` under names that
    /// no text can spell.
    fn prologue(&mut self) -> [Statement; 2] {
        self.span = Span {
            line: 1,
            column: 1,
            ..Span::default()
        };
        let local = |edit: &mut Self, names: &[&str], value| {
            let names = names
                .iter()
                .map(|n| (edit.symbol(n), Attribute::None, edit.span))
                .collect();
            let values = vec![edit.expr(value)];
            edit.statement(StatementKind::Local { names, values })
        };
        [
            local(self, &["(standing)", "(rawset)", "(clear)"], Expr::Vararg),
            local(self, &["(skipped)"], Expr::Table(Vec::new())),
        ]
    }

    /// One declaration for each name, values paired.
    fn split(&self, statement: Statement) -> Vec<(Statement, usize)> {
        let span = statement.span;
        let StatementKind::Local { names, values } = statement.kind else {
            return vec![(statement, 0)];
        };
        let mut values = values.into_iter();
        let one = |(index, name)| {
            let kind = StatementKind::Local {
                names: vec![name],
                values: values.next().into_iter().collect(),
            };
            (Statement { kind, span }, index)
        };
        names.into_iter().enumerate().map(one).collect()
    }

    /// A definition that takes effect only where nothing stands.
    fn guarded(&mut self, statement: Statement) -> Statement {
        let Some(target) = definition(&self.ast, &statement.kind) else {
            return statement;
        };
        let function = match &statement.kind {
            StatementKind::Function { function, .. } => *function,
            StatementKind::Assign { values, .. } => match values
                .first()
                .and_then(|v| self.ast.exprs.get(v.0 as usize))
            {
                Some(Expr::Function(function)) => *function,
                _ => return statement,
            },
            _ => return statement,
        };
        let text = target_text(&self.ast, target);
        let local = matches!(self.ast.exprs[target.0 as usize], Expr::Name(name) if self.locals.contains(&name));
        let closure =
            |edit: &mut Self, function: FunctionIndex| edit.expr(Expr::Function(function));
        let (current, store) = if local {
            let current = self.copy(target);
            let value = closure(self, function);
            (
                current,
                self.statement(StatementKind::Assign {
                    targets: vec![target],
                    values: vec![value],
                }),
            )
        } else {
            let (object, key) = match self.ast.exprs[target.0 as usize] {
                Expr::Field { object, name } => (object, symbol_text(&self.ast, name)),
                Expr::Name(name) => (self.name("_ENV"), symbol_text(&self.ast, name)),
                _ => return statement,
            };
            let (again, key_again) = (self.copy(object), self.string(&key));
            let name = self.string(&text);
            let current = self.call("(standing)", vec![again, key_again, name]);
            let (key, value) = (self.string(&key), closure(self, function));
            let call = self.call("(rawset)", vec![object, key, value]);
            (current, self.statement(StatementKind::Call(call)))
        };
        let nil = self.expr(Expr::Nil);
        let condition = self.expr(Expr::Binary {
            op: BinaryOp::Eq,
            lhs: current,
            rhs: nil,
        });
        self.unless_skipped(condition, store, &text)
    }

    /// The declaration of a configuration constant as an assignment to its
    /// variable, if that still holds `before`.
    fn configured(&mut self, declaration: &Statement, before: &Constant) -> Option<Statement> {
        let StatementKind::Local { names, values } = &declaration.kind else {
            return None;
        };
        let &(name, ..) = names.first()?;
        let text = symbol_text(&self.ast, name);
        let value = match values.first() {
            Some(value) => *value,
            None => self.expr(Expr::Nil),
        };
        let (current, target) = (self.expr(Expr::Name(name)), self.expr(Expr::Name(name)));
        let before = self.constant(before);
        let condition = self.expr(Expr::Binary {
            op: BinaryOp::Eq,
            lhs: current,
            rhs: before,
        });
        let store = self.statement(StatementKind::Assign {
            targets: vec![target],
            values: vec![value],
        });
        Some(self.unless_skipped(condition, store, &text))
    }

    fn constant(&mut self, value: &Constant) -> ExprId {
        let expr = match value {
            Constant::Nil => Expr::Nil,
            Constant::Boolean(true) => Expr::True,
            Constant::Boolean(false) => Expr::False,
            Constant::Integer(i) => Expr::Integer(*i),
            Constant::Float(bits) => Expr::Float(f64::from_bits(*bits)),
            Constant::String(bytes) => Expr::String(self.symbol_of(bytes)),
        };
        self.expr(expr)
    }

    /// `if condition then store else skipped[text] = true end`
    fn unless_skipped(&mut self, condition: ExprId, store: Statement, text: &str) -> Statement {
        let note = self.note(text);
        let (then, otherwise) = (self.block(vec![store]), self.block(vec![note]));
        self.statement(StatementKind::If {
            arms: vec![(condition, then)],
            otherwise: Some(otherwise),
        })
    }

    /// Clears the field of a removed function, unless something else is there.
    fn clearing(&mut self, removal: &Removal, index: usize) -> Statement {
        let text = removal.path.join(".");
        let mut fields = removal.path.iter();
        let key = fields.next_back().map_or("", |key| key);
        let mut object = match fields.next() {
            Some(root) => self.name(root),
            None => self.name("_ENV"),
        };
        for field in fields {
            let name = self.symbol(field);
            object = self.expr(Expr::Field { object, name });
        }
        let (key, index) = (self.string(key), self.expr(Expr::Integer(index as i64)));
        let operand = self.call("(clear)", vec![object, key, index]);
        let op = UnaryOp::Not;
        let condition = self.expr(Expr::Unary { op, operand });
        let note = self.note(&text);
        self.statement(StatementKind::If {
            arms: vec![(condition, self.block(vec![note]))],
            otherwise: None,
        })
    }

    /// `skipped[text] = true`
    fn note(&mut self, text: &str) -> Statement {
        let (skipped, key, yes) = (
            self.name("(skipped)"),
            self.string(text),
            self.expr(Expr::True),
        );
        let place = self.expr(Expr::Index {
            object: skipped,
            key,
        });
        self.statement(StatementKind::Assign {
            targets: vec![place],
            values: vec![yes],
        })
    }

    fn find_locals(&mut self) {
        for statement in self
            .ast
            .functions
            .last()
            .map_or(&[][..], |main| &main.body.statements)
        {
            match &statement.kind {
                StatementKind::Local { names, .. } => {
                    self.locals.extend(names.iter().map(|(name, _, _)| *name))
                }
                StatementKind::LocalFunction { name, .. } => self.locals.push(*name),
                _ => {}
            }
        }
    }

    /// A chain of names and fields again.
    fn copy(&mut self, expr: ExprId) -> ExprId {
        let mut fields = Vec::new();
        let mut at = expr;
        while let Some(Expr::Field { object, name }) = self.ast.exprs.get(at.0 as usize) {
            fields.push(*name);
            at = *object;
        }
        let root = match self.ast.exprs.get(at.0 as usize) {
            Some(Expr::Name(name)) => Expr::Name(*name),
            _ => Expr::Nil,
        };
        let mut copy = self.expr(root);
        while let Some(name) = fields.pop() {
            copy = self.expr(Expr::Field { object: copy, name });
        }
        copy
    }
}
