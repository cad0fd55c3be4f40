//! The shape of a statement or expression: bytes that are equal exactly when
//! two texts mean the same apart from the bodies of nested literals, which are
//! compared on their own.

use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol, TableItem,
};

use super::callers;
use super::tree::parts;

/// The shape of an expression.
pub(crate) fn expression(ast: &Ast, expr: ExprId) -> Vec<u8> {
    let mut shape = Shape {
        ast,
        out: Vec::new(),
    };
    shape.expr(expr);
    shape.out
}

/// The shape of a list of expressions.
pub(crate) fn expressions(ast: &Ast, list: &[ExprId]) -> Vec<u8> {
    let mut shape = Shape {
        ast,
        out: Vec::new(),
    };
    shape.exprs(list);
    shape.out
}

/// The shape of a statement.
pub(crate) fn statement(ast: &Ast, kind: &StatementKind) -> Vec<u8> {
    let mut shape = Shape {
        ast,
        out: Vec::new(),
    };
    shape.statement(kind);
    shape.out
}

/// The literals that an expression calls by itself: `(function() … end)()`,
/// `pcall(function() … end)`, `table.sort(t, function(a, b) … end)`.
pub(crate) fn called_in_place(ast: &Ast, expr: ExprId) -> Vec<FunctionIndex> {
    let literal = |mut expr: ExprId| loop {
        match ast.exprs.get(expr.0 as usize)? {
            Expr::Paren(inner) => expr = *inner,
            Expr::Function(function) => return Some(*function),
            _ => return None,
        }
    };
    // Callers are looked for only where they are given a literal.
    let given = |args: &[ExprId], at: &dyn Fn() -> Option<usize>| {
        let is_any = args.iter().any(|arg| literal(*arg).is_some());
        literal(*args.get(is_any.then(at)??)?)
    };
    let (called, argument) = match ast.exprs.get(expr.0 as usize) {
        Some(Expr::Call { callee, args }) => (
            literal(*callee),
            given(args, &|| callers::runs(ast, *callee)),
        ),
        Some(Expr::MethodCall { name, args, .. }) => {
            let name = ast.symbols.get(name.0 as usize);
            let runs = || callers::method_runs(name?);
            (None, given(args, &runs))
        }
        _ => return Vec::new(),
    };
    called.into_iter().chain(argument).collect()
}

struct Shape<'a> {
    ast: &'a Ast,
    out: Vec<u8>,
}

impl Shape<'_> {
    fn symbol(&mut self, symbol: Symbol) {
        let bytes = self
            .ast
            .symbols
            .get(symbol.0 as usize)
            .map_or(&b""[..], |s| s);
        self.number(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn number(&mut self, n: usize) {
        self.out.extend_from_slice(&(n as u32).to_le_bytes());
    }

    fn exprs(&mut self, list: &[ExprId]) {
        self.number(list.len());
        for expr in list {
            self.expr(*expr);
        }
    }

    /// Prefix order with arities, so equal bytes mean equal trees.
    fn expr(&mut self, root: ExprId) {
        let mut todo = vec![root];
        while let Some(expr) = todo.pop() {
            self.head(expr);
            let parts = parts(self.ast, expr);
            self.number(parts.len());
            for function in called_in_place(self.ast, expr) {
                self.body(function);
            }
            todo.extend(parts.into_iter().rev());
        }
    }

    /// A literal that runs where it stands is a part of the statement.
    fn body(&mut self, function: FunctionIndex) {
        let Some(function) = self.ast.functions.get(function.0 as usize) else {
            return;
        };
        self.number(function.params.len());
        for (name, _) in &function.params {
            self.symbol(*name);
        }
        self.out.push(u8::from(function.is_vararg));
        self.block(&function.body);
    }

    fn head(&mut self, expr: ExprId) {
        let ast = self.ast;
        match ast.exprs.get(expr.0 as usize) {
            None | Some(Expr::Nil) => self.out.push(0),
            Some(Expr::True) => self.out.push(1),
            Some(Expr::False) => self.out.push(2),
            Some(Expr::Vararg) => self.out.push(3),
            Some(Expr::Integer(i)) => {
                self.out.push(4);
                self.out.extend_from_slice(&i.to_le_bytes());
            }
            Some(Expr::Float(f)) => {
                self.out.push(5);
                self.out.extend_from_slice(&f.to_bits().to_le_bytes());
            }
            Some(Expr::String(s)) => {
                self.out.push(6);
                self.symbol(*s);
            }
            Some(Expr::Function(_)) => self.out.push(7),
            Some(Expr::Name(name)) => {
                self.out.push(8);
                self.symbol(*name);
            }
            Some(Expr::Index { .. }) => self.out.push(9),
            Some(Expr::Field { name, .. }) => {
                self.out.push(10);
                self.symbol(*name);
            }
            Some(Expr::Call { .. }) => self.out.push(11),
            Some(Expr::MethodCall { name, .. }) => {
                self.out.push(12);
                self.symbol(*name);
            }
            Some(Expr::Binary { op, .. }) => self.out.extend_from_slice(&[13, *op as u8]),
            Some(Expr::Unary { op, .. }) => self.out.extend_from_slice(&[14, *op as u8]),
            Some(Expr::Paren(_)) => self.out.push(15),
            Some(Expr::Table(items)) => {
                self.out.push(16);
                self.number(items.len());
                for item in items {
                    match item {
                        TableItem::Positional(_) => self.out.push(0),
                        TableItem::Named(name, _) => {
                            self.out.push(1);
                            self.symbol(*name);
                        }
                        TableItem::Keyed(..) => self.out.push(2),
                    }
                }
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.number(block.statements.len());
        for statement in &block.statements {
            self.statement(&statement.kind);
        }
    }

    fn statement(&mut self, kind: &StatementKind) {
        match kind {
            StatementKind::Local { names, values } => {
                self.out.push(100);
                self.number(names.len());
                for (name, attribute, _) in names {
                    self.symbol(*name);
                    self.out.push(*attribute as u8);
                }
                self.exprs(values);
            }
            StatementKind::LocalFunction { name, .. } => {
                self.out.push(101);
                self.symbol(*name);
            }
            StatementKind::Function { target, .. } => {
                self.out.push(102);
                self.expr(*target);
            }
            StatementKind::Assign { targets, values } => {
                self.out.push(103);
                self.exprs(targets);
                self.exprs(values);
            }
            StatementKind::Call(expr) => {
                self.out.push(104);
                self.expr(*expr);
            }
            StatementKind::Do(body) => {
                self.out.push(105);
                self.block(body);
            }
            StatementKind::While { condition, body } => {
                self.out.push(106);
                self.expr(*condition);
                self.block(body);
            }
            StatementKind::Repeat { body, condition } => {
                self.out.push(107);
                self.block(body);
                self.expr(*condition);
            }
            StatementKind::If { arms, otherwise } => {
                self.out.push(108);
                self.number(arms.len());
                for (condition, body) in arms {
                    self.expr(*condition);
                    self.block(body);
                }
                self.out.push(u8::from(otherwise.is_some()));
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
                self.out.push(109);
                self.symbol(*variable);
                self.exprs(&[*start, *limit]);
                self.exprs(step.as_slice());
                self.block(body);
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => {
                self.out.push(110);
                self.number(names.len());
                for (name, _) in names {
                    self.symbol(*name);
                }
                self.exprs(values);
                self.block(body);
            }
            StatementKind::Goto(label) => {
                self.out.push(111);
                self.symbol(*label);
            }
            StatementKind::Label(label) => {
                self.out.push(112);
                self.symbol(*label);
            }
            StatementKind::Break => self.out.push(113),
            StatementKind::Return(values) => {
                self.out.push(114);
                self.exprs(values);
            }
        }
    }
}
