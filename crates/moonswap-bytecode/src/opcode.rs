//! THE opcode table: every operation, its operands, its form (what it does to
//! windows of registers and to control, `effects.rs`), the event it calls and what
//! it changes that lives outside its frame.
//!
//! Operand fields (see `instruction.rs`): `a b c` are 16 bits, `x` 8 bits,
//! `bc` the 32 bits of `b` and `c` together. `R[..]` are registers of the
//! frame, `K[..]` constants, `U[..]` captured variables. Jump distances count
//! instructions from the one after the jump.
//!
//! A call leaves one register (the frame link) between function and first
//! argument: function in `R[A]`, link in `R[A+1]`, arguments from `R[A+2]`;
//! results arrive from `R[A]` on.

use crate::form::Form;

/// What one operand field of an instruction means; drives the listing, the
/// verifier, the loader's relocation of constants and the names in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// Not used; must be zero (or a cache the VM owns, in `x`).
    Unused,
    /// A register that is read.
    Register,
    /// A register that is written.
    Target,
    /// A register at the start of a window (calls, concat, loops…); what is done
    /// with the window follows from the operation's [`Form`].
    Window,
    /// Index of a constant that is no cell, 16 bits.
    Constant,
    /// Index of a constant, 16 bits: a short string.
    Key,
    /// Index of a constant, 16 bits: a number.
    Number,
    /// Index of a constant, 16 bits: an integer.
    Integer,
    /// Index of a constant, 32 bits (`bc`): a number or a string.
    WideConstant,
    /// Index of a constant, 32 bits (`bc`): a cell.
    Cell,
    /// Index of a captured variable.
    Upvalue,
    /// Signed immediate, 16 bits.
    Immediate,
    /// Signed immediate, 32 bits (`bc`).
    WideImmediate,
    /// Immediate number of bits, 0 to 63.
    Shift,
    /// Unsigned immediate, 16 bits.
    Unsigned,
    /// Unsigned count, 16 bits; not `0xFFFF`.
    Count,
    /// Unsigned count, 16 bits; `0xFFFF` is "up to top".
    List,
    /// Forward jump distance, unsigned 16 bits.
    Jump,
    /// Signed jump distance, 32 bits (`bc`).
    WideJump,
    /// Index of a closure site (`bc`).
    Site,
}

impl OperandKind {
    /// Whether it is the index of a constant in 16 bits.
    #[inline]
    pub const fn is_constant(self) -> bool {
        matches!(
            self,
            Self::Constant | Self::Key | Self::Number | Self::Integer
        )
    }

    /// Whether it is the index of a constant in 32 bits.
    pub const fn is_wide_constant(self) -> bool {
        matches!(self, Self::WideConstant | Self::Cell)
    }

    /// Whether it takes the fields `b` and `c` together.
    #[inline]
    pub const fn is_wide(self) -> bool {
        self.is_wide_constant() || matches!(self, Self::WideImmediate | Self::WideJump | Self::Site)
    }
}

/// What an operation changes that lives outside the frame: what a VM that keeps a
/// undo log of writes has to know. An open captured variable counts, whoever's
/// register it is. (`SETLIST` fills a table that nobody else has yet.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// `U[B][K[C]]`
    UpvalueField,
    /// `R[A][R[B]]`
    Element,
    /// `R[A][B]`
    Index,
    /// `R[A][K[B]]`
    Field,
    /// `U[B]`
    Upvalue,
    /// The cell `K[bc]`
    Cell,
    /// `U[B]`, which the closure may lack
    Late,
    /// Nothing, but a table comes into being.
    Table,
}

/// The form of an operation in the table; without one it is plain.
macro_rules! form {
    () => {
        Form::Plain
    };
    ($form:ident) => {
        Form::$form
    };
}

/// The event in the table.
macro_rules! event {
    () => {
        None
    };
    ($event:literal) => {
        Some($event)
    };
}

/// What is written, in the table.
macro_rules! written {
    () => {
        None
    };
    ($what:ident) => {
        Some(Written::$what)
    };
}

macro_rules! opcodes {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident = $text:literal ($a:ident, $b:ident, $c:ident)
            $(: $form:ident)? $(calls $event:literal)? $(writes $what:ident)?;
    )*) => {
        /// One operation of the machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum OpCode { $( $(#[doc = $doc])* $name ),* }

        impl OpCode {
            /// All operations, in numeric order.
            pub const ALL: &'static [OpCode] = &[ $( OpCode::$name ),* ];

            /// The name shown in listings.
            pub const fn name(self) -> &'static str {
                match self { $( OpCode::$name => $text ),* }
            }

            /// Kinds of the operands `a`, `b`, `c`. A 32-bit operand stands in
            /// `b` and leaves `c` as `Unused`.
            #[inline]
            pub const fn operands(self) -> [OperandKind; 3] {
                const TABLE: &[[OperandKind; 3]] =
                    &[ $( [OperandKind::$a, OperandKind::$b, OperandKind::$c] ),* ];
                TABLE[self as usize]
            }

            /// What it does besides reading and writing single registers.
            #[inline]
            pub const fn form(self) -> Form {
                const TABLE: &[Form] = &[ $( form!($($form)?) ),* ];
                TABLE[self as usize]
            }

            /// The event whose metamethod it calls, without the underscores.
            pub const fn event(self) -> Option<&'static str> {
                match self { $( OpCode::$name => event!($($event)?) ),* }
            }

            /// What it changes outside the frame.
            pub const fn writes(self) -> Option<Written> {
                match self { $( OpCode::$name => written!($($what)?) ),* }
            }

            /// The operation with that number, if there is one.
            #[inline]
            pub const fn from_u8(number: u8) -> Option<OpCode> {
                let number = number as usize;
                if number < Self::ALL.len() { Some(Self::ALL[number]) } else { None }
            }
        }

        /// Calls the macro `$with` with the comma-separated list of all
        /// operations' names: the VM builds its dispatch from it.
        #[macro_export]
        macro_rules! for_each_opcode {
            ($with:ident) => { $with! { $( $name ),* } };
        }
    };
}

opcodes! {
    /// `R[A] := R[B]`
    Move = "MOVE" (Target, Register, Unused);
    /// `R[A] := integer bc`
    LoadInt = "LOADINT" (Target, WideImmediate, Unused);
    /// `R[A] := float of the integer bc`
    LoadFloat = "LOADFLOAT" (Target, WideImmediate, Unused);
    /// `R[A] := K[bc]`
    LoadConst = "LOADK" (Target, WideConstant, Unused);
    /// `R[A], …, R[A+B-1] := nil`; B >= 1
    LoadNil = "LOADNIL" (Window, Count, Unused): Nils;
    /// `R[A] := false`
    LoadFalse = "LOADFALSE" (Target, Unused, Unused);
    /// `R[A] := true`
    LoadTrue = "LOADTRUE" (Target, Unused, Unused);
    /// `R[A] := false; pc++` (tail of a comparison used as a value)
    LoadFalseSkip = "LFALSESKIP" (Target, Unused, Unused): Skip;

    /// `R[A] := U[B]`
    GetUpvalue = "GETUPVAL" (Target, Upvalue, Unused);
    /// `U[B] := R[A]`
    SetUpvalue = "SETUPVAL" (Register, Upvalue, Unused) writes Upvalue;
    /// `R[A] := cell K[bc]`: a top-level local through the scope record
    GetCell = "GETCELL" (Target, Cell, Unused);
    /// `cell K[bc] := R[A]`
    SetCell = "SETCELL" (Register, Cell, Unused) writes Cell;
    /// `R[A] := U[B]`, which closures made before a patch may lack: nil then
    GetBackfilled = "GETLATE" (Target, Upvalue, Unused);
    /// `U[B] := R[A]`; a closure that lacks it gets one of its own
    SetBackfilled = "SETLATE" (Register, Upvalue, Unused) writes Late;
    /// `if the closure has U[B] then pc += C`
    JumpIfBackfilled = "JLATE" (Unused, Upvalue, Jump);

    /// `R[A] := U[B][K[C]]`, K a short string; globals
    GetTabUp = "GETTABUP" (Target, Upvalue, Key) calls "index";
    /// `U[B][K[C]] := R[A]`
    SetTabUp = "SETTABUP" (Register, Upvalue, Key) calls "newindex" writes UpvalueField;
    /// `R[A] := R[B][R[C]]`
    GetTable = "GETTABLE" (Target, Register, Register) calls "index";
    /// `R[A] := R[B][C]`, C an unsigned 16-bit integer
    GetIndex = "GETI" (Target, Register, Unsigned) calls "index";
    /// `R[A] := R[B][K[C]]`, K a short string
    GetField = "GETFIELD" (Target, Register, Key) calls "index";
    /// `R[A][R[B]] := R[C]`
    SetTable = "SETTABLE" (Register, Register, Register) calls "newindex" writes Element;
    /// `R[A][B] := R[C]`, B an unsigned 16-bit integer
    SetIndex = "SETI" (Register, Unsigned, Register) calls "newindex" writes Index;
    /// `R[A][K[B]] := R[C]`, K a short string
    SetField = "SETFIELD" (Register, Key, Register) calls "newindex" writes Field;
    /// `R[A+2] := R[B]; R[A] := R[B][K[C]]`, K a short string
    SelfField = "SELF" (Window, Register, Key): Method calls "index";
    /// `R[A] := {}` with room for B array items and C fields
    NewTable = "NEWTABLE" (Target, Count, Count): NewTable writes Table;
    /// `R[A][(x<<16|C)*50 + i] := R[A+i]`, 1 <= i <= B; B = MULTI: up to top; B = 0:
    /// `R[A]` has keys from 0 on, to be visited in this order
    SetList = "SETLIST" (Window, List, Unsigned): SetList;

    /// `R[A] := R[B] + R[C]`
    Add = "ADD" (Target, Register, Register) calls "add";
    /// `R[A] := R[B] - R[C]`
    Sub = "SUB" (Target, Register, Register) calls "sub";
    /// `R[A] := R[B] * R[C]`
    Mul = "MUL" (Target, Register, Register) calls "mul";
    /// `R[A] := R[B] % R[C]`
    Mod = "MOD" (Target, Register, Register) calls "mod";
    /// `R[A] := R[B] ^ R[C]`
    Pow = "POW" (Target, Register, Register) calls "pow";
    /// `R[A] := R[B] / R[C]`
    Div = "DIV" (Target, Register, Register) calls "div";
    /// `R[A] := R[B] // R[C]`
    IntDiv = "IDIV" (Target, Register, Register) calls "idiv";
    /// `R[A] := R[B] & R[C]`
    BitAnd = "BAND" (Target, Register, Register) calls "band";
    /// `R[A] := R[B] | R[C]`
    BitOr = "BOR" (Target, Register, Register) calls "bor";
    /// `R[A] := R[B] ~ R[C]`
    BitXor = "BXOR" (Target, Register, Register) calls "bxor";
    /// `R[A] := R[B] << R[C]`
    ShiftLeft = "SHL" (Target, Register, Register) calls "shl";
    /// `R[A] := R[B] >> R[C]`
    ShiftRight = "SHR" (Target, Register, Register) calls "shr";

    /// `R[A] := R[B] + C`; x = 1: the constant was the left operand
    AddImm = "ADDI" (Target, Register, Immediate) calls "add";
    /// `R[A] := R[B] - C`
    SubImm = "SUBI" (Target, Register, Immediate) calls "sub";
    /// `R[A] := R[B] << C`, 0 <= C < 64
    ShiftLeftImm = "SHLI" (Target, Register, Shift) calls "shl";
    /// `R[A] := R[B] >> C`, 0 <= C < 64
    ShiftRightImm = "SHRI" (Target, Register, Shift) calls "shr";
    /// `R[A] := R[B] + K[C]`, K a number; x = 1: the constant was on the left
    AddConst = "ADDK" (Target, Register, Number) calls "add";
    /// `R[A] := R[B] - K[C]`
    SubConst = "SUBK" (Target, Register, Number) calls "sub";
    /// `R[A] := R[B] * K[C]`; x = 1: the constant was on the left
    MulConst = "MULK" (Target, Register, Number) calls "mul";
    /// `R[A] := R[B] % K[C]`
    ModConst = "MODK" (Target, Register, Number) calls "mod";
    /// `R[A] := R[B] ^ K[C]`
    PowConst = "POWK" (Target, Register, Number) calls "pow";
    /// `R[A] := R[B] / K[C]`
    DivConst = "DIVK" (Target, Register, Number) calls "div";
    /// `R[A] := R[B] // K[C]`
    IntDivConst = "IDIVK" (Target, Register, Number) calls "idiv";
    /// `R[A] := R[B] & K[C]`, K an integer; x = 1: the constant was on the left
    BitAndConst = "BANDK" (Target, Register, Integer) calls "band";
    /// `R[A] := R[B] | K[C]`, K an integer; x = 1: the constant was on the left
    BitOrConst = "BORK" (Target, Register, Integer) calls "bor";
    /// `R[A] := R[B] ~ K[C]`, K an integer; x = 1: the constant was on the left
    BitXorConst = "BXORK" (Target, Register, Integer) calls "bxor";

    /// `R[A] := -R[B]`
    Negate = "UNM" (Target, Register, Unused) calls "unm";
    /// `R[A] := ~R[B]`
    BitNot = "BNOT" (Target, Register, Unused) calls "bnot";
    /// `R[A] := not R[B]`
    Not = "NOT" (Target, Register, Unused);
    /// `R[A] := #R[B]`
    Length = "LEN" (Target, Register, Unused) calls "len";
    /// `R[A] := R[B] .. … .. R[B+C-1]`; C >= 2
    Concat = "CONCAT" (Target, Window, Count): Concat calls "concat";

    /// `pc += bc`, bc >= 0
    Jump = "JMP" (Unused, WideJump, Unused): Jump;
    /// `pc += bc`, bc < 0; a safe point at which the first A registers live
    /// (A counts)
    JumpBack = "JMPBACK" (Count, WideJump, Unused): JumpBack;
    /// `if R[A] == R[B] then pc += C`
    JumpEq = "JEQ" (Register, Register, Jump): Compare calls "eq";
    /// `if not (R[A] == R[B]) then pc += C`
    JumpNotEq = "JNE" (Register, Register, Jump): Compare calls "eq";
    /// `if R[A] < R[B] then pc += C`
    JumpLt = "JLT" (Register, Register, Jump): Compare calls "lt";
    /// `if not (R[A] < R[B]) then pc += C`
    JumpNotLt = "JNLT" (Register, Register, Jump): Compare calls "lt";
    /// `if R[A] <= R[B] then pc += C`
    JumpLe = "JLE" (Register, Register, Jump): Compare calls "le";
    /// `if not (R[A] <= R[B]) then pc += C`
    JumpNotLe = "JNLE" (Register, Register, Jump): Compare calls "le";
    /// `if R[A] == K[B] then pc += C` (no metamethods)
    JumpEqConst = "JEQK" (Register, Constant, Jump);
    /// `if not (R[A] == K[B]) then pc += C`
    JumpNotEqConst = "JNEK" (Register, Constant, Jump);
    /// `if R[A] < B then pc += C`; x: 1 = the immediate was written as a
    /// float, 2 = the operands were swapped in the source (`B > R[A]`)
    JumpLtImm = "JLTI" (Register, Immediate, Jump): Compare calls "lt";
    /// `if not (R[A] < B) then pc += C`; x as in JLTI
    JumpNotLtImm = "JNLTI" (Register, Immediate, Jump): Compare calls "lt";
    /// `if R[A] <= B then pc += C`; x as in JLTI
    JumpLeImm = "JLEI" (Register, Immediate, Jump): Compare calls "le";
    /// `if not (R[A] <= B) then pc += C`; x as in JLTI
    JumpNotLeImm = "JNLEI" (Register, Immediate, Jump): Compare calls "le";
    /// `if R[A] > B then pc += C`; x as in JLTI (metamethod `__lt` of B, `R[A]`)
    JumpGtImm = "JGTI" (Register, Immediate, Jump): Compare calls "lt";
    /// `if not (R[A] > B) then pc += C`; x as in JLTI
    JumpNotGtImm = "JNGTI" (Register, Immediate, Jump): Compare calls "lt";
    /// `if R[A] >= B then pc += C`; x as in JLTI (metamethod `__le` of B, `R[A]`)
    JumpGeImm = "JGEI" (Register, Immediate, Jump): Compare calls "le";
    /// `if not (R[A] >= B) then pc += C`; x as in JLTI
    JumpNotGeImm = "JNGEI" (Register, Immediate, Jump): Compare calls "le";
    /// `if R[A] is truthy then pc += bc`, bc >= 0
    JumpIf = "JIF" (Register, WideJump, Unused);
    /// `if R[A] is falsy then pc += bc`, bc >= 0
    JumpIfNot = "JIFNOT" (Register, WideJump, Unused);
    /// `if R[B] is truthy then R[A] := R[B]; pc += C`
    JumpIfSet = "JIFSET" (Target, Register, Jump): BranchSet;
    /// `if R[B] is falsy then R[A] := R[B]; pc += C`
    JumpIfNotSet = "JIFNOTSET" (Target, Register, Jump): BranchSet;

    /// `R[A], …, R[A+C-1] := R[A](R[A+2], …, R[A+1+B])`; C = MULTI: results
    /// up to top
    Call = "CALL" (Window, Count, List): Call;
    /// The same with arguments `R[A+2]` up to top
    CallMulti = "CALLM" (Window, Unused, List): Call;
    /// `return R[A](R[A+2], …)`; B = MULTI: up to top; x bits as in RETURN
    TailCall = "TAILCALL" (Window, List, Unused): TailCall;
    /// `return R[A], …, R[A+B-1]`; B = MULTI: up to top; x bit 0: close
    /// captured and to-be-closed variables first; x bit 1: vararg function
    Return = "RETURN" (Window, List, Unused): Return calls "close";
    /// `return` of a function without varargs and with nothing to close
    Return0 = "RETURN0" (Unused, Unused, Unused): ShortReturn;
    /// `return R[A]` of a function without varargs and with nothing to close
    Return1 = "RETURN1" (Register, Unused, Unused): ShortReturn;
    /// `R[A], …, R[A+B-1] := varargs`; B = MULTI: all, sets top
    Vararg = "VARARG" (Window, List, Unused): Vararg;
    /// `R[A] := closure of site bc`
    Closure = "CLOSURE" (Target, Site, Unused): Closure;
    /// closes all captured and to-be-closed variables >= `R[A]`
    Close = "CLOSE" (Window, Unused, Unused): Close calls "close";
    /// marks `R[A]` as a to-be-closed variable
    ToBeClosed = "TBC" (Register, Unused, Unused): ToBeClosed;
    /// keeps the main chunk's top-level locals in the scope record; stands
    /// right before each RETURN of a main chunk
    KeepScope = "KEEPSCOPE" (Unused, Unused, Unused): KeepScope;

    /// prepares the numeric loop `R[A] = start, R[A+1] = limit, R[A+2] = step`;
    /// `if it does not run then pc += bc` (to after FORLOOP)
    ForPrep = "FORPREP" (Window, WideJump, Unused): ForPrep;
    /// next step of the numeric loop, visible variable in `R[A+3]`;
    /// `if it goes on then pc += bc` (bc < 0); a safe point
    ForLoop = "FORLOOP" (Window, WideJump, Unused): ForLoop;
    /// R[A+3] becomes to-be-closed; `pc += bc` (to TFORCALL)
    TForPrep = "TFORPREP" (Window, WideJump, Unused): TForPrep;
    /// A is the loop's fourth register: `R[A], …, R[A+C-1] :=
    /// R[A-4](R[A-3], R[A-2])`; B is 2; the callee's window begins at `R[A]`
    TForCall = "TFORCALL" (Window, Count, Count): TForCall;
    /// A as in TFORCALL: `if R[A] ~= nil then R[A-2] := R[A]; pc += bc`
    TForLoop = "TFORLOOP" (Window, WideJump, Unused): TForLoop;

    /// Internal: end of a run started by the host. Never in a prototype.
    Halt = "HALT" (Unused, Unused, Unused): Internal;
    /// Internal: a metamethod called by an instruction has returned.
    FinishMeta = "FINMETA" (Unused, Unused, Unused): Internal;
    /// Internal: a function called by `pcall` has returned.
    FinishPcall = "FINPCALL" (Unused, Unused, Unused): Internal;
    /// Internal: a function called by `xpcall` has returned.
    FinishXpcall = "FINXPCALL" (Unused, Unused, Unused): Internal;
    /// Internal: the body of a coroutine has returned.
    FinishCoroutine = "FINCO" (Unused, Unused, Unused): Internal;
    /// Internal: `__close` called by an instruction has returned; run it again.
    FinishClose = "FINCLOSE" (Unused, Unused, Unused): Internal;
    /// Internal: `__close` called while an error unwinds has returned.
    FinishUnwind = "FINUNWIND" (Unused, Unused, Unused): Internal;
    /// Internal: a function that a native ended by calling has returned.
    FinishTail = "FINTAIL" (Unused, Unused, Unused): Internal;
    /// Internal: a call that a native or an error prepared is made now.
    EnterCall = "ENTER" (Unused, Unused, Unused): Internal;
    /// Internal: stands for a moment in place of the operation of an instruction
    /// that the VM wants to see reached.
    Trap = "TRAP" (Unused, Unused, Unused): Internal;
}

impl OpCode {
    /// Whether a prototype may contain it (the internal ones are the VM's).
    pub const fn is_internal(self) -> bool {
        (self as u8) >= (OpCode::Halt as u8)
    }
}
