//! Expressions (§3.4): operators by precedence, suffixes, constructors.

use crate::error::Span;
use crate::lexer::{Parse, Payload, TokenKind};
use crate::parser::Parser;
use crate::syntax::ast::{BinaryOp, Expr, ExprId, TableItem, UnaryOp};

/// Binding power of unary operators: above all binary ones but `^`.
const UNARY_POWER: u8 = 12;

/// A binary operator with its binding power to the left and to the right; the
/// right one is lower in right-associative operators (§3.4.8).
fn binary_operator(kind: TokenKind) -> Option<(BinaryOp, u8, u8)> {
    Some(match kind {
        TokenKind::Or => (BinaryOp::Or, 1, 1),
        TokenKind::And => (BinaryOp::And, 2, 2),
        TokenKind::Less => (BinaryOp::Lt, 3, 3),
        TokenKind::LessEqual => (BinaryOp::Le, 3, 3),
        TokenKind::Greater => (BinaryOp::Gt, 3, 3),
        TokenKind::GreaterEqual => (BinaryOp::Ge, 3, 3),
        TokenKind::Equal => (BinaryOp::Eq, 3, 3),
        TokenKind::NotEqual => (BinaryOp::NotEq, 3, 3),
        TokenKind::Pipe => (BinaryOp::BitOr, 4, 4),
        TokenKind::Tilde => (BinaryOp::BitXor, 5, 5),
        TokenKind::Ampersand => (BinaryOp::BitAnd, 6, 6),
        TokenKind::ShiftLeft => (BinaryOp::ShiftLeft, 7, 7),
        TokenKind::ShiftRight => (BinaryOp::ShiftRight, 7, 7),
        TokenKind::Concat => (BinaryOp::Concat, 9, 8),
        TokenKind::Plus => (BinaryOp::Add, 10, 10),
        TokenKind::Minus => (BinaryOp::Sub, 10, 10),
        TokenKind::Star => (BinaryOp::Mul, 11, 11),
        TokenKind::Slash => (BinaryOp::Div, 11, 11),
        TokenKind::DoubleSlash => (BinaryOp::IntDiv, 11, 11),
        TokenKind::Percent => (BinaryOp::Mod, 11, 11),
        TokenKind::Caret => (BinaryOp::Pow, 14, 13),
        _ => return None,
    })
}

fn unary_operator(kind: TokenKind) -> Option<UnaryOp> {
    match kind {
        TokenKind::Not => Some(UnaryOp::Not),
        TokenKind::Minus => Some(UnaryOp::Negate),
        TokenKind::Tilde => Some(UnaryOp::BitNot),
        TokenKind::Hash => Some(UnaryOp::Length),
        _ => None,
    }
}

impl Parser<'_> {
    /// `exp`
    pub(super) fn expression(&mut self) -> Parse<ExprId> {
        self.operation(0)
    }

    /// `explist ::= exp {',' exp}`
    pub(super) fn expression_list(&mut self) -> Parse<Vec<ExprId>> {
        let mut item = self.expression()?;
        let mut list = vec![item];
        let mut line = self.previous_line();
        while self.accept(TokenKind::Comma)? {
            self.note_separator(item, line);
            item = self.expression()?;
            list.push(item);
            line = self.previous_line();
        }
        Ok(list)
    }

    /// An expression whose binary operators all bind to the left with more
    /// than `power`.
    fn operation(&mut self, power: u8) -> Parse<ExprId> {
        self.enter()?;
        let mut lhs = match unary_operator(self.token.kind) {
            Some(op) => {
                let span = self.token.span;
                self.advance()?;
                let operand = self.operation(UNARY_POWER)?;
                self.push(Expr::Unary { op, operand }, span)
            }
            None => self.simple_expression()?,
        };
        while let Some((op, left, right)) = binary_operator(self.token.kind)
            && left > power
        {
            let span = self.token.span;
            self.advance()?;
            let rhs = self.operation(right)?;
            lhs = self.push(Expr::Binary { op, lhs, rhs }, span);
        }
        self.leave();
        Ok(lhs)
    }

    /// An operand: a literal, a constructor, a function or a suffixed
    /// expression.
    fn simple_expression(&mut self) -> Parse<ExprId> {
        let expr = match (self.token.kind, self.token.payload) {
            (TokenKind::Nil, _) => Expr::Nil,
            (TokenKind::True, _) => Expr::True,
            (TokenKind::False, _) => Expr::False,
            (TokenKind::Number, Payload::Integer(value)) => Expr::Integer(value),
            (TokenKind::Number, Payload::Float(value)) => Expr::Float(value),
            (TokenKind::String, Payload::Symbol(value)) => Expr::String(value),
            (TokenKind::Dots, _) if self.in_vararg => Expr::Vararg,
            (TokenKind::Dots, _) => {
                let error = self.error("cannot use '...' outside a vararg function");
                return Ok(self.broken(error));
            }
            (TokenKind::LeftBrace, _) => return self.table_constructor(),
            (TokenKind::Function, _) => return self.function_expression(),
            _ => return self.suffixed_expression(),
        };
        let span = self.token.span;
        self.advance()?;
        Ok(self.push(expr, span))
    }

    fn function_expression(&mut self) -> Parse<ExprId> {
        let keyword = self.token;
        self.advance()?;
        let function = self.function_body(keyword, false, None)?;
        Ok(self.push(Expr::Function(function), keyword.span))
    }

    /// `Name | '(' exp ')'`
    fn primary_expression(&mut self) -> Parse<ExprId> {
        match self.token.kind {
            TokenKind::Name => {
                let (name, span) = self.expect_name()?;
                Ok(self.push(Expr::Name(name), span))
            }
            TokenKind::LeftParen => {
                let opening = self.token;
                self.advance()?;
                let inner = self.expression()?;
                self.expect_closing(
                    TokenKind::RightParen,
                    TokenKind::LeftParen,
                    opening.end_line,
                )?;
                let span = self.span_from(opening.span);
                Ok(self.push(Expr::Paren(inner), span))
            }
            _ => {
                let error = self.error("unexpected symbol");
                Ok(self.broken(error))
            }
        }
    }

    /// A primary expression with any number of indexes and calls behind it.
    pub(super) fn suffixed_expression(&mut self) -> Parse<ExprId> {
        let mut object = self.primary_expression()?;
        loop {
            let span = self.token.span;
            object = match self.token.kind {
                TokenKind::Dot => {
                    self.advance()?;
                    let name = match self.expect_name() {
                        Ok((name, _)) => name,
                        Err(error) => {
                            self.give_up(error);
                            return Ok(object);
                        }
                    };
                    let id = self.push(Expr::Field { object, name }, span);
                    self.note_end(id, span);
                    id
                }
                TokenKind::LeftBracket => {
                    let key = self.bracketed()?;
                    let id = self.push(Expr::Index { object, key }, span);
                    self.note_end(id, span);
                    id
                }
                TokenKind::Colon => {
                    self.advance()?;
                    let (name, line) = match self.expect_name() {
                        Ok((name, span)) => (name, span.line),
                        Err(error) => {
                            self.give_up(error);
                            return Ok(object);
                        }
                    };
                    let (args, span) = self.arguments()?;
                    let id = self.push(Expr::MethodCall { object, name, args }, span);
                    self.note_end(id, span);
                    self.note_method(id, line, span);
                    id
                }
                TokenKind::LeftParen | TokenKind::String | TokenKind::LeftBrace => {
                    let (args, span) = self.arguments()?;
                    let callee = object;
                    let id = self.push(Expr::Call { callee, args }, span);
                    self.note_end(id, span);
                    id
                }
                _ => return Ok(object),
            };
        }
    }

    /// `'[' exp ']'`
    fn bracketed(&mut self) -> Parse<ExprId> {
        self.advance()?;
        let key = self.expression()?;
        self.expect(TokenKind::RightBracket)?;
        Ok(key)
    }

    /// `args ::= '(' [explist] ')' | tableconstructor | LiteralString`, with
    /// the span of the first token.
    fn arguments(&mut self) -> Parse<(Vec<ExprId>, Span)> {
        let first = self.token;
        let args = match (first.kind, first.payload) {
            (TokenKind::LeftParen, _) => {
                self.advance()?;
                let args = if self.at(TokenKind::RightParen) {
                    Vec::new()
                } else {
                    self.expression_list()?
                };
                let line = self.previous_line();
                self.expect_closing(TokenKind::RightParen, TokenKind::LeftParen, first.end_line)?;
                if let Some(&last) = args.last() {
                    self.note_separator(last, line);
                }
                args
            }
            (TokenKind::LeftBrace, _) => vec![self.table_constructor()?],
            (TokenKind::String, Payload::Symbol(value)) => {
                self.advance()?;
                vec![self.push(Expr::String(value), first.span)]
            }
            _ => {
                let error = self.error("function arguments expected");
                self.give_up(error);
                Vec::new()
            }
        };
        Ok((args, first.span))
    }

    /// `'{' [field {(',' | ';') field} [',' | ';']] '}'`
    fn table_constructor(&mut self) -> Parse<ExprId> {
        let opening = self.token;
        let mut items = Vec::new();
        self.advance()?;
        let mut line = 0;
        while !self.at(TokenKind::RightBrace) {
            items.push(self.table_item()?);
            line = self.previous_line();
            if !self.accept(TokenKind::Comma)? && !self.accept(TokenKind::Semicolon)? {
                break;
            }
            if let Some(&TableItem::Positional(item)) = items.last() {
                self.note_separator(item, line);
            }
        }
        self.expect_closing(
            TokenKind::RightBrace,
            TokenKind::LeftBrace,
            opening.end_line,
        )?;
        // Also behind a last separator the item is fetched at the brace.
        if let Some(&TableItem::Positional(item)) = items.last() {
            self.note_separator(item, line);
        }
        let span = self.span_from(opening.span);
        Ok(self.push(Expr::Table(items), span))
    }

    fn table_item(&mut self) -> Parse<TableItem> {
        if self.at(TokenKind::LeftBracket) {
            let key = self.bracketed()?;
            self.expect(TokenKind::Assign)?;
            return Ok(TableItem::Keyed(key, self.expression()?));
        }
        // Only the token behind a name tells `{x = 1}` from `{x}`.
        if self.at(TokenKind::Name) && self.peek()? == TokenKind::Assign {
            let (name, _) = self.expect_name()?;
            self.advance()?;
            return Ok(TableItem::Named(name, self.expression()?));
        }
        Ok(TableItem::Positional(self.expression()?))
    }
}
