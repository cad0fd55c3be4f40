//! Calls of what patches bring along (initialisers, definitions, hooks): protected,
//! errors as text.
//!
//! Invariants: HP2, HO1.

use crate::host;
use crate::object::StringObject;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Calls a function at a safe point. An error that is on its way meanwhile stays
/// what it is.
///
/// # Safety
/// HP2, HO1; function and arguments are live (V1).
pub(crate) unsafe fn call(
    vm: &mut Vm,
    function: Value,
    arguments: &[Value],
) -> Result<Value, String> {
    // SAFETY: by the caller, HO1.
    unsafe {
        let saved = vm.error;
        let in_flight = std::mem::take(&mut vm.in_flight);
        let result = host::call_protected(vm, function, arguments);
        vm.in_flight = in_flight;
        let error = std::mem::replace(&mut vm.error, saved);
        result.map_err(|_| text_of(error))
    }
}

/// An error value as text.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn text_of(error: Value) -> String {
    if error.tag != tag::STRING {
        return format!("(error object is a {} value)", error.type_name());
    }
    // SAFETY: by the caller.
    let bytes = unsafe { StringObject::bytes(error.as_string()) };
    String::from_utf8_lossy(bytes).into_owned()
}
