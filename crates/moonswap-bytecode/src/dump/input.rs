//! The bytes of a binary chunk: numbers and strings one after the other.

use super::budget::{ALLOCATION, Budget};
use super::format::{CHECK_INT, CHECK_NUM, Flaw, HEADER, HEADER_PARTS, MAX_SHARED, OPERATIONS};
use crate::literal::{Name, Numbered, emptied};
use crate::watch::Watch;

pub(super) type Read<T> = Result<T, Flaw>;

/// What is left to read, and what came before.
pub(super) struct Input<'a> {
    pub(super) watch: Option<&'a Watch<'a>>,
    pub(super) budget: Budget,
    bytes: &'a [u8],
    /// Short strings that came before: the others say which they are.
    known: Vec<Known<'a>>,
}

/// What whoever takes the functions keeps for each short string: they find by its number
/// what they made of it, in lists that grow.
const FOR_TAKERS: usize = 2 * (2 * size_of::<u64>() + size_of::<u32>());

/// A short string of the chunk.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    bytes: &'a [u8],
    /// The same as text, once somebody asked for that.
    text: Option<&'a str>,
}

impl<'a> Input<'a> {
    /// `known`: an empty list.
    pub(super) fn new(
        bytes: &'a [u8],
        watch: Option<&'a Watch<'a>>,
        room: usize,
        known: Vec<Known<'a>>,
    ) -> Self {
        Self {
            watch,
            budget: Budget::new(room),
            bytes,
            known,
        }
    }

    /// Its list, empty again.
    pub(super) fn into_known<'b>(self) -> Vec<Known<'b>> {
        emptied(self.known)
    }

    /// Looks whether to stop, once an item.
    #[inline]
    pub(super) fn go_on(&self) -> Read<()> {
        match self.watch {
            Some(watch) if watch.says_stop() => Err(Flaw::Stopped),
            Some(_) | None => Ok(()),
        }
    }

    /// So many items come at once, before the next look.
    #[inline]
    pub(super) fn count_done(&self, n: usize) {
        if let Some(watch) = self.watch {
            watch.count(n);
        }
    }

    pub(super) fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(Flaw::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Read<u8> {
        let (&byte, rest) = self.bytes.split_first().ok_or(Flaw::Truncated)?;
        self.bytes = rest;
        Ok(byte)
    }

    pub(super) fn word(&mut self) -> Read<u64> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    #[inline]
    pub(super) fn number(&mut self) -> Read<u64> {
        // Most are small, and few of the others large.
        match *self.bytes {
            [byte @ ..0x80, ref rest @ ..] => {
                self.bytes = rest;
                Ok(u64::from(byte))
            }
            [low, high @ ..0x80, ref rest @ ..] => {
                self.bytes = rest;
                Ok(u64::from(high) << 7 | u64::from(low & 0x7F))
            }
            _ => self.long_number(),
        }
    }

    #[inline(never)]
    fn long_number(&mut self) -> Read<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(Flaw::Corrupted);
            }
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Flaw::Corrupted)
    }

    pub(super) fn signed(&mut self) -> Read<i64> {
        Ok(crate::varint::signed(self.number()?))
    }

    #[inline]
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| Flaw::Corrupted)
    }

    /// A number of items of at least `size` bytes each, all of which must be
    /// there: no more is allocated than the chunk could fill.
    #[inline]
    pub(super) fn count(&mut self, size: usize) -> Read<usize> {
        let n = self.number()?;
        if n > (self.bytes.len() / size) as u64 {
            return Err(Flaw::Truncated);
        }
        Ok(n as usize)
    }

    pub(super) fn header(&mut self) -> Read<()> {
        let mut expected = &HEADER[..];
        let mut part = 0;
        for n in HEADER_PARTS {
            let (bytes, rest) = expected.split_at(n);
            if self.take(n)? != bytes {
                return Err(Flaw::Header(part));
            }
            expected = rest;
            part += 1;
        }
        let [integer, float, operations] = [part, part + 1, part + 2].map(Flaw::Header);
        if self.word()? != CHECK_INT as u64 {
            return Err(integer);
        }
        if self.word()? != CHECK_NUM.to_bits() {
            return Err(float);
        }
        if self.take(4)? != OPERATIONS.to_le_bytes() {
            return Err(operations);
        }
        Ok(())
    }

    /// The short string that came before with a number, or 0 for none.
    #[inline]
    fn known(&self, number: u64) -> Option<&Known<'a>> {
        self.known.get((number as usize).wrapping_sub(1))
    }

    #[inline]
    pub(super) fn string(&mut self) -> Read<Numbered<&'a [u8]>> {
        let number = self.number()?;
        match self.known(number) {
            Some(known) => Ok(Numbered::new(known.bytes, Some(number as u32 - 1))),
            None => self.first_string(number),
        }
    }

    #[inline]
    pub(super) fn name(&mut self) -> Read<Name<'a>> {
        let number = self.number()?;
        match self.known(number) {
            Some(&Known {
                text: Some(text), ..
            }) => Ok(Numbered::new(text, Some(number as u32 - 1))),
            _ => self.first_name(number),
        }
    }

    /// A string that stands here itself, behind the number 0.
    #[inline(never)]
    fn first_string(&mut self, number: u64) -> Read<Numbered<&'a [u8]>> {
        if number != 0 {
            return Err(Flaw::Corrupted);
        }
        let n = self.count(1)?;
        let bytes = self.take(n)?;
        let next = u32::try_from(self.known.len());
        if n > MAX_SHARED {
            return Ok(Numbered::new(bytes, None));
        }
        if self.known.len() == self.known.capacity() {
            // The list grows by as much as it has.
            let n = self.known.len().max(32);
            let more = n * (size_of::<Known<'_>>() + FOR_TAKERS);
            self.budget.take(more + ALLOCATION)?;
            let is_there = self.known.try_reserve_exact(n);
            is_there.map_err(|_| Flaw::Memory)?;
        }
        self.known.push(Known { bytes, text: None });
        Ok(Numbered::new(bytes, next.ok()))
    }

    /// A name that stands here itself, or was no name before.
    #[inline(never)]
    fn first_name(&mut self, number: u64) -> Read<Name<'a>> {
        let string = match self.known(number) {
            Some(known) => Numbered::new(known.bytes, Some(number as u32 - 1)),
            None => self.first_string(number)?,
        };
        let text = str::from_utf8(string.text()).map_err(|_| Flaw::Corrupted)?;
        let index = string.number();
        if let Some(known) = index.and_then(|index| self.known.get_mut(index)) {
            known.text = Some(text);
        }
        let number = index.and_then(|index| u32::try_from(index).ok());
        Ok(Numbered::new(text, number))
    }
}
