//! Targets: into which variable or field of the main chunk a statement puts a
//! function, by meaning. `local function f` and `local f; function f()`, `{ b =
//! function … }`, `function M.b()`, `M.b = function` and `M["b"] = function` have
//! equal targets.

use std::fmt;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{
    Ast, Attribute, BinaryOp, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol, TableItem,
};

use super::constant::Constant;
use super::statements::{constant, statements};
use super::tree::symbol_text;

/// The variable that a target begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// A top-level local, and its ordinal among namesakes in source order.
    Local(Arc<str>, u32),
    /// A global.
    Global(Arc<str>),
    /// The n-th value (from 1) that the main chunk returns.
    Returned(u32),
}

/// A variable, or a field reached from one by constant keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) root: Root,
    /// From the variable inward. Floats with an integer value are integers.
    pub(crate) keys: Vec<Constant>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Local(name, _) | Root::Global(name) => f.write_str(name)?,
            Root::Returned(n) => write!(f, "return {n}")?,
        }
        for key in &self.keys {
            match key {
                Constant::String(bytes) if is_identifier(bytes) => {
                    write!(f, ".{}", String::from_utf8_lossy(bytes))?;
                }
                Constant::String(bytes) => write!(f, "[{:?}]", String::from_utf8_lossy(bytes))?,
                Constant::Integer(i) => write!(f, "[{i}]")?,
                Constant::Float(bits) => write!(f, "[{:?}]", f64::from_bits(*bits))?,
                Constant::Boolean(b) => write!(f, "[{b}]")?,
                Constant::Nil => f.write_str("[nil]")?,
            }
        }
        Ok(())
    }
}

fn is_identifier(bytes: &[u8]) -> bool {
    let starts = bytes.first().is_some_and(|c| !c.is_ascii_digit());
    starts
        && bytes
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// A function that a statement of the main chunk's outermost block puts into a
/// variable or field.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) target: Target,
    pub(crate) function: FunctionIndex,
    /// A key is the position in a list, which says little about which one this is.
    pub(crate) in_list: bool,
}

/// All definitions of a text in source order, whatever their form.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) definitions: Vec<Definition>,
    /// Top-level locals that the main chunk returns as they are.
    returned: HashMap<Root, u32>,
}

impl Targets {
    pub(crate) fn of(ast: &Ast) -> Self {
        let mut walk = Walk::new(ast);
        for statement in statements(ast) {
            walk.statement(&statement.kind);
        }
        walk.found
    }

    /// The same place as seen by who loads the chunk, if its variable is one that
    /// the chunk returns: `M.f` is `return 1.f`.
    pub(crate) fn returned(&self, target: &Target) -> Option<Target> {
        let root = Root::Returned(*self.returned.get(&target.root)?);
        let keys = target.keys.clone();
        Some(Target { root, keys })
    }
}

struct Walk<'a> {
    ast: &'a Ast,
    /// How often each top-level local was declared so far.
    declared: HashMap<Symbol, u32>,
    /// The values of those that keep a constant.
    known: HashMap<Symbol, Constant>,
    /// Names that are assigned somewhere.
    assigned: HashSet<Symbol>,
    /// How many positional items the value stands in.
    lists: u32,
    found: Targets,
}

impl<'a> Walk<'a> {
    fn new(ast: &'a Ast) -> Self {
        Self {
            ast,
            declared: HashMap::default(),
            known: HashMap::default(),
            assigned: assigned_names(ast),
            lists: 0,
            found: Targets::default(),
        }
    }

    fn expr(&self, id: ExprId) -> Option<&'a Expr> {
        self.ast.exprs.get(id.0 as usize)
    }

    fn statement(&mut self, kind: &StatementKind) {
        match kind {
            StatementKind::Local { names, values } => {
                for (i, (name, ..)) in names.iter().enumerate() {
                    let ordinal = self.declared.get(name).copied().unwrap_or(0);
                    // Several of one name in a statement: the last one is meant.
                    let earlier = names[..i].iter().filter(|(n, ..)| n == name).count() as u32;
                    let root = Root::Local(symbol_text(self.ast, *name), ordinal + earlier);
                    if let Some(value) = values.get(i) {
                        self.value(&root, &mut Vec::new(), *value);
                    }
                }
                for (i, (name, attribute, _)) in names.iter().enumerate() {
                    *self.declared.entry(*name).or_insert(0) += 1;
                    let keeps = *attribute == Attribute::Const || !self.assigned.contains(name);
                    let value = values.get(i).and_then(|v| constant(self.ast, *v));
                    match value.filter(|_| keeps) {
                        Some(value) => self.known.insert(*name, value),
                        None => self.known.remove(name),
                    };
                }
            }
            StatementKind::LocalFunction { name, function, .. } => {
                let ordinal = self.declared.entry(*name).or_insert(0);
                let root = Root::Local(symbol_text(self.ast, *name), *ordinal);
                *ordinal += 1;
                self.known.remove(name);
                self.define(&root, &[], *function);
            }
            StatementKind::Function { target, function } => {
                if let Some(Target { root, keys }) = self.target(*target) {
                    self.define(&root, &keys, *function);
                }
            }
            StatementKind::Assign { targets, values } => {
                for (target, value) in targets.iter().zip(values) {
                    if let Some(Target { root, mut keys }) = self.target(*target) {
                        self.value(&root, &mut keys, *value);
                    }
                }
            }
            StatementKind::Return(values) => {
                for (n, value) in (1..).zip(values) {
                    match self.expr(*value) {
                        Some(Expr::Name(name)) => {
                            if let Some(root @ Root::Local(..)) = self.root(*name) {
                                self.found.returned.entry(root).or_insert(n);
                            }
                        }
                        _ => self.value(&Root::Returned(n), &mut Vec::new(), *value),
                    }
                }
            }
            StatementKind::Call(_)
            | StatementKind::Do(_)
            | StatementKind::While { .. }
            | StatementKind::Repeat { .. }
            | StatementKind::If { .. }
            | StatementKind::NumericFor { .. }
            | StatementKind::GenericFor { .. }
            | StatementKind::Goto(_)
            | StatementKind::Label(_)
            | StatementKind::Break => {}
        }
    }

    fn define(&mut self, root: &Root, keys: &[Constant], function: FunctionIndex) {
        let target = Target {
            root: root.clone(),
            keys: keys.to_vec(),
        };
        self.found.definitions.push(Definition {
            target,
            function,
            in_list: self.lists > 0,
        });
    }

    /// The functions in a value that is put somewhere. Constructors nest as deep as
    /// the parser lets them.
    fn value(&mut self, root: &Root, keys: &mut Vec<Constant>, value: ExprId) {
        let value = self.put(value);
        match self.expr(value) {
            Some(Expr::Function(function)) => self.define(root, keys, *function),
            Some(Expr::Table(items)) => {
                let mut n_items = 0;
                for item in items {
                    let (key, value) = match item {
                        TableItem::Positional(value) => {
                            n_items += 1;
                            (Some(Constant::Integer(n_items)), *value)
                        }
                        TableItem::Named(name, value) => (Some(self.string(*name)), *value),
                        TableItem::Keyed(key, value) => (self.key(*key), *value),
                    };
                    let positional = u32::from(matches!(item, TableItem::Positional(_)));
                    if let Some(key) = key {
                        keys.push(key);
                        self.lists += positional;
                        self.value(root, keys, value);
                        self.lists -= positional;
                        keys.pop();
                    }
                }
            }
            _ => {}
        }
    }

    /// What an expression hands on: seen through parentheses, `x or …` and
    /// `setmetatable(…, mt)`.
    fn put(&self, mut value: ExprId) -> ExprId {
        loop {
            value = match self.expr(value) {
                Some(Expr::Paren(inner)) => *inner,
                Some(Expr::Binary {
                    op: BinaryOp::Or,
                    rhs,
                    ..
                }) => *rhs,
                Some(Expr::Call { callee, args }) => match (self.expr(*callee), args.first()) {
                    (Some(Expr::Name(name)), Some(first))
                        if *symbol_text(self.ast, *name) == *"setmetatable" =>
                    {
                        *first
                    }
                    _ => return value,
                },
                _ => return value,
            };
        }
    }

    /// The variable that a name is here.
    fn root(&self, name: Symbol) -> Option<Root> {
        let text = symbol_text(self.ast, name);
        Some(match self.declared.get(&name) {
            Some(n) => Root::Local(text, n.checked_sub(1)?),
            None => Root::Global(text),
        })
    }

    fn target(&self, target: ExprId) -> Option<Target> {
        let mut keys = Vec::new();
        let mut at = target;
        let root = loop {
            match self.expr(at)? {
                Expr::Name(name) => break self.root(*name)?,
                Expr::Field { object, name } => {
                    keys.push(self.string(*name));
                    at = *object;
                }
                Expr::Index { object, key } => {
                    keys.push(self.key(*key)?);
                    at = *object;
                }
                Expr::Paren(inner) => at = *inner,
                _ => return None,
            }
        };
        keys.reverse();
        let root = match (root, keys.first()) {
            (Root::Global(name), Some(Constant::String(first)))
                if matches!(&*name, "_G" | "_ENV") =>
            {
                let name = String::from_utf8_lossy(first).into();
                keys.remove(0);
                Root::Global(name)
            }
            (root, _) => root,
        };
        Some(Target { root, keys })
    }

    fn string(&self, text: Symbol) -> Constant {
        let bytes = self.ast.symbols.get(text.0 as usize);
        Constant::String(bytes.cloned().unwrap_or_default())
    }

    /// The value of a key, if the text tells it.
    fn key(&self, key: ExprId) -> Option<Constant> {
        let value = match self.expr(key)? {
            Expr::Paren(inner) => return self.key(*inner),
            Expr::Name(name) => self.known.get(name).cloned()?,
            _ => constant(self.ast, key)?,
        };
        Some(match value {
            Constant::Float(bits) => {
                let x = f64::from_bits(bits);
                // 2^63 is the first float too large.
                let fits = x.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&x);
                if fits {
                    Constant::Integer(x as i64)
                } else {
                    Constant::Float(bits)
                }
            }
            value => value,
        })
    }
}

/// Names that stand on the left of an assignment anywhere. A namesake in another
/// scope counts too, which errs on the safe side.
fn assigned_names(ast: &Ast) -> HashSet<Symbol> {
    let mut found = HashSet::default();
    let mut todo: Vec<&Block> = ast.functions.iter().map(|f| &f.body).collect();
    while let Some(block) = todo.pop() {
        for statement in &block.statements {
            match &statement.kind {
                StatementKind::Assign { targets, .. } => {
                    for target in targets {
                        if let Some(Expr::Name(name)) = ast.exprs.get(target.0 as usize) {
                            found.insert(*name);
                        }
                    }
                }
                StatementKind::Function { target, .. } => {
                    if let Some(Expr::Name(name)) = ast.exprs.get(target.0 as usize) {
                        found.insert(*name);
                    }
                }
                StatementKind::Do(body)
                | StatementKind::While { body, .. }
                | StatementKind::Repeat { body, .. }
                | StatementKind::NumericFor { body, .. }
                | StatementKind::GenericFor { body, .. } => todo.push(body),
                StatementKind::If { arms, otherwise } => {
                    todo.extend(arms.iter().map(|(_, body)| body));
                    todo.extend(otherwise);
                }
                StatementKind::Local { .. }
                | StatementKind::LocalFunction { .. }
                | StatementKind::Call(_)
                | StatementKind::Goto(_)
                | StatementKind::Label(_)
                | StatementKind::Break
                | StatementKind::Return(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use moonswap_compiler::{ParseLimits, parse};

    fn targets(text: &str) -> Vec<String> {
        let ast = parse("@m", text.as_bytes(), ParseLimits::default()).expect("parses");
        let found = Targets::of(&ast);
        let show = |d: &Definition| match found.returned(&d.target) {
            Some(other) => format!("{} = {other}", d.target),
            None => d.target.to_string(),
        };
        found.definitions.iter().map(show).collect()
    }

    fn target(text: &str) -> Target {
        let ast = parse("@m", text.as_bytes(), ParseLimits::default()).expect("parses");
        let definitions = Targets::of(&ast).definitions;
        definitions.last().expect("a definition").target.clone()
    }

    #[test]
    fn forms_of_one_target_are_equal() {
        let forms = [
            &[
                "local function f() end",
                "local f = function() end",
                "local f; function f() end",
                "local f; f = (function() end)",
                "local g, f = 1, function() end",
            ][..],
            &[
                "local M = { b = function() end }",
                "local M = {}; function M.b() end",
                "local M = {}; function M:b() end",
                "local M = {}; M.b = function() end",
                "local M = {}; M['b'] = function() end",
                "local M = {}; local k = 'b'; M[k] = function() end",
                "local M = M or { ['b'] = function() end }",
                "local M = setmetatable({ b = function() end }, {})",
                "local M, x = {}; x, M.b = 1, function() end",
            ],
            &[
                "M = { function() end }",
                "M = { [1] = function() end }",
                "M[1] = function() end",
                "M[1.0] = function() end",
                "local one <const> = 1 M[one] = function() end",
                "_G.M = { function() end }",
                "_ENV['M'][1] = function() end",
            ],
            &[
                "T.sub.f = function() end",
                "T = { sub = { f = function() end } }",
                "T.sub = { f = function() end }",
            ],
        ];
        for list in forms {
            for form in list {
                assert_eq!(target(form), target(list[0]), "{form}");
            }
        }
        for (at, list) in forms.iter().enumerate() {
            for other in &forms[at + 1..] {
                assert_ne!(target(list[0]), target(other[0]));
            }
        }
    }

    #[test]
    fn what_the_text_does_not_tell_has_no_target() {
        for text in [
            "local k = 'b'; k = 'c'; M[k] = function() end",
            "M[f()] = function() end",
            "f().x = function() end",
            "if x then function M.f() end end",
            "f(function() end)",
        ] {
            assert_eq!(targets(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn namesakes_and_returned_variables_are_told_apart() {
        assert_ne!(
            target("local f = function() end"),
            target("local f; local f = function() end")
        );
        assert_ne!(
            target("f = function() end"),
            target("local function f() end")
        );
        let text = "local M = {} function M.f() end return M, { g = function() end }";
        assert_eq!(targets(text), ["M.f = return 1.f", "return 2.g"]);
    }
}
