//! Library functions that call what they are given. That the globals named here are those
//! of the standard library is taken for granted where the text does not assign them.

use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, Symbol};

use super::statements::statements;

/// Such a function, and at which places (from 0) it is given functions.
pub(crate) struct Caller {
    /// `pcall`, or the table.
    pub(crate) name: &'static str,
    /// `sort` of `table`.
    pub(crate) field: Option<&'static str>,
    /// They may be called, and are not kept.
    pub(crate) places: &'static [usize],
    /// Where the function stands whose call is what the library function is for.
    runs: usize,
}

pub(crate) const CALLERS: &[Caller] = &[
    Caller {
        name: "pcall",
        field: None,
        places: &[0],
        runs: 0,
    },
    Caller {
        name: "xpcall",
        field: None,
        places: &[0, 1],
        runs: 0,
    },
    Caller {
        name: "table",
        field: Some("sort"),
        places: &[1],
        runs: 1,
    },
    Caller {
        name: "string",
        field: Some("gsub"),
        places: &[2],
        runs: 2,
    },
];

/// The argument that a call of these names runs at once.
pub(crate) fn runs(ast: &Ast, callee: &[&[u8]]) -> Option<usize> {
    let is_called = |caller: &&Caller| {
        let names = [Some(caller.name), caller.field];
        let mut names = names.iter().flatten();
        let is_whole = callee.len() == names.clone().count()
            && callee
                .iter()
                .all(|part| names.next().is_some_and(|name| name.as_bytes() == *part));
        is_whole || matches!(callee, [only] if is_alias(ast, only, caller))
    };
    CALLERS.iter().find(is_called).map(|caller| caller.runs)
}

/// So many statements are the head of a text: all calls ask.
const HEAD: usize = 200;

/// Whether a top-level local of that name holds a function that calls what it is given:
/// `local sort = table.sort`. They stand at the head of a text.
fn is_alias(ast: &Ast, name: &[u8], caller: &Caller) -> bool {
    let text = |symbol: &Symbol| ast.symbols.get(symbol.0 as usize).map(|text| &**text);
    let is_caller = |value: &ExprId| match ast.exprs.get(value.0 as usize) {
        Some(Expr::Name(name)) => {
            caller.field.is_none() && text(name) == Some(caller.name.as_bytes())
        }
        Some(Expr::Field { object, name }) => {
            let object = match ast.exprs.get(object.0 as usize) {
                Some(Expr::Name(object)) => text(object),
                _ => None,
            };
            object == Some(caller.name.as_bytes()) && text(name) == caller.field.map(str::as_bytes)
        }
        _ => false,
    };
    let mut head = statements(ast).iter().take(HEAD);
    head.any(|statement| match &statement.kind {
        StatementKind::Local { names, values } => names
            .iter()
            .zip(values)
            .any(|((local, ..), value)| text(local) == Some(name) && is_caller(value)),
        _ => false,
    })
}

/// The argument that the call of a method runs at once: `text:gsub(pattern, function)`.
pub(crate) fn method_runs(name: &[u8]) -> Option<usize> {
    (name == b"gsub").then_some(1)
}

/// The argument that a call runs at once, by the callee.
pub(crate) fn runs_argument(ast: &Ast, callee: ExprId) -> Option<usize> {
    let text = |name: &Symbol| ast.symbols.get(name.0 as usize).map(|text| &**text);
    match ast.exprs.get(callee.0 as usize)? {
        Expr::Name(name) => runs(ast, &[text(name)?]),
        Expr::Field { object, name } => match ast.exprs.get(object.0 as usize)? {
            Expr::Name(object) => runs(ast, &[text(object)?, text(name)?]),
            _ => None,
        },
        _ => None,
    }
}
