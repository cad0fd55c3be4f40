//! The syntax tree. Expressions and functions live in arenas, so that a chain
//! of a million `+` neither recurses when dropped nor when walked with care:
//! *left spines (binary operators, calls, indexing) may be arbitrarily long and
//! must be walked iteratively; everything else nests at most 200 levels*, which
//! the parser enforces.

use foldhash::HashMap;

use crate::error::Span;

/// An interned identifier or string of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbol(pub u32);

/// An expression in [`Ast::exprs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExprId(pub u32);

/// A function in [`Ast::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionIndex(pub u32);

/// A parsed chunk.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    /// Interned byte strings, by [`Symbol`].
    pub symbols: Vec<std::sync::Arc<[u8]>>,
    /// All expressions.
    pub exprs: Vec<Expr>,
    /// Span of each expression: for binary operators that of the *operator*,
    /// for calls that of the opening parenthesis or argument, for indexing that
    /// of the `.`/`[`: the line the reference reports for the operation.
    pub spans: Vec<Span>,
    /// Byte offset behind the last token of each expression; `u32::MAX` where a
    /// syntax error comes first.
    pub ends: Vec<u32>,
    /// Line of the last token of calls and indexing, where it is not that of
    /// the span: what is done with the value next is on that line.
    pub end_lines: HashMap<ExprId, u32>,
    /// Line of the `,`, `;`, `)` or `}` behind a list's item, where it is not
    /// that of the item's last token: the item is fetched there.
    pub separator_lines: HashMap<ExprId, u32>,
    /// Line of a method's name, where it is not that of its arguments.
    pub method_lines: HashMap<ExprId, u32>,
    /// All functions; the main chunk is the last one.
    pub functions: Vec<Function>,
}

/// Expressions of a tree whose memory is used again.
const SMALL: usize = 4096;

impl Ast {
    /// The same as [`Self::clear`], and gives memory back if it was a large tree.
    pub(crate) fn free(&mut self) {
        if self.exprs.capacity() > SMALL {
            *self = Self {
                symbols: std::mem::take(&mut self.symbols),
                ..Self::default()
            };
        }
        self.clear();
    }

    /// Removes all but the symbols.
    pub(crate) fn clear(&mut self) {
        self.exprs.clear();
        self.spans.clear();
        self.ends.clear();
        self.end_lines.clear();
        self.separator_lines.clear();
        self.method_lines.clear();
        self.functions.clear();
    }
}

/// A literal.
#[derive(Clone, Debug)]
pub struct Function {
    /// Parameters (`self` first in methods).
    pub params: Vec<(Symbol, Span)>,
    /// Has `...`.
    pub is_vararg: bool,
    /// Defined with `function a:b()`; `self` is in `params` already.
    pub is_method: bool,
    /// The body.
    pub body: Block,
    /// Span of the keyword `function` (main chunk: line 0).
    pub span: Span,
    /// Span of the closing `end` (main chunk: end of text).
    pub end: Span,
    /// Stable identity from an annotation comment `--@id name` on the line
    /// before the literal, if any.
    pub stable_id: Option<Symbol>,
    /// How deeply it is nested, in the parser's levels.
    pub level: u32,
    /// By how many levels what stands in it is nested deeper.
    pub depth: u32,
}

/// A list of statements with a scope of its own.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The statements, `return` last if there is one.
    pub statements: Vec<Statement>,
    /// Span of the token in front of the block (`then`, `do`, `)` …).
    pub start: Span,
    /// Span of the token that ends the block (`end`, `until`, `else`, EOF …).
    pub end: Span,
}

/// Attribute of a local variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// none
    None,
    /// `<const>`
    Const,
    /// `<close>`
    Close,
}

/// A statement with its place (first token to last).
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// First token to last token; the line is the first token's.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `local a <attr>, b = …`
    Local {
        /// names, attributes, places
        names: Vec<(Symbol, Attribute, Span)>,
        /// initialisers
        values: Vec<ExprId>,
    },
    /// `local function name`
    LocalFunction {
        /// its name
        name: Symbol,
        /// place of the name
        name_span: Span,
        /// the literal
        function: FunctionIndex,
    },
    /// `function a.b.c:m()`: assignment of `function` to `target`
    Function {
        /// Name / Field expression
        target: ExprId,
        /// the literal
        function: FunctionIndex,
    },
    /// `a, b.c = …`
    Assign {
        /// Name, Index or Field expressions
        targets: Vec<ExprId>,
        /// values
        values: Vec<ExprId>,
    },
    /// a call used as a statement (`Call` or `MethodCall`)
    Call(ExprId),
    /// `do … end`
    Do(Block),
    /// `while c do … end`
    While {
        /// condition
        condition: ExprId,
        /// body
        body: Block,
    },
    /// `repeat … until c` (the condition sees the body's locals)
    Repeat {
        /// body
        body: Block,
        /// condition
        condition: ExprId,
    },
    /// `if … elseif … else … end`
    If {
        /// condition and block of `if` and each `elseif`
        arms: Vec<(ExprId, Block)>,
        /// `else`
        otherwise: Option<Block>,
    },
    /// `for v = a, b, c do … end`
    NumericFor {
        /// visible variable
        variable: Symbol,
        /// its place
        variable_span: Span,
        /// first value
        start: ExprId,
        /// limit
        limit: ExprId,
        /// step
        step: Option<ExprId>,
        /// body
        body: Block,
    },
    /// `for a, b in … do … end`
    GenericFor {
        /// visible variables
        names: Vec<(Symbol, Span)>,
        /// the explist
        values: Vec<ExprId>,
        /// body
        body: Block,
    },
    /// `goto label`
    Goto(Symbol),
    /// `::label::`
    Label(Symbol),
    /// `break`
    Break,
    /// `return …`
    Return(Vec<ExprId>),
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Mod,
    Pow,
    Div,
    IntDiv,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Concat,
    Eq,
    NotEq,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

/// Unary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Negate,
    BitNot,
    Not,
    Length,
}

/// An expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// `nil`
    Nil,
    /// `true`
    True,
    /// `false`
    False,
    /// `...`
    Vararg,
    /// integer literal
    Integer(i64),
    /// float literal
    Float(f64),
    /// string literal
    String(Symbol),
    /// `function … end`
    Function(FunctionIndex),
    /// a name: local, upvalue or global (decided by resolve)
    Name(Symbol),
    /// `object[key]`
    Index {
        /// object
        object: ExprId,
        /// key
        key: ExprId,
    },
    /// `object.name`
    Field {
        /// object
        object: ExprId,
        /// field name
        name: Symbol,
    },
    /// `callee(args)`
    Call {
        /// callee
        callee: ExprId,
        /// arguments
        args: Vec<ExprId>,
    },
    /// `object:name(args)`
    MethodCall {
        /// object
        object: ExprId,
        /// method name
        name: Symbol,
        /// arguments
        args: Vec<ExprId>,
    },
    /// `a op b`
    Binary {
        /// operator
        op: BinaryOp,
        /// left
        lhs: ExprId,
        /// right
        rhs: ExprId,
    },
    /// `op a`
    Unary {
        /// operator
        op: UnaryOp,
        /// operand
        operand: ExprId,
    },
    /// `(e)`: truncates multiple results
    Paren(ExprId),
    /// table constructor
    Table(Vec<TableItem>),
}

/// One item of a table constructor.
#[derive(Clone, Debug)]
pub enum TableItem {
    /// `value`
    Positional(ExprId),
    /// `name = value`
    Named(Symbol, ExprId),
    /// `[key] = value`
    Keyed(ExprId, ExprId),
}
