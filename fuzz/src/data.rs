//! `Data`: the bytes of one execution, drawn from as decisions.
//!
//! Every target builds what it tries from a flat row of bytes, so that a fuzzer
//! can mutate the row and the runner can shrink it without knowing what it means.
//! When the bytes are used up every draw is 0, and everything that is built from
//! draws chooses its smallest form at 0: building always ends.

/// Decisions of one execution.
#[derive(Debug)]
pub struct Data<'a> {
    bytes: &'a [u8],
}

impl<'a> Data<'a> {
    /// Decisions drawn from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether all is used up.
    pub fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&first, rest)) => {
                self.bytes = rest;
                first
            }
            None => 0,
        }
    }

    /// The next `n` bytes as a number.
    fn number(&mut self, n: usize) -> u64 {
        (0..n).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// Eight bytes as a number.
    pub fn word(&mut self) -> u64 {
        self.number(8)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let width = match n {
            0 | 1 => return 0,
            2..=256 => 1,
            257..=65_536 => 2,
            _ => 4,
        };
        self.number(width) as usize % n
    }

    /// Once in `n` times true.
    pub fn chance(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of several.
    pub fn pick<'b, T: ?Sized>(&mut self, from: &[&'b T]) -> &'b T {
        from[self.below(from.len())]
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }
}

/// Row number `number` of a run that began with `seed`: the same on every
/// machine.
pub fn row(seed: u64, number: u64) -> Vec<u8> {
    let mut state = seed ^ number.wrapping_mul(0xA24B_AED4_963E_E407);
    let mut next = || {
        // splitmix64
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let words = match next() % 8 {
        0 => 4,
        1..=3 => 16,
        4..=6 => 48,
        _ => 160,
    };
    let n = 1 + next() % words;
    (0..n).flat_map(|_| next().to_le_bytes()).collect()
}
