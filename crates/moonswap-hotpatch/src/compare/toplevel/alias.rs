//! Top-level locals that are other names for what stands elsewhere: `local T = M.types`.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_compiler::syntax::ast::StatementKind;

use crate::patch::ChunkPatch;
use crate::patch::path::{Path, Root, Scope};
use crate::patch::statements::statements;
use crate::patch::tree::symbol_text;

/// The locals, and what each was declared as a name of. Later assignments are not
/// known: a path may lead to both.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<(Arc<str>, u32), Path>);

impl Aliases {
    pub(super) fn of(text: &ChunkPatch) -> Self {
        let (ast, constants) = (text.ast(), &text.facts().constants);
        let mut scope = Scope::default();
        let mut found = Self::default();
        for statement in statements(ast) {
            let mut declared = Vec::new();
            if let StatementKind::Local { names, values } = &statement.kind {
                let paths = values
                    .iter()
                    .map(|value| constants.path(ast, &scope, *value));
                let named = names.iter().zip(paths);
                declared.extend(named.filter_map(|((name, ..), path)| Some((*name, path?))));
            }
            scope.pass(&statement.kind);
            for (name, path) in declared {
                if let Root::Local(_, declaration) = scope.root(ast, name).root {
                    let path = found.resolved(&path).unwrap_or(path);
                    found.0.insert((symbol_text(ast, name), declaration), path);
                }
            }
        }
        found
    }

    /// What a local was declared as a name of.
    pub(super) fn meant(&self, path: &Path) -> Option<Path> {
        match &path.root {
            Root::Local(name, declaration) if path.keys.is_empty() => {
                self.0.get(&(Arc::clone(name), *declaration)).cloned()
            }
            _ => self.resolved(path),
        }
    }

    /// The path that leads to a field without the other name; `None` for all that do not
    /// begin with one. The local itself is a place of its own.
    pub(super) fn resolved(&self, path: &Path) -> Option<Path> {
        let Root::Local(name, declaration) = &path.root else {
            return None;
        };
        if path.keys.is_empty() {
            return None;
        }
        let mut resolved = self.0.get(&(Arc::clone(name), *declaration))?.clone();
        resolved.keys.extend_from_slice(&path.keys);
        Some(resolved)
    }
}
