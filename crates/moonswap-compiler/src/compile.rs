//! The front end: source text to main prototype.

use std::sync::Arc;

use moonswap_bytecode::{ChildSummary, Prototype, Watch};

use crate::codegen::stream::Stream;
use crate::codegen::{self, CompileOptions};
use crate::error::{CompileError, STOPPED};
use crate::parser::{Next, Part, Statements, parse_or_part};
use crate::syntax::ast::Ast;
use crate::syntax::limits::ParseLimits;

/// Compiles a chunk. `chunk_name` is the name as given to `load`, with its
/// `@` or `=`; messages show its display form.
pub fn compile(chunk_name: &str, source: &[u8]) -> Result<Arc<Prototype>, CompileError> {
    compile_with(chunk_name, source, CompileOptions::default())
}

/// Compiles a chunk to replace an older version of it, or parts of it to run
/// beside a living instance.
pub fn compile_with(
    chunk_name: &str,
    source: &[u8],
    options: CompileOptions<'_>,
) -> Result<Arc<Prototype>, CompileError> {
    match parse_or_part(
        chunk_name.as_bytes(),
        source,
        ParseLimits::default(),
        options.watch,
    ) {
        Ok(ast) => codegen::generate(chunk_name, source, &ast, options).map_err(|error| *error),
        // Who stopped the parser wants to hear no more.
        Err(part) if part.error.message == STOPPED => Err(*part.error),
        Err(part) => Err(first_error(chunk_name, source, *part, options)),
    }
}

/// A chunk compiled by [`compile_in_parts`].
#[derive(Debug)]
pub enum Compiled {
    /// The main chunk, whose literals were given away, and what it has to know of
    /// them.
    InParts(Box<Prototype>, Vec<ChildSummary>),
    /// Statements depend on later ones: all of it. What was given away is part of
    /// it as well.
    Whole(Arc<Prototype>),
}

/// Compiles a chunk statement by statement. The literals written in it are given
/// away in their order, so that a caller who loads them at once does not need
/// the memory for all of them; they have no columns. What was given before an error is worth nothing.
pub fn compile_in_parts(
    chunk_name: &str,
    source: &[u8],
    watch: Option<&Watch<'_>>,
    give: &mut dyn FnMut(Arc<Prototype>),
) -> Result<Compiled, CompileError> {
    let mut n_given = 0;
    for big in [false, true] {
        // A main chunk in the other form has the same literals.
        let mut n = 0;
        let mut once = |child| {
            n += 1;
            if n > n_given {
                n_given = n;
                give(child);
            }
        };
        match stream(chunk_name, source, watch, big, &mut once) {
            Streamed::Done(main, children) => return Ok(Compiled::InParts(main, children)),
            Streamed::TooLong => {}
            Streamed::Fails => break,
        }
    }
    let options = CompileOptions {
        watch,
        ..CompileOptions::default()
    };
    compile_with(chunk_name, source, options).map(Compiled::Whole)
}

enum Streamed {
    Done(Box<Prototype>, Vec<ChildSummary>),
    /// The main chunk needs the form for long functions.
    TooLong,
    /// An error, or a text that must be compiled as a whole.
    Fails,
}

fn stream(
    chunk_name: &str,
    source: &[u8],
    watch: Option<&Watch<'_>>,
    big: bool,
    give: &mut dyn FnMut(Arc<Prototype>),
) -> Streamed {
    if u32::try_from(source.len()).is_err() {
        return Streamed::Fails;
    }
    let options = CompileOptions {
        watch,
        without_columns: true,
        ..CompileOptions::default()
    };
    let mut statements = Statements::new(chunk_name.as_bytes(), source, watch);
    let mut stream = Stream::new(chunk_name, source, options, statements.env, big);
    let mut ast = Ast::default();
    loop {
        match statements.next(&mut ast) {
            Next::Statement(block) => {
                let Ok((next, children)) = stream.statement(&ast, &block) else {
                    return Streamed::Fails;
                };
                stream = next;
                drop(block);
                ast.free();
                // What is compiled again is not loaded yet.
                if stream.must_grow() {
                    return Streamed::TooLong;
                }
                // All of them go at last: what stays of each would come to lie
                // between what is left of the others.
                for child in &children {
                    stream.note(child);
                    give(Arc::clone(child));
                }
            }
            Next::End(end) => {
                return match stream.finish(&ast, end) {
                    Ok(Some((main, children))) => Streamed::Done(Box::new(main), children),
                    Ok(None) => Streamed::TooLong,
                    Err(_) => Streamed::Fails,
                };
            }
            Next::Whole => return Streamed::Fails,
        }
    }
}

/// Whether a text that begins with `source` is wrong, whatever follows: what is
/// wrong with it stands in front of its last byte. `false` if `options.watch`
/// stopped the look.
pub fn is_hopeless(source: &[u8], options: CompileOptions<'_>) -> bool {
    let parsed = parse_or_part(b"=?", source, ParseLimits::default(), options.watch);
    let (ast, end) = match parsed {
        Ok(ast) => (ast, source.len() as u32),
        Err(part) if part.error.message == STOPPED => return false,
        Err(part) if is_settled(&part.error, source) => return true,
        Err(part) => (part.ast, part.failed_at),
    };
    match codegen::generate_until("=?", source, &ast, options, end) {
        Err(error) => {
            error.message != STOPPED && error.span.start <= end && is_settled(&error, source)
        }
        Ok(_) => false,
    }
}

/// Whether the token that an error is about cannot go on behind the source.
fn is_settled(error: &CompileError, source: &[u8]) -> bool {
    !error.incomplete && (error.span.end as usize) < source.len()
}

/// The first of a text's errors: what its grammar has nothing to say about
/// (constants, labels, limits) may be wrong in front of a syntax error.
#[cold]
fn first_error(
    chunk_name: &str,
    source: &[u8],
    part: Part,
    options: CompileOptions<'_>,
) -> CompileError {
    let noticed = codegen::generate_until(chunk_name, source, &part.ast, options, part.failed_at);
    match noticed {
        Err(error) if error.span.start <= part.failed_at => *error,
        _ => *part.error,
    }
}

/// Compiles a syntax tree, which may have been changed since it was parsed
/// from `source` (the text is needed for messages only).
pub fn compile_ast(
    chunk_name: &str,
    source: &[u8],
    ast: &Ast,
    options: CompileOptions<'_>,
) -> Result<Arc<Prototype>, CompileError> {
    codegen::generate(chunk_name, source, ast, options).map_err(|error| *error)
}
