//! Added blocks, loops and conditions that only fill tables which the text makes: they
//! run, and are undone if they change an entry that is there. They must read nothing that
//! the text sets below them: a fresh load would not find that yet.

use std::collections::HashSet;

use moonswap_compiler::syntax::ast::{Block, Expr, ExprId, Statement, StatementKind, Symbol};

use super::evaluate::whole_statement;
use super::merge::Merging;
use crate::patch::entries::Leaf;
use crate::patch::path::Scope;
use crate::patch::statements::target_text;
use crate::patch::tree::{parts, symbol_text};

/// Library functions that write nothing.
const QUIET: &[&str] = &[
    "ipairs", "pairs", "rawequal", "rawget", "rawlen", "select", "tonumber", "tostring", "type",
];

/// Libraries that write nothing but what `table` fills.
const QUIET_LIBRARIES: &[&str] = &["math", "string", "utf8"];

impl Merging<'_> {
    /// Whether a statement that the old text does not have only fills tables of the text.
    pub(super) fn fills(&self, at: usize) -> bool {
        let Some(statement) = self.comparison.body().get(at) else {
            return false;
        };
        is_compound(&statement.kind) && {
            let mut check = Check {
                merging: self,
                scope: Scope::before(self.new.text.ast(), at),
                at,
                locals: Vec::new(),
                own: HashSet::new(),
            };
            check.statement(statement)
        }
    }
}

/// Whether a statement is a block, a loop or a condition.
pub(super) fn is_compound(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Do(_)
            | StatementKind::If { .. }
            | StatementKind::While { .. }
            | StatementKind::Repeat { .. }
            | StatementKind::NumericFor { .. }
            | StatementKind::GenericFor { .. }
    )
}

struct Check<'a> {
    merging: &'a Merging<'a>,
    /// The top-level locals above.
    scope: Scope,
    /// The statement that is looked at.
    at: usize,
    /// Locals of its blocks.
    locals: Vec<Symbol>,
    /// Those that hold a table made there.
    own: HashSet<Symbol>,
}

impl Check<'_> {
    fn block(&mut self, names: &[Symbol], block: &Block) -> bool {
        let n = self.locals.len();
        self.locals.extend(names);
        names.iter().for_each(|name| _ = self.own.remove(name));
        let is_quiet = block.statements.iter().all(|s| self.statement(s));
        self.locals.truncate(n);
        is_quiet
    }

    fn statement(&mut self, statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Local { names, values } => {
                let is_quiet = values.iter().all(|value| self.reads(*value));
                for (i, (name, ..)) in names.iter().enumerate() {
                    let value = values.get(i).and_then(|value| self.expr(*value));
                    match value {
                        Some(Expr::Table(_)) if !self.locals.contains(name) => {
                            self.own.insert(*name);
                        }
                        _ => _ = self.own.remove(name),
                    }
                    self.locals.push(*name);
                }
                is_quiet
            }
            StatementKind::LocalFunction { name, .. } => {
                self.own.remove(name);
                self.locals.push(*name);
                true
            }
            StatementKind::Function { target, .. } => self.is_own_field(*target),
            StatementKind::Assign { targets, values } => {
                values.iter().all(|value| self.reads(*value))
                    && targets.iter().all(|target| self.is_own_field(*target))
            }
            StatementKind::Do(body) => self.block(&[], body),
            StatementKind::NumericFor {
                variable,
                start,
                limit,
                step,
                body,
                ..
            } => {
                let mut bounds = [*start, *limit].into_iter().chain(*step);
                bounds.all(|bound| self.reads(bound)) && self.block(&[*variable], body)
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => {
                let names: Vec<Symbol> = names.iter().map(|(name, _)| *name).collect();
                self.is_traversal(values)
                    && values.iter().all(|value| self.reads(*value))
                    && self.block(&names, body)
            }
            StatementKind::If { arms, otherwise } => {
                let is_quiet = arms
                    .iter()
                    .all(|(condition, body)| self.reads(*condition) && self.block(&[], body));
                is_quiet && otherwise.iter().all(|body| self.block(&[], body))
            }
            StatementKind::Break => true,
            StatementKind::Call(_)
            | StatementKind::While { .. }
            | StatementKind::Repeat { .. }
            | StatementKind::Goto(_)
            | StatementKind::Label(_)
            | StatementKind::Return(_) => false,
        }
    }

    fn expr(&self, expr: ExprId) -> Option<&Expr> {
        self.merging.new.text.ast().exprs.get(expr.0 as usize)
    }

    /// Whether a target is a field of a table that the text makes.
    fn is_own_field(&self, target: ExprId) -> bool {
        let object = match self.expr(target) {
            Some(Expr::Field { object, .. }) => *object,
            Some(Expr::Index { object, key }) if self.reads(*key) => *object,
            _ => return false,
        };
        let mut root = object;
        while let Some(Expr::Field { object, .. } | Expr::Index { object, .. }) = self.expr(root) {
            root = *object;
        }
        let Some(Expr::Name(name)) = self.expr(root) else {
            return false;
        };
        if self.locals.contains(name) {
            return root == object && self.own.contains(name);
        }
        let side = &self.merging.new;
        let constants = &side.text.facts().constants;
        let Some(path) = constants.path(side.text.ast(), &self.scope, object) else {
            return false;
        };
        let made = side.at.get(&path).map(|all| &all[..]);
        let Some([made]) = made else {
            return false;
        };
        let made = &side.entries[*made];
        made.statement < self.at && matches!(made.leaf, Leaf::Table(_) | Leaf::Wrapped(..))
    }

    /// Whether a loop goes over `pairs(…)` or `ipairs(…)`: another iterator is a function
    /// that may do anything.
    fn is_traversal(&self, values: &[ExprId]) -> bool {
        let [value] = values else {
            return false;
        };
        let Some(Expr::Call { callee, .. }) = self.expr(*value) else {
            return false;
        };
        let name = target_text(self.merging.new.text.ast(), *callee);
        matches!(&*name, "pairs" | "ipairs")
    }

    /// Whether an expression calls nothing but library functions that write nothing, and
    /// reads nothing that the text sets further below.
    fn reads(&self, value: ExprId) -> bool {
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            match self.expr(expr) {
                None | Some(Expr::Vararg | Expr::MethodCall { .. }) => return false,
                Some(Expr::Call { callee, args }) => {
                    if !self.is_quiet(*callee) {
                        return false;
                    }
                    todo.extend(args);
                }
                Some(Expr::Function(_)) => {}
                Some(_) => todo.extend(parts(self.merging.new.text.ast(), expr)),
            }
        }
        !self
            .merging
            .reads_below(value, &self.scope, &whole_statement(self.at))
    }

    fn is_quiet(&self, callee: ExprId) -> bool {
        let ast = self.merging.new.text.ast();
        let text = target_text(ast, callee);
        let root = text.split('.').next().unwrap_or_default();
        let is_library = match self.expr(callee) {
            Some(Expr::Name(_)) => QUIET.contains(&&*text),
            Some(Expr::Field { .. }) => {
                // `string.gsub` calls what it is given.
                QUIET_LIBRARIES.contains(&root)
                    && text.matches('.').count() == 1
                    && text != "string.gsub"
                    || matches!(&*text, "table.concat" | "table.pack" | "table.unpack")
            }
            _ => false,
        };
        let is_local = |name: &Symbol| *symbol_text(ast, *name) == *root;
        is_library && !self.locals.iter().any(is_local) && !self.merging.comparison.redefines(root)
    }
}
