//! Layouts of heap objects: the only description of them.
//!
//! Every object starts with [`Header`]. Objects are reached by raw pointers;
//! references to them are made only inside one accessor and never held over an
//! allocation or a safe point. Which objects live in block cells and which are
//! boxed (those with a destructor) is the heap's business.

mod hook;
mod native;
mod pending;
mod registry;
pub(crate) mod stack;
mod text;

use moonswap_hotpatch::Progress;
use std::ptr::NonNull;
use std::sync::Arc;

use moonswap_bytecode::{Instruction, Prototype, UpvalueDescription};

use crate::callee::{Callee, Entry};
use crate::value::Value;

pub(crate) use hook::{Hook, HookState, Step};
pub use native::{Context, NativeFn, NativeKind};
pub(crate) use native::{Native, NativeCode};
pub(crate) use pending::Pending;
pub(crate) use registry::{SlotPointer, SlotRegistry};
pub(crate) use text::HeldText;

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
    pub(crate) unsafe fn is_open(this: *const Self) -> bool {
        // SAFETY: by the caller, `this` is live.
        unsafe { !std::ptr::eq((*this).value, &raw const (*this).closed) }
    }
}

/// A Lua function: slot (see `callee.rs`) plus captured variables.
#[repr(C)]
pub(crate) struct Closure {
    /// `header.word` = number of captured variables.
    pub(crate) header: Header,
    pub(crate) callee: *mut Callee,
    pub(crate) upvalues: [*mut Upvalue; 0],
}

impl Closure {
    /// `header.flags`: has captured variables beyond its own (`heap/late.rs`).
    pub(crate) const HAS_ANNEXE: u8 = 1;

    /// Address of the i-th captured variable's pointer.
    #[inline(always)]
    pub(crate) unsafe fn upvalue_at(this: *mut Self, i: usize) -> *mut *mut Upvalue {
        // SAFETY: by the caller, i < header.word.
        unsafe { (&raw mut (*this).upvalues).cast::<*mut Upvalue>().add(i) }
    }
}

/// The one place that says which version of a literal is current. The hot
/// fields a call needs are copies from `version`; only `hotpatch::commit`
/// changes them after creation.
#[repr(C)]
pub(crate) struct PrototypeSlot {
    pub(crate) header: Header,
    pub(crate) entry: Entry,
    pub(crate) version: *mut Version,
    /// Counts from 1.
    pub(crate) version_number: u32,
    /// Captured variables that every closure of it has: those of its first
    /// version.
    pub(crate) n_fixed: u16,
    /// The longest capture list of all its versions, if longer: indices are
    /// append-only, also across a rollback.
    pub(crate) reserved: Option<Arc<[UpvalueDescription]>>,
    pub(crate) instance: *mut Instance,
}

impl PrototypeSlot {
    /// `header.flags`: no patch may change the function's code.
    pub(crate) const PROTECTED: u8 = 1;
    /// `header.flags`: a patch has given it other code, now or before.
    pub(crate) const REPLACED: u8 = 2;
}

/// Words of code followed by constants (16 bytes each). Code is written to while
/// it runs (guesses, traps) and activations keep pointers into it: all of them
/// come from the one that is kept here, and nothing borrows the words.
pub(crate) struct Code(NonNull<[u64]>);

impl Code {
    pub(crate) fn new(words: Vec<u64>) -> Self {
        Self(NonNull::from(Box::leak(words.into_boxed_slice())))
    }

    /// The first instruction.
    #[inline(always)]
    pub(crate) fn start(&self) -> *mut u64 {
        self.0.as_ptr().cast()
    }

    /// Words, constants included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: from a box; versions die when no activation pins them.
        unsafe { drop(Box::from_raw(self.0.as_ptr())) };
    }
}

/// A prototype loaded into this VM: private mutable copy of the code with
/// constants behind it (pc-relative), caches and quickened instructions in it.
#[repr(C)]
pub(crate) struct Version {
    pub(crate) header: Header,
    #[cfg(feature = "frozen")]
    pub(crate) entry: Entry,
    /// Bytes of the prototype, about; counted here, as versions keep it alive.
    pub(crate) prototype_bytes: usize,
    pub(crate) prototype: Arc<Prototype>,
    pub(crate) code: Code,
    pub(crate) n_code: usize,
    /// Slots of `prototype.children`, same order.
    pub(crate) children: Box<[*mut PrototypeSlot]>,
    pub(crate) slot: *mut PrototypeSlot,
    /// Of a main chunk: the cells that its top-level locals have, in the order of
    /// `prototype.scope`. Names of cells change with the text, numbers never.
    pub(crate) scope_cells: Box<[Option<u32>]>,
    pub(crate) number: u32,
    /// Replaced by a patch that gave its activations until then.
    pub(crate) finish_by: Option<std::time::Instant>,
    /// Replaced by a patch that takes its activations along.
    pub(crate) migration: Option<Box<Pending>>,
}

impl Version {
    pub(crate) fn constants(&self) -> *const Value {
        // SAFETY: the constants stand behind the code in the same allocation.
        unsafe { self.code.start().add(self.constant_start()).cast() }
    }
    pub(crate) fn constant_start(&self) -> usize {
        self.n_code
    }
}

/// What of a chunk is kept for patches beyond its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The top-level locals that its functions capture: texts without a name of
    /// their own, which run once.
    Captured,
    /// All top-level locals of its first run: chunks that the program named.
    Locals,
    /// All top-level locals, and the chunk itself until another one of its name
    /// is loaded as a module: main scripts, `require`, the newest 1,024 named
    /// chunks of the host.
    Module,
}

/// One load of one source: owns the scope record.
#[repr(C)]
pub(crate) struct Instance {
    pub(crate) header: Header,
    /// Counts up; never reused within a VM.
    pub(crate) serial: u64,
    /// Chunk name as given to `load`.
    pub(crate) chunk: Arc<str>,
    pub(crate) main: *mut PrototypeSlot,
    /// The committed main prototype (with all literals as children).
    pub(crate) prototype: Arc<Prototype>,
    /// The committed source text; `None` for binary chunks.
    pub(crate) source: Option<Arc<[u8]>>,
    /// What keeps the text it was loaded with on the account, if that is long.
    pub(crate) held_text: Option<std::rc::Rc<HeldText>>,
    /// The same compiled, if it was needed: planning compares with it.
    pub(crate) text: Option<moonswap_hotpatch::ChunkPatch>,
    /// What of the text does not run, because it was refused.
    pub(crate) diverged: Option<Arc<moonswap_hotpatch::Divergence>>,
    /// The slots of all literals as they were loaded, each before those in it.
    /// Slots whose functions patches removed may be gone.
    pub(crate) slots: Arc<[SlotPointer]>,
    /// Slots by the id of their literal in `prototype`; `None` until the first
    /// patch asks (they are reachable through the main slot till then).
    pub(crate) registry: Option<SlotRegistry>,
    /// Cells of top-level locals; null = not there (yet).
    pub(crate) cells: Vec<*mut Upvalue>,
    /// Name and declaration ordinal of each cell.
    pub(crate) cell_names: Vec<(Arc<str>, u32)>,
    /// `_ENV` of the main closure.
    pub(crate) environment: *mut Upvalue,
    pub(crate) keep: Keep,
    /// Bytes of the text it was loaded with, if that is short.
    pub(crate) short_text: u8,
    /// How often the main chunk ended.
    pub(crate) n_runs: u32,
    /// How far the main chunk got when it last ended, in terms of the committed text.
    pub(crate) progress: Progress,
    /// Its arguments, if they are few and plain; of modules.
    pub(crate) arguments: Option<Arc<[Value]>>,
    /// The table that it returned; of modules.
    pub(crate) returned: Value,
    /// Version of the text: 1, and one more with each patch that changes it; a
    /// rollback gives it back.
    pub(crate) version: u32,
    /// Another one with each commit and rollback that concerns the instance.
    pub(crate) stamp: u64,
}

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

/// State of a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CoroutineStatus {
    /// Not started, or waiting in `yield`.
    Suspended,
    /// The one that runs.
    Running,
    /// Has resumed another one.
    Normal,
    /// Its `__close` methods are being called, from another coroutine.
    Closing,
    /// Ended or failed.
    Dead,
}

/// A coroutine: its stack and where it stands. Boxed.
#[repr(C)]
pub(crate) struct Coroutine {
    pub(crate) header: Header,
    pub(crate) status: CoroutineStatus,
    /// Dead by an error whose to-be-closed variables are still pending.
    pub(crate) failed: bool,
    /// Length is the allocated size; all slots are initialised.
    pub(crate) stack: Vec<Value>,
    /// When not running: saved pc, base (slot index) and top (slot index).
    pub(crate) pc: *const Instruction,
    pub(crate) base: usize,
    pub(crate) top: usize,
    /// Open captured variables, highest first.
    pub(crate) open_upvalues: *mut Upvalue,
    /// Stack slots of to-be-closed variables, lowest first.
    pub(crate) to_be_closed: Vec<u32>,
    /// Who resumed it; null if nobody.
    pub(crate) resumer: *mut Coroutine,
    /// Host activations (native functions calling back) on this coroutine's
    /// stack; it can only yield at 0.
    pub(crate) n_host_calls: u32,
    /// Resumed by a wrap function: errors propagate.
    pub(crate) is_wrap: bool,
    /// Its body was called.
    pub(crate) started: bool,
    /// The watchdog noted an activation in it or below it (`hotpatch/watchdog.rs`).
    pub(crate) is_watched: bool,
    /// Calls of pcall and xpcall that are active.
    pub(crate) n_pcalls: u32,
    /// Its debug hook.
    pub(crate) hook: Hook,
    /// The error it failed with, until it is closed.
    pub(crate) error: Value,
}
