//! Goes through the statements of a text and notes its links.

use moonswap_compiler::syntax::ast::{Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol};
use moonswap_compiler::syntax::visit::Part;

use super::flow::Flow;
use super::library::Library;
use super::links::Set;
use super::place::{Node, OUTSIDE};
use super::sources::Source;
use crate::patch::ChunkPatch;
use crate::patch::path::Scope;
use crate::patch::statements::statements;
use crate::patch::tree::{parts, root_of};

impl<'a> Flow<'a> {
    pub(crate) fn of(text: &'a ChunkPatch) -> Self {
        let mut flow = Self::of_names(text);
        let n = flow.links.n_names() + 1;
        let mut walk = Walk {
            flow: &mut flow,
            hubs: Vec::new(),
            sets: vec![0; n],
            changing: Set::new(n),
            with_metatable: Vec::new(),
            results: Vec::new(),
        };
        for statement in statements(text.ast()) {
            walk.statement(&statement.kind, None);
        }
        walk.functions();
        walk.finish();
        flow
    }
}

/// Goes through the statements.
struct Walk<'f, 'a> {
    flow: &'f mut Flow<'a>,
    hubs: Vec<Node>,
    /// How often each name is set.
    sets: Vec<u32>,
    /// Names that are set to something else than a function or a constant.
    changing: Set,
    with_metatable: Vec<Node>,
    /// Names that are set to what a call gives, with the names in it.
    results: Vec<(Node, Vec<Node>)>,
}

/// Nodes that are visited at most to find what calls may give. Beyond that they may give
/// anything.
const MAX_VISITED: usize = 20_000_000;

impl Walk<'_, '_> {
    /// `within`: a literal; only what is not its own counts.
    fn statement(&mut self, kind: &StatementKind, within: Option<FunctionIndex>) {
        match kind {
            StatementKind::Local { names, values } if within.is_none() => {
                for (i, (name, ..)) in names.iter().enumerate() {
                    if let Some(value) = values.get(i).or(values.last()) {
                        self.set(Flow::node(*name), *value, false, within);
                    }
                }
            }
            StatementKind::LocalFunction { name, function, .. } if within.is_none() => {
                self.define(Flow::node(*name), *function);
            }
            StatementKind::Function { target, function } => {
                for root in self.roots(*target) {
                    match within {
                        Some(within) if self.flow.is_free(root, within) => {
                            let mut names: Vec<Node> = self.flow.free_of(*function).collect();
                            names.retain(|name| self.flow.is_free(*name, within));
                            self.link_all(root, names);
                        }
                        Some(_) => {}
                        None => {
                            self.define(root, *function);
                            if self.is_field(*target) {
                                self.changing.insert(root);
                            }
                        }
                    }
                }
            }
            StatementKind::Assign { targets, values } => {
                for (i, target) in targets.iter().enumerate() {
                    let Some(value) = values.get(i).or(values.last()) else {
                        continue;
                    };
                    for root in self.roots(*target) {
                        let is_field = self.is_field(*target);
                        self.set(root, *value, is_field, within);
                        if is_field {
                            self.changing.insert(root);
                        }
                    }
                }
            }
            StatementKind::GenericFor { names, values, .. } if within.is_none() => {
                for (name, _) in names {
                    values
                        .iter()
                        .for_each(|value| self.set(Flow::node(*name), *value, false, within));
                }
            }
            _ => {}
        }
        let mut blocks: Vec<&Block> = Vec::new();
        kind.each_part(&mut |part| match part {
            Part::Expression(expr) => match within {
                None => self.calls(expr),
                Some(function) => self.calls_within(expr, function),
            },
            Part::Block(block) => blocks.push(block),
            _ => {}
        });
        for block in blocks {
            block
                .statements
                .iter()
                .for_each(|s| self.statement(&s.kind, within));
        }
    }

    fn is_field(&self, target: ExprId) -> bool {
        !matches!(self.flow.expr(target), Some(Expr::Name(_)))
    }

    /// The names in whose tables a target is.
    fn roots(&self, target: ExprId) -> Vec<Node> {
        let root = root_of(self.flow.ast, target);
        match self.flow.expr(target) {
            // The variable itself.
            Some(Expr::Name(name)) => vec![Flow::node(*name)],
            _ => self.sources(root).into_iter().map(|s| s.name).collect(),
        }
    }

    fn sources(&self, expr: ExprId) -> Vec<Source> {
        let mut found = Vec::new();
        self.flow.sources(expr, &mut found);
        found
    }

    fn define(&mut self, root: Node, function: FunctionIndex) {
        self.count(root);
        let names = self.flow.free_of(function).collect();
        self.link_all(root, names);
    }

    fn link_all(&mut self, root: Node, names: Vec<Node>) {
        let links = &mut self.flow.links;
        names.into_iter().for_each(|name| links.link(root, name));
    }

    fn count(&mut self, root: Node) {
        if let Some(n) = self.sets.get_mut(root as usize) {
            *n += 1;
        }
    }

    fn set(&mut self, root: Node, value: ExprId, is_field: bool, within: Option<FunctionIndex>) {
        let mut sources = self.sources(value);
        if let Some(function) = within {
            // Its own locals are not known here.
            if self.flow.is_free(root, function) {
                let mut names = Vec::new();
                self.flow.names_in(value, &mut names);
                names.retain(|name| self.flow.is_free(*name, function));
                self.link_all(root, names);
                sources.retain(|source| self.flow.is_free(source.name, function));
                self.unite(root, is_field, &sources);
            }
            return;
        }
        self.count(root);
        let mut names = Vec::new();
        self.flow.names_in(value, &mut names);
        if self.gives_result(value) {
            self.results.push((root, names.clone()));
        }
        self.link_all(root, names);
        if !self.is_plain(value) {
            self.changing.insert(root);
        }
        if self.has_metatable(value) {
            self.with_metatable.push(root);
        }
        let other = self.flow.other_names.get(&Symbol(root.saturating_sub(1)));
        if other != Some(&value) {
            self.unite(root, is_field, &sources);
        }
    }

    /// Whether a value is a table that is given a metatable there.
    fn has_metatable(&self, value: ExprId) -> bool {
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            match self.flow.expr(expr) {
                Some(Expr::Call { callee, .. })
                    if self.flow.library(*callee) == Some(Library::SetsMetatable) =>
                {
                    return true;
                }
                Some(Expr::Paren(_) | Expr::Binary { .. }) => {
                    todo.extend(parts(self.flow.ast, expr));
                }
                _ => {}
            }
        }
        false
    }

    /// Whether a value may be what a function of the text gives.
    fn gives_result(&self, value: ExprId) -> bool {
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            match self.flow.expr(expr) {
                Some(Expr::MethodCall { .. }) => return true,
                Some(Expr::Call { callee, .. }) => match self.flow.library(*callee) {
                    Some(Library::Answers | Library::Loads) => continue,
                    Some(Library::Calls) | None => return true,
                    Some(_) => {}
                },
                Some(Expr::Function(_)) => continue,
                _ => {}
            }
            todo.extend(parts(self.flow.ast, expr));
        }
        false
    }

    /// A call may give all that it gets to.
    fn unite_results(&mut self) {
        let results = std::mem::take(&mut self.results);
        let mut left = MAX_VISITED;
        let mut before = None;
        for (root, names) in results {
            let n = self.flow.links.n_nodes();
            if n > left {
                self.flow.links.share(root);
                let last = before.replace(root).unwrap_or(root);
                self.flow.links.unite(last, root);
                continue;
            }
            left -= n;
            let reached = self.flow.links.reach(&names);
            let n_names = self.flow.links.n_names() as Node;
            for name in reached.each().filter(|name| (1..=n_names).contains(name)) {
                if name != root {
                    self.flow.links.unite(root, name);
                    self.flow.links.share(name);
                }
            }
            self.flow.links.share(root);
        }
    }

    /// Whether a value is a function or a constant.
    fn is_plain(&self, value: ExprId) -> bool {
        let (constants, scope) = (&self.flow.facts.constants, Scope::default());
        matches!(self.flow.expr(value), Some(Expr::Function(_)))
            || constants.value(self.flow.ast, &scope, value).is_some()
            || self.flow.library_path(value).is_some()
    }

    /// A variable, or a field of its table, may hold these.
    fn unite(&mut self, root: Node, is_field: bool, sources: &[Source]) {
        for source in sources {
            // `M = M or {}` is one table.
            if source.name == root && !is_field {
                continue;
            }
            self.flow.links.unite(root, source.name);
            if source.is_whole {
                self.flow.links.share(source.name);
            }
            if !is_field && !source.is_item {
                self.flow.links.share(root);
            }
        }
    }

    /// The calls in an expression.
    fn calls(&mut self, expr: ExprId) {
        // With each the call whose names are all in it already: chains of calls may be a
        // million long.
        let mut todo: Vec<(ExprId, Option<Node>)> = vec![(expr, None)];
        while let Some((expr, around)) = todo.pop() {
            let call = match self.flow.expr(expr) {
                Some(Expr::Call { callee, args }) => match self.flow.library(*callee) {
                    Some(Library::Changes | Library::Sorts | Library::SetsMetatable) => {
                        self.keeps(*callee, args, None);
                        None
                    }
                    Some(Library::Calls) => Some((None, args)),
                    Some(Library::Answers | Library::LooksInto | Library::Loads) => None,
                    None => Some((Some(*callee), args)),
                },
                Some(Expr::MethodCall { object, args, .. }) => Some((Some(*object), args)),
                _ => None,
            };
            let around = match call {
                Some((callee, args)) => {
                    let hub = around.unwrap_or_else(|| self.meet(callee, args));
                    if callee.is_some_and(|callee| self.is_outside(callee)) {
                        self.flow.links.link(hub, OUTSIDE);
                    }
                    Some(hub)
                }
                None => around,
            };
            let parts = parts(self.flow.ast, expr).into_iter();
            todo.extend(parts.map(|part| (part, around)));
        }
    }

    /// The calls in an expression of a literal that keep things.
    fn calls_within(&mut self, expr: ExprId, within: FunctionIndex) {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Call { callee, args }) = self.flow.expr(expr)
                && let Some(Library::Changes | Library::SetsMetatable) = self.flow.library(*callee)
            {
                self.keeps(*callee, args, Some(within));
            }
            todo.extend(parts(self.flow.ast, expr));
        }
    }

    /// The first argument keeps the others. `within`: a literal; only what is not its own
    /// counts.
    fn keeps(&mut self, callee: ExprId, args: &[ExprId], within: Option<FunctionIndex>) {
        let Some((first, others)) = args.split_first() else {
            return;
        };
        let counts =
            |walk: &Self, name| within.is_none_or(|within| walk.flow.is_free(name, within));
        let mut into = self.sources(*first);
        into.retain(|source| counts(self, source.name));
        if self.flow.library(callee) == Some(Library::SetsMetatable) {
            self.with_metatable
                .extend(into.iter().map(|source| source.name));
        }
        let mut names = Vec::new();
        others
            .iter()
            .for_each(|other| self.flow.names_in(*other, &mut names));
        names.retain(|name| counts(self, *name));
        let mut kept: Vec<Source> = others
            .iter()
            .flat_map(|other| self.sources(*other))
            .collect();
        kept.retain(|source| counts(self, source.name));
        for root in into {
            self.changing.insert(root.name);
            names
                .iter()
                .for_each(|name| self.flow.links.link(root.name, *name));
            self.unite(root.name, true, &kept);
        }
    }

    /// What meets in a call may get to each other.
    fn meet(&mut self, callee: Option<ExprId>, args: &[ExprId]) -> Node {
        let hub = self.flow.links.hub();
        let mut names = Vec::new();
        for expr in callee.iter().chain(args) {
            self.flow.names_in(*expr, &mut names);
        }
        let mut sources: Vec<Source> = args.iter().flat_map(|arg| self.sources(*arg)).collect();
        if let Some(callee) = callee {
            sources.extend(self.sources(callee));
        }
        for name in names {
            self.flow.links.link(hub, name);
            if !self.is_module(name) {
                self.flow.links.link(name, hub);
            }
        }
        if let Some(first) = sources.first().map(|source| source.name) {
            self.unite(first, true, &sources);
        }
        self.hubs.push(hub);
        hub
    }

    /// Whether a callee is none of the text's own functions.
    fn is_outside(&self, callee: ExprId) -> bool {
        let root = root_of(self.flow.ast, callee);
        match self.flow.expr(root) {
            Some(Expr::Name(name)) => {
                self.flow.is_library(*name) || self.is_module(Flow::node(*name))
            }
            Some(Expr::Vararg) => true,
            _ => false,
        }
    }

    /// Whether a name is a global that the text does not set, or a module that it loads.
    fn is_module(&self, node: Node) -> bool {
        let name = Symbol(node.saturating_sub(1));
        self.flow.modules.contains(&name)
            || self.flow.is_global(node) && !self.flow.is_assigned(name)
    }

    /// What functions put where.
    fn functions(&mut self) {
        let ast = self.flow.ast;
        let n = ast.functions.len().saturating_sub(1);
        for (at, function) in ast.functions.iter().take(n).enumerate() {
            let within = Some(FunctionIndex(at as u32));
            let statements = function.body.statements.iter();
            statements.for_each(|s| self.statement(&s.kind, within));
        }
    }

    fn finish(&mut self) {
        let n = self.flow.links.n_names();
        for node in 1..=n as Node {
            if self.is_module(node) {
                self.flow.links.link(node, OUTSIDE);
            }
        }
        // What met outside may be kept there.
        let outside = self.flow.links.that_reach_outside();
        for hub in std::mem::take(&mut self.hubs) {
            if outside.has(hub) {
                self.flow.links.link(OUTSIDE, hub);
            }
        }
        self.unite_results();
        self.flow.links.flatten();
        for node in std::mem::take(&mut self.with_metatable) {
            let set = self.flow.links.set(node);
            self.flow.metatables.insert(set);
        }
        self.flow.state.insert(OUTSIDE);
        for node in 1..=n as Node {
            let is_set_once = self.sets[node as usize] == 1
                && !self.changing.has(node)
                && !self.flow.is_changed_by_functions(node);
            if !is_set_once {
                self.flow.state.insert(node);
            }
        }
    }
}
