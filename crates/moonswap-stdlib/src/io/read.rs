//! Reading by formats: `n`, `l`, `L`, `a` and byte counts, for `io.read`,
//! `file:read` and the iterators of `lines`.

use std::io;

use moonswap_number::{Number, is_space, parse};
use moonswap_vm::context::{Buffer, Context, Outcome, Raised, View};

use super::handle::Handle;
use super::stream::Stream;
use crate::failure;

/// Longest numeral that is read.
const MAX_NUMERAL: usize = 200;

/// Why reading stopped.
enum Stop {
    System(io::Error),
    Raised(Raised),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::System(e)
    }
}

impl From<Raised> for Stop {
    fn from(e: Raised) -> Self {
        Stop::Raised(e)
    }
}

/// Reads by the formats on the stack from index `first` on (a line if there are
/// none), pushes the results and gives their number. A result that cannot be
/// had is nil and the last one; a failure of the system gives nil, message,
/// number.
///
/// No Lua code runs in here, so the stream can stay borrowed.
pub(super) fn read_formats(cx: &Context<'_>, handle: &Handle, first: usize) -> Outcome<usize> {
    let top = cx.height();
    let formats = top.saturating_sub(first);
    cx.ensure_stack(formats + 3, "too many arguments")?;
    let mut guard = handle.stream.borrow_mut();
    let Some(stream) = guard.as_mut() else {
        return Err(cx.error("attempt to use a closed file"));
    };
    let outcome = if formats == 0 {
        line(cx, stream, false).map(|ok| (ok, 1))
    } else {
        sequence(cx, stream, first, top)
    };
    match outcome {
        Ok((true, n)) => Ok(n),
        Ok((false, n)) => {
            cx.pop(1);
            cx.push_nil();
            Ok(n)
        }
        Err(Stop::Raised(raised)) => Err(raised),
        Err(Stop::System(error)) => {
            cx.set_height(top);
            failure::fail(cx, &error, None)
        }
    }
}

/// Reads by each format until one fails; each pushes one result.
fn sequence(
    cx: &Context<'_>,
    stream: &mut Stream,
    first: usize,
    top: usize,
) -> Result<(bool, usize), Stop> {
    let mut done = 0;
    for i in first..top {
        let ok = match cx.at(i) {
            View::Integer(_) | View::Float(_) => {
                let count = cx.check_int(i)?;
                if count == 0 {
                    let more = stream.peek()?.is_some();
                    cx.push_bytes(b"");
                    more
                } else {
                    // a negative count is a huge one, as a C size; what no
                    // string can hold is refused before anything is read
                    if count as u64 > 1 << 16 {
                        cx.check_size(usize::try_from(count).unwrap_or(usize::MAX))?;
                    }
                    bytes(cx, stream, count as u64)?
                }
            }
            _ => {
                let format = cx.check_str(i)?.as_bytes();
                let format = format.strip_prefix(b"*").unwrap_or(format);
                match format.first() {
                    Some(b'n') => numeral(cx, stream)?,
                    Some(b'l') => line(cx, stream, false)?,
                    Some(b'L') => line(cx, stream, true)?,
                    Some(b'a') => {
                        bytes(cx, stream, u64::MAX)?;
                        true
                    }
                    _ => return Err(cx.arg_error(i, "invalid format").into()),
                }
            }
        };
        done += 1;
        if !ok {
            return Ok((false, done));
        }
    }
    Ok((true, done))
}

/// Moves what is at hand, `most` bytes of it, to the end of a buffer; answers how
/// many. A buffer grows with what is really there, so that a huge count costs
/// nothing.
fn take(
    cx: &Context<'_>,
    stream: &mut Stream,
    out: &mut Buffer,
    most: usize,
) -> Result<usize, Stop> {
    let n = stream.with_available(|available| (0, available.len().min(most)))?;
    cx.grow_buffer(out, n)?;
    cx.charge(n)?;
    stream.with_available(|available| {
        let n = n.min(available.len());
        out.extend_from_slice(&available[..n]);
        (n, ())
    })?;
    Ok(n)
}

fn bytes(cx: &Context<'_>, stream: &mut Stream, count: u64) -> Result<bool, Stop> {
    let mut out = cx.take_buffer();
    let mut left = count;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let got = take(cx, stream, &mut out, most)?;
        if got == 0 {
            break;
        }
        left -= got as u64;
    }
    Ok(push(cx, out))
}

/// Pushes what was read; false if it is nothing.
fn push(cx: &Context<'_>, out: Buffer) -> bool {
    let some = !out.is_empty();
    cx.push_buffer(out);
    some
}

fn line(cx: &Context<'_>, stream: &mut Stream, keep_end: bool) -> Result<bool, Stop> {
    let mut out = cx.take_buffer();
    loop {
        let (at_hand, end) = stream.with_available(|a| (0, (a.len(), memchr::memchr(b'\n', a))))?;
        if at_hand == 0 {
            return Ok(push(cx, out));
        }
        take(cx, stream, &mut out, end.map_or(at_hand, |end| end + 1))?;
        if end.is_some() {
            if !keep_end {
                out.pop();
            }
            cx.push_buffer(out);
            return Ok(true);
        }
    }
}

/// Collects the longest prefix that looks like a numeral.
struct Numeral<'a> {
    stream: &'a mut Stream,
    text: Vec<u8>,
    overlong: bool,
}

impl Numeral<'_> {
    fn accept(&mut self, wanted: impl Fn(u8) -> bool) -> io::Result<bool> {
        match self.stream.peek()? {
            Some(c) if wanted(c) => {
                if self.text.len() >= MAX_NUMERAL {
                    self.overlong = true;
                    return Ok(false);
                }
                self.text.push(c);
                self.stream.advance()?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn digits(&mut self, hexadecimal: bool) -> io::Result<usize> {
        let mut count = 0;
        let wanted = |c: u8| {
            if hexadecimal {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            }
        };
        while self.accept(wanted)? {
            count += 1;
        }
        Ok(count)
    }
}

fn numeral(cx: &Context<'_>, stream: &mut Stream) -> Result<bool, Stop> {
    let mut turns = 0;
    while stream.peek()?.is_some_and(is_space) {
        stream.advance()?;
        crate::library::tick(cx, &mut turns)?;
    }
    let mut n = Numeral {
        stream,
        text: Vec::new(),
        overlong: false,
    };
    let mut count = 0;
    let mut hexadecimal = false;
    n.accept(|c| matches!(c, b'-' | b'+'))?;
    if n.accept(|c| c == b'0')? {
        if n.accept(|c| matches!(c, b'x' | b'X'))? {
            hexadecimal = true;
        } else {
            count = 1;
        }
    }
    count += n.digits(hexadecimal)?;
    if n.accept(|c| c == b'.')? {
        count += n.digits(hexadecimal)?;
    }
    let exponent: &[u8] = if hexadecimal { b"pP" } else { b"eE" };
    if count > 0 && n.accept(|c| exponent.contains(&c))? {
        n.accept(|c| matches!(c, b'-' | b'+'))?;
        n.digits(false)?;
    }
    match parse(&n.text) {
        Some(Number::Int(i)) if !n.overlong => cx.push_int(i),
        Some(Number::Float(f)) if !n.overlong => cx.push_num(f),
        _ => {
            cx.push_nil();
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the rest of a stream, for `loadfile` without a name.
pub(super) fn read_rest(cx: &Context<'_>, stream: &mut Stream) -> Outcome<Buffer> {
    let mut out = cx.new_buffer(0)?;
    loop {
        match take(cx, stream, &mut out, usize::MAX) {
            Ok(0) => return Ok(out),
            Ok(_) => {}
            Err(Stop::Raised(error)) => return Err(error),
            Err(Stop::System(error)) => {
                return Err(cx.error(format!("cannot read stdin: {}", failure::text(&error))));
            }
        }
    }
}
