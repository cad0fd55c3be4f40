//! Loading: from a prototype to a version in this VM's heap.
//!
//! The code is copied (caches and quickened operations live in it), constants
//! are interned and placed behind it, and constant operands become distances in
//! words from their own instruction.
//!
//! Invariants: L1 only prototypes that passed `verify` come here.

use std::sync::Arc;

use moonswap_bytecode::{
    Capture, ClosureSite, Constant, Instruction, OpCode, OperandKind, Prototype, Records,
    RecordsWriter, ScopeVariable,
};
use moonswap_hotpatch::{Progress, scope_cells};

use crate::callee::FROZEN;
use crate::heap::header;
use crate::object::{
    Entry, Instance, Keep, Kind, More, PrototypeSlot, Rare, SlotPointer, Source, StringObject,
    Upvalue, Version,
};
use crate::string::ChunkStrings;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// An empty slot; [`install`] must give it a version before it is called.
pub(crate) fn new_slot(vm: &mut Vm, instance: *mut Instance) -> *mut PrototypeSlot {
    vm.heap.adopt(PrototypeSlot {
        header: header(Kind::Slot, 0),
        entry: Entry::NONE,
        #[cfg(feature = "frozen")]
        version: std::ptr::null_mut(),
        reserved: None,
        instance,
    })
}

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
    records: RecordsWriter,
}

impl Loading {
    pub(crate) fn begin(vm: &mut Vm, chunk: &Arc<str>, keep: Keep) -> Self {
        vm.hot.last_serial += 1;
        // What goes again is allocated before what stays: between small objects it
        // would leave gaps.
        let records = RecordsWriter::default();
        let no_records = Records::default();
        let mut slots = Vec::with_capacity(4);
        // For the same reason it has a name of its own.
        let chunk: Arc<str> = Arc::from(&**chunk);
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
        vm.chunk_strings = Some(ChunkStrings::default());
        Self {
            instance,
            children: Vec::new(),
            slots,
            records,
        }
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
            .chunk_strings
            .as_ref()
            .map_or(0, ChunkStrings::heap_bytes);
        let slots = self.slots.capacity() + self.children.capacity();
        self.records.heap_bytes() + strings + 2 * slots * size_of::<SlotPointer>()
    }

    /// Gives up.
    pub(crate) fn abandon(self, vm: &mut Vm) {
        vm.chunk_strings = None;
    }

    /// Loads the main chunk, whose literals were loaded before.
    pub(crate) fn finish(self, vm: &mut Vm, main: &Prototype) -> *mut Instance {
        let instance = self.instance;
        let slot = self.slots[0].0;
        let mut records = self.records.main(main);
        let version = load(vm, main, &self.children, slot, instance, 0);
        vm.chunk_strings = None;
        // Loaded strings are often alike but for their constants.
        let before = vm.hot.instances.get_mut().all().last();
        // SAFETY: entries are live.
        let before = before.map(|&before| unsafe { &(*before).records });
        let shared = before.filter(|before| **before == records).cloned();
        let scope = if FROZEN { &[] } else { &main.scope[..] };
        // SAFETY: just made; nothing was collected since.
        unsafe {
            vm.heap.change_boxed(instance, |instance| {
                if let Some(shared) = shared {
                    records = shared;
                    instance.header.flags |= Instance::SHARES_RECORDS;
                }
                instance.records = records;
                if !scope.is_empty() {
                    name_cells(instance.more.get_or_insert_default(), scope);
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
        instance
    }
}

/// Gives the first cells the names of top-level locals. Constants have made cells
/// already, in binary chunks of code that was patched.
fn name_cells(more: &mut More, scope: &[ScopeVariable]) {
    let n = more.cells.len().max(scope.len());
    more.cells.reserve_exact(n - more.cells.len());
    more.cells.resize(n, std::ptr::null_mut());
    let name = |v: &ScopeVariable| (Arc::clone(&v.name), v.declaration);
    more.cell_names = scope.iter().map(name).collect();
    if n > scope.len() {
        // No variable is called that: each cell has a name.
        more.cell_names.resize(n, ("".into(), u32::MAX));
    }
}

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
    let version = load(vm, prototype, &children, slot, instance, number);
    install(vm, slot, version);
    slot
}

/// Bytes of a literal's version, about: for who asks before it is made.
pub(crate) fn version_bytes(p: &Prototype) -> usize {
    let words = p.code.len() + 2 * p.constants.len() + p.children.len();
    let own = size_of::<Version>() + size_of::<Rare>() + size_of::<PrototypeSlot>();
    own + 8 * words + p.heap_bytes()
}

/// Bytes that loading a literal with all those in it takes, about, and at most: for
/// binary chunks, in which few bytes may be many constants.
pub(crate) fn tree_bytes(p: &Prototype) -> usize {
    let mut bytes = 0;
    let mut cells = 0;
    let mut todo = vec![p];
    while let Some(p) = todo.pop() {
        todo.extend(p.children.iter().map(|child| &**child));
        bytes += own_bytes(p, &mut cells);
    }
    // By address.
    bytes + 2 * cells * size_of::<usize>()
}

/// The same of one. `cells`: how many cells the instance must have for it.
fn own_bytes(p: &Prototype, cells: &mut usize) -> usize {
    let constants = p.constants.iter().map(|constant| match constant {
        // With its place in a table.
        Constant::String(s) => s.len() + STRING,
        Constant::Cell(i) => {
            *cells = (*cells).max(*i as usize + 1);
            size_of::<Upvalue>() + 16
        }
        _ => 0,
    });
    let constants: usize = constants.sum();
    let captures: usize = p.sites.iter().map(|site| 3 + site.captures.len()).sum();
    let words = p.code.len() + 2 * p.constants.len() + p.children.len() + captures;
    // Sites are made apart first.
    let own = size_of::<Version>() + size_of::<PrototypeSlot>() + 4 * size_of::<usize>();
    let reserved = size_of_val(&*p.upvalues);
    own + 8 * words + constants + reserved
}

/// What a string takes beyond its bytes, about: its header, its place in a table.
const STRING: usize = 48;

/// A version of a literal that was not loaded with its chunk: it has its own
/// record, and keeps what it was loaded from.
pub(crate) fn new_version(
    vm: &mut Vm,
    prototype: &Arc<Prototype>,
    children: &[*mut PrototypeSlot],
    slot: *mut PrototypeSlot,
    instance: *mut Instance,
    number: u32,
) -> *mut Version {
    let version = load(vm, prototype, children, slot, instance, 0);
    // SAFETY: just made; live instance.
    unsafe {
        let scope_cells = scope_cells(&prototype.scope, Instance::cell_names(instance));
        vm.heap.change_boxed(version, |version| {
            version.rare = Some(Box::new(Rare {
                number,
                prototype: Some(Arc::clone(prototype)),
                prototype_bytes: prototype.heap_bytes(),
                records: Some(Records::of_one(prototype)),
                scope_cells,
                ..Rare::default()
            }));
        });
    }
    version
}

/// Makes a version: private code with all that stands behind it.
fn load(
    vm: &mut Vm,
    prototype: &Prototype,
    children: &[*mut PrototypeSlot],
    slot: *mut PrototypeSlot,
    instance: *mut Instance,
    record: u32,
) -> *mut Version {
    let n_code = prototype.code.len();
    let n_constants = prototype.constants.len();
    let sites = sites(&prototype.sites);
    let n_words = n_code + 2 * n_constants + children.len() + sites.len().div_ceil(2);
    let version = vm.heap.adopt_version(Version {
        header: header(Kind::Version, n_code as u32),
        #[cfg(feature = "frozen")]
        entry: Entry::NONE,
        slot,
        rare: None,
        record,
        n_constants: n_constants as u32,
        n_children: children.len() as u32,
        n_words: n_words as u32,
        frame_size: prototype.frame_size,
        n_upvalues: prototype.upvalues.len() as u16,
        n_params: prototype.n_params,
        is_vararg: prototype.is_vararg,
        is_main: prototype.is_main(),
        words: [],
    });
    // SAFETY: just made, with so many words behind it; nothing collects meanwhile.
    unsafe {
        let mut to = Version::code(version);
        for (i, instruction) in prototype.code.iter().enumerate() {
            to.write(relocate(*instruction, i, n_code).to_bits());
            to = to.add(1);
        }
        for constant in &prototype.constants {
            let value = self::constant(vm, constant, instance);
            to.write(value.payload);
            to.add(1).write(u64::from(value.tag));
            to = to.add(2);
        }
        for &child in children {
            to.cast::<*mut PrototypeSlot>().write(child);
            to = to.add(1);
        }
        let to = to.cast::<u32>();
        for (i, &word) in sites.iter().enumerate() {
            to.add(i).write(word);
        }
    }
    version
}

/// A constant as a value.
///
/// # Safety
/// The instance is live.
unsafe fn constant(vm: &mut Vm, constant: &Constant, instance: *mut Instance) -> Value {
    match constant {
        Constant::Nil => Value::NIL,
        Constant::Boolean(b) => Value::boolean(*b),
        Constant::Integer(i) => Value::integer(*i),
        Constant::Float(f) => Value::float(*f),
        Constant::String(s) => match &mut vm.chunk_strings {
            Some(known) => known.value(&mut vm.heap, s),
            None => vm.string_value(s),
        },
        Constant::Cell(i) => {
            // SAFETY: by the caller; a missing cell becomes one.
            unsafe {
                let i = *i as usize;
                let mut cell = Instance::cells(instance).get(i).copied();
                let cell = *cell.get_or_insert(std::ptr::null_mut());
                if !cell.is_null() {
                    return Value::raw(cell as u64, tag::CELL);
                }
                let cell = vm.heap.new_closed_upvalue(Value::NIL);
                vm.heap.more(instance, |more| {
                    if i >= more.cells.len() {
                        more.cells.resize(i + 1, std::ptr::null_mut());
                    }
                    more.cells[i] = cell;
                });
                vm.heap.barrier_object(instance.cast(), cell.cast());
                Value::raw(cell as u64, tag::CELL)
            }
        }
    }
}

/// Closure-creation sites as numbers: where each begins; then for each the child,
/// how many captures, and these, with their kind in the highest bits.
fn sites(all: &[ClosureSite]) -> Vec<u32> {
    let mut words = vec![0; all.len()];
    for (i, site) in all.iter().enumerate() {
        words[i] = words.len() as u32;
        words.extend([site.child, site.captures.len() as u32]);
        words.extend(site.captures.iter().map(|capture| match *capture {
            Capture::Register(n) => u32::from(n),
            Capture::Upvalue(n) => 1 << KIND | u32::from(n),
            Capture::Cell(n) => 2 << KIND | n,
            Capture::Late(n) => 3 << KIND | u32::from(n),
            Capture::Vacant => 4 << KIND,
        }));
    }
    words
}

/// How many closure-creation sites a version has.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn n_sites(version: *mut Version) -> usize {
    // SAFETY: by the caller: the first begins behind the list of beginnings.
    unsafe {
        let end = Version::code(version).add((*version).n_words as usize);
        let sites = Version::sites(version);
        match std::ptr::eq(sites, end.cast()) {
            true => 0,
            false => *sites as usize,
        }
    }
}

/// Where the kind of a capture stands.
const KIND: u32 = 29;

/// The capture that such a number means.
#[inline(always)]
fn capture(word: u32) -> Capture {
    let n = word & ((1 << KIND) - 1);
    match word >> KIND {
        0 => Capture::Register(n as u16),
        1 => Capture::Upvalue(n as u16),
        2 => Capture::Cell(n),
        3 => Capture::Late(n as u16),
        _ => Capture::Vacant,
    }
}

/// A closure-creation site of a version.
pub(crate) struct Site {
    /// Index of the literal.
    pub(crate) child: usize,
    n: usize,
    first: *const u32,
}

impl Site {
    /// # Safety
    /// A live version that has so many sites.
    #[inline(always)]
    pub(crate) unsafe fn of(version: *mut Version, i: usize) -> Self {
        // SAFETY: by the caller.
        unsafe {
            let sites = Version::sites(version);
            let at = sites.add(*sites.add(i) as usize);
            Self {
                child: *at as usize,
                n: *at.add(1) as usize,
                first: at.add(2),
            }
        }
    }

    /// How many variables are captured.
    #[inline(always)]
    pub(crate) fn n_captures(&self) -> usize {
        self.n
    }

    /// # Safety
    /// The version is live; `i` is below their number.
    #[inline(always)]
    pub(crate) unsafe fn capture(&self, i: usize) -> Capture {
        // SAFETY: by the caller.
        unsafe { capture(*self.first.add(i)) }
    }
}

/// Makes constants use the long strings of a version again; null is none.
///
/// # Safety
/// Null or a live version.
pub(crate) unsafe fn know_strings_of(vm: &mut Vm, version: *mut Version) {
    if version.is_null() {
        return;
    }
    let Some(known) = &mut vm.chunk_strings else {
        return;
    };
    // SAFETY: live version (the caller's).
    unsafe {
        for i in 0..(*version).n_constants as usize {
            let value = *Version::constants(version).add(i);
            if value.tag != tag::STRING {
                continue;
            }
            known.note(StringObject::bytes(value.as_string()), value);
        }
    }
}

/// Which operands of an operation are constants.
#[derive(Clone, Copy)]
struct Relocated {
    b: bool,
    c: bool,
    bc: bool,
}

/// By the number of the operation.
static RELOCATED: [Relocated; 256] = {
    let (b, c, bc) = (false, false, false);
    let mut all = [Relocated { b, c, bc }; 256];
    let mut n = 0;
    while n < OpCode::ALL.len() {
        let [_, b, c] = OpCode::ALL[n].operands();
        all[n] = Relocated {
            b: b.is_constant(),
            c: c.is_constant(),
            bc: b.is_wide_constant(),
        };
        n += 1;
    }
    all
};

/// Constant operands from indices to distances in words.
#[inline]
fn relocate(instruction: Instruction, at: usize, n_code: usize) -> Instruction {
    let is = RELOCATED[usize::from(instruction.to_bits() as u8)];
    let distance = |index: usize| n_code + 2 * index - at;
    let mut result = instruction;
    if is.b {
        result = result.with_b(distance(usize::from(instruction.b())) as u16);
    }
    if is.c {
        result = result.with_c(distance(usize::from(instruction.c())) as u16);
    }
    if is.bc {
        result = result.with_bc(distance(instruction.bc() as usize) as i32);
    }
    result
}

/// An instruction of a version as its prototype has it: what [`relocate`] did
/// undone, without what the VM noted in it.
pub(crate) fn unrelocated(instruction: Instruction, at: usize, n_code: usize) -> Instruction {
    let Some(op) = instruction.opcode() else {
        return instruction;
    };
    let [_, b, c] = op.operands();
    let index = |distance: usize| (distance + at).saturating_sub(n_code) / 2;
    let mut result = instruction;
    if b == OperandKind::Key || c == OperandKind::Key {
        result = result.with_x(0);
    }
    if b.is_constant() {
        result = result.with_b(index(usize::from(instruction.b())) as u16);
    }
    if c.is_constant() {
        result = result.with_c(index(usize::from(instruction.c())) as u16);
    }
    if b.is_wide_constant() {
        result = result.with_bc(index(instruction.bc() as usize) as i32);
    }
    result
}

/// Makes `version` the current one of its slot: the only place that writes the
/// hot fields. Cannot fail.
pub(crate) fn install(vm: &mut Vm, slot: *mut PrototypeSlot, version: *mut Version) {
    // SAFETY: both are live; the version's code stays at its address.
    unsafe {
        let n_upvalues = (*version).n_upvalues;
        if PrototypeSlot::version(slot).is_null() {
            (*slot).header.word = u32::from(n_upvalues);
        }
        let n_reserved = (&(*slot).reserved).as_ref().map_or(0, |all| all.len());
        if n_upvalues > PrototypeSlot::n_fixed(slot) && usize::from(n_upvalues) > n_reserved {
            (*slot).reserved = Some(Box::new(Version::record(version).upvalues().into()));
        }
        (*slot).entry = Entry::of(version);
        #[cfg(feature = "frozen")]
        {
            (*version).entry = Entry::of(version);
        }
        #[cfg(feature = "frozen")]
        {
            (*slot).version = version;
        }
        vm.heap.barrier_object(slot.cast(), version.cast());
    }
}
