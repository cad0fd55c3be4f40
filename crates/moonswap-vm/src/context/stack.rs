//! Pushing, moving, returning.
//!
//! Invariants: CX1–CX3.

use std::any::Any;

use super::{Buffer, Context, Outcome, View};
use crate::heap::{OutOfMemory, PROBE_FROM, header, probe};
use crate::machine::Machine;
use crate::object::{Kind, Native, NativeCode, NativeFn, NativeKind, UserData};
use crate::root::Root;
use crate::value::{Value, copy, store, tag};

/// Above this many bytes a finished buffer becomes the string itself; below,
/// copying it and keeping the buffer is cheaper.
const GIVE_AWAY: usize = 8 << 10;

impl Context<'_> {
    #[inline]
    pub(crate) fn push_value(&self, v: Value) {
        let mut vm = self.vm();
        if vm.top >= vm.stack_limit {
            // A native that pushes without asking: grow; beyond the largest
            // stack the value is dropped, and the native fails on its return.
            // SAFETY: CX3.
            if unsafe { vm.ensure_top(64) }.is_err() {
                vm.stack_overflowed |= !vm.is_memory_error;
                vm.heap.deferred = true;
                return;
            }
        }
        // SAFETY: CX3.
        unsafe {
            store(vm.top, v);
            vm.top = vm.top.add(1);
        }
    }

    /// Pushes a value.
    pub fn push(&self, v: View<'_>) {
        self.push_value(v.raw());
    }

    /// Pushes nil.
    pub fn push_nil(&self) {
        self.push_value(Value::NIL);
    }

    /// Pushes a boolean.
    pub fn push_bool(&self, b: bool) {
        self.push_value(Value::boolean(b));
    }

    /// Pushes an integer.
    pub fn push_int(&self, i: i64) {
        self.push_value(Value::integer(i));
    }

    /// Pushes a float.
    pub fn push_num(&self, f: f64) {
        self.push_value(Value::float(f));
    }

    /// Pushes a string.
    pub fn push_bytes(&self, s: &[u8]) {
        let v = self.vm().string_value(s);
        self.push_value(v);
    }

    /// Pushes a string, however large: "not enough memory", if a collection does
    /// not help.
    pub fn push_large(&mut self, s: &[u8]) -> Outcome<()> {
        if s.len() > GIVE_AWAY / 2 {
            self.make_room(s.len())?;
        }
        self.push_bytes(s);
        self.check_made()
    }

    /// Fails if what was asked for since could not be made and has a stand-in, as a
    /// native's return does: "not enough memory".
    pub fn check_made(&self) -> Outcome<()> {
        let mut vm = self.vm();
        match vm.heap.deferred {
            true => Err(vm.raise_deferred()),
            false => Ok(()),
        }
    }

    /// What a safe point does where memory ran short: a collection, and "not enough
    /// memory" if that does not help. For hosts that come back again and again; they
    /// have a little beyond the limit, so that they can let go of what fills it.
    pub fn relieve(&mut self) -> Outcome<()> {
        let mut vm = self.vm();
        if !vm.heap.limit_exceeded {
            return Ok(());
        }
        let is_final = vm.heap.failed_on_purpose();
        // SAFETY: CX1: everything live is on the stack.
        let relieved = unsafe { crate::host::relieve(&mut vm, true) };
        if relieved.is_err() && !is_final && vm.heap.has_reserve() {
            vm.is_memory_error = false;
            return Ok(());
        }
        relieved
    }

    /// Pushes a string; a large vector becomes its body without a copy.
    pub fn push_vec(&self, s: Vec<u8>) {
        let v = Value::string(self.vm().heap.string_from_vec(s));
        self.push_value(v);
    }

    /// Pushes the contents of a buffer; large ones become the body of the string
    /// without a copy, the others leave the buffer for the next use.
    pub fn push_buffer(&self, mut buffer: Buffer) {
        if buffer.len() > GIVE_AWAY {
            self.push_vec(buffer.take());
        } else {
            self.push_bytes(&buffer);
            self.give_buffer(buffer);
        }
    }

    /// Copies stack value `i` to the top.
    pub fn push_at(&self, i: usize) {
        self.push_value(self.value(i));
    }

    /// Pushes a new table with room for that many items and fields.
    pub fn push_table(&self, n_array: usize, n_hash: usize) {
        let t = self.vm().heap.new_table(n_array, n_hash);
        // SAFETY: just made.
        unsafe { self.vm().undo().made(t) };
        self.push_value(Value::table(t));
    }

    /// Pushes a native function.
    pub fn push_native(&self, name: &'static str, f: NativeFn) {
        self.push_native_with(name, NativeKind::Plain, f, 0);
    }

    /// Pops `n_up` values as the upvalues of a new native function.
    pub fn push_native_with(&self, name: &'static str, kind: NativeKind, f: NativeFn, n_up: usize) {
        self.make_native(name, kind, NativeCode::Function(f), n_up);
    }

    /// Pushes a Rust closure as a function.
    #[allow(clippy::type_complexity)]
    pub fn push_boxed(
        &self,
        name: &'static str,
        f: Box<dyn Fn(&mut Context<'_>) -> Outcome<usize>>,
    ) {
        self.make_native(name, NativeKind::Plain, NativeCode::Boxed(f), 0);
    }

    fn make_native(&self, name: &'static str, kind: NativeKind, code: NativeCode, n_up: usize) {
        let n_up = n_up.min(self.height());
        let first = self.height() - n_up;
        let upvalues = (first..first + n_up).map(|i| self.value(i)).collect();
        self.pop(n_up);
        let f = self.vm().heap.adopt(Native {
            header: header(Kind::Native, 0),
            kind,
            code,
            upvalues,
            name,
        });
        self.push_value(Value::native(f));
    }

    /// Pushes a userdata that owns `data`.
    pub fn push_userdata(&self, data: Box<dyn Any>) {
        self.push_userdata_owning(data, 0);
    }

    /// Pushes a userdata whose `data` owns `bytes` elsewhere (buffers, say): they
    /// count against the memory limit, and the collector hurries the more.
    pub fn push_userdata_owning(&self, data: Box<dyn Any>, bytes: usize) {
        let u = self.vm().heap.adopt(UserData {
            header: header(Kind::UserData, 0),
            metatable: std::ptr::null_mut(),
            data: Some(data),
            user_values: Box::default(),
            owned: bytes,
        });
        self.push_value(Value::userdata(u));
    }

    /// Says anew how many bytes the data of the userdata at index `i` owns
    /// elsewhere; nothing for other values.
    pub fn set_userdata_bytes(&self, i: usize, bytes: usize) {
        let v = self.value(i);
        if v.tag == tag::USERDATA {
            let u = v.as_userdata();
            // SAFETY: CX2: live; `&self` methods hold no reference to it.
            unsafe { self.vm().heap.change_boxed(u, |u| u.owned = bytes) };
        }
    }

    /// Pushes the table of globals.
    pub fn push_globals(&self) {
        self.push_value(Value::table(self.vm().globals));
    }

    /// Pushes the registry.
    pub fn push_registry(&self) {
        self.push_value(Value::table(self.vm().registry));
    }

    fn running_native(&self) -> Option<*mut Native> {
        // SAFETY: CX1: the function slot stands two below the base.
        let f = unsafe { *self.vm().base.sub(2) };
        (f.tag == tag::NATIVE).then(|| f.as_native())
    }

    /// Upvalue `i` of the running native; nil if there is none.
    pub fn upvalue(&self, i: usize) -> View<'_> {
        match self.running_native() {
            // SAFETY: the running function is on the stack, hence live.
            Some(f) => View::of(
                unsafe { &(*f).upvalues }
                    .get(i)
                    .copied()
                    .unwrap_or(Value::NIL),
            ),
            None => View::Nil,
        }
    }

    /// How many upvalues the running native has.
    pub fn n_upvalues(&self) -> usize {
        self.running_native().map_or(0, |f| {
            // SAFETY: the running function is on the stack, hence live.
            unsafe { &(*f).upvalues }.len()
        })
    }

    /// Pops a value into upvalue `i` of the running native.
    pub fn set_upvalue(&self, i: usize) {
        let v = self.pop_value();
        if let Some(f) = self.running_native() {
            // SAFETY: as upvalue; barrier after the store.
            unsafe {
                if i < (&(*f).upvalues).len() {
                    self.vm().undo().native_variable(f, i);
                    (&mut (*f).upvalues)[i] = v;
                    self.vm().heap.barrier(f.cast(), v);
                }
            }
        }
    }

    pub(crate) fn pop_value(&self) -> Value {
        let h = self.height();
        if h == 0 {
            return Value::NIL;
        }
        let v = self.value(h - 1);
        self.pop(1);
        v
    }

    /// Drops the top `n` values.
    pub fn pop(&self, n: usize) {
        let h = self.height();
        self.set_height(h.saturating_sub(n));
    }

    /// Cuts the stack to `n` values, or fills up with nil.
    pub fn set_height(&self, n: usize) {
        while self.height() < n {
            let before = self.height();
            self.push_nil();
            if self.height() == before {
                return;
            }
        }
        self.vm().top = self.slot(n);
    }

    /// Pops the top into index `i`.
    pub fn replace(&self, i: usize) {
        let v = self.pop_value();
        if i < self.height() {
            // SAFETY: CX1.
            unsafe { store(self.slot(i), v) };
        }
    }

    /// Moves the top value to index `i`, shifting up what is there.
    pub fn insert(&self, i: usize) {
        let h = self.height();
        if i + 1 >= h {
            return;
        }
        let v = self.value(h - 1);
        // SAFETY: CX1.
        unsafe {
            for k in (i..h - 1).rev() {
                copy(self.slot(k + 1), self.slot(k));
            }
            store(self.slot(i), v);
        }
    }

    /// Removes the value at index `i`.
    pub fn remove(&self, i: usize) {
        let h = self.height();
        if i >= h {
            return;
        }
        // SAFETY: CX1.
        unsafe {
            for k in i..h - 1 {
                copy(self.slot(k), self.slot(k + 1));
            }
        }
        self.pop(1);
    }

    /// Makes room for `n` more values: "stack overflow (message)".
    pub fn ensure_stack(&self, n: usize, message: &str) -> Outcome<()> {
        let mut vm = self.vm();
        let used = vm.index_of(vm.top);
        // A message handler may run in the zone above the limit.
        let most = crate::vm::MAX_STACK
            + if vm.handling_overflow {
                crate::vm::ERROR_STACK
            } else {
                0
            };
        if n > most || used + n > most {
            return Err(self.error(format!("stack overflow ({message})")));
        }
        // SAFETY: CX1.
        unsafe { vm.ensure_top(n + 16) }
    }

    /// Pushes one value and returns `Ok(1)`.
    pub fn ret(&self, v: View<'_>) -> Outcome<usize> {
        self.push(v);
        Ok(1)
    }

    /// Returns an integer.
    pub fn ret_int(&self, i: i64) -> Outcome<usize> {
        self.push_int(i);
        Ok(1)
    }

    /// Returns a float.
    pub fn ret_num(&self, f: f64) -> Outcome<usize> {
        self.push_num(f);
        Ok(1)
    }

    /// Returns a boolean.
    pub fn ret_bool(&self, b: bool) -> Outcome<usize> {
        self.push_bool(b);
        Ok(1)
    }

    /// Returns a string.
    pub fn ret_bytes(&self, s: &[u8]) -> Outcome<usize> {
        self.push_bytes(s);
        Ok(1)
    }

    /// An empty byte buffer that keeps its capacity between uses; give it back
    /// with [`Context::give_buffer`].
    pub fn take_buffer(&self) -> Buffer {
        let mut vm = self.vm();
        let bytes = std::mem::take(&mut vm.buffer);
        Buffer::new(bytes, vm.heap.reserve())
    }

    /// A buffer of its own, with room for `size` bytes: "not enough memory".
    pub fn new_buffer(&self, size: usize) -> Outcome<Buffer> {
        let mut buffer = Buffer::new(Vec::new(), self.vm().heap.reserve());
        self.grow_buffer(&mut buffer, size)?;
        Ok(buffer)
    }

    /// A copy of bytes that a script may have made large: "not enough memory".
    pub fn copy_of(&self, bytes: &[u8]) -> Outcome<Buffer> {
        let mut copy = self.new_buffer(bytes.len())?;
        copy.extend_from_slice(bytes);
        Ok(copy)
    }

    /// Gives a buffer back. Large ones are freed: under a memory limit, which does
    /// not see what is kept, soon.
    pub fn give_buffer(&self, mut b: Buffer) {
        let is_limited = self.vm().heap.is_limited();
        if b.capacity() <= if is_limited { 64 << 10 } else { 1 << 20 } {
            self.vm().buffer = b.take();
        }
    }

    /// Makes room in a buffer for `more` bytes: "not enough memory".
    #[inline]
    pub fn grow_buffer(&self, buffer: &mut Buffer, more: usize) -> Outcome<()> {
        if buffer.capacity() - buffer.len() >= more {
            return Ok(());
        }
        match self.try_grow(buffer, more) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.vm().raise_memory()),
        }
    }

    /// [`Context::grow_buffer`], by a collection if need be.
    #[inline]
    pub fn grow_buffer_collecting(&mut self, buffer: &mut Buffer, more: usize) -> Outcome<()> {
        if buffer.capacity() - buffer.len() >= more || self.try_grow(buffer, more).is_ok() {
            return Ok(());
        }
        let mut vm = self.vm();
        let top = vm.top;
        // SAFETY: CX1: everything live is on the stack.
        if unsafe { crate::host::collect_for(&mut vm, top) } && self.try_grow(buffer, more).is_ok()
        {
            return Ok(());
        }
        Err(self.vm().raise_memory())
    }

    #[cold]
    fn try_grow(&self, buffer: &mut Buffer, more: usize) -> Result<(), OutOfMemory> {
        let mut vm = self.vm();
        let heap = &mut vm.heap;
        buffer.sync();
        let wanted = buffer.len().saturating_add(more);
        let doubled = match buffer.capacity() {
            0 => wanted,
            n => wanted.max(n.saturating_mul(2)),
        };
        // Doubling keeps appending linear; near the limit a buffer grows by what
        // is needed.
        let size = if heap.permit_quietly(doubled) {
            doubled
        } else {
            wanted
        };
        heap.permit(size)?;
        if buffer.reserve_exact(size) {
            Ok(())
        } else {
            Err(heap.refuse())
        }
    }

    /// Checks a planned size against the memory limit: "not enough memory". What
    /// is planned must be asked of the system without ending the process; it is
    /// tried here (and given back untouched) if it is large.
    pub fn check_size(&self, bytes: usize) -> Outcome<()> {
        let mut vm = self.vm();
        if vm.heap.permit(bytes).is_err() {
            return Err(vm.raise_memory());
        }
        if bytes >= PROBE_FROM && !probe(bytes) {
            vm.heap.refuse();
            return Err(vm.raise_memory());
        }
        Ok(())
    }

    /// Whether an error just raised is that of memory.
    pub fn is_memory_error(&self, _: &super::Raised) -> bool {
        self.vm().is_memory_error
    }

    /// Whether the newest error that was raised in this VM is that of memory. For
    /// message handlers, which have no more of it than the text.
    pub fn is_newest_error_of_memory(&self) -> bool {
        self.vm().is_memory_error
    }

    /// Makes sure that so many bytes may be taken, by a collection if need be:
    /// "not enough memory". For natives that know what they are going to need.
    pub fn make_room(&mut self, bytes: usize) -> Outcome<()> {
        // SAFETY: CX1: everything live is on the stack.
        unsafe { crate::host::make_room(&mut self.vm(), bytes) }
    }

    /// Pops the top value into a root.
    pub fn root_top(&self) -> Root {
        let v = self.pop_value();
        Root::new(&mut self.vm(), v)
    }

    /// Pushes a root's value; nil if it belongs to another VM.
    pub fn push_root(&self, r: &Root) {
        let v = r.value(&self.vm()).unwrap_or(Value::NIL);
        self.push_value(v);
    }

    /// The machine this context belongs to.
    ///
    /// The handle keeps the VM alive; inside natives of a VM that is being
    /// dropped there is none, which cannot happen while Lua runs.
    pub fn machine(&self) -> Option<Machine> {
        Machine::of(&self.vm())
    }
}
