//! Closure-creation sites behind a version's code.
//!
//! Invariants: L1.

use moonswap_bytecode::Capture;

use crate::object::Version;

/// Closure-creation sites as numbers: where each begins; then for each the child,
/// how many captures, and these, with their kind in the highest bits.
pub(super) fn sites<'a>(all: impl ExactSizeIterator<Item = (u32, &'a [Capture])>) -> Vec<u32> {
    let mut words = vec![0; all.len()];
    for (i, (child, captures)) in all.enumerate() {
        words[i] = words.len() as u32;
        words.extend([child, captures.len() as u32]);
        words.extend(captures.iter().map(|capture| match *capture {
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
