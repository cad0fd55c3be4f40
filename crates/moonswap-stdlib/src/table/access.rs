//! Reading and writing of what acts as a table.

use moonswap_vm::context::{Context, Outcome, View};

/// How often a loop over elements asks for its time to be charged.
pub(super) const CHARGE_EVERY: u64 = 4096;

/// True if value `i` is a table without metatable: raw access will do.
pub(super) fn is_plain(cx: &Context<'_>, i: usize) -> bool {
    matches!(cx.at(i), View::Table(t) if t.metatable().is_none())
}

/// Checks that argument `i` is a table or has the metamethods to pass for one.
pub(super) fn check_like_table(cx: &Context<'_>, i: usize, needed: &[&str]) -> Outcome<()> {
    if matches!(cx.at(i), View::Table(_)) {
        return Ok(());
    }
    // metafields of strings count as well: "abc" has __index
    if needed.iter().any(|name| cx.metafield(i, name).is_nil()) {
        cx.check_table(i)?;
    }
    Ok(())
}

/// Length of argument 0, which must have the metamethods `needed`, and whether raw
/// access will do for it.
pub(super) fn measure(cx: &mut Context<'_>, needed: &[&str]) -> Outcome<(i64, bool)> {
    if let View::Table(t) = cx.at(0)
        && t.metatable().is_none()
    {
        return Ok((t.len(), true));
    }
    check_like_table(cx, 0, needed)?;
    Ok((cx.length(0)?, false))
}

/// The length alone.
pub(super) fn length(cx: &mut Context<'_>, needed: &[&str]) -> Outcome<i64> {
    Ok(measure(cx, needed)?.0)
}

pub(super) const READ_WRITE_LENGTH: &[&str] = &["__index", "__newindex", "__len"];

/// Pushes `value(i)[key]`, raw if `plain`.
pub(super) fn get(cx: &mut Context<'_>, i: usize, key: i64, plain: bool) -> Outcome<()> {
    if plain && let View::Table(t) = cx.at(i) {
        cx.push(t.get_int(key));
        return Ok(());
    }
    cx.index_int(i, key)
}

/// Pops a value into `value(i)[key]`, raw if `plain`.
pub(super) fn set(cx: &mut Context<'_>, i: usize, key: i64, plain: bool) -> Outcome<()> {
    if plain {
        cx.raw_set_int(i, key)
    } else {
        cx.set_index_int(i, key)
    }
}
