//! The text of a chunk with one literal replaced: how a single function is
//! patched.

use std::sync::Arc;

use moonswap_bytecode::FunctionId;
use moonswap_compiler::syntax::ast::{Ast, Expr, Function, FunctionIndex, StatementKind};
use moonswap_compiler::{ParseLimits, parse};

use super::ChunkPatch;
use super::outline::Outline;
use super::statements::statements;

/// Replaces the literal `id` of the text `source` by `expression`, the text of a
/// function expression (`function (a, b) … end`). For a method (`function M:f(x)`)
/// its first parameter has to be `self`. Errors: what is wrong, in words.
pub fn replace_literal(
    source: &[u8],
    id: &FunctionId,
    expression: &[u8],
) -> Result<Vec<u8>, String> {
    let text = [b"return ", expression].concat();
    let ast = parse("=patch", &text, ParseLimits::default())
        .map_err(|error| String::from_utf8_lossy(&error.raw).into_owned())?;
    let new = only_function(&ast).ok_or("the text of one function expression expected")?;
    let current = ChunkPatch::compile(id.chunk(), source)
        .map_err(|error| String::from_utf8_lossy(&error.raw).into_owned())?;
    let place = find(&current, id).ok_or_else(|| format!("{id} is not in its chunk's text"))?;
    let old = current
        .ast()
        .functions
        .get(place.0 as usize)
        .ok_or("the function is not in its chunk's text")?;
    let (from, to) = body(source, old).ok_or("the function is not in its chunk's text")?;
    let (start, end) = body(&text, new).ok_or("the text of one function expression expected")?;
    let mut body = text[start..end].to_vec();
    if old.is_method {
        let (name, span) = new.params.first().ok_or(SELF)?;
        if ast.symbols.get(name.0 as usize).map(|name| &**name) != Some(b"self") {
            return Err(SELF.to_owned());
        }
        let mut after = skip(&text, span.end as usize, b"");
        if text.get(after) == Some(&b',') {
            after += 1;
        }
        body.drain(span.start as usize - start..after - start);
    }
    Ok([&source[..from], &body, &source[to..]].concat())
}

const SELF: &str = "it replaces a method: its first parameter has to be self";

/// The function of `return function … end`.
fn only_function(ast: &Ast) -> Option<&Function> {
    let [statement] = statements(ast) else {
        return None;
    };
    let StatementKind::Return(values) = &statement.kind else {
        return None;
    };
    let [value] = &values[..] else { return None };
    match ast.exprs.get(value.0 as usize)? {
        Expr::Function(function) => ast.functions.get(function.0 as usize),
        _ => None,
    }
}

fn find(chunk: &ChunkPatch, id: &FunctionId) -> Option<FunctionIndex> {
    let main: &Arc<_> = chunk.main();
    let outline = Outline::new(main, Some(chunk.ast()));
    let literal = outline.literals.iter().find(|l| l.prototype.id == *id)?;
    // The main chunk is no function expression.
    literal.parent?;
    literal.function
}

/// From the `(` of the parameters to behind `end`.
fn body(text: &[u8], function: &Function) -> Option<(usize, usize)> {
    let names = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:";
    let from = skip(text, function.span.end as usize, names);
    let to = function.end.end as usize;
    (text.get(from) == Some(&b'(') && from < to && to <= text.len()).then_some((from, to))
}

/// The first byte from `at` on that is no blank, comment, or one of `more`.
fn skip(text: &[u8], mut at: usize, more: &[u8]) -> usize {
    while let Some(&byte) = text.get(at) {
        if byte.is_ascii_whitespace() || byte == 0x0b || more.contains(&byte) {
            at += 1;
        } else if text[at..].starts_with(b"--") {
            at = comment_end(text, at + 2);
        } else {
            break;
        }
    }
    at
}

/// Where the comment ends whose `--` is in front of `at`.
fn comment_end(text: &[u8], at: usize) -> usize {
    let level = text[at..]
        .strip_prefix(b"[")
        .map(|rest| rest.iter().take_while(|&&b| b == b'=').count())
        .filter(|&n| text.get(at + 1 + n) == Some(&b'['));
    let (close, from) = match level {
        Some(n) => ([b"]", &b"=".repeat(n)[..], b"]"].concat(), at + n + 2),
        None => (b"\n".to_vec(), at),
    };
    text[from..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(text.len(), |found| from + found + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(source: &str, path: &str, expression: &str) -> Result<String, String> {
        let main = ChunkPatch::compile("@m.lua", source.as_bytes()).map_err(|e| e.to_string())?;
        let mut todo = vec![main.main().clone()];
        while let Some(prototype) = todo.pop() {
            todo.extend(prototype.children.iter().cloned());
            if prototype.id.to_string() == format!("m.lua / {path}") {
                let text =
                    replace_literal(source.as_bytes(), &prototype.id, expression.as_bytes())?;
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
        }
        Err(format!("no {path}"))
    }

    #[test]
    fn literals_are_replaced_where_they_stand() {
        let source = "local M = {}\nfunction --[[ ( ]] M.f -- (\n (a) return a end\n\
                      function M:g(x) return x end\nlocal t = { h = function() end }\nreturn M";
        let f = replaced(source, "M.f", "function(a, b) return a + b end").expect("f");
        assert!(
            f.contains("M.f -- (\n (a, b) return a + b end\nfunction M:g(x)"),
            "{f}"
        );
        let g = replaced(source, "M:g", "function(self, x, ...) return self, x end").expect("g");
        assert!(
            g.contains("function M:g( x, ...) return self, x end\nlocal"),
            "{g}"
        );
        let g = replaced(source, "M:g", "function(self) end").expect("g");
        assert!(g.contains("function M:g() end\nlocal"), "{g}");
        let h = replaced(source, ".t.h", "function() return 1 end");
        assert!(h.expect("h").contains("{ h = function() return 1 end }"));
    }

    #[test]
    fn what_is_no_function_expression_is_an_error() {
        let source = "function f() end function t:g() end";
        for text in [
            "5",
            "function() end, 5",
            "function() end f()",
            "function(",
            "",
            "(function() end)",
        ] {
            assert!(replaced(source, "f", text).is_err(), "{text}");
        }
        assert!(replaced(source, "t:g", "function(x) end").is_err());
        assert!(replaced(source, "t:g", "function() end").is_err());
    }
}
