//! Paths: which variable or field a top-level statement sets, however it is
//! written. `M["b"]`, `M.b`, `M[B]` with a constant `B`, and the entry `b` of the
//! constructor that `M` is declared with are one path.

use std::fmt;
use std::sync::Arc;

use foldhash::HashMap;
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, Symbol};

use super::constant::{Constant, evaluate};
use super::shape;
use super::statements::statements;
use super::tree::symbol_text;

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// A top-level local, by name and ordinal.
    Local(Arc<str>, u32),
    /// The environment; the first key is the name of a global.
    Global,
    /// The first value that the main chunk returns.
    Returned,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A constant key.
    Constant(Constant),
    /// Some other key, by the shape of its expression.
    Shape(Arc<[u8]>),
}

/// A variable or field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) keys: Vec<Key>,
}

impl Path {
    pub(crate) fn of(root: Root) -> Self {
        Self {
            root,
            keys: Vec::new(),
        }
    }

    /// A global.
    pub(crate) fn global(name: &str) -> Self {
        let name = Constant::String(name.as_bytes().into());
        Self::of(Root::Global).with(Key::Constant(name))
    }

    pub(crate) fn with(&self, key: Key) -> Self {
        let mut path = self.clone();
        path.keys.push(key);
        path
    }

    /// Whether one may be the other or a part of it: keys that are computed may be any.
    pub(crate) fn may_touch(&self, other: &Self) -> bool {
        let may_be_one = |(a, b): (&Key, &Key)| {
            a == b || matches!(a, Key::Shape(_)) || matches!(b, Key::Shape(_))
        };
        self.root == other.root && self.keys.iter().zip(&other.keys).all(may_be_one)
    }

    /// The path one step up.
    pub(crate) fn parent(&self) -> Option<Self> {
        let mut path = self.clone();
        path.keys.pop()?;
        Some(path)
    }

    /// The keys, if all are constants.
    pub(crate) fn constants(&self) -> Option<Vec<Constant>> {
        let constant = |key: &Key| match key {
            Key::Constant(constant) => Some(constant.clone()),
            Key::Shape(_) => None,
        };
        self.keys.iter().map(constant).collect()
    }
}

/// As one would write it.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = self.keys.iter();
        match &self.root {
            Root::Local(name, _) => f.write_str(name)?,
            Root::Returned => f.write_str("(returned)")?,
            Root::Global => match keys.next() {
                Some(Key::Constant(Constant::String(name))) => {
                    f.write_str(&String::from_utf8_lossy(name))?;
                }
                Some(Key::Constant(key)) => write!(f, "_ENV[{key}]")?,
                Some(Key::Shape(_)) | None => f.write_str("_ENV")?,
            },
        }
        for key in keys {
            match key {
                Key::Constant(Constant::String(name)) if is_identifier(name) => {
                    write!(f, ".{}", String::from_utf8_lossy(name))?;
                }
                Key::Constant(key) => write!(f, "[{key}]")?,
                Key::Shape(_) => f.write_str("[?]")?,
            }
        }
        Ok(())
    }
}

fn is_identifier(text: &[u8]) -> bool {
    !text.is_empty()
        && !text[0].is_ascii_digit()
        && text.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// The top-level locals in scope at one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// How often each name is declared above.
    declared: HashMap<Symbol, u32>,
    /// How many statements are above.
    n_above: usize,
}

impl Scope {
    /// Those in scope where a statement of the main chunk stands.
    pub(crate) fn before(ast: &Ast, statement: usize) -> Self {
        let mut scope = Self::default();
        for above in statements(ast).iter().take(statement) {
            scope.pass(&above.kind);
        }
        scope
    }

    /// Takes in the declarations of a statement.
    pub(crate) fn pass(&mut self, kind: &StatementKind) {
        self.n_above += 1;
        let mut declare = |name: Symbol| *self.declared.entry(name).or_default() += 1;
        match kind {
            StatementKind::Local { names, .. } => {
                names.iter().for_each(|(name, ..)| declare(*name));
            }
            StatementKind::LocalFunction { name, .. } => declare(*name),
            _ => {}
        }
    }

    /// What a name means.
    pub(crate) fn root(&self, ast: &Ast, name: Symbol) -> Path {
        let is_local = |name: Symbol| self.declared.get(&name).map(|n| n - 1);
        if let Some(ordinal) = is_local(name) {
            return Path::of(Root::Local(symbol_text(ast, name), ordinal));
        }
        let global = Key::Constant(Constant::String(
            ast.symbols
                .get(name.0 as usize)
                .map_or(&b"?"[..], |text| text)
                .into(),
        ));
        let env = ast.symbols.iter().position(|text| **text == *b"_ENV");
        let env = env.map(|at| Symbol(at as u32));
        if env == Some(name) {
            return Path::of(Root::Global);
        }
        match env.and_then(|env| Some((env, is_local(env)?))) {
            Some((env, ordinal)) => {
                Path::of(Root::Local(symbol_text(ast, env), ordinal)).with(global)
            }
            None => Path::of(Root::Global).with(global),
        }
    }
}

/// The top-level locals of a text that are constants: declared once with a
/// constant, and assigned nowhere; and fields that are such.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    locals: HashMap<Symbol, Constant>,
    /// With the statements that set them. They are known as keys only: the value of a
    /// field may be overridden, a key was used when the statement ran.
    pub(super) fields: HashMap<Path, (Constant, usize)>,
}

impl Constants {
    /// `is_assigned` says what may change after its declaration.
    pub(crate) fn of(ast: &Ast, is_assigned: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut scope = Scope::default();
        let mut found = Self::default();
        for statement in statements(ast) {
            if let StatementKind::Local { names, values } = &statement.kind {
                for ((name, ..), value) in names.iter().zip(values) {
                    let constant = found.value(ast, &scope, *value);
                    let text = ast.symbols.get(name.0 as usize);
                    if let (Some(constant), Some(text)) = (constant, text)
                        && !scope.declared.contains_key(name)
                        && !is_assigned(text)
                    {
                        found.locals.insert(*name, constant);
                    }
                }
                for (name, ..) in names {
                    if scope.declared.contains_key(name) {
                        found.locals.remove(name);
                    }
                }
            }
            scope.pass(&statement.kind);
        }
        found
    }

    /// What an expression is known to be where `scope` is in sight.
    pub(crate) fn value(&self, ast: &Ast, scope: &Scope, expr: ExprId) -> Option<Constant> {
        let known = |name: Symbol| {
            let is_declared = scope.declared.contains_key(&name);
            is_declared.then(|| self.locals.get(&name).cloned())?
        };
        evaluate(ast, expr, &known)
    }

    /// By the text of the name.
    pub(crate) fn by_name<'a>(&'a self, ast: &'a Ast) -> HashMap<&'a [u8], &'a Constant> {
        self.locals
            .iter()
            .filter_map(|(name, value)| Some((&**ast.symbols.get(name.0 as usize)?, value)))
            .collect()
    }

    /// A key as a step of a path.
    pub(crate) fn key(&self, ast: &Ast, scope: &Scope, key: ExprId) -> Key {
        let value = self.value(ast, scope, key);
        let value = value.or_else(|| self.field(ast, scope, key));
        match value.and_then(Constant::key) {
            Some(constant) => Key::Constant(constant),
            None => Key::Shape(shape::expression(ast, key).into()),
        }
    }

    /// What a field is known to be.
    fn field(&self, ast: &Ast, scope: &Scope, expr: ExprId) -> Option<Constant> {
        let is_field = matches!(
            ast.exprs.get(expr.0 as usize)?,
            Expr::Field { .. } | Expr::Index { .. }
        );
        if !is_field || self.fields.is_empty() {
            return None;
        }
        let (constant, statement) = self.fields.get(&self.path(ast, scope, expr)?)?;
        (*statement < scope.n_above).then(|| constant.clone())
    }

    /// The path of a chain of names, fields and indices; `None` for others.
    pub(crate) fn path(&self, ast: &Ast, scope: &Scope, target: ExprId) -> Option<Path> {
        let mut keys = Vec::new();
        let mut at = target;
        let mut path = loop {
            match ast.exprs.get(at.0 as usize)? {
                Expr::Name(name) => break scope.root(ast, *name),
                Expr::Field { object, name } => {
                    let name = ast.symbols.get(name.0 as usize)?;
                    keys.push(Key::Constant(Constant::String(name.as_ref().into())));
                    at = *object;
                }
                Expr::Index { object, key } => {
                    keys.push(self.key(ast, scope, *key));
                    at = *object;
                }
                Expr::Paren(inner) => at = *inner,
                _ => return None,
            }
            if keys.len() > 100 {
                return None;
            }
        };
        keys.reverse();
        path.keys.append(&mut keys);
        Some(path)
    }
}
