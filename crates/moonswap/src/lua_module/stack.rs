//! Arguments, results and tables of the functions of the module.

use moonswap_vm::{Context, Outcome, View};

/// `nil, message`
pub(super) fn failure(cx: &Context<'_>, message: impl AsRef<[u8]>) -> Outcome<usize> {
    cx.push_nil();
    cx.push_bytes(message.as_ref());
    Ok(2)
}

/// Pushes the field of the table at `table` whose key is at `key`.
pub(super) fn push_field(cx: &Context<'_>, table: usize, key: usize) {
    match cx.at(table) {
        View::Table(fields) => cx.push(fields.get(cx.at(key))),
        _ => cx.push_nil(),
    }
}

/// Pushes a table of the registry, made on first use; with `weak` keys.
pub(super) fn push_registry_table(cx: &Context<'_>, name: &str, weak: bool) -> Outcome<()> {
    let at = cx.height();
    cx.push_registry();
    cx.push(cx.raw_get_field(at, name));
    if cx.at(at + 1).is_nil() {
        cx.set_height(at + 1);
        cx.push_table(0, 0);
        if weak {
            cx.push_table(0, 1);
            cx.push_bytes(b"k");
            cx.raw_set_field(at + 2, "__mode")?;
            cx.set_metatable(at + 1);
        }
        cx.push_at(at + 1);
        cx.raw_set_field(at, name)?;
    }
    cx.remove(at);
    Ok(())
}

pub(super) fn text(cx: &Context<'_>, i: usize) -> Outcome<String> {
    Ok(String::from_utf8_lossy(cx.check_str(i)?.as_bytes()).into_owned())
}
