//! Versions: private code with all that stands behind it.
//!
//! Invariants: L1.

use std::sync::Arc;

use moonswap_bytecode::{Instruction, Literal, LiteralConstant, Prototype, Records};
use moonswap_hotpatch::scope_cells;

use super::constants::{self, Write};
use super::relocate::relocate;
use super::site::sites;
use crate::heap::header;
#[cfg(feature = "frozen")]
use crate::object::Entry;
use crate::object::{Instance, Kind, PrototypeSlot, Rare, Upvalue, Version};
use crate::vm::Vm;

/// Bytes of a literal's version, about: for who asks before it is made.
pub(crate) fn version_bytes(p: &Prototype) -> usize {
    let words = p.code.len() + 2 * p.constants.len() + p.children.len();
    let own = size_of::<Version>() + size_of::<Rare>() + size_of::<PrototypeSlot>();
    own + 8 * words + p.heap_bytes()
}

/// Bytes that loading a literal of a binary chunk takes, about, and at most: few bytes
/// may be many constants. `cells`: how many cells the instance has, which it may have to
/// make more.
pub(crate) fn literal_bytes(literal: &Literal<'_>, cells: usize) -> usize {
    let mut n_cells = cells;
    let constants = literal.constants.iter().map(|constant| match constant {
        // With its place in a table.
        LiteralConstant::String(s) => s.text().len() + STRING,
        LiteralConstant::Cell(i) => {
            n_cells = n_cells.max(*i as usize + 1);
            size_of::<Upvalue>() + 16
        }
        _ => 0,
    });
    let constants: usize = constants.sum();
    let captures = 3 * literal.sites().len() + literal.n_captures();
    let words = literal.code.len() + 2 * literal.constants.len() + captures;
    // Its slot may be in three lists. Sites are made apart first.
    let own = size_of::<Version>() + size_of::<PrototypeSlot>() + 6 * size_of::<usize>();
    let reserved = size_of_val(&*literal.upvalues);
    let names = literal.scope.iter();
    let names = names.map(|v| v.name.text().len() + STRING);
    // By address.
    let cells = 2 * (n_cells - cells) * size_of::<usize>();
    own + 8 * words + constants + reserved + names.sum::<usize>() + cells
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
    let place = Place {
        instance,
        slot,
        children,
        record: 0,
    };
    let version = load(vm, prototype, &place);
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

/// Where a version belongs.
pub(super) struct Place<'a> {
    pub(super) instance: *mut Instance,
    pub(super) slot: *mut PrototypeSlot,
    pub(super) children: &'a [*mut PrototypeSlot],
    /// Its number among the instance's records.
    pub(super) record: u32,
}

/// A version of a prototype.
pub(super) fn load(vm: &mut Vm, prototype: &Prototype, place: &Place<'_>) -> *mut Version {
    let all = prototype.sites.iter();
    let made = Made {
        code: &prototype.code,
        constants: &prototype.constants,
        sites: &sites(all.map(|site| (site.child, &*site.captures))),
        frame_size: prototype.frame_size,
        n_upvalues: prototype.upvalues.len() as u16,
        n_params: prototype.n_params,
        is_vararg: prototype.is_vararg,
        is_main: prototype.is_main(),
    };
    made.version(vm, place)
}

/// The same of a literal of a binary chunk.
pub(super) fn load_literal(vm: &mut Vm, literal: &Literal<'_>, place: &Place<'_>) -> *mut Version {
    let made = Made {
        code: &literal.code,
        constants: &literal.constants,
        sites: &sites(literal.sites()),
        frame_size: literal.frame_size,
        n_upvalues: literal.upvalues.len() as u16,
        n_params: literal.n_params,
        is_vararg: literal.is_vararg,
        is_main: literal.is_main(),
    };
    made.version(vm, place)
}

/// What a version is made of.
struct Made<'a, C> {
    code: &'a [Instruction],
    constants: &'a [C],
    /// See [`sites`].
    sites: &'a [u32],
    frame_size: u16,
    n_upvalues: u16,
    n_params: u8,
    is_vararg: bool,
    is_main: bool,
}

impl<C: Write> Made<'_, C> {
    fn version(&self, vm: &mut Vm, place: &Place<'_>) -> *mut Version {
        let Place {
            instance,
            slot,
            children,
            record,
        } = *place;
        let n_code = self.code.len();
        let n_constants = self.constants.len();
        let n_words = n_code + 2 * n_constants + children.len() + self.sites.len().div_ceil(2);
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
            frame_size: self.frame_size,
            n_upvalues: self.n_upvalues,
            n_params: self.n_params,
            is_vararg: self.is_vararg,
            is_main: self.is_main,
            words: [],
        });
        // SAFETY: just made, with so many words behind it; nothing collects meanwhile.
        unsafe {
            let mut to = Version::code(version);
            for (i, instruction) in self.code.iter().enumerate() {
                to.write(relocate(*instruction, i, n_code));
                to = to.add(1);
            }
            for constant in self.constants {
                let value = constants::value(vm, constant, instance);
                to.write(value.payload);
                to.add(1).write(u64::from(value.tag));
                to = to.add(2);
            }
            for &child in children {
                to.cast::<*mut PrototypeSlot>().write(child);
                to = to.add(1);
            }
            let to = to.cast::<u32>();
            for (i, &word) in self.sites.iter().enumerate() {
                to.add(i).write(word);
            }
        }
        version
    }
}
