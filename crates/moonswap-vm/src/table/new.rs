//! New tables.
//!
//! Invariants: T1 to T5 (`table/mod.rs`), H3.

use std::ptr;

use super::{empty_nodes, reserve};
use crate::heap::Heap;
use crate::heap::class::class_of;
use crate::heap::part::{
    CLASS_SHIFT, INLINE_ARRAY, INLINE_NODES, MAX_TABLE_CELL, array_bytes, node_bytes,
};
use crate::object::{Header, Kind, Table};

impl Heap {
    /// A table with room for exactly so many entries. Small parts stand in the
    /// table's own cell: `{x=, y=}` is one cell of 96 bytes.
    #[inline]
    pub(crate) fn new_table(&mut self, n_array: usize, n_hash: usize) -> *mut Table {
        const EMPTY: usize = class_of(size_of::<Table>());
        if n_array | n_hash == 0 {
            let t = self.alloc(EMPTY).cast::<Table>();
            // SAFETY: the cell has the size of a table.
            unsafe { write_table(t, (EMPTY as u8) << CLASS_SHIFT) };
            return t;
        }
        self.new_sized_table(n_array, n_hash)
    }

    fn new_sized_table(&mut self, n_array: usize, n_hash: usize) -> *mut Table {
        let n_nodes = if n_hash == 0 {
            0
        } else {
            n_hash.min(1 << 30).next_power_of_two()
        };
        let mut size = size_of::<Table>();
        let mut extra = 0;
        if n_nodes != 0 && n_nodes <= 8 {
            size += node_bytes(n_nodes);
            extra |= INLINE_NODES;
        }
        let array_at = size;
        if n_array != 0 && n_array <= 16 && size + array_bytes(n_array) <= MAX_TABLE_CELL {
            size += array_bytes(n_array);
            extra |= INLINE_ARRAY;
        }
        let class = class_of(size);
        let t = self.alloc(class).cast::<Table>();
        // SAFETY: the cell holds table, nodes, array in this order; the
        // pointers are derived from the cell's.
        unsafe {
            write_table(t, extra | (class as u8) << CLASS_SHIFT);
            if extra & INLINE_NODES != 0 {
                let nodes = t.add(1).cast::<u8>();
                ptr::write_bytes(nodes, 0, node_bytes(n_nodes));
                (*t).nodes = nodes.cast();
                (*t).header.word = n_nodes as u32 - 1;
                (*t).last_free = n_nodes as u32;
            }
            if extra & INLINE_ARRAY != 0 {
                (*t).array = t.cast::<u8>().add(array_at).cast();
                // Exactly what was asked for: `next` refuses keys beyond it.
                (*t).array_cap = n_array as u32;
            }
            let rest_array = if extra & INLINE_ARRAY == 0 {
                n_array
            } else {
                0
            };
            let rest_nodes = if extra & INLINE_NODES == 0 {
                n_nodes
            } else {
                0
            };
            if rest_array | rest_nodes != 0 {
                // Presizing is a hint: without memory the table stays small.
                let _ = reserve(self, t, rest_array, rest_nodes);
            }
        }
        t
    }
}

/// # Safety
/// `t` is room for a table and `extra` bytes, which nobody else has.
#[inline(always)]
unsafe fn write_table(t: *mut Table, extra: u8) {
    // SAFETY: by the caller, t has room for a table.
    unsafe {
        t.write(Table {
            header: Header {
                kind: Kind::Table,
                mark: 0,
                flags: 0,
                extra,
                word: 0,
            },
            metatable: ptr::null_mut(),
            nodes: empty_nodes(),
            array: ptr::null_mut(),
            array_len: 0,
            array_cap: 0,
            last_free: 0,
            made_in: 0,
        });
    }
}
