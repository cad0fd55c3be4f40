//! Sizes of table parts and the heap's bits in a table's `header.extra`.

use super::class::{MAX_CELL, class_of, class_size};
use crate::object::{Header, Node, Table};

/// Header of a small part.
pub(crate) const PART_HEADER: usize = 8;

/// What stands before the data of a large part.
#[repr(C)]
pub(super) struct Prefix {
    pub(super) index: usize,
    pub(super) header: Header,
}

/// One large part.
pub(super) struct Large {
    pub(super) start: *mut Prefix,
    /// Bytes, prefix included.
    pub(super) size: usize,
}

/// A part of so many data bytes lives in a cell.
#[inline(always)]
pub(crate) const fn is_small(bytes: usize) -> bool {
    bytes + PART_HEADER <= MAX_CELL
}

/// Bytes a part of so many data bytes takes from the heap.
#[inline(always)]
pub(crate) const fn footprint(bytes: usize) -> usize {
    if is_small(bytes) {
        class_size(class_of(bytes + PART_HEADER))
    } else {
        bytes + size_of::<Prefix>()
    }
}

/// The node part stands in the table's own cell.
pub(crate) const INLINE_NODES: u8 = 1;
/// The array part stands in the table's own cell.
pub(crate) const INLINE_ARRAY: u8 = 2;
/// The object stands in the list of objects with finalizers (tables, userdata).
pub(crate) const HAS_FINALIZER: u8 = 4;
/// Traversals begin with key 0 (`table::visit_zero_first`).
pub(crate) const ZERO_FIRST: u8 = 8;
/// Shift of the table's own cell class (at most 256 bytes: four bits).
pub(crate) const CLASS_SHIFT: u8 = 4;

/// Largest table cell.
pub(crate) const MAX_TABLE_CELL: usize = 256;

/// Bytes of `n` nodes.
#[inline(always)]
pub(crate) const fn node_bytes(n: usize) -> usize {
    n * size_of::<Node>()
}

/// Bytes of `cap` array slots.
#[inline(always)]
pub(crate) const fn array_bytes(cap: usize) -> usize {
    cap * 9
}

/// The capacity that fills the cell which `cap` slots need.
#[inline]
pub(crate) const fn fit_array(cap: usize) -> usize {
    let bytes = array_bytes(cap) + PART_HEADER;
    if bytes <= MAX_CELL {
        (class_size(class_of(bytes)) - PART_HEADER) / 9
    } else {
        cap
    }
}

const _: () = assert!(
    size_of::<Node>() == 24 && size_of::<Table>().is_multiple_of(8) && is_small(array_bytes(64))
);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Table>() == 48);
