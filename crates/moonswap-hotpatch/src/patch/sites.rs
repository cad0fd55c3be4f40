//! Sites: what surrounds a literal within the function it stands in: the variable,
//! field or key it is bound to, the call it is an argument of, the strings and
//! numbers beside it, the blocks around it. Kept as hashes: matching compares them
//! only.

use std::hash::{DefaultHasher, Hash, Hasher};

use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol, TableItem,
};

use super::callers;
use super::constant::Constant;
use super::shape;
use super::statements::constant;

/// How much the surroundings say about which function this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// Only what kind of place it is: the argument of a call, an item of a list.
    Weak,
    /// The variable that takes the value, which says little about the arguments of
    /// a call that makes the value.
    Variable,
    /// A key in a table that is an argument.
    Keyed,
    /// A string beside it, among the arguments of a call.
    Said,
    /// A name: a variable, a field, a row of a table with a name.
    Named,
}

/// See the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Everything around it but blocks.
    pub(crate) full: u64,
    /// Only what names it: keys, callees, the first string of a call or list, the
    /// field of a table that is its name.
    pub(crate) name: u64,
    /// The kind of place.
    pub(crate) role: u64,
    /// The blocks around it, by their conditions.
    pub(crate) block: u64,
    pub(crate) strength: Strength,
    /// It is called where it stands: by itself, or by a library function (`callers`).
    pub(crate) called: bool,
}

/// Longest chain of names and calls that is looked at.
const MAX_PARTS: usize = 16;

/// Fields that name the table they stand in, the best first.
const NAMES: [&[u8]; 10] = [
    b"name", b"id", b"key", b"title", b"event", b"path", b"command", b"cmd", b"label", b"type",
];

fn mix(before: u64, what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, what).hash(&mut hasher);
    hasher.finish()
}

impl Site {
    fn new(block: u64, strength: Strength) -> Self {
        Self {
            full: 0,
            name: 0,
            role: 0,
            block,
            strength,
            called: false,
        }
    }

    /// One step further inward, the same for everything.
    fn step(self, what: impl Hash + Copy) -> Self {
        Self {
            full: mix(self.full, what),
            name: mix(self.name, what),
            role: mix(self.role, what),
            ..self
        }
    }

    fn strength(self, strength: Strength) -> Self {
        Self { strength, ..self }
    }
}

/// The sites of literals, by function.
pub(crate) struct Sites<'a> {
    ast: &'a Ast,
    found: Vec<Option<Site>>,
}

impl<'a> Sites<'a> {
    pub(crate) fn new(ast: &'a Ast) -> Self {
        let found = vec![None; ast.functions.len()];
        Self { ast, found }
    }

    /// Finds the literals that are written directly in a function.
    pub(crate) fn look_into(&mut self, function: FunctionIndex) {
        if let Some(function) = self.ast.functions.get(function.0 as usize) {
            self.block(&function.body, 0);
        }
    }

    pub(crate) fn get(&self, function: FunctionIndex) -> Option<Site> {
        self.found.get(function.0 as usize).copied().flatten()
    }

    fn expr(&self, id: ExprId) -> Option<&'a Expr> {
        self.ast.exprs.get(id.0 as usize)
    }

    fn bytes(&self, symbol: Symbol) -> &'a [u8] {
        let bytes = self.ast.symbols.get(symbol.0 as usize);
        bytes.map_or(&[], |bytes| bytes)
    }

    fn found(&mut self, function: FunctionIndex, site: Site) {
        if let Some(place) = self.found.get_mut(function.0 as usize) {
            *place = Some(site);
        }
    }

    fn block(&mut self, block: &Block, within: u64) {
        for statement in &block.statements {
            self.statement(&statement.kind, within);
        }
    }

    fn condition(&self, within: u64, tag: u8, condition: ExprId) -> u64 {
        mix(within, (tag, shape::expression(self.ast, condition)))
    }

    fn statement(&mut self, kind: &StatementKind, within: u64) {
        let plain = Site::new(within, Strength::Weak);
        match kind {
            StatementKind::Local { names, values } => {
                for (i, value) in values.iter().enumerate() {
                    let site = match names.get(i) {
                        Some((name, ..)) => self.variable(plain, *name),
                        None => plain.step("extra"),
                    };
                    self.value(*value, site);
                }
            }
            StatementKind::LocalFunction { name, function, .. } => {
                let site = self.variable(plain, *name);
                self.found(*function, site.strength(Strength::Named));
            }
            StatementKind::Function { target, function } => {
                self.value(*target, plain.step("target"));
                let site = self.target(plain, *target);
                self.found(*function, site.strength(Strength::Named));
            }
            StatementKind::Assign { targets, values } => {
                for target in targets {
                    self.value(*target, plain.step("target"));
                }
                for (i, value) in values.iter().enumerate() {
                    let site = match targets.get(i) {
                        Some(target) => self.target(plain, *target),
                        None => plain.step("extra"),
                    };
                    self.value(*value, site);
                }
            }
            StatementKind::Call(call) => self.value(*call, plain),
            StatementKind::Do(body) => self.block(body, mix(within, "do")),
            StatementKind::While { condition, body } => {
                self.value(*condition, plain.step("condition"));
                self.block(body, self.condition(within, 1, *condition));
            }
            StatementKind::Repeat { body, condition } => {
                self.block(body, self.condition(within, 2, *condition));
                self.value(*condition, plain.step("condition"));
            }
            StatementKind::If { arms, otherwise } => {
                let mut last = within;
                for (condition, body) in arms {
                    self.value(*condition, plain.step("condition"));
                    last = self.condition(within, 3, *condition);
                    self.block(body, last);
                }
                if let Some(body) = otherwise {
                    self.block(body, mix(last, "else"));
                }
            }
            StatementKind::NumericFor {
                variable,
                start,
                limit,
                step,
                body,
                ..
            } => {
                for value in [*start, *limit].iter().chain(step) {
                    self.value(*value, plain.step("for"));
                }
                self.block(body, mix(within, self.bytes(*variable)));
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => {
                for value in values {
                    self.value(*value, plain.step("for"));
                }
                let names: Vec<&[u8]> = names.iter().map(|(name, _)| self.bytes(*name)).collect();
                self.block(body, mix(within, names));
            }
            StatementKind::Return(values) => {
                for (n, value) in values.iter().enumerate() {
                    let site = plain.step(("return", n));
                    self.value(*value, site.strength(Strength::Variable));
                }
            }
            StatementKind::Goto(_) | StatementKind::Label(_) | StatementKind::Break => {}
        }
    }

    fn variable(&self, site: Site, name: Symbol) -> Site {
        let site = site.step(self.bytes(name));
        site.strength(Strength::Variable)
    }

    /// What stands on the left of an assignment: `M.a`, `M["a"]` and a constructor's
    /// field `a` are one step each.
    fn target(&self, site: Site, target: ExprId) -> Site {
        let mut keys = Vec::new();
        let mut at = target;
        let root = loop {
            match self.expr(at) {
                Some(Expr::Name(name)) => break self.variable(site, *name),
                Some(Expr::Field { object, name }) => {
                    keys.push(Constant::String(self.bytes(*name).into()));
                    at = *object;
                }
                Some(Expr::Index { object, key }) => {
                    keys.push(self.key(*key));
                    at = *object;
                }
                _ => break site.step("?"),
            }
            if keys.len() > MAX_PARTS {
                break site.step("?");
            }
        };
        let strength = match keys.is_empty() {
            true => root.strength,
            false => Strength::Named,
        };
        let site = keys.iter().rev().fold(root, |site, key| site.step(key));
        site.strength(strength)
    }

    /// A key as far as the text tells it: names of variables stand for themselves.
    fn key(&self, key: ExprId) -> Constant {
        let named = |names: Vec<&[u8]>| Constant::String(names.join(&b'.').into());
        constant(self.ast, key).unwrap_or_else(|| named(self.names(key)))
    }

    /// The names of a chain of fields, methods and calls: the last few, the last
    /// one first, and the first one.
    fn names(&self, expr: ExprId) -> Vec<&'a [u8]> {
        const SHOWN: usize = 3;
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = expr;
        for _ in 0..MAX_PARTS {
            let (name, next) = match self.expr(at) {
                Some(Expr::Name(name)) => (Some(*name), None),
                Some(Expr::Field { object, name }) => (Some(*name), Some(*object)),
                Some(Expr::MethodCall { object, name, .. }) => (Some(*name), Some(*object)),
                Some(Expr::Index { object, .. }) => (None, Some(*object)),
                Some(Expr::Call { callee, .. }) => (None, Some(*callee)),
                Some(Expr::Paren(inner)) => (None, Some(*inner)),
                _ => break,
            };
            if let Some(name) = name
                && (names.len() < SHOWN || next.is_none())
            {
                names.push(self.bytes(name));
            }
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        names
    }

    /// All literals in an expression. Iterative: left spines may be a million long.
    fn value(&mut self, expr: ExprId, site: Site) {
        let mut todo = vec![(expr, site)];
        while let Some((expr, site)) = todo.pop() {
            let called = site.called;
            let site = Site {
                called: false,
                ..site
            };
            match self.expr(expr) {
                Some(Expr::Function(function)) => {
                    let site = Site { called, ..site };
                    let strength = match site.strength {
                        Strength::Variable => Strength::Named,
                        other => other,
                    };
                    self.found(*function, site.strength(strength));
                }
                Some(Expr::Call { callee, args }) => {
                    let called = site.step("called").strength(Strength::Weak);
                    todo.push((
                        *callee,
                        Site {
                            called: true,
                            ..called
                        },
                    ));
                    let names = || self.names(*callee);
                    let runs = || callers::runs(self.ast, *callee);
                    self.arguments(site, names, runs, args, &mut todo);
                }
                Some(Expr::MethodCall { object, name, args }) => {
                    todo.push((*object, site));
                    // A chain of calls may grow at any place: only where it begins
                    // counts.
                    let names = || {
                        let first = self.names(*object).pop();
                        std::iter::once(self.bytes(*name)).chain(first).collect()
                    };
                    let runs = || callers::method_runs(self.bytes(*name));
                    self.arguments(site, names, runs, args, &mut todo);
                }
                Some(Expr::Table(items)) => self.items(site, items, &mut todo),
                Some(Expr::Index { object, key }) => todo.extend([(*object, site), (*key, site)]),
                Some(Expr::Binary { lhs, rhs, .. }) => todo.extend([(*lhs, site), (*rhs, site)]),
                Some(Expr::Field { object: part, .. } | Expr::Unary { operand: part, .. }) => {
                    todo.push((*part, site))
                }
                Some(Expr::Paren(part)) => todo.push((*part, Site { called, ..site })),
                Some(
                    Expr::Nil
                    | Expr::True
                    | Expr::False
                    | Expr::Vararg
                    | Expr::Integer(_)
                    | Expr::Float(_)
                    | Expr::String(_)
                    | Expr::Name(_),
                )
                | None => {}
            }
        }
    }

    /// Nothing can stand in it.
    fn is_leaf(&self, expr: ExprId) -> bool {
        matches!(
            self.expr(expr),
            Some(
                Expr::Nil
                    | Expr::True
                    | Expr::False
                    | Expr::Vararg
                    | Expr::Integer(_)
                    | Expr::Float(_)
                    | Expr::String(_)
                    | Expr::Name(_)
            ) | None
        )
    }

    fn arguments(
        &self,
        site: Site,
        callee: impl Fn() -> Vec<&'a [u8]>,
        runs: impl Fn() -> Option<usize>,
        args: &[ExprId],
        todo: &mut Vec<(ExprId, Site)>,
    ) {
        if args.iter().all(|arg| self.is_leaf(*arg)) {
            return;
        }
        let (mut full, mut id, mut symbolic) = (0, None, None);
        for arg in args {
            if let Some(value) = constant(self.ast, *arg) {
                full = mix(full, &value);
                if matches!(value, Constant::String(_)) {
                    id.get_or_insert(mix(0, &value));
                }
            } else if matches!(self.expr(*arg), Some(Expr::Name(_) | Expr::Field { .. })) {
                let names = self.names(*arg);
                full = mix(full, &names);
                // `Events.Started`, `ON_START`
                let is_symbol = names.len() > 1
                    || names
                        .iter()
                        .flat_map(|n| n.iter())
                        .all(|c| !c.is_ascii_lowercase());
                if is_symbol {
                    symbolic.get_or_insert(mix(1, &names));
                }
            }
        }
        let id = id.or(symbolic);
        let strength = match (id, site.strength) {
            (None, Strength::Named) => Strength::Named,
            (Some(_), _) | (None, Strength::Said) => Strength::Said,
            (None, Strength::Keyed) => Strength::Keyed,
            (None, Strength::Variable | Strength::Weak) => Strength::Weak,
        };
        let (callee, runs) = (callee(), runs());
        for (n, arg) in args.iter().enumerate() {
            if self.is_leaf(*arg) {
                continue;
            }
            let step = mix(n as u64, &callee);
            let site = Site {
                called: runs == Some(n),
                full: mix(site.full, (step, full)),
                name: mix(site.name, (step, id)),
                role: step,
                strength,
                ..site
            };
            todo.push((*arg, site));
        }
    }

    fn items(&self, site: Site, items: &[TableItem], todo: &mut Vec<(ExprId, Site)>) {
        let is_leaf = |item: &TableItem| match item {
            TableItem::Positional(value) | TableItem::Named(_, value) => self.is_leaf(*value),
            TableItem::Keyed(key, value) => self.is_leaf(*key) && self.is_leaf(*value),
        };
        if items.iter().all(is_leaf) {
            return;
        }
        // What is in a table that has a name is called by its keys alone.
        let is_bound = matches!(
            site.strength,
            Strength::Variable | Strength::Said | Strength::Named
        );
        let (mut full, mut id, mut rank) = (0, None, usize::MAX);
        for item in items {
            let (key, value) = match item {
                TableItem::Positional(value) => (None, *value),
                TableItem::Named(name, value) => (Some(self.bytes(*name)), *value),
                TableItem::Keyed(..) => continue,
            };
            if let Some(value) = constant(self.ast, value).filter(|_| !is_bound) {
                full = mix(full, (key, &value));
                if matches!(value, Constant::String(_)) {
                    let known = key.and_then(|key| NAMES.iter().position(|name| *name == key));
                    let own = known.unwrap_or(NAMES.len());
                    if own < rank {
                        (id, rank) = (Some(mix(2, (key, &value))), own);
                    }
                }
            }
        }
        let around = Site {
            full: match full {
                0 => site.full,
                _ => mix(site.full, full),
            },
            name: id.map_or(site.name, |id| mix(site.name, id)),
            ..site
        };
        let keyed = match (is_bound, id) {
            (true, _) | (_, Some(_)) => Strength::Named,
            (false, None) => Strength::Keyed,
        };
        let mut n_items = 0_i64;
        for item in items {
            let (value, site) = match item {
                TableItem::Positional(value) => {
                    n_items += 1;
                    let step = around.step("item");
                    let site = Site {
                        full: mix(around.full, n_items),
                        ..step
                    };
                    let strength = match id {
                        Some(_) => Strength::Named,
                        None => Strength::Weak,
                    };
                    (*value, site.strength(strength))
                }
                TableItem::Named(name, value) => {
                    let key = Constant::String(self.bytes(*name).into());
                    (*value, around.step(&key).strength(keyed))
                }
                TableItem::Keyed(key, value) => {
                    todo.push((*key, around));
                    (*value, around.step(&self.key(*key)).strength(keyed))
                }
            };
            todo.push((value, site));
        }
    }
}
