//! Delta chunks: what of the new main chunk runs, compiled beside the running
//! instance, whose top-level locals it reaches as cells.
//!
//! Everything runs in the order of the new text. Statements run as they stand;
//! changes of data and definitions become calls of functions of the VM, which
//! are the chunk's arguments (the text may have globals of any name):
//! `M.limit = 5` becomes `merge(M, 0, 5)`, and `local LIMIT = 5` becomes
//! `LIMIT = choose(LIMIT, 0, 5)`. Statements that are only tried are chunks of
//! their own.

mod edit;

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{Capture, Prototype, UpvalueDescription};
use moonswap_compiler::syntax::ast::{Ast, FunctionIndex, Statement, StatementKind};
use moonswap_compiler::{CompileError, CompileOptions, compile_ast};

use crate::compare::toplevel::outcome::{Action, Decide, MergeCode, TopLevel};
use crate::model::change::DataChange;
use crate::model::not_run::NotRun;
use crate::model::plan::DeltaChunk;
use crate::patch::outline::statement_literals;
use crate::patch::statements::required;
use edit::Edit;

/// A new main chunk cut down to some of its statements.
pub(crate) struct Delta<'a> {
    pub(crate) chunk: &'a str,
    pub(crate) source: &'a [u8],
    pub(crate) ast: &'a Ast,
    /// The tree of the old text, if it is known.
    pub(crate) old: Option<&'a Ast>,
    pub(crate) top: &'a TopLevel,
    /// What is said of a statement that is only tried.
    pub(crate) tried: &'a dyn Fn(usize) -> NotRun,
    pub(crate) options: CompileOptions<'a>,
    /// The main chunk made for the commit: closures get its children.
    pub(crate) main: &'a Prototype,
    /// The main chunk's arguments are kept.
    pub(crate) has_arguments: bool,
}

/// Why delta chunks could not be made.
pub(crate) enum Failed {
    Compile(CompileError),
    /// A statement in this line uses `...`.
    Arguments(u32),
}

/// What becomes of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is compiled for its declarations only.
    Dropped,
    /// It belongs to all chunks.
    All,
    /// It belongs to this one.
    Chunk(usize),
}

/// Each chunk costs about as much as compiling the text: behind so many, statements
/// that stand next to each other are tried together.
const CHUNKS: usize = 32;

/// Statements with their places.
#[derive(Default)]
struct Program {
    statements: Vec<Statement>,
    places: Vec<Place>,
    chunks: Vec<Part>,
}

/// One of the chunks.
struct Part {
    /// What it tries; `None`: it just runs.
    tried: Option<Vec<NotRun>>,
    /// It runs before the patch changes anything.
    is_old: bool,
}

impl Program {
    fn push(&mut self, statement: Statement, place: Place) {
        self.statements.push(statement);
        self.places.push(place);
    }

    /// The chunk for what comes next.
    fn chunk(&mut self, tried: Option<NotRun>) -> Place {
        self.chunk_of(tried, false)
    }

    /// The chunk for an expression of the old text.
    fn old_chunk(&mut self, tried: NotRun) -> Place {
        self.chunk_of(Some(tried), true)
    }

    fn chunk_of(&mut self, tried: Option<NotRun>, is_old: bool) -> Place {
        let mut same = self.chunks.iter().filter(|part| part.is_old == is_old);
        let is_full = same.by_ref().count() >= CHUNKS;
        let last = self.chunks.iter().rposition(|part| part.is_old == is_old);
        let known = last.and_then(|at| Some((at, self.chunks.get_mut(at)?)));
        match (known, tried) {
            (Some((at, Part { tried: None, .. })), None) => return Place::Chunk(at),
            // Each by itself, as long as there are not too many.
            (
                Some((
                    at,
                    Part {
                        tried: Some(list), ..
                    },
                )),
                Some(tried),
            ) if is_full => {
                list.push(tried);
                return Place::Chunk(at);
            }
            (_, tried) => self.chunks.push(Part {
                tried: tried.map(|tried| vec![tried]),
                is_old,
            }),
        }
        Place::Chunk(self.chunks.len() - 1)
    }
}

impl Delta<'_> {
    /// Compiles all of it.
    pub(crate) fn compile(&self) -> Result<Vec<DeltaChunk>, Failed> {
        let top = self.top;
        if top.actions.is_empty() && top.gone.is_empty() && top.removals.is_empty() {
            return Ok(Vec::new());
        }
        // A tree of its own: statements are cut out of it.
        let mut edit = Edit::new(self.ast.clone());
        let body = edit.take_body();
        let mut n_literals = 0;
        let mut child_of = HashMap::default();
        for statement in &body {
            for literal in statement_literals(&edit.ast, &statement.kind) {
                child_of.insert(literal, n_literals);
                n_literals += 1;
            }
        }
        let mut program = Program::default();
        program.push(edit.prologue(), Place::All);
        for (at, statement) in body.into_iter().enumerate() {
            self.statement(at, statement, &mut edit, &mut program)?;
        }
        for merge in &top.gone {
            let place = program.chunk(None);
            let statement = edit.merge(merge, &top.data);
            program.push(statement, place);
        }
        for (i, removal) in top.removals.iter().enumerate() {
            let place = program.chunk(None);
            program.push(edit.clearing(removal, i), place);
        }
        let Program {
            statements,
            places,
            chunks,
        } = program;
        let literals: Vec<Vec<FunctionIndex>> = statements
            .iter()
            .map(|s| statement_literals(&edit.ast, &s.kind))
            .collect();
        let ast = edit.finish(statements);
        let mut compiled = Vec::with_capacity(chunks.len());
        for (number, part) in chunks.into_iter().enumerate() {
            let is_kept = |place: &Place| *place == Place::All || *place == Place::Chunk(number);
            let keep: Vec<bool> = places.iter().map(is_kept).collect();
            let options = CompileOptions {
                delta: true,
                statements: Some(&keep),
                ..self.options
            };
            let code = compile_ast(self.chunk, self.source, &ast, options);
            let kept = literals.iter().zip(&keep).filter(|(_, keep)| **keep);
            let children: Vec<usize> = kept
                .flat_map(|(literals, _)| literals)
                .map(|literal| child_of.get(literal).copied().unwrap_or(usize::MAX))
                .collect();
            let code = self.with_children(code.map_err(Failed::Compile)?, &children);
            let Part { tried, is_old } = part;
            compiled.push(DeltaChunk {
                code,
                tried,
                is_old,
            });
        }
        Ok(compiled)
    }

    fn statement(
        &self,
        at: usize,
        statement: Statement,
        edit: &mut Edit,
        program: &mut Program,
    ) -> Result<(), Failed> {
        let data: &[DataChange] = &self.top.data;
        let line = statement.span.line;
        edit.at(statement.span);
        self.evaluate(at, edit, program);
        let uses = |edit: &mut Edit, kind: &StatementKind| match edit.replace_arguments(kind)
            && !self.has_arguments
        {
            true => Err(Failed::Arguments(line)),
            false => Ok(()),
        };
        match self.top.actions.get(&at) {
            // A return stands last: nothing behind it would be compiled.
            None if matches!(statement.kind, StatementKind::Return(_)) => {}
            None | Some(Action::Decide(_)) => program.push(statement, Place::Dropped),
            Some(Action::Run) => {
                uses(edit, &statement.kind)?;
                let place = program.chunk(None);
                program.push(statement, place);
            }
            Some(Action::Try) => {
                uses(edit, &statement.kind)?;
                let place = program.chunk(Some((self.tried)(at)));
                program.push(statement, place);
            }
            Some(Action::Merge(merges)) => {
                for merge in merges {
                    let place = program.chunk(None);
                    let change = edit.merge(merge, data);
                    program.push(change, place);
                }
            }
            Some(Action::Parts(parts)) => {
                for (part, index) in edit.split(statement) {
                    let wanted = parts.get(&index);
                    match wanted.is_some_and(|wanted| wanted.declare) {
                        true => {
                            uses(edit, &part.kind)?;
                            let place = program.chunk(None);
                            program.push(part, place);
                        }
                        false => program.push(part, Place::Dropped),
                    }
                    for merge in wanted.map_or(&[][..], |wanted| &wanted.merges) {
                        let place = program.chunk(None);
                        let change = edit.merge(merge, data);
                        program.push(change, place);
                    }
                }
            }
        }
        Ok(())
    }

    /// Evaluates what the changes of a statement need, where its names mean what they
    /// mean in it.
    fn evaluate(&self, at: usize, edit: &mut Edit, program: &mut Program) {
        let merges: Vec<&MergeCode> = match self.top.actions.get(&at) {
            Some(Action::Merge(merges)) => merges.iter().collect(),
            Some(Action::Parts(parts)) => parts.values().flat_map(|part| &part.merges).collect(),
            Some(Action::Decide(decide)) => return self.decide(decide, edit, program),
            Some(Action::Run | Action::Try) | None => return,
        };
        for merge in merges {
            let change = self.top.data.get(merge.change);
            let Some(evaluated) = change.and_then(|change| change.evaluated.as_ref()) else {
                continue;
            };
            if let (Some(number), Some(value), Some(old)) =
                (evaluated.old, merge.evaluation.old, self.old)
                && let Some(statement) = edit.hold_of(old, number, value)
            {
                let place = program.old_chunk(evaluated.not_run.clone());
                program.push(statement, place);
            }
            for ((_, number), (_, key)) in evaluated.keys.iter().zip(&merge.evaluation.keys) {
                let place = program.chunk(Some(evaluated.not_run.clone()));
                let statement = edit.hold(*number, *key);
                program.push(statement, place);
            }
            if let (Some(number), Some(value)) = (evaluated.new, merge.evaluation.new) {
                // What it requires is loaded for good, as by any other statement.
                let is_tried =
                    required(&edit.ast, value).is_none() || self.top.visible("require").is_some();
                let tried = is_tried.then(|| evaluated.not_run.clone());
                let place = program.chunk(tried);
                let statement = edit.hold(number, value);
                program.push(statement, place);
            }
        }
    }

    /// Finds out which arms an `if` takes.
    fn decide(&self, decide: &Decide, edit: &mut Edit, program: &mut Program) {
        let Some(decision) = self.top.decisions.get(decide.decision) else {
            return;
        };
        if let (Some(number), Some(old)) = (decision.old, self.old) {
            let copied = decide.old.iter().map(|c| edit.copy_of(old, *c));
            // What cannot be copied is not found out, and so the statement is listed.
            if let Some(conditions) = copied.collect::<Option<Vec<_>>>() {
                let place = program.old_chunk(decision.not_run.clone());
                let statement = edit.hold_arm(number, &conditions);
                program.push(statement, place);
            }
        }
        let place = program.chunk(Some(decision.not_run.clone()));
        let statement = edit.hold_arm(decision.new, &decide.new);
        program.push(statement, place);
    }

    /// Replaces the children by those of the main chunk, so that closures made
    /// here belong to the same literals.
    fn with_children(&self, compiled: Arc<Prototype>, children: &[usize]) -> Arc<Prototype> {
        let mut delta = Prototype::clone(&compiled);
        debug_assert_eq!(delta.children.len(), children.len());
        for (child, place) in delta.children.iter_mut().zip(children) {
            if let Some(own) = self.main.children.get(*place) {
                *child = own.clone();
            }
        }
        // It has no variables of its own to keep: KEEPSCOPE, which stands
        // before each return of a main chunk, finds nothing to do.
        delta.scope = Box::default();
        // The order of captured variables is that of the literal's slot.
        for site in &mut delta.sites {
            let (as_compiled, own) = (
                &compiled.children[site.child as usize],
                &delta.children[site.child as usize],
            );
            let capture = |wanted: &UpvalueDescription| {
                let same = |u: &UpvalueDescription| {
                    u.name == wanted.name
                        && u.declaration == wanted.declaration
                        && u.top_level == wanted.top_level
                };
                as_compiled
                    .upvalues
                    .iter()
                    .position(same)
                    .map_or(Capture::Vacant, |i| site.captures[i])
            };
            site.captures = own.upvalues.iter().map(capture).collect();
        }
        Arc::new(delta)
    }
}
