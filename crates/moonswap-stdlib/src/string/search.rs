//! `string.find`, `match`, `gmatch` and `gsub`: the functions that take
//! patterns.

use std::cell::Cell;

use moonswap_number::{Number, write_int, write_number};
use moonswap_vm::context::{Buffer, Context, NativeKind, Outcome, Raised, View};

use super::buffer::{append, buffer, bytes, push_buffer, start_position};
use super::pattern::{Capture, Matcher, Meter, PatternError, State, find_literal, is_literal};

/// Charges the steps of the matcher to the VM, and keeps what it raises.
struct Charge<'c, 'vm> {
    cx: &'c Context<'vm>,
    raised: Cell<Option<Raised>>,
}

impl<'c, 'vm> Charge<'c, 'vm> {
    fn new(cx: &'c Context<'vm>) -> Self {
        Charge {
            cx,
            raised: Cell::new(None),
        }
    }

    #[cold]
    fn raise(&self, error: PatternError) -> Raised {
        match self.raised.take() {
            Some(raised) => raised,
            None => raise(self.cx, error),
        }
    }
}

impl Meter for Charge<'_, '_> {
    fn charge(&self, steps: usize) -> bool {
        match self.cx.charge(steps) {
            Ok(()) => true,
            Err(raised) => {
                self.raised.set(Some(raised));
                false
            }
        }
    }
}

#[cold]
fn raise(cx: &Context<'_>, error: PatternError) -> Raised {
    cx.error(error.to_string())
}

/// Splits off the anchor.
fn anchored(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    }
}

/// Finds the next match at `from` or later, or only there.
fn next_match(
    cx: &Context<'_>,
    subject: &[u8],
    pattern: &[u8],
    anchor: bool,
    from: usize,
    state: &mut State,
) -> Outcome<Option<(usize, usize)>> {
    let charge = Charge::new(cx);
    let mut matcher = Matcher::new(subject, pattern, &charge, state);
    let found = if anchor {
        matcher.match_at(from).map(|end| end.map(|end| (from, end)))
    } else {
        matcher.search(from)
    };
    found.map_err(|error| charge.raise(error))
}

fn push_capture(
    cx: &Context<'_>,
    state: &State,
    subject: &[u8],
    index: usize,
    (start, end): (usize, usize),
) -> Outcome<()> {
    match state
        .capture(index, start, end)
        .map_err(|error| raise(cx, error))?
    {
        Capture::Bytes(start, end) => cx.push_bytes(subject.get(start..end).unwrap_or_default()),
        Capture::Position(at) => cx.push_int(at as i64 + 1),
    }
    Ok(())
}

fn push_captures(
    cx: &Context<'_>,
    state: &State,
    subject: &[u8],
    count: usize,
    found: (usize, usize),
) -> Outcome<usize> {
    cx.ensure_stack(count, "too many captures")?;
    for index in 0..count {
        push_capture(cx, state, subject, index, found)?;
    }
    Ok(count)
}

pub(super) fn find(cx: &mut Context<'_>) -> Outcome<usize> {
    find_or_match(cx, true)
}

pub(super) fn match_(cx: &mut Context<'_>) -> Outcome<usize> {
    find_or_match(cx, false)
}

#[inline]
fn find_or_match(cx: &Context<'_>, find: bool) -> Outcome<usize> {
    let subject = cx.check_str(0)?.as_bytes();
    let pattern = cx.check_str(1)?.as_bytes();
    let from = start_position(cx.opt_int(2, 1)?, subject.len()) - 1;
    if from > subject.len() {
        cx.push_nil();
        return Ok(1);
    }
    if find && (is_literal(pattern) || cx.at(3).truthy()) {
        return match find_literal(subject, pattern, from) {
            Some(at) => {
                cx.push_int(at as i64 + 1);
                cx.push_int((at + pattern.len()) as i64);
                Ok(2)
            }
            None => {
                cx.push_nil();
                Ok(1)
            }
        };
    }
    let (anchor, pattern) = anchored(pattern);
    let mut state = State::new();
    let Some(found) = next_match(cx, subject, pattern, anchor, from, &mut state)? else {
        cx.push_nil();
        return Ok(1);
    };
    if find {
        cx.push_int(found.0 as i64 + 1);
        cx.push_int(found.1 as i64);
        Ok(2 + push_captures(cx, &state, subject, state.capture_count(), found)?)
    } else {
        push_captures(cx, &state, subject, state.value_count(), found)
    }
}

/// Upvalues of the iterator: subject, pattern, and where to go on. Once there
/// was a match, that is also where it ended, and no empty match may follow
/// right there; before, the position is complemented.
pub(super) fn gmatch(cx: &mut Context<'_>) -> Outcome<usize> {
    let len = cx.check_str(0)?.as_bytes().len();
    cx.check_str(1)?;
    // Beyond the end there is nothing to find.
    let from = (start_position(cx.opt_int(2, 1)?, len) - 1).min(len + 1);
    cx.push_at(0);
    cx.push_at(1);
    cx.push_int(!(from as i64));
    cx.push_native_with("gmatch_iterator", NativeKind::Plain, gmatch_step, 3);
    Ok(1)
}

fn gmatch_step(cx: &mut Context<'_>) -> Outcome<usize> {
    let (View::String(subject), View::String(pattern), View::Integer(position)) =
        (cx.upvalue(0), cx.upvalue(1), cx.upvalue(2))
    else {
        return Ok(0);
    };
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let (mut from, last) = if position < 0 {
        (!position as usize, None)
    } else {
        (position as usize, Some(position as usize))
    };
    let mut state = State::new();
    while let Some(found) = next_match(cx, subject, pattern, false, from, &mut state)? {
        if Some(found.1) == last {
            from += 1;
            continue;
        }
        cx.push_int(found.1 as i64);
        cx.set_upvalue(2);
        return push_captures(cx, &state, subject, state.value_count(), found);
    }
    // Nothing will be found any more.
    cx.push_int(!(subject.len() as i64 + 1));
    cx.set_upvalue(2);
    Ok(0)
}

/// What matches are replaced with.
#[derive(Clone, Copy)]
enum Replacement {
    /// A string without escapes.
    Plain,
    /// A string with references to captures.
    Template,
    Table,
    Function,
}

/// Stack slots in `gsub`: subject, pattern, replacement; the rest is scratch.
const GSUB_HEIGHT: usize = 3;

pub(super) fn gsub(cx: &mut Context<'_>) -> Outcome<usize> {
    let len = cx.check_str(0)?.as_bytes().len();
    cx.check_str(1)?;
    let limit = cx.opt_int(3, len as i64 + 1)?;
    let replacement = match cx.at(2) {
        View::Integer(_) | View::Float(_) | View::String(_) => {
            let text = cx.check_str(2)?.as_bytes();
            if memchr::memchr(b'%', text).is_some() {
                Replacement::Template
            } else {
                Replacement::Plain
            }
        }
        View::Table(_) => Replacement::Table,
        View::Function(_) => Replacement::Function,
        _ => return Err(cx.type_error(2, "string/function/table")),
    };
    cx.set_height(GSUB_HEIGHT);
    let mut out = buffer(cx);
    let mut state = State::new();
    let mut count = 0;
    let mut changed = false;
    let mut from = 0;
    // Up to where the subject is in the result.
    let mut copied = 0;
    let mut last = None;
    while count < limit {
        let (anchor, pattern) = anchored(bytes(cx, 1));
        let Some(found) = next_match(cx, bytes(cx, 0), pattern, anchor, from, &mut state)? else {
            break;
        };
        let (start, end) = found;
        if Some(end) == last {
            // An empty match right after the last one does not count.
            from += 1;
            continue;
        }
        count += 1;
        append(
            cx,
            &mut out,
            bytes(cx, 0).get(copied..start).unwrap_or_default(),
        )?;
        changed |= add_value(cx, &mut out, replacement, &state, found)?;
        (from, copied, last) = (end, end, Some(end));
        if anchor {
            break;
        }
    }
    if changed {
        append(cx, &mut out, bytes(cx, 0).get(copied..).unwrap_or_default())?;
        push_buffer(cx, out);
    } else {
        cx.give_buffer(out);
        cx.push_at(0);
    }
    cx.push_int(count);
    Ok(2)
}

/// Appends what replaces a match; whether that is something new.
fn add_value(
    cx: &mut Context<'_>,
    out: &mut Buffer,
    replacement: Replacement,
    state: &State,
    found: (usize, usize),
) -> Outcome<bool> {
    match replacement {
        Replacement::Plain => {
            append(cx, out, bytes(cx, 2))?;
            return Ok(true);
        }
        Replacement::Template => {
            add_template(cx, out, state, found)?;
            return Ok(true);
        }
        Replacement::Table => {
            push_capture(cx, state, bytes(cx, 0), 0, found)?;
            let plain = match cx.at(2) {
                View::Table(table) if table.metatable().is_none() => Some(table),
                _ => None,
            };
            match plain {
                Some(table) => cx.push(table.get(cx.at(GSUB_HEIGHT))),
                None => cx.index(2, GSUB_HEIGHT)?,
            }
        }
        Replacement::Function => {
            cx.push_at(2);
            let n = push_captures(cx, state, bytes(cx, 0), state.value_count(), found)?;
            cx.call(n, Some(1))?;
        }
    }
    let value = cx.at(cx.height().saturating_sub(1));
    let changed = match value {
        View::Nil | View::Boolean(false) => {
            append(
                cx,
                out,
                bytes(cx, 0).get(found.0..found.1).unwrap_or_default(),
            )?;
            false
        }
        View::String(text) => {
            append(cx, out, text.as_bytes())?;
            true
        }
        View::Integer(i) => {
            write_number(Number::Int(i), out);
            true
        }
        View::Float(f) => {
            write_number(Number::Float(f), out);
            true
        }
        other => {
            let name = other.type_name();
            return Err(cx.error(format!("invalid replacement value (a {name})")));
        }
    };
    cx.set_height(GSUB_HEIGHT);
    Ok(changed)
}

/// Appends the replacement string with its references filled in.
fn add_template(
    cx: &Context<'_>,
    out: &mut Buffer,
    state: &State,
    found: (usize, usize),
) -> Outcome<()> {
    let subject = bytes(cx, 0);
    let mut rest = bytes(cx, 2);
    while let Some(at) = memchr::memchr(b'%', rest) {
        append(cx, out, &rest[..at])?;
        match rest.get(at + 1) {
            Some(b'%') => out.push(b'%'),
            Some(b'0') => append(cx, out, subject.get(found.0..found.1).unwrap_or_default())?,
            Some(&digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                match state
                    .capture(index, found.0, found.1)
                    .map_err(|error| raise(cx, error))?
                {
                    Capture::Bytes(start, end) => {
                        append(cx, out, subject.get(start..end).unwrap_or_default())?
                    }
                    Capture::Position(at) => write_int(at as i64 + 1, out),
                }
            }
            _ => return Err(cx.error("invalid use of '%' in replacement string")),
        }
        rest = &rest[at + 2..];
    }
    append(cx, out, rest)
}
