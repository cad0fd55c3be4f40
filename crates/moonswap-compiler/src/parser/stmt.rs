//! Statements (§3.3). One function each, so that a nested statement costs the
//! native stack only the frame of its own kind.

use crate::error::CompileError;
use crate::lexer::{Parse, TokenKind};
use crate::parser::Parser;
use crate::syntax::ast::{Attribute, Block, Expr, ExprId, Statement, StatementKind};

impl Parser<'_> {
    /// One statement; the caller has handled `;`.
    pub(super) fn statement(&mut self) -> Parse<Statement> {
        self.enter()?;
        let first = self.token.span;
        let kind = match self.token.kind {
            TokenKind::If => self.if_statement()?,
            TokenKind::While => self.while_statement()?,
            TokenKind::Do => self.do_statement()?,
            TokenKind::For => self.for_statement()?,
            TokenKind::Repeat => self.repeat_statement()?,
            TokenKind::Function => self.function_statement()?,
            TokenKind::Local => self.local_statement()?,
            TokenKind::DoubleColon => self.label()?,
            TokenKind::Return => self.return_statement()?,
            TokenKind::Break => {
                self.advance()?;
                StatementKind::Break
            }
            TokenKind::Goto => {
                self.advance()?;
                StatementKind::Goto(self.expect_name()?.0)
            }
            _ => self.expression_statement()?,
        };
        self.leave();
        Ok(Statement {
            kind,
            span: self.span_from(first),
        })
    }

    fn if_statement(&mut self) -> Parse<StatementKind> {
        let line = self.token.end_line;
        let mut arms = Vec::new();
        while arms.is_empty() || self.at(TokenKind::ElseIf) {
            self.advance()?;
            let condition = self.expression()?;
            self.expect(TokenKind::Then)?;
            arms.push((condition, self.block()));
        }
        let otherwise = if self.accept(TokenKind::Else)? {
            Some(self.block())
        } else {
            None
        };
        self.expect_closing(TokenKind::End, TokenKind::If, line)?;
        arms.shrink_to_fit();
        Ok(StatementKind::If { arms, otherwise })
    }

    fn while_statement(&mut self) -> Parse<StatementKind> {
        let line = self.token.end_line;
        self.advance()?;
        let condition = self.expression()?;
        self.expect(TokenKind::Do)?;
        let body = self.block();
        self.expect_closing(TokenKind::End, TokenKind::While, line)?;
        Ok(StatementKind::While { condition, body })
    }

    fn do_statement(&mut self) -> Parse<StatementKind> {
        let line = self.token.end_line;
        self.advance()?;
        let body = self.block();
        self.expect_closing(TokenKind::End, TokenKind::Do, line)?;
        Ok(StatementKind::Do(body))
    }

    fn repeat_statement(&mut self) -> Parse<StatementKind> {
        let line = self.token.end_line;
        self.advance()?;
        let body = self.block();
        self.expect_closing(TokenKind::Until, TokenKind::Repeat, line)?;
        let condition = self.expression()?;
        Ok(StatementKind::Repeat { body, condition })
    }

    fn for_statement(&mut self) -> Parse<StatementKind> {
        let line = self.token.end_line;
        self.advance()?;
        let (variable, variable_span) = self.expect_name()?;
        match self.token.kind {
            TokenKind::Assign => {
                self.advance()?;
                let start = self.expression()?;
                self.expect(TokenKind::Comma)?;
                let limit = self.expression()?;
                let step = if self.accept(TokenKind::Comma)? {
                    Some(self.expression()?)
                } else {
                    None
                };
                let body = self.for_body(line)?;
                Ok(StatementKind::NumericFor {
                    variable,
                    variable_span,
                    start,
                    limit,
                    step,
                    body,
                })
            }
            TokenKind::Comma | TokenKind::In => {
                let mut names = vec![(variable, variable_span)];
                while self.accept(TokenKind::Comma)? {
                    names.push(self.expect_name()?);
                }
                self.expect(TokenKind::In)?;
                let values = self.expression_list()?;
                let body = self.for_body(line)?;
                Ok(StatementKind::GenericFor {
                    names,
                    values,
                    body,
                })
            }
            _ => Err(self.error("'=' or 'in' expected")),
        }
    }

    fn for_body(&mut self, line: u32) -> Parse<Block> {
        self.expect(TokenKind::Do)?;
        let body = self.block();
        self.expect_closing(TokenKind::End, TokenKind::For, line)?;
        Ok(body)
    }

    /// `function a.b.c:m() … end`
    fn function_statement(&mut self) -> Parse<StatementKind> {
        let keyword = self.token;
        self.advance()?;
        let (name, span) = self.expect_name()?;
        let mut target = self.push(Expr::Name(name), span);
        while self.at(TokenKind::Dot) {
            target = self.function_field(target)?;
        }
        let is_method = self.at(TokenKind::Colon);
        if is_method {
            target = self.function_field(target)?;
        }
        let function = self.function_body(keyword, is_method, Some(keyword.end_line))?;
        Ok(StatementKind::Function { target, function })
    }

    fn function_field(&mut self, object: ExprId) -> Parse<ExprId> {
        let span = self.token.span;
        self.advance()?;
        let (name, _) = self.expect_name()?;
        Ok(self.push(Expr::Field { object, name }, span))
    }

    fn local_statement(&mut self) -> Parse<StatementKind> {
        self.advance()?;
        if self.at(TokenKind::Function) {
            let keyword = self.token;
            self.advance()?;
            let (name, name_span) = self.expect_name()?;
            let function = self.function_body(keyword, false, None)?;
            return Ok(StatementKind::LocalFunction {
                name,
                name_span,
                function,
            });
        }
        let mut names = Vec::new();
        let mut has_close = false;
        loop {
            let (name, span) = self.expect_name()?;
            self.count_local()?;
            let attribute = self.attribute()?;
            if attribute == Attribute::Close {
                if has_close {
                    return Err(self.lexer.error_at(
                        b"multiple to-be-closed variables in local list",
                        &self.token,
                    ));
                }
                has_close = true;
            }
            names.push((name, attribute, span));
            if !self.accept(TokenKind::Comma)? {
                break;
            }
        }
        let values = if self.accept(TokenKind::Assign)? {
            self.expression_list()?
        } else {
            Vec::new()
        };
        Ok(StatementKind::Local { names, values })
    }

    /// `attrib ::= ['<' Name '>']`
    fn attribute(&mut self) -> Parse<Attribute> {
        if !self.accept(TokenKind::Less)? {
            return Ok(Attribute::None);
        }
        let (name, _) = self.expect_name()?;
        self.expect(TokenKind::Greater)?;
        match self.lexer.symbol_bytes(name) {
            b"const" => Ok(Attribute::Const),
            b"close" => Ok(Attribute::Close),
            other => {
                let message = [b"unknown attribute '", other, b"'"].concat();
                Err(self.lexer.error_at(&message, &self.token))
            }
        }
    }

    fn label(&mut self) -> Parse<StatementKind> {
        self.advance()?;
        let (name, _) = self.expect_name()?;
        self.expect(TokenKind::DoubleColon)?;
        if self.has_failed() {
            // The label is made when the token behind it is known.
            return Err(self.expected(TokenKind::DoubleColon));
        }
        Ok(StatementKind::Label(name))
    }

    fn return_statement(&mut self) -> Parse<StatementKind> {
        self.advance()?;
        let values = match self.token.kind {
            TokenKind::Else
            | TokenKind::ElseIf
            | TokenKind::End
            | TokenKind::Eof
            | TokenKind::Until
            | TokenKind::Semicolon => Vec::new(),
            _ => self.expression_list()?,
        };
        self.accept(TokenKind::Semicolon)?;
        Ok(StatementKind::Return(values))
    }

    /// An assignment or a call.
    fn expression_statement(&mut self) -> Parse<StatementKind> {
        let first = self.suffixed_expression()?;
        if self.at(TokenKind::Assign) || self.at(TokenKind::Comma) {
            return self.assignment(first);
        }
        match self.expr(first) {
            Expr::Call { .. } | Expr::MethodCall { .. } => Ok(StatementKind::Call(first)),
            _ => {
                let error = self.error("syntax error");
                Ok(self.only_evaluated(error, first))
            }
        }
    }

    /// A statement that is wrong, with the expression that it has.
    #[cold]
    fn only_evaluated(&mut self, error: Box<CompileError>, value: ExprId) -> StatementKind {
        self.give_up(error);
        StatementKind::Local {
            names: Vec::new(),
            values: vec![value],
        }
    }

    fn assignment(&mut self, first: ExprId) -> Parse<StatementKind> {
        if let Err(error) = self.check_target(first) {
            return Ok(self.only_evaluated(error, first));
        }
        let mut targets = vec![first];
        let values = match self.assigned(&mut targets) {
            Ok(values) => values,
            // Whether the targets can be assigned to is known already.
            Err(error) => {
                self.give_up(error);
                Vec::new()
            }
        };
        Ok(StatementKind::Assign { targets, values })
    }

    /// The rest of an assignment behind its first target.
    fn assigned(&mut self, targets: &mut Vec<ExprId>) -> Parse<Vec<ExprId>> {
        // A loop here, but each target is a level to the reference, which
        // therefore refuses a list of 200.
        let mut n_levels = 0;
        while self.accept(TokenKind::Comma)? {
            let target = self.suffixed_expression()?;
            self.enter()?;
            n_levels += 1;
            self.check_target(target)?;
            targets.push(target);
        }
        self.expect(TokenKind::Assign)?;
        let values = self.expression_list()?;
        self.leave_levels(n_levels);
        Ok(values)
    }

    fn check_target(&self, target: ExprId) -> Parse<()> {
        match self.expr(target) {
            Expr::Name(_) | Expr::Index { .. } | Expr::Field { .. } => Ok(()),
            _ => Err(self.error("syntax error")),
        }
    }
}
