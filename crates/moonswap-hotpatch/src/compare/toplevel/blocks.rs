//! What stands in opened blocks: their locals have no cells, unless a patch brought them,
//! so statements that need one are listed.

use super::comparison::{Comparison, text};
use super::outcome::TopLevel;
use crate::model::not_run::NotRun;
use crate::patch::declarations::Declared;
use crate::patch::hoist::names_in;
use crate::patch::tree::symbol_text;

/// Why a statement does not run.
pub(super) const OUT_OF_REACH: &str = "it uses a local of its block, which was not kept";

impl Comparison<'_> {
    /// Whether a statement stood in a block.
    pub(super) fn is_in_block(&self, statement: usize) -> bool {
        self.opened
            .is_some_and(|opened| opened.inside.contains(&statement))
    }

    /// Whether functions use a local of an opened block: they are compiled with the block
    /// as it is, so it has no cell for them.
    pub(super) fn is_captured_in_block(&self, variable: &Declared) -> bool {
        let opened = self.opened.filter(|o| o.captured.contains(&variable.name));
        opened.is_some() && self.is_in_block(variable.statement)
    }

    /// Whether a new local of an opened block cannot be made: functions use it, or what
    /// it is set to needs another one that cannot be reached.
    pub(super) fn is_out_of_reach(&self, variable: &Declared, top: &TopLevel) -> bool {
        self.is_in_block(variable.statement)
            && (self.is_captured_in_block(variable) || self.names_gone(variable.statement, top))
    }

    /// Whether a local of a block that has ended is left to nobody: no function of the new
    /// text uses it, and statements that do are listed if they changed.
    pub(super) fn is_seen_by_nobody(&self, variable: Option<&Declared>, top: &TopLevel) -> bool {
        variable.is_some_and(|variable| {
            top.gone_in_blocks.contains(&variable.name) && !self.is_captured_in_block(variable)
        })
    }

    fn names_gone(&self, statement: usize, top: &TopLevel) -> bool {
        if top.gone_in_blocks.is_empty() {
            return false;
        }
        let ast = self.new.ast();
        let body = self.body().get(statement..=statement).unwrap_or_default();
        names_in(ast, body)
            .into_iter()
            .any(|name| top.gone_in_blocks.contains(&symbol_text(ast, name)))
    }

    pub(super) fn list_declaration(&self, variable: &Declared, top: &mut TopLevel) {
        top.list(NotRun {
            line: variable.span.line,
            text: text(self.source(), variable.span),
            why: OUT_OF_REACH.to_owned(),
            option: None,
        });
    }

    /// Finds the statements that need what cannot be reached.
    pub(super) fn find_out_of_reach(&self, top: &mut TopLevel) {
        let inside = self
            .opened
            .into_iter()
            .flat_map(|o| o.inside.iter().copied());
        top.out_of_reach = inside.filter(|at| self.names_gone(*at, top)).collect();
    }
}
