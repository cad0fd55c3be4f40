//! Lua patterns over byte slices: matching, searching and captures.
//!
//! A [`Matcher`] interprets the pattern directly, with bounded recursion
//! (patterns that nest deeper are "too complex") and asks a [`Meter`] every few
//! thousand steps, so that no pattern and no subject can make it panic or run
//! for longer than the caller allows. It knows nothing of the VM.
//!
//! Single-character items are decoded once for each repetition, classes and
//! sets into 256-bit maps; decoded sets are kept for the next attempt.

use std::fmt;

use super::class::{self, ByteSet};
use super::matching::{CACHED_SETS, CachedSet, OPEN, POSITION, STEPS_PER_CHARGE, Slot};
pub use super::matching::{Capture, MAX_CAPTURES, Meter, PatternError, State};

/// Deepest recursion of the matcher.
const MAX_DEPTH: u32 = 200;

const ESCAPE: u8 = b'%';

/// No match from here; try the alternatives.
const FAIL: usize = usize::MAX;
/// An error is stored; give up. Not `FAIL`, so whoever tries alternatives
/// passes it on like a match, and no path needs a second test.
const ERROR: usize = usize::MAX - 1;

/// One item that matches a single byte.
#[derive(Clone, Copy)]
enum Item {
    Any,
    Byte(u8),
    Set(ByteSet),
}

impl Item {
    #[inline(always)]
    fn contains(&self, c: u8) -> bool {
        match self {
            Item::Any => true,
            Item::Byte(b) => *b == c,
            Item::Set(set) => set.contains(c),
        }
    }
}

/// A pattern put to a subject.
pub struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    meter: &'a dyn Meter,
    state: &'a mut State,
}

impl fmt::Debug for Matcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<'a> Matcher<'a> {
    /// A matcher for `pattern`, without the anchor that some functions accept
    /// in front of it.
    pub fn new(
        subject: &'a [u8],
        pattern: &'a [u8],
        meter: &'a dyn Meter,
        state: &'a mut State,
    ) -> Self {
        Matcher {
            subject,
            pattern,
            meter,
            state,
        }
    }

    /// Tries to match at exactly this offset; the end of the match.
    pub fn match_at(&mut self, start: usize) -> Result<Option<usize>, PatternError> {
        if start > self.subject.len() {
            return Ok(None);
        }
        self.state.level = 0;
        self.state.depth = 0;
        match self.run(start, 0) {
            FAIL => Ok(None),
            ERROR => Err(self.state.error),
            end => Ok(Some(end)),
        }
    }

    /// Finds the first match at `from` or later: its start and end.
    pub fn search(&mut self, from: usize) -> Result<Option<(usize, usize)>, PatternError> {
        let mut start = from;
        let first = self.literal_at(0);
        while start <= self.subject.len() {
            if let Some(first) = first {
                // Only places with the right first byte can match.
                match memchr::memchr(first, &self.subject[start..]) {
                    Some(skip) => {
                        if !self.spend(skip as u64 / 16) {
                            return Err(self.state.error);
                        }
                        start += skip;
                    }
                    None => return Ok(None),
                }
            }
            if let Some(end) = self.match_at(start)? {
                return Ok(Some((start, end)));
            }
            start += 1;
        }
        Ok(None)
    }

    #[cold]
    fn fail(&mut self, error: PatternError) -> usize {
        self.state.error = error;
        ERROR
    }

    /// Pays for work; false if the meter wants no more of it.
    #[inline(always)]
    fn spend(&mut self, steps: u64) -> bool {
        if let Some(left) = self.state.steps.checked_sub(steps) {
            self.state.steps = left;
            true
        } else {
            self.ask_meter(steps)
        }
    }

    #[cold]
    fn ask_meter(&mut self, steps: u64) -> bool {
        let used = steps.saturating_add(STEPS_PER_CHARGE - self.state.steps);
        self.state.steps = STEPS_PER_CHARGE;
        if self
            .meter
            .charge(usize::try_from(used).unwrap_or(usize::MAX))
        {
            return true;
        }
        self.state.error = PatternError::OutOfSteps;
        false
    }

    /// The byte that any match of the pattern from `p` on must start with,
    /// if the next item is a plain byte that cannot be left out.
    #[inline]
    fn literal_at(&self, p: usize) -> Option<u8> {
        match self.pattern.get(p)? {
            b'(' | b')' | b'%' | b'[' | b'.' | b'$' => None,
            &c => match self.pattern.get(p + 1) {
                Some(b'*' | b'?' | b'-') => None,
                _ => Some(c),
            },
        }
    }

    fn run(&mut self, s: usize, p: usize) -> usize {
        if self.state.depth >= MAX_DEPTH {
            return self.fail(PatternError::TooComplex);
        }
        self.state.depth += 1;
        let result = self.items(s, p);
        self.state.depth -= 1;
        result
    }

    /// Matches the pattern from `p` on at `s`; recursion only where there are
    /// alternatives to come back to.
    fn items(&mut self, mut s: usize, mut p: usize) -> usize {
        loop {
            if !self.spend(1) {
                return ERROR;
            }
            let Some(&c) = self.pattern.get(p) else {
                return s;
            };
            match c {
                b'(' => {
                    return if self.pattern.get(p + 1) == Some(&b')') {
                        self.open_capture(s, p + 2, POSITION)
                    } else {
                        self.open_capture(s, p + 1, OPEN)
                    };
                }
                b')' => return self.close_capture(s, p + 1),
                b'$' if p + 1 == self.pattern.len() => {
                    return if s == self.subject.len() { s } else { FAIL };
                }
                ESCAPE => match self.pattern.get(p + 1) {
                    Some(b'b') => {
                        s = self.balance(s, p + 2);
                        if s >= ERROR {
                            return s;
                        }
                        p += 4;
                        continue;
                    }
                    Some(b'f') => {
                        p += 2;
                        if self.pattern.get(p) != Some(&b'[') {
                            return self.fail(PatternError::MissingFrontierSet);
                        }
                        let (set, end) = match self.set(p) {
                            Ok(found) => found,
                            Err(error) => return self.fail(error),
                        };
                        let before = if s == 0 {
                            0
                        } else {
                            self.subject.get(s - 1).copied().unwrap_or(0)
                        };
                        let after = self.subject.get(s).copied().unwrap_or(0);
                        if set.contains(before) || !set.contains(after) {
                            return FAIL;
                        }
                        p = end;
                        continue;
                    }
                    Some(&digit @ b'0'..=b'9') => {
                        s = self.back_reference(s, digit);
                        if s >= ERROR {
                            return s;
                        }
                        p += 2;
                        continue;
                    }
                    _ => {}
                },
                _ => {}
            }
            let (item, end) = match self.item(p, c) {
                Ok(found) => found,
                Err(error) => return self.fail(error),
            };
            let here = match self.subject.get(s) {
                Some(&c) => item.contains(c),
                None => false,
            };
            match self.pattern.get(end) {
                Some(b'?') => {
                    if here {
                        let result = self.run(s + 1, end + 1);
                        if result != FAIL {
                            return result;
                        }
                    }
                    p = end + 1;
                }
                Some(b'+') => {
                    return if here {
                        self.expand(s, 1, &item, end + 1)
                    } else {
                        FAIL
                    };
                }
                Some(b'*') => return self.expand(s, 0, &item, end + 1),
                Some(b'-') => return self.expand_lazily(s, &item, end + 1),
                _ if here => {
                    s += 1;
                    p = end;
                }
                _ => return FAIL,
            }
        }
    }

    /// Decodes the single-byte item at `p`, whose first byte is `c`; also
    /// where it ends.
    #[inline]
    fn item(&mut self, p: usize, c: u8) -> Result<(Item, usize), PatternError> {
        match c {
            b'.' => Ok((Item::Any, p + 1)),
            ESCAPE => match self.pattern.get(p + 1) {
                Some(&letter) => Ok(match class::class(letter) {
                    Some(set) => (Item::Set(set), p + 2),
                    None => (Item::Byte(letter), p + 2),
                }),
                None => Err(PatternError::EndsWithEscape),
            },
            b'[' => self.set(p).map(|(set, end)| (Item::Set(set), end)),
            _ => Ok((Item::Byte(c), p + 1)),
        }
    }

    /// The set that starts at `p`, and where it ends.
    #[inline]
    fn set(&mut self, p: usize) -> Result<(ByteSet, usize), PatternError> {
        for cached in &self.state.sets {
            if cached.at == p {
                return Ok((cached.set, cached.end));
            }
        }
        let (set, end) = decode_set(self.pattern, p).ok_or(PatternError::MissingBracket)?;
        if let Some(place) = self.state.sets.get_mut(self.state.next_set) {
            *place = CachedSet { at: p, end, set };
        }
        self.state.next_set = (self.state.next_set + 1) % CACHED_SETS;
        Ok((set, end))
    }

    /// As many repetitions as possible, at least `least` (which have been
    /// seen to match), then fewer.
    fn expand(&mut self, s: usize, least: usize, item: &Item, p: usize) -> usize {
        let rest = self.subject.get(s..).unwrap_or_default();
        let most = match item {
            Item::Any => rest.len(),
            Item::Byte(b) => rest.iter().position(|c| c != b).unwrap_or(rest.len()),
            Item::Set(set) => rest
                .iter()
                .position(|&c| !set.contains(c))
                .unwrap_or(rest.len()),
        };
        if !self.spend(most as u64 / 4) {
            return ERROR;
        }
        if p >= self.pattern.len() {
            // The longest one is the match: nothing follows.
            return s + most;
        }
        let literal = self.literal_at(p);
        let mut count = most;
        loop {
            let at = s + count;
            let worth_trying = match literal {
                Some(c) => self.subject.get(at) == Some(&c),
                None => true,
            };
            if worth_trying {
                let result = self.run(at, p);
                if result != FAIL {
                    return result;
                }
            } else if !self.spend(1) {
                return ERROR;
            }
            if count <= least {
                return FAIL;
            }
            count -= 1;
        }
    }

    /// As few repetitions as possible, then more.
    fn expand_lazily(&mut self, mut s: usize, item: &Item, p: usize) -> usize {
        let literal = self.literal_at(p);
        loop {
            if let Some(c) = literal {
                // Go on to the next place where the rest can match at all.
                let rest = self.subject.get(s..).unwrap_or_default();
                let skip = match item {
                    Item::Any => memchr::memchr(c, rest),
                    _ => rest.iter().position(|&x| x == c || !item.contains(x)),
                };
                let Some(skip) = skip else { return FAIL };
                if !self.spend(skip as u64 / 4) {
                    return ERROR;
                }
                s += skip;
                if rest.get(skip) != Some(&c) {
                    return FAIL;
                }
            }
            let result = self.run(s, p);
            if result != FAIL {
                return result;
            }
            match self.subject.get(s) {
                Some(&c) if item.contains(c) => s += 1,
                _ => return FAIL,
            }
        }
    }

    fn open_capture(&mut self, s: usize, p: usize, len: usize) -> usize {
        let Some(slot) = self.state.slots.get_mut(self.state.level) else {
            return self.fail(PatternError::TooManyCaptures);
        };
        *slot = Slot { start: s, len };
        self.state.level += 1;
        let result = self.run(s, p);
        if result == FAIL {
            self.state.level -= 1;
        }
        result
    }

    fn close_capture(&mut self, s: usize, p: usize) -> usize {
        let Some(index) = self.state.slots[..self.state.level]
            .iter()
            .rposition(|slot| slot.len == OPEN)
        else {
            return self.fail(PatternError::InvalidCapture);
        };
        self.state.slots[index].len = s.saturating_sub(self.state.slots[index].start);
        let result = self.run(s, p);
        if result == FAIL {
            self.state.slots[index].len = OPEN;
        }
        result
    }

    /// `%bxy` with x and y at `p`.
    fn balance(&mut self, s: usize, p: usize) -> usize {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return self.fail(PatternError::MissingBalanceArguments);
        };
        let rest = self.subject.get(s..).unwrap_or_default();
        if rest.first() != Some(&open) {
            return FAIL;
        }
        let mut nesting = 1usize;
        let mut found = None;
        for (at, &c) in rest.iter().enumerate().skip(1) {
            // The closing one first: both may be the same byte.
            if c == close {
                nesting -= 1;
                if nesting == 0 {
                    found = Some(at);
                    break;
                }
            } else if c == open {
                nesting += 1;
            }
        }
        if !self.spend(found.unwrap_or(rest.len()) as u64) {
            return ERROR;
        }
        match found {
            Some(at) => s + at + 1,
            None => FAIL,
        }
    }

    /// `%1` to `%9`: the same bytes again.
    fn back_reference(&mut self, s: usize, digit: u8) -> usize {
        let number = usize::from(digit - b'0');
        let slot = match number
            .checked_sub(1)
            .and_then(|index| self.state.slots[..self.state.level].get(index))
        {
            Some(slot) if slot.len != OPEN => *slot,
            _ => return self.fail(PatternError::InvalidCaptureIndex(number)),
        };
        if slot.len == POSITION {
            return FAIL;
        }
        if !self.spend(slot.len as u64 / 8) {
            return ERROR;
        }
        let bytes = self.subject.get(slot.start..slot.start + slot.len);
        let rest = self.subject.get(s..).unwrap_or_default();
        match bytes {
            Some(bytes) if rest.starts_with(bytes) => s + slot.len,
            _ => FAIL,
        }
    }
}

/// Decodes the set whose `[` is at `p`; its end is after the `]`. `None` if
/// it is not closed.
fn decode_set(pattern: &[u8], p: usize) -> Option<(ByteSet, usize)> {
    let mut at = p + 1;
    let negated = pattern.get(at) == Some(&b'^');
    if negated {
        at += 1;
    }
    let first = at;
    // Where it ends must be known first: the bounds of a range depend on it.
    // A `]` in first place is a member.
    loop {
        let c = *pattern.get(at)?;
        at += 1;
        if c == ESCAPE && at < pattern.len() {
            at += 1;
        }
        if *pattern.get(at)? == b']' {
            break;
        }
    }
    let close = at;
    let mut set = ByteSet::EMPTY;
    let mut at = first;
    while at < close {
        let c = pattern[at];
        if c == ESCAPE {
            // At worst this is the closing bracket itself.
            let letter = *pattern.get(at + 1)?;
            match class::class(letter) {
                Some(members) => set = set.union(members),
                None => set.insert(letter),
            }
            at += 2;
        } else if pattern.get(at + 1) == Some(&b'-') && at + 2 < close {
            set.insert_range(c, pattern[at + 2]);
            at += 3;
        } else {
            set.insert(c);
            at += 1;
        }
    }
    Some((if negated { set.complement() } else { set }, close + 1))
}

/// Whether a pattern has no special characters, so that a plain search does.
pub fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|c| {
        matches!(
            c,
            b'^' | b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b'[' | b'%' | b'-'
        )
    })
}

/// Finds `needle` in `subject[from..]`; the offset into `subject`.
pub fn find_literal(subject: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = subject.get(from..)?;
    match needle {
        [] => Some(from),
        [c] => memchr::memchr(*c, rest).map(|at| from + at),
        // Setting up a searcher costs more than a short scan.
        [first, ..] if rest.len() <= 64 => {
            let mut at = 0;
            while let Some(skip) = memchr::memchr(*first, rest.get(at..)?) {
                at += skip;
                if rest[at..].starts_with(needle) {
                    return Some(from + at);
                }
                at += 1;
            }
            None
        }
        _ => memchr::memmem::find(rest, needle).map(|at| from + at),
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
