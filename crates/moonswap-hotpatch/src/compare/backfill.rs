//! Captured variables that closures made before a patch lack, and the
//! expressions that give them a value there (`captures = "nil"`, `"expr: …"`).
//!
//! The variable gets an index behind those that all closures have. Code reaches
//! it by operations that look whether the closure has it; an expression is
//! compiled into the beginning of the function, evaluated if it has not. Each
//! such closure has a variable of its own: nothing is searched for in the heap.

use std::sync::Arc;

use moonswap_bytecode::{Prototype, UpvalueDescription};
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, Symbol};
use moonswap_compiler::{ParseLimits, parse};

use crate::manifest::{is_reserved, reserved, same};
use crate::patch::tree::parts;

/// The value of one variable in closures that lack it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackfilledValue {
    /// Its index among the captured variables.
    pub(crate) index: u16,
    /// An expression.
    pub(crate) text: Arc<str>,
}

/// The parsed text of a [`BackfilledValue`].
pub(crate) struct Expression {
    pub(crate) ast: Ast,
    pub(crate) root: ExprId,
}

impl BackfilledValue {
    /// Those that a function already has.
    pub(crate) fn known(prototype: &Prototype) -> Vec<Self> {
        let all = prototype.initialisers.iter().cloned();
        all.map(|(index, text)| Self { index, text }).collect()
    }

    /// The error is the rest of a sentence about the value.
    pub(crate) fn parse(&self) -> Result<Expression, String> {
        let text = format!("return {}", self.text);
        let ast = parse("=captures", text.as_bytes(), ParseLimits::default())
            .map_err(|e| format!("is no expression: {}", e.message))?;
        let body = ast.functions.last().map(|main| &main.body.statements[..]);
        let Some([only]) = body else {
            return Err("is no expression".to_owned());
        };
        let StatementKind::Return(values) = &only.kind else {
            return Err("is no expression".to_owned());
        };
        let &[root] = &values[..] else {
            return Err(format!("is {} expressions", values.len()));
        };
        if ast.exprs.iter().any(|e| matches!(e, Expr::Function(_))) {
            return Err("contains a function".to_owned());
        }
        if ast.exprs.iter().any(|e| matches!(e, Expr::Vararg)) {
            return Err("uses the arguments of the call".to_owned());
        }
        Ok(Expression { ast, root })
    }
}

impl Expression {
    fn symbols(&self) -> impl Iterator<Item = Symbol> {
        let mut todo = vec![self.root];
        std::iter::from_fn(move || {
            let expr = todo.pop()?;
            todo.extend(parts(&self.ast, expr));
            match self.ast.exprs.get(expr.0 as usize) {
                Some(Expr::Name(name)) => Some(Some(*name)),
                _ => Some(None),
            }
        })
        .flatten()
    }

    /// The names of variables in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols()
            .filter_map(|s| std::str::from_utf8(self.ast.symbols.get(s.0 as usize)?).ok())
    }
}

/// The index of a variable that closures lack: the one it had when an earlier
/// version captured it, or the next one.
pub(crate) fn backfilled_index(
    layout: &mut Vec<UpvalueDescription>,
    n_fixed: usize,
    wanted: &UpvalueDescription,
) -> u16 {
    let gone = reserved(wanted);
    let before = layout
        .iter()
        .skip(n_fixed)
        .position(|e| is_reserved(e) && same(e, &gone));
    let index = before.map_or(layout.len(), |at| n_fixed + at);
    layout.truncate(layout.len().max(index));
    if index == layout.len() {
        layout.push(wanted.clone());
    } else {
        layout[index] = wanted.clone();
    }
    index as u16
}
