//! `table.sort`: quicksort in the table itself, with the reference's choice of
//! pivots, so that a comparator sees the same pairs and an inconsistent one is
//! found out in the same place.
//!
//! Values being compared are on the Lua stack, all others in the table, so a
//! comparator may collect garbage, change the table or raise an error at will.
//! The smaller part is sorted recursively: the depth is the logarithm of n.

use moonswap_vm::context::{Context, Outcome};

use super::access::{READ_WRITE_LENGTH, get, is_plain, length, set};

/// From this size on the pivot may be chosen at random.
const RANDOM_LIMIT: u64 = 100;

/// `table.sort (list [, comp])`
pub(super) fn sort(cx: &mut Context<'_>) -> Outcome<usize> {
    let plain = is_plain(cx, 0);
    let n = length(cx, READ_WRITE_LENGTH)?;
    if n < 2 {
        return Ok(0);
    }
    if n >= i32::MAX.into() {
        return Err(cx.arg_error(0, "array too big"));
    }
    let custom = !cx.at(1).is_nil();
    if custom {
        cx.check_function(1)?;
    } else if plain && cx.array_sort_plain(0, n) {
        return Ok(0);
    }
    cx.set_height(2);
    Sorter {
        plain,
        custom,
        comparisons: 0,
    }
    .range(cx, 1, n as u64, 0)?;
    Ok(0)
}

struct Sorter {
    /// The table had no metatable: raw access.
    plain: bool,
    /// A comparator is at stack index 1.
    custom: bool,
    comparisons: usize,
}

impl Sorter {
    fn get(&self, cx: &mut Context<'_>, i: u64) -> Outcome<()> {
        get(cx, 0, i as i64, self.plain)
    }

    /// `a[i] = top`, then `a[j] = next below`; both popped.
    fn set_two(&self, cx: &mut Context<'_>, i: u64, j: u64) -> Outcome<()> {
        set(cx, 0, i as i64, self.plain)?;
        set(cx, 0, j as i64, self.plain)
    }

    /// Is the value at stack index `a` less than that at `b`?
    fn less(&mut self, cx: &mut Context<'_>, a: usize, b: usize) -> Outcome<bool> {
        self.comparisons += 1;
        if self.comparisons.is_multiple_of(1024) {
            cx.charge(1024)?;
        }
        if !self.custom {
            return cx.less_than(a, b);
        }
        cx.call_test(1, a, b)
    }

    /// Sorts elements `lo..=up`. `random` is 0 until a partition was found to
    /// be badly balanced.
    fn range(
        &mut self,
        cx: &mut Context<'_>,
        mut lo: u64,
        mut up: u64,
        mut random: u64,
    ) -> Outcome<()> {
        let base = cx.height();
        while lo < up {
            // put elements lo, middle and up in order
            self.get(cx, lo)?;
            self.get(cx, up)?;
            if self.less(cx, base + 1, base)? {
                self.set_two(cx, lo, up)?;
            } else {
                cx.set_height(base);
            }
            if up - lo == 1 {
                return Ok(());
            }
            let mut p = lo + (up - lo) / 2;
            if up - lo >= RANDOM_LIMIT && random != 0 {
                let quarter = (up - lo) / 4;
                p = random % (quarter * 2) + lo + quarter;
            }
            self.get(cx, p)?;
            self.get(cx, lo)?;
            if self.less(cx, base, base + 1)? {
                self.set_two(cx, p, lo)?;
            } else {
                cx.pop(1);
                self.get(cx, up)?;
                if self.less(cx, base + 1, base)? {
                    self.set_two(cx, p, up)?;
                } else {
                    cx.set_height(base);
                }
            }
            if up - lo == 2 {
                return Ok(());
            }
            // the pivot stays on the stack and goes to place up - 1
            self.get(cx, p)?;
            cx.push_at(base);
            self.get(cx, up - 1)?;
            self.set_two(cx, p, up - 1)?;
            p = self.partition(cx, lo, up)?;
            let smaller;
            if p - lo < up - p {
                self.range(cx, lo, p - 1, random)?;
                smaller = p - lo;
                lo = p + 1;
            } else {
                self.range(cx, p + 1, up, random)?;
                smaller = up - p;
                up = p - 1;
            }
            // `lo` may be one above `up` here
            if up.saturating_sub(lo) / 128 > smaller {
                random = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(up ^ self.comparisons as u64 | 1);
            }
        }
        Ok(())
    }

    /// Splits `lo..=up` by the pivot, which is on top of the stack and in
    /// place `up - 1`, and is popped; gives the pivot's final place. Elements
    /// `lo` and `up` are known to lie on their sides.
    fn partition(&mut self, cx: &mut Context<'_>, lo: u64, up: u64) -> Outcome<u64> {
        let pivot = cx.height() - 1;
        let mut i = lo;
        let mut j = up - 1;
        loop {
            i += 1;
            self.get(cx, i)?;
            while self.less(cx, pivot + 1, pivot)? {
                // only a comparator that contradicts itself gets past the pivot
                if i == up - 1 {
                    return Err(cx.error("invalid order function for sorting"));
                }
                cx.pop(1);
                i += 1;
                self.get(cx, i)?;
            }
            j -= 1;
            self.get(cx, j)?;
            while self.less(cx, pivot, pivot + 2)? {
                if j < i {
                    return Err(cx.error("invalid order function for sorting"));
                }
                cx.pop(1);
                j -= 1;
                self.get(cx, j)?;
            }
            if j < i {
                // swap the pivot's place with element i, which is on the stack
                cx.pop(1);
                set(cx, 0, (up - 1) as i64, self.plain)?;
                set(cx, 0, i as i64, self.plain)?;
                return Ok(i);
            }
            self.set_two(cx, i, j)?;
        }
    }
}
