//! Size classes: 16-byte steps to 256 bytes, then eight steps per doubling
//! (at most 12 % waste) to 8 KiB. Strings have classes of their own
//! ([`LEAF`] + class), so that traced objects do not share blocks with leaves.

/// Largest cell, bytes; what is larger goes to the system allocator.
pub(crate) const MAX_CELL: usize = 8192;
/// Number of sizes.
pub(crate) const N_SIZES: usize = 56;
/// Offset of the leaf classes.
pub(crate) const LEAF: usize = N_SIZES;
/// Number of classes.
pub(crate) const N_CLASSES: usize = 2 * N_SIZES;

/// Class of a cell of at least `size` bytes, 1 ..= `MAX_CELL`.
#[inline(always)]
pub(crate) const fn class_of(size: usize) -> usize {
    if size <= 256 {
        size.div_ceil(16) - 1
    } else {
        let s = size - 1;
        let log = s.ilog2() as usize;
        16 + (log - 8) * 8 + ((s >> (log - 3)) & 7)
    }
}

/// Bytes of the cells of a class (leaf or not).
#[inline(always)]
pub(crate) const fn class_size(class: usize) -> usize {
    let class = if class >= LEAF { class - LEAF } else { class };
    if class < 16 {
        (class + 1) * 16
    } else {
        let log = 8 + (class - 16) / 8;
        (1 << log) + ((class - 16) % 8 + 1) * (1 << (log - 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_round_up_tightly() {
        let mut previous = 0;
        for size in 1..=MAX_CELL {
            let class = class_of(size);
            assert!(class < N_SIZES && class >= previous);
            assert!(class_size(class) >= size);
            assert!(class == 0 || class_size(class - 1) < size);
            previous = class;
        }
        assert_eq!(class_of(MAX_CELL), N_SIZES - 1);
    }
}
