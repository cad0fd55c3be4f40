//! Expressions of one tree taken along by another.

use super::ast::{Ast, Expr, ExprId, FunctionIndex, Symbol};
use super::relocate::Relocate;
use crate::error::Span;

impl Ast {
    /// Takes the expressions of another tree along, as if they stood at `span`;
    /// answers the new place of each one that had the place 0, 1, …, as what is
    /// to be added. Literals cannot be taken along: those become `nil`.
    pub fn absorb(&mut self, other: Ast, span: Span) -> u32 {
        let first = self.exprs.len() as u32;
        let mut symbols = Vec::with_capacity(other.symbols.len());
        for text in other.symbols {
            let known = self.symbols.iter().position(|s| *s == text);
            symbols.push(known.unwrap_or_else(|| {
                self.symbols.push(text);
                self.symbols.len() - 1
            }) as u32);
        }
        let mut to = Absorbed { first, symbols };
        for mut expr in other.exprs {
            match expr {
                Expr::Function(_) => expr = Expr::Nil,
                _ => expr.relocate(&mut to),
            }
            self.exprs.push(expr);
            self.spans.push(span);
            self.ends.push(span.end);
        }
        first
    }
}

/// The places of what [`Ast::absorb`] takes along.
struct Absorbed {
    first: u32,
    symbols: Vec<u32>,
}

impl Relocate for Absorbed {
    fn symbol(&mut self, symbol: &mut Symbol) {
        symbol.0 = self.symbols[symbol.0 as usize];
    }
    fn expr(&mut self, expr: &mut ExprId) {
        expr.0 += self.first;
    }
    fn function(&mut self, _: &mut FunctionIndex) {}
    fn span(&mut self, _: &mut Span) {}
}
