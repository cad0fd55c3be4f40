//! `probation()`, `quarantine()`, `release(which)`: patches whose code is watched, or
//! was undone.

use std::time::Duration;

use moonswap_hotpatch::{PatchHash, PatchSource};
use moonswap_vm::hotpatch::Which;
use moonswap_vm::{Context, Outcome, View};

use super::report;
use super::stack::failure;

fn set_seconds(cx: &mut Context<'_>, table: usize, name: &str, time: Duration) -> Outcome<()> {
    cx.push_num(time.as_secs_f64());
    cx.raw_set_field(table, name)
}

/// `probation()`: oldest first
pub(super) fn list(cx: &mut Context<'_>) -> Outcome<usize> {
    let list = cx.height();
    cx.push_table(0, 0);
    for (k, patch) in (1..).zip(cx.hot_probation()) {
        let entry = cx.height();
        cx.push_table(0, 5);
        report::set_int(cx, entry, "patch", patch.patch)?;
        report::set_int(cx, entry, "errors", u64::from(patch.errors))?;
        report::set_int(cx, entry, "left", u64::from(patch.left))?;
        set_seconds(cx, entry, "rest", patch.rest)?;
        if let Some(slow) = patch.slow {
            set_seconds(cx, entry, "slow", slow)?;
        }
        cx.raw_set_int(list, k)?;
    }
    Ok(1)
}

/// `quarantine()`: oldest first
pub(super) fn quarantine(cx: &mut Context<'_>) -> Outcome<usize> {
    let list = cx.height();
    cx.push_table(0, 0);
    for (k, patch) in (1..).zip(cx.hot_quarantine()) {
        let entry = cx.height();
        cx.push_table(0, 7);
        report::set_int(cx, entry, "patch", patch.patch)?;
        report::set_int(cx, entry, "errors", u64::from(patch.errors))?;
        report::set_text(cx, entry, "hash", &patch.hash.to_string())?;
        report::set_text(cx, entry, "cause", patch.cause.text())?;
        report::set_text(cx, entry, "deed", &patch.deed)?;
        let shown = |name: &str| name.strip_prefix(['@', '=']).unwrap_or(name).to_owned();
        let chunks: Vec<_> = patch.chunks.iter().map(|name| shown(name)).collect();
        report::set_chunks(cx, entry, &chunks)?;
        cx.raw_set_int(list, k)?;
    }
    Ok(1)
}

/// `release(which)`: by the patch's number, its hash, or an entry of `quarantine()`
pub(super) fn release(cx: &mut Context<'_>) -> Outcome<usize> {
    let which = match cx.at(0) {
        View::Table(_) => match cx.raw_get_field(0, "patch").to_integer() {
            Some(id) => numbered(id),
            None => return Err(cx.arg_error(0, "entry of quarantine() or number expected")),
        },
        View::String(text) => {
            let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
            match text.parse::<PatchHash>() {
                Ok(hash) => Some(Which::Hash(hash)),
                Err(_) => return failure(cx, format!("'{text}' is no hash of a patch")),
            }
        }
        _ => {
            let id = cx.check_int(0)?;
            numbered(id)
        }
    };
    if which.is_some_and(|which| cx.hot_release(which, PatchSource::Lua)) {
        return cx.ret_bool(true);
    }
    failure(cx, "no such patch is in quarantine")
}

fn numbered(id: i64) -> Option<Which> {
    u64::try_from(id).ok().map(Which::Patch)
}
