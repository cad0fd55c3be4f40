//! stub
pub(crate) mod names { use crate::vm::Vm; use crate::value::Value; use crate::frame::Frame;
pub(crate) fn of_value(_: &Vm, _: Value) -> Vec<u8> { Vec::new() }
pub(crate) fn of_indexed(_: &Vm, _: Value, _: Value) -> Vec<u8> { Vec::new() }
pub(crate) fn of_called(_: &Vm, _: Value) -> Vec<u8> { Vec::new() }
pub(crate) fn of_slot(_: &Vm, _: usize) -> Vec<u8> { b"?".to_vec() }
pub(crate) unsafe fn function_name(_: &Vm, _: Frame) -> Option<(&'static str, Vec<u8>)> { None } }
pub(crate) mod position { use crate::vm::Vm; 
pub(crate) unsafe fn of_topmost(_: &Vm) -> Vec<u8> { Vec::new() }
pub(crate) unsafe fn at_level(_: &Vm, _: usize) -> Vec<u8> { Vec::new() } }
pub(crate) mod traceback { use crate::vm::Vm; use crate::value::Value; use crate::object::Coroutine;
pub(crate) unsafe fn global_name(_: &Vm, _: Value) -> Option<Vec<u8>> { None }
pub(crate) fn traceback(_: &Vm, _: Option<*mut Coroutine>, m: Option<&[u8]>, _: usize) -> Vec<u8> { m.unwrap_or(b"").to_vec() } }
pub(crate) mod info { use crate::vm::Vm; use crate::value::Value; use crate::object::*; use crate::frame::Frame;
pub(crate) enum Target { Frame(Frame), Function(Value) }
pub(crate) struct Info;
pub(crate) fn frame_at_level(_: &Vm, _: Option<*mut Coroutine>, _: usize) -> Option<Frame> { None }
pub(crate) fn describe(_: &Vm, _: Target, _: &[u8]) -> Info { Info }
pub(crate) fn info_table(vm: &mut Vm, _: &Info, _: &[u8]) -> *mut Table { vm.heap.new_table(0,0) }
pub(crate) fn local(_: &mut Vm, _: Option<*mut Coroutine>, _: usize, _: i64) -> Option<(Vec<u8>, Value)> { None }
pub(crate) fn set_local(_: &mut Vm, _: Option<*mut Coroutine>, _: usize, _: i64, _: Value) -> Option<Vec<u8>> { None }
pub(crate) fn parameter_name(_: &Vm, _: Value, _: i64) -> Option<Vec<u8>> { None }
pub(crate) fn upvalue(_: &mut Vm, _: Value, _: i64) -> Option<(Vec<u8>, Value)> { None }
pub(crate) fn set_upvalue(_: &mut Vm, _: Value, _: i64, _: Value) -> Option<Vec<u8>> { None }
pub(crate) fn upvalue_id(_: &mut Vm, _: Value, _: i64) -> Option<usize> { None }
pub(crate) fn upvalue_join(_: &mut Vm, _: Value, _: i64, _: Value, _: i64) -> bool { false } }
