//! Changes of data and definitions: what the delta chunks' calls do (the VM's
//! side of the three-way merge: what the program holds).
//!
//! A change is made where the program still holds what the old text put there;
//! elsewhere it is left alone and reported.
//!
//! Invariants: HP2, HP3; J1: nothing is collected while these run.

use std::sync::Arc;

use moonswap_hotpatch::{
    Before, ChangeKind, Code, Constant, DataChange, Merged, NotRun, Refusal, shown_chunk,
};

use super::evaluated::{alike, held, hold, is_same, settle};
use super::running::{is_library, left_alone, note_fields, set, with};
use crate::context::{Context, Outcome};
use crate::hotpatch::registry::manifest::{known_registry, registry};
use crate::meta_event::Event;
use crate::object::{Closure, Instance, NativeFn, PrototypeSlot, StringObject, Table, Version};
use crate::table;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Tables nest this deep at most when they are compared.
const DEPTH: usize = 200;

/// The functions that delta chunks get, in the order of their arguments.
pub(crate) const NATIVES: [(&str, NativeFn); 6] = [
    ("merge", merge),
    ("choose", choose),
    ("clear", clear),
    ("returned", returned),
    ("arguments", arguments),
    ("hold", hold),
];

/// The transaction under way, and change number `i` of it.
fn change(cx: &Context<'_>, i: usize) -> Outcome<(*mut Instance, Arc<[DataChange]>, usize)> {
    let at = cx.check_int(i)? as usize;
    let known = with(&mut cx.vm(), |t| (t.instance, Arc::clone(&t.data)));
    let Some((instance, data)) = known else {
        return Err(cx.error_plain("no patch is being prepared"));
    };
    match at < data.len() {
        true => Ok((instance, data, at)),
        false => Err(cx.error_plain("there is no such change")),
    }
}

/// `merge(table, i, value)`
fn merge(cx: &mut Context<'_>) -> Outcome<usize> {
    let (instance, data, at) = change(cx, 1)?;
    let change = &data[at];
    let is_list = matches!(change.kind, ChangeKind::List(_));
    // What could not be evaluated is listed already.
    let Some(keys) = keys_of(cx, change) else {
        return Ok(0);
    };
    let (walked, last) = match keys.split_last() {
        Some((last, walked)) if !is_list => (walked, Some(*last)),
        _ => (&keys[..], None),
    };
    let height = cx.height();
    cx.push_at(0);
    for key in walked {
        read_field(cx, height, *key)?;
    }
    let container = cx.value(height);
    let can_be_set = container.tag == tag::TABLE || has_newindex(cx, container);
    if !can_be_set || (container.tag != tag::TABLE && is_list) {
        return missing(cx, instance, change);
    }
    if container.tag != tag::TABLE {
        // Not a table, but it says itself what assignments do.
        set_as_the_text_does(cx, container, last.unwrap_or(Value::NIL), cx.value(2))?;
        note(cx, instance, change, None, "");
        return Ok(0);
    }
    if is_list {
        return merge_list(cx, instance, change, container.as_table());
    }
    let Some(key) = last else {
        return Err(cx.error_plain("a variable is not merged"));
    };
    // SAFETY: as above.
    let live = unsafe { table::get(container.as_table(), key) };
    let Some(value) = wanted(cx, change, live, 2)? else {
        return Ok(0);
    };
    // SAFETY: as above.
    unsafe {
        let is_absent = change.before == Before::Absent
            && (live.is_nil() || is_left_over(instance, live, &change.path));
        if is_absent || change.replace || holds(&mut cx.vm(), instance, live, change) {
            let value = settled(cx, change, live, value)?;
            if is_same(live, value) && live.tag != tag::TABLE {
                return Ok(0);
            }
            let shown_live = text_of(live);
            if live.is_nil() && has_newindex(cx, container) {
                set_as_the_text_does(cx, container, key, value)?;
            } else {
                set(cx, container, key, value)?;
            }
            note(cx, instance, change, None, &shown_live);
        } else if !is_same(live, value) {
            let live = text_of(live);
            note(cx, instance, change, Some(live), "");
        }
    }
    Ok(0)
}

/// The keys of a change's path; `None`: one could not be evaluated, or is none.
fn keys_of(cx: &mut Context<'_>, change: &DataChange) -> Option<Vec<Value>> {
    let known = |key| value_of(&mut cx.vm(), key);
    let mut keys: Vec<Value> = change.keys.iter().map(known).collect();
    let Some(evaluated) = &change.evaluated else {
        return Some(keys);
    };
    for (at, number) in &evaluated.keys {
        let key = held(cx, *number)?;
        let is_key = !key.is_nil() && key.raw_equal(key);
        if !is_key {
            // SAFETY: a live value.
            let shown = unsafe { text_of(key) };
            let not_run = NotRun {
                why: format!("{}: its key is {shown}", evaluated.not_run.why),
                ..evaluated.not_run.clone()
            };
            with(&mut cx.vm(), |t| t.not_run.push(not_run));
            return None;
        }
        *keys.get_mut(*at)? = key;
    }
    Some(keys)
}

/// `choose(now, i, value)`
fn choose(cx: &mut Context<'_>) -> Outcome<usize> {
    let (instance, data, at) = change(cx, 1)?;
    let change = &data[at];
    let live = cx.value(0);
    let Some(value) = wanted(cx, change, live, 2)? else {
        cx.push_at(0);
        return Ok(1);
    };
    // SAFETY: live values; nothing is collected.
    unsafe {
        let is_free = match &change.before {
            Before::Absent => live.is_nil() || is_left_over(instance, live, &change.path),
            _ => holds(&mut cx.vm(), instance, live, change),
        };
        if change.again && !live.is_nil() && !is_data_of(value, change) {
            // The table was changed in place, and still has it.
            cx.push_at(0);
            return Ok(1);
        }
        let is_missing = change.again && live.is_nil();
        let is_free = is_free || is_missing;
        let differs = !is_missing && !is_same(live, value);
        if is_free || change.replace {
            let value = settled(cx, change, live, value)?;
            if differs {
                note(cx, instance, change, None, &text_of(live));
            }
            cx.push_value(value);
        } else {
            if differs {
                note(cx, instance, change, Some(text_of(live)), "");
            }
            cx.push_at(0);
        }
    }
    Ok(1)
}

/// Whether a change puts a plain value in place, not a function or a table.
fn is_data_of(value: Value, change: &DataChange) -> bool {
    change.is_data() && value.tag != tag::TABLE
}

/// The value that a change puts in place of `live`: its argument, or what was
/// evaluated. `None`: the change is not made, which is listed.
fn wanted(
    cx: &mut Context<'_>,
    change: &DataChange,
    live: Value,
    argument: usize,
) -> Outcome<Option<Value>> {
    let Some(evaluated) = &change.evaluated else {
        return Ok(Some(cx.value(argument)));
    };
    // What could not be evaluated is listed already.
    if let Some(number) = evaluated.old {
        let Some(old) = held(cx, number) else {
            return Ok(None);
        };
        // SAFETY: live values; nothing is collected.
        if !change.replace && !unsafe { alike(live, old) } {
            let why = &evaluated.not_run.why;
            let not_run = NotRun {
                why: format!("{why}: the program has something else than the old text gives now"),
                ..evaluated.not_run.clone()
            };
            with(&mut cx.vm(), |t| t.not_run.push(not_run));
            return Ok(None);
        }
    }
    Ok(match evaluated.new {
        Some(number) => held(cx, number),
        None => Some(cx.value(argument)),
    })
}

/// What is put in place of `live`: the value, or `live` itself with its contents.
fn settled(cx: &mut Context<'_>, change: &DataChange, live: Value, value: Value) -> Outcome<Value> {
    let number = change
        .evaluated
        .as_ref()
        .and_then(|evaluated| evaluated.old);
    match number.and_then(|number| held(cx, number)) {
        Some(old) => settle(cx, live, old, value),
        None => Ok(value),
    }
}

/// `clear(table, i, key…)`: clears the field if the removed function stands there.
fn clear(cx: &mut Context<'_>) -> Outcome<usize> {
    let i = cx.check_int(1)? as usize;
    let slot = with(&mut cx.vm(), |t| t.removed.get(i).copied()).flatten();
    let n = cx.height();
    let mut container = cx.value(0);
    let mut path = String::new();
    // SAFETY: live values; nothing is collected.
    unsafe {
        for at in 2..n {
            let key = cx.value(at);
            if key.tag == tag::STRING {
                let text = StringObject::bytes(key.as_string());
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(text));
            }
            if container.tag != tag::TABLE {
                return Ok(0);
            }
            if at + 1 < n {
                container = table::get(container.as_table(), key);
                continue;
            }
            let live = table::get(container.as_table(), key);
            if live.is_nil() {
                return Ok(0);
            }
            let is_it = live.tag == tag::CLOSURE && Some(Closure::slot(live.as_closure())) == slot;
            if is_it && !is_library(&mut cx.vm(), container) {
                return set(cx, container, key, Value::NIL).map(|()| 0);
            }
            let why = match is_it {
                true => format!("{path}: the field stays: what the library had there is not kept"),
                false => left_alone(&path),
            };
            let name = with(&mut cx.vm(), |t| t.overridden.push(why));
            debug_assert!(name.is_some());
        }
    }
    Ok(0)
}

/// `returned()`
fn returned(cx: &mut Context<'_>) -> Outcome<usize> {
    let instance = with(&mut cx.vm(), |t| t.instance);
    // SAFETY: live instance.
    let value = instance.map_or(Value::NIL, |i| unsafe {
        Instance::more(i).map_or(Value::NIL, |more| more.returned)
    });
    cx.push_value(value);
    Ok(1)
}

/// `arguments()`
fn arguments(cx: &mut Context<'_>) -> Outcome<usize> {
    let instance = with(&mut cx.vm(), |t| t.instance);
    let mut n = 0;
    if let Some(instance) = instance {
        // SAFETY: live instance, whose arguments stay what they are.
        let kept = unsafe { Instance::more(instance).and_then(|more| more.arguments.clone()) };
        for value in kept.iter().flat_map(|all| all.iter()) {
            cx.push_value(*value);
            n += 1;
        }
    }
    Ok(n)
}

/// The table for a change is not there.
fn missing(cx: &mut Context<'_>, instance: *mut Instance, change: &DataChange) -> Outcome<usize> {
    if change.is_data() {
        note(cx, instance, change, Some("in no table".to_owned()), "");
        return Ok(0);
    }
    let parent = change.path.rsplit_once(['.', '[']).map_or("", |(p, _)| p);
    // SAFETY: live instance.
    let chunk = unsafe { shown_chunk(&(*instance).chunk) };
    let refusal = Refusal {
        code: Code::TableMissing,
        chunk,
        line: change.line,
        column: 1,
        function: change.path.clone(),
        reason: format!("is put into {parent}, which is no table"),
        remedy: format!(
            "name the statement that makes {parent} in `run`, or make it in a new local"
        ),
    };
    let text = refusal.to_string();
    with(&mut cx.vm(), |t| t.refusal.get_or_insert(refusal).line);
    Err(cx.error_plain(text))
}

/// Items without keys of a table whose number changed.
fn merge_list(
    cx: &mut Context<'_>,
    instance: *mut Instance,
    change: &DataChange,
    list: *mut Table,
) -> Outcome<usize> {
    let (Before::Table(before), ChangeKind::List(aligned)) = (&change.before, &change.kind) else {
        return Err(cx.error_plain("no list"));
    };
    let fresh = cx.value(2);
    if fresh.tag != tag::TABLE {
        return Err(cx.error_plain("no list"));
    }
    let index = |i: usize| Value::integer(i as i64 + 1);
    // SAFETY: live tables; nothing is collected.
    unsafe {
        let n_old = before
            .iter()
            .filter_map(|(key, _)| match key {
                Constant::Integer(i) => usize::try_from(*i).ok(),
                _ => None,
            })
            .max()
            .unwrap_or(0);
        let mut old: Vec<Value> = (0..n_old).map(|i| table::get(list, index(i))).collect();
        let mut is_kept = table::get(list, index(n_old)).is_nil() || change.replace;
        for (key, before) in before {
            let Constant::Integer(i) = key else { continue };
            let live = old[*i as usize - 1];
            is_kept &= change.replace || holds_within(&mut cx.vm(), instance, live, before, DEPTH);
        }
        if !is_kept {
            let live = format!("{} items", table::len(list));
            note(cx, instance, change, Some(live), "");
            return Ok(0);
        }
        for (j, from) in aligned.iter().enumerate() {
            let value = match from.and_then(|i| old.get(i as usize)) {
                Some(kept) => *kept,
                None => table::get(fresh.as_table(), index(j)),
            };
            if !is_same(table::get(list, index(j)), value) {
                set(cx, Value::table(list), index(j), value)?;
            }
        }
        for i in aligned.len()..n_old {
            set(cx, Value::table(list), index(i), Value::NIL)?;
        }
        old.clear();
        note(cx, instance, change, None, &format!("{n_old} items"));
    }
    Ok(0)
}

/// Reports what became of a change: made (`overridden` is `None`), or not.
fn note(
    cx: &mut Context<'_>,
    instance: *mut Instance,
    change: &DataChange,
    overridden: Option<String>,
    live: &str,
) {
    // SAFETY: live instance.
    let chunk = unsafe { shown_chunk(&(*instance).chunk) };
    let is_data = change.is_data();
    let new = change
        .evaluated
        .as_ref()
        .and_then(|evaluated| evaluated.new);
    let after = match new.and_then(|number| held(cx, number)) {
        // SAFETY: a live value.
        Some(value) => unsafe { text_of(value) },
        None => change.after.clone(),
    };
    with(&mut cx.vm(), |t| match is_data {
        true => {
            // What is replaced whatever it was is shown as it was.
            let is_shown = change.replace || change.evaluated.is_some();
            let before = match is_shown && overridden.is_none() {
                true => live.to_owned(),
                false => change.before.to_string(),
            };
            t.merged.push(Merged {
                chunk,
                line: change.line,
                path: change.path.clone(),
                before,
                after,
                overridden,
            });
        }
        false if overridden.is_some() => t.overridden.push(left_alone(&change.path)),
        false => {}
    });
}

/// Sets a field with `__newindex`, as the statement would. What that writes is
/// remembered by the undo log's entries.
fn set_as_the_text_does(
    cx: &mut Context<'_>,
    container: Value,
    key: Value,
    value: Value,
) -> Outcome<()> {
    let mark = cx.vm().undo_log.mark();
    let at = cx.height();
    cx.push_value(container);
    cx.push_value(key);
    cx.push_value(value);
    cx.set_index(at)?;
    cx.pop(1);
    note_fields(&mut cx.vm(), mark);
    Ok(())
}

fn has_newindex(cx: &Context<'_>, value: Value) -> bool {
    !crate::meta::of(&cx.vm(), value, Event::NewIndex).is_nil()
}

/// Replaces the value at `at`, the top, by its field `key`, as the text would read
/// it; by nil if it has no fields.
fn read_field(cx: &mut Context<'_>, at: usize, key: Value) -> Outcome<()> {
    let value = cx.value(at);
    let is_indexed =
        value.tag == tag::TABLE || !crate::meta::of(&cx.vm(), value, Event::Index).is_nil();
    if is_indexed {
        cx.push_value(key);
        cx.index(at, at + 1)?;
        let found = cx.value(at + 2);
        cx.pop(3);
        cx.push_value(found);
    } else {
        cx.pop(1);
        cx.push_value(Value::NIL);
    }
    Ok(())
}

/// Whether the program holds what the old text put there, as far as it is known: not
/// if nothing is, and it was not evaluated.
///
/// # Safety
/// `instance` and `live` are live; nothing is collected meanwhile (J1).
unsafe fn holds(vm: &mut Vm, instance: *mut Instance, live: Value, change: &DataChange) -> bool {
    let evaluated = change.evaluated.as_ref();
    if evaluated.is_some_and(|evaluated| evaluated.old.is_some()) {
        return true;
    }
    let before = &change.before;
    // SAFETY: by the caller.
    *before != Before::Unknown && unsafe { holds_within(vm, instance, live, before, DEPTH) }
}

/// # Safety
/// `instance` and `live` are live; nothing is collected meanwhile (J1).
unsafe fn holds_within(
    vm: &mut Vm,
    instance: *mut Instance,
    live: Value,
    before: &Before,
    depth: usize,
) -> bool {
    // SAFETY: live values; nothing is collected.
    unsafe {
        match before {
            Before::Absent => live.is_nil(),
            // Of a part that an expression made only that it is there.
            Before::Unknown => !live.is_nil(),
            Before::Constant(constant) => {
                let constant = value_of(vm, constant);
                live.raw_equal(constant)
            }
            Before::Function(id) => {
                live.tag == tag::CLOSURE
                    && registry(vm, instance).get(id) == Some(Closure::slot(live.as_closure()))
            }
            Before::Table(items) => {
                if live.tag != tag::TABLE || depth == 0 {
                    return false;
                }
                let table = live.as_table();
                for (key, before) in items {
                    let key = value_of(vm, key);
                    let live = table::get(table, key);
                    if !holds_within(vm, instance, live, before, depth - 1) {
                        return false;
                    }
                }
                // Nothing else is there.
                let mut key = Value::NIL;
                let mut n = 0;
                while let Ok(Some((next, _))) = table::next(table, key) {
                    n += 1;
                    key = next;
                    if n > items.len() {
                        return false;
                    }
                }
                (*table).metatable.is_null()
            }
        }
    }
}

/// Whether it is the function of this name which an earlier text defined there,
/// and which is no longer in the text.
///
/// # Safety
/// `instance` and `live` are live; nothing is collected meanwhile (J1).
unsafe fn is_left_over(instance: *mut Instance, live: Value, path: &str) -> bool {
    // SAFETY: live value and instance.
    unsafe {
        if live.tag != tag::CLOSURE {
            return false;
        }
        let slot = Closure::slot(live.as_closure());
        let id = &Version::id(PrototypeSlot::version(slot));
        (*slot).instance == instance
            && known_registry(instance).and_then(|known| known.get(id)) != Some(slot)
            && defined_name(id) == path
    }
}

/// `M.f` of `shop.lua / M:f#2`.
fn defined_name(id: &moonswap_bytecode::FunctionId) -> String {
    let full = id.to_string();
    let path = full.split_once(" / ").map_or(&*full, |(_, path)| path);
    let name = path.split_once('#').map_or(path, |(name, _)| name);
    name.replace(':', ".")
}

fn value_of(vm: &mut Vm, constant: &Constant) -> Value {
    match constant {
        Constant::Nil => Value::NIL,
        Constant::Boolean(b) => Value::boolean(*b),
        Constant::Integer(i) => Value::integer(*i),
        Constant::Float(bits) => Value::float(f64::from_bits(*bits)),
        Constant::String(text) => vm.string_value(text),
    }
}

/// A value as shown to people.
///
/// # Safety
/// V1.
unsafe fn text_of(value: Value) -> String {
    // SAFETY: by the caller.
    unsafe {
        let constant = match value.tag {
            tag::NIL => Constant::Nil,
            tag::TRUE => Constant::Boolean(true),
            tag::FALSE => Constant::Boolean(false),
            tag::INTEGER => Constant::Integer(value.as_i64()),
            tag::FLOAT => Constant::Float(value.as_f64().to_bits()),
            tag::STRING => Constant::String(StringObject::bytes(value.as_string()).into()),
            tag::TABLE => {
                return match table::next(value.as_table(), Value::NIL) {
                    Ok(Some(_)) => "{…}".to_owned(),
                    _ => "{}".to_owned(),
                };
            }
            _ => return value.type_name().to_owned(),
        };
        constant.to_string()
    }
}
