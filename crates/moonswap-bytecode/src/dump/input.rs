//! The bytes of a binary chunk: numbers and strings one after the other.

use super::budget::{ALLOCATION, Budget};
use super::format::{CHECK_INT, CHECK_NUM, HEADER, MAX_SHARED, OPERATIONS, UndumpError};
use crate::literal::{Name, Numbered};
use crate::watch::Watch;

pub(super) type Read<T> = Result<T, UndumpError>;

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
struct Known<'a> {
    bytes: &'a [u8],
    /// The same as text, once somebody asked for that.
    text: Option<&'a str>,
}

/// A string, as it stands in the chunk.
enum Written<'a> {
    Short(usize),
    Long(&'a [u8]),
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], watch: Option<&'a Watch<'a>>, room: usize) -> Self {
        Self {
            watch,
            budget: Budget::new(room),
            bytes,
            known: Vec::new(),
        }
    }

    /// Looks whether to stop, once an item.
    #[inline]
    pub(super) fn go_on(&self) -> Read<()> {
        match self.watch {
            Some(watch) if watch.says_stop() => Err(UndumpError::Stopped),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(n)
            .ok_or(UndumpError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Read<u8> {
        let (&byte, rest) = self.bytes.split_first().ok_or(UndumpError::Truncated)?;
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
                return Err(UndumpError::Corrupted);
            }
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(UndumpError::Corrupted)
    }

    pub(super) fn signed(&mut self) -> Read<i64> {
        Ok(crate::varint::signed(self.number()?))
    }

    #[inline]
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| UndumpError::Corrupted)
    }

    /// A number of items of at least `size` bytes each, all of which must be
    /// there: no more is allocated than the chunk could fill.
    #[inline]
    pub(super) fn count(&mut self, size: usize) -> Read<usize> {
        let n = self.number()?;
        if n > (self.bytes.len() / size) as u64 {
            return Err(UndumpError::Truncated);
        }
        Ok(n as usize)
    }

    pub(super) fn header(&mut self) -> Read<()> {
        const PARTS: [(usize, &str); 6] = [
            (4, "not a binary chunk"),
            (1, "version mismatch"),
            (1, "format mismatch"),
            (6, "corrupted chunk"),
            (1, "Instruction size mismatch"),
            (1, "lua_Integer size mismatch"),
        ];
        let mut expected = &HEADER[..];
        for (n, problem) in PARTS {
            let (part, rest) = expected.split_at(n);
            if self.take(n)? != part {
                return Err(UndumpError::Header(problem));
            }
            expected = rest;
        }
        if self.take(expected.len())? != expected {
            return Err(UndumpError::Header("lua_Number size mismatch"));
        }
        if self.word()? != CHECK_INT as u64 {
            return Err(UndumpError::Header("integer format mismatch"));
        }
        if self.word()? != CHECK_NUM.to_bits() {
            return Err(UndumpError::Header("float format mismatch"));
        }
        if self.take(4)? != OPERATIONS.to_le_bytes() {
            return Err(UndumpError::Header(
                "made by another version of moonswap; compile the source again",
            ));
        }
        Ok(())
    }

    #[inline]
    fn written(&mut self) -> Read<Written<'a>> {
        match self.number()? {
            0 => self.first_written(),
            n if n <= self.known.len() as u64 => Ok(Written::Short(n as usize - 1)),
            _ => Err(UndumpError::Corrupted),
        }
    }

    /// A string that stands here itself.
    fn first_written(&mut self) -> Read<Written<'a>> {
        let n = self.count(1)?;
        let bytes = self.take(n)?;
        if n > MAX_SHARED {
            return Ok(Written::Long(bytes));
        }
        if self.known.len() == self.known.capacity() {
            // The list grows by as much as it has.
            let n = self.known.len().max(16);
            let more = n * (size_of::<Known<'_>>() + FOR_TAKERS);
            self.budget.take(more + ALLOCATION)?;
            let is_there = self.known.try_reserve_exact(n);
            is_there.map_err(|_| UndumpError::Memory)?;
        }
        self.known.push(Known { bytes, text: None });
        Ok(Written::Short(self.known.len() - 1))
    }

    #[inline]
    pub(super) fn string(&mut self) -> Read<Numbered<&'a [u8]>> {
        Ok(match self.written()? {
            Written::Short(index) => {
                Numbered::new(self.known[index].bytes, u32::try_from(index).ok())
            }
            Written::Long(bytes) => Numbered::new(bytes, None),
        })
    }

    #[inline]
    pub(super) fn name(&mut self) -> Read<Name<'a>> {
        match self.written()? {
            Written::Short(index) => {
                let text = match self.known[index].text {
                    Some(text) => text,
                    None => self.known_text(index)?,
                };
                Ok(Numbered::new(text, u32::try_from(index).ok()))
            }
            Written::Long(bytes) => Ok(Numbered::new(text(bytes)?, None)),
        }
    }

    fn known_text(&mut self, index: usize) -> Read<&'a str> {
        let text = text(self.known[index].bytes)?;
        self.known[index].text = Some(text);
        Ok(text)
    }
}

fn text(bytes: &[u8]) -> Read<&str> {
    std::str::from_utf8(bytes).map_err(|_| UndumpError::Corrupted)
}
