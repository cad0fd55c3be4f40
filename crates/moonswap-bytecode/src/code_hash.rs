//! Hash of what a literal *means*: code, constants by value, captured
//! variables by name, arity. No lines, no names of local variables.
//!
//! 128 bits, so that equal hashes may be taken for equal code. The result is
//! the same on every platform and in every build.

use crate::function_id::{NumberedStep, PathStep};
use crate::instruction::Instruction;
use crate::prototype::{
    Capture, ChildSummary, CodeHash, Constant, Prototype, UpvalueDescription, VariableKind,
};

/// Two multiply-rotate lanes with different constants, mixed at the end.
struct Hasher {
    a: u64,
    b: u64,
}

impl Hasher {
    fn new() -> Self {
        Self {
            a: 0x9E37_79B9_7F4A_7C15,
            b: 0xC2B2_AE3D_27D4_EB4F,
        }
    }

    fn word(&mut self, word: u64) {
        self.a = (self.a ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        self.a ^= self.a >> 32;
        self.b = self.b.rotate_left(23) ^ word.wrapping_mul(0x8764_8B1D_5F7C_A2E5);
        self.b = self.b.wrapping_mul(0xC4CE_B9FE_1A85_EC53) ^ (self.a >> 17);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn finish(mut self) -> CodeHash {
        for i in 0..4 {
            self.word(i);
        }
        CodeHash(u128::from(self.a) << 64 | u128::from(self.b))
    }
}

/// One hash of several, each with a name.
pub fn combined(parts: &[(&str, CodeHash)]) -> CodeHash {
    let mut hasher = Hasher::new();
    for (name, CodeHash(hash)) in parts {
        hasher.bytes(name.as_bytes());
        hasher.word((hash >> 64) as u64);
        hasher.word(*hash as u64);
    }
    hasher.finish()
}

/// Sets the hashes of a prototype, whose children have theirs already.
pub fn set(prototype: &mut Prototype) {
    let children = std::mem::take(&mut prototype.children);
    set_both(prototype, || {
        let children = children.iter();
        children.map(|child| (child.id.path().last(), child.deep_hash))
    });
    prototype.children = children;
}

/// The same of a prototype without its children, which were these.
pub fn set_with(prototype: &mut Prototype, children: &[ChildSummary]) {
    set_both(prototype, || {
        let children = children.iter();
        children.map(|child| (child.step.as_ref(), child.deep_hash))
    });
}

/// The hash of its own meaning, for which children count by their paths only; and
/// that with the hashes of its children.
fn set_both<'a, I>(prototype: &mut Prototype, children: impl Fn() -> I)
where
    I: Iterator<Item = (Option<&'a NumberedStep>, CodeHash)>,
{
    let mut hasher = Hasher::new();
    own(&mut hasher, prototype);
    for (step, _) in children() {
        match step {
            Some((step, ordinal)) => {
                path_step(&mut hasher, step);
                hasher.word(u64::from(*ordinal));
            }
            None => hasher.word(u64::MAX),
        }
    }
    prototype.own_hash = hasher.finish();
    let mut hasher = Hasher::new();
    let mut add = |CodeHash(hash): CodeHash| {
        hasher.word((hash >> 64) as u64);
        hasher.word(hash as u64);
    };
    add(prototype.own_hash);
    for (_, deep_hash) in children() {
        add(deep_hash);
    }
    prototype.deep_hash = hasher.finish();
}

fn own(hasher: &mut Hasher, prototype: &Prototype) {
    hasher.word(u64::from(prototype.n_params));
    hasher.word(u64::from(prototype.is_vararg));
    hasher.word(u64::from(prototype.frame_size));
    hasher.word(prototype.code.len() as u64);
    for instruction in &prototype.code {
        hasher.word(Instruction::to_bits(*instruction));
    }
    hasher.word(prototype.constants.len() as u64);
    for value in &prototype.constants {
        constant(hasher, value);
    }
    hasher.word(prototype.upvalues.len() as u64);
    for description in &prototype.upvalues {
        upvalue(hasher, description);
    }
    hasher.word(prototype.sites.len() as u64);
    for site in &prototype.sites {
        hasher.word(u64::from(site.child));
        hasher.word(site.captures.len() as u64);
        for capture in &site.captures {
            match capture {
                Capture::Register(register) => hasher.word(1 << 32 | u64::from(*register)),
                Capture::Upvalue(index) => hasher.word(2 << 32 | u64::from(*index)),
                Capture::Cell(cell) => {
                    hasher.word(3 << 32 | u64::from(*cell));
                }
                Capture::Vacant => hasher.word(4 << 32),
                Capture::Late(index) => hasher.word(5 << 32 | u64::from(*index)),
            }
        }
    }
}

fn constant(hasher: &mut Hasher, value: &Constant) {
    match value {
        Constant::Nil => hasher.word(0),
        Constant::Boolean(b) => hasher.word(1 + u64::from(*b)),
        Constant::Integer(i) => {
            hasher.word(3);
            hasher.word(*i as u64);
        }
        Constant::Float(f) => {
            hasher.word(4);
            hasher.word(f.to_bits());
        }
        Constant::String(s) => {
            hasher.word(5);
            hasher.bytes(s);
        }
        Constant::Cell(cell) => {
            hasher.word(6);
            hasher.word(u64::from(*cell));
        }
    }
}

fn upvalue(hasher: &mut Hasher, description: &UpvalueDescription) {
    hasher.bytes(description.name.as_bytes());
    hasher.word(match description.kind {
        VariableKind::Regular => 0,
        VariableKind::Const => 1,
        VariableKind::ToBeClosed => 2,
    });
    hasher.word(u64::from(description.depth));
    hasher.word(u64::from(description.declaration));
    hasher.word(u64::from(description.top_level) | u64::from(description.in_loop) << 1);
}

fn path_step(hasher: &mut Hasher, step: &PathStep) {
    let (kind, name, n) = step.parts();
    hasher.word(u64::from(kind) << 32 | u64::from(n));
    hasher.bytes(name.map_or("", |name| name).as_bytes());
}
