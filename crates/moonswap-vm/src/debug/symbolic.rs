//! Symbolic execution: where the value of a register came from.
//!
//! It works on code as prototypes have it (constants are indices). As the
//! reference does, it looks for the last instruction before `at` that wrote the
//! register and was surely executed, and reads a name off that instruction.
//!
//! Invariants: F2: a version lives as long as the frame that is asked about.

use moonswap_bytecode::Form;
use moonswap_bytecode::effects::{Effects, jump_distance};
use moonswap_bytecode::{Instruction, OpCode, Record};

use crate::hotpatch::seam;
use crate::object::{Instance, Upvalue, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// A kind ("local", "field", …) and a name.
pub(crate) type Name = (&'static str, Vec<u8>);

/// Longest chain of moves that is followed.
const MAX_MOVES: usize = 64;

/// Largest integer key of an access that is called an "integer index".
const MAX_NAMED_INDEX: u16 = 255;

/// The name of the environment variable.
const ENVIRONMENT: &[u8] = b"_ENV";

/// What names are read from.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    vm: &'a Vm,
    version: *mut Version,
    record: Record<'a>,
}

impl<'a> Code<'a> {
    /// # Safety
    /// The version is live, and a frame has it.
    pub(crate) unsafe fn new(vm: &'a Vm, version: *mut Version) -> Self {
        // SAFETY: by the caller.
        let record = unsafe { Version::record(version) };
        Self {
            vm,
            version,
            record,
        }
    }

    pub(crate) fn at(self, pc: usize) -> Option<(Instruction, OpCode)> {
        // SAFETY: F2; the index is tested.
        let instruction = unsafe {
            let is_there = pc < Version::n_code(self.version);
            is_there.then(|| seam::instruction(self.vm, self.version, pc))?
        };
        Some((instruction, instruction.opcode()?))
    }

    /// Name of a captured variable; "?" in stripped code.
    pub(crate) fn upvalue_name(self, index: usize) -> &'a [u8] {
        match self.record.upvalue_name(index) {
            Some(name) if !self.record.is_stripped => name.as_bytes(),
            _ => b"?",
        }
    }

    /// Name of the local variable that lives in a register at `pc`.
    pub(crate) fn local_name(self, register: u16, pc: usize) -> Option<&'a [u8]> {
        self.record.local_name(register, pc).map(str::as_bytes)
    }

    fn text_constant(self, index: usize) -> Option<Vec<u8>> {
        let value = self.constant(index)?;
        // SAFETY: F2: its constants live with it.
        (value.tag == tag::STRING)
            .then(|| unsafe { crate::object::StringObject::bytes(value.as_string()).to_vec() })
    }

    fn constant(self, index: usize) -> Option<Value> {
        // SAFETY: F2; the index is tested.
        unsafe {
            let is_there = index < (*self.version).n_constants as usize;
            is_there.then(|| *Version::constants(self.version).add(index))
        }
    }

    fn key_constant(self, index: u16) -> Vec<u8> {
        self.text_constant(usize::from(index))
            .unwrap_or_else(|| b"?".to_vec())
    }

    /// Whether a captured variable is the environment.
    fn is_environment(self, upvalue: u16) -> bool {
        self.upvalue_name(usize::from(upvalue)) == ENVIRONMENT
    }

    /// "global" if the table in a register is `_ENV`, else "field".
    fn kind_of_table(self, at: usize, register: u16, budget: usize) -> &'static str {
        match self.object_name(at, register, budget) {
            Some(("local" | "upvalue", name)) if name == ENVIRONMENT => "global",
            _ => "field",
        }
    }

    /// Name of what is in a register right before the instruction at `at`.
    pub(crate) fn register_name(self, at: usize, register: u16) -> Option<Name> {
        self.object_name(at, register, MAX_MOVES)
    }

    fn object_name(self, at: usize, register: u16, budget: usize) -> Option<Name> {
        if let Some(name) = self.local_name(register, at) {
            return Some(("local", name.to_vec()));
        }
        let budget = budget.checked_sub(1)?;
        let pc = self.find_writer(at, register)?;
        let (i, op) = self.at(pc)?;
        if op == OpCode::Move {
            // A move upward is a variable put into an expression.
            return if i.register_b() < i.register_a() {
                self.object_name(pc, i.register_b(), budget)
            } else {
                None
            };
        }
        if op == OpCode::GetTabUp {
            let kind = if self.is_environment(i.b()) {
                "global"
            } else {
                "field"
            };
            return Some((kind, self.key_constant(i.c())));
        }
        if op == OpCode::GetTable {
            let key = match self.object_name(pc, i.register_c(), budget) {
                Some(("constant", text)) => text,
                _ => b"?".to_vec(),
            };
            return Some((self.kind_of_table(pc, i.register_b(), budget), key));
        }
        if op == OpCode::GetIndex {
            // The reference has the index in its instruction only while it fits.
            let name: &[u8] = if i.c() <= MAX_NAMED_INDEX {
                b"integer index"
            } else {
                b"?"
            };
            return Some(("field", name.to_vec()));
        }
        if op == OpCode::GetField {
            return Some((
                self.kind_of_table(pc, i.register_b(), budget),
                self.key_constant(i.c()),
            ));
        }
        if op == OpCode::GetUpvalue || op == OpCode::GetBackfilled {
            return Some(("upvalue", self.upvalue_name(usize::from(i.b())).to_vec()));
        }
        if op == OpCode::GetCell {
            let value = self.constant(usize::try_from(i.bc()).ok()?)?;
            // SAFETY: F2: slot and instance live with the version.
            let name = unsafe {
                let instance = (*(*self.version).slot).instance;
                let cells = Instance::cells(instance).iter();
                let is_it = |cell: &*mut Upvalue| *cell as u64 == value.payload;
                let at = cells.copied().position(|cell| is_it(&cell))?;
                &Instance::cell_names(instance).get(at)?.0
            };
            if name.is_empty() {
                // Of a patch that was rolled back.
                return None;
            }
            return Some(("upvalue", name.as_bytes().to_vec()));
        }
        if op == OpCode::LoadConst {
            let text = self.text_constant(usize::try_from(i.bc()).ok()?)?;
            return Some(("constant", text));
        }
        if op == OpCode::SelfField && register == i.register_a() {
            return Some(("method", self.key_constant(i.c())));
        }
        None
    }

    /// The instruction before `at` that surely was the last to write a
    /// register.
    fn find_writer(self, at: usize, register: u16) -> Option<usize> {
        let mut writer = None;
        // Code before this place may have been jumped over.
        let mut target = 0;
        for pc in 0..at {
            let (i, op) = self.at(pc)?;
            if let Some(distance) = forward_jump(i, op) {
                let to = pc + 1 + distance;
                if to <= at && to > target {
                    target = to;
                }
            }
            if Effects::of(i, op).changes(register) {
                writer = if pc < target { None } else { Some(pc) };
            }
        }
        writer
    }

    /// What the function called by the instruction at `pc` is called there.
    pub(crate) fn callee_name(self, pc: usize) -> Option<Name> {
        let (i, op) = self.at(pc)?;
        if matches!(op, OpCode::Call | OpCode::CallMulti | OpCode::TailCall) {
            return self.register_name(pc, i.register_a());
        }
        if op == OpCode::TForCall {
            return Some(("for iterator", b"for iterator".to_vec()));
        }
        Some(("metamethod", op.event()?.as_bytes().to_vec()))
    }
}

/// Distance of a forward jump (loops' own jumps do not count: what they skip is
/// dead behind them).
fn forward_jump(i: Instruction, op: OpCode) -> Option<usize> {
    if matches!(op.form(), Form::ForPrep | Form::TForPrep) {
        return None;
    }
    usize::try_from(jump_distance(i, op)?).ok()
}
