//! Locals of `do … end` blocks of the main chunk as top-level locals.
//!
//! Such a block runs once, like the main chunk, so a local of it can stand above it
//! if no other variable of the main chunk has its name and nothing outside of the
//! block uses the name. Then it has a cell like any top-level local, which closures
//! that exist can reach. A block of which all locals go is opened altogether.
//!
//! That is done with locals that functions use, and that the running text does not have
//! in a block of its own: those have no cells.

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{
    Ast, Attribute, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol,
};
use moonswap_compiler::syntax::visit::Part;

use super::ChunkPatch;
use super::statements::statements;
use super::tree::parts;

/// The names of the locals that stand directly in blocks of the main chunk.
pub(crate) fn block_locals(ast: &Ast) -> HashSet<&[u8]> {
    let blocks = statements(ast).iter().filter_map(block);
    let names = blocks.flat_map(|block| block.statements.iter().flat_map(declared));
    names
        .filter_map(|name| ast.symbols.get(name.0 as usize).map(|text| &text[..]))
        .collect()
}

/// The text with the locals above their blocks that `wanted` picks by name; `None` if
/// there is none that can be.
pub(crate) fn hoisted(text: &ChunkPatch, wanted: &dyn Fn(&[u8]) -> bool) -> Option<ChunkPatch> {
    let ast = text.ast();
    let is_candidate = |name: &Symbol| {
        let text = ast.symbols.get(name.0 as usize);
        text.is_some_and(|text| wanted(text))
    };
    let body = statements(ast);
    let is_open = |s: &Statement| {
        block(s).is_some_and(|block| {
            block
                .statements
                .iter()
                .flat_map(declared)
                .any(|name| is_candidate(&name))
        })
    };
    if !body.iter().any(is_open) {
        return None;
    }
    let mut uses = Uses::default();
    for (at, statement) in body.iter().enumerate() {
        uses.statement(ast, at, &statement.kind, true);
    }
    let can_go = |at: usize, name: Symbol| {
        is_candidate(&name)
            && uses.declared.get(&name) == Some(&1)
            && uses
                .named
                .get(&name)
                .is_none_or(|named| named.iter().all(|by| *by == at))
    };
    let mut made = Vec::with_capacity(body.len());
    let mut has_any = false;
    for (at, statement) in body.iter().enumerate() {
        let Some(block) = block(statement) else {
            made.push(statement.clone());
            continue;
        };
        let going = going(ast, block, &|name| can_go(at, name));
        let stays = |i: &usize| !going[*i] && declared(&block.statements[*i]).next().is_some();
        let is_opened = going.contains(&true)
            && !(0..going.len()).any(|i| stays(&i))
            && !block.statements.iter().any(|s| leaves(&s.kind));
        if is_opened {
            has_any = true;
            made.extend(block.statements.iter().cloned());
            continue;
        }
        // The block stays for its other locals. What goes above it must not overtake what
        // has effects.
        let last = going.iter().rposition(|goes| *goes).unwrap_or(0);
        let mut above = block.statements.iter().zip(&going).take(last);
        if !above.all(|(s, goes)| *goes || is_inert(ast, &s.kind)) {
            made.push(statement.clone());
            continue;
        }
        has_any |= going.contains(&true);
        let numbered = block.statements.iter().zip(&going);
        let (up, rest): (Vec<_>, Vec<_>) = numbered.partition(|(_, goes)| **goes);
        made.extend(up.into_iter().map(|(s, _)| s.clone()));
        let statements = rest.into_iter().map(|(s, _)| s.clone()).collect();
        made.push(Statement {
            kind: StatementKind::Do(Block {
                statements,
                ..block.clone()
            }),
            span: statement.span,
        });
    }
    if !has_any {
        return None;
    }
    let mut ast = ast.clone();
    ast.functions.last_mut()?.body.statements = made;
    let mut moved = ChunkPatch::of_tree(text.chunk(), text.source(), ast).ok()?;
    moved.base = text.base;
    Some(moved)
}

/// Which statements of a block go above it.
fn going(ast: &Ast, block: &Block, can_go: &dyn Fn(Symbol) -> bool) -> Vec<bool> {
    let list = &block.statements;
    let mut going: Vec<bool> = list
        .iter()
        .map(|s| {
            let is_closed = matches!(&s.kind, StatementKind::Local { names, .. }
                if names.iter().any(|(_, attribute, _)| *attribute == Attribute::Close));
            declared(s).next().is_some() && !is_closed && declared(s).all(can_go)
        })
        .collect();
    if list
        .iter()
        .any(|s| matches!(s.kind, StatementKind::Goto(_) | StatementKind::Label(_)))
    {
        return vec![false; list.len()];
    }
    // All globals that are named below it mean another table.
    let is_environment = |name: Symbol| {
        let text = ast.symbols.get(name.0 as usize);
        text.is_some_and(|text| &text[..] == b"_ENV")
    };
    if list.iter().flat_map(declared).any(is_environment) {
        return vec![false; list.len()];
    }
    let mut captured = HashSet::default();
    let mut named: Vec<HashSet<Symbol>> = Vec::with_capacity(list.len());
    for statement in list {
        let mut uses = Uses::default();
        uses.statement(ast, 0, &statement.kind, false);
        captured.extend(uses.captured);
        named.push(uses.named.into_keys().collect());
    }
    // What is named above its declaration is another variable there.
    for at in 0..list.len() {
        let above = named[..at]
            .iter()
            .any(|named| declared(&list[at]).any(|n| named.contains(&n)));
        going[at] &= !above;
    }
    // What uses a local that stays has to stay.
    loop {
        let staying: HashSet<Symbol> = list
            .iter()
            .zip(&going)
            .filter(|(_, goes)| !**goes)
            .flat_map(|(s, _)| declared(s))
            .collect();
        let before = going.clone();
        for (goes, named) in going.iter_mut().zip(&named) {
            *goes &= named.is_disjoint(&staying);
        }
        if going == before {
            break;
        }
    }
    // Others are only steps on the way to what functions use, or to nothing.
    let mut needed = captured;
    loop {
        let n = needed.len();
        for (statement, named) in list.iter().zip(&named) {
            if declared(statement).any(|name| needed.contains(&name)) {
                needed.extend(named);
            }
        }
        if needed.len() == n {
            break;
        }
    }
    for (goes, statement) in going.iter_mut().zip(list) {
        *goes &= declared(statement).any(|name| needed.contains(&name));
    }
    going
}

/// What statements name, functions in them included.
pub(crate) fn names_in(ast: &Ast, body: &[Statement]) -> HashSet<Symbol> {
    let mut uses = Uses::default();
    for statement in body {
        uses.statement(ast, 0, &statement.kind, false);
    }
    uses.named.into_keys().collect()
}

/// Whether a statement that stays in its block may stand below one that goes above it: it
/// calls nothing and computes nothing.
fn is_inert(ast: &Ast, kind: &StatementKind) -> bool {
    let StatementKind::Local { names, values, .. } = kind else {
        return matches!(kind, StatementKind::LocalFunction { .. });
    };
    let is_leaf = |value: &ExprId| {
        let expr = ast.exprs.get(value.0 as usize);
        parts(ast, *value).is_empty() && !matches!(expr, None | Some(Expr::Table(_)))
    };
    names
        .iter()
        .all(|(_, attribute, _)| *attribute != Attribute::Close)
        && values.iter().all(is_leaf)
}

fn block(statement: &Statement) -> Option<&Block> {
    match &statement.kind {
        StatementKind::Do(block) => Some(block),
        _ => None,
    }
}

/// The locals that a statement declares.
fn declared(statement: &Statement) -> impl Iterator<Item = Symbol> + '_ {
    let (names, function) = match &statement.kind {
        StatementKind::Local { names, .. } => (&names[..], None),
        StatementKind::LocalFunction { name, .. } => (&[][..], Some(*name)),
        _ => (&[][..], None),
    };
    names.iter().map(|(name, ..)| *name).chain(function)
}

/// Whether a statement leaves the block.
fn leaves(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Return(_)
            | StatementKind::Break
            | StatementKind::Goto(_)
            | StatementKind::Label(_)
    )
}

/// Where names stand in the main chunk.
#[derive(Default)]
struct Uses {
    /// How often variables of the main chunk have a name, in whatever block.
    declared: HashMap<Symbol, usize>,
    /// The statements that name something, functions in them included.
    named: HashMap<Symbol, HashSet<usize>>,
    /// What functions name.
    captured: HashSet<Symbol>,
    /// Functions that are being looked into.
    depth: usize,
}

impl Uses {
    fn statement(&mut self, ast: &Ast, at: usize, kind: &StatementKind, is_main: bool) {
        kind.each_part(&mut |part| match part {
            Part::Expression(expr) => self.expression(ast, at, expr),
            Part::Literal(function) => self.function(ast, at, function),
            Part::Local(name) | Part::Loop(name) => {
                *self.declared.entry(name).or_default() += usize::from(is_main);
            }
            Part::Block(block) => {
                for statement in &block.statements {
                    self.statement(ast, at, &statement.kind, is_main);
                }
            }
        });
    }

    fn function(&mut self, ast: &Ast, at: usize, function: FunctionIndex) {
        if let Some(function) = ast.functions.get(function.0 as usize) {
            self.depth += 1;
            for statement in &function.body.statements {
                self.statement(ast, at, &statement.kind, false);
            }
            self.depth -= 1;
        }
    }

    fn expression(&mut self, ast: &Ast, at: usize, expr: ExprId) {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            match ast.exprs.get(expr.0 as usize) {
                Some(Expr::Name(name)) => {
                    self.named.entry(*name).or_default().insert(at);
                    if self.depth > 0 {
                        self.captured.insert(*name);
                    }
                }
                Some(Expr::Function(function)) => self.function(ast, at, *function),
                _ => {}
            }
            todo.extend(parts(ast, expr));
        }
    }
}
