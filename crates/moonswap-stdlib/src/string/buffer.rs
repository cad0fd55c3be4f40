//! Buffers and positions that the functions on strings share.

use moonswap_vm::context::{Buffer, Context, Outcome, View};

/// Bytes that are handled between two looks at the limits.
pub(crate) const PIECE: usize = 64 << 10;

/// Makes room in a buffer for more bytes, within the memory limit.
#[inline]
pub(crate) fn grow(cx: &Context<'_>, out: &mut Buffer, more: usize) -> Outcome<()> {
    cx.grow_buffer(out, more)
}

/// Appends bytes, within the memory limit.
#[inline]
pub(crate) fn append(cx: &Context<'_>, out: &mut Buffer, bytes: &[u8]) -> Outcome<()> {
    grow(cx, out, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// The VM's buffer, empty.
#[inline]
pub(crate) fn buffer(cx: &Context<'_>) -> Buffer {
    cx.take_buffer()
}

/// Pushes what was built.
#[inline]
pub(crate) fn push_buffer(cx: &Context<'_>, out: Buffer) {
    cx.push_buffer(out);
}

/// The bytes of the string at a stack index; none if it is no string.
#[inline]
pub(crate) fn bytes<'c>(cx: &'c Context<'_>, i: usize) -> &'c [u8] {
    match cx.at(i) {
        View::String(text) => text.as_bytes(),
        _ => b"",
    }
}

/// Where a slice starts, counted from 1: negative positions count from the
/// end, and anything before the start is the start.
#[inline]
pub(crate) fn start_position(position: i64, len: usize) -> usize {
    if position > 0 {
        usize::try_from(position).unwrap_or(usize::MAX)
    } else if position == 0 {
        1
    } else {
        match usize::try_from(position.unsigned_abs()) {
            Ok(back) if back <= len => len - back + 1,
            _ => 1,
        }
    }
}

/// Where a slice ends, counted from 1 and inclusive; 0 before the start.
#[inline]
pub(crate) fn end_position(position: i64, len: usize) -> usize {
    if position >= 0 {
        usize::try_from(position).map_or(len, |position| position.min(len))
    } else {
        usize::try_from(position.unsigned_abs()).map_or(0, |back| (len + 1).saturating_sub(back))
    }
}
