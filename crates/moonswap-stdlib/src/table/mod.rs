//! The table library. Every function works on anything that behaves as a table
//! through metamethods; tables without a metatable take shorter ways.
//! Sorting is in `sort`.

mod access;
mod sort;

use moonswap_number::{Number, write_number};
use moonswap_vm::context::{Buffer, Context, NativeFn, Outcome, View};

use access::{
    CHARGE_EVERY, READ_WRITE_LENGTH, check_like_table, get, is_plain, length, measure, set,
};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("concat", concat),
    ("insert", insert),
    ("move", move_),
    ("pack", pack),
    ("remove", remove),
    ("sort", sort::sort),
    ("unpack", unpack),
];

/// Opens the library as the global `table`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "table", FUNCTIONS)?;
    cx.pop(1);
    Ok(())
}

fn insert(cx: &mut Context<'_>) -> Outcome<usize> {
    let (size, plain) = measure(cx, READ_WRITE_LENGTH)?;
    let end = size.wrapping_add(1);
    match cx.n_args() {
        2 => set(cx, 0, end, plain)?,
        3 => {
            let pos = cx.check_int(1)?;
            if (pos as u64).wrapping_sub(1) >= end as u64 {
                return Err(cx.arg_error(1, "position out of bounds"));
            }
            if plain && pos < end && cx.array_insert(0, pos) {
                return Ok(0);
            }
            let mut i = end;
            while i > pos {
                get(cx, 0, i - 1, plain)?;
                set(cx, 0, i, plain)?;
                i -= 1;
                charge(cx, i)?;
            }
            set(cx, 0, pos, plain)?;
        }
        _ => return Err(cx.error("wrong number of arguments to 'insert'")),
    }
    Ok(0)
}

fn remove(cx: &mut Context<'_>) -> Outcome<usize> {
    let (size, plain) = measure(cx, READ_WRITE_LENGTH)?;
    let mut pos = cx.opt_int(1, size)?;
    if pos != size && (pos as u64).wrapping_sub(1) > size as u64 {
        return Err(cx.arg_error(1, "position out of bounds"));
    }
    if plain && (1..=size).contains(&pos) && cx.array_remove(0, pos) {
        return Ok(1);
    }
    get(cx, 0, pos, plain)?;
    while pos < size {
        get(cx, 0, pos + 1, plain)?;
        set(cx, 0, pos, plain)?;
        pos += 1;
        charge(cx, pos)?;
    }
    cx.push_nil();
    set(cx, 0, pos, plain)?;
    Ok(1)
}

/// Charges time every so many elements.
fn charge(cx: &Context<'_>, i: i64) -> Outcome<()> {
    if (i as u64).is_multiple_of(CHARGE_EVERY) {
        cx.charge(CHARGE_EVERY as usize)?;
    }
    Ok(())
}

fn move_(cx: &mut Context<'_>) -> Outcome<usize> {
    let from = cx.check_int(1)?;
    let end = cx.check_int(2)?;
    let to = cx.check_int(3)?;
    let target = if cx.at(4).is_nil() { 0 } else { 4 };
    check_like_table(cx, 0, &["__index"])?;
    check_like_table(cx, target, &["__newindex"])?;
    if end >= from {
        if !(from > 0 || end < i64::MAX.wrapping_add(from)) {
            return Err(cx.arg_error(2, "too many elements to move"));
        }
        let n = end - from + 1;
        if to > i64::MAX - n + 1 {
            return Err(cx.arg_error(3, "destination wrap around"));
        }
        let plain_source = is_plain(cx, 0);
        let plain_target = is_plain(cx, target);
        // upwards unless that would overwrite elements yet to be moved
        let upwards = to > end || to <= from || (target != 0 && !cx.equal(0, target)?);
        for step in 0..n {
            let i = if upwards { step } else { n - 1 - step };
            get(cx, 0, from + i, plain_source)?;
            set(cx, target, to + i, plain_target)?;
            charge(cx, step + 1)?;
        }
    }
    cx.push_at(target);
    Ok(1)
}

fn concat(cx: &mut Context<'_>) -> Outcome<usize> {
    let plain = is_plain(cx, 0);
    let size = length(cx, &["__index", "__len"])?;
    let separator = cx.copy_of(cx.opt_str(1)?.map_or(b"", |s| s.as_bytes()))?;
    let mut i = cx.opt_int(2, 1)?;
    let last = cx.opt_int(3, size)?;
    let mut out = cx.take_buffer();
    let base = cx.height();
    while i <= last {
        if plain && let View::Table(t) = cx.at(0) {
            if !append(cx, &mut out, t.get_int(i), i)? {
                make_room(cx, &mut out, i)?;
                continue;
            }
        } else {
            cx.index_int(0, i)?;
            let more = length_of(cx.at(base));
            cx.grow_buffer_collecting(&mut out, more)?;
            append(cx, &mut out, cx.at(base), i)?;
            cx.set_height(base);
        }
        if i == last {
            break;
        }
        cx.grow_buffer_collecting(&mut out, separator.len())?;
        out.extend_from_slice(&separator);
        i += 1;
        charge(cx, i)?;
    }
    cx.push_buffer(out);
    Ok(1)
}

/// Bytes of an item at most.
fn length_of(value: View<'_>) -> usize {
    match value {
        View::String(s) => s.as_bytes().len(),
        _ => 64,
    }
}

/// Room for item `i` of a plain table.
#[cold]
fn make_room(cx: &mut Context<'_>, out: &mut Buffer, i: i64) -> Outcome<()> {
    let more = match cx.at(0) {
        View::Table(t) => length_of(t.get_int(i)),
        _ => 0,
    };
    cx.grow_buffer_collecting(out, more)
}

/// Appends an item; false, and nothing done, if the buffer has no room for it.
fn append(cx: &Context<'_>, out: &mut Buffer, value: View<'_>, i: i64) -> Outcome<bool> {
    if out.capacity() - out.len() < length_of(value) {
        return Ok(false);
    }
    match value {
        View::String(s) => out.extend_from_slice(s.as_bytes()),
        View::Integer(n) => write_number(Number::Int(n), out),
        View::Float(n) => write_number(Number::Float(n), out),
        other => {
            return Err(cx.error(format!(
                "invalid value ({}) at index {i} in table for 'concat'",
                other.type_name()
            )));
        }
    }
    Ok(true)
}

fn pack(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    cx.push_table(n, 1);
    let table = n;
    for i in 0..n {
        cx.push_at(i);
        cx.raw_set_int(table, i as i64 + 1)?;
    }
    cx.push_int(n as i64);
    cx.raw_set_field(table, "n")?;
    Ok(1)
}

fn unpack(cx: &mut Context<'_>) -> Outcome<usize> {
    let first = cx.opt_int(1, 1)?;
    let last = if cx.at(2).is_nil() {
        cx.length(0)?
    } else {
        cx.check_int(2)?
    };
    if first > last {
        return Ok(0);
    }
    let n = (last as u64).wrapping_sub(first as u64);
    if n >= i32::MAX as u64 {
        return Err(cx.error("too many results to unpack"));
    }
    if let Err(error) = cx.ensure_stack(n as usize + 1, "unpack") {
        return Err(if cx.is_memory_error(&error) {
            error
        } else {
            cx.error("too many results to unpack")
        });
    }
    let n = n as usize + 1;
    if let View::Table(t) = cx.at(0)
        && t.metatable().is_none()
    {
        for step in 0..n {
            cx.push(t.get_int(first + step as i64));
        }
    } else {
        for step in 0..n {
            cx.index_int(0, first + step as i64)?;
        }
    }
    Ok(n)
}
