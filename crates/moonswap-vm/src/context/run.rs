//! What may run Lua code: calls, metamethods, coroutines, the collector.
//!
//! Invariants: CX1–CX3; all methods take `&mut self`, so no view survives them.

use super::{Context, CoroutineRef, Outcome, View};
use crate::coroutine;
use crate::host;
use crate::interp::{self, Lookup, Store, raw_arith};
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Coroutine, CoroutineStatus, StringObject};
use crate::table;
use crate::value::{Value, store, tag};

impl Context<'_> {
    /// Function and `n_args` arguments on top are replaced by the results
    /// (`n_results` of them, `None`: all); answers how many. Not yieldable.
    pub fn call(&mut self, n_args: usize, n_results: Option<usize>) -> Outcome<usize> {
        self.call_with(n_args, n_results, 0)
    }

    fn call_with(
        &mut self,
        n_args: usize,
        n_results: Option<usize>,
        takes_errors: u32,
    ) -> Outcome<usize> {
        let h = self.height();
        let Some(below) = h.checked_sub(1) else {
            return Err(self.error_plain("attempt to call a nil value"));
        };
        let n_args = n_args.min(below);
        let f = below - n_args;
        let mut vm = self.vm();
        // SAFETY: CX1; two more slots (continuation, link) are reserved first.
        unsafe {
            vm.ensure_top(48)?;
            let start = self.slot(f);
            let function = *start;
            // [f a b] becomes [continuation f link a b]
            for i in (1..=n_args).rev() {
                crate::value::copy(start.add(i + 2), start.add(i));
            }
            store(start.add(1), function);
            vm.top = start.add(3 + n_args);
            let at = self.base() + f + 1;
            match host::call_at(&mut vm, at, n_args, takes_errors) {
                Ok(n) => {
                    let from = vm.stack_base.add(at);
                    let to = vm.stack_base.add(at - 1);
                    for i in 0..n {
                        crate::value::copy(to.add(i), from.add(i));
                    }
                    vm.top = to.add(n);
                    if let Some(wanted) = n_results {
                        self.set_height(f + wanted);
                        return Ok(wanted);
                    }
                    Ok(n)
                }
                Err(e) => {
                    vm.top = vm.stack_base.add(at - 1);
                    Err(e)
                }
            }
        }
    }

    /// Ends a native function with a call of the function below the top
    /// `n_args` values; its results (`three`: exactly three) become the native's.
    /// The called function may yield. Use as `return cx.tail_call(n, false)`.
    pub fn tail_call(&mut self, n_args: usize, three: bool) -> Outcome<usize> {
        self.vm().native_tail = Some(crate::vm::NativeTail { n_args, three });
        Ok(n_args + 1)
    }

    /// Whether `function(a, b)` (stack indices) answers a true value. Nothing
    /// is pushed. Not yieldable.
    pub fn call_test(&mut self, function: usize, a: usize, b: usize) -> Outcome<bool> {
        let (function, a, b) = (self.value(function), self.value(a), self.value(b));
        let mut vm = self.vm();
        // SAFETY: CX1; continuation, function, link and arguments are reserved.
        unsafe {
            vm.ensure_top(48)?;
            let at = vm.index_of(vm.top) + 1;
            let f = vm.stack_base.add(at);
            store(f, function);
            store(f.add(2), a);
            store(f.add(3), b);
            vm.top = f.add(4);
            let result = host::call_one(&mut vm, at, 2);
            vm.top = vm.stack_base.add(at - 1);
            result.map(|()| !(*vm.top.add(1)).is_falsy())
        }
    }

    /// Protected call: `Ok(Ok(n))` with results pushed, `Ok(Err(()))` with the
    /// error value pushed; an error that cannot be caught passes as `Err`.
    #[allow(clippy::type_complexity)]
    pub fn pcall(&mut self, n_args: usize, n_results: Option<usize>) -> Outcome<Result<usize, ()>> {
        self.pcall_with(n_args, n_results, host::TAKES_ERRORS)
    }

    /// The same for errors that the message handler of an `xpcall` further out
    /// sees first, as what the reader function of `load` raises.
    #[allow(clippy::type_complexity)]
    pub fn pcall_seen(
        &mut self,
        n_args: usize,
        n_results: Option<usize>,
    ) -> Outcome<Result<usize, ()>> {
        self.pcall_with(n_args, n_results, 0)
    }

    #[allow(clippy::type_complexity)]
    fn pcall_with(
        &mut self,
        n_args: usize,
        n_results: Option<usize>,
        takes_errors: u32,
    ) -> Outcome<Result<usize, ()>> {
        match self.call_with(n_args, n_results, takes_errors) {
            Ok(n) => Ok(Ok(n)),
            Err(e) => {
                let (is_limit, is_expelled) = {
                    let vm = self.vm();
                    let limits = &vm.limits;
                    let is_limit = limits.has_tripped() || limits.has_ended();
                    (is_limit, vm.in_flight.expelled.is_some())
                };
                if is_limit || is_expelled {
                    return Err(e);
                }
                // SAFETY: CX1: the stack is cut to where the function stood.
                unsafe {
                    let mut vm = self.vm();
                    vm.leave_overflow_at_top();
                }
                self.push_error(e);
                Ok(Err(()))
            }
        }
    }

    /// Which limit ended the call that has just failed, if one did.
    pub fn take_limit(&self) -> Option<crate::limits::Ended> {
        self.vm().limits.take_ended()
    }

    /// Ends what runs as a limit does, with an error that nothing catches.
    pub fn end_run(&self, message: &str) -> crate::Raised {
        crate::limits::trip(&mut self.vm(), crate::limits::Limit::Interrupt, message)
    }

    /// Runs host code that may come into this VM by way of a
    /// [`Machine`](crate::Machine): calls Lua functions through handles, say.
    /// The context rests meanwhile.
    pub fn suspended<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let entry = std::rc::Rc::clone(&self.vm().entry);
        // SAFETY: M2: the context's pointer was derived from the one that who
        // is inside came in by. `&mut self` says that nothing is borrowed from
        // the context, which is not used before `f` ends (CX4).
        let _open = unsafe { entry.open(self.vm_address().cast()) };
        f()
    }

    fn index_value(&mut self, object: Value, key: Value) -> Outcome<()> {
        let mut vm = self.vm();
        let value = match interp::lookup(&mut vm, object, key)? {
            Lookup::Found(v) => v,
            // SAFETY: CX1.
            Lookup::Call { function, receiver } => unsafe {
                host::call_value(&mut vm, function, &[receiver, key])?
            },
        };
        self.push_value(value);
        self.settle();
        Ok(())
    }

    /// What was allocated until here is paid for, as it is when a call returns: a
    /// native that loops makes garbage without end otherwise.
    #[inline]
    pub fn settle(&mut self) {
        // SAFETY: CX1: all that is in use is on the stack.
        unsafe { interp::settle(&mut self.vm()) };
    }

    /// Pushes `object[key]` with metamethods.
    pub fn index(&mut self, object: usize, key: usize) -> Outcome<()> {
        self.index_value(self.value(object), self.value(key))
    }

    /// Pushes `object[key]` with metamethods.
    pub fn index_int(&mut self, object: usize, key: i64) -> Outcome<()> {
        self.index_value(self.value(object), Value::integer(key))
    }

    /// Pushes `object.key` with metamethods.
    pub fn index_field(&mut self, object: usize, key: &str) -> Outcome<()> {
        let key = self.vm().string_value(key.as_bytes());
        self.index_value(self.value(object), key)
    }

    fn store_value(&mut self, object: Value, key: Value, value: Value) -> Outcome<()> {
        let mut vm = self.vm();
        let mut stored = interp::store_lookup(&mut vm, object, key, value);
        if stored.is_err() && vm.is_memory_error {
            // Object and value are on the stack; the key may not be.
            self.push_value(key);
            let top = vm.top;
            // SAFETY: CX1.
            let retry = unsafe { host::collect_for(&mut vm, top) };
            self.pop(1);
            if retry {
                stored = interp::store_lookup(&mut vm, object, key, value);
            }
        }
        match stored? {
            Store::Done => Ok(()),
            // SAFETY: CX1.
            Store::Call { function, receiver } => unsafe {
                host::call_value(&mut vm, function, &[receiver, key, value]).map(|_| ())
            },
        }
    }

    /// `object[key] = top` with metamethods; pops.
    pub fn set_index_int(&mut self, object: usize, key: i64) -> Outcome<()> {
        let v = self.below_top(1);
        let result = self.store_value(self.value(object), Value::integer(key), v);
        self.pop(1);
        result
    }

    /// `object.key = top` with metamethods; pops.
    pub fn set_index_field(&mut self, object: usize, key: &str) -> Outcome<()> {
        let key = self.vm().string_value(key.as_bytes());
        let v = self.below_top(1);
        let result = self.store_value(self.value(object), key, v);
        self.pop(1);
        result
    }

    /// `object[key] = value`, value on top and key below it; pops both.
    pub fn set_index(&mut self, object: usize) -> Outcome<()> {
        let (key, value) = (self.below_top(2), self.below_top(1));
        let result = self.store_value(self.value(object), key, value);
        self.pop(2);
        result
    }

    /// `#value` as an integer: "object length is not an integer".
    pub fn length(&mut self, i: usize) -> Outcome<i64> {
        let v = self.value(i);
        let mut vm = self.vm();
        // SAFETY: CX1, V1.
        unsafe {
            if v.tag == tag::STRING {
                return Ok((*v.as_string()).len as i64);
            }
            let f = meta::of(&vm, v, Event::Len);
            if f.is_nil() {
                if v.tag == tag::TABLE {
                    return Ok(table::len(v.as_table()));
                }
                return Err(meta::raise_type(&mut vm, v, "get length of"));
            }
            let result = host::call_value(&mut vm, f, &[v, v])?;
            View::of(result)
                .to_integer()
                .ok_or_else(|| self.error("object length is not an integer"))
        }
    }

    /// `a < b` with metamethods.
    pub fn less_than(&mut self, a: usize, b: usize) -> Outcome<bool> {
        self.order(Event::Lt, a, b)
    }

    /// `a <= b` with metamethods.
    pub fn less_equal(&mut self, a: usize, b: usize) -> Outcome<bool> {
        self.order(Event::Le, a, b)
    }

    fn order(&mut self, event: Event, a: usize, b: usize) -> Outcome<bool> {
        let (l, r) = (self.value(a), self.value(b));
        if let Some(answer) = meta::raw_order(event, l, r) {
            return Ok(answer);
        }
        let mut vm = self.vm();
        let f = meta::of_binary(&vm, l, r, event);
        if f.is_nil() {
            return Err(meta::raise_compare(&mut vm, l, r));
        }
        // SAFETY: CX1.
        Ok(!unsafe { host::call_value(&mut vm, f, &[l, r])? }.is_falsy())
    }

    /// `a == b` with metamethods.
    pub fn equal(&mut self, a: usize, b: usize) -> Outcome<bool> {
        let (l, r) = (self.value(a), self.value(b));
        if l.raw_equal(r) {
            return Ok(true);
        }
        let mut vm = self.vm();
        let f = meta::of_equality(&vm, l, r);
        if f.is_nil() {
            return Ok(false);
        }
        // SAFETY: CX1.
        Ok(!unsafe { host::call_value(&mut vm, f, &[l, r])? }.is_falsy())
    }

    /// Pushes the string form of value `i`: `__tostring`, `__name`, or as
    /// `tostring` has it. Errors: "'__tostring' must return a string".
    pub fn push_tostring(&mut self, i: usize) -> Outcome<()> {
        let v = self.value(i);
        let mut vm = self.vm();
        let f = meta::of(&vm, v, Event::ToString);
        if !f.is_nil() {
            // SAFETY: CX1.
            let result = unsafe { host::call_value(&mut vm, f, &[v])? };
            if result.tag != tag::STRING {
                if let Some(n) = matches!(result.tag, tag::INTEGER | tag::FLOAT).then_some(result) {
                    let text = number_text(n);
                    self.push_bytes(&text);
                    return Ok(());
                }
                return Err(self.error("'__tostring' must return a string"));
            }
            self.push_value(result);
            return Ok(());
        }
        match v.tag {
            tag::STRING => self.push_value(v),
            tag::NIL => self.push_bytes(b"nil"),
            tag::FALSE => self.push_bytes(b"false"),
            tag::TRUE => self.push_bytes(b"true"),
            tag::INTEGER | tag::FLOAT => {
                let text = number_text(v);
                self.push_bytes(&text);
            }
            _ => {
                let name = meta::of(&vm, v, Event::Name);
                let kind = if name.tag == tag::STRING {
                    // SAFETY: V1.
                    let name = unsafe { StringObject::bytes(name.as_string()) };
                    self.check_size(name.len().saturating_add(64))?;
                    name.to_vec()
                } else {
                    v.type_name().as_bytes().to_vec()
                };
                let mut text = kind;
                let address = format!(": {:#014x}", v.payload);
                text.reserve_exact(address.len());
                text.extend_from_slice(address.as_bytes());
                self.push_bytes(&text);
            }
        }
        Ok(())
    }

    /// Arithmetic on the top two values (`"__unm"`, `"__bnot"`: the top one);
    /// pushes the result in their place.
    pub fn arith(&mut self, event: &str) -> Outcome<()> {
        let unary = matches!(event, "__unm" | "__bnot");
        let r = self.below_top(1);
        let l = if unary { r } else { self.below_top(2) };
        let event = [
            Event::Add,
            Event::Sub,
            Event::Mul,
            Event::Mod,
            Event::Pow,
            Event::Div,
            Event::IntDiv,
            Event::BitAnd,
            Event::BitOr,
            Event::BitXor,
            Event::ShiftLeft,
            Event::ShiftRight,
            Event::Negate,
            Event::BitNot,
        ]
        .into_iter()
        .find(|e| Event::NAMES[*e as usize] == event);
        let Some(event) = event else {
            return Err(self.error("unknown arithmetic event"));
        };
        let mut vm = self.vm();
        let value = match raw_arith(&mut vm, event, l, r) {
            Some(result) => result?,
            None => {
                let f = meta::of_binary(&vm, l, r, event);
                if f.is_nil() {
                    return Err(meta::raise_arith(&mut vm, event, l, r));
                }
                // SAFETY: CX1.
                unsafe { host::call_value(&mut vm, f, &[l, r])? }
            }
        };
        self.pop(if unary { 1 } else { 2 });
        self.push_value(value);
        Ok(())
    }

    /// Pops a function, pushes a new coroutine that will run it.
    pub fn push_coroutine(&self) {
        let body = self.pop_value();
        let co = coroutine::with_body(&mut self.vm(), body);
        self.push_value(Value::coroutine(co));
    }

    /// "suspended", "running", "normal" or "dead".
    pub fn coroutine_status(&self, c: CoroutineRef<'_>) -> &'static str {
        // SAFETY: CX2.
        match unsafe { (*c.0).status } {
            CoroutineStatus::Suspended => "suspended",
            CoroutineStatus::Running | CoroutineStatus::Closing => "running",
            CoroutineStatus::Normal => "normal",
            CoroutineStatus::Dead => "dead",
        }
    }

    /// Pushes the running coroutine; true if it is the main one.
    pub fn push_running(&self) -> bool {
        let vm = self.vm();
        let (current, main) = (vm.current, vm.main);
        self.push_value(Value::coroutine(current));
        std::ptr::eq(current, main)
    }

    /// Whether a coroutine (`None`: the running one) can yield.
    pub fn is_yieldable(&self, c: Option<CoroutineRef<'_>>) -> bool {
        let vm = self.vm();
        let co: *mut Coroutine = c.map_or(vm.current, |c| c.0);
        // SAFETY: CX2.
        unsafe { !std::ptr::eq(co, vm.main) && (*co).n_host_calls == 0 }
    }

    /// `coroutine.close` on the coroutine at index `i`: pushes true, or false
    /// and an error; answers how many. Errors when it runs.
    pub fn close_coroutine(&mut self, i: usize) -> Outcome<usize> {
        let v = self.value(i);
        if v.tag != tag::COROUTINE {
            return Err(self.type_error(i, "thread"));
        }
        let co = v.as_coroutine();
        // SAFETY: CX1.
        unsafe {
            match (*co).status {
                CoroutineStatus::Running | CoroutineStatus::Closing => {
                    return Err(self.error("cannot close a running coroutine"));
                }
                CoroutineStatus::Normal => {
                    return Err(self.error("cannot close a normal coroutine"));
                }
                CoroutineStatus::Suspended | CoroutineStatus::Dead => {}
            }
            let closed = host::close_coroutine(&mut self.vm(), co);
            self.charge(0)?;
            match closed {
                Ok(()) => {
                    self.push_bool(true);
                    Ok(1)
                }
                Err(error) => {
                    self.push_bool(false);
                    self.push_value(error);
                    Ok(2)
                }
            }
        }
    }

    /// For the end of the program from inside: calls `__close` of all variables
    /// of the main coroutine that still wait for it, as the reference does when
    /// it closes a state. The Lua functions they belong to must not be returned
    /// to.
    pub fn close_pending(&mut self) {
        // SAFETY: CX1: a native's frame is on top; the VM owns its main coroutine.
        unsafe { host::close_main(&mut self.vm()) };
    }

    /// A full collection with the finalizers it finds.
    pub fn gc_collect(&mut self) -> Outcome<()> {
        // SAFETY: CX1: everything live is on the stack.
        unsafe {
            let mut vm = self.vm();
            host::full_collect(&mut vm);
            vm.shrink_stack();
            host::run_finalizers(&mut vm);
        }
        self.charge(0)
    }

    /// A step of `kib` KiB; true if it finished a cycle.
    pub fn gc_step(&mut self, kib: usize) -> Outcome<bool> {
        // SAFETY: as gc_collect.
        unsafe {
            let vm = &mut *self.vm();
            host::sync_current(vm);
            let (heap, roots) = vm.heap_and_roots();
            let done = heap.step_kib(&roots, kib);
            host::run_finalizers(vm);
            self.charge(0)?;
            Ok(done)
        }
    }

    /// Bytes in use.
    pub fn gc_bytes(&self) -> usize {
        self.vm().heap.bytes_in_use()
    }

    /// Stops the collector.
    pub fn gc_stop(&self) {
        self.vm().heap.stop();
    }

    /// Restarts the collector.
    pub fn gc_restart(&self) {
        self.vm().heap.restart();
    }

    /// Whether the collector runs by itself.
    pub fn gc_is_running(&self) -> bool {
        self.vm().heap.is_running()
    }

    /// Sets the pause in percent; answers the previous one.
    pub fn gc_set_pause(&self, percent: i64) -> i64 {
        self.vm().heap.set_pause(gc_parameter(percent)) as i64
    }

    /// Sets the step multiplier in percent; answers the previous one.
    pub fn gc_set_step_multiplier(&self, percent: i64) -> i64 {
        self.vm().heap.set_step_multiplier(gc_parameter(percent)) as i64
    }

    /// "incremental" or "generational"; answers the previous mode's name.
    pub fn gc_set_mode(&self, mode: &str) -> &'static str {
        {
            use crate::heap::Mode;
            let mode = if mode == "generational" {
                Mode::Generational
            } else {
                Mode::Incremental
            };
            match self.vm().heap.set_mode(mode) {
                Mode::Generational => "generational",
                Mode::Incremental => "incremental",
            }
        }
    }

    /// True while a finalizer runs.
    pub fn gc_in_finalizer(&self) -> bool {
        self.vm().in_finalizer
    }

    /// Has the host told of warnings of the machine's own, of errors in finalizers say,
    /// in place of the standard error stream. The function may enter the VM.
    pub fn set_warning_sink(&self, sink: Option<crate::WarningSink>) {
        let old = std::mem::replace(&mut self.vm().warning_sink, sink);
        drop(old);
    }

    /// Emits a warning as `warn` does.
    pub fn warn(&self, message: &[u8], to_be_continued: bool) {
        self.vm().warning(message, to_be_continued);
    }

    /// Tells the limits that a native's loop has handled `steps` elements or
    /// bytes; call it every few thousand of them. Its error ends the run.
    pub fn charge(&self, steps: usize) -> Outcome<()> {
        crate::limits::charge(&mut self.vm(), steps)
    }
}

fn number_text(v: Value) -> Vec<u8> {
    meta::number_text(v, &mut moonswap_number::NumberBuffer::new()).to_vec()
}

/// What is kept of a parameter of the collector: as in the reference a quarter of
/// it, in a byte, which is what scripts read back.
fn gc_parameter(percent: i64) -> usize {
    usize::from((percent as i32 / 4) as u8) * 4
}
