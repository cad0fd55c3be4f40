//! `on(event, f)`: Lua functions that hear of attempts.

use std::rc::Rc;

use moonswap_vm::hotpatch::{EventKind, HotError, HotEvent};
use moonswap_vm::{Context, Outcome};

use super::report;
use super::stack::{failure, push_field};
use crate::error::Error;

/// `on(event, f)`: calls `f(about)` at each event; answers a function that ends
/// it. A function that hears of the event already is not added again.
pub(super) fn on(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = super::stack::text(cx, 0)?;
    let Some(kind) = EventKind::ALL.into_iter().find(|kind| kind.text() == name) else {
        return Err(cx.arg_error(
            0,
            "\"before\", \"after\", \"refused\", \"rollback\", \"passed\" or \"released\" expected",
        ));
    };
    cx.check_function(1)?;
    cx.set_height(2);
    if is_known(cx, kind)? {
        return failure(cx, format!("the function hears of '{kind}' already"));
    }
    cx.push_at(1);
    let function = cx.root_top();
    let number = cx.hot_listen(Rc::new(move |cx: &mut Context<'_>, event: &HotEvent| {
        if event.kind != kind {
            return Ok(());
        }
        cx.push_root(&function);
        push_event(cx, event)?;
        cx.call(1, Some(0)).map(drop)
    }));
    // known[event][f] = true
    cx.push_at(1);
    let known = cx.root_top();
    cx.push_boxed(
        "off",
        Box::new(move |cx| {
            let found = cx.hot_forget_listener(number);
            cx.set_height(0);
            push_known(cx, kind)?;
            cx.push_root(&known);
            cx.push_nil();
            cx.raw_set(0)?;
            cx.ret_bool(found)
        }),
    );
    Ok(1)
}

/// Pushes the table of the functions that hear of an event.
fn push_known(cx: &Context<'_>, kind: EventKind) -> Outcome<()> {
    super::stack::push_registry_table(cx, &format!("moonswap.on {kind}"), false)
}

/// Notes the function at index 1; true if it was there.
fn is_known(cx: &mut Context<'_>, kind: EventKind) -> Outcome<bool> {
    let table = cx.height();
    push_known(cx, kind)?;
    push_field(cx, table, 1);
    let known = cx.at(table + 1).truthy();
    cx.set_height(table + 1);
    if !known {
        cx.push_at(1);
        cx.push_bool(true);
        cx.raw_set(table)?;
    }
    cx.set_height(table);
    Ok(known)
}

fn push_event(cx: &mut Context<'_>, event: &HotEvent) -> Outcome<()> {
    let table = cx.height();
    cx.push_table(0, 10);
    report::set_text(cx, table, "event", event.kind.text())?;
    report::set_int(cx, table, "attempt", event.attempt)?;
    report::set_text(cx, table, "source", event.source.text())?;
    for (key, text) in [("author", &event.author), ("reason", &event.reason)] {
        if let Some(text) = text {
            report::set_text(cx, table, key, text)?;
        }
    }
    let shown = |name: &'_ str| name.strip_prefix(['@', '=']).unwrap_or(name).to_owned();
    let chunks: Vec<_> = event.chunks.iter().map(|c| shown(&c.name)).collect();
    report::set_chunks(cx, table, &chunks)?;
    if let Some(id) = event.undoes {
        report::set_int(cx, table, "patch", id)?;
    }
    if let Some(cause) = event.cause {
        report::set_text(cx, table, "cause", cause.text())?;
    }
    match &event.outcome {
        None => {}
        Some(Ok(done)) => {
            report::push(cx, done)?;
            cx.raw_set_field(table, "report")?;
        }
        Some(Err(error)) => {
            report::set_text(cx, table, "kind", error.kind())?;
            if let HotError::Refused(refused) = error {
                let codes = cx.height();
                cx.push_table(refused.refusals.len(), 0);
                for (k, refusal) in (1..).zip(&refused.refusals) {
                    cx.push_bytes(refusal.code.text().as_bytes());
                    cx.raw_set_int(codes, k)?;
                }
                cx.raw_set_field(table, "codes")?;
            }
            cx.push_bytes(Error::from(error.clone()).message_bytes());
            cx.raw_set_field(table, "message")?;
        }
    }
    cx.set_height(table + 1);
    Ok(())
}
