//! The kinds of tokens, recognised by an automaton that logos generates.
//!
//! What a finite automaton recognises well is decided here; the inside of
//! strings and comments, whose end depends on how they began, is scanned by
//! `string` and `mod`. Works on bytes: Lua source has no encoding.

use logos::Logos;

/// What a token is. The last group never leaves the lexer.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(utf8 = false)]
#[logos(skip(b"[ \t\x0B\x0C]+"))]
pub(crate) enum TokenKind {
    #[token(b"and")]
    And,
    #[token(b"break")]
    Break,
    #[token(b"do")]
    Do,
    #[token(b"else")]
    Else,
    #[token(b"elseif")]
    ElseIf,
    #[token(b"end")]
    End,
    #[token(b"false")]
    False,
    #[token(b"for")]
    For,
    #[token(b"function")]
    Function,
    #[token(b"goto")]
    Goto,
    #[token(b"if")]
    If,
    #[token(b"in")]
    In,
    #[token(b"local")]
    Local,
    #[token(b"nil")]
    Nil,
    #[token(b"not")]
    Not,
    #[token(b"or")]
    Or,
    #[token(b"repeat")]
    Repeat,
    #[token(b"return")]
    Return,
    #[token(b"then")]
    Then,
    #[token(b"true")]
    True,
    #[token(b"until")]
    Until,
    #[token(b"while")]
    While,

    #[token(b"+")]
    Plus,
    #[token(b"-")]
    Minus,
    #[token(b"*")]
    Star,
    #[token(b"/")]
    Slash,
    #[token(b"//")]
    DoubleSlash,
    #[token(b"%")]
    Percent,
    #[token(b"^")]
    Caret,
    #[token(b"#")]
    Hash,
    #[token(b"&")]
    Ampersand,
    #[token(b"~")]
    Tilde,
    #[token(b"|")]
    Pipe,
    #[token(b"<<")]
    ShiftLeft,
    #[token(b">>")]
    ShiftRight,
    #[token(b"==")]
    Equal,
    #[token(b"~=")]
    NotEqual,
    #[token(b"<=")]
    LessEqual,
    #[token(b">=")]
    GreaterEqual,
    #[token(b"<")]
    Less,
    #[token(b">")]
    Greater,
    #[token(b"=")]
    Assign,
    #[token(b"(")]
    LeftParen,
    #[token(b")")]
    RightParen,
    #[token(b"{")]
    LeftBrace,
    #[token(b"}")]
    RightBrace,
    #[token(b"[")]
    LeftBracket,
    #[token(b"]")]
    RightBracket,
    #[token(b"::")]
    DoubleColon,
    #[token(b":")]
    Colon,
    #[token(b";")]
    Semicolon,
    #[token(b",")]
    Comma,
    #[token(b".")]
    Dot,
    #[token(b"..")]
    Concat,
    #[token(b"...")]
    Dots,

    #[regex(b"[A-Za-z_][A-Za-z0-9_]*")]
    Name,
    /// Everything the reference reads as one numeral, well-formed or not: it
    /// takes digits, points and exponents in any order and one letter more,
    /// which the message `malformed number near '3x'` then shows.
    #[regex(b"\\.?(0[xX]([pP][+\\-]?|[0-9a-fA-F.])*|[0-9]([eE][+\\-]?|[0-9a-fA-F.])*)[A-Za-z_]?")]
    Number,
    /// A quoted or bracketed string; made by the lexer, matches nothing.
    String,
    /// End of the text; made by the lexer, matches nothing.
    Eof,
    /// A byte that starts no token. The parser refuses it where it stands.
    #[regex(b"(?s-u:.)", priority = 0)]
    Unknown,

    // Never leave the lexer.
    #[token(b"\n")]
    #[token(b"\r")]
    #[token(b"\r\n")]
    #[token(b"\n\r")]
    Newline,
    #[token(b"--")]
    Comment,
    #[regex(b"--\\[=*\\[")]
    LongComment,
    #[token(b"\"")]
    #[token(b"'")]
    Quote,
    #[regex(b"\\[=*\\[")]
    LongBracket,
    #[regex(b"\\[=+")]
    BrokenBracket,
}

impl TokenKind {
    /// The token in messages that expect it.
    pub(crate) fn text(self) -> &'static str {
        use TokenKind::*;
        match self {
            And => "'and'",
            Break => "'break'",
            Do => "'do'",
            Else => "'else'",
            ElseIf => "'elseif'",
            End => "'end'",
            False => "'false'",
            For => "'for'",
            Function => "'function'",
            Goto => "'goto'",
            If => "'if'",
            In => "'in'",
            Local => "'local'",
            Nil => "'nil'",
            Not => "'not'",
            Or => "'or'",
            Repeat => "'repeat'",
            Return => "'return'",
            Then => "'then'",
            True => "'true'",
            Until => "'until'",
            While => "'while'",
            Plus => "'+'",
            Minus => "'-'",
            Star => "'*'",
            Slash => "'/'",
            DoubleSlash => "'//'",
            Percent => "'%'",
            Caret => "'^'",
            Hash => "'#'",
            Ampersand => "'&'",
            Tilde => "'~'",
            Pipe => "'|'",
            ShiftLeft => "'<<'",
            ShiftRight => "'>>'",
            Equal => "'=='",
            NotEqual => "'~='",
            LessEqual => "'<='",
            GreaterEqual => "'>='",
            Less => "'<'",
            Greater => "'>'",
            Assign => "'='",
            LeftParen => "'('",
            RightParen => "')'",
            LeftBrace => "'{'",
            RightBrace => "'}'",
            LeftBracket | LongBracket | BrokenBracket => "'['",
            RightBracket => "']'",
            DoubleColon => "'::'",
            Colon => "':'",
            Semicolon => "';'",
            Comma => "','",
            Dot => "'.'",
            Concat => "'..'",
            Dots => "'...'",
            Name => "<name>",
            Number => "<number>",
            String | Quote => "<string>",
            Eof => "<eof>",
            Unknown | Newline | Comment | LongComment => "<byte>",
        }
    }
}
