//! From bytes to tokens with spans, one at a time.
//!
//! The generated automaton (`token`) finds tokens; this file counts lines,
//! skips comments, interns names and strings, and words errors the way the
//! reference does, `near` included. No token is stored: the parser holds the
//! current one and at most one more.

mod number;
pub(crate) mod payload;
mod string;
mod token;

use foldhash::HashMap;
pub(crate) use payload::Payload;
use std::sync::Arc;

use logos::Logos;

use crate::chunk_name::chunk_display;
use crate::error::{CompileError, Span};
use crate::syntax::ast::Symbol;
use moonswap_bytecode::Watch;
pub(crate) use token::TokenKind;

/// A result whose error is boxed, so that the parser's many frames stay small.
pub(crate) type Parse<T> = Result<T, Box<CompileError>>;

/// A token of the source text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
    /// Line of the last byte, which is what messages about the token name: a
    /// long string may cross lines.
    pub(crate) end_line: u32,
    pub(crate) payload: Payload,
}

impl Token {
    /// Stands for "no token yet".
    pub(crate) const START: Token = Token {
        kind: TokenKind::Eof,
        span: Span {
            start: 0,
            end: 0,
            line: 1,
            column: 1,
        },
        end_line: 1,
        payload: Payload::None,
    };
}

/// The lexer; also the owner of the chunk's symbols.
pub(crate) struct Lexer<'s> {
    inner: logos::Lexer<'s, TokenKind>,
    source: &'s [u8],
    /// The chunk's name as messages show it.
    chunk: Vec<u8>,
    line: u32,
    /// Offset of the first byte of the line.
    line_start: usize,
    symbols: Vec<Arc<[u8]>>,
    symbol_index: HashMap<Arc<[u8]>, Symbol>,
    /// Holds the value of the string being read.
    buffer: Vec<u8>,
    /// The name of the last `--@id name` comment and its line.
    annotation: Option<(Symbol, u32)>,
    watch: Option<&'s Watch<'s>>,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(chunk_name: &[u8], source: &'s [u8], watch: Option<&'s Watch<'s>>) -> Self {
        Lexer {
            inner: TokenKind::lexer(source),
            source,
            chunk: chunk_display(chunk_name),
            line: 1,
            line_start: 0,
            symbols: Vec::new(),
            symbol_index: HashMap::default(),
            buffer: Vec::new(),
            annotation: None,
            watch,
        }
    }

    /// The interned names and strings, by symbol.
    pub(crate) fn into_symbols(self) -> Vec<Arc<[u8]>> {
        self.symbols
    }

    /// The same for a while: nothing may be read until they are back.
    pub(crate) fn lend_symbols(&mut self) -> Vec<Arc<[u8]>> {
        std::mem::take(&mut self.symbols)
    }

    /// Takes lent symbols back.
    pub(crate) fn take_symbols_back(&mut self, symbols: &mut Vec<Arc<[u8]>>) {
        if !symbols.is_empty() {
            self.symbols = std::mem::take(symbols);
        }
    }

    /// The bytes of a symbol.
    pub(crate) fn symbol_bytes(&self, symbol: Symbol) -> &[u8] {
        &self.symbols[symbol.0 as usize]
    }

    /// The symbol of a byte string.
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> Symbol {
        intern(&mut self.symbols, &mut self.symbol_index, bytes)
    }

    /// Reads the next token.
    pub(crate) fn next_token(&mut self) -> Parse<Token> {
        loop {
            if self.watch.is_some_and(Watch::says_stop) {
                return Err(self.error_at(crate::error::STOPPED.as_bytes(), &Token::START));
            }
            let Some(kind) = self.inner.next() else {
                let end = self.source.len();
                let span = self.span_at(end, end);
                return Ok(self.token(TokenKind::Eof, span, Payload::None));
            };
            // The automaton has a rule for every byte; were one missing, the
            // byte would be one that starts no token.
            let kind = kind.unwrap_or(TokenKind::Unknown);
            let range = self.inner.span();
            let span = self.span_at(range.start, range.end);
            let payload = match kind {
                TokenKind::Newline => {
                    self.line += 1;
                    self.line_start = range.end;
                    continue;
                }
                TokenKind::Comment => {
                    self.skip_line_comment();
                    continue;
                }
                TokenKind::LongComment => {
                    self.long_bracket(span, 4, None)?;
                    continue;
                }
                TokenKind::LongBracket => return self.long_string(span),
                TokenKind::Quote => return self.quoted_string(span),
                TokenKind::BrokenBracket => {
                    let near = quote_near(self.inner.slice());
                    return Err(self.error(b"invalid long string delimiter", Some(&near), span));
                }
                TokenKind::Name => Payload::Symbol(self.intern(self.inner.slice())),
                TokenKind::Number => match number::numeral(self.inner.slice()) {
                    Some(value) => value,
                    None => {
                        let near = quote_near(self.inner.slice());
                        return Err(self.error(b"malformed number", Some(&near), span));
                    }
                },
                TokenKind::Function => match self.annotation.take() {
                    Some((name, line)) if line + 1 == self.line => Payload::Symbol(name),
                    _ => Payload::None,
                },
                _ => Payload::None,
            };
            return Ok(self.token(kind, span, payload));
        }
    }

    fn token(&self, kind: TokenKind, span: Span, payload: Payload) -> Token {
        Token {
            kind,
            span,
            end_line: self.line,
            payload,
        }
    }

    /// The span of a range that begins on the current line. Offsets fit: the
    /// parser refuses texts of 4 GiB.
    fn span_at(&self, start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
            line: self.line,
            column: (start - self.line_start) as u32 + 1,
        }
    }

    /// Skips to the end of the line, which stays, and notes `--@id name`.
    fn skip_line_comment(&mut self) {
        let rest = self.inner.remainder();
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let comment = &rest[..length];
        self.inner.bump(length);
        if let Some(id) = comment.strip_prefix(b"@id")
            && id.first().is_some_and(u8::is_ascii_whitespace)
            && let Some(name) = id
                .split(u8::is_ascii_whitespace)
                .find(|word| !word.is_empty())
        {
            self.annotation = Some((self.intern(name), self.line));
        }
    }

    /// Reads on behind an opening long bracket, whose token has `n_other` bytes
    /// besides equals signs.
    fn long_bracket(
        &mut self,
        opening: Span,
        n_other: u32,
        value: Option<&mut Vec<u8>>,
    ) -> Parse<()> {
        let what: &[u8] = if value.is_some() {
            b"string"
        } else {
            b"comment"
        };
        let level = (opening.end - opening.start - n_other) as usize;
        match string::long_bracket(self.inner.remainder(), level, value) {
            Ok(scanned) => {
                self.skip_scanned(&scanned);
                Ok(())
            }
            Err(n_lines) => {
                let mut message = [b"unfinished long ", what].concat();
                message.extend(format!(" (starting at line {})", opening.line).bytes());
                let span = Span {
                    end: self.source.len() as u32,
                    line: opening.line + n_lines,
                    ..opening
                };
                Err(self.error(&message, Some(b"<eof>"), span))
            }
        }
    }

    fn long_string(&mut self, opening: Span) -> Parse<Token> {
        let mut value = std::mem::take(&mut self.buffer);
        value.clear();
        self.long_bracket(opening, 2, Some(&mut value))?;
        self.buffer = value;
        Ok(self.string_token(opening))
    }

    fn quoted_string(&mut self, opening: Span) -> Parse<Token> {
        self.buffer.clear();
        let text = self.inner.remainder();
        let quote = self.source[opening.start as usize];
        match string::quoted(text, quote, &mut self.buffer) {
            Ok(scanned) => {
                self.skip_scanned(&scanned);
                Ok(self.string_token(opening))
            }
            Err(bad) => {
                let near = if bad.at_eof {
                    b"<eof>".to_vec()
                } else {
                    quote_near(&[&[quote], &self.buffer[..], &text[bad.shown]].concat())
                };
                let span = Span {
                    end: opening.end + bad.length as u32,
                    line: opening.line + bad.n_lines,
                    ..opening
                };
                Err(self.error(bad.message.as_bytes(), Some(&near), span))
            }
        }
    }

    fn skip_scanned(&mut self, scanned: &string::Scanned) {
        if let Some(line_start) = scanned.line_start {
            self.line += scanned.n_lines;
            self.line_start = self.inner.span().end + line_start;
        }
        self.inner.bump(scanned.length);
    }

    /// The string whose value is in the buffer and which ends here.
    fn string_token(&mut self, opening: Span) -> Token {
        let symbol = intern(&mut self.symbols, &mut self.symbol_index, &self.buffer);
        let span = Span {
            end: self.inner.span().end as u32,
            ..opening
        };
        self.token(TokenKind::String, span, Payload::Symbol(symbol))
    }

    /// An error that is about `token`: `chunk:line: message near 'token'`.
    pub(crate) fn error_near(&self, message: &[u8], token: &Token) -> Box<CompileError> {
        let span = Span {
            line: token.end_line,
            ..token.span
        };
        self.error(message, self.near(token).as_deref(), span)
    }

    /// An error that names no token, at the place of `token`.
    pub(crate) fn error_at(&self, message: &[u8], token: &Token) -> Box<CompileError> {
        let span = Span {
            line: token.end_line,
            ..token.span
        };
        self.error(message, None, span)
    }

    #[cold]
    fn error(&self, message: &[u8], near: Option<&[u8]>, span: Span) -> Box<CompileError> {
        let mut message = message.to_vec();
        if let Some(near) = near {
            message.extend_from_slice(b" near ");
            message.extend_from_slice(near);
        }
        let mut raw = self.chunk.clone();
        raw.extend(format!(":{}: ", span.line).bytes());
        raw.extend_from_slice(&message);
        Box::new(CompileError {
            chunk: String::from_utf8_lossy(&self.chunk).into_owned(),
            message: String::from_utf8_lossy(&message).into_owned(),
            incomplete: message.ends_with(b"<eof>"),
            raw,
            span,
        })
    }

    /// How messages show a token: names, numerals and strings as they were
    /// read (strings with their escapes done), bytes that do not print by
    /// number. A NUL in the text is not shown at all, as in the reference,
    /// where its token is the number that means "no token".
    fn near(&self, token: &Token) -> Option<Vec<u8>> {
        let text = &self.source[token.span.start as usize..token.span.end as usize];
        Some(match (token.kind, token.payload) {
            (TokenKind::Unknown, _) => match text.first() {
                None | Some(0) => return None,
                Some(byte @ b' '..=b'~') => vec![b'\'', *byte, b'\''],
                Some(byte) => format!("'<\\{byte}>'").into_bytes(),
            },
            (TokenKind::Name | TokenKind::Number, _) => quote_near(text),
            (TokenKind::String, Payload::Symbol(symbol)) => {
                let delimiter = match text.first() {
                    Some(b'[') => 2 + text[1..].iter().take_while(|&&b| b == b'=').count(),
                    _ => 1,
                };
                let closing = &text[text.len() - delimiter..];
                quote_near(&[&text[..delimiter], self.symbol_bytes(symbol), closing].concat())
            }
            (kind, _) => kind.text().as_bytes().to_vec(),
        })
    }
}

fn intern(
    symbols: &mut Vec<Arc<[u8]>>,
    index: &mut HashMap<Arc<[u8]>, Symbol>,
    bytes: &[u8],
) -> Symbol {
    if let Some(&symbol) = index.get(bytes) {
        return symbol;
    }
    let symbol = Symbol(symbols.len() as u32);
    let bytes: Arc<[u8]> = bytes.into();
    symbols.push(bytes.clone());
    index.insert(bytes, symbol);
    symbol
}

/// Text in the quotes of a message. It ends at a NUL, because the reference
/// formats it as a C string.
fn quote_near(text: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    [b"'", &text[..end], b"'"].concat()
}
