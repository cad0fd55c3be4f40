//! Statements that are the same in both texts, and call something, or append to a list,
//! in another order than before. What a call changes is not known, so
//! a fresh load may end otherwise.

use std::collections::VecDeque;

use foldhash::HashMap;

use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, UnaryOp};

use super::alias::Aliases;
use super::comparison::Comparison;
use super::outcome::TopLevel;
use super::reach::Reach;
use crate::compare::library::name_of;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::path::{Path, Root, Scope};
use crate::patch::statements::{MAX_COMPARED, statements, unmatched};
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
    pub(super) fn list_swapped_calls(&self, old: &ChunkPatch, reach: &Reach, top: &mut TopLevel) {
        if self.is_called_again() {
            return;
        }
        let (was, is) = (acting(old), acting(self.new));
        let (gone, come) = unmatched(&was, &is);
        let moved = match gone.len().saturating_mul(come.len()) > MAX_COMPARED {
            // They were not compared.
            true => moved_among(&was, &is),
            false => in_both(&was, &is, gone, come),
        };
        for at in moved {
            let (line, text) = (self.statement_line(at), self.statement_text(at));
            let is_known = top.actions.contains_key(&at)
                || top.not_run.iter().any(|n| n.line == line && n.text == text);
            if reach.has(at) && !is_known {
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

/// Those of the new list without a partner that the old one has as well.
fn in_both(
    was: &[(usize, Vec<u8>)],
    is: &[(usize, Vec<u8>)],
    gone: Vec<usize>,
    come: Vec<usize>,
) -> Vec<usize> {
    let shape_of = |all: &[(usize, Vec<u8>)], at: usize| {
        let found = all.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(all[found].1.clone())
    };
    let mut left: HashMap<Vec<u8>, usize> = HashMap::default();
    for shape in gone.into_iter().filter_map(|at| shape_of(was, at)) {
        *left.entry(shape).or_default() += 1;
    }
    let mut is_left = |at: &usize| {
        let shape = shape_of(is, *at);
        let n = shape.and_then(|shape| left.get_mut(&shape));
        n.is_some_and(|n| std::mem::replace(n, n.saturating_sub(1)) > 0)
    };
    come.into_iter().filter(|at| is_left(at)).collect()
}

/// The positions in the new list of what both have, and the longest increasing
/// subsequence of old positions does not. Equal ones are paired in their order.
fn moved_among(was: &[(usize, Vec<u8>)], is: &[(usize, Vec<u8>)]) -> Vec<usize> {
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::default();
    for (at, shape) in was {
        places.entry(shape).or_default().push_back(*at);
    }
    let pairs = is.iter().filter_map(|(at, shape)| {
        let place = places.get_mut(&shape[..])?.pop_front()?;
        Some((place, *at))
    });
    let pairs: Vec<(usize, usize)> = pairs.collect();
    // For each length the pair with the least old position that ends such a subsequence.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (n, (place, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].0 < *place);
        before.push(length.checked_sub(1).map(|l| ends[l]));
        match ends.get_mut(length) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let mut stays = vec![false; pairs.len()];
    let mut next = ends.last().copied();
    while let Some(n) = next {
        stays[n] = true;
        next = before[n];
    }
    let moved = pairs.iter().zip(stays).filter(|(_, stays)| !stays);
    moved.map(|((_, at), _)| *at).collect()
}

/// The statements that call something or append, with their shapes.
fn acting(text: &ChunkPatch) -> Vec<(usize, Vec<u8>)> {
    let (ast, facts) = (text.ast(), text.facts());
    let aliases = Aliases::of(text);
    let mut scope = Scope::default();
    let mut found = Vec::new();
    for (at, statement) in statements(ast).iter().enumerate() {
        let acts = match &statement.kind {
            StatementKind::LocalFunction { .. } | StatementKind::Function { .. } => false,
            kind => {
                let all = kind.all_expressions();
                let acts = |expr: &ExprId| {
                    is_appended(ast, kind, *expr) || calls(text, &aliases, &scope, *expr)
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
    let names: Option<Vec<&str>> = path.keys.iter().map(name_of).collect();
    path.root == Root::Global
        && names.is_some_and(|names| QUIET.binary_search(&names.join(".").as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::QUIET;

    #[test]
    fn names_are_sorted() {
        assert!(QUIET.is_sorted());
    }
}
