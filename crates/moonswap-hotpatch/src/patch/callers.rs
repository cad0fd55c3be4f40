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

/// So many statements are the head of a text: all calls ask.
const HEAD: usize = 200;

/// The argument that a call runs at once, by the callee.
pub(crate) fn runs(ast: &Ast, callee: ExprId) -> Option<usize> {
    let is_called = |caller: &&Caller| caller.is(ast, callee) || caller.is_alias(ast, callee);
    CALLERS.iter().find(is_called).map(|caller| caller.runs)
}

/// The argument that the call of a method runs at once: `text:gsub(pattern, function)`.
pub(crate) fn method_runs(name: &[u8]) -> Option<usize> {
    (name == b"gsub").then_some(1)
}

impl Caller {
    /// Whether an expression is it, written out.
    fn is(&self, ast: &Ast, expr: ExprId) -> bool {
        match (ast.exprs.get(expr.0 as usize), self.field) {
            (Some(Expr::Name(name)), None) => text(ast, *name) == self.name.as_bytes(),
            (Some(Expr::Field { object, name }), Some(field)) => {
                let of = ast.exprs.get(object.0 as usize);
                text(ast, *name) == field.as_bytes()
                    && matches!(of, Some(Expr::Name(of)) if text(ast, *of) == self.name.as_bytes())
            }
            _ => false,
        }
    }

    /// Whether an expression is a top-level local that holds it: `local sort =
    /// table.sort`. They stand at the head of a text.
    fn is_alias(&self, ast: &Ast, expr: ExprId) -> bool {
        let Some(Expr::Name(name)) = ast.exprs.get(expr.0 as usize) else {
            return false;
        };
        let mut head = statements(ast).iter().take(HEAD);
        head.any(|statement| match &statement.kind {
            StatementKind::Local { names, values } => {
                let mut locals = names.iter().zip(values);
                locals.any(|((local, ..), value)| local == name && self.is(ast, *value))
            }
            _ => false,
        })
    }
}

fn text(ast: &Ast, symbol: Symbol) -> &[u8] {
    ast.symbols.get(symbol.0 as usize).map_or(b"", |text| text)
}
