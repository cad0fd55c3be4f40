//! Statements that set nothing of their own (calls, loops, conditions), and those
//! that the policy picks: `run`, `rerun`.

use foldhash::HashSet;
use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, Statement, StatementKind, Symbol, TableItem,
};

use super::comparison::Comparison;
use super::merge::Merging;
use super::outcome::{Action, Evaluation, MergeCode, TopLevel, ValueCode};
use super::reach::{Reach, left_in};
use crate::compare::alignment::{moved, unmatched};
use crate::model::change::{Before, ChangeKind, DataChange};
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::constant::{Constant, evaluate};
use crate::patch::declarations::{Declared, Variable};
use crate::patch::entries::{Leaf, Taker};
use crate::patch::path::{Path, Root, Scope};
use crate::patch::statements::{callee_text, required};
use crate::patch::tree::parts;
use crate::policy::Rerun;

impl Comparison<'_> {
    /// Statements that are not taken apart into entries. Answers which `if` statements of
    /// the two texts are decided.
    pub(super) fn others(
        &self,
        merging: &Merging<'_>,
        [old_taken, new_taken]: &[HashSet<usize>; 2],
        top: &mut TopLevel,
    ) -> Vec<(usize, usize)> {
        let (old, reach) = (merging.old.text, merging.reach);
        let declares = |s: &Statement| {
            matches!(
                s.kind,
                StatementKind::Local { .. } | StatementKind::LocalFunction { .. }
            )
        };
        let list = |text: &ChunkPatch, taken: &HashSet<usize>| {
            let shapes = text.facts().shapes.iter().enumerate();
            let body = crate::patch::statements::statements(text.ast());
            let others = shapes.filter(|(at, _)| !taken.contains(at) && !declares(&body[*at]));
            others.map(|(at, s)| (at, s.clone())).collect::<Vec<_>>()
        };
        let (was, is) = (list(old, old_taken), list(self.new, new_taken));
        let (mut gone, mut come) = unmatched(&was, &is);
        // What only stands elsewhere is looked at with all that moved.
        let (still, here): (HashSet<usize>, HashSet<usize>) =
            moved(&was, &is, &gone, &come).into_iter().unzip();
        gone.retain(|at| !still.contains(at));
        come.retain(|at| !here.contains(at));
        let n_gone = gone.len();
        let rules = self.rules();
        let twins = self.twins(old, &gone, &come);
        let mut decided = Vec::new();
        for (i, at) in come.into_iter().enumerate() {
            let is_added = i >= n_gone;
            let why = if is_added { "added" } else { "changed" };
            let by_rule = rules.iter().any(|rule| {
                let asked = if is_added { rule.added } else { rule.changed };
                asked && self.callee(at).is_some_and(|callee| rule.fits(&callee))
            });
            let is_run = by_rule || self.policy.run_new && self.is_new_require(old, at);
            if self.is_called_again() && !(by_rule && reach.has(at)) {
                top.next_call.insert(at);
            } else if !reach.has(at) {
                self.list_other(at, &reach.why, None, top);
            } else if is_run {
                top.actions.insert(at, Action::Run);
            } else if is_added && self.policy.run_new && self.is_about_new(at, top) {
                top.try_run(at);
            } else {
                let not_run = NotRun {
                    line: self.statement_line(at),
                    text: self.statement_text(at),
                    why: why.to_owned(),
                    // What is running is not to be begun once more.
                    option: self.run_option(at).filter(|_| !self.is_in(reach, at)),
                };
                let twin = twins.get(&at).copied();
                if twin.is_some_and(|twin| self.decide(old, twin, at, not_run.clone(), top)) {
                    decided.extend(twin.flatten().map(|twin| (twin, at)));
                } else {
                    top.list(not_run);
                }
            }
        }
        let stays =
            |at: &usize| !decided.iter().any(|(was, _)| was == at) && !self.is_called_again();
        // The main chunk is in it: it has not gone.
        let in_main = left_in(
            self.manifest.progress,
            self.old_main,
            crate::patch::statements::statements(old.ast()),
        );
        let in_main = in_main.filter(|_| self.manifest.main_running);
        for at in gone
            .into_iter()
            .filter(stays)
            .filter(|at| in_main != Some(*at))
        {
            top.warnings.push(format!(
                "no longer in the text, its effect stays: {}",
                self.old_statement_text(old, at)
            ));
        }
        decided
    }

    /// Whether the main chunk runs, and is in this statement.
    fn is_in(&self, reach: &Reach, at: usize) -> bool {
        self.manifest.main_running && reach.is_left && at + 1 == reach.limit
    }

    fn list_other(&self, at: usize, why: &str, option: Option<String>, top: &mut TopLevel) {
        top.list(NotRun {
            line: self.statement_line(at),
            text: self.statement_text(at),
            why: why.to_owned(),
            option,
        });
    }

    /// Whether a statement requires a module that the old text does not: that is done
    /// as it is for a new local. Modules are loaded once, so there is nothing to repeat.
    fn is_new_require(&self, old: &ChunkPatch, at: usize) -> bool {
        let module = |ast, statement: &Statement| match statement.kind {
            StatementKind::Call(call) => required(ast, call).map(<[u8]>::to_vec),
            _ => None,
        };
        let ast = self.new.ast();
        let Some(wanted) = module(ast, &self.body()[at]) else {
            return false;
        };
        let is_own = |v: &Declared| &*v.name == "require";
        let before = crate::patch::statements::statements(old.ast()).iter();
        !self.new.facts().declared.iter().any(is_own)
            && !before
                .filter_map(|statement| module(old.ast(), statement))
                .any(|module| module == wanted)
    }

    /// What a call statement calls, as written.
    pub(super) fn callee(&self, at: usize) -> Option<String> {
        match &self.body().get(at)?.kind {
            StatementKind::Call(call) => callee_text(self.new.ast(), *call),
            _ => None,
        }
    }

    /// The rules of the policy, and those that the text itself gives:
    /// `hot.rerun { "core.register_*" }`.
    fn rules(&self) -> Vec<Rerun> {
        let mut rules = self.policy.rerun.clone();
        let ast = self.new.ast();
        for statement in self.body() {
            let StatementKind::Call(call) = &statement.kind else {
                continue;
            };
            let Some(Expr::Call { args, .. }) = ast.exprs.get(call.0 as usize) else {
                continue;
            };
            if callee_text(ast, *call).is_none_or(|text| text.rsplit('.').next() != Some("rerun")) {
                continue;
            }
            let Some(Expr::Table(items)) = args
                .first()
                .and_then(|table| ast.exprs.get(table.0 as usize))
            else {
                continue;
            };
            for item in items {
                let TableItem::Positional(value) = item else {
                    continue;
                };
                if let Some(Constant::String(text)) = evaluate(ast, *value, &|_| None) {
                    rules.push(Rerun::parse(&String::from_utf8_lossy(&text)));
                }
            }
        }
        rules
    }

    /// Whether a statement has to do with a variable or field that is new: only
    /// such ones are tried.
    fn is_about_new(&self, at: usize, top: &TopLevel) -> bool {
        let ast = self.new.ast();
        let mut scope = Scope::default();
        for statement in &self.body()[..at] {
            scope.pass(&statement.kind);
        }
        let about = About { ast, scope, top };
        match &self.body()[at].kind {
            StatementKind::Call(call) => about.call(*call),
            StatementKind::Do(body)
            | StatementKind::NumericFor { body, .. }
            | StatementKind::GenericFor { body, .. } => about.block(body),
            StatementKind::If { arms, otherwise } => {
                let blocks = arms.iter().map(|(_, block)| block).chain(otherwise);
                blocks.into_iter().all(|block| about.block(block))
            }
            _ => false,
        }
    }

    /// Without the old text, a definition is new if its literal is.
    pub(super) fn added(&self, top: &mut TopLevel) {
        let facts = self.new.facts();
        let taker = Taker {
            ast: self.new.ast(),
            constants: &facts.constants,
        };
        for entry in taker.entries(&|_| true) {
            let Leaf::Function(function) = entry.leaf else {
                continue;
            };
            let literals = &facts.outline.literals;
            let literal = literals.iter().position(|l| l.function == Some(function));
            let is_new = literal.is_some_and(|l| self.matching.old_of[l].is_none());
            let (Some(keys), true) = (entry.path.constants(), is_new && !entry.is_item) else {
                continue;
            };
            if keys.is_empty() {
                continue;
            }
            let code = MergeCode {
                change: top.data.len(),
                root: entry.path.root.clone(),
                value: ValueCode::Function(function),
                evaluation: Evaluation::default(),
            };
            top.data.push(DataChange {
                line: entry.span.line,
                path: entry.path.to_string(),
                keys,
                before: Before::Absent,
                after: "function".to_owned(),
                kind: ChangeKind::Definition,
                replace: false,
                again: false,
                evaluated: None,
            });
            top.merge(entry.statement, code);
        }
    }
}

impl TopLevel {
    pub(super) fn run(&mut self, statement: usize) {
        self.actions.insert(statement, Action::Run);
    }

    pub(super) fn try_run(&mut self, statement: usize) {
        self.actions.insert(statement, Action::Try);
    }
}

/// Whether statements are about what is new.
struct About<'a> {
    ast: &'a Ast,
    scope: Scope,
    top: &'a TopLevel,
}

impl About<'_> {
    fn name(&self, name: Symbol) -> bool {
        let path = self.scope.root(self.ast, name);
        match &path.root {
            Root::Local(name, declaration) if path.keys.is_empty() => {
                let variable = self.top.variable(name, *declaration);
                variable.is_some_and(|v| matches!(v.state, Variable::New { .. }))
            }
            _ => self.is_fresh(&path),
        }
    }

    fn is_fresh(&self, path: &Path) -> bool {
        self.top.fresh.contains(path)
    }

    /// Whether an expression begins with a new name.
    fn begins_new(&self, expr: ExprId) -> bool {
        let mut at = expr;
        loop {
            match self.ast.exprs.get(at.0 as usize) {
                Some(Expr::Name(name)) => return self.name(*name),
                Some(Expr::Field { object, .. } | Expr::Index { object, .. }) => {
                    at = *object;
                }
                Some(Expr::Call { callee, .. }) => at = *callee,
                Some(Expr::MethodCall { object, .. }) => at = *object,
                Some(Expr::Paren(inner)) => at = *inner,
                _ => return false,
            }
        }
    }

    /// Whether anything new is named in an expression.
    fn mentions(&self, expr: ExprId) -> bool {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = self.ast.exprs.get(expr.0 as usize)
                && self.name(*name)
            {
                return true;
            }
            todo.extend(parts(self.ast, expr));
        }
        false
    }

    /// A call of something new, or with something new.
    fn call(&self, call: ExprId) -> bool {
        match self.ast.exprs.get(call.0 as usize) {
            Some(Expr::Call { callee, args }) => {
                self.begins_new(*callee) || args.iter().any(|arg| self.mentions(*arg))
            }
            Some(Expr::MethodCall { object, args, .. }) => {
                self.begins_new(*object) || args.iter().any(|arg| self.mentions(*arg))
            }
            _ => false,
        }
    }

    /// Whether each statement of a block is about something new, and none leaves
    /// it or loops without a bound.
    fn block(&self, block: &Block) -> bool {
        block
            .statements
            .iter()
            .all(|statement| match &statement.kind {
                StatementKind::Local { .. } | StatementKind::LocalFunction { .. } => true,
                StatementKind::Function { target, .. } => self.begins_new(*target),
                StatementKind::Assign { targets, .. } => {
                    targets.iter().all(|target| self.begins_new(*target))
                }
                StatementKind::Call(call) => self.call(*call),
                StatementKind::Do(body)
                | StatementKind::NumericFor { body, .. }
                | StatementKind::GenericFor { body, .. } => self.block(body),
                StatementKind::If { arms, otherwise } => {
                    arms.iter().all(|(_, body)| self.block(body))
                        && otherwise.as_ref().is_none_or(|body| self.block(body))
                }
                StatementKind::While { .. }
                | StatementKind::Repeat { .. }
                | StatementKind::Goto(_)
                | StatementKind::Label(_)
                | StatementKind::Break
                | StatementKind::Return(_) => false,
            })
    }
}
