//! Strings of the chunk that is being loaded. Equal long ones are one object, as in
//! the reference, also across functions; short ones that many functions share are
//! looked up once. Nothing collects meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::Recent;

use crate::heap::Heap;
use crate::object::MAX_SHORT;
use crate::value::Value;

/// From so many short strings on it pays to remember them.
const FEW: u32 = 64;

/// How many short strings are remembered, a power of two.
const RECENT: usize = 512;

/// What constants were made into.
#[derive(Default)]
pub(crate) struct ChunkStrings {
    long: HashMap<Arc<[u8]>, Value>,
    /// Short ones.
    recent: Option<Box<Recent<[u8], Value, RECENT>>>,
    n_short: u32,
    /// Bytes of the long ones, which are kept until the chunk is loaded.
    bytes: usize,
}

impl ChunkStrings {
    /// A string constant as a value.
    pub(crate) fn value(&mut self, heap: &mut Heap, s: &Arc<[u8]>) -> Value {
        if s.len() <= MAX_SHORT {
            return self.short(heap, s);
        }
        if let Some(&value) = self.long.get(s) {
            return value;
        }
        let value = Value::string(heap.string(s));
        self.bytes += s.len() + Self::LONG;
        self.long.insert(Arc::clone(s), value);
        value
    }

    /// What a long one takes beyond its bytes, about: its entry in a table that grows.
    const LONG: usize = 128;

    /// Bytes that are kept, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes + self.recent.as_deref().map_or(0, size_of_val)
    }

    fn short(&mut self, heap: &mut Heap, s: &Arc<[u8]>) -> Value {
        if self.n_short < FEW {
            self.n_short += 1;
            return Value::string(heap.string(s));
        }
        let recent = self.recent.get_or_insert_default();
        if let Some(value) = recent.get(s) {
            return value;
        }
        let value = Value::string(heap.string(s));
        recent.put(s, value);
        value
    }

    /// Constants with these bytes become this value, if they are long.
    pub(crate) fn note(&mut self, bytes: &[u8], value: Value) {
        if bytes.len() > MAX_SHORT {
            self.long.entry(bytes.into()).or_insert(value);
        }
    }
}
