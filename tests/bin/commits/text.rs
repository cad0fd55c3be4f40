//! What is asked of a text alone: its top-level statements, the names in them, and
//! the text with a probe that answers all top-level locals.

use std::collections::{BTreeMap, BTreeSet};

use moonswap_compiler::syntax::ast::{self, Ast, Expr, ExprId, StatementKind};
use moonswap_compiler::{ParseLimits, parse};

/// A top-level statement.
pub(crate) struct Statement {
    /// Line of its first token.
    pub(crate) line: u32,
    /// Its text, blanks squeezed.
    pub(crate) text: String,
    /// It only defines a function.
    pub(crate) is_definition: bool,
    /// Its kind in a word, for statistics.
    pub(crate) kind: &'static str,
}

/// Names, strings and numbers in a text.
pub(crate) fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

fn squeezed(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A parsed text.
pub(crate) struct Text<'a> {
    source: &'a [u8],
    ast: Ast,
}

impl<'a> Text<'a> {
    pub(crate) fn parse(source: &'a [u8]) -> Option<Self> {
        let ast = parse("@text", source, ParseLimits::default()).ok()?;
        Some(Self { source, ast })
    }

    /// Its top-level statements; those of a function that one of them calls in place
    /// follow it.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        if let Some(main) = self.ast.functions.last() {
            self.statements_of(main, &mut found);
        }
        found
    }

    fn statements_of(&self, function: &ast::Function, found: &mut Vec<Statement>) {
        for statement in &function.body.statements {
            let span = statement.span;
            let (is_definition, kind) = match &statement.kind {
                StatementKind::LocalFunction { .. } | StatementKind::Function { .. } => {
                    (true, "function")
                }
                StatementKind::Local { values, .. } => (self.are_functions(values), "local"),
                StatementKind::Assign { values, .. } => (self.are_functions(values), "assignment"),
                StatementKind::Call(_) => (false, "call"),
                StatementKind::Return(_) => (false, "return"),
                StatementKind::If { .. } => (false, "if"),
                StatementKind::Do(_) => (false, "do"),
                StatementKind::NumericFor { .. }
                | StatementKind::GenericFor { .. }
                | StatementKind::While { .. }
                | StatementKind::Repeat { .. } => (false, "loop"),
                StatementKind::Goto(_) | StatementKind::Label(_) | StatementKind::Break => {
                    (false, "jump")
                }
            };
            let called = self.called_in_place(statement);
            let source = match called {
                Some(function) => [
                    &self.source[span.start as usize..function.span.start as usize],
                    b"function() ",
                    &self.source[function.end.start as usize..span.end as usize],
                ]
                .concat(),
                None => self.source[span.start as usize..span.end as usize].to_vec(),
            };
            found.push(Statement {
                line: span.line,
                text: squeezed(&source),
                is_definition,
                kind,
            });
            if let Some(function) = called {
                self.statements_of(function, found);
            }
        }
    }

    /// The literal that a statement only calls: `X = (function() … end)()`.
    fn called_in_place(&self, statement: &ast::Statement) -> Option<&ast::Function> {
        let expr = |id: ExprId| self.ast.exprs.get(id.0 as usize);
        let call = match &statement.kind {
            StatementKind::Local { values, .. }
            | StatementKind::Assign { values, .. }
            | StatementKind::Return(values) => match values[..] {
                [value] => value,
                _ => return None,
            },
            StatementKind::Call(call) => *call,
            _ => return None,
        };
        let Some(Expr::Call { callee, .. }) = expr(call) else {
            return None;
        };
        let Some(Expr::Paren(inner)) = expr(*callee) else {
            return None;
        };
        let Some(Expr::Function(function)) = expr(*inner) else {
            return None;
        };
        self.ast.functions.get(function.0 as usize)
    }

    fn are_functions(&self, values: &[ExprId]) -> bool {
        let is_function = |id: &ExprId| {
            let value = self.ast.exprs.get(id.0 as usize);
            matches!(value, Some(Expr::Function(_)))
        };
        !values.is_empty() && values.iter().all(is_function)
    }

    /// The text with a function `commits_probe` in front of its last `return` that
    /// answers all top-level locals in a table. `None`: there are too many.
    pub(crate) fn with_probe(&self) -> Option<Vec<u8>> {
        let main = self.ast.functions.last()?;
        let mut names = BTreeSet::new();
        for statement in &main.body.statements {
            let mut note = |symbol: moonswap_compiler::syntax::ast::Symbol| {
                let name = self.ast.symbols.get(symbol.0 as usize)?;
                names.insert(String::from_utf8_lossy(name).into_owned());
                Some(())
            };
            match &statement.kind {
                StatementKind::Local { names, .. } => {
                    names.iter().for_each(|(name, ..)| {
                        note(*name);
                    });
                }
                StatementKind::LocalFunction { name, .. } => {
                    note(*name);
                }
                _ => {}
            }
        }
        let last = main.body.statements.last();
        let at = match last {
            Some(last) if matches!(last.kind, StatementKind::Return(_)) => last.span.start as usize,
            _ => self.source.len(),
        };
        if names.len() > 180 {
            return None;
        }
        let mut probe = String::from(" ; function commits_probe() return {");
        for name in &names {
            // Calls stand for the table: what is nil is told from what is absent.
            probe.push_str(&format!("[\"{name}\"] = {name}, "));
        }
        probe.push_str("} end ; ");
        if at == self.source.len() {
            probe.insert(0, '\n');
        }
        let mut text = self.source[..at].to_vec();
        text.extend_from_slice(probe.as_bytes());
        text.extend_from_slice(&self.source[at..]);
        Some(text)
    }
}

/// What differs between the top-level statements of two texts.
pub(crate) struct Changes {
    /// Words of the statements that are in one text only, or another number of times;
    /// of definitions of functions only what they define.
    pub(crate) words: BTreeSet<String>,
    /// Words of each of these statements.
    changed: Vec<BTreeSet<String>>,
    /// Of those that define no function.
    changed_plain: Vec<BTreeSet<String>>,
    /// Words of each other statement that defines no function.
    standing: Vec<BTreeSet<String>>,
}

fn owned(words: BTreeSet<&str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

impl Changes {
    pub(crate) fn between(old: &[Statement], new: &[Statement]) -> Self {
        let mut counts: BTreeMap<&str, (i32, bool)> = BTreeMap::new();
        for (statements, one) in [(new, 1), (old, -1)] {
            for statement in statements {
                let text = match statement.text.find('(') {
                    Some(end) if statement.is_definition => &statement.text[..end],
                    _ => &statement.text,
                };
                let count = counts.entry(text).or_default();
                *count = (count.0 + one, statement.is_definition);
            }
        }
        let mut changes = Self {
            words: BTreeSet::new(),
            changed: Vec::new(),
            changed_plain: Vec::new(),
            standing: Vec::new(),
        };
        for (text, (count, is_definition)) in counts {
            if count != 0 {
                changes.words.append(&mut owned(words(text)));
                changes.changed.push(owned(words(text)));
                if !is_definition {
                    changes.changed_plain.push(owned(words(text)));
                }
            } else if !is_definition {
                changes.standing.push(owned(words(text)));
            }
        }
        changes
    }

    /// Whether a statement that stands in both texts has all these words.
    pub(crate) fn stands(&self, names: &BTreeSet<&str>) -> bool {
        is_within(names, &self.standing)
    }

    /// Whether a statement that differs has all these words.
    pub(crate) fn changed(&self, names: &BTreeSet<&str>) -> bool {
        is_within(names, &self.changed)
    }

    /// Whether a statement that differs and defines no function has all these words.
    pub(crate) fn changed_plain(&self, names: &BTreeSet<&str>) -> bool {
        is_within(names, &self.changed_plain)
    }
}

fn is_within(names: &BTreeSet<&str>, statements: &[BTreeSet<String>]) -> bool {
    let has_all = |words: &BTreeSet<String>| names.iter().all(|name| words.contains(*name));
    !names.is_empty() && statements.iter().any(has_all)
}
