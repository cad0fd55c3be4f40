//! How like two functions are: the share of names, constants and pairs of
//! neighbouring operations that both have, nested functions included. Blind to
//! lines and registers, cheap, the same everywhere.

use std::hash::{DefaultHasher, Hash, Hasher};

use foldhash::HashMap;
use moonswap_bytecode::prototype::{Constant, Prototype};
use moonswap_bytecode::{OpCode, OperandKind};

use crate::patch::outline::LiteralIndex;

/// What a function is made of: a sorted list of hashes, with repetitions.
#[derive(Debug)]
pub(crate) struct Sketch(Vec<u32>);

/// Most parts that are looked at; of larger functions the beginning decides.
const MAX_PARTS: usize = 4096;

/// Names and constants count for this many pairs of operations.
const NAME_WEIGHT: usize = 2;

fn hash(what: impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish() as u32
}

impl Sketch {
    pub(crate) fn of(prototype: &Prototype) -> Self {
        let mut parts = Vec::new();
        let mut todo = vec![prototype];
        while let Some(prototype) = todo.pop() {
            add(prototype, &mut parts);
            if parts.len() >= MAX_PARTS {
                parts.truncate(MAX_PARTS);
                break;
            }
            todo.extend(prototype.children.iter().rev().map(|child| &**child));
        }
        parts.sort_unstable();
        Self(parts)
    }

    /// Number of parts: a measure of size.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// From 0, nothing in common, to 1: twice what both have, by what each has.
    pub(crate) fn likeness(&self, other: &Self) -> f64 {
        let all = self.len() + other.len();
        if all == 0 {
            return 1.0;
        }
        (2 * self.common(other)) as f64 / all as f64
    }

    /// Whether one is the other with about a statement more: of a short function
    /// that can be most of its parts.
    pub(crate) fn is_extension(&self, other: &Self) -> bool {
        // The first pair of operations is another one if the statement stands first.
        const LOST: usize = 1;
        const STATEMENT: usize = 12;
        let common = self.common(other);
        let (a, b) = (self.len() - common, other.len() - common);
        a.min(b) <= LOST && a.max(b) <= STATEMENT
    }

    fn common(&self, other: &Self) -> usize {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = 0_usize;
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let order = x.cmp(y);
            common += usize::from(order.is_eq());
            if order.is_le() {
                a.next();
            }
            if order.is_ge() {
                b.next();
            }
        }
        common
    }
}

fn add(prototype: &Prototype, parts: &mut Vec<u32>) {
    let mut name = |what: u32| parts.extend([what; NAME_WEIGHT]);
    let constant = |at: usize| match prototype.constants.get(at) {
        Some(Constant::String(text)) => Some(hash(text)),
        Some(Constant::Integer(i)) => Some(hash(i)),
        Some(Constant::Float(x)) => Some(hash(x.to_bits())),
        Some(Constant::Nil | Constant::Boolean(_) | Constant::Cell(_)) | None => None,
    };
    for local in &prototype.debug.locals {
        if !local.name.starts_with('(') {
            name(hash(local.name.as_bytes()));
        }
    }
    for instruction in &prototype.code {
        let kinds = instruction.opcode().unwrap_or(OpCode::Halt).operands();
        let fields = [instruction.a(), instruction.b(), instruction.c()];
        for (kind, value) in kinds.into_iter().zip(fields) {
            let found = match kind {
                kind if kind.is_wide_constant() => constant(instruction.bc() as usize),
                kind if kind.is_constant() => constant(usize::from(value)),
                OperandKind::Immediate | OperandKind::Shift | OperandKind::Unsigned => {
                    Some(hash(i64::from(value.cast_signed())))
                }
                OperandKind::WideImmediate => Some(hash(i64::from(instruction.bc()))),
                OperandKind::Upvalue => prototype
                    .upvalues
                    .get(usize::from(value))
                    .filter(|upvalue| &*upvalue.name != "_ENV")
                    .map(|upvalue| hash(upvalue.name.as_bytes())),
                _ => None,
            };
            found.into_iter().for_each(&mut name);
        }
    }
    let mut before = None;
    for instruction in &prototype.code {
        let now = instruction.opcode().map(|op| op as u8);
        parts.push(hash((before, now)));
        before = now;
    }
}

/// Sketches that were needed, old and new.
pub(crate) type Sketches = [HashMap<LiteralIndex, Sketch>; 2];
