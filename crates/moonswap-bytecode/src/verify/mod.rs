//! The verifier: everything the interpreter relies on without looking.
//!
//! A machine runs only prototypes that passed. One walk through the code (`run`) looks
//! at each instruction by itself (`operands`: operands, windows of registers, kinds of
//! constants, targets of jumps, open lists of values, which stand in pairs), at loops,
//! which are entered at their heads (`loops`), and at what registers hold along every
//! path (`flow`, which lists what it proves). That code cannot run off its end, and that
//! numbers fit together, is found before (`shape`). Types of values are checked where the
//! machine takes them for granted; elsewhere it looks at them itself.

mod fault;
mod flow;
mod info;
mod loops;
mod operands;
mod place;
mod run;
mod shape;
mod variables;

use crate::function_id::FunctionId;
use crate::literal::Literal;
use crate::prototype::{ChildSummary, LocalVariable, Prototype, ScopeVariable, VariableKind};
pub use crate::registers::MAX_REGISTERS;
use crate::watch::Watch;
pub use fault::Fault;
use fault::go_on;
use run::{Flows, Work};
pub use shape::MAX_KEY;
use shape::{Lists, Shape};

/// Bytes of lists that are not kept for the next function.
const LARGE: usize = 256 << 10;

/// What is wrong with a prototype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{function}: instruction {}: {fault}", pc + 1)]
pub struct VerifyError {
    /// The function it was found in.
    pub function: FunctionId,
    /// The instruction, or 0 for what concerns the whole function.
    pub pc: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// Whether a function closes these variables wherever their frame or scope ends,
/// if they are captured from outside at any time.
pub fn closes(prototype: &Prototype, variables: &[LocalVariable]) -> bool {
    let mut opened = prototype.clone();
    let mut scope = opened.scope.into_vec();
    scope.extend(variables.iter().map(|variable| ScopeVariable {
        name: variable.name.clone(),
        declaration: 0,
        kind: VariableKind::Regular,
        register: Some(variable.register),
        start_pc: variable.start_pc,
        end_pc: variable.end_pc,
    }));
    opened.scope = scope.into();
    let mut lists = Lists::default();
    let shape = Shape::of(&opened, &mut lists);
    run::check(&shape, None, &mut Work::default(), &mut Flows::default()).is_ok()
}

/// Checks a prototype and all its children.
pub fn verify(prototype: &Prototype) -> Result<(), VerifyError> {
    verify_watched(prototype, None)
}

/// As [`verify`], and `watch` may stop it ([`Fault::Stopped`]): what registers
/// hold in code made for the purpose takes long to find out.
pub fn verify_watched(prototype: &Prototype, watch: Option<&Watch<'_>>) -> Result<(), VerifyError> {
    Verifier::default().verify(prototype, watch)
}

/// Checks a prototype without its children, which were checked already.
pub fn verify_without(
    prototype: &Prototype,
    children: &[ChildSummary],
    watch: Option<&Watch<'_>>,
) -> Result<(), VerifyError> {
    Verifier::default().verify_without(prototype, children, watch)
}

/// Verifies one prototype after the other: its lists are used again.
#[derive(Default)]
pub(crate) struct Verifier {
    lists: Lists,
    work: Work,
    flows: Flows,
}

impl Verifier {
    /// From here on it may take so many bytes ([`Fault::Memory`]).
    pub(crate) fn set_room(&mut self, room: usize) {
        self.work.room = room;
    }

    /// Gives large lists back: what comes next may need their memory.
    pub(crate) fn forget_large(&mut self) {
        if self.work.most > LARGE {
            *self = Self::default();
        }
    }

    /// See [`verify_watched`].
    pub(crate) fn verify(
        &mut self,
        prototype: &Prototype,
        watch: Option<&Watch<'_>>,
    ) -> Result<(), VerifyError> {
        let mut todo = vec![prototype];
        while let Some(prototype) = todo.pop() {
            let child = |i: usize| {
                let child = prototype.children.get(i)?;
                (!child.is_main()).then_some(child.upvalues.len())
            };
            one(prototype, child, watch, self)?;
            todo.extend(prototype.children.iter().map(|child| &**child));
        }
        Ok(())
    }

    /// Checks a function of a binary chunk, those in which capture so many variables.
    pub(crate) fn verify_literal(
        &mut self,
        literal: &Literal<'_>,
        children: &[usize],
        watch: Option<&Watch<'_>>,
    ) -> Result<(), (usize, Fault)> {
        let Self { lists, work, flows } = self;
        let bytes = Lists::bytes([
            literal.constants.len(),
            literal.sites.len(),
            literal.n_captures(),
            literal.locals.len() + literal.scope.len(),
        ]);
        let begun = go_on(watch).and_then(|()| work.ask(bytes));
        begun.map_err(|fault| (0, fault))?;
        let shape = Shape::of_literal(literal, lists);
        let header = shape.header(|i| children.get(i).copied());
        let positions = [literal.lines.n, 0];
        let header = header.and_then(|()| shape.debug(positions, &literal.locals, &literal.scope));
        header.map_err(|fault| (0, fault))?;
        run::check(&shape, watch, work, flows)
    }

    /// See [`verify_without`].
    pub(crate) fn verify_without(
        &mut self,
        prototype: &Prototype,
        children: &[ChildSummary],
        watch: Option<&Watch<'_>>,
    ) -> Result<(), VerifyError> {
        let child = |i: usize| {
            let child = children.get(i)?;
            child.step.is_some().then_some(child.n_upvalues)
        };
        one(prototype, child, watch, self)
    }
}

/// `child` answers how many variables a literal in it captures.
fn one(
    prototype: &Prototype,
    child: impl Fn(usize) -> Option<usize>,
    watch: Option<&Watch<'_>>,
    verifier: &mut Verifier,
) -> Result<(), VerifyError> {
    let Verifier { lists, work, flows } = verifier;
    let sites = &prototype.sites;
    let locals = &prototype.debug.locals;
    let bytes = Lists::bytes([
        prototype.constants.len(),
        sites.len(),
        sites.iter().map(|site| site.captures.len()).sum(),
        locals.len() + prototype.scope.len(),
    ]);
    let positions = [prototype.debug.lines.len(), prototype.debug.columns.len()];
    let begun = go_on(watch).and_then(|()| work.ask(bytes));
    let checked = begun.map_err(|fault| (0, fault)).and_then(|()| {
        let shape = Shape::of(prototype, lists);
        let header = shape.header(child);
        let header = header.and_then(|()| shape.debug(positions, locals, &prototype.scope));
        header.map_err(|fault| (0, fault))?;
        run::check(&shape, watch, work, flows)
    });
    checked.map_err(|(pc, fault)| VerifyError {
        function: prototype.id.clone(),
        pc,
        fault,
    })
}
