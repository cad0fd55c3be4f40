//! `Instance`: one load of a source, and what is kept of it for patches.

use std::cell::OnceCell;
use std::sync::Arc;

use moonswap_bytecode::{Prototype, Records};
use moonswap_hotpatch::{Literals, Progress};

use super::{Header, HeldText, LONG_TEXT, PrototypeSlot, SlotPointer, SlotRegistry, Upvalue};
use crate::value::Value;

/// What of a chunk is kept for patches beyond its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
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
    /// `word`: how often the main chunk ended.
    pub(crate) header: Header,
    /// Counts up; never reused within a VM.
    pub(crate) serial: u64,
    /// Chunk name as given to `load`.
    pub(crate) chunk: Arc<str>,
    pub(crate) main: *mut PrototypeSlot,
    /// `_ENV` of the main closure.
    pub(crate) environment: *mut Upvalue,
    /// Of the functions it was loaded with.
    pub(crate) records: Records,
    /// The committed source text.
    pub(crate) source: Source,
    /// What few instances have.
    pub(crate) more: Option<Box<More>>,
    /// How far the main chunk got when it last ended, in terms of the committed text.
    pub(crate) progress: Progress,
}

/// The text of an instance.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Of binary chunks, and if there was no memory for it.
    None,
    /// It is the chunk's name.
    Name,
    /// A short one, with its length.
    Short(u8, [u8; Source::SHORT]),
    /// A copy that others may have as well.
    Shared(Arc<[u8]>),
}

impl Source {
    /// Bytes that are kept in place.
    pub(crate) const SHORT: usize = 22;

    /// A copy of a text, but for the account.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::SHORT];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self::Short(text.len() as u8, bytes))
    }

    /// Bytes of a copy that is the instance's own, if it is not long.
    pub(crate) fn own_bytes(&self) -> usize {
        match self {
            Self::Shared(text) if text.len() < LONG_TEXT => text.len() + 16,
            Self::None | Self::Name | Self::Short(..) | Self::Shared(_) => 0,
        }
    }
}

/// What instances have that is not for every loaded string: top-level locals, long
/// texts, arguments.
#[derive(Default)]
pub(crate) struct More {
    /// What keeps the text it was loaded with on the account, if that is long.
    pub(crate) held_text: Option<std::rc::Rc<HeldText>>,
    /// The slots of all literals as they were loaded, each before those in it, if
    /// there are many. Slots whose functions patches removed may be gone.
    pub(crate) slots: Option<Arc<[SlotPointer]>>,
    /// Cells of top-level locals; null = not there (yet).
    pub(crate) cells: Vec<*mut Upvalue>,
    pub(crate) cell_names: CellNames,
    /// Arguments of the main chunk, if they are few and plain; of modules.
    pub(crate) arguments: Option<Arc<[Value]>>,
    /// The table that it returned; of modules.
    pub(crate) returned: Value,
    /// What patches need or brought.
    pub(crate) patched: Option<Box<Patched>>,
}

/// Name and declaration ordinal of each cell. Few ask for them: those of loading are
/// read off the records then.
#[derive(Default)]
pub(crate) struct CellNames {
    /// Cells that loading made.
    n_loaded: usize,
    list: OnceCell<Vec<(Arc<str>, u32)>>,
}

impl CellNames {
    /// Those of the top-level locals in the instance's records, and of further cells that
    /// have no names, `n` in all.
    pub(crate) fn of_records(n: usize) -> Self {
        Self {
            n_loaded: n,
            list: OnceCell::new(),
        }
    }

    fn get(&self, records: &Records) -> &[(Arc<str>, u32)] {
        self.list.get_or_init(|| {
            if self.n_loaded == 0 {
                return Vec::new();
            }
            let scope = records.get(0);
            let scope = scope.top_level();
            let mut list: Vec<_> = scope.map(|v| (v.name.into(), v.declaration)).collect();
            // No variable is called that: each cell has a name.
            list.resize(self.n_loaded, ("".into(), u32::MAX));
            list
        })
    }

    /// To be changed, once somebody has asked for them.
    pub(crate) fn list(&mut self) -> &mut Vec<(Arc<str>, u32)> {
        debug_assert!(self.n_loaded == 0 || self.list.get().is_some());
        self.list.get_or_init(Vec::new);
        // It was just made, if it was not there.
        self.list.get_mut().expect("made above")
    }
}

/// What an instance has once a patch has looked at it.
#[derive(Default)]
pub(crate) struct Patched {
    /// The source compiled, if it was needed: planning compares with it.
    pub(crate) text: Option<moonswap_hotpatch::ChunkPatch>,
    /// What of the text does not run, because it was refused.
    pub(crate) diverged: Option<Arc<moonswap_hotpatch::Divergence>>,
    /// What the first versions were loaded from, in the order of `slots`, once that
    /// was made again: see `hotpatch/registry/literals.rs`.
    pub(crate) literals: Option<Literals>,
    /// Bytes of these, about.
    pub(crate) literal_bytes: usize,
    /// The committed main prototype (with all literals as children), if it is not
    /// the first of `literals`.
    pub(crate) prototype: Option<Arc<Prototype>>,
    /// Slots by the id of their literal in the committed text; `None` until the
    /// first patch asks (they are reachable through the main slot till then).
    pub(crate) registry: Option<SlotRegistry>,
    /// Another one with each commit and rollback that concerns the instance.
    pub(crate) stamp: u64,
    /// Patches that have changed the text, less those rolled back.
    pub(crate) n_changes: u32,
}

impl Instance {
    /// `header.flags`: [`Keep`] as a number.
    const KEEP: u8 = 3;
    /// `header.flags`: an older instance has the same records.
    pub(crate) const SHARES_RECORDS: u8 = 4;
    /// `header.flags`: the main chunk's arguments are known: none.
    pub(crate) const NO_ARGUMENTS: u8 = 8;

    /// What is kept beyond the text.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn keep(this: *const Self) -> Keep {
        // SAFETY: by the caller, `this` is live.
        match unsafe { (*this).header.flags } & Self::KEEP {
            0 => Keep::Captured,
            1 => Keep::Locals,
            _ => Keep::Module,
        }
    }

    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn set_keep(this: *mut Self, keep: Keep) {
        // SAFETY: by the caller, `this` is live.
        unsafe { (*this).header.flags = (*this).header.flags & !Self::KEEP | keep as u8 };
    }

    /// The committed source text, if it was kept.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn source(this: *const Self) -> Option<Arc<[u8]>> {
        // SAFETY: by the caller; the reference is used at once.
        unsafe {
            match &(*this).source {
                Source::None => None,
                Source::Name => Some(Arc::from(Arc::clone(&(*this).chunk))),
                Source::Short(n, bytes) => Some(bytes.get(..usize::from(*n))?.into()),
                Source::Shared(text) => Some(Arc::clone(text)),
            }
        }
    }

    /// Version of the text: 1, and one more with each patch that changes it; a
    /// rollback gives it back.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn version(this: *const Self) -> u32 {
        // SAFETY: by the caller.
        unsafe { 1 + Self::patched(this).map_or(0, |patched| patched.n_changes) }
    }

    /// What few instances have.
    ///
    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn more<'a>(this: *const Self) -> Option<&'a More> {
        // SAFETY: by the caller, `this` is live; the reference is used at once.
        unsafe { (&raw const (*this).more).as_ref()?.as_deref() }
    }

    /// What patches need or brought.
    ///
    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn patched<'a>(this: *const Self) -> Option<&'a Patched> {
        // SAFETY: by the caller.
        unsafe { Self::more(this)?.patched.as_deref() }
    }

    /// As [`Self::more`], to write to (`Heap::more` makes it).
    ///
    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn more_mut<'a>(this: *mut Self) -> Option<&'a mut More> {
        // SAFETY: by the caller, `this` is live; the reference is used at once.
        unsafe { (&raw mut (*this).more).as_mut()?.as_deref_mut() }
    }

    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn cells<'a>(this: *const Self) -> &'a [*mut Upvalue] {
        // SAFETY: by the caller.
        unsafe { Self::more(this).map_or(&[], |more| &more.cells) }
    }

    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn cell_names<'a>(this: *const Self) -> &'a [(Arc<str>, u32)] {
        // SAFETY: by the caller.
        unsafe {
            let records = &(*this).records;
            Self::more(this).map_or(&[], |more| more.cell_names.get(records))
        }
    }

    /// # Safety
    /// `this` is live; the reference is used at once, before anything is written to it or
    /// collected.
    pub(crate) unsafe fn diverged<'a>(
        this: *const Self,
    ) -> Option<&'a Arc<moonswap_hotpatch::Divergence>> {
        // SAFETY: by the caller.
        unsafe { Self::patched(this)?.diverged.as_ref() }
    }

    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn stamp(this: *const Self) -> u64 {
        // SAFETY: by the caller.
        unsafe { Self::patched(this).map_or(0, |patched| patched.stamp) }
    }
}
