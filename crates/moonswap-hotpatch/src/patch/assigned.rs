//! What code of a text assigns: a variable or field that is set from more than
//! its own top-level statement may be state.

use foldhash::HashSet;
use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol,
};

use super::constant::{Constant, evaluate};
use super::path::{Key, Path, Root};

/// Names and keys that are assigned in functions and blocks.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    /// Names of variables.
    names: HashSet<Vec<u8>>,
    /// Names of variables that statements of the main chunk itself assign.
    names_in_main: HashSet<Vec<u8>>,
    /// Constant keys, whatever the table is.
    keys: HashSet<Constant>,
    /// Last names of tables that are written with a computed key.
    tables: HashSet<Vec<u8>>,
    /// Locals of functions and blocks in sight: whether each holds a table that was
    /// made where it is declared.
    locals: Vec<(Symbol, bool)>,
    /// What is assigned in such a table, with the local: no other table has it, unless
    /// the local is assigned.
    own: Vec<(Vec<u8>, Assignment)>,
}

/// What an assignment sets in a table.
#[derive(Debug)]
enum Assignment {
    Key(Constant),
    /// A computed key.
    Any,
}

impl Assigned {
    /// Of a text. Assignments that are statements of the main chunk are kept
    /// apart: they are compared by themselves.
    pub(crate) fn of(ast: &Ast) -> Self {
        let mut found = Self::default();
        let main = FunctionIndex(ast.functions.len().saturating_sub(1) as u32);
        for (at, function) in ast.functions.iter().enumerate() {
            let is_main = at == main.0 as usize;
            let params = function.params.iter();
            found.locals = params.map(|(name, _)| (*name, false)).collect();
            found.block(ast, &function.body, is_main);
        }
        for (local, assignment) in std::mem::take(&mut found.own) {
            if !found.name_anywhere(&local) {
                continue;
            }
            match assignment {
                Assignment::Key(key) => drop(found.keys.insert(key)),
                Assignment::Any => drop(found.tables.insert(local)),
            }
        }
        found.locals = Vec::new();
        found
    }

    fn block(&mut self, ast: &Ast, block: &Block, is_main: bool) {
        let n = self.locals.len();
        for statement in &block.statements {
            self.statement(ast, statement, is_main);
            if is_main {
                // What top-level locals hold is compared.
                continue;
            }
            match &statement.kind {
                StatementKind::Local { names, values } => {
                    let is_made =
                        matches!((&names[..], &values[..]), ([_], [value]) if is_made(ast, *value));
                    self.locals
                        .extend(names.iter().map(|(name, ..)| (*name, is_made)));
                }
                StatementKind::LocalFunction { name, .. } => self.locals.push((*name, false)),
                _ => {}
            }
        }
        self.locals.truncate(n);
    }

    /// A block with variables of its own.
    fn block_with(&mut self, ast: &Ast, names: &[Symbol], block: &Block) {
        let n = self.locals.len();
        self.locals.extend(names.iter().map(|name| (*name, false)));
        self.block(ast, block, false);
        self.locals.truncate(n);
    }

    /// The local in whose own table a target is.
    fn own_table(&self, ast: &Ast, object: ExprId) -> Option<Vec<u8>> {
        let Some(Expr::Name(name)) = ast.exprs.get(object.0 as usize) else {
            return None;
        };
        let known = self.locals.iter().rfind(|(local, _)| local == name)?;
        known
            .1
            .then(|| ast.symbols.get(name.0 as usize).map(|text| text.to_vec()))?
    }

    fn statement(&mut self, ast: &Ast, statement: &Statement, is_main: bool) {
        match &statement.kind {
            StatementKind::Assign { targets, values } => {
                let is_compared = is_main && targets.len() == values.len();
                for target in targets {
                    self.target(ast, *target, is_compared);
                }
            }
            StatementKind::Function { target, .. } => self.target(ast, *target, is_main),
            StatementKind::Do(body)
            | StatementKind::While { body, .. }
            | StatementKind::Repeat { body, .. } => self.block(ast, body, false),
            StatementKind::NumericFor { variable, body, .. } => {
                self.block_with(ast, &[*variable], body);
            }
            StatementKind::GenericFor { names, body, .. } => {
                let names: Vec<Symbol> = names.iter().map(|(name, _)| *name).collect();
                self.block_with(ast, &names, body);
            }
            StatementKind::If { arms, otherwise } => {
                arms.iter()
                    .for_each(|(_, body)| self.block(ast, body, false));
                otherwise
                    .iter()
                    .for_each(|body| self.block(ast, body, false));
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

    fn target(&mut self, ast: &Ast, target: ExprId, is_compared: bool) {
        let text = |symbol: Symbol| {
            ast.symbols
                .get(symbol.0 as usize)
                .map_or_else(Vec::new, |text| text.to_vec())
        };
        match ast.exprs.get(target.0 as usize) {
            Some(Expr::Name(name)) if is_compared => {
                self.names_in_main.insert(text(*name));
            }
            Some(Expr::Name(name)) => {
                self.names.insert(text(*name));
            }
            _ if is_compared => {}
            Some(Expr::Field { object, name }) => {
                let key = Constant::String(text(*name).into());
                match self.own_table(ast, *object) {
                    Some(local) => self.own.push((local, Assignment::Key(key))),
                    None => drop(self.keys.insert(key)),
                }
            }
            Some(Expr::Index { object, key }) => {
                let key = evaluate(ast, *key, &|_| None).and_then(Constant::key);
                match (self.own_table(ast, *object), key) {
                    (Some(local), Some(key)) => self.own.push((local, Assignment::Key(key))),
                    (Some(local), None) => self.own.push((local, Assignment::Any)),
                    (None, Some(key)) => {
                        self.keys.insert(key);
                    }
                    (None, None) => {
                        let table = ast.exprs.get(object.0 as usize);
                        if let Some(Expr::Name(name) | Expr::Field { name, .. }) = table {
                            self.tables.insert(text(*name));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a variable of that name is assigned by functions or blocks.
    pub(crate) fn name(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// Whether a variable of that name is assigned anywhere.
    pub(crate) fn name_anywhere(&self, name: &[u8]) -> bool {
        self.name(name) || self.names_in_main.contains(name)
    }

    /// Whether what a path leads to may be assigned by code of the text.
    pub(crate) fn may_set(&self, path: &Path) -> bool {
        if let Root::Local(name, _) = &path.root
            && self.name(name.as_bytes())
        {
            return true;
        }
        if let (Root::Global, Some(Key::Constant(Constant::String(name)))) =
            (&path.root, path.keys.first())
            && self.name(name)
        {
            return true;
        }
        let Some(last) = path.keys.last() else {
            return false;
        };
        let by_key = match last {
            Key::Constant(key) => self.keys.contains(key),
            // What stands there is compared when the key is known.
            Key::Shape(_) => false,
        };
        let table = match path.keys.len().checked_sub(2).map(|at| &path.keys[at]) {
            Some(Key::Constant(Constant::String(name))) => Some(&name[..]),
            Some(_) => None,
            None => match &path.root {
                Root::Local(name, _) => Some(name.as_bytes()),
                Root::Global | Root::Returned => None,
            },
        };
        by_key || table.is_some_and(|name| self.tables.contains(name))
    }
}

/// Whether an expression makes a table: `{…}`, `setmetatable({…}, …)`.
fn is_made(ast: &Ast, value: ExprId) -> bool {
    match ast.exprs.get(value.0 as usize) {
        Some(Expr::Table(_)) => true,
        Some(Expr::Call { callee, args }) => {
            let name = match ast.exprs.get(callee.0 as usize) {
                Some(Expr::Name(name)) => ast.symbols.get(name.0 as usize),
                _ => None,
            };
            let table = args.first().and_then(|arg| ast.exprs.get(arg.0 as usize));
            name.is_some_and(|name| **name == *b"setmetatable")
                && matches!(table, Some(Expr::Table(_)))
        }
        _ => false,
    }
}
