//! Statements that change what they do not define: calls that change in place what they
//! are given (`table.sort(list)`, `object:method()`), and what blocks assign.

use moonswap_compiler::syntax::ast::{Expr, ExprId, StatementKind};
use moonswap_compiler::syntax::visit::Part;

use super::merge::Merging;
use super::order::ChangedInPlace;
use crate::compare::alignment::{Item, matched, unmatched};
use crate::compare::library::library_name;
use crate::patch::ChunkPatch;
use crate::patch::path::{Path, Scope};
use crate::patch::statements::statements;

/// Functions of Lua that change their first argument.
const CHANGING: &[&str] = &[
    "rawset",
    "setmetatable",
    "table.insert",
    "table.remove",
    "table.sort",
];

impl Merging<'_> {
    /// All such statements that stand in both texts, in their order.
    pub(super) fn changed_in_place(&self) -> &[ChangedInPlace] {
        self.in_place.get_or_init(|| {
            let (was, is) = (calls(self.old.text), calls(self.new.text));
            let (gone, come) = unmatched(&was, &is);
            let pairs = matched(&was, &gone).into_iter().zip(matched(&is, &come));
            let (ast, mut scope, mut above) = (self.new.text.ast(), Scope::default(), 0);
            let body = statements(ast);
            let mut found = Vec::new();
            for (was, is) in pairs {
                for statement in body.get(above..is).unwrap_or_default() {
                    scope.pass(&statement.kind);
                }
                above = is;
                let Some(statement) = body.get(is) else {
                    continue;
                };
                let changed = self.changed_in(&statement.kind, &scope);
                found.extend(changed.into_iter().map(|path| (path, (was, is))));
            }
            found
        })
    }

    /// What a call changes, or a block with all in it but functions. Locals of a block
    /// count as what they hide.
    fn changed_in(&self, statement: &StatementKind, scope: &Scope) -> Vec<Path> {
        let (ast, constants) = (self.new.text.ast(), &self.new.text.facts().constants);
        let mut found = Vec::new();
        let mut todo = vec![statement];
        while let Some(kind) = todo.pop() {
            match kind {
                StatementKind::Call(call) => found.extend(self.changed_by(*call, scope)),
                StatementKind::Assign { targets, .. } => {
                    let paths = targets.iter();
                    found.extend(paths.filter_map(|target| constants.path(ast, scope, *target)));
                }
                StatementKind::Function { target, .. } => {
                    found.extend(constants.path(ast, scope, *target));
                }
                _ => kind.each_part(&mut |part| {
                    if let Part::Block(block) = part {
                        todo.extend(block.statements.iter().map(|s| &s.kind));
                    }
                }),
            }
        }
        found
    }

    fn changed_by(&self, call: ExprId, scope: &Scope) -> Option<Path> {
        let (ast, constants) = (self.new.text.ast(), &self.new.text.facts().constants);
        let path = |expr: ExprId| constants.path(ast, scope, expr);
        match ast.exprs.get(call.0 as usize)? {
            Expr::MethodCall { object, .. } => path(*object),
            Expr::Call { callee, args } => {
                let callee = path(*callee)?;
                let callee = self.aliases().meant(&callee).unwrap_or(callee);
                let name = library_name(&callee)?;
                path(*args.first().filter(|_| CHANGING.contains(&&*name))?)
            }
            _ => None,
        }
    }
}

/// The calls and blocks among the statements of a text.
fn calls(text: &ChunkPatch) -> Vec<Item> {
    let all = statements(text.ast()).iter().zip(&text.facts().shapes);
    let calls = all.enumerate();
    let calls = calls.filter(|(_, (s, _))| {
        matches!(
            s.kind,
            StatementKind::Call(_)
                | StatementKind::Do(_)
                | StatementKind::If { .. }
                | StatementKind::While { .. }
                | StatementKind::Repeat { .. }
                | StatementKind::NumericFor { .. }
                | StatementKind::GenericFor { .. }
        )
    });
    calls.map(|(at, (_, shape))| (at, shape.clone())).collect()
}
