//! Code generation: the tree becomes prototypes.
//!
//! One walk over the tree resolves names and emits register code. Expression
//! results are delayed (`operand.rs`), so that each is computed where it is
//! wanted. Left spines of the tree are walked iteratively; everything else
//! recurses at most as deep as the parser allows nesting.
//!
//! | file | idea |
//! | --- | --- |
//! | `function` | the function being compiled: code, registers, finish |
//! | `operand`, `discharge` | delayed expressions and how they get finished |
//! | `jump` | jump lists |
//! | `operator`, `fold` | operators and their operand forms |
//! | `variable` | names |
//! | `backfill` | captured variables that older closures lack |
//! | `expr`, `call`, `table` | expressions |
//! | `stmt`, `assign`, `loops`, `block` | statements |
//! | `closure` | literals |
mod assign;
pub(crate) mod backfill;
mod block;
mod call;
mod closure;
mod constant;
mod discharge;
mod expr;
mod fold;
mod function;
pub(crate) mod initialiser;
pub(crate) mod jump;
pub(crate) mod jump_list;
pub(crate) mod label;
mod loops;
mod near;
mod operand;
mod operator;
mod stmt;
pub(crate) mod stream;
mod table;
mod variable;

use std::sync::Arc;

use foldhash::HashSet;
use moonswap_bytecode::{FunctionId, Prototype};

use crate::chunk_name::chunk_display;
use crate::codegen::function::{FunctionState, Limit};
use crate::codegen::initialiser::Initialisers;
use crate::error::{CompileError, Span};
use crate::resolve::identity::symbol_text;
use crate::resolve::upvalue::{CaptureLayout, CellMap, MAX_UPVALUES};
use crate::syntax::ast::{Ast, FunctionIndex, Symbol};
use moonswap_bytecode::Watch;

/// Results of code generation; the error is boxed to keep them small.
pub(crate) type Result<T> = std::result::Result<T, Box<CompileError>>;

/// What code generation is asked for beyond the text itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompileOptions<'a> {
    /// Capture lists of the version that this code replaces.
    pub layout: Option<&'a CaptureLayout>,
    /// Cells of the top-level locals, for captures the older version lacks.
    pub cells: Option<&'a CellMap>,
    /// Top-level locals are accessed as cells by the main chunk itself: the
    /// chunk runs beside the instance whose scope record has the cells.
    pub delta: bool,
    /// Which statements of the main chunk to keep, by position; all if `None`.
    /// The others are compiled for their declarations and identities, and
    /// their code is dropped.
    pub statements: Option<&'a [bool]>,
    /// Values of captured variables that closures of the older version lack.
    pub initialisers: Option<&'a Initialisers>,
    /// May stop it.
    pub watch: Option<&'a Watch<'a>>,
    /// Nobody wants the columns of instructions.
    pub without_columns: bool,
}

/// Generates the code of a chunk.
pub(crate) struct Generator<'a> {
    pub(crate) ast: &'a Ast,
    pub(crate) source: &'a [u8],
    pub(crate) options: CompileOptions<'a>,
    chunk: Arc<str>,
    /// The function being compiled.
    pub(crate) f: FunctionState<'a>,
    /// The functions around it, outermost first.
    pub(crate) outer: Vec<FunctionState<'a>>,
    /// The symbol `_ENV`.
    pub(crate) env: Symbol,
    /// Functions known to need their big form.
    pub(crate) big: HashSet<FunctionIndex>,
    /// The code of this statement is dropped.
    pub(crate) dropping: bool,
    /// A statement that is kept uses a variable that has no value.
    pub(crate) uses_absent: Option<(Span, Symbol)>,
    names: Vec<Option<Arc<str>>>,
    pub(crate) for_state: Arc<str>,
    /// Where a syntax error is, if there is one.
    pub(crate) failed_at: u32,
}

/// Generates the code of a parsed chunk.
pub(crate) fn generate(
    chunk: &str,
    source: &[u8],
    ast: &Ast,
    options: CompileOptions<'_>,
) -> Result<Arc<Prototype>> {
    generate_until(chunk, source, ast, options, u32::MAX)
}

/// The same of a text that has a syntax error at byte `failed_at`: what is
/// noticed at the end of a function counts only where that end is in front.
pub(crate) fn generate_until(
    chunk: &str,
    source: &[u8],
    ast: &Ast,
    options: CompileOptions<'_>,
    failed_at: u32,
) -> Result<Arc<Prototype>> {
    let env = ast
        .symbols
        .iter()
        .position(|s| **s == *b"_ENV")
        .map_or(u32::MAX, |i| i as u32);
    let mut generator = Generator::new(chunk, source, ast, options, Symbol(env));
    generator.failed_at = failed_at;
    generator.main_chunk()
}

impl<'a> Generator<'a> {
    pub(crate) fn new(
        chunk: &str,
        source: &'a [u8],
        ast: &'a Ast,
        options: CompileOptions<'a>,
        env: Symbol,
    ) -> Self {
        let chunk: Arc<str> = Arc::from(chunk);
        let id = FunctionId::new(Arc::clone(&chunk), []);
        Self {
            ast,
            source,
            options,
            chunk,
            f: FunctionState::new(ast, id, false),
            outer: Vec::new(),
            env,
            big: HashSet::default(),
            dropping: false,
            uses_absent: None,
            names: vec![None; ast.symbols.len()],
            for_state: Arc::from("(for state)"),
            failed_at: u32::MAX,
        }
    }

    /// An empty function.
    pub(crate) fn new_function(&self, id: FunctionId, big: bool) -> FunctionState<'a> {
        let function = FunctionState::new(self.ast, id, big);
        match self.options.without_columns {
            true => function.without_columns(),
            false => function,
        }
    }

    /// The same with another tree, between two statements of a main chunk.
    pub(crate) fn on_tree<'b>(
        mut self,
        ast: &'b Ast,
        source: &'b [u8],
        options: CompileOptions<'b>,
    ) -> Generator<'b> {
        // Literals are known by their place in a tree.
        self.big.clear();
        let n_names = self.names.len().max(ast.symbols.len());
        self.names.resize(n_names, None);
        Generator {
            ast,
            source,
            options,
            chunk: self.chunk,
            f: self.f.on_tree(ast),
            outer: Vec::new(),
            env: self.env,
            big: self.big,
            dropping: self.dropping,
            uses_absent: self.uses_absent,
            names: self.names,
            for_state: self.for_state,
            failed_at: self.failed_at,
        }
    }

    /// The text of a name, shared.
    pub(crate) fn name_text(&mut self, name: Symbol) -> Arc<str> {
        let ast = self.ast;
        match self.names.get_mut(name.0 as usize) {
            Some(slot) => Arc::clone(slot.get_or_insert_with(|| Arc::from(symbol_text(ast, name)))),
            // The environment has a name even if the text never spells it.
            None => Arc::from("_ENV"),
        }
    }

    /// An error at a place of the text.
    pub(crate) fn error(&self, span: Span, message: String) -> Box<CompileError> {
        let display = chunk_display(self.chunk.as_bytes());
        let mut raw = display.clone();
        raw.extend_from_slice(format!(":{}: {message}", span.line).as_bytes());
        let chunk = String::from_utf8_lossy(&display).into_owned();
        Box::new(CompileError {
            chunk,
            message,
            raw,
            span,
            incomplete: false,
        })
    }

    /// `too many … near …`, noticed after the token at `span`.
    pub(crate) fn limit_error(&self, what: &str, limit: usize, span: Span) -> Box<CompileError> {
        let (near, place) = near::following(self.source, span.end, span.line);
        let whose = match self.f.line_defined {
            0 => "main function".to_owned(),
            line => format!("function at line {line}"),
        };
        self.error(
            place,
            format!("too many {what} (limit is {limit}) in {whose} near {near}"),
        )
    }

    /// Counts a node for whoever watches.
    pub(crate) fn tick(&self) -> Result<()> {
        if self.options.watch.is_some_and(Watch::says_stop) {
            return Err(self.error(Span::default(), crate::error::STOPPED.to_owned()));
        }
        Ok(())
    }

    /// Reports a limit that was exceeded since the last check.
    pub(crate) fn check_limits(&self) -> Result<()> {
        match self.f.limit {
            None => Ok(()),
            Some(Limit::Upvalues(span)) => Err(self.limit_error("upvalues", MAX_UPVALUES, span)),
            Some(Limit::Registers(reached)) => {
                let (near, place) = near::token_at(self.source, reached);
                Err(self.error(
                    place,
                    format!("function or expression needs too many registers near {near}"),
                ))
            }
        }
    }
}
