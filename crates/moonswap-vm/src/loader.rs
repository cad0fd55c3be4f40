//! Loading: from a prototype to a version in this VM's heap.
//!
//! The code is copied (caches and quickened operations live in it), constants
//! are interned and placed behind it, and constant operands become distances in
//! words from their own instruction.
//!
//! Invariants: L1 only prototypes that passed `verify` come here.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::{Constant, Instruction, Prototype};
use moonswap_hotpatch::{Progress, scope_cells};

use crate::callee::{Entry, FROZEN};
use crate::heap::header;
use crate::object::SlotPointer;
use crate::object::{Code, Instance, Keep, Kind, PrototypeSlot, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// An empty slot; [`install`] must give it a version before it is called.
pub(crate) fn new_slot(vm: &mut Vm, instance: *mut Instance) -> *mut PrototypeSlot {
    vm.heap.adopt(PrototypeSlot {
        header: header(Kind::Slot, 0),
        entry: Entry::NONE,
        version: std::ptr::null_mut(),
        version_number: 0,
        n_fixed: 0,
        reserved: None,
        instance,
    })
}

/// Loads a chunk as a new instance.
pub(crate) fn load_instance(vm: &mut Vm, main: &Arc<Prototype>, keep: Keep) -> *mut Instance {
    vm.hot.last_serial += 1;
    let scope = if FROZEN { &[] } else { &main.scope[..] };
    let instance = vm.heap.adopt(Instance {
        header: header(Kind::Instance, 0),
        serial: vm.hot.last_serial,
        chunk: Arc::clone(main.id.chunk()),
        main: std::ptr::null_mut(),
        prototype: Arc::clone(main),
        source: None,
        held_text: None,
        short_text: 0,
        text: None,
        diverged: None,
        slots: Arc::default(),
        registry: None,
        cells: vec![std::ptr::null_mut(); scope.len()],
        cell_names: scope
            .iter()
            .map(|v| (Arc::clone(&v.name), v.declaration))
            .collect(),
        environment: std::ptr::null_mut(),
        keep,
        n_runs: 0,
        progress: Progress::NotStarted,
        arguments: None,
        returned: Value::NIL,
        version: 1,
        stamp: 0,
    });
    vm.chunk_strings = Some(HashMap::new());
    let mut slots = Vec::new();
    let slot = load_tree(vm, main, instance, &mut slots);
    vm.chunk_strings = None;
    // SAFETY: just made; nothing was collected since.
    unsafe {
        (*instance).main = slot;
        if !FROZEN {
            vm.heap.change_boxed(instance, |i| i.slots = slots.into());
        }
        vm.heap.barrier_object(instance.cast(), slot.cast());
    }
    if !FROZEN {
        vm.hot.register(instance);
    }
    instance
}

/// Loads a literal and its children into fresh slots. Depth is bounded by the
/// parser's nesting limit.
fn load_tree(
    vm: &mut Vm,
    prototype: &Arc<Prototype>,
    instance: *mut Instance,
    all: &mut Vec<SlotPointer>,
) -> *mut PrototypeSlot {
    let slot = new_slot(vm, instance);
    all.push(SlotPointer(slot));
    let children = prototype
        .children
        .iter()
        .map(|child| load_tree(vm, child, instance, all))
        .collect();
    let version = new_version(vm, prototype, children, slot, instance, 1);
    install(vm, slot, version);
    slot
}

/// Bytes of a prototype without its children, about.
fn prototype_bytes(p: &Prototype) -> usize {
    let strings: usize = p
        .constants
        .iter()
        .map(|c| match c {
            Constant::String(s) => s.len() + 16,
            _ => 0,
        })
        .sum();
    // A dozen small allocations with their headers, names among them.
    256 + size_of_val(p)
        + size_of_val(p.id.path())
        + size_of_val(&*p.code)
        + size_of_val(&*p.constants)
        + size_of_val(&*p.children)
        + size_of_val(&*p.sites)
        + size_of_val(&*p.upvalues)
        + size_of_val(&*p.scope)
        + p.debug.lines.heap_bytes()
        + p.debug.columns.heap_bytes()
        + size_of_val(&*p.debug.locals)
        + p.debug
            .loops
            .iter()
            .map(|l| size_of_val(l) + l.header.len() + 16)
            .sum::<usize>()
        + strings
}

/// Bytes of a literal's version, about: for who asks before it is made.
pub(crate) fn version_bytes(p: &Prototype) -> usize {
    let words = p.code.len() + 2 * p.constants.len() + p.children.len();
    size_of::<Version>() + size_of::<PrototypeSlot>() + 8 * words + prototype_bytes(p)
}

/// Makes a version: private code with constants behind it.
pub(crate) fn new_version(
    vm: &mut Vm,
    prototype: &Arc<Prototype>,
    children: Box<[*mut PrototypeSlot]>,
    slot: *mut PrototypeSlot,
    instance: *mut Instance,
    number: u32,
) -> *mut Version {
    let n_code = prototype.code.len();
    let n_words = n_code + 2 * prototype.constants.len();
    let mut code: Vec<u64> = Vec::new();
    vm.heap.reserve_small(&mut code, n_words);
    for (i, instruction) in prototype.code.iter().enumerate() {
        code.push(relocate(*instruction, i, n_code).to_bits());
    }
    for constant in &prototype.constants {
        let value = match constant {
            Constant::Nil => Value::NIL,
            Constant::Boolean(b) => Value::boolean(*b),
            Constant::Integer(i) => Value::integer(*i),
            Constant::Float(f) => Value::float(*f),
            Constant::String(s) => string_constant(vm, s),
            Constant::Cell(i) => {
                // SAFETY: the instance is live; a missing cell becomes one.
                unsafe {
                    let i = *i as usize;
                    if i >= (*instance).cells.len() {
                        vm.heap.change_boxed(instance, |instance| {
                            instance.cells.resize(i + 1, std::ptr::null_mut());
                        });
                    }
                    let mut cell = (&(*instance).cells)[i];
                    if cell.is_null() {
                        cell = vm.heap.new_closed_upvalue(Value::NIL);
                        (&mut (*instance).cells)[i] = cell;
                        vm.heap.barrier_object(instance.cast(), cell.cast());
                    }
                    Value::raw(cell as u64, tag::CELL)
                }
            }
        };
        code.push(value.payload);
        code.push(u64::from(value.tag));
    }
    vm.heap.charge(code.len() * 8);
    let scope_cells = match FROZEN {
        true => Box::default(),
        // SAFETY: live instance.
        false => unsafe { scope_cells(&prototype.scope, &(*instance).cell_names) },
    };
    vm.heap.adopt(Version {
        header: header(Kind::Version, 0),
        #[cfg(feature = "frozen")]
        entry: Entry::NONE,
        prototype_bytes: prototype_bytes(prototype),
        prototype: Arc::clone(prototype),
        code: Code::new(code),
        n_code,
        children,
        slot,
        scope_cells,
        number,
        finish_by: None,
        migration: None,
    })
}

/// A string constant. Equal long ones of one chunk are one object, as in the
/// reference, also across functions (nothing collects while a chunk is loaded).
fn string_constant(vm: &mut Vm, s: &Arc<[u8]>) -> Value {
    if s.len() <= moonswap_bytecode::verify::MAX_KEY {
        return vm.string_value(s);
    }
    if let Some(&value) = vm.chunk_strings.as_ref().and_then(|known| known.get(s)) {
        return value;
    }
    let value = vm.string_value(s);
    if let Some(known) = &mut vm.chunk_strings {
        known.insert(Arc::clone(s), value);
    }
    value
}

/// Makes [`string_constant`] use the long strings of a version again; null is none.
pub(crate) unsafe fn know_strings_of(vm: &mut Vm, version: *mut Version) {
    if version.is_null() {
        return;
    }
    let Some(known) = &mut vm.chunk_strings else {
        return;
    };
    // SAFETY: live version (the caller's); constants stand behind its code.
    unsafe {
        let constants = (*version).code.start().add((*version).n_code);
        for (i, constant) in (&(*version).prototype).constants.iter().enumerate() {
            if let Constant::String(s) = constant
                && s.len() > moonswap_bytecode::verify::MAX_KEY
            {
                let value = Value::raw(*constants.add(2 * i), tag::STRING);
                known.entry(Arc::clone(s)).or_insert(value);
            }
        }
    }
}

/// Constant operands from indices to distances in words.
fn relocate(instruction: Instruction, at: usize, n_code: usize) -> Instruction {
    let Some(op) = instruction.opcode() else {
        return instruction;
    };
    let [_, b, c] = op.operands();
    let distance = |index: usize| n_code + 2 * index - at;
    let mut result = instruction;
    if b.is_constant() {
        result = result.with_b(distance(usize::from(instruction.b())) as u16);
    }
    if c.is_constant() {
        result = result.with_c(distance(usize::from(instruction.c())) as u16);
    }
    if b.is_wide_constant() {
        result = result.with_bc(distance(instruction.bc() as usize) as i32);
    }
    result
}

/// Makes `version` the current one of its slot: the only place that writes the
/// hot fields. Cannot fail.
pub(crate) fn install(vm: &mut Vm, slot: *mut PrototypeSlot, version: *mut Version) {
    // SAFETY: both are live; the version's code stays at its address.
    unsafe {
        let prototype = &(*version).prototype;
        let n_upvalues = prototype.upvalues.len() as u16;
        if (*slot).version.is_null() {
            (*slot).n_fixed = n_upvalues;
        }
        let n_reserved = (&(*slot).reserved).as_ref().map_or(0, |all| all.len());
        if n_upvalues > (*slot).n_fixed && usize::from(n_upvalues) > n_reserved {
            (*slot).reserved = Some(prototype.upvalues.as_ref().into());
        }
        let code = (*version).code.start();
        (*slot).entry = Entry::of(version, prototype, code);
        #[cfg(feature = "frozen")]
        {
            (*version).entry = Entry::of(version, prototype, code);
        }
        (*slot).version = version;
        (*slot).version_number = (*version).number;
        vm.heap.barrier_object(slot.cast(), version.cast());
    }
}
