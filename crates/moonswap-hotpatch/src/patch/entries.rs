//! Entries: the top-level statements of a text taken apart into what they set.
//!
//! `local M = { a = 1, f = function() end }` sets the local `M` to a table, `M.a`
//! to a constant and `M.f` to a function; so do `local M = {}`, `M.a = 1` and
//! `function M.f() end`. Old and new text are compared entry by entry.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{
    Ast, BinaryOp, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol, TableItem,
};

use super::constant::Constant;
use super::path::{Constants, Key, Path, Root, Scope};
use super::shape;
use super::statements::statements;
use super::tree::parts;

/// How the shape of a [`Leaf::Wrapped`] ends: `x or {…}`.
pub(crate) const OR: u8 = 0;
/// `setmetatable({…}, …)`.
const METATABLE: u8 = 1;

/// What an entry is set to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    /// A value that is known without running anything.
    Constant(Constant),
    /// A table whose items are entries of their own; the number of those without
    /// a key.
    Table(usize),
    /// A table behind something else, `M or {…}` or `setmetatable({…}, mt)`: the
    /// shape of all but the table, and as above.
    Wrapped(Arc<[u8]>, usize),
    /// A literal.
    Function(FunctionIndex),
    /// Something else, by its shape.
    Expression {
        shape: Arc<[u8]>,
        /// It calls nothing.
        only_reads: bool,
    },
}

/// What a text sets one variable or field to.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Path,
    pub(crate) leaf: Leaf,
    /// Position of the statement in the main chunk.
    pub(crate) statement: usize,
    /// The value; `None` for a local declared without one, and for
    /// `function` statements.
    pub(crate) value: Option<ExprId>,
    pub(crate) span: Span,
    /// The entry is an item of a table constructor.
    pub(crate) is_item: bool,
    /// The expressions of those keys of the path that are no constants, in its order.
    pub(crate) computed: Vec<ExprId>,
}

/// Where a value is put.
#[derive(Clone)]
struct Place {
    path: Path,
    /// As [`Entry::computed`].
    computed: Vec<ExprId>,
}

impl From<Path> for Place {
    fn from(path: Path) -> Self {
        let computed = Vec::new();
        Self { path, computed }
    }
}

/// Takes statements apart.
pub(crate) struct Taker<'a> {
    pub(crate) ast: &'a Ast,
    pub(crate) constants: &'a Constants,
}

impl Taker<'_> {
    /// The entries of the statements that `wanted` picks, in the order of the text.
    /// A statement that cannot be taken apart has none.
    pub(crate) fn entries(&self, wanted: &dyn Fn(usize) -> bool) -> Vec<Entry> {
        let mut scope = Scope::default();
        let mut found = Vec::new();
        for (at, statement) in statements(self.ast).iter().enumerate() {
            if wanted(at) {
                self.statement(at, statement, &mut scope, &mut found);
            }
            if !matches!(statement.kind, StatementKind::LocalFunction { .. }) || !wanted(at) {
                scope.pass(&statement.kind);
            }
        }
        found
    }

    fn statement(
        &self,
        at: usize,
        statement: &Statement,
        scope: &mut Scope,
        found: &mut Vec<Entry>,
    ) {
        let entry = |path, leaf| Entry {
            path,
            leaf,
            statement: at,
            value: None,
            span: statement.span,
            is_item: false,
            computed: Vec::new(),
        };
        match &statement.kind {
            StatementKind::Local { names, values } => {
                let mut after = scope.clone();
                after.pass(&statement.kind);
                // Of `local a, a` the second one is meant: left alone.
                let twice = |i: usize| names.iter().skip(i + 1).any(|n| n.0 == names[i].0);
                for (i, (name, ..)) in names.iter().enumerate() {
                    let path = after.root(self.ast, *name);
                    let is_own = i + 1 < values.len() || names.len() <= values.len();
                    match values.get(i) {
                        Some(value) if is_own || !self.is_open(*value) => {
                            if !twice(i) {
                                self.value(at, path.into(), *value, scope, false, found);
                            }
                        }
                        None if !values.last().is_some_and(|v| self.is_open(*v)) => {
                            found.push(entry(path, Leaf::Constant(Constant::Nil)));
                        }
                        // A part of a multiple result.
                        _ => {
                            let shape = shape::expressions(self.ast, values).into();
                            let only_reads = false;
                            found.push(entry(path, Leaf::Expression { shape, only_reads }));
                        }
                    }
                }
            }
            StatementKind::LocalFunction { name, function, .. } => {
                scope.pass(&statement.kind);
                let path = scope.root(self.ast, *name);
                found.push(entry(path, Leaf::Function(*function)));
            }
            StatementKind::Function { target, function } => {
                if let Some(place) = self.place(scope, *target) {
                    let computed = place.computed;
                    found.push(Entry {
                        computed,
                        ..entry(place.path, Leaf::Function(*function))
                    });
                }
            }
            StatementKind::Assign { targets, values } if targets.len() == values.len() => {
                let place = |target: &ExprId| self.place(scope, *target);
                let places: Option<Vec<Place>> = targets.iter().map(place).collect();
                let mut paths = HashSet::default();
                // Of `a, a = 1, 2` the left one is set last: left alone.
                let places = places.filter(|all| all.iter().all(|p| paths.insert(p.path.clone())));
                for (place, value) in places.unwrap_or_default().into_iter().zip(values) {
                    self.value(at, place, *value, scope, false, found);
                }
            }
            StatementKind::Return(values) => {
                if let [value] = &values[..]
                    && matches!(self.expr(*value), Some(Expr::Table(_)))
                {
                    let place = Path::of(Root::Returned).into();
                    self.value(at, place, *value, scope, false, found);
                }
            }
            _ => {}
        }
    }

    fn expr(&self, expr: ExprId) -> Option<&Expr> {
        self.ast.exprs.get(expr.0 as usize)
    }

    /// Whether it may have any number of results.
    fn is_open(&self, expr: ExprId) -> bool {
        matches!(
            self.expr(expr),
            Some(Expr::Call { .. } | Expr::MethodCall { .. } | Expr::Vararg)
        )
    }

    /// What a target means.
    fn place(&self, scope: &Scope, target: ExprId) -> Option<Place> {
        let path = self.constants.path(self.ast, scope, target)?;
        let mut computed = Vec::new();
        let mut at = target;
        loop {
            match self.expr(at)? {
                Expr::Index { object, key } => {
                    if matches!(self.constants.key(self.ast, scope, *key), Key::Shape(_)) {
                        computed.push(*key);
                    }
                    at = *object;
                }
                Expr::Field { object, .. } => at = *object,
                Expr::Paren(inner) => at = *inner,
                _ => break,
            }
        }
        computed.reverse();
        Some(Place { path, computed })
    }

    fn value(
        &self,
        statement: usize,
        place: Place,
        value: ExprId,
        scope: &Scope,
        is_item: bool,
        found: &mut Vec<Entry>,
    ) {
        let mut inner = value;
        let positional = |items: &[TableItem]| {
            let positional = |item: &&TableItem| matches!(item, TableItem::Positional(_));
            items.iter().filter(positional).count()
        };
        let leaf = match self.expr(value) {
            Some(Expr::Function(function)) => Leaf::Function(*function),
            Some(Expr::Table(items)) if self.is_plain(items, scope) => {
                Leaf::Table(positional(items))
            }
            _ => match (
                self.constants.value(self.ast, scope, value),
                self.wrapped(value, scope),
            ) {
                (Some(constant), _) => Leaf::Constant(constant),
                (None, Some((table, shape))) => {
                    inner = table;
                    match self.expr(table) {
                        Some(Expr::Table(items)) => Leaf::Wrapped(shape, positional(items)),
                        _ => Leaf::Table(0),
                    }
                }
                (None, None) => Leaf::Expression {
                    shape: shape::expression(self.ast, value).into(),
                    only_reads: only_reads(self.ast, value),
                },
            },
        };
        let items = match (&leaf, self.expr(inner)) {
            (Leaf::Table(_) | Leaf::Wrapped(..), Some(Expr::Table(items))) => &items[..],
            _ => &[],
        };
        let span = self.ast.spans.get(value.0 as usize).copied();
        found.push(Entry {
            path: place.path.clone(),
            leaf,
            statement,
            value: Some(value),
            span: span.unwrap_or_default(),
            is_item,
            computed: place.computed.clone(),
        });
        let mut n = 0;
        let mut names = HashSet::default();
        let has_twins = !items.iter().all(|item| match item {
            TableItem::Named(name, _) => names.insert(*name),
            TableItem::Positional(_) | TableItem::Keyed(..) => true,
        });
        let mut last: HashMap<Symbol, usize> = HashMap::default();
        if has_twins {
            for (at, item) in items.iter().enumerate() {
                if let TableItem::Named(name, _) = item {
                    last.insert(*name, at);
                }
            }
        }
        let is_twice = |at: usize, name: Symbol| last.get(&name).is_some_and(|last| *last > at);
        for (at, item) in items.iter().enumerate() {
            if matches!(item, TableItem::Named(name, _) if has_twins && is_twice(at, *name)) {
                continue;
            }
            let mut computed = place.computed.clone();
            let (key, value) = match item {
                TableItem::Positional(value) => {
                    n += 1;
                    (Key::Constant(Constant::Integer(n)), *value)
                }
                TableItem::Named(name, value) => {
                    let name = self.ast.symbols.get(name.0 as usize);
                    let name = name.map_or(&b"?"[..], |name| name);
                    (Key::Constant(Constant::String(name.into())), *value)
                }
                TableItem::Keyed(key, value) => {
                    let known = self.constants.key(self.ast, scope, *key);
                    if matches!(known, Key::Shape(_)) {
                        computed.push(*key);
                    }
                    (known, *value)
                }
            };
            let path = place.path.with(key);
            self.value(
                statement,
                Place { path, computed },
                value,
                scope,
                true,
                found,
            );
        }
    }

    /// The table in `x or {…}` and `setmetatable({…}, …)`, and the shape of the rest.
    fn wrapped(&self, value: ExprId, scope: &Scope) -> Option<(ExprId, Arc<[u8]>)> {
        let (table, mut shape) = match self.expr(value)? {
            Expr::Binary {
                op: BinaryOp::Or,
                lhs,
                rhs,
            } => (*rhs, shape::expression(self.ast, *lhs)),
            Expr::Call { callee, args } => match (self.expr(*callee)?, &args[..]) {
                (Expr::Name(name), [table, metatable])
                    if **self.ast.symbols.get(name.0 as usize)? == *b"setmetatable" =>
                {
                    (*table, shape::expression(self.ast, *metatable))
                }
                _ => return None,
            },
            _ => return None,
        };
        let Expr::Table(items) = self.expr(table)? else {
            return None;
        };
        shape.push(match self.expr(value) {
            Some(Expr::Call { .. }) => METATABLE,
            _ => OR,
        });
        self.is_plain(items, scope).then(|| (table, shape.into()))
    }

    /// Whether it is known which items there are, and each key is set once.
    fn is_plain(&self, items: &[TableItem], scope: &Scope) -> bool {
        if matches!(items.last(), Some(TableItem::Positional(last)) if self.is_open(*last)) {
            return false;
        }
        let (mut keys, mut names) = (HashSet::default(), HashSet::default());
        let mut has_positions = false;
        let mut has_numbers = false;
        items.iter().all(|item| match item {
            TableItem::Positional(_) => {
                has_positions = true;
                !has_numbers
            }
            TableItem::Named(name, _) => {
                let name = self.ast.symbols.get(name.0 as usize);
                // Of two of one name the last one counts.
                name.is_none_or(|name| {
                    let key = Constant::String(name.as_ref().into());
                    let is_keyed = keys.contains(&key);
                    names.insert(key);
                    !is_keyed
                })
            }
            TableItem::Keyed(key, _) => match self.constants.key(self.ast, scope, *key) {
                Key::Constant(key) => {
                    has_numbers |= matches!(key, Constant::Integer(_) | Constant::Float(_));
                    !names.contains(&key) && keys.insert(key) && !(has_positions && has_numbers)
                }
                Key::Shape(_) => true,
            },
        })
    }
}

/// Whether evaluating it calls no function that is written there, and makes none.
/// Metamethods may run.
pub(crate) fn only_reads(ast: &Ast, expr: ExprId) -> bool {
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match ast.exprs.get(expr.0 as usize) {
            None | Some(Expr::Vararg | Expr::Call { .. } | Expr::MethodCall { .. }) => {
                return false;
            }
            Some(_) => todo.extend(parts(ast, expr)),
        }
    }
    true
}

/// Whether a function literal stands in an expression.
pub(crate) fn holds_function(ast: &Ast, expr: ExprId) -> bool {
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match ast.exprs.get(expr.0 as usize) {
            Some(Expr::Function(_)) => return true,
            Some(_) => todo.extend(parts(ast, expr)),
            None => {}
        }
    }
    false
}
