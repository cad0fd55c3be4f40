//! What is compared, and what is said of its statements.

use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Expr, ExprId, Statement, StatementKind};

use super::outcome::TopLevel;
use crate::compare::matching::matcher::Matching;
use crate::manifest::ChunkManifest;
use crate::patch::ChunkPatch;
use crate::patch::declarations::Declared;
use crate::patch::statements::{runs_alone, span_of, statements};
use crate::policy::Policy;
use crate::refusal::{Code, Refusal};

/// Everything that is compared.
pub(crate) struct Comparison<'a> {
    pub(crate) chunk: Arc<str>,
    pub(crate) manifest: &'a ChunkManifest,
    pub(crate) policy: &'a Policy,
    pub(crate) old: Option<&'a ChunkPatch>,
    pub(crate) old_main: &'a Prototype,
    pub(crate) new: &'a ChunkPatch,
    pub(crate) matching: &'a Matching,
}

impl Comparison<'_> {
    pub(super) fn source(&self) -> &[u8] {
        self.new.source()
    }

    /// The statements of the new text.
    pub(crate) fn body(&self) -> &[Statement] {
        statements(self.new.ast())
    }

    pub(super) fn is_reset(&self, name: &str) -> bool {
        self.policy.reset.iter().any(|reset| reset == name)
    }

    /// What a top-level local of the new text was called, if `old` has it.
    pub(super) fn old_name(&self, new: &str, old: &[Declared]) -> String {
        let renamed = self.policy.rename.iter().find(|(_, to)| *to == new);
        renamed
            .map(|(from, _)| from.as_str())
            .filter(|from| old.iter().any(|v| &*v.name == *from))
            .unwrap_or(new)
            .to_owned()
    }

    /// What a top-level local of the old text is called.
    pub(super) fn new_name(&self, old: &Arc<str>) -> Arc<str> {
        match self.policy.rename.get(&**old) {
            Some(new) => new.as_str().into(),
            None => Arc::clone(old),
        }
    }

    /// Whether the main chunk returns a variable: others hold the table in it, and would
    /// keep the old one if it were made again.
    pub(super) fn is_returned(&self, name: &str) -> bool {
        let ast = self.new.ast();
        let is_it = |value: &ExprId| match ast.exprs.get(value.0 as usize) {
            Some(Expr::Name(returned)) => {
                let text = ast.symbols.get(returned.0 as usize);
                text.is_some_and(|text| **text == *name.as_bytes())
            }
            _ => false,
        };
        match self.body().last().map(|s| &s.kind) {
            Some(StatementKind::Return(values)) => values.iter().any(is_it),
            _ => false,
        }
    }

    /// The setting that runs a statement, if it can run alone.
    pub(crate) fn run_option(&self, statement: usize) -> Option<String> {
        let statement = self.body().get(statement)?;
        runs_alone(&statement.kind).then(|| format!("run = {{ {} }}", statement.span.line))
    }

    pub(crate) fn statement_line(&self, statement: usize) -> u32 {
        span_of(self.new.ast(), statement).line
    }

    pub(crate) fn statement_text(&self, statement: usize) -> String {
        text(self.source(), span_of(self.new.ast(), statement))
    }

    pub(super) fn old_statement_text(&self, old: &ChunkPatch, statement: usize) -> String {
        text(old.source(), span_of(old.ast(), statement))
    }

    pub(super) fn refuse(
        &self,
        top: &mut TopLevel,
        code: Code,
        span: Span,
        reason: String,
        remedy: &str,
    ) {
        top.refusals.push(Refusal {
            code,
            chunk: self.chunk.clone(),
            line: span.line,
            column: span.column,
            function: "main chunk".into(),
            reason,
            remedy: remedy.into(),
        });
    }
}

/// The first line of a statement, shortened.
pub(crate) fn text(source: &[u8], span: Span) -> String {
    const SHOWN: usize = 60;
    let bytes = source
        .get(span.start as usize..span.end as usize)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if text.trim().len() > line.len() => format!("{line} …"),
        None => line.to_owned(),
    }
}
