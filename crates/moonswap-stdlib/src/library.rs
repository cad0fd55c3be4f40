//! What every library is opened with, and how its loops are charged.

use moonswap_vm::context::{Context, NativeFn, Outcome, View};

/// Name in the registry of the table of loaded modules (`package.loaded`).
pub const LOADED: &str = "_LOADED";
/// Name in the registry of the table of preloaded modules (`package.preload`).
pub const PRELOAD: &str = "_PRELOAD";

/// Turns of a loop, or bytes / 4, between two charges.
pub(crate) const CHARGE_EVERY: usize = 4096;

/// Counts an iteration of a loop that Lua code can make long, and charges it to the
/// limits now and then.
#[inline(always)]
pub(crate) fn tick(cx: &Context<'_>, turns: &mut usize) -> Outcome<()> {
    *turns += 1;
    if turns.is_multiple_of(CHARGE_EVERY) {
        cx.charge(CHARGE_EVERY)?;
    }
    Ok(())
}

/// Creates a library table with `functions`, makes it the global `name` and
/// `package.loaded[name]`, and leaves it on top of the stack for further
/// fields.
pub fn register(
    cx: &mut Context<'_>,
    name: &str,
    functions: &[(&'static str, NativeFn)],
) -> Outcome<()> {
    let table = cx.height();
    cx.push_table(0, functions.len() + 4);
    set_functions(cx, table, functions)?;
    publish(cx, name, table)
}

/// Adds `functions` to the table at stack index `table`.
pub(crate) fn set_functions(
    cx: &Context<'_>,
    table: usize,
    functions: &[(&'static str, NativeFn)],
) -> Outcome<()> {
    for &(name, function) in functions {
        cx.push_native(name, function);
        cx.raw_set_field(table, name)?;
    }
    Ok(())
}

/// Makes the table at stack index `table` the global `name` and
/// `package.loaded[name]`.
pub(crate) fn publish(cx: &Context<'_>, name: &str, table: usize) -> Outcome<()> {
    let base = cx.height();
    cx.push_globals();
    cx.push_at(table);
    cx.raw_set_field(base, name)?;
    registry_table(cx, LOADED)?;
    cx.push_at(table);
    cx.raw_set_field(base + 1, name)?;
    cx.set_height(base);
    Ok(())
}

/// Pushes the registry's table `name`, which is created if absent.
pub(crate) fn registry_table(cx: &Context<'_>, name: &str) -> Outcome<()> {
    let registry = cx.height();
    cx.push_registry();
    if let View::Table(table) = cx.raw_get_field(registry, name) {
        cx.push(table.into());
    } else {
        cx.push_table(0, 8);
        cx.push_at(registry + 1);
        cx.raw_set_field(registry, name)?;
    }
    cx.remove(registry);
    Ok(())
}
