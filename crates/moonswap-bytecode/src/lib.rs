//! The bytecode of moonswap: what the compiler produces and the VM runs.
//!
//! Plain immutable data, `Send + Sync`, without heap pointers. No VM type and
//! no source text is known here.
#![forbid(unsafe_code)]

pub mod code_hash;
pub mod dump;
pub mod effects;
pub mod form;
pub mod function_id;
pub mod instruction;
pub mod listing;
pub mod literal;
pub mod opcode;
pub mod positions;
pub mod prototype;
mod recent;
pub mod records;
mod registers;
mod varint;
pub mod verify;
mod watch;

pub use effects::Effects;
pub use form::Form;
pub use function_id::{FunctionId, NumberedStep, PathStep};
pub use instruction::{Instruction, MULTI};
pub use listing::listing;
pub use literal::{Literal, LiteralConstant, LiteralStep, Name, Numbered};
pub use opcode::{OpCode, OperandKind, Written};
pub use positions::Positions;
pub use prototype::{
    Capture, ChildSummary, ClosureSite, CodeHash, Constant, DebugInfo, LocalVariable, LoopInfo,
    LoopKind, Prototype, ScopeVariable, UpvalueDescription, VariableKind,
};
pub use recent::Recent;
pub use records::{Local, Record, Records, RecordsWriter, TopLevel};
pub use verify::{Fault, VerifyError, verify};
pub use watch::Watch;
