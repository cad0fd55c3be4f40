//! Changed `if` statements: which arm is taken is found out when the patch is applied.
//! Where old and new text take arms that do the same, or none, nothing is left to do.

use std::cell::LazyCell;

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, Statement, StatementKind, Symbol,
};

use super::comparison::Comparison;
use super::merge::Merging;
use super::outcome::{Action, Decide, TopLevel};
use super::reach::may_leave;
use crate::model::change::Decision;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::declarations::Variable;
use crate::patch::hoist::names_in;
use crate::patch::outline::statement_literals;
use crate::patch::path::Scope;
use crate::patch::shape;
use crate::patch::statements::{statements, target_text};
use crate::patch::tree::{parts, symbol_text};

/// Library functions whose results depend on their arguments alone.
const PURE: &[&str] = &[
    "type", "tostring", "tonumber", "select", "rawequal", "rawlen",
];

/// Arms of an `if` that is decided: each of the old text is compared with each of the new
/// one, and what decides nests as deep as there are arms.
const MOST_ARMS: usize = 16;

/// What an `if` statement consists of.
struct Arms<'a> {
    conditions: Vec<ExprId>,
    /// The first one is what happens if no condition holds.
    bodies: Vec<&'a [Statement]>,
}

impl<'a> Arms<'a> {
    fn of(statement: &'a Statement) -> Option<Self> {
        let StatementKind::If { arms, otherwise } = &statement.kind else {
            return None;
        };
        let statements = |block: &'a Block| &block.statements[..];
        let none = otherwise.as_ref().map_or(&[][..], statements);
        let bodies = std::iter::once(none).chain(arms.iter().map(|(_, body)| statements(body)));
        Some(Self {
            conditions: arms.iter().map(|(condition, _)| *condition).collect(),
            bodies: bodies.collect(),
        })
    }
}

/// Whether two `if` statements have the same arms or the same conditions.
fn is_likely_the_same(old: (&Ast, &Statement), new: (&Ast, &Statement)) -> bool {
    let shapes = |(ast, statement): (&Ast, &Statement)| {
        let arms = Arms::of(statement)?;
        let body = |body: &&[Statement]| -> Vec<Vec<u8>> {
            let statements = body.iter();
            statements.map(|s| shape::statement(ast, &s.kind)).collect()
        };
        let conditions: Vec<_> = arms
            .conditions
            .iter()
            .map(|c| shape::expression(ast, *c))
            .collect();
        Some((conditions, arms.bodies.iter().map(body).collect::<Vec<_>>()))
    };
    match (shapes(old), shapes(new)) {
        (Some(was), Some(is)) => was.0 == is.0 || was.1 == is.1,
        _ => false,
    }
}

/// The names of top-level locals that the two texts declare differently.
fn changed_locals<'a>(old: &'a Ast, new: &'a Ast) -> HashSet<&'a [u8]> {
    fn declarations(ast: &Ast) -> HashMap<&[u8], Vec<Vec<u8>>> {
        let mut all: HashMap<&[u8], Vec<Vec<u8>>> = HashMap::default();
        for statement in statements(ast) {
            let StatementKind::Local { names, .. } = &statement.kind else {
                continue;
            };
            let shape = shape::statement(ast, &statement.kind);
            for (name, ..) in names {
                let name = ast.symbols.get(name.0 as usize);
                let name = name.map_or(&b""[..], |name| name);
                all.entry(name).or_default().push(shape.clone());
            }
        }
        all
    }
    let (old, new) = (declarations(old), declarations(new));
    let mut changed: HashSet<&[u8]> = HashSet::default();
    changed.extend(
        new.iter()
            .filter(|(name, all)| old.get(*name) != Some(*all))
            .map(|(name, _)| *name),
    );
    changed
}

/// Whether statements name one of these variables, in functions as well.
fn reads_any(ast: &Ast, body: &[Statement], names: &HashSet<&[u8]>) -> bool {
    let is_one = |name: &Symbol| {
        let text = ast.symbols.get(name.0 as usize);
        text.is_some_and(|text| names.contains(&text[..]))
    };
    !names.is_empty() && names_in(ast, body).iter().any(is_one)
}

impl Comparison<'_> {
    /// The `if` statement of the old text that each changed one of the new text was;
    /// `None`: it is new. One of which that is not known is left out.
    pub(super) fn twins(
        &self,
        old: &ChunkPatch,
        gone: &[usize],
        come: &[usize],
    ) -> HashMap<usize, Option<usize>> {
        let conditions = |text: &ChunkPatch, list: &[usize]| -> Vec<usize> {
            let body = statements(text.ast());
            let is_if = |at: &&usize| matches!(body[**at].kind, StatementKind::If { .. });
            list.iter().filter(is_if).copied().collect()
        };
        let (mut was, is) = (conditions(old, gone), conditions(self.new, come));
        if was.len() == is.len() {
            return is.into_iter().zip(was.into_iter().map(Some)).collect();
        }
        let mut twins = HashMap::default();
        let mut left = Vec::new();
        for at in is {
            let statement = (self.new.ast(), &self.body()[at]);
            let like = |was: &usize| {
                let before = (old.ast(), &statements(old.ast())[*was]);
                is_likely_the_same(before, statement)
            };
            match was.iter().position(like) {
                Some(found) => drop(twins.insert(at, Some(was.remove(found)))),
                None => left.push(at),
            }
        }
        if was.is_empty() {
            twins.extend(left.into_iter().map(|at| (at, None)));
        }
        twins
    }

    /// Notes that a changed or new `if` is decided when the patch is applied. Answers
    /// whether that can be.
    pub(super) fn decide(
        &self,
        old: &ChunkPatch,
        was: Option<usize>,
        at: usize,
        not_run: NotRun,
        top: &mut TopLevel,
    ) -> bool {
        let Some(is) = self.body().get(at).and_then(Arms::of) else {
            return false;
        };
        let before = was.and_then(|was| Some((was, Arms::of(statements(old.ast()).get(was)?)?)));
        if was.is_some() != before.is_some() || !self.policy.run_new {
            return false;
        }
        let n_old = before.as_ref().map_or(0, |(_, arms)| arms.bodies.len());
        if n_old.max(is.bodies.len()) > MOST_ARMS {
            return false;
        }
        let changed = LazyCell::new(|| changed_locals(old.ast(), self.new.ast()));
        let merging = Merging::beside(self, old);
        let is_known = |condition: &ExprId| {
            self.reads_what_stays(old, *condition) && merging.is_settled(*condition, at)
        };
        if !is.conditions.iter().all(is_known) {
            return false;
        }
        let mut agreeing = Vec::new();
        let nothing: &[Statement] = &[];
        let bodies = before
            .as_ref()
            .map_or(vec![nothing], |(_, arms)| arms.bodies.clone());
        if let Some((was, arms)) = &before {
            let mut conditions = arms.conditions.iter();
            if !conditions.all(|c| merging.is_the_same(*c, *was, at, top)) {
                return false;
            }
        }
        for (i, a) in bodies.iter().enumerate() {
            for (j, b) in is.bodies.iter().enumerate() {
                let reads_changed = || !b.is_empty() && reads_any(self.new.ast(), b, &changed);
                if self.do_the_same(old, a, b, at, top) && !reads_changed() {
                    agreeing.push((i as i64, j as i64));
                }
            }
        }
        if agreeing.is_empty() {
            return false;
        }
        let mut number = || {
            top.n_evaluated += 1;
            top.n_evaluated - 1
        };
        let stays = |(_, body): &(i64, &&[Statement])| !body.iter().any(|s| may_leave(&s.kind));
        let decision = Decision {
            old: before.as_ref().map(|_| number()),
            new: number(),
            agreeing,
            staying: (0..)
                .zip(&is.bodies)
                .filter(stays)
                .map(|(i, _)| i)
                .collect(),
            not_run,
        };
        let code = Decide {
            decision: top.decisions.len(),
            old: before.map_or_else(Vec::new, |(_, arms)| arms.conditions),
            new: is.conditions,
        };
        top.decisions.push(decision);
        top.actions.insert(at, Action::Decide(code));
        true
    }

    /// Whether a condition calls nothing but what depends on its arguments alone, and
    /// reads nothing that code of the texts assigns.
    fn reads_what_stays(&self, old: &ChunkPatch, condition: ExprId) -> bool {
        let ast = self.new.ast();
        let facts = [self.new.facts(), old.facts()];
        let scope = Scope::default();
        let mut todo = vec![condition];
        while let Some(expr) = todo.pop() {
            match ast.exprs.get(expr.0 as usize) {
                Some(Expr::Call { callee, args }) => {
                    if !self.is_pure(*callee) {
                        return false;
                    }
                    todo.extend(args);
                    continue;
                }
                None | Some(Expr::MethodCall { .. } | Expr::Function(_) | Expr::Vararg) => {
                    return false;
                }
                Some(_) => {}
            }
            if let Some(path) = facts[0].constants.path(ast, &scope, expr)
                && facts.iter().any(|facts| facts.assigned.may_set(&path))
            {
                return false;
            }
            todo.extend(parts(ast, expr));
        }
        true
    }

    /// Whether two arms are the same statements with the same functions, and the words
    /// mean the same.
    fn do_the_same(
        &self,
        old: &ChunkPatch,
        was: &[Statement],
        is: &[Statement],
        at: usize,
        top: &TopLevel,
    ) -> bool {
        if was.is_empty() && is.is_empty() {
            return true;
        }
        let shapes = |ast: &Ast, body: &[Statement]| -> Vec<Vec<u8>> {
            body.iter()
                .map(|s| shape::statement(ast, &s.kind))
                .collect()
        };
        let functions = |ast: &Ast, body: &[Statement]| -> Vec<FunctionIndex> {
            body.iter()
                .flat_map(|s| statement_literals(ast, &s.kind))
                .collect()
        };
        let is_new = top
            .variables
            .iter()
            .any(|v| v.statement < at && !matches!(v.state, Variable::Existing { .. }));
        let literal = |text: &ChunkPatch, function| {
            let mut literals = text.facts().outline.literals.iter();
            literals.position(|l| l.function == Some(function))
        };
        let (a, b) = (functions(old.ast(), was), functions(self.new.ast(), is));
        let same = |(was, is): (&FunctionIndex, &FunctionIndex)| {
            let (was, is) = (literal(old, *was), literal(self.new, *is));
            is.is_some_and(|is| was.is_some() && self.matching.old_of[is] == was)
        };
        !is_new
            && shapes(old.ast(), was) == shapes(self.new.ast(), is)
            && a.len() == b.len()
            && a.iter().zip(&b).all(same)
    }

    /// Whether a function of the library is called that only answers.
    fn is_pure(&self, callee: ExprId) -> bool {
        let ast = self.new.ast();
        let Some(Expr::Name(name)) = ast.exprs.get(callee.0 as usize) else {
            return false;
        };
        let name = symbol_text(ast, *name);
        PURE.contains(&&*name) && !self.redefines(&name)
    }

    /// Whether the new text gives a name of Lua's libraries another meaning, or a field
    /// below it.
    pub(super) fn redefines(&self, name: &str) -> bool {
        let (ast, facts) = (self.new.ast(), self.new.facts());
        let is_below = |statement: &Statement| match &statement.kind {
            StatementKind::Function { target, .. } => {
                let text = target_text(ast, *target);
                text.split(['.', ':']).next() == Some(name)
            }
            _ => false,
        };
        facts.declared.iter().any(|v| *v.name == *name)
            || facts.assigned.name_anywhere(name.as_bytes())
            || self.body().iter().any(is_below)
    }
}
