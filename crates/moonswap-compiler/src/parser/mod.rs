//! The parser's state and tools, blocks and function bodies; `stmt` and `expr`
//! have the grammar's other two halves.
//!
//! Recursive descent. Every construct that makes it recurse enters a level, and
//! levels are limited, so no text can exhaust the native stack; operators of
//! the same precedence, suffixes (calls, indexing) and list items are loops.
//! What needs scopes (labels, constants, limits on locals) is not checked here.
mod expr;
mod stmt;
mod stream;

pub(crate) use stream::{Next, Statements};

use crate::error::{CompileError, Span};
use crate::lexer::{Lexer, Parse, Payload, Token, TokenKind};
use crate::resolve::scope::MAX_LOCALS;
use crate::syntax::ast::{
    Ast, Block, Expr, ExprId, Function, FunctionIndex, Statement, StatementKind, Symbol,
};
use crate::syntax::limits::ParseLimits;
use moonswap_bytecode::Watch;

/// Parses a chunk.
///
/// `chunk_name` is the name as `load` takes it (`@file`, `=name` or the text
/// itself); messages show it as [`crate::chunk_display`] says. The first line
/// is Lua: loaders of files strip `#` lines with [`crate::skip_shebang`].
pub fn parse(
    chunk_name: impl AsRef<[u8]>,
    source: &[u8],
    limits: ParseLimits,
) -> Result<Ast, CompileError> {
    parse_or_part(chunk_name.as_ref(), source, limits, None).map_err(|part| *part.error)
}

/// What there is of a text that has a syntax error.
pub(crate) struct Part {
    /// The error.
    pub(crate) error: Box<CompileError>,
    /// The statements in front of it; blocks that it leaves open end there.
    pub(crate) ast: Ast,
    /// Byte offset of the token at which it was noticed.
    pub(crate) failed_at: u32,
}

/// As [`parse`], and `watch` may stop it; a text that fails is given as far as
/// it goes.
pub(crate) fn parse_or_part(
    name: &[u8],
    source: &[u8],
    limits: ParseLimits,
    watch: Option<&Watch<'_>>,
) -> Result<Ast, Box<Part>> {
    let lexer = Lexer::new(name, source, watch);
    if u32::try_from(source.len()).is_err() {
        return Err(Box::new(Part {
            error: lexer.error_at(b"chunk is too large", &Token::START),
            ast: Ast::default(),
            failed_at: 0,
        }));
    }
    let mut parser = Parser::new(lexer, limits);
    let body = parser.block();
    if parser.token.kind != TokenKind::Eof {
        let error = parser.expected(TokenKind::Eof);
        parser.give_up(error);
    }
    let mut ast = parser.ast;
    ast.functions.push(Function {
        params: Vec::new(),
        is_vararg: true,
        is_method: false,
        body,
        span: Span::default(),
        end: parser.token.span,
        stable_id: None,
        level: 0,
        depth: parser.deepest,
    });
    ast.symbols = parser.lexer.into_symbols();
    match parser.failed {
        None => Ok(ast),
        Some(error) => Err(Box::new(Part {
            error,
            ast,
            failed_at: parser.token.span.start,
        })),
    }
}

pub(super) struct Parser<'s> {
    pub(super) lexer: Lexer<'s>,
    /// The token the parser stands at.
    pub(super) token: Token,
    /// The token behind it, if it was looked at.
    ahead: Option<Token>,
    /// Offset behind the token in front of the current one.
    previous_end: u32,
    /// The token in front of the current one.
    previous: Span,
    level: u32,
    /// The deepest level in the function that is read.
    deepest: u32,
    max_levels: u32,
    /// The function being parsed has `...`.
    pub(super) in_vararg: bool,
    /// Variables of `local` statements that are alive in this function.
    locals: usize,
    /// Line of the function being parsed; 0 for the main chunk.
    function_line: u32,
    /// The first error; from then on the text seems to be at its end and all
    /// that is open seems to be closed.
    failed: Option<Box<CompileError>>,
    ast: Ast,
}

impl<'s> Parser<'s> {
    /// At the first token.
    fn new(lexer: Lexer<'s>, limits: ParseLimits) -> Self {
        let mut parser = Parser {
            lexer,
            token: Token::START,
            ahead: None,
            previous_end: 0,
            previous: Span::default(),
            level: 0,
            deepest: 0,
            max_levels: limits.levels.min(ParseLimits::MAX_LEVELS),
            in_vararg: true,
            locals: 0,
            function_line: 0,
            failed: None,
            ast: Ast::default(),
        };
        if let Err(error) = parser.advance() {
            parser.give_up(error);
        }
        parser
    }
}

impl Parser<'_> {
    /// Keeps the first error and parses no further, so that what was parsed
    /// can be looked through for errors in front of it.
    #[cold]
    pub(super) fn give_up(&mut self, error: Box<CompileError>) {
        if self.failed.is_none() {
            self.failed = Some(error);
        }
        self.token.kind = TokenKind::Eof;
        self.token.payload = Payload::None;
        self.ahead = None;
    }

    /// Whether there was an error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Goes to the next token.
    pub(super) fn advance(&mut self) -> Parse<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        self.previous_end = self.token.span.end;
        self.previous = self.token.span;
        match self
            .ahead
            .take()
            .map_or_else(|| self.lexer.next_token(), Ok)
        {
            Ok(token) => self.token = token,
            Err(error) => self.give_up(error),
        }
        Ok(())
    }

    /// The kind of the token behind the current one.
    pub(super) fn peek(&mut self) -> Parse<TokenKind> {
        let token = match self.ahead {
            Some(token) => token,
            None => match self.lexer.next_token() {
                Ok(token) => token,
                Err(error) => {
                    self.give_up(error);
                    return Ok(TokenKind::Eof);
                }
            },
        };
        self.ahead = Some(token);
        Ok(token.kind)
    }

    pub(super) fn at(&self, kind: TokenKind) -> bool {
        self.token.kind == kind
    }

    /// Goes over a token if it is of this kind.
    pub(super) fn accept(&mut self, kind: TokenKind) -> Parse<bool> {
        if !self.at(kind) {
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    /// Goes over a token that must be of this kind.
    pub(super) fn expect(&mut self, kind: TokenKind) -> Parse<()> {
        if !self.at(kind) && !self.has_failed() {
            let error = self.expected(kind);
            self.give_up(error);
        }
        self.advance()
    }

    /// Goes over the token that closes what `opening` opened on `line`, and
    /// gives its span.
    pub(super) fn expect_closing(
        &mut self,
        kind: TokenKind,
        opening: TokenKind,
        line: u32,
    ) -> Parse<Span> {
        if !self.at(kind) && !self.has_failed() {
            let error = self.not_closed(kind, opening, line);
            self.give_up(error);
        }
        let span = self.token.span;
        self.advance()?;
        Ok(span)
    }

    #[cold]
    fn not_closed(&self, kind: TokenKind, opening: TokenKind, line: u32) -> Box<CompileError> {
        if self.token.end_line == line {
            return self.expected(kind);
        }
        let (kind, opening) = (kind.text(), opening.text());
        self.error(&format!(
            "{kind} expected (to close {opening} at line {line})"
        ))
    }

    /// Goes over a name.
    pub(super) fn expect_name(&mut self) -> Parse<(Symbol, Span)> {
        match (self.token.kind, self.token.payload) {
            (TokenKind::Name, Payload::Symbol(name)) => {
                let span = self.token.span;
                self.advance()?;
                Ok((name, span))
            }
            _ => Err(self.expected(TokenKind::Name)),
        }
    }

    #[cold]
    pub(super) fn expected(&self, kind: TokenKind) -> Box<CompileError> {
        self.error(&format!("{} expected", kind.text()))
    }

    /// An error at the current token.
    #[cold]
    pub(super) fn error(&self, message: &str) -> Box<CompileError> {
        self.lexer.error_near(message.as_bytes(), &self.token)
    }

    /// Enters a level of nesting; [`Parser::leave`] leaves it. A parser that
    /// failed goes no further, so errors need not leave.
    pub(super) fn enter(&mut self) -> Parse<()> {
        self.level += 1;
        self.deepest = self.deepest.max(self.level);
        if self.level >= self.max_levels {
            let mut error = self.lexer.error_at(b"C stack overflow", &self.token);
            // The reference notices this in `load`, which has no position.
            error.raw = b"C stack overflow".to_vec();
            return Err(error);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.leave_levels(1);
    }

    pub(super) fn leave_levels(&mut self, n_levels: u32) {
        self.level -= n_levels;
    }

    /// The span from a first token to the last one that was gone over.
    pub(super) fn span_from(&self, first: Span) -> Span {
        Span {
            end: self.previous_end.max(first.end),
            ..first
        }
    }

    pub(super) fn push(&mut self, expr: Expr, span: Span) -> ExprId {
        let id = ExprId(self.ast.exprs.len() as u32);
        self.ast.exprs.push(expr);
        self.ast.spans.push(span);
        let end = match self.failed {
            None => self.previous_end,
            Some(_) => u32::MAX,
        };
        self.ast.ends.push(end);
        id
    }

    /// What stands for an expression in which there is an error: what was parsed
    /// around it is kept, so that it can be looked through.
    #[cold]
    pub(super) fn broken(&mut self, error: Box<CompileError>) -> ExprId {
        self.give_up(error);
        self.push(Expr::Nil, self.token.span)
    }

    /// Line of the token in front of the current one.
    pub(super) fn previous_line(&self) -> u32 {
        self.previous.line
    }

    /// The token just gone over ends a call or an indexing.
    pub(super) fn note_end(&mut self, id: ExprId, span: Span) {
        if self.previous.line != span.line {
            self.ast.end_lines.insert(id, self.previous.line);
        }
    }

    /// The token just gone over stands behind a list's item, which ended on
    /// `line`.
    pub(super) fn note_separator(&mut self, item: ExprId, line: u32) {
        if self.previous.line != line {
            self.ast.separator_lines.insert(item, self.previous.line);
        }
    }

    /// The name of a method stands on `line`, its arguments begin at `span`.
    pub(super) fn note_method(&mut self, id: ExprId, line: u32, span: Span) {
        if line != span.line {
            self.ast.method_lines.insert(id, line);
        }
    }

    pub(super) fn expr(&self, id: ExprId) -> &Expr {
        &self.ast.exprs[id.0 as usize]
    }

    /// `block ::= {stat} [retstat]`, up to a token that ends a block.
    pub(super) fn block(&mut self) -> Block {
        let start = self.previous;
        let outer_locals = self.locals;
        let mut statements = Vec::new();
        loop {
            match self.token.kind {
                TokenKind::Else
                | TokenKind::ElseIf
                | TokenKind::End
                | TokenKind::Eof
                | TokenKind::Until => break,
                TokenKind::Semicolon => {
                    if let Err(error) = self.advance() {
                        self.give_up(error);
                    }
                    continue;
                }
                _ => {}
            }
            let is_last = self.at(TokenKind::Return);
            let (is_label, span) = (self.at(TokenKind::DoubleColon), self.token.span);
            match self.statement() {
                Ok(statement) => statements.push(statement),
                Err(error) => {
                    self.give_up(error);
                    // A label in front of it is not the last of its block.
                    if !is_label {
                        statements.push(Statement {
                            kind: StatementKind::Do(Block {
                                statements: Vec::new(),
                                start: span,
                                end: span,
                            }),
                            span,
                        });
                    }
                }
            }
            if is_last {
                break;
            }
        }
        self.locals = outer_locals;
        // Most blocks are shorter than what a list begins with.
        statements.shrink_to_fit();
        Block {
            statements,
            start,
            end: self.token.span,
        }
    }

    /// Counts a variable of a `local` statement. All limits are checked when
    /// code is made; this one is told at once, as the text behind it may be no
    /// valid program any more.
    pub(super) fn count_local(&mut self) -> Parse<()> {
        self.locals += 1;
        if self.locals <= MAX_LOCALS {
            return Ok(());
        }
        let whose = match self.function_line {
            0 => "main function".to_owned(),
            line => format!("function at line {line}"),
        };
        let message = format!("too many local variables (limit is {MAX_LOCALS}) in {whose}");
        Err(self.error(&message))
    }

    /// `funcbody ::= '(' [parlist] ')' block end`. `keyword` is the token
    /// `function`; `line` is where messages say that the function begins, the
    /// line of the parenthesis if `None`.
    pub(super) fn function_body(
        &mut self,
        keyword: Token,
        is_method: bool,
        line: Option<u32>,
    ) -> Parse<FunctionIndex> {
        let line = line.unwrap_or(self.token.end_line);
        let mut params = Vec::new();
        if is_method {
            params.push((self.lexer.intern(b"self"), keyword.span));
        }
        self.expect(TokenKind::LeftParen)?;
        let is_vararg = self.parameters(&mut params)?;
        self.expect(TokenKind::RightParen)?;
        let outer_vararg = std::mem::replace(&mut self.in_vararg, is_vararg);
        let outer_locals = std::mem::replace(&mut self.locals, 0);
        let outer_line = std::mem::replace(&mut self.function_line, line);
        let outer_deepest = std::mem::replace(&mut self.deepest, self.level);
        let body = self.block();
        let deepest = std::mem::replace(&mut self.deepest, outer_deepest);
        self.deepest = self.deepest.max(deepest);
        self.function_line = outer_line;
        self.locals = outer_locals;
        self.in_vararg = outer_vararg;
        let end = self.expect_closing(TokenKind::End, TokenKind::Function, line)?;
        let stable_id = match keyword.payload {
            Payload::Symbol(id) => Some(id),
            _ => None,
        };
        let index = FunctionIndex(self.ast.functions.len() as u32);
        self.ast.functions.push(Function {
            params,
            is_vararg,
            is_method,
            body,
            span: keyword.span,
            end,
            stable_id,
            level: self.level,
            depth: deepest - self.level,
        });
        Ok(index)
    }

    /// `parlist`, up to the closing parenthesis; true if it ends in `...`.
    fn parameters(&mut self, params: &mut Vec<(Symbol, Span)>) -> Parse<bool> {
        if self.at(TokenKind::RightParen) {
            return Ok(false);
        }
        loop {
            match self.token.kind {
                TokenKind::Name => params.push(self.expect_name()?),
                TokenKind::Dots => {
                    self.advance()?;
                    return Ok(true);
                }
                _ => return Err(self.error("<name> or '...' expected")),
            }
            if !self.accept(TokenKind::Comma)? {
                return Ok(false);
            }
        }
    }
}
