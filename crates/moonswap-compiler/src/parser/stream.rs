//! A main chunk parsed statement by statement, each with a tree of its own.

use crate::error::Span;
use crate::lexer::{Lexer, TokenKind};
use crate::parser::Parser;
use crate::syntax::ast::{Ast, Block, StatementKind, Symbol};
use crate::syntax::limits::ParseLimits;
use moonswap_bytecode::Watch;

/// What comes next in a main chunk.
pub(crate) enum Next {
    /// A statement, alone in a block.
    Statement(Block),
    /// The end of the text.
    End(Span),
    /// An error, or a statement that needs those behind it: the text has to be
    /// parsed as a whole.
    Whole,
}

/// The statements of a main chunk.
pub(crate) struct Statements<'s> {
    parser: Parser<'s>,
    /// `return` was there.
    is_over: bool,
    /// The symbol `_ENV`.
    pub(crate) env: Symbol,
}

impl<'s> Statements<'s> {
    pub(crate) fn new(name: &[u8], source: &'s [u8], watch: Option<&'s Watch<'s>>) -> Self {
        let mut lexer = Lexer::new(name, source, watch);
        // All statements must have the same.
        let env = lexer.intern(b"_ENV");
        Self {
            parser: Parser::new(lexer, ParseLimits::default()),
            is_over: false,
            env,
        }
    }

    /// The next one; what is in it stands in `ast`, in which the one before stood.
    pub(crate) fn next(&mut self, ast: &mut Ast) -> Next {
        let parser = &mut self.parser;
        parser.lexer.take_symbols_back(&mut ast.symbols);
        std::mem::swap(&mut parser.ast, ast);
        parser.ast.clear();
        let next = self.parse();
        std::mem::swap(&mut self.parser.ast, ast);
        ast.symbols = self.parser.lexer.lend_symbols();
        next
    }

    fn parse(&mut self) -> Next {
        let parser = &mut self.parser;
        while parser.at(TokenKind::Semicolon) && !self.is_over {
            if parser.advance().is_err() {
                return Next::Whole;
            }
        }
        if parser.has_failed() {
            return Next::Whole;
        }
        match parser.token.kind {
            TokenKind::Eof => return Next::End(parser.token.span),
            TokenKind::Else | TokenKind::ElseIf | TokenKind::End | TokenKind::Until => {
                return Next::Whole;
            }
            _ if self.is_over => return Next::Whole,
            // What it means depends on what follows.
            TokenKind::DoubleColon => return Next::Whole,
            _ => {}
        }
        self.is_over = parser.at(TokenKind::Return);
        let start = parser.previous;
        match parser.statement() {
            Ok(statement) if !parser.has_failed() => {
                debug_assert!(!matches!(statement.kind, StatementKind::Label(_)));
                Next::Statement(Block {
                    statements: vec![statement],
                    start,
                    end: parser.token.span,
                })
            }
            Ok(_) | Err(_) => Next::Whole,
        }
    }
}
