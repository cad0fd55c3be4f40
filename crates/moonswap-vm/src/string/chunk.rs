//! Strings of the chunk that is being loaded. Equal long ones are one object, as in
//! the reference, also across functions; short ones that many functions share are
//! looked up once. Nothing collects meanwhile.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::dump::Kept;
use moonswap_bytecode::{Numbered, Recent, RecordsWriter};

use crate::heap::Heap;
use crate::object::MAX_SHORT;
use crate::value::{Value, tag};

/// From so many short strings on it pays to remember them.
const FEW: u32 = 64;

/// How many short strings are remembered, a power of two.
const RECENT: usize = 512;

/// Strings for which the list is kept.
const MOST_KEPT: usize = 4096;

/// What loading has at hand.
#[derive(Default)]
pub(crate) struct Loads {
    /// String constants of the chunk that is being loaded.
    pub(crate) strings: Option<ChunkStrings>,
    /// Lists of the binary chunk that was loaded last, for the next one. Unless there is a
    /// limit of memory.
    pub(crate) kept: Option<Box<Kept>>,
    pub(crate) records: Option<Box<RecordsWriter>>,
    numbered: Vec<Value>,
}

impl Loads {
    /// A chunk's strings are needed no more. `keeps`: their list is, for the next one.
    pub(crate) fn forget_strings(&mut self, keeps: bool) {
        // Only binary chunks have numbers.
        let numbered = self.strings.take().map(|strings| strings.numbered);
        if let Some(mut numbered) = numbered.filter(|list| list.capacity() > 0)
            && keeps
            && numbered.capacity() <= MOST_KEPT
        {
            numbered.clear();
            self.numbered = numbered;
        }
    }

    /// Has room for the strings of a binary chunk of so many bytes.
    pub(crate) fn expect(&mut self, bytes: usize) {
        if let Some(strings) = &mut self.strings {
            strings.numbered = std::mem::take(&mut self.numbered);
            strings.numbered.reserve(bytes / 128);
        }
    }
}

/// What constants were made into.
#[derive(Default)]
pub(crate) struct ChunkStrings {
    long: HashMap<Arc<[u8]>, Value>,
    /// Short ones.
    recent: Option<Box<Recent<[u8], Value, RECENT>>>,
    n_short: u32,
    /// Short ones of a binary chunk, by their numbers; nil: not made yet.
    numbered: Vec<Value>,
    /// Bytes of the long ones, which are kept until the chunk is loaded.
    bytes: usize,
}

impl ChunkStrings {
    /// A string constant as a value.
    pub(crate) fn value(&mut self, heap: &mut Heap, s: &Arc<[u8]>) -> Value {
        if s.len() <= MAX_SHORT {
            return self.short(heap, s);
        }
        self.long(heap, s, || Arc::clone(s))
    }

    /// A string constant of a binary chunk as a value.
    #[inline]
    pub(crate) fn numbered(&mut self, heap: &mut Heap, s: Numbered<&[u8]>) -> Value {
        match s.number().and_then(|number| self.numbered.get(number)) {
            Some(&value) if value.tag != tag::NIL => value,
            _ => self.first(heap, s),
        }
    }

    /// The same of one that comes for the first time, or is long.
    fn first(&mut self, heap: &mut Heap, s: Numbered<&[u8]>) -> Value {
        let text = s.text();
        let Some(number) = s.number().filter(|_| text.len() <= MAX_SHORT) else {
            return self.long(heap, text, || text.into());
        };
        let value = Value::string(heap.string(text));
        match self.numbered.get_mut(number) {
            Some(known) => *known = value,
            None => {
                // Strings that are no constants have numbers, too.
                self.numbered.resize(2 * number + 1, Value::NIL);
                self.numbered[number] = value;
            }
        }
        value
    }

    fn long(&mut self, heap: &mut Heap, s: &[u8], shared: impl FnOnce() -> Arc<[u8]>) -> Value {
        if let Some(&value) = self.long.get(s) {
            return value;
        }
        let value = Value::string(heap.string(s));
        self.bytes += s.len() + Self::LONG;
        self.long.insert(shared(), value);
        value
    }

    /// What a long one takes beyond its bytes, about: its entry in a table that grows.
    const LONG: usize = 128;

    /// Bytes that are kept, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        let numbered = self.numbered.capacity() * size_of::<Value>();
        self.bytes + numbered + self.recent.as_deref().map_or(0, size_of_val)
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
