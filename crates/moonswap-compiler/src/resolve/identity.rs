//! Identity of literals: the steps of their lexical path, taken from where a
//! literal stands (binding name and role), and ordinals among equal siblings.

use foldhash::HashMap;
use std::sync::Arc;

use moonswap_bytecode::PathStep;

use crate::syntax::ast::{Ast, Expr, ExprId, FunctionIndex, Symbol};

/// Longest text of a callee or assignment target used in a path.
const MAX_TEXT: usize = 120;

/// Counts equal siblings, known by their hashes: those of two that differ may be
/// equal once in 2^64 times, and then the ordinals tell them apart.
#[derive(Debug, Default)]
pub(crate) struct Siblings(HashMap<u64, u32>);

impl Siblings {
    /// The step together with its ordinal, which is then used up.
    pub(crate) fn number(&mut self, step: PathStep) -> (PathStep, u32) {
        let counter = self.0.entry(hash_of(&step)).or_insert(0);
        let ordinal = *counter;
        *counter += 1;
        (step, ordinal)
    }
}

/// The same in every build and process.
fn hash_of(step: &PathStep) -> u64 {
    let (kind, name, n) = step.parts();
    let text = name.map_or("", |name| name);
    let mut hash = 0x9E37_79B9_7F4A_7C15 ^ (u64::from(kind) << 32 | u64::from(n));
    for chunk in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash ^= hash >> 29;
    }
    // A shorter name that ends in zeros is another one.
    hash = (hash ^ text.len() as u64).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ hash >> 32
}

/// The text of a symbol; bytes that are no UTF-8 are replaced.
pub(crate) fn symbol_text(ast: &Ast, symbol: Symbol) -> String {
    let bytes = ast.symbols.get(symbol.0 as usize).map_or(&b"?"[..], |s| s);
    String::from_utf8_lossy(bytes).into_owned()
}

/// The path step of a literal with a stable id (`--@id name`): the id stands
/// in place of binding name and role.
pub(crate) fn stable_step(ast: &Ast, function: FunctionIndex) -> Option<PathStep> {
    let id = ast.functions.get(function.0 as usize)?.stable_id?;
    Some(PathStep::Field(Arc::from(format!(
        "@{}",
        symbol_text(ast, id)
    ))))
}

/// A variable or field path as written: `a.b.c`, `a.b:m`, `a["x y"]`, `f()`.
/// Parts that have no short text become `?`.
pub(crate) fn expression_text(ast: &Ast, expr: ExprId) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut length = 0;
    let mut at = expr;
    loop {
        let (part, next) = match ast.exprs.get(at.0 as usize) {
            Some(Expr::Name(name)) => (symbol_text(ast, *name), None),
            Some(Expr::Field { object, name }) => {
                (format!(".{}", symbol_text(ast, *name)), Some(*object))
            }
            Some(Expr::Index { object, key }) => (key_text(ast, *key), Some(*object)),
            Some(Expr::Call { callee, .. }) => ("()".to_owned(), Some(*callee)),
            Some(Expr::MethodCall { object, name, .. }) => {
                (format!(":{}()", symbol_text(ast, *name)), Some(*object))
            }
            Some(Expr::Paren(inner)) => (String::new(), Some(*inner)),
            Some(Expr::String(text)) => (format!("{:?}", symbol_text(ast, *text)), None),
            _ => ("?".to_owned(), None),
        };
        length += part.len();
        parts.push(part);
        match next {
            Some(next) if length <= MAX_TEXT => at = next,
            Some(_) => {
                parts.push("?".to_owned());
                break;
            }
            None => break,
        }
    }
    parts.reverse();
    parts.concat()
}

/// `[key]` as written, `.key` for a string that is an identifier.
pub(crate) fn key_text(ast: &Ast, key: ExprId) -> String {
    match ast.exprs.get(key.0 as usize) {
        Some(Expr::String(s)) => {
            let text = symbol_text(ast, *s);
            let identifier = !text.is_empty()
                && !text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            if identifier {
                format!(".{text}")
            } else {
                format!("[{text:?}]")
            }
        }
        Some(Expr::Integer(i)) => format!("[{i}]"),
        Some(Expr::Float(f)) => format!("[{f:?}]"),
        Some(Expr::True) => "[true]".to_owned(),
        Some(Expr::False) => "[false]".to_owned(),
        Some(Expr::Name(name)) => format!("[{}]", symbol_text(ast, *name)),
        Some(Expr::Field { .. }) => format!("[{}]", field_text(ast, key)),
        _ => "[?]".to_owned(),
    }
}

/// A path of names and fields only; other parts are `?` (this keeps
/// [`key_text`] and [`expression_text`] from nesting without end).
fn field_text(ast: &Ast, expr: ExprId) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = expr;
    loop {
        match ast.exprs.get(at.0 as usize) {
            Some(Expr::Field { object, name }) if parts.len() < 8 => {
                parts.push(format!(".{}", symbol_text(ast, *name)));
                at = *object;
            }
            Some(Expr::Name(name)) => {
                parts.push(symbol_text(ast, *name));
                break;
            }
            _ => {
                parts.push("?".to_owned());
                break;
            }
        }
    }
    parts.reverse();
    parts.concat()
}

/// The literal an expression is, seen through parentheses.
pub(crate) fn literal_of(ast: &Ast, expr: ExprId) -> Option<FunctionIndex> {
    let mut at = expr;
    loop {
        match ast.exprs.get(at.0 as usize)? {
            Expr::Function(function) => return Some(*function),
            Expr::Paren(inner) => at = *inner,
            _ => return None,
        }
    }
}
