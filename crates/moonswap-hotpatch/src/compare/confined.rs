//! Which closures cannot outlive the activation that made them.
//!
//! A closure is out of reach when that activation ends if its value never goes
//! anywhere but into a call: it is the function that is called, or an argument of a
//! library function that calls it and keeps nothing (`pcall`, `xpcall`,
//! `table.sort`, `string.gsub`). It may be kept in a local variable in between if
//! all that is ever done with the variable is that, and if closures that capture
//! the variable are confined themselves. (After a tail call the activation it
//! became takes its place.)
//!
//! Names are compared, not variables, so a namesake can only make a closure look
//! less confined than it is.

use foldhash::HashSet;
use moonswap_compiler::syntax::ast::{
    Ast, Attribute, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol,
};
use moonswap_compiler::syntax::visit::Part;

use crate::patch::assigned::Assigned;
use crate::patch::callers::CALLERS;
use crate::patch::tree::parts;

/// Whether all closures of `literal`, which stands directly in `parent`, are
/// confined to the activation of `parent` that made them.
pub(crate) fn is_confined(ast: &Ast, parent: FunctionIndex, literal: FunctionIndex) -> bool {
    let mut check = Check {
        ast,
        assumed: HashSet::default(),
    };
    check.literal(parent, literal)
}

struct Check<'a> {
    ast: &'a Ast,
    /// Being looked at: closures that only hold each other are held by nothing.
    assumed: HashSet<FunctionIndex>,
}

/// What a function body does with expressions, nested functions left closed.
#[derive(Default)]
struct Body {
    /// Where expressions stand that only are called.
    called: HashSet<ExprId>,
    all: Vec<ExprId>,
    /// `local function`, and what is put into a local variable by itself.
    named: Vec<(Symbol, FunctionIndex)>,
    /// Literals that are put into something else.
    stored: Vec<FunctionIndex>,
}

impl Check<'_> {
    fn literal(&mut self, parent: FunctionIndex, literal: FunctionIndex) -> bool {
        if !self.assumed.insert(literal) {
            return true;
        }
        let Some(function) = self.ast.functions.get(parent.0 as usize) else {
            return false;
        };
        let mut body = Body::default();
        self.block(&function.body, &mut body);
        if body.stored.contains(&literal) {
            return false;
        }
        if let Some(&(name, _)) = body.named.iter().find(|(_, known)| *known == literal) {
            return self.uses_are_calls(parent, name);
        }
        body.all.iter().any(|expr| {
            body.called.contains(expr)
                && matches!(self.expr(*expr), Some(Expr::Function(f)) if *f == literal)
        })
    }

    fn expr(&self, expr: ExprId) -> Option<&Expr> {
        self.ast.exprs.get(expr.0 as usize)
    }

    /// Whether a variable is only called, in a function and in those in it.
    fn uses_are_calls(&mut self, within: FunctionIndex, name: Symbol) -> bool {
        let Some(function) = self.ast.functions.get(within.0 as usize) else {
            return false;
        };
        let mut body = Body::default();
        self.block(&function.body, &mut body);
        let is_other_use = |expr: &&ExprId| {
            matches!(self.expr(**expr), Some(Expr::Name(n)) if *n == name)
                && !body.called.contains(expr)
        };
        if body.all.iter().any(|expr| is_other_use(&expr)) {
            return false;
        }
        let inner = body.all.iter().filter_map(|expr| match self.expr(*expr) {
            Some(Expr::Function(f)) => Some(*f),
            _ => None,
        });
        let named = body.named.iter().map(|(_, f)| *f);
        let inner: Vec<FunctionIndex> = inner.chain(named).chain(body.stored.clone()).collect();
        inner.into_iter().all(|inner| {
            !self.mentions(inner, name)
                || self.uses_are_calls(inner, name) && self.literal(within, inner)
        })
    }

    fn mentions(&self, within: FunctionIndex, name: Symbol) -> bool {
        let Some(function) = self.ast.functions.get(within.0 as usize) else {
            return true;
        };
        let mut body = Body::default();
        self.block(&function.body, &mut body);
        let inner = body.named.iter().map(|(_, f)| *f).chain(body.stored);
        body.all.iter().any(|expr| match self.expr(*expr) {
            Some(Expr::Name(n)) => *n == name,
            Some(Expr::Function(f)) => self.mentions(*f, name),
            _ => false,
        }) || inner.into_iter().any(|f| self.mentions(f, name))
    }

    fn block(&self, block: &Block, body: &mut Body) {
        for statement in &block.statements {
            self.statement(statement, body);
        }
    }

    fn statement(&self, statement: &Statement, body: &mut Body) {
        match &statement.kind {
            StatementKind::Local { names, values } => {
                for (i, value) in values.iter().enumerate() {
                    match (self.expr(*value), names.get(i)) {
                        (
                            Some(Expr::Function(f)),
                            Some((name, Attribute::None | Attribute::Const, _)),
                        ) => {
                            body.named.push((*name, *f));
                        }
                        _ => self.walk(*value, body),
                    }
                }
            }
            StatementKind::LocalFunction { name, function, .. } => {
                body.named.push((*name, *function));
            }
            StatementKind::Function { target, function } => {
                self.walk(*target, body);
                body.stored.push(*function);
            }
            other => {
                other.each_part(&mut |part| match part {
                    Part::Expression(expr) => self.walk(expr, body),
                    Part::Block(inner) => self.block(inner, body),
                    Part::Literal(_) | Part::Local(_) | Part::Loop(_) => {}
                });
            }
        }
    }

    /// Left spines may be a million long: no recursion.
    fn walk(&self, root: ExprId, body: &mut Body) {
        let mut todo = vec![root];
        while let Some(expr) = todo.pop() {
            body.all.push(expr);
            todo.extend(parts(self.ast, expr));
            let Some(Expr::Call { callee, args }) = self.expr(expr) else {
                continue;
            };
            let mut called = *callee;
            while let Some(Expr::Paren(inner)) = self.expr(called) {
                called = *inner;
            }
            body.called.insert(called);
            for place in self.places_called(*callee) {
                body.called.extend(args.get(*place));
            }
        }
    }

    /// The arguments that the callee calls and does not keep.
    fn places_called(&self, callee: ExprId) -> &'static [usize] {
        let found = CALLERS
            .iter()
            .find(|caller| self.is_library(callee, caller.name, caller.field));
        found.map_or(&[], |caller| caller.places)
    }

    fn text(&self, symbol: Symbol) -> &[u8] {
        self.ast.symbols.get(symbol.0 as usize).map_or(b"", |s| s)
    }

    /// Whether an expression is a library function, by its global name or by that of
    /// a variable that is nothing but another name for it.
    fn is_library(&self, callee: ExprId, root: &str, field: Option<&str>) -> bool {
        match (self.expr(callee), field) {
            (Some(Expr::Name(name)), None) if self.text(*name) == root.as_bytes() => {
                self.is_untouched(root, root, field)
            }
            (Some(Expr::Name(name)), _) => match std::str::from_utf8(self.text(*name)) {
                Ok(name) => {
                    self.declares(name, root, field)
                        && self.is_untouched(name, root, field)
                        && self.is_untouched(root, root, None)
                }
                Err(_) => false,
            },
            (Some(Expr::Field { object, name }), Some(field)) => {
                self.text(*name) == field.as_bytes()
                    && matches!(self.expr(*object), Some(Expr::Name(of)) if self.text(*of) == root.as_bytes())
                    && self.is_untouched(root, root, None)
            }
            _ => false,
        }
    }

    /// All declarations of a name give it that library function.
    fn declares(&self, name: &str, root: &str, field: Option<&str>) -> bool {
        let mut found = Declarations {
            check: self,
            name,
            root,
            field,
            n: 0,
            others: 0,
        };
        found.all();
        found.n > 0 && found.others == 0
    }

    /// The text gives neither the name nor the library another meaning.
    fn is_untouched(&self, name: &str, root: &str, field: Option<&str>) -> bool {
        let mut found = Declarations {
            check: self,
            name,
            root,
            field,
            n: 0,
            others: 0,
        };
        found.all();
        let assigned = Assigned::of(self.ast);
        let is_assigned = |name: &str| assigned.name_anywhere(name.as_bytes());
        found.others == 0 && !is_assigned(name) && !is_assigned(root)
    }
}

/// Counts the declarations of a name in a whole text.
struct Declarations<'a> {
    check: &'a Check<'a>,
    name: &'a str,
    root: &'a str,
    field: Option<&'a str>,
    /// `local sort = table.sort`, `local table = table`
    n: usize,
    others: usize,
}

impl Declarations<'_> {
    fn all(&mut self) {
        for function in &self.check.ast.functions {
            for (name, _) in &function.params {
                self.other(*name);
            }
            self.block(&function.body);
        }
    }

    fn is(&self, symbol: Symbol) -> bool {
        self.check.text(symbol) == self.name.as_bytes()
    }

    fn other(&mut self, symbol: Symbol) {
        self.others += usize::from(self.is(symbol));
    }

    /// `table.sort = …`
    fn assign(&mut self, target: ExprId) {
        if let Some(Expr::Field { object, .. }) = self.check.expr(target)
            && let Some(Expr::Name(of)) = self.check.expr(*object)
        {
            self.others += usize::from(self.check.text(*of) == self.root.as_bytes());
        }
    }

    fn block(&mut self, block: &Block) {
        for statement in &block.statements {
            match &statement.kind {
                StatementKind::Local { names, values } => {
                    for (i, (name, ..)) in names.iter().enumerate() {
                        if !self.is(*name) {
                            continue;
                        }
                        let root = self.root.as_bytes();
                        let is_root = |expr: ExprId| matches!(self.check.expr(expr), Some(Expr::Name(n)) if self.check.text(*n) == root);
                        let own = values.get(i).is_some_and(|value| {
                            match (self.check.expr(*value), self.field) {
                                (Some(Expr::Field { object, name }), Some(field)) => {
                                    self.check.text(*name) == field.as_bytes() && is_root(*object)
                                }
                                (Some(Expr::Name(_)), _) => {
                                    is_root(*value)
                                        && (self.field.is_none() || self.name == self.root)
                                }
                                _ => false,
                            }
                        });
                        self.n += usize::from(own);
                        self.others += usize::from(!own);
                    }
                }
                StatementKind::LocalFunction { name, .. } => self.other(*name),
                StatementKind::Assign { targets, .. } => {
                    targets.iter().for_each(|target| self.assign(*target));
                }
                StatementKind::Function { target, .. } => self.assign(*target),
                StatementKind::NumericFor { variable, body, .. } => {
                    self.other(*variable);
                    self.block(body);
                }
                StatementKind::GenericFor { names, body, .. } => {
                    for (name, _) in names {
                        self.other(*name);
                    }
                    self.block(body);
                }
                StatementKind::Do(body)
                | StatementKind::While { body, .. }
                | StatementKind::Repeat { body, .. } => self.block(body),
                StatementKind::If { arms, otherwise } => {
                    for (_, body) in arms {
                        self.block(body);
                    }
                    if let Some(body) = otherwise {
                        self.block(body);
                    }
                }
                _ => {}
            }
        }
    }
}
