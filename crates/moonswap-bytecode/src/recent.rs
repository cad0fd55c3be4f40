//! What was found last for shared texts, by their addresses: the same ones come again
//! and again while a chunk is loaded, and need not be hashed.

use std::sync::Arc;

/// Answers for `N` texts (a power of two), each at the place that its address tells. The
/// text is kept, so that no other gets this address.
///
/// ```
/// # use std::sync::Arc;
/// # use moonswap_bytecode::Recent;
/// let mut recent: Recent<str, usize, 64> = Recent::default();
/// let name: Arc<str> = "price".into();
/// assert_eq!(recent.get(&name), None);
/// recent.put(&name, 7);
/// assert_eq!(recent.get(&name), Some(7));
/// ```
#[derive(Debug)]
pub struct Recent<T: ?Sized, V, const N: usize> {
    places: [Option<(Arc<T>, V)>; N],
}

impl<T: ?Sized, V, const N: usize> Default for Recent<T, V, N> {
    fn default() -> Self {
        Self {
            places: [const { None }; N],
        }
    }
}

impl<T: ?Sized, V: Copy, const N: usize> Recent<T, V, N> {
    /// The answer for a text, if it is known still.
    #[inline]
    pub fn get(&self, text: &Arc<T>) -> Option<V> {
        match &self.places[Self::place(text)] {
            Some((known, value)) if Arc::ptr_eq(known, text) => Some(*value),
            _ => None,
        }
    }

    /// Remembers the answer for a text.
    #[inline]
    pub fn put(&mut self, text: &Arc<T>, value: V) {
        self.places[Self::place(text)] = Some((Arc::clone(text), value));
    }

    fn place(text: &Arc<T>) -> usize {
        let address = Arc::as_ptr(text).cast::<u8>().addr();
        (address >> 4 ^ address >> 10) % N
    }
}
