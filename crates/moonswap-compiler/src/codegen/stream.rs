//! A main chunk whose statements are compiled one by one: the tree of a statement
//! goes when its code is made, and the literals in it are given away.

use std::sync::{Arc, LazyLock};

use moonswap_bytecode::{ChildSummary, Prototype};

use crate::codegen::{CompileOptions, Generator, Result};
use crate::error::Span;
use crate::syntax::ast::{Ast, Block, Symbol};

/// The tree between two statements.
static NO_TREE: LazyLock<Ast> = LazyLock::new(Ast::default);

/// A main chunk that is being compiled.
pub(crate) struct Stream<'s> {
    generator: Generator<'s>,
    source: &'s [u8],
    options: CompileOptions<'s>,
    /// The literals that were given away.
    given: Vec<ChildSummary>,
    /// The last statement.
    last: Option<Span>,
}

impl<'s> Stream<'s> {
    /// `big`: in the form for long functions.
    pub(crate) fn new(
        chunk: &str,
        source: &'s [u8],
        options: CompileOptions<'s>,
        env: Symbol,
        big: bool,
    ) -> Self {
        let mut generator = Generator::new(chunk, source, &NO_TREE, options, env);
        generator.begin_main(big);
        generator.f.is_vararg = true;
        generator.enter_block(false);
        Self {
            generator,
            source,
            options,
            given: Vec::new(),
            last: None,
        }
    }

    /// Makes the code of a statement; answers the literals in it as well.
    pub(crate) fn statement(self, ast: &Ast, block: &Block) -> Result<(Self, Vec<Arc<Prototype>>)> {
        let mut generator = self.generator.on_tree(ast, self.source, self.options);
        generator.statement(block, 0, false)?;
        let children = std::mem::take(&mut generator.f.children);
        generator.f.n_given += children.len() as u32;
        let stream = Self {
            generator: generator.on_tree(&NO_TREE, self.source, self.options),
            last: block.statements.first().map(|last| last.span),
            ..self
        };
        Ok((stream, children))
    }

    /// A literal is given away.
    pub(crate) fn note(&mut self, child: &Prototype) {
        self.given.push(ChildSummary::of(child));
    }

    /// Whether it must be compiled again in the form for long functions.
    pub(crate) fn must_grow(&self) -> bool {
        self.generator.f.must_grow()
    }

    /// The main chunk without the literals in it.
    pub(crate) fn finish(
        self,
        ast: &Ast,
        end: Span,
    ) -> Result<Option<(Prototype, Vec<ChildSummary>)>> {
        let mut generator = self.generator.on_tree(ast, self.source, self.options);
        generator.end_body(self.last, end)?;
        if generator.f.must_grow() {
            return Ok(None);
        }
        let prototype = generator.f.finish_with(0, &self.given);
        Ok(Some((prototype, self.given)))
    }
}
