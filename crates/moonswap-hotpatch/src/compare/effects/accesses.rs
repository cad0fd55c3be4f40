//! What one statement or expression does: the variables and fields that it reads and
//! writes, and what it calls. Literals are left closed.

use moonswap_compiler::syntax::ast::{Expr, ExprId, StatementKind, Symbol, UnaryOp};
use moonswap_compiler::syntax::visit::Part;

use super::flow::Flow;
use super::library::Library;
use super::place::{ANY, Keys, METATABLE, Node, OUTSIDE, Place};
use crate::patch::constant::Constant;
use crate::patch::path::{Key, Path, Root, Scope};
use crate::patch::tree::{parts, root_of};

/// Longer chains of fields are no places.
const MAX_KEYS: usize = 60;

/// See the head.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    pub(super) reads: Vec<Place>,
    /// What is read on the way to what is written.
    pub(super) on_the_way: Vec<Place>,
    pub(super) writes: Vec<Place>,
    /// What a call begins with: the names in it.
    pub(super) called: Vec<Node>,
    /// It leaves the chunk, or is a place to which it jumps.
    pub(super) is_barrier: bool,
}

impl Accesses {
    pub(crate) fn calls(&self) -> bool {
        !self.called.is_empty()
    }

    /// How much is compared when it meets another one.
    pub(super) fn n_compared(&self, other: &Self) -> usize {
        let n = |a: &[Place], b: &[Place]| a.len().saturating_mul(b.len());
        n(&self.reads, &other.writes)
            + n(&other.reads, &self.writes)
            + n(&self.writes, &other.writes)
    }

    pub(crate) fn barrier(&mut self) {
        self.is_barrier = true;
    }
}

/// Works out what statements of a text do.
pub(crate) struct Collector<'f, 'a> {
    pub(super) flow: &'f Flow<'a>,
    keys: Keys,
}

impl<'f, 'a> Collector<'f, 'a> {
    pub(crate) fn new(flow: &'f Flow<'a>) -> Self {
        let keys = Keys::default();
        Self { flow, keys }
    }

    /// The variable or field that a path means, maybe one of another text. `None`: this
    /// text does not name it.
    pub(crate) fn place_of(&mut self, path: &Path) -> Option<Place> {
        let mut keys = path.keys.iter();
        let root = match &path.root {
            Root::Local(name, _) => self.flow.named(name.as_bytes())?,
            Root::Global => match keys.next() {
                Some(Key::Constant(Constant::String(name))) => self.flow.named(name)?,
                _ => self.flow.named(b"_G")?,
            },
            Root::Returned => return None,
        };
        let mut place = Place::variable(root);
        for key in keys {
            place.keys.push(self.key(key));
        }
        Some(place)
    }

    fn key(&mut self, key: &Key) -> u32 {
        match key {
            Key::Constant(key) => self.keys.number(key),
            Key::Shape(_) => ANY,
        }
    }

    /// Adds that an expression is read.
    pub(crate) fn read(&mut self, expr: ExprId, scope: &Scope, found: &mut Accesses) {
        // With each whether the names in it are among those called already: chains of
        // calls may be a million long.
        let mut todo = vec![(expr, false)];
        let mut keys = Vec::new();
        while let Some((expr, is_known)) = todo.pop() {
            let Some(kind) = self.flow.expr(expr) else {
                continue;
            };
            keys.clear();
            let is_known = match kind {
                Expr::Name(_) | Expr::Field { .. } | Expr::Index { .. }
                    if self.chain(expr, scope, found, &mut keys).is_some() =>
                {
                    todo.extend(keys.drain(..).map(|key| (key, is_known)));
                    continue;
                }
                // A field of what is computed: of which table is not known.
                Expr::Field { .. } | Expr::Index { .. } => is_known || self.operands(expr, found),
                Expr::Call { callee, args } => self.call(*callee, args, is_known, scope, found),
                Expr::MethodCall { object, args, .. } => {
                    self.unknown(Some(*object), args, is_known, found)
                }
                Expr::Unary { op, operand } => {
                    if *op == UnaryOp::Length {
                        self.whole(*operand, scope, found);
                    }
                    is_known || self.operator(expr, found)
                }
                Expr::Binary { .. } => is_known || self.operator(expr, found),
                _ => is_known,
            };
            let parts = parts(self.flow.ast, expr).into_iter();
            todo.extend(parts.map(|part| (part, is_known)));
        }
    }

    /// The reads of a chain of names, fields and indices; `None`: it is none.
    fn chain(
        &mut self,
        expr: ExprId,
        scope: &Scope,
        found: &mut Accesses,
        todo: &mut Vec<ExprId>,
    ) -> Option<Place> {
        let place = self.place(expr, scope, todo)?;
        for n in 0..=place.keys.len() {
            let keys = place.keys[..n].into();
            let root = place.root;
            self.add_read(Place { root, keys }, found);
        }
        Some(place)
    }

    /// The place that a chain means. Keys that are computed are added to `todo`.
    fn place(&mut self, expr: ExprId, scope: &Scope, todo: &mut Vec<ExprId>) -> Option<Place> {
        let flow = self.flow;
        let mut keys = Vec::new();
        let mut at = expr;
        let root = loop {
            match flow.expr(at)? {
                Expr::Name(name) => break Flow::node(*name),
                Expr::Paren(inner) => at = *inner,
                Expr::Field { object, name } => {
                    let text = flow.ast.symbols.get(name.0 as usize)?;
                    let key = Constant::String(text.as_ref().into());
                    keys.push(self.keys.number(&key));
                    at = *object;
                }
                Expr::Index { object, key } => {
                    let known = flow.facts.constants.key(flow.ast, scope, *key);
                    keys.push(self.key(&known));
                    todo.push(*key);
                    at = *object;
                }
                _ => return None,
            }
            if keys.len() > MAX_KEYS {
                return None;
            }
        };
        keys.reverse();
        let mut place = Place {
            root,
            keys: keys.into(),
        };
        self.settle(&mut place);
        Some(place)
    }

    /// Puts what a place is for the names that stand for it.
    fn settle(&mut self, place: &mut Place) {
        self.without_environment(place);
        for _ in 0..self.flow.other_names.len() {
            let name = Symbol(place.root.saturating_sub(1));
            let Some(value) = self.flow.other_names.get(&name) else {
                break;
            };
            if place.keys.is_empty() || place.keys.len() > MAX_KEYS {
                break;
            }
            let scope = Scope::default();
            let Some(mut original) = self.place(*value, &scope, &mut Vec::new()) else {
                break;
            };
            original.keys.extend_from_slice(&place.keys);
            *place = original;
        }
    }

    /// `_G.x` is `x`.
    fn without_environment(&self, place: &mut Place) {
        let is_environment = |node: Node| {
            let text = self.flow.ast.symbols.get(node as usize - 1);
            self.flow.is_global(node) && text.is_some_and(|t| **t == *b"_G" || **t == *b"_ENV")
        };
        while place.root != OUTSIDE && is_environment(place.root) {
            let Some(name) = place.keys.first().filter(|key| **key > METATABLE) else {
                return;
            };
            let Some(root) = self.keys.text(*name).and_then(|name| self.flow.named(name)) else {
                return;
            };
            place.root = root;
            place.keys.remove(0);
        }
    }

    fn add_read(&self, place: Place, found: &mut Accesses) {
        if !place.keys.is_empty() && self.flow.has_metatable(place.root) {
            let table = Place::variable(place.root);
            found.reads.push(table.with(METATABLE));
            if self.flow.has_index_functions {
                found.called.push(place.root);
            }
        }
        found.reads.push(place);
    }

    /// Adds that a target is written.
    pub(crate) fn write(&mut self, target: ExprId, scope: &Scope, found: &mut Accesses) {
        let mut todo = Vec::new();
        match self.place(target, scope, &mut todo) {
            Some(place) => {
                for n in 0..place.keys.len() {
                    let keys = place.keys[..n].into();
                    let root = place.root;
                    self.add_read(Place { root, keys }, found);
                }
                self.add_write(place, found);
            }
            None => {
                // In a table that a call gives.
                todo.extend(parts(self.flow.ast, target));
                self.flow.names_in(target, &mut found.called);
                found.called.push(OUTSIDE);
            }
        }
        todo.into_iter()
            .for_each(|key| self.read(key, scope, found));
    }

    fn add_write(&self, place: Place, found: &mut Accesses) {
        let last = place.keys.last().and_then(|key| self.keys.text(*key));
        if last.is_some_and(|name| name.starts_with(b"__")) {
            let mut metatable = place.clone();
            metatable.keys.pop();
            found.writes.push(metatable.with(METATABLE));
        }
        if !place.keys.is_empty() && self.flow.has_metatable(place.root) {
            let table = Place::variable(place.root);
            found.reads.push(table.with(METATABLE));
        }
        found.writes.push(place);
    }

    /// Adds that the place of a path is written. `is_item`: in a table that is made there.
    pub(crate) fn write_path(&mut self, path: &Path, is_item: bool, found: &mut Accesses) {
        let Some(mut place) = self.place_of(path) else {
            return;
        };
        self.settle(&mut place);
        for n in 0..place.keys.len() {
            let keys = place.keys[..n].into();
            if !is_item {
                let root = place.root;
                found.on_the_way.push(Place { root, keys });
            }
        }
        match is_item {
            true => found.writes.push(place),
            false => self.add_write(place, found),
        }
    }

    /// Answers whether all names in it are among those called now.
    fn call(
        &mut self,
        callee: ExprId,
        args: &[ExprId],
        is_known: bool,
        scope: &Scope,
        found: &mut Accesses,
    ) -> bool {
        let library = self.flow.library(callee);
        match library {
            None => return self.unknown(Some(callee), args, is_known, found),
            Some(Library::Calls) => return self.unknown(None, args, is_known, found),
            Some(Library::Answers | Library::Loads) => {}
            Some(Library::LooksInto) => {
                args.iter().for_each(|arg| self.whole(*arg, scope, found));
            }
            Some(Library::Changes | Library::Sorts | Library::SetsMetatable) => {
                let key = match library {
                    Some(Library::SetsMetatable) => METATABLE,
                    _ => ANY,
                };
                let first = args
                    .first()
                    .and_then(|first| self.place(*first, scope, &mut Vec::new()));
                match first {
                    Some(place) => {
                        let changed = place.with(key);
                        if key == ANY {
                            found.reads.push(changed.clone());
                        }
                        found.writes.push(changed);
                    }
                    None => {
                        if let Some(arg) = args.first() {
                            self.operands(*arg, found);
                        }
                    }
                }
                if library == Some(Library::Sorts) {
                    for arg in args.iter().skip(1) {
                        self.operands(*arg, found);
                    }
                }
            }
        }
        if self.flow.has_operators && !is_known {
            args.iter().for_each(|arg| _ = self.operands(*arg, found));
            return true;
        }
        is_known
    }

    /// All that is in a table is read.
    fn whole(&mut self, expr: ExprId, scope: &Scope, found: &mut Accesses) {
        match self.place(expr, scope, &mut Vec::new()) {
            Some(place) => self.add_read(place.with(ANY), found),
            None => _ = self.operands(expr, found),
        }
    }

    /// A call of what is not known. All names in it are called, if they are not yet.
    fn unknown(
        &mut self,
        callee: Option<ExprId>,
        args: &[ExprId],
        is_known: bool,
        found: &mut Accesses,
    ) -> bool {
        let flow = self.flow;
        let before = found.called.len();
        if !is_known {
            for expr in callee.iter().chain(args) {
                flow.names_in(*expr, &mut found.called);
            }
        }
        // A function of Lua's that may do anything.
        let is_outside = callee.is_some_and(|callee| {
            let root = root_of(flow.ast, callee);
            matches!(flow.expr(root), Some(Expr::Name(name)) if flow.is_library(*name))
        });
        if is_outside || !is_known && found.called.len() == before {
            found.called.push(OUTSIDE);
        }
        true
    }

    fn operator(&mut self, expr: ExprId, found: &mut Accesses) -> bool {
        if self.flow.has_operators {
            return self.operands(expr, found);
        }
        false
    }

    /// Metamethods of what is named may run.
    fn operands(&mut self, expr: ExprId, found: &mut Accesses) -> bool {
        self.flow.names_in(expr, &mut found.called);
        true
    }

    /// Adds all that a statement does, with the blocks in it.
    pub(crate) fn statement(
        &mut self,
        statement: &StatementKind,
        scope: &Scope,
        found: &mut Accesses,
    ) {
        let mut todo = vec![statement];
        while let Some(kind) = todo.pop() {
            match kind {
                StatementKind::Assign { targets, values } => {
                    targets
                        .iter()
                        .for_each(|target| self.write(*target, scope, found));
                    values
                        .iter()
                        .for_each(|value| self.read(*value, scope, found));
                }
                StatementKind::Function { target, .. } => self.write(*target, scope, found),
                StatementKind::GenericFor { values, .. } => {
                    values
                        .iter()
                        .for_each(|value| self.whole(*value, scope, found));
                }
                StatementKind::Return(_) | StatementKind::Goto(_) | StatementKind::Label(_) => {
                    found.is_barrier = true;
                }
                _ => {}
            }
            let is_done = matches!(
                kind,
                StatementKind::Assign { .. } | StatementKind::Function { .. }
            );
            kind.each_part(&mut |part| match part {
                Part::Expression(expr) if !is_done => self.read(expr, scope, found),
                Part::Block(block) => todo.extend(block.statements.iter().map(|s| &s.kind)),
                _ => {}
            });
        }
    }
}
