//! Layouts of heap objects: the only description of them.
//!
//! Every object starts with [`Header`]. Objects are reached by raw pointers;
//! references to them are made only inside one accessor and never held over an
//! allocation or a safe point. Which objects live in block cells and which are
//! boxed (those with a destructor) is the heap's business.

mod coroutine;
mod entry;
mod hook;
mod host_data;
mod instance;
mod native;
mod pointer;
mod registry;
pub(crate) mod stack;
mod text;

use std::sync::Arc;

use moonswap_bytecode::{FunctionId, Prototype, Record, Records, UpvalueDescription};
use moonswap_hotpatch::Migration;

use crate::value::Value;

pub(crate) use coroutine::{Coroutine, CoroutineStatus};
pub(crate) use entry::Entry;
pub(crate) use hook::{Hook, HookState, Step};
pub(crate) use host_data::HostData;
pub use host_data::WarningSink;
pub use instance::Keep;
pub(crate) use instance::{CellNames, Instance, More, Patched, Source};
pub use native::{Context, NativeFn, NativeKind};
pub(crate) use native::{Native, NativeCode};
pub(crate) use registry::{SlotPointer, SlotRegistry};
pub(crate) use text::{HeldText, LONG_TEXT};

/// What kind of object a header belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Free cell. Must be 0.
    Free = 0,
    /// String (leaf).
    String,
    /// Table.
    Table,
    /// Array or node part of a table, owned by it (marked through it).
    Part,
    /// Lua closure.
    Closure,
    /// Captured variable.
    Upvalue,
    /// Native function (boxed).
    Native,
    /// Userdata (boxed).
    UserData,
    /// Coroutine (boxed).
    Coroutine,
    /// Prototype slot (boxed).
    Slot,
    /// Loaded version of a prototype (boxed).
    Version,
    /// Chunk instance (boxed).
    Instance,
}

/// First word of every object.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// 0 = new/white; equal to the heap's current epoch = marked.
    pub(crate) mark: u8,
    /// Per kind: strings [`StringObject`] and closures [`Closure`] flags; tables: cached *absence* of
    /// metamethods in this table (bit = event number), see `meta.rs`.
    pub(crate) flags: u8,
    /// Per kind; the heap may use it (e.g. "has finalizer").
    pub(crate) extra: u8,
    /// Per kind: string hash; table: node mask (number of nodes - 1).
    pub(crate) word: u32,
}

/// Longest interned string, bytes.
pub(crate) const MAX_SHORT: usize = 40;

/// A byte string. Short ones (<= 40 bytes) are interned: equal means same
/// pointer. `header.word` is the hash (long ones: valid if HASHED).
#[repr(C)]
pub(crate) struct StringObject {
    pub(crate) header: Header,
    pub(crate) len: usize,
    /// Inline: the first bytes; EXTERNAL: a pointer to the bytes.
    pub(crate) data: [u8; 0],
}

impl StringObject {
    /// `header.flags`: interned.
    pub(crate) const SHORT: u8 = 1;
    /// `header.flags`: the bytes are in a separate allocation.
    pub(crate) const EXTERNAL: u8 = 2;
    /// `header.flags`: long string whose hash was computed.
    pub(crate) const HASHED: u8 = 4;

    /// The bytes. They stay valid as long as the object is not collected.
    ///
    /// # Safety
    /// `this` points to a live string.
    #[inline(always)]
    pub(crate) unsafe fn bytes<'a>(this: *const Self) -> &'a [u8] {
        // SAFETY: by the caller; len and data belong together.
        unsafe {
            let inline = (&raw const (*this).data).cast::<u8>();
            let start = if (*this).header.flags & Self::EXTERNAL != 0 {
                *inline.cast::<*const u8>()
            } else {
                inline
            };
            std::slice::from_raw_parts(start, (*this).len)
        }
    }

    /// Bytes that the system was asked for besides the cell.
    ///
    /// # Safety
    /// `this` points to an allocated string.
    pub(crate) unsafe fn body_capacity(this: *const Self) -> usize {
        // SAFETY: by the caller; external ones keep pointer and capacity.
        unsafe {
            if (*this).header.flags & Self::EXTERNAL == 0 {
                return 0;
            }
            *(&raw const (*this).data).cast::<usize>().add(1)
        }
    }

    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(crate) unsafe fn is_short(this: *const Self) -> bool {
        // SAFETY: by the caller.
        unsafe { (*this).header.flags & Self::SHORT != 0 }
    }
}

/// One entry of a table's hash part: chained scatter with Brent's variation.
/// Removed entries keep their key (value nil), so that `next` can go on.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) value: u64,
    pub(crate) key: u64,
    pub(crate) value_tag: u8,
    pub(crate) key_tag: u8,
    pub(crate) pad: u16,
    /// Distance in nodes to the next of the chain; 0 = last.
    pub(crate) next: i32,
}

/// A table: array part with values and tags apart, hash part of nodes.
///
/// `nodes` is never null: an empty hash part points to one static read-only
/// node with nil key and nil value (`header.word` = 0), never written to.
/// Array entry i (1-based i <= array_len) is `array[i-1]` with tag byte at
/// `(array + array_cap) as *u8 [i-1]`. Slots in `array_len..array_cap` are
/// uninitialised. `array_len` counts used slots (some may be nil).
// Inline parts behind it hold 64-bit words, on 32-bit machines as well.
#[repr(C, align(8))]
pub(crate) struct Table {
    pub(crate) header: Header,
    pub(crate) metatable: *mut Table,
    pub(crate) nodes: *mut Node,
    pub(crate) array: *mut u64,
    pub(crate) array_len: u32,
    pub(crate) array_cap: u32,
    /// All nodes at or after this index are in use (search for a free one
    /// goes down from here).
    pub(crate) last_free: u32,
    /// Number of the undo log that was kept when it was made
    /// (`undo/mod.rs`); 0: none.
    pub(crate) made_in: u32,
}

/// A captured variable. Open: `value` points into a stack; closed: to `closed`.
#[repr(C)]
pub(crate) struct Upvalue {
    pub(crate) header: Header,
    pub(crate) value: *mut Value,
    pub(crate) closed: Value,
    /// Open ones of a coroutine form a list, highest stack slot first.
    pub(crate) next_open: *mut Upvalue,
}

impl Upvalue {
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn is_open(this: *const Self) -> bool {
        // SAFETY: by the caller, `this` is live.
        unsafe { !std::ptr::eq((*this).value, &raw const (*this).closed) }
    }
}

/// What a closure points to.
#[cfg(not(feature = "frozen"))]
pub(crate) type Callee = PrototypeSlot;
/// What a closure points to.
#[cfg(feature = "frozen")]
pub(crate) type Callee = Version;

/// A Lua function: slot (see `callee.rs`) plus captured variables.
#[repr(C)]
pub(crate) struct Closure {
    /// `header.word` = number of captured variables.
    pub(crate) header: Header,
    pub(crate) callee: *mut Callee,
    pub(crate) upvalues: [*mut Upvalue; 0],
}

impl Closure {
    /// `header.flags`: has captured variables beyond its own (`heap/backfill.rs`).
    pub(crate) const HAS_EXTRA_UPVALUES: u8 = 1;

    /// Address of the i-th captured variable's pointer.
    ///
    /// # Safety
    /// `this` is live and has more than `i` variables.
    #[inline(always)]
    pub(crate) unsafe fn upvalue_at(this: *mut Self, i: usize) -> *mut *mut Upvalue {
        // SAFETY: by the caller, i < header.word.
        unsafe { (&raw mut (*this).upvalues).cast::<*mut Upvalue>().add(i) }
    }
}

/// A capture list, boxed to be thin: there is a slot for each literal.
pub(crate) type Reserved = Option<Box<Arc<[UpvalueDescription]>>>;

/// The one place that says which version of a literal is current. The hot
/// fields a call needs are copies from `version`; only `hotpatch::commit`
/// changes them after creation.
#[repr(C)]
pub(crate) struct PrototypeSlot {
    /// `word`: captured variables that every closure of it has: those of its first
    /// version.
    pub(crate) header: Header,
    pub(crate) entry: Entry,
    #[cfg(feature = "frozen")]
    pub(crate) version: *mut Version,
    /// The longest capture list of all its versions, if longer: indices are
    /// append-only, also across a rollback.
    pub(crate) reserved: Reserved,
    pub(crate) instance: *mut Instance,
}

impl PrototypeSlot {
    /// `header.flags`: no patch may change the function's code.
    pub(crate) const PROTECTED: u8 = 1;
    /// `header.flags`: a patch has given it other code, now or before.
    pub(crate) const REPLACED: u8 = 2;
    /// `header.flags`: a closure of it was made.
    pub(crate) const MADE: u8 = 4;

    /// Which version is current; null before the first is installed.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(crate) unsafe fn version(this: *const Self) -> *mut Version {
        // SAFETY: by the caller, `this` is live; the link has the address.
        #[cfg(not(feature = "frozen"))]
        return unsafe { ((*this).entry.link >> 8) as *mut Version };
        // SAFETY: as above.
        #[cfg(feature = "frozen")]
        return unsafe { (*this).version };
    }

    /// Captured variables that every closure of it has.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(crate) unsafe fn n_fixed(this: *const Self) -> u16 {
        // SAFETY: by the caller, `this` is live.
        unsafe { (*this).header.word as u16 }
    }

    /// The number of the current version, from 1.
    ///
    /// # Safety
    /// `this` is live and installed.
    pub(crate) unsafe fn number(this: *const Self) -> u32 {
        // SAFETY: by the caller, `this` is live and installed.
        unsafe { Version::number(Self::version(this)) }
    }
}

/// A prototype loaded into this VM. Behind it, in the same allocation: the code,
/// a private mutable copy (guesses and traps are written into it); the constants
/// (16 bytes each), which code reaches by distances; the slots of the literals in
/// it; the closure-creation sites. Activations keep pointers into the code: all of
/// them come from the one to the version, and nothing borrows the words.
#[repr(C)]
pub(crate) struct Version {
    /// `word`: number of instructions.
    pub(crate) header: Header,
    #[cfg(feature = "frozen")]
    pub(crate) entry: Entry,
    pub(crate) slot: *mut PrototypeSlot,
    /// What most versions do not have.
    pub(crate) rare: Option<Box<Rare>>,
    /// Where it is recorded: in its own records, or those of the instance.
    pub(crate) record: u32,
    pub(crate) n_constants: u32,
    pub(crate) n_children: u32,
    /// Words behind this.
    pub(crate) n_words: u32,
    pub(crate) frame_size: u16,
    pub(crate) n_upvalues: u16,
    pub(crate) n_params: u8,
    pub(crate) is_vararg: bool,
    pub(crate) is_main: bool,
    pub(crate) words: [u64; 0],
}

/// What versions have that a patch brought or replaced.
#[derive(Default)]
pub(crate) struct Rare {
    /// Of a version that was not loaded with its chunk; those that were are the first.
    pub(crate) number: u32,
    /// What it was loaded from; of first versions the instance knows.
    pub(crate) prototype: Option<Arc<Prototype>>,
    /// Bytes of that, about.
    pub(crate) prototype_bytes: usize,
    /// Its own record, if it was not loaded with its chunk.
    pub(crate) records: Option<Records>,
    /// Of a main chunk: the cells that its top-level locals have, in the order of
    /// its record. Names of cells change with the text, numbers never.
    pub(crate) scope_cells: Box<[Option<u32>]>,
    /// Replaced by a patch that gave its activations until then.
    pub(crate) finish_by: Option<std::time::Instant>,
    /// Replaced by a patch that takes its activations along.
    pub(crate) migration: Option<Box<Pending>>,
}

/// Where the activations of a replaced version go.
pub(crate) struct Pending {
    pub(crate) target: *mut Version,
    pub(crate) turns: Arc<Migration>,
    /// What the version was loaded from.
    pub(crate) original: Arc<Prototype>,
    /// Turns at which an activation could not move after all: nobody tries again.
    pub(crate) failed: Vec<u32>,
}

impl Version {
    /// The first instruction.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(crate) unsafe fn code(this: *mut Self) -> *mut u64 {
        // SAFETY: by the caller, `this` is live; the words are behind it.
        unsafe { (&raw mut (*this).words).cast() }
    }

    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn n_code(this: *const Self) -> usize {
        // SAFETY: by the caller, `this` is live.
        unsafe { (*this).header.word as usize }
    }

    /// The first of its constants.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn constants(this: *mut Self) -> *mut Value {
        // SAFETY: by the caller; constants stand behind the code.
        unsafe { Self::code(this).add(Self::n_code(this)).cast() }
    }

    /// The first of the slots of the literals in it.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    unsafe fn first_child(this: *mut Self) -> *mut u64 {
        // SAFETY: by the caller; they stand behind the constants.
        unsafe {
            let n = (*this).header.word + 2 * (*this).n_constants;
            Self::code(this).add(n as usize)
        }
    }

    /// The slot of a literal in it.
    ///
    /// # Safety
    /// `this` is live and has more than `i` children.
    #[inline(always)]
    pub(crate) unsafe fn child(this: *mut Self, i: usize) -> *mut PrototypeSlot {
        // SAFETY: by the caller, `i` is below their number.
        unsafe { *Self::first_child(this).add(i).cast::<*mut PrototypeSlot>() }
    }

    /// The slots of the literals in it.
    ///
    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn children<'a>(this: *mut Self) -> &'a [*mut PrototypeSlot] {
        // SAFETY: by the caller; nobody writes them once it is loaded.
        unsafe {
            let n = (*this).n_children as usize;
            std::slice::from_raw_parts(Self::first_child(this).cast(), n)
        }
    }

    /// Its closure-creation sites, as `loader::sites` lays them out.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(crate) unsafe fn sites(this: *mut Self) -> *const u32 {
        // SAFETY: by the caller; they stand behind the slots.
        unsafe {
            Self::first_child(this)
                .add((*this).n_children as usize)
                .cast()
        }
    }

    /// What is to be known about it beyond the code. Lives as long as the version.
    ///
    /// # Safety
    /// `this` is live as long as the answer is used.
    pub(crate) unsafe fn record<'a>(this: *const Self) -> Record<'a> {
        // SAFETY: by the caller, `this` is live, hence its slot and instance.
        unsafe {
            let own = (*this).rare.as_ref().and_then(|rare| rare.records.as_ref());
            let records = match own {
                Some(own) => own,
                None => &(*(*(*this).slot).instance).records,
            };
            let records: *const Records = records;
            (*records).get((*this).record)
        }
    }

    /// What it was loaded from, if that is at hand.
    ///
    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn prototype<'a>(this: *const Self) -> Option<&'a Arc<Prototype>> {
        // SAFETY: by the caller, `this` is live, hence its slot and instance.
        unsafe {
            if let Some(rare) = (&raw const (*this).rare).as_ref().and_then(|r| r.as_ref())
                && (rare.prototype.is_some() || rare.records.is_some())
            {
                return rare.prototype.as_ref();
            }
            let instance = (*(*this).slot).instance;
            let literals = Instance::patched(instance)?.literals.as_ref()?;
            literals.all.get((*this).record as usize)
        }
    }

    /// Counts from 1.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn number(this: *const Self) -> u32 {
        // SAFETY: by the caller, `this` is live.
        match unsafe { &(*this).rare } {
            Some(rare) if rare.records.is_some() => rare.number,
            _ => 1,
        }
    }

    /// Who it is.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn id(this: *const Self) -> FunctionId {
        // SAFETY: by the caller, `this` is live, hence its slot and instance.
        unsafe {
            match Self::prototype(this) {
                Some(prototype) => prototype.id.clone(),
                None => Self::record(this).id(&(*(*(*this).slot).instance).chunk),
            }
        }
    }

    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn migration<'a>(this: *const Self) -> Option<&'a Pending> {
        // SAFETY: by the caller; the reference is used at once.
        unsafe {
            let rare = (&raw const (*this).rare).as_ref()?.as_ref()?;
            rare.migration.as_deref()
        }
    }

    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn finish_by(this: *const Self) -> Option<std::time::Instant> {
        // SAFETY: by the caller.
        unsafe { (&(*this).rare).as_ref().and_then(|rare| rare.finish_by) }
    }
}

// There may be a hundred thousand of each.
#[cfg(all(target_pointer_width = "64", not(feature = "frozen")))]
const _: () = assert!(
    size_of::<PrototypeSlot>() == 48 && size_of::<Version>() == 48 && size_of::<Instance>() == 104
);

/// A value of the host, with optional metatable. Boxed; dropped when collected.
#[repr(C)]
pub(crate) struct UserData {
    pub(crate) header: Header,
    pub(crate) metatable: *mut Table,
    pub(crate) data: Option<Box<dyn std::any::Any>>,
    pub(crate) user_values: Box<[Value]>,
    /// Bytes that `data` owns elsewhere, as far as its owner told.
    pub(crate) owned: usize,
}
