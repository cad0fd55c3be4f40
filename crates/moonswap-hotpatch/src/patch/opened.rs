//! Texts whose top-level `do … end` blocks are opened, to compare what stands in them
//! like other top-level statements.
//!
//! Only the comparison and the delta chunks see this form; functions are compiled from
//! the text as it is. A block can be opened if its locals have names of their own, and
//! if the same can be done with the blocks of the other text that set the same things.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moonswap_compiler::syntax::ast::{Ast, Attribute, Block, Statement, StatementKind, Symbol};

use super::ChunkPatch;
use super::hoist::{block, declared, leaves, names_in};
use super::shape;
use super::statements::{statements, target_text};
use super::tree::symbol_text;

/// Two texts with opened blocks.
pub(crate) struct Opened {
    pub(crate) old: ChunkPatch,
    pub(crate) new: ChunkPatch,
    /// Statements of the new text that come from blocks, by position.
    pub(crate) inside: HashSet<usize>,
    /// Locals of blocks that functions of the new text use.
    pub(crate) captured: HashSet<Arc<str>>,
}

impl Opened {
    /// `None`: there is nothing to open, or no block differs.
    pub(crate) fn of(old: &ChunkPatch, new: &ChunkPatch) -> Option<Self> {
        let shapes = |text: &ChunkPatch| -> Vec<Vec<u8>> {
            let blocks = statements(text.ast()).iter().filter(|s| block(s).is_some());
            blocks
                .map(|s| shape::statement(text.ast(), &s.kind))
                .collect()
        };
        if shapes(old) == shapes(new) {
            return None;
        }
        let (was, is) = (Blocks::of(old), Blocks::of(new));
        let (mut open_old, mut open_new) = (was.openable(), is.openable());
        loop {
            let n = open_old.len() + open_new.len();
            let closed = is.closed(&open_new);
            open_old.retain(|at| was.signs[at].is_disjoint(&closed));
            let closed = was.closed(&open_old);
            open_new.retain(|at| is.signs[at].is_disjoint(&closed));
            if open_old.len() + open_new.len() == n {
                break;
            }
        }
        if open_old.is_empty() || open_new.is_empty() {
            return None;
        }
        let (old_text, _) = open(old, &open_old)?;
        let (new_text, inside) = open(new, &open_new)?;
        let main = statements(new.ast()).iter().enumerate();
        let own = main.filter(|(at, _)| open_new.contains(at));
        let own = own.flat_map(|(_, s)| block(s).into_iter().flat_map(|b| &b.statements));
        let own: HashSet<Arc<str>> = own
            .flat_map(declared)
            .map(|name| symbol_text(new.ast(), name))
            .collect();
        let functions = new_text.facts().outline.literals.iter().skip(1);
        let used = functions.flat_map(|literal| literal.prototype.upvalues.iter());
        let captured = used.filter(|v| v.top_level && own.contains(&v.name));
        Some(Self {
            old: old_text,
            inside,
            captured: captured.map(|v| Arc::clone(&v.name)).collect(),
            new: new_text,
        })
    }
}

/// The top-level blocks of a text, by position.
struct Blocks<'a> {
    text: &'a ChunkPatch,
    /// The names of what each declares and sets.
    signs: HashMap<usize, HashSet<String>>,
}

impl<'a> Blocks<'a> {
    fn of(text: &'a ChunkPatch) -> Self {
        let ast = text.ast();
        let all = statements(ast).iter().enumerate();
        let signs = all.filter_map(|(at, s)| Some((at, signs(ast, block(s)?))));
        Self {
            text,
            signs: signs.collect(),
        }
    }

    /// What the blocks that stay closed declare and set.
    fn closed(&self, open: &HashSet<usize>) -> HashSet<String> {
        let closed = self.signs.iter().filter(|(at, _)| !open.contains(at));
        closed
            .flat_map(|(_, signs)| signs.iter().cloned())
            .collect()
    }

    /// Blocks whose locals mean nothing else anywhere when they are seen up to the end.
    fn openable(&self) -> HashSet<usize> {
        let ast = self.text.ast();
        let names = &self.text.facts().names;
        if names.is_dynamic {
            return HashSet::new();
        }
        let is_global = |name: &Symbol| {
            names.defined.contains(name)
                || names.tested.contains(name)
                || names.uses.iter().any(|used| used.name == *name)
        };
        let mut n_declared: HashMap<Symbol, usize> = HashMap::new();
        for statement in statements(ast) {
            let inner = block(statement).map_or(&[][..], |block| &block.statements);
            for name in declared(statement).chain(inner.iter().flat_map(declared)) {
                *n_declared.entry(name).or_default() += 1;
            }
        }
        let is_own = |name: Symbol| {
            n_declared.get(&name) == Some(&1)
                && !is_global(&name)
                && &*symbol_text(ast, name) != "_ENV"
        };
        let is_closed = |s: &Statement| {
            matches!(&s.kind, StatementKind::Local { names, .. }
                if names.iter().any(|(_, attribute, _)| *attribute == Attribute::Close))
        };
        let can_open = |block: &Block| {
            let list = &block.statements;
            list.iter().flat_map(declared).all(is_own)
                && !list.iter().any(|s| leaves(&s.kind) || is_closed(s))
        };
        let blocks = statements(ast).iter().enumerate();
        blocks
            .filter(|(_, s)| block(s).is_some_and(can_open))
            .map(|(at, _)| at)
            .collect()
    }
}

fn signs(ast: &Ast, block: &Block) -> HashSet<String> {
    let mut found = HashSet::new();
    for statement in &block.statements {
        found.extend(declared(statement).map(|name| symbol_text(ast, name).to_string()));
        match &statement.kind {
            StatementKind::Function { target, .. } => {
                found.insert(target_text(ast, *target));
            }
            StatementKind::Assign { targets, .. } => {
                found.extend(targets.iter().map(|target| target_text(ast, *target)));
            }
            StatementKind::Local { .. } | StatementKind::LocalFunction { .. } => {}
            // Something else is known by what it names.
            _ => {
                let names = names_in(ast, std::slice::from_ref(statement));
                found.extend(names.into_iter().map(|n| symbol_text(ast, n).to_string()));
            }
        }
    }
    found
}

/// The text with these blocks opened, and which statements come from them. `None`: its
/// functions would not be those of the text.
fn open(text: &ChunkPatch, open: &HashSet<usize>) -> Option<(ChunkPatch, HashSet<usize>)> {
    let mut ast = text.ast().clone();
    let mut made = Vec::new();
    let mut inside = HashSet::new();
    for (at, statement) in statements(text.ast()).iter().enumerate() {
        match block(statement).filter(|_| open.contains(&at)) {
            Some(block) => {
                inside.extend(made.len()..made.len() + block.statements.len());
                made.extend(block.statements.iter().cloned());
            }
            None => made.push(statement.clone()),
        }
    }
    ast.functions.last_mut()?.body.statements = made;
    let opened = ChunkPatch::of_tree(text.chunk(), text.source(), ast).ok()?;
    let (was, is) = (
        &text.facts().outline.literals,
        &opened.facts().outline.literals,
    );
    let is_same = was.len() == is.len()
        && was
            .iter()
            .zip(is)
            .all(|(was, is)| was.function == is.function && was.prototype.id == is.prototype.id);
    is_same.then_some((opened, inside))
}
