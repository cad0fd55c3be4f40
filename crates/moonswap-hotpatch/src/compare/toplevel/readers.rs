//! Unchanged statements that read data which changed: they do not run again, so what they
//! made of it stays. One warning says which.

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, Statement, StatementKind};

use super::comparison::Comparison;
use super::outcome::TopLevel;
use super::reach::Reach;
use crate::patch::ChunkPatch;
use crate::patch::path::{Path, Scope};
use crate::patch::tree::{parts, symbol_text};

/// Statements that the warning shows.
const SHOWN: usize = 3;

/// What is read where a statement stands.
struct Read {
    expr: ExprId,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// A value is made of it.
    Value,
    /// It is given to what is called: tables stay the same ones.
    Call,
    /// All of it is gone through.
    Loop,
}

impl Comparison<'_> {
    pub(super) fn tell_readers(&self, old: &ChunkPatch, reach: &Reach, top: &mut TopLevel) {
        let before = old.facts().constants.by_name(old.ast());
        let mut constants = self.new.facts().constants.by_name(self.new.ast());
        constants.retain(|name, value| before.get(name).is_some_and(|before| before != value));
        if top.changed.is_empty() && constants.is_empty() || self.is_called_again() {
            return;
        }
        let changed = Changed {
            above: top.changed.keys().flat_map(prefixes).collect(),
            paths: &top.changed,
            constants: constants.into_keys().collect(),
        };
        let mut scope = Scope::default();
        let mut found = Vec::new();
        let mut n = 0;
        for (at, statement) in self.body().iter().enumerate() {
            let line = statement.span.line;
            let is_quiet = top.actions.contains_key(&at)
                || !reach.has(at)
                || top.not_run.iter().any(|known| known.line == line);
            let read = reads(statement).into_iter().filter(|_| !is_quiet);
            let name = { read }.find_map(|read| self.changed_in(&read, &scope, &changed));
            if let Some(name) = name {
                n += 1;
                if found.len() < SHOWN {
                    found.push(format!("line {line}: {} ({name})", self.statement_text(at)));
                }
            }
            scope.pass(&statement.kind);
        }
        if n == 0 {
            return;
        }
        let more = match n - found.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        top.warnings.push(format!(
            "unchanged statements read data that changed, and do not run again: {}{more}",
            found.join("; ")
        ));
    }

    /// What an expression reads of what changed.
    fn changed_in(&self, read: &Read, scope: &Scope, all: &Changed<'_>) -> Option<String> {
        let ast = self.new.ast();
        let constants = &self.new.facts().constants;
        let mut todo = vec![read.expr];
        while let Some(expr) = todo.pop() {
            if constants.value(ast, scope, expr).is_some() {
                // The whole of it follows by itself.
                let part = if expr == read.expr { None } else { Some(expr) };
                if let Some(name) = part.and_then(|part| all.constant_in(ast, part)) {
                    return Some(name);
                }
                continue;
            }
            if let Some(path) = constants.path(ast, scope, expr) {
                let mut changed = prefixes(&path).filter(|path| all.paths.contains_key(path));
                let counts = |changed: &Path| match read.how {
                    How::Loop => true,
                    How::Value if expr != read.expr => true,
                    // Another name for a table.
                    How::Value | How::Call => all.paths[changed],
                };
                if let Some(changed) = changed.find(counts) {
                    return Some(changed.to_string());
                }
                if read.how == How::Loop && all.above.contains(&path) {
                    return Some(path.to_string());
                }
            }
            todo.extend(parts(ast, expr));
        }
        None
    }
}

/// What changed.
struct Changed<'a> {
    /// Paths that lead to it.
    above: HashSet<Path>,
    /// Data, and whether it is a constant.
    paths: &'a HashMap<Path, bool>,
    /// Names of constants.
    constants: HashSet<&'a [u8]>,
}

impl Changed<'_> {
    fn constant_in(&self, ast: &Ast, expr: ExprId) -> Option<String> {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = ast.exprs.get(expr.0 as usize) {
                let name = symbol_text(ast, *name);
                if self.constants.contains(name.as_bytes()) {
                    return Some(name.to_string());
                }
            }
            todo.extend(parts(ast, expr));
        }
        None
    }
}

/// A path and those it leads through.
fn prefixes(path: &Path) -> impl Iterator<Item = Path> + use<> {
    std::iter::successors(Some(path.clone()), Path::parent)
}

/// What a statement reads itself.
fn reads(statement: &Statement) -> Vec<Read> {
    let read = |how: How| move |expr: &ExprId| Read { expr: *expr, how };
    let value = read(How::Value);
    match &statement.kind {
        StatementKind::Local { values, .. }
        | StatementKind::Assign { values, .. }
        | StatementKind::Return(values) => values.iter().map(value).collect(),
        StatementKind::Call(call) => vec![read(How::Call)(call)],
        StatementKind::NumericFor {
            start, limit, step, ..
        } => [start, limit].into_iter().chain(step).map(value).collect(),
        StatementKind::GenericFor { values, .. } => values.iter().map(read(How::Loop)).collect(),
        StatementKind::If { arms, .. } => {
            let conditions = arms.iter().map(|(condition, _)| condition);
            conditions.map(value).collect()
        }
        StatementKind::While { condition, .. } => vec![value(condition)],
        _ => Vec::new(),
    }
}
