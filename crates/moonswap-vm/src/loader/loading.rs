//! Loading chunks, literal by literal.
//!
//! Invariants: L1.

use std::sync::Arc;

use moonswap_bytecode::{Literal, Prototype, Records, RecordsWriter};
use moonswap_hotpatch::Progress;

use super::slot::{install, new_slot};
use super::version::{Place, literal_bytes, load, load_literal};
use crate::callee::FROZEN;
use crate::heap::header;
use crate::object::{
    CellNames, Instance, Keep, Kind, More, PrototypeSlot, SlotPointer, Source, Version,
};
use crate::string::ChunkStrings;
use crate::vm::Vm;

/// Loads a chunk as a new instance.
pub(crate) fn load_instance(vm: &mut Vm, main: &Arc<Prototype>, keep: Keep) -> *mut Instance {
    let mut loading = Loading::begin(vm, main.id.chunk(), keep);
    for child in &main.children {
        loading.child(vm, child);
    }
    loading.finish(vm, main)
}

/// A chunk that is being loaded, literal by literal. Nothing collects meanwhile; one
/// that is not finished is garbage.
pub(crate) struct Loading {
    instance: *mut Instance,
    /// Of the literals written directly in the chunk.
    children: Vec<*mut PrototypeSlot>,
    /// Of all literals, each before those in it; the main chunk's is the first.
    slots: Vec<SlotPointer>,
    records: Box<RecordsWriter>,
    /// Of a binary chunk: literals that began and did not end.
    open: Vec<Open>,
}

/// A literal of a binary chunk that began and did not end.
struct Open {
    /// Its place among all slots.
    number: usize,
    /// How many `children` there were that are not in it.
    n_children: usize,
}

impl Loading {
    pub(crate) fn begin(vm: &mut Vm, chunk: &str, keep: Keep) -> Self {
        Self::begin_with(vm, chunk, keep, Box::default())
    }

    fn begin_with(vm: &mut Vm, chunk: &str, keep: Keep, records: Box<RecordsWriter>) -> Self {
        vm.hot.last_serial += 1;
        // What goes again is allocated before what stays, as `records` was: between small
        // objects it would leave gaps.
        let no_records = Records::default();
        let mut slots = Vec::with_capacity(4);
        // For the same reason it has a name of its own.
        let chunk: Arc<str> = Arc::from(chunk);
        let mut header = header(Kind::Instance, 0);
        header.flags = keep as u8;
        let instance = vm.heap.adopt(Instance {
            header,
            serial: vm.hot.last_serial,
            chunk,
            main: std::ptr::null_mut(),
            environment: std::ptr::null_mut(),
            records: no_records,
            source: Source::None,
            more: None,
            progress: Progress::NotStarted,
        });
        slots.push(SlotPointer(new_slot(vm, instance)));
        vm.loads.strings = Some(ChunkStrings::default());
        Self {
            instance,
            children: Vec::new(),
            slots,
            records,
            open: Vec::new(),
        }
    }

    /// The same of a binary chunk, with room in lists for so many bytes of it.
    pub(crate) fn begin_binary(vm: &mut Vm, chunk: &str, keep: Keep, bytes: usize) -> Self {
        let records = vm.loads.records.take().unwrap_or_default();
        let mut loading = Self::begin_with(vm, chunk, keep, records);
        // What is read of a few bytes at a time would make its lists grow again and again.
        loading.records.expect(bytes);
        loading.slots.reserve(bytes / 512);
        loading.children.reserve(8);
        loading.open.reserve(8);
        vm.loads.expect(bytes);
        loading
    }

    /// Loads a literal written directly in the chunk.
    pub(crate) fn child(&mut self, vm: &mut Vm, prototype: &Prototype) {
        self.records.child(prototype);
        let slot = load_tree(vm, prototype, self.instance, &mut self.slots);
        self.children.push(slot);
    }

    /// Bytes that it has besides what the heap counts.
    pub(crate) fn held_bytes(&self, vm: &Vm) -> usize {
        let strings = vm
            .loads
            .strings
            .as_ref()
            .map_or(0, ChunkStrings::heap_bytes);
        let slots = self.slots.capacity() + self.children.capacity() + 2 * self.open.capacity();
        self.records.heap_bytes() + strings + 2 * slots * size_of::<SlotPointer>()
    }

    /// Bytes that loading a literal of a binary chunk takes, about, and at most.
    pub(crate) fn bytes(&self, literal: &Literal<'_>) -> usize {
        // SAFETY: a live instance: it was just made.
        let n_cells = unsafe { Instance::cells(self.instance).len() };
        literal_bytes(literal, n_cells)
    }

    /// Gives up.
    pub(crate) fn abandon(self, vm: &mut Vm) {
        vm.loads.strings = None;
    }

    /// A literal of a binary chunk begins, the outermost one first; those in it come
    /// before it ends.
    pub(crate) fn begins(&mut self, vm: &mut Vm) {
        self.records.begins();
        // The outermost one has its slot.
        let number = match self.open.is_empty() {
            true => 0,
            false => {
                self.slots.push(SlotPointer(new_slot(vm, self.instance)));
                self.slots.len() - 1
            }
        };
        self.open.push(Open {
            number,
            n_children: self.children.len(),
        });
    }

    /// Loads the literal that began last, which is not the outermost one: it ends, and
    /// those in it ended.
    pub(crate) fn ends(&mut self, vm: &mut Vm, literal: &Literal<'_>) {
        self.records.ends(literal);
        let Some(Open { number, n_children }) = self.open.pop() else {
            return;
        };
        let slot = self.slots[number].0;
        let children = &self.children[n_children..];
        let place = Place {
            instance: self.instance,
            slot,
            children,
            record: number as u32,
        };
        let version = load_literal(vm, literal, &place);
        install(vm, slot, version);
        self.children.truncate(n_children);
        self.children.push(slot);
    }

    /// Loads the outermost literal of a binary chunk: all have ended.
    pub(crate) fn finish_literal(mut self, vm: &mut Vm, main: &Literal<'_>) -> *mut Instance {
        self.records.ends(main);
        let version = load_literal(vm, main, &self.place_of_main());
        let records = self.records.ended();
        let (instance, writer) = self.complete(vm, version, records, main.scope.len());
        if !vm.heap.is_limited() && writer.heap_bytes() <= MOST_KEPT {
            vm.loads.records = Some(writer);
        }
        instance
    }

    /// Loads the main chunk, whose literals were loaded before.
    pub(crate) fn finish(mut self, vm: &mut Vm, main: &Prototype) -> *mut Instance {
        let records = self.records.main(main);
        let version = load(vm, main, &self.place_of_main());
        self.complete(vm, version, records, main.scope.len()).0
    }

    fn place_of_main(&self) -> Place<'_> {
        Place {
            instance: self.instance,
            slot: self.slots[0].0,
            children: &self.children,
            record: 0,
        }
    }

    /// The instance with its main version, which has so many top-level locals, and what
    /// made its records.
    fn complete(
        self,
        vm: &mut Vm,
        version: *mut Version,
        mut records: Records,
        n_scope: usize,
    ) -> (*mut Instance, Box<RecordsWriter>) {
        let (instance, slot) = (self.instance, self.slots[0].0);
        let keeps = !vm.heap.is_limited();
        vm.loads.forget_strings(keeps);
        // Loaded strings are often alike but for their constants.
        let before = vm.hot.instances.get_mut().all().last();
        // SAFETY: entries are live.
        let before = before.map(|&before| unsafe { &(*before).records });
        let shared = before.filter(|before| **before == records).cloned();
        // SAFETY: just made; nothing was collected since.
        unsafe {
            vm.heap.change_boxed(instance, |instance| {
                if let Some(shared) = shared {
                    records = shared;
                    instance.header.flags |= Instance::SHARES_RECORDS;
                }
                instance.records = records;
                if !FROZEN && n_scope > 0 {
                    name_cells(instance.more.get_or_insert_default(), n_scope);
                }
            });
            install(vm, slot, version);
            (*instance).main = slot;
            if !FROZEN && self.slots.len() >= MANY {
                let slots = self.slots.into();
                vm.heap.more(instance, |more| more.slots = Some(slots));
            }
            vm.heap.barrier_object(instance.cast(), slot.cast());
        }
        // Without all its constants nobody gets it.
        if !FROZEN && !vm.heap.deferred {
            vm.hot.register(instance);
        }
        (instance, self.records)
    }
}

/// Makes room for the cells of so many top-level locals. Constants have made cells
/// already, in binary chunks of code that was patched.
fn name_cells(more: &mut More, n_named: usize) {
    let n = more.cells.len().max(n_named);
    more.cells.reserve_exact(n - more.cells.len());
    more.cells.resize(n, std::ptr::null_mut());
    more.cell_names = CellNames::of_records(n);
}

/// Bytes of lists that are kept for the next binary chunk.
pub(crate) const MOST_KEPT: usize = 256 << 10;

/// Literals of a chunk whose slots are listed from the beginning: walking through
/// all versions would be long when the first patch comes.
const MANY: usize = 32;

/// Loads a literal and its children into fresh slots. Depth is bounded by the
/// parser's nesting limit.
fn load_tree(
    vm: &mut Vm,
    prototype: &Prototype,
    instance: *mut Instance,
    all: &mut Vec<SlotPointer>,
) -> *mut PrototypeSlot {
    let slot = new_slot(vm, instance);
    let number = all.len() as u32;
    all.push(SlotPointer(slot));
    let children: Vec<*mut PrototypeSlot> = prototype
        .children
        .iter()
        .map(|child| load_tree(vm, child, instance, all))
        .collect();
    let place = Place {
        instance,
        slot,
        children: &children,
        record: number,
    };
    let version = load(vm, prototype, &place);
    install(vm, slot, version);
    slot
}
