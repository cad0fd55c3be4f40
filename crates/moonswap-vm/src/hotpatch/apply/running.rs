//! `Transaction`: the delta chunks of one instance while they run.
//!
//! Invariants: HP2.

use std::sync::Arc;

use foldhash::HashSet;
use moonswap_hotpatch::{DataChange, Merged, NotRun, Refusal};

use super::prepare::FieldChange;
use crate::context::{Context, Outcome};
use crate::object::{Instance, PrototypeSlot};
use crate::table;
use crate::undo::Mark;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// The delta chunks of one instance while they run.
pub(crate) struct Transaction {
    pub(crate) instance: *mut Instance,
    pub(crate) data: Arc<[DataChange]>,
    /// Slots of functions whose fields are cleared.
    pub(crate) removed: Vec<*mut PrototypeSlot>,
    /// Fields that were set, with what stood there.
    pub(crate) fields: Vec<FieldChange>,
    /// What became of the data.
    pub(crate) merged: Vec<Merged>,
    /// Which fields of functions were left alone, and why.
    pub(crate) overridden: Vec<String>,
    /// Why the patch is refused.
    pub(crate) refusal: Option<Refusal>,
    /// What expressions gave, by their numbers.
    pub(crate) held: Vec<Option<Value>>,
    /// Changes that were not made.
    pub(crate) not_run: Vec<NotRun>,
}

/// Whatever runs now, if anything does.
pub(crate) fn with<T>(vm: &mut Vm, f: impl FnOnce(&mut Transaction) -> T) -> Option<T> {
    vm.hot.transaction.as_mut().map(f)
}

/// Sets a field without metamethods, and remembers what stood there.
pub(crate) fn set(cx: &mut Context<'_>, container: Value, key: Value, after: Value) -> Outcome<()> {
    let mut vm = cx.vm();
    // SAFETY: a live table; nothing is collected.
    unsafe {
        let table = container.as_table();
        let before = table::get(table, key);
        if let Err(e) = vm.undo().set(table, key, after) {
            return Err(crate::meta::raise_table_error(&mut vm, e));
        }
        let change = FieldChange {
            table: container,
            key,
            before,
            after,
        };
        with(&mut vm, |t| t.fields.push(change));
    }
    Ok(())
}

/// Remembers the fields that were written since a mark, with what stood there.
pub(crate) fn note_fields(vm: &mut Vm, mark: Mark) {
    let mut seen = HashSet::default();
    let mut written = vm.undo_log.fields_since(mark);
    // The first entry of a key says what stood there.
    written.retain(|(table, key, _)| seen.insert((*table, key.payload, key.tag)));
    with(vm, |t| {
        // SAFETY: live tables; nothing is collected.
        t.fields
            .extend(written.into_iter().map(|(table, key, before)| unsafe {
                FieldChange {
                    table: Value::table(table),
                    key,
                    before,
                    after: crate::table::get(table, key),
                }
            }));
    });
}

/// What is said of a field that something else has set.
pub(crate) fn left_alone(path: &str) -> String {
    format!("{path} was overridden at run time and left alone")
}

/// Whether a table is one of Lua's own libraries, by whatever name the text reached it.
///
/// # Safety
/// A live table; nothing is collected.
pub(crate) unsafe fn is_library(vm: &mut Vm, container: Value) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"string",
        b"table",
        b"math",
        b"io",
        b"os",
        b"coroutine",
        b"utf8",
        b"debug",
        b"package",
    ];
    // SAFETY: by the caller; the registry is a live table.
    unsafe {
        let name = vm.string_value(b"_LOADED");
        let loaded = table::get(vm.registry, name);
        loaded.tag == tag::TABLE
            && NAMES.iter().any(|name| {
                let name = vm.string_value(name);
                let library = table::get(loaded.as_table(), name);
                library.tag == tag::TABLE && library.payload == container.payload
            })
    }
}
