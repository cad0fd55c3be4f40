//! Statements that are the same in both texts, and call something, or append to a list,
//! in another order than before. What a call changes is not known, so a fresh load may
//! end otherwise.

use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, UnaryOp};

use super::alias::Aliases;
use super::comparison::Comparison;
use super::merge::Merging;
use super::outcome::TopLevel;
use crate::compare::alignment::{Item, moved, unmatched};
use crate::compare::library::library_name;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::path::{Path, Scope};
use crate::patch::statements::statements;
use crate::patch::tree::parts;

const MOVED: &str = "it stands on the other side of another call now";

/// Functions of Lua that change nothing, or nothing but what is made there. Modules are
/// loaded once, so `require` is among them.
const QUIET: &[&str] = &[
    "assert",
    "coroutine.create",
    "coroutine.wrap",
    "getmetatable",
    "ipairs",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.fmod",
    "math.max",
    "math.min",
    "math.sqrt",
    "math.tointeger",
    "math.type",
    "next",
    "os.clock",
    "os.date",
    "os.getenv",
    "os.time",
    "pairs",
    "rawequal",
    "rawget",
    "rawlen",
    "require",
    "select",
    "setmetatable",
    "string.byte",
    "string.char",
    "string.find",
    "string.format",
    "string.gmatch",
    "string.len",
    "string.lower",
    "string.match",
    "string.pack",
    "string.rep",
    "string.reverse",
    "string.sub",
    "string.upper",
    "table.concat",
    "table.pack",
    "table.unpack",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "utf8.char",
    "utf8.codepoint",
    "utf8.len",
];

impl Comparison<'_> {
    /// Lists those that moved past others of them.
    pub(super) fn list_swapped_calls(&self, merging: &Merging<'_>, top: &mut TopLevel) {
        let (old, new) = (merging.old.text, merging.new.text);
        if self.is_called_again() || old.facts().shapes == new.facts().shapes {
            return;
        }
        let was = acting(old, &Aliases::of(old));
        let is = acting(new, merging.aliases());
        let (gone, come) = unmatched(&was, &is);
        for (_, at) in moved(&was, &is, &gone, &come) {
            let (line, text) = (self.statement_line(at), self.statement_text(at));
            let is_known = top.actions.contains_key(&at)
                || top.not_run.iter().any(|n| n.line == line && n.text == text);
            if merging.reach.has(at) && !is_known {
                top.list(NotRun {
                    line,
                    text,
                    why: MOVED.to_owned(),
                    option: self.run_option(at),
                });
            }
        }
    }
}

/// The statements that call something or append, with their shapes.
fn acting(text: &ChunkPatch, aliases: &Aliases) -> Vec<Item> {
    let (ast, facts) = (text.ast(), text.facts());
    let mut scope = Scope::default();
    let mut found = Vec::new();
    for (at, statement) in statements(ast).iter().enumerate() {
        let acts = match &statement.kind {
            StatementKind::LocalFunction { .. } | StatementKind::Function { .. } => false,
            kind => {
                let all = kind.all_expressions();
                let acts = |expr: &ExprId| {
                    is_appended(ast, kind, *expr) || calls(text, aliases, &scope, *expr)
                };
                all.iter().any(acts)
            }
        };
        if acts && let Some(shape) = facts.shapes.get(at) {
            found.push((at, shape.clone()));
        }
        scope.pass(&statement.kind);
    }
    found
}

/// Whether an expression of a statement is a place that is found by a length, and may be
/// written: `list[#list + 1]`. Other computed keys are read like all values.
fn is_appended(ast: &Ast, kind: &StatementKind, expr: ExprId) -> bool {
    let Some(Expr::Index { key, .. }) = ast.exprs.get(expr.0 as usize) else {
        return false;
    };
    let mut todo = vec![*key];
    let mut has_length = false;
    while let Some(part) = todo.pop() {
        let op = ast.exprs.get(part.0 as usize);
        has_length |= matches!(
            op,
            Some(Expr::Unary {
                op: UnaryOp::Length,
                ..
            })
        );
        todo.extend(parts(ast, part));
    }
    let is_read = match kind {
        StatementKind::Local { .. } | StatementKind::Return(_) => true,
        StatementKind::Assign { targets, .. } => !targets.contains(&expr),
        _ => false,
    };
    has_length && !is_read
}

/// Whether evaluating an expression calls a function that may change something.
fn calls(text: &ChunkPatch, aliases: &Aliases, scope: &Scope, expr: ExprId) -> bool {
    let ast = text.ast();
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match ast.exprs.get(expr.0 as usize) {
            Some(Expr::Call { callee, .. }) => {
                let path = text.facts().constants.path(ast, scope, *callee);
                let is_quiet = |path: Path| is_quiet(&aliases.meant(&path).unwrap_or(path));
                if !path.is_some_and(is_quiet) {
                    return true;
                }
            }
            Some(Expr::MethodCall { object, .. }) => {
                let of = ast.exprs.get(object.0 as usize);
                if !matches!(of, Some(Expr::String(_))) {
                    return true;
                }
            }
            _ => {}
        }
        todo.extend(parts(ast, expr));
    }
    false
}

/// Whether a path is that of a function that changes nothing.
fn is_quiet(path: &Path) -> bool {
    library_name(path).is_some_and(|name| QUIET.binary_search(&&*name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::QUIET;

    #[test]
    fn names_are_sorted() {
        assert!(QUIET.is_sorted());
    }
}
