//! What versions were loaded from. Of those that were loaded with their chunk only
//! the code and a record are kept; their prototypes are made again when somebody
//! asks: whoever plans a patch compiles the chunk's text, and the instance keeps the
//! result from the first patch on. Otherwise they are read off the versions
//! ([`unloaded`]): for binary chunks, for `string.dump`.
//!
//! Invariants: HP2. What an instance keeps belongs to the code it was loaded with,
//! in the order of its records; debug builds compare.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{
    ClosureSite, CodeHash, Constant, DebugInfo, FunctionId, Instruction, Prototype, Watch,
    code_hash,
};

pub(crate) use moonswap_hotpatch::Literals;

use crate::hotpatch::schedule::trap;
use crate::loader::{self, Site};
use crate::object::{Instance, PrototypeSlot, SlotPointer, StringObject, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// What a version was loaded from.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn of(vm: &Vm, version: *mut Version) -> Arc<Prototype> {
    // SAFETY: live version.
    unsafe {
        match Version::prototype(version) {
            Some(prototype) => Arc::clone(prototype),
            None => unloaded(vm, version),
        }
    }
}

/// The committed main chunk of an instance.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn main(vm: &Vm, instance: *mut Instance) -> Arc<Prototype> {
    // SAFETY: live instance; its main slot has the committed version, or that it was
    // loaded with.
    unsafe {
        let patched = Instance::patched(instance);
        if let Some(main) = patched.and_then(|patched| patched.prototype.as_ref()) {
            return Arc::clone(main);
        }
        match patched.and_then(|patched| patched.literals.as_ref()) {
            Some(literals) => Arc::clone(&literals.all[0]),
            None => unloaded(vm, PrototypeSlot::version((*instance).main)),
        }
    }
}

/// Hash of the committed code of an instance.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn deep_hash(vm: &Vm, instance: *mut Instance) -> CodeHash {
    // SAFETY: live instance.
    unsafe {
        let is_first =
            Instance::patched(instance).is_none_or(|patched| patched.prototype.is_none());
        let noted = is_first.then(|| (&(*instance).records).deep_hash());
        noted
            .flatten()
            .unwrap_or_else(|| main(vm, instance).deep_hash)
    }
}

/// Whether a version of the main chunk is that of the committed text.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn is_committed(version: *mut Version) -> bool {
    // SAFETY: live version, hence its instance.
    unsafe {
        let instance = (*(*version).slot).instance;
        let patched = Instance::patched(instance);
        let own = Version::prototype(version);
        match patched.and_then(|patched| patched.prototype.as_ref()) {
            Some(main) => own.is_some_and(|own| Arc::ptr_eq(own, main)),
            // Never patched.
            None => is_first(version),
        }
    }
}

/// Whether it was loaded with its chunk.
///
/// # Safety
/// `version` is live.
unsafe fn is_first(version: *mut Version) -> bool {
    // SAFETY: live version.
    unsafe {
        (&(*version).rare)
            .as_ref()
            .is_none_or(|rare| rare.records.is_none())
    }
}

/// Keeps what an instance that was never patched was loaded from.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn keep(vm: &mut Vm, instance: *mut Instance, literals: &Literals) {
    // SAFETY: live instance.
    unsafe {
        if Instance::patched(instance).is_some_and(|patched| patched.literals.is_some()) {
            return;
        }
        #[cfg(debug_assertions)]
        compare(vm, instance, literals);
        vm.heap.patched(instance, |patched| {
            patched.literal_bytes = literals.bytes;
            patched.literals = Some(literals.clone());
        });
    }
}

/// # Safety
/// `instance` is live and was never patched.
#[cfg(debug_assertions)]
unsafe fn compare(vm: &Vm, instance: *mut Instance, literals: &Literals) {
    // SAFETY: live instance that was never patched.
    unsafe {
        let slots = slots(instance);
        assert_eq!(slots.len(), literals.all.len(), "literals");
        for (slot, literal) in slots.iter().zip(&*literals.all) {
            let version = PrototypeSlot::version(slot.0);
            assert_eq!(Version::id(version), literal.id);
            let own = unloaded(vm, version);
            assert_eq!(own.deep_hash, literal.deep_hash, "{}", literal.id);
            assert_eq!(own.debug.lines, literal.debug.lines, "{}", literal.id);
            assert_eq!(own.debug.locals, literal.debug.locals, "{}", literal.id);
            assert_eq!(own.scope, literal.scope, "{}", literal.id);
        }
    }
}

/// The slots of all literals of an instance as they were loaded, each before those
/// in it. For the first patch: nothing has been replaced yet.
///
/// # Safety
/// `instance` is live and was never patched.
pub(crate) unsafe fn slots(instance: *mut Instance) -> Arc<[SlotPointer]> {
    // SAFETY: live instance, hence its slots.
    unsafe {
        if let Some(slots) = Instance::more(instance).and_then(|more| more.slots.as_ref()) {
            return Arc::clone(slots);
        }
        let mut found: Vec<SlotPointer> = Vec::new();
        let mut todo: Vec<*mut PrototypeSlot> = vec![(*instance).main];
        while let Some(slot) = todo.pop() {
            found.push(SlotPointer(slot));
            todo.extend(Version::children(PrototypeSlot::version(slot)).iter().rev());
        }
        found.into()
    }
}

/// What a version that was loaded with its chunk was loaded from, with the current
/// code of the functions inside it: no columns, no loops, which only a text has.
/// Recursion as deep as functions nest: the parser has a limit.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn unloaded(vm: &Vm, version: *mut Version) -> Arc<Prototype> {
    // SAFETY: live version, hence its slot and instance.
    unsafe {
        let mut reading = Reading::new(vm, (*(*version).slot).instance, None);
        unloaded_in(&mut reading, version)
    }
}

/// # Safety
/// `version` is live, and of the instance that is read.
unsafe fn unloaded_in(reading: &mut Reading<'_>, version: *mut Version) -> Arc<Prototype> {
    // SAFETY: live version, hence its slots.
    unsafe {
        let mut child = |slot: &*mut PrototypeSlot| {
            let version = PrototypeSlot::version(*slot);
            match Version::prototype(version) {
                Some(prototype) => Arc::clone(prototype),
                None => unloaded_in(reading, version),
            }
        };
        let children = Version::children(version).iter().map(&mut child).collect();
        Arc::new(unloaded_with(reading, version, children))
    }
}

/// Reading versions of an instance: what is found out once for all of them.
pub(crate) struct Reading<'a> {
    vm: &'a Vm,
    instance: *mut Instance,
    /// Stops what takes long: what is read then is of no use.
    watch: Option<&'a Watch<'a>>,
    /// The numbers of cells by address, made when the first one is asked for: a chunk
    /// may have tens of thousands, and as many constants in each function.
    cells: Option<HashMap<usize, u32>>,
    /// For a cell that has none.
    next: u32,
}

impl<'a> Reading<'a> {
    /// `instance` is live as long as this is used.
    pub(crate) const fn new(
        vm: &'a Vm,
        instance: *mut Instance,
        watch: Option<&'a Watch<'a>>,
    ) -> Self {
        Self {
            vm,
            instance,
            watch,
            cells: None,
            next: 0,
        }
    }

    /// Looks whether to stop; having said so, it says so again.
    pub(crate) fn stops(&self) -> bool {
        self.watch.is_some_and(Watch::says_stop)
    }

    /// # Safety
    /// The instance is live.
    unsafe fn cell(&mut self, cell: usize) -> u32 {
        let instance = self.instance;
        let next = &mut self.next;
        let cells = self.cells.get_or_insert_with(|| {
            // SAFETY: by the caller.
            let all = unsafe { Instance::cells(instance) };
            *next = all.len() as u32;
            let all = all.iter().map(|cell| cell.addr()).zip(0..*next);
            // Several variables may have one: the first number counts.
            all.rev().collect()
        });
        // One that is none of the instance's any more has a number that no variable
        // has.
        *cells.entry(cell).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }
}

/// The same, with these children.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn unloaded_with(
    reading: &mut Reading<'_>,
    version: *mut Version,
    children: Box<[Arc<Prototype>]>,
) -> Prototype {
    // SAFETY: live version.
    unsafe {
        let record = Version::record(version);
        let mut prototype = Prototype {
            id: Version::id(version),
            children,
            debug: record.debug(),
            scope: record.scope(),
            ..body(reading, version)
        };
        if !reading.stops() {
            code_hash::set(&mut prototype);
        }
        prototype
    }
}

/// The same with what the code needs only: no hashes, no children, no lines, no names
/// but those of captured variables.
///
/// # Safety
/// `version` is live.
unsafe fn body(reading: &mut Reading<'_>, version: *mut Version) -> Prototype {
    // SAFETY: live version.
    unsafe {
        let record = Version::record(version);
        let vm = reading.vm;
        let n_constants = (*version).n_constants as usize;
        Prototype {
            id: FunctionId::new(Arc::from(""), []),
            own_hash: CodeHash(0),
            deep_hash: CodeHash(0),
            code: (0..Version::n_code(version))
                .map_while(|pc| (!reading.stops()).then(|| instruction(vm, version, pc)))
                .collect(),
            constants: (0..n_constants)
                .map_while(|i| (!reading.stops()).then(|| constant(reading, version, i)))
                .collect(),
            children: Box::default(),
            sites: sites(version),
            upvalues: record.upvalues(),
            n_params: (*version).n_params,
            is_vararg: (*version).is_vararg,
            frame_size: (*version).frame_size,
            line_defined: record.line_defined,
            last_line_defined: record.last_line_defined,
            debug: DebugInfo::default(),
            scope: Box::default(),
            initialisers: Box::default(),
        }
    }
}

/// An instruction of a version, as its prototype has it.
///
/// # Safety
/// `version` is live and has more than `pc` instructions.
pub(crate) unsafe fn instruction(vm: &Vm, version: *mut Version, pc: usize) -> Instruction {
    // SAFETY: live version with so many instructions.
    unsafe {
        let at = Version::code(version).add(pc).cast_const();
        let mut found = Instruction::from_bits(*at);
        if let Some(op) = trap::operation_at(vm, at) {
            found = found.with_opcode(op);
        }
        loader::unrelocated(found, pc, Version::n_code(version))
    }
}

/// A constant of a version, as its prototype has it.
///
/// # Safety
/// `version` is live and has more than `i` constants.
unsafe fn constant(reading: &mut Reading<'_>, version: *mut Version, i: usize) -> Constant {
    // SAFETY: live version with so many constants.
    unsafe {
        let value: Value = *Version::constants(version).add(i);
        match value.tag {
            tag::FALSE => Constant::Boolean(false),
            tag::TRUE => Constant::Boolean(true),
            tag::INTEGER => Constant::Integer(value.payload as i64),
            tag::FLOAT => Constant::Float(f64::from_bits(value.payload)),
            tag::STRING => Constant::String(StringObject::bytes(value.as_string()).into()),
            tag::CELL => Constant::Cell(reading.cell(value.payload as usize)),
            _ => Constant::Nil,
        }
    }
}

/// # Safety
/// `version` is live.
unsafe fn sites(version: *mut Version) -> Box<[ClosureSite]> {
    // SAFETY: live version.
    unsafe {
        (0..loader::n_sites(version))
            .map(|i| {
                let site = Site::of(version, i);
                ClosureSite {
                    child: site.child as u32,
                    captures: (0..site.n_captures()).map(|i| site.capture(i)).collect(),
                }
            })
            .collect()
    }
}
