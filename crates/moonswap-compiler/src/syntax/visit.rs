//! The parts of a statement: the one place that knows what stands where in each kind.

use super::ast::{Block, ExprId, FunctionIndex, StatementKind, Symbol};

/// A part of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// An expression.
    Expression(ExprId),
    /// A function literal that is no expression: `function f()`, `local function f()`.
    Literal(FunctionIndex),
    /// A local variable that is declared here and is in sight from here on.
    Local(Symbol),
    /// A variable of a loop, in sight in the block that follows.
    Loop(Symbol),
    /// A block.
    Block(&'a Block),
}

impl StatementKind {
    /// Calls `see` with each part directly in the statement, in the order in which
    /// names come into sight: a loop's variables stand before its block, the values of
    /// `local` before its names, the block of `repeat` before its condition.
    pub fn each_part<'a>(&'a self, see: &mut impl FnMut(Part<'a>)) {
        match self {
            Self::Local { names, values } => {
                expressions(values, see);
                names.iter().for_each(|(name, ..)| see(Part::Local(*name)));
            }
            Self::LocalFunction { name, function, .. } => {
                see(Part::Local(*name));
                see(Part::Literal(*function));
            }
            Self::Function { target, function } => {
                see(Part::Expression(*target));
                see(Part::Literal(*function));
            }
            Self::Assign { targets, values } => {
                expressions(targets, see);
                expressions(values, see);
            }
            Self::Call(call) => see(Part::Expression(*call)),
            Self::Do(body) => see(Part::Block(body)),
            Self::While { condition, body } => {
                see(Part::Expression(*condition));
                see(Part::Block(body));
            }
            Self::Repeat { body, condition } => {
                see(Part::Block(body));
                see(Part::Expression(*condition));
            }
            Self::If { arms, otherwise } => {
                for (condition, body) in arms {
                    see(Part::Expression(*condition));
                    see(Part::Block(body));
                }
                otherwise.iter().for_each(|body| see(Part::Block(body)));
            }
            Self::NumericFor {
                variable,
                start,
                limit,
                step,
                body,
                ..
            } => {
                expressions(&[*start, *limit], see);
                expressions(step.as_slice(), see);
                see(Part::Loop(*variable));
                see(Part::Block(body));
            }
            Self::GenericFor {
                names,
                values,
                body,
            } => {
                expressions(values, see);
                names.iter().for_each(|(name, _)| see(Part::Loop(*name)));
                see(Part::Block(body));
            }
            Self::Goto(_) | Self::Label(_) | Self::Break => {}
            Self::Return(values) => expressions(values, see),
        }
    }

    /// The expressions of the statement and of all blocks in it. Function literals
    /// are left closed.
    pub fn all_expressions(&self) -> Vec<ExprId> {
        let mut found = Vec::new();
        let mut todo = vec![self];
        while let Some(kind) = todo.pop() {
            kind.each_part(&mut |part| match part {
                Part::Expression(expr) => found.push(expr),
                Part::Block(block) => todo.extend(block.statements.iter().map(|s| &s.kind)),
                Part::Literal(_) | Part::Local(_) | Part::Loop(_) => {}
            });
        }
        found
    }
}

fn expressions<'a>(list: &[ExprId], see: &mut impl FnMut(Part<'a>)) {
    list.iter().for_each(|expr| see(Part::Expression(*expr)));
}
