//! The functions of a module that the VM calls by itself: `migrate(old_version)`
//! before a commit, `on_swap(old, new)` after it.
//!
//! A hook is a function of the new text that stands in the main chunk's
//! outermost block as
//! `local function NAME`, `local NAME = function`,
//! `function NAME` or `NAME = function` (a global),
//! `function M.NAME` or `M.NAME = function` where the chunk ends in `return M`, or
//! as `NAME = function` in a table constructor that it returns.
//! Functions of that name anywhere else (methods, fields of other tables, nested
//! ones) have nothing to do with it.

use std::sync::Arc;

use moonswap_bytecode::{FunctionId, Prototype};
use moonswap_compiler::syntax::ast::{
    Ast, Expr, ExprId, FunctionIndex, StatementKind, Symbol, TableItem,
};

use super::ChunkPatch;
use super::outline::statement_literals;
use super::statements::statements;
use crate::refusal::{Code, Refusal};

/// Name of the hook before the commit.
pub const MIGRATE: &str = "migrate";
/// Name of the hook after it.
pub const ON_SWAP: &str = "on_swap";

/// The hooks of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Run protected before the commit with the chunk's version; an error
    /// refuses the patch.
    pub migrate: Option<FunctionId>,
    /// Called after the commit with the chunk's versions before and now; an
    /// error is a warning.
    pub on_swap: Option<FunctionId>,
    /// The same of the text that is replaced, for when it comes back.
    pub on_swap_before: Option<FunctionId>,
}

impl Hooks {
    /// The hooks of a text whose main chunk is `main`; those of which there are
    /// several are refused.
    pub(crate) fn find(
        chunk: &Arc<str>,
        main: &Prototype,
        ast: &Ast,
        refusals: &mut Vec<Refusal>,
    ) -> Self {
        let mut one = |name: &str| {
            let found = candidates(main, ast, name);
            if let [_, second, ..] = &found[..] {
                refusals.push(Refusal {
                    code: Code::AmbiguousHook,
                    chunk: chunk.clone(),
                    line: second.1,
                    column: 1,
                    function: name.to_owned(),
                    reason: format!("{} functions could be the module's {name}", found.len()),
                    remedy: "give all but one of them other names".to_owned(),
                });
            }
            found.into_iter().next().map(|(id, _)| id)
        };
        Self {
            migrate: one(MIGRATE),
            on_swap: one(ON_SWAP),
            on_swap_before: None,
        }
    }

    /// Adds what is known of the text that is replaced; of several hooks none.
    pub(crate) fn with_old(mut self, main: &Prototype, text: Option<&ChunkPatch>) -> Self {
        let found = text.map(|text| candidates(main, text.ast(), ON_SWAP));
        if let Some([(id, _)]) = found.as_deref() {
            self.on_swap_before = Some(id.clone());
        }
        self
    }
}

/// The literals that could be the hook, with their lines.
fn candidates(main: &Prototype, ast: &Ast, name: &str) -> Vec<(FunctionId, u32)> {
    let bytes = name.as_bytes();
    let Some(wanted) = ast.symbols.iter().position(|s| **s == *bytes) else {
        return Vec::new();
    };
    let statements = statements(ast);
    let is = |symbol: Symbol| symbol.0 as usize == wanted;
    let function = |value: Option<&ExprId>| match ast.exprs.get(value?.0 as usize)? {
        Expr::Function(function) => Some(*function),
        _ => None,
    };
    // `return M`
    let returned = statements.last().and_then(|last| match &last.kind {
        StatementKind::Return(values) => match ast.exprs.get(values.first()?.0 as usize)? {
            Expr::Name(module) => Some(*module),
            _ => None,
        },
        _ => None,
    });
    let is_target = |target: &ExprId| match ast.exprs.get(target.0 as usize) {
        Some(Expr::Name(global)) => is(*global),
        Some(Expr::Field { object, name }) => {
            is(*name)
                && match ast.exprs.get(object.0 as usize) {
                    Some(Expr::Name(table)) => Some(*table) == returned,
                    _ => false,
                }
        }
        _ => false,
    };
    let is_method = |f: FunctionIndex| ast.functions.get(f.0 as usize).is_some_and(|f| f.is_method);
    let mut wanted: Vec<FunctionIndex> = Vec::new();
    for statement in statements {
        match &statement.kind {
            StatementKind::LocalFunction {
                name, function: f, ..
            } if is(*name) => wanted.push(*f),
            StatementKind::Local { names, values } => {
                for (i, (name, ..)) in names.iter().enumerate() {
                    wanted.extend(function(values.get(i)).filter(|_| is(*name)));
                }
            }
            StatementKind::Function {
                target,
                function: f,
            } if is_target(target) && !is_method(*f) => wanted.push(*f),
            StatementKind::Assign { targets, values } => {
                for (i, target) in targets.iter().enumerate() {
                    wanted.extend(function(values.get(i)).filter(|_| is_target(target)));
                }
            }
            StatementKind::Return(values) => {
                for value in values.iter().take(1) {
                    if let Some(Expr::Table(items)) = ast.exprs.get(value.0 as usize) {
                        wanted.extend(items.iter().filter_map(|item| match item {
                            TableItem::Named(field, value) if is(*field) => function(Some(value)),
                            _ => None,
                        }));
                    }
                }
            }
            _ => {}
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    // Children of the main chunk stand in the order of the text.
    let literals: Vec<FunctionIndex> = statements
        .iter()
        .flat_map(|statement| statement_literals(ast, &statement.kind))
        .collect();
    if literals.len() != main.children.len() {
        return Vec::new();
    }
    literals
        .iter()
        .zip(&main.children)
        .filter(|(literal, _)| wanted.contains(literal))
        .map(|(_, child)| (child.id.clone(), child.line_defined))
        .collect()
}
