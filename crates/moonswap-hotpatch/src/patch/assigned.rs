//! What code of a text assigns: a variable or field that is set from more than
//! its own top-level statement may be state.

use std::collections::HashSet;

use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind,
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
}

impl Assigned {
    /// Of a text. Assignments that are statements of the main chunk are kept
    /// apart: they are compared by themselves.
    pub(crate) fn of(ast: &Ast) -> Self {
        let mut found = Self::default();
        let main = FunctionIndex(ast.functions.len().saturating_sub(1) as u32);
        for (at, function) in ast.functions.iter().enumerate() {
            let is_main = at == main.0 as usize;
            found.block(ast, &function.body, is_main);
        }
        found
    }

    fn block(&mut self, ast: &Ast, block: &Block, is_main: bool) {
        for statement in &block.statements {
            self.statement(ast, statement, is_main);
        }
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
            | StatementKind::Repeat { body, .. }
            | StatementKind::NumericFor { body, .. }
            | StatementKind::GenericFor { body, .. } => self.block(ast, body, false),
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
        let text = |symbol: moonswap_compiler::syntax::ast::Symbol| {
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
            Some(Expr::Field { name, .. }) => {
                self.keys.insert(Constant::String(text(*name).into()));
            }
            Some(Expr::Index { object, key }) => {
                match evaluate(ast, *key, &|_| None).and_then(Constant::key) {
                    Some(key) => {
                        self.keys.insert(key);
                    }
                    None => {
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
            Key::Shape(_) => true,
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
