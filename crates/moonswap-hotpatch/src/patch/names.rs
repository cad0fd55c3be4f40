//! Which global names a text uses, and which it defines: names that no local in
//! scope has, while `_ENV` is the chunk's own. A question about the syntax tree
//! alone.

use foldhash::HashSet;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{
    Ast, BinaryOp, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol, UnaryOp,
};

use super::tree::parts;

/// A function uses a global name; the first place where it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) name: Symbol,
    pub(crate) function: FunctionIndex,
    pub(crate) span: Span,
}

/// The global names of a text.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// In the order in which they are found, each once in a function.
    pub(crate) uses: Vec<Use>,
    /// Assigned somewhere.
    pub(crate) defined: HashSet<Symbol>,
    /// Asked for before they are used: `if jit then`, `unpack or table.unpack`.
    pub(crate) tested: HashSet<Symbol>,
    /// Names of locals and parameters, wherever.
    pub(crate) locals: HashSet<Symbol>,
    /// Its globals are not to be known from its text: it changes its environment.
    pub(crate) is_dynamic: bool,
}

impl Names {
    /// Looks through a text.
    pub(crate) fn of(ast: &Ast) -> Self {
        let mut walk = Walk {
            ast,
            names: Self::default(),
            visible: vec![0; ast.symbols.len()],
            scope: Vec::new(),
            function: FunctionIndex(0),
            seen: HashSet::default(),
            environment: symbol(ast, b"_ENV"),
            globals: symbol(ast, b"_G"),
        };
        if let Some(main) = ast.functions.len().checked_sub(1) {
            walk.function(FunctionIndex(main as u32));
        }
        walk.names
    }
}

fn symbol(ast: &Ast, text: &[u8]) -> Option<Symbol> {
    let at = ast.symbols.iter().position(|s| **s == *text)?;
    Some(Symbol(at as u32))
}

struct Walk<'a> {
    ast: &'a Ast,
    names: Names,
    /// How many variables of each name are in scope.
    visible: Vec<u32>,
    /// Their names, the innermost last.
    scope: Vec<Symbol>,
    function: FunctionIndex,
    seen: HashSet<(u32, u32)>,
    environment: Option<Symbol>,
    globals: Option<Symbol>,
}

impl<'a> Walk<'a> {
    fn expr(&self, at: ExprId) -> Option<&'a Expr> {
        self.ast.exprs.get(at.0 as usize)
    }

    fn declare(&mut self, name: Symbol) {
        self.names.locals.insert(name);
        self.scope.push(name);
        if let Some(n) = self.visible.get_mut(name.0 as usize) {
            *n += 1;
        }
    }

    fn leave(&mut self, depth: usize) {
        for name in self.scope.drain(depth..) {
            if let Some(n) = self.visible.get_mut(name.0 as usize) {
                *n -= 1;
            }
        }
    }

    fn is_local(&self, name: Symbol) -> bool {
        let visible = |name: Symbol| self.visible.get(name.0 as usize).is_some_and(|n| *n > 0);
        visible(name) || self.environment.is_some_and(visible)
    }

    /// Whether an expression is the table of globals.
    fn is_globals(&self, at: ExprId) -> bool {
        match self.expr(at) {
            Some(Expr::Name(name)) => {
                (self.environment == Some(*name) || self.globals == Some(*name))
                    && !self.is_local(*name)
            }
            _ => false,
        }
    }

    /// The name of a call's function, if that is a global.
    fn global_function(&self, callee: ExprId) -> Option<&'a [u8]> {
        match self.expr(callee)? {
            Expr::Name(name) if !self.is_local(*name) => {
                self.ast.symbols.get(name.0 as usize).map(|s| &**s)
            }
            _ => None,
        }
    }

    fn function(&mut self, index: FunctionIndex) {
        let Some(function) = self.ast.functions.get(index.0 as usize) else {
            return;
        };
        let outer = std::mem::replace(&mut self.function, index);
        let depth = self.scope.len();
        for (name, _) in &function.params {
            self.declare(*name);
        }
        self.block(&function.body);
        self.leave(depth);
        self.function = outer;
    }

    fn block(&mut self, block: &Block) {
        let depth = self.scope.len();
        self.statements(block);
        self.leave(depth);
    }

    /// The statements of a block whose scope stays open.
    fn statements(&mut self, block: &Block) {
        for statement in &block.statements {
            self.statement(&statement.kind);
        }
    }

    fn exprs(&mut self, list: &[ExprId]) {
        for expr in list {
            self.reads(*expr);
        }
    }

    /// Names read by an expression. Left spines may be long: no recursion but for
    /// functions.
    fn reads(&mut self, expr: ExprId) {
        let mut todo = vec![expr];
        while let Some(at) = todo.pop() {
            match self.expr(at) {
                Some(Expr::Name(name)) => self.read(*name, at),
                Some(Expr::Function(function)) => self.function(*function),
                Some(Expr::Binary {
                    op: BinaryOp::And | BinaryOp::Or,
                    lhs,
                    ..
                }) => self.tests(*lhs),
                Some(Expr::Binary {
                    op: BinaryOp::Eq | BinaryOp::NotEq,
                    lhs,
                    rhs,
                }) => {
                    if matches!(self.expr(*lhs), Some(Expr::Nil)) {
                        self.tests(*rhs);
                    } else if matches!(self.expr(*rhs), Some(Expr::Nil)) {
                        self.tests(*lhs);
                    }
                }
                Some(Expr::Unary {
                    op: UnaryOp::Not,
                    operand,
                }) => self.tests(*operand),
                Some(Expr::Call { callee, args }) => self.call(*callee, args),
                _ => {}
            }
            todo.extend(parts(self.ast, at).into_iter().rev());
        }
    }

    fn read(&mut self, name: Symbol, at: ExprId) {
        if self.is_local(name) || self.environment == Some(name) {
            return;
        }
        if self.seen.insert((self.function.0, name.0)) {
            self.names.uses.push(Use {
                name,
                function: self.function,
                span: self
                    .ast
                    .spans
                    .get(at.0 as usize)
                    .copied()
                    .unwrap_or_default(),
            });
        }
    }

    /// Calls that say something about globals.
    fn call(&mut self, callee: ExprId, args: &[ExprId]) {
        let first_is_globals = args.first().is_some_and(|first| self.is_globals(*first));
        match self.global_function(callee) {
            Some(b"setfenv" | b"module") => self.names.is_dynamic = true,
            Some(b"setmetatable") if first_is_globals => self.names.is_dynamic = true,
            Some(b"rawset") if first_is_globals => {
                if let Some(Expr::String(name)) = args.get(1).and_then(|name| self.expr(*name)) {
                    self.names.defined.insert(*name);
                }
            }
            Some(b"type") => {
                if let Some(first) = args.first() {
                    self.tests(*first);
                }
            }
            _ => {}
        }
    }

    /// A condition: globals in it may well be absent.
    fn tests(&mut self, condition: ExprId) {
        let mut todo = vec![condition];
        while let Some(at) = todo.pop() {
            match self.expr(at) {
                Some(Expr::Name(name)) if !self.is_local(*name) => {
                    self.names.tested.insert(*name);
                }
                Some(Expr::Paren(inner)) => todo.push(*inner),
                Some(Expr::Binary {
                    op: BinaryOp::And | BinaryOp::Or,
                    lhs,
                    rhs,
                }) => todo.extend([*lhs, *rhs]),
                _ => {}
            }
        }
    }

    fn condition(&mut self, condition: ExprId) {
        self.tests(condition);
        self.reads(condition);
    }

    fn target(&mut self, target: ExprId) {
        match self.expr(target) {
            Some(Expr::Name(name)) => {
                if self.environment == Some(*name) {
                    self.names.is_dynamic |= !self.is_local(*name);
                } else if !self.is_local(*name) {
                    self.names.defined.insert(*name);
                }
            }
            Some(Expr::Field { object, name }) if self.is_globals(*object) => {
                self.names.defined.insert(*name);
            }
            Some(Expr::Index { object, key }) if self.is_globals(*object) => {
                match self.expr(*key) {
                    Some(Expr::String(name)) => {
                        self.names.defined.insert(*name);
                    }
                    // `for name, value in pairs(library) do _G[name] = value end`
                    _ => self.names.is_dynamic = true,
                }
                self.reads(target);
            }
            _ => self.reads(target),
        }
    }

    fn statement(&mut self, kind: &StatementKind) {
        match kind {
            StatementKind::Local { names, values } => {
                self.exprs(values);
                for (name, _, _) in names {
                    self.declare(*name);
                }
            }
            StatementKind::LocalFunction { name, function, .. } => {
                self.declare(*name);
                self.function(*function);
            }
            StatementKind::Function { target, function } => {
                self.target(*target);
                self.function(*function);
            }
            StatementKind::Assign { targets, values } => {
                self.exprs(values);
                for target in targets {
                    self.target(*target);
                }
            }
            StatementKind::Call(expr) => self.reads(*expr),
            StatementKind::Do(body) => self.block(body),
            StatementKind::While { condition, body } => {
                self.condition(*condition);
                self.block(body);
            }
            StatementKind::Repeat { body, condition } => {
                let depth = self.scope.len();
                self.statements(body);
                self.condition(*condition);
                self.leave(depth);
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.condition(*condition);
                    self.block(body);
                }
                if let Some(body) = otherwise {
                    self.block(body);
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
                self.exprs(&[*start, *limit]);
                self.exprs(step.as_slice());
                let depth = self.scope.len();
                self.declare(*variable);
                self.block(body);
                self.leave(depth);
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => {
                self.exprs(values);
                let depth = self.scope.len();
                for (name, _) in names {
                    self.declare(*name);
                }
                self.block(body);
                self.leave(depth);
            }
            StatementKind::Goto(_) | StatementKind::Label(_) | StatementKind::Break => {}
            StatementKind::Return(values) => self.exprs(values),
        }
    }
}
