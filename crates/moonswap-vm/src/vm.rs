//! `Vm`: the state of one virtual machine.
//!
//! Invariants:
//! - VM1 `stack_base`, `stack_limit` belong to `current`'s stack; they are set
//!   together by [`Vm::use_stack`] whenever a stack grows or is switched.
//! - VM2 Above `stack_limit` a stack has [`EXTRA_SLOTS`] more slots, so a frame
//!   within the limit can always push a continuation and a metamethod call.
//! - VM3 `pc` and `base` describe the topmost frame at every point where a
//!   slow path, a native or the collector runs.
//! - VM4 All stack slots are initialised; those that may hold stale pointers
//!   are cleared above the live top in the collector's atomic step.
//! - VM5 The collector works on the heap while it reads the roots through
//!   [`VmRoots`]: it makes no reference to a whole `Vm`, and what it calls back
//!   (destructors of the host's data) finds the entry shut (`machine.rs`).

use std::any::Any;
use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use crate::entry::{Entry, Released};
use crate::error::Raised;
use crate::frame::{Frame, Place, frame_top};
use crate::heap::{Heap, Marker, Roots};
use crate::hotpatch::seam::HotState;
use crate::limits::Limits;
use crate::meta_event::Event;
use crate::object::stack::EXTRA_SLOTS;
use crate::object::{Context, Coroutine, HookState, StringObject, Table};
use crate::safepoint::{DispatchTable, PollHandle};
use crate::stress::Stress;
use crate::string::Loads;
use crate::type_map::TypeMap;
use crate::undo::{Recorder, UndoLog};
use crate::value::{Value, tag};

/// Largest stack of one coroutine, slots (the reference's LUAI_MAXSTACK).
pub(crate) const MAX_STACK: usize = 1_000_000;
/// Room for message handlers after a stack overflow, slots.
pub(crate) const ERROR_STACK: usize = 4_000;
/// Slots of a fresh main coroutine's stack; few for Miri, where stacks that move
/// and are cleared take their time.
const MAIN_STACK: usize = if cfg!(miri) { 64 } else { 1024 };
/// Nested protected calls of one coroutine (what the reference allows).
pub(crate) const MAX_PCALLS: u32 = 197;
/// Nested host activations (the reference's LUAI_MAXCCALLS).
pub(crate) const MAX_HOST_DEPTH: u32 = 200;

/// Slots of a stack that the modes for tests handle at every opportunity.
pub(crate) const STRESS_SLOTS: usize = 1024;
/// Bytes of a heap likewise.
pub(crate) const STRESS_BYTES: usize = 256 * 1024;

/// One virtual machine.
#[repr(C)]
pub(crate) struct Vm {
    /// End of the usable part of the current stack.
    pub(crate) stack_limit: *mut Value,
    /// End of a variable number of values (open call, native frame).
    pub(crate) top: *mut Value,
    pub(crate) stack_base: *mut Value,
    /// Topmost frame: instruction (null in a native) and base.
    pub(crate) pc: *const u64,
    pub(crate) base: *mut Value,
    pub(crate) current: *mut Coroutine,
    pub(crate) heap: Heap,
    pub(crate) main: *mut Coroutine,
    pub(crate) registry: *mut Table,
    pub(crate) globals: *mut Table,
    /// Metatables of basic types, by tag.
    pub(crate) type_metatables: [*mut Table; 16],
    /// Value of the error that is on its way.
    pub(crate) error: Value,
    /// The newest error raised is that of memory. Its text does not tell: a
    /// program may raise an equal one.
    pub(crate) is_memory_error: bool,
    pub(crate) host_depth: u32,
    /// Set by `unwind::throw` when a host activation ends by an error.
    pub(crate) host_failed: bool,
    /// A message handler runs at the limit of host activations.
    pub(crate) handles_depth: bool,
    /// Coroutines resumed inside each other.
    pub(crate) resume_depth: u32,
    /// What loading has at hand.
    pub(crate) loads: Loads,
    /// What the native that just ran wants called in its place.
    pub(crate) native_tail: Option<NativeTail>,
    pub(crate) hook: HookState,
    /// In the zone above MAX_STACK while a stack overflow is handled.
    pub(crate) handling_overflow: bool,
    /// A native pushed more than the largest stack holds (`heap.deferred` is set).
    pub(crate) stack_overflowed: bool,
    /// Message handlers that run now.
    pub(crate) message_handlers: u32,
    /// Coroutines that are being closed: their `__close` methods run in the
    /// coroutine that closes them.
    pub(crate) n_closing: u32,
    /// About `error`, while it is on its way.
    pub(crate) in_flight: InFlightError,
    pub(crate) in_finalizer: bool,
    /// Told of warnings of the machine's own: of errors in finalizers.
    pub(crate) warning_sink: Option<crate::object::WarningSink>,
    /// Destructors of host data run.
    pub(crate) is_dropping: bool,
    pub(crate) stress: Stress,
    pub(crate) poll: Arc<PollHandle>,
    pub(crate) hot: HotState,
    pub(crate) undo_log: UndoLog,
    pub(crate) gc_stats: crate::gc_stats::GcStats,
    pub(crate) limits: Limits,
    pub(crate) warn_on: bool,
    pub(crate) warn_continues: bool,
    pub(crate) buffer: Vec<u8>,
    pub(crate) host_state: RefCell<TypeMap>,
    /// Values the embedder holds; nil in free entries.
    pub(crate) roots: Vec<Value>,
    pub(crate) free_roots: Vec<u32>,
    /// Entries of `roots` whose `Root` is gone.
    pub(crate) released: Rc<Released>,
    /// Where the host comes in.
    pub(crate) entry: Rc<Entry<Vm>>,
    /// The last finalizers run: nothing new is closed.
    pub(crate) is_closing: bool,
    /// Objects whose finalizers closing still has to call.
    pub(crate) closing: std::collections::VecDeque<Value>,
    /// Called at every safe point (tests, profilers).
    pub(crate) safe_point_hook: Option<SafePointHook>,
    /// The one that runs now does not want to be called again.
    pub(crate) safe_point_hook_ends: bool,
    /// The owner, for handles made inside natives.
    pub(crate) machine: std::rc::Weak<dyn Any>,
}

/// What is known of the error on its way that a host call cannot hand on.
#[derive(Default)]
pub(crate) struct InFlightError {
    /// It was counted against patches on probation.
    pub(crate) counted: bool,
    /// The message handler of the `xpcall` that will catch it has run.
    pub(crate) handled: bool,
    /// It ends this activation, which was given up by the watchdog; until then
    /// nothing catches it.
    pub(crate) expelled: Option<Place>,
    /// The watchdog raised it, also when that activation has ended by now.
    pub(crate) is_expulsion: bool,
    /// Topmost frame where it was raised (slot of its base, pc), if it will end
    /// the coroutine and nothing has used the stack above since.
    pub(crate) raised_in: Option<(usize, *const u64)>,
}

/// A host function called at every safe point.
pub(crate) type SafePointHook = Box<dyn FnMut(&mut Context<'_>)>;

/// A call a native function ends with: made after it returned, so that the
/// called function may yield.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeTail {
    pub(crate) n_args: usize,
    /// Hand on exactly three results (`pairs`), else all.
    pub(crate) three: bool,
}

impl Vm {
    /// Makes a VM with empty globals that runs by `table`; boxed, because its address is used.
    pub(crate) fn new(table: DispatchTable) -> Box<Vm> {
        let poll = Arc::new(PollHandle::new(table));
        poll.table.restore();
        let mut heap = Heap::new(Arc::clone(&poll));
        // No collection can run before the VM is complete (VM4); both tables are
        // reached from the VM's roots from then on.
        let (registry, globals) = (heap.new_table(0, 8), heap.new_table(0, 64));
        let mut vm = Box::new(Vm {
            stack_limit: ptr::null_mut(),
            top: ptr::null_mut(),
            stack_base: ptr::null_mut(),
            pc: ptr::null(),
            base: ptr::null_mut(),
            current: ptr::null_mut(),
            heap,
            main: ptr::null_mut(),
            registry,
            globals,
            type_metatables: [ptr::null_mut(); 16],
            error: Value::NIL,
            host_depth: 0,
            host_failed: false,
            handles_depth: false,
            resume_depth: 0,
            loads: Loads::default(),
            native_tail: None,
            hook: Default::default(),
            handling_overflow: false,
            stack_overflowed: false,
            message_handlers: 0,
            n_closing: 0,
            is_memory_error: false,
            in_flight: InFlightError::default(),
            in_finalizer: false,
            warning_sink: None,
            is_dropping: false,
            stress: Stress::default(),
            poll,
            hot: HotState::default(),
            undo_log: UndoLog::default(),
            gc_stats: crate::gc_stats::GcStats::default(),
            limits: Default::default(),
            warn_on: false,
            warn_continues: false,
            buffer: Vec::new(),
            host_state: RefCell::default(),
            roots: Vec::new(),
            free_roots: Vec::new(),
            released: Rc::default(),
            entry: Rc::default(),
            is_closing: false,
            closing: Default::default(),
            safe_point_hook: None,
            safe_point_hook_ends: false,
            machine: std::rc::Weak::<()>::new(),
        });
        let main = vm.heap.new_coroutine(MAIN_STACK);
        vm.main = main;
        vm.current = main;
        // SAFETY: `main` was just made and has a bottom frame.
        unsafe {
            (*main).status = crate::object::CoroutineStatus::Running;
            vm.use_stack();
            vm.base = vm.stack_base.add(2);
            vm.top = vm.base;
        }
        vm
    }

    /// Turns modes for tests on and off. Answers what was set before.
    pub(crate) fn set_stress(&mut self, stress: Stress) -> Stress {
        self.heap.set_stress(&stress);
        self.poll
            .without_threads
            .store(stress.threads, std::sync::atomic::Ordering::Relaxed);
        self.poll.request();
        std::mem::replace(&mut self.stress, stress)
    }

    /// The heap, and what it must keep alive.
    pub(crate) fn heap_and_roots(&mut self) -> (&mut Heap, VmRoots) {
        self.forget_released_roots();
        let vm: *mut Vm = self;
        // SAFETY: VM5; the heap borrows `self` for as long as it is used.
        unsafe {
            let are_exact = true;
            (&mut (*vm).heap, VmRoots { vm, are_exact })
        }
    }

    /// Recomputes the cached stack pointers (VM1).
    /// # Safety
    /// `current` is live.
    pub(crate) unsafe fn use_stack(&mut self) {
        // SAFETY: by the caller; VM2.
        unsafe {
            let stack = &mut (*self.current).stack;
            self.stack_base = stack.as_mut_ptr();
            let max = if self.handling_overflow {
                MAX_STACK + ERROR_STACK
            } else {
                MAX_STACK
            };
            self.stack_limit = self.stack_base.add((stack.len() - EXTRA_SLOTS).min(max));
        }
    }

    /// A stack overflow was caught at `place`: the zone for handlers is closed again,
    /// unless the catcher itself or a message handler stands in it.
    /// # Safety
    /// `place` points into the current stack.
    pub(crate) unsafe fn leave_overflow(&mut self, place: *mut Value) {
        if self.handling_overflow && self.message_handlers == 0 && self.index_of(place) < MAX_STACK
        {
            self.handling_overflow = false;
            // SAFETY: VM1.
            unsafe { self.use_stack() };
        }
    }

    /// [`Vm::leave_overflow`] at `top`.
    /// # Safety
    /// VM1 holds.
    pub(crate) unsafe fn leave_overflow_at_top(&mut self) {
        let top = self.top;
        // SAFETY: by the caller; `top` points into the current stack.
        unsafe { self.leave_overflow(top) };
    }

    /// Metatable of any value, or null.
    pub(crate) fn metatable(&self, value: Value) -> *mut Table {
        // SAFETY: V1 a tagged pointer is live.
        unsafe {
            match value.tag {
                tag::TABLE => (*value.as_table()).metatable,
                tag::USERDATA => (*value.as_userdata()).metatable,
                tag::FALSE | tag::TRUE => self.type_metatables[tag::TRUE as usize],
                tag::INTEGER | tag::FLOAT => self.type_metatables[tag::INTEGER as usize],
                tag::CLOSURE | tag::NATIVE => self.type_metatables[tag::CLOSURE as usize],
                t => self.type_metatables[(t & 15) as usize],
            }
        }
    }

    /// Interned name of an event.
    pub(crate) fn event_name(&self, event: Event) -> *mut StringObject {
        self.heap.event_names[event as usize]
    }

    /// Writes down what is about to be written (`undo/record.rs`).
    #[inline(always)]
    pub(crate) fn undo(&mut self) -> Recorder<'_> {
        Recorder {
            log: &mut self.undo_log,
            heap: &mut self.heap,
        }
    }

    /// Makes a string value.
    pub(crate) fn string_value(&mut self, bytes: &[u8]) -> Value {
        Value::string(self.heap.string(bytes))
    }

    /// Reserves slots above `from` on the current stack; raises "stack overflow".
    /// Moves the stack: all pointers into it become stale, `base`/`top` are kept.
    /// # Safety
    /// `from` points into the current stack.
    #[inline(always)]
    pub(crate) unsafe fn ensure_stack(
        &mut self,
        from: *mut Value,
        slots: usize,
    ) -> Result<(), Raised> {
        // SAFETY: VM1. `from` may lie above the limit.
        let room = unsafe { self.stack_limit.offset_from(from) };
        if room >= slots as isize && !self.stress.stack.is_on() {
            return Ok(());
        }
        // SAFETY: by the caller.
        unsafe { self.make_stack(from, slots) }
    }

    /// # Safety
    /// VM1, VM3; `from` is null or in the current stack.
    #[cold]
    #[inline(never)]
    unsafe fn make_stack(&mut self, from: *mut Value, slots: usize) -> Result<(), Raised> {
        // SAFETY: VM1.
        let used = unsafe { from.offset_from(self.stack_base) } as usize;
        let wanted = used + slots;
        // SAFETY: VM1.
        let size = unsafe { self.stack_limit.offset_from(self.stack_base) } as usize;
        if wanted <= size {
            if self.stress.stack.is_on() && self.stress.stack.due(size / STRESS_SLOTS) {
                // SAFETY: as below.
                unsafe { self.move_stack() };
            }
            return Ok(());
        }
        let max = if self.handling_overflow {
            MAX_STACK + ERROR_STACK
        } else {
            MAX_STACK
        };
        if wanted > max {
            if self.handling_overflow {
                return Err(self.raise_message("error in error handling"));
            }
            self.handling_overflow = true;
            // Grow into the error zone so that the message handler has room.
            // SAFETY: as below.
            unsafe {
                let room = (used + ERROR_STACK / 2).min(MAX_STACK + ERROR_STACK);
                if let Err(error) = self.grow_stack(room) {
                    self.handling_overflow = false;
                    return Err(error);
                }
                self.use_stack();
            }
            return Err(self.raise_located("stack overflow"));
        }
        // SAFETY: the new size is larger than the old one.
        unsafe { self.grow_stack(wanted.max((size * 2).min(max))) }
    }

    /// [`Vm::ensure_stack`] above `top`.
    /// # Safety
    /// VM1 holds.
    #[inline(always)]
    pub(crate) unsafe fn ensure_top(&mut self, slots: usize) -> Result<(), Raised> {
        let top = self.top;
        // SAFETY: by the caller; `top` points into the current stack.
        unsafe { self.ensure_stack(top, slots) }
    }

    /// # Safety
    /// VM1, VM3.
    unsafe fn grow_stack(&mut self, slots: usize) -> Result<(), Raised> {
        // SAFETY: VM1; open upvalues are re-pointed, `base` and `top` rebased.
        unsafe {
            let co = self.current;
            let total = slots + EXTRA_SLOTS;
            if total <= (*co).stack.len() {
                self.use_stack();
                return Ok(());
            }
            let before = (*co).stack.len();
            let old = self.stack_base;
            let bytes = (total - before) * size_of::<Value>();
            if self.heap.permit(bytes).is_err() {
                return Err(self.raise_memory());
            }
            let grown = self.heap.change_boxed(co, |co| {
                let grown = co.stack.try_reserve_exact(total - before);
                if grown.is_ok() {
                    co.stack.resize(total, Value::NIL);
                }
                grown.is_ok()
            });
            if !grown {
                self.heap.refuse();
                return Err(self.raise_memory());
            }
            self.rebase(old);
            Ok(())
        }
    }

    /// Gives memory of the current stack back if most of it is unused, at a safe
    /// point; what deep recursion left would stay for ever. Pointers into the
    /// stack become stale as when it grows.
    /// # Safety
    /// VM3, and the collector has just looked at the stack.
    pub(crate) unsafe fn shrink_stack(&mut self) {
        // SAFETY: VM1; all frames end below the new size, which leaves twice what
        // is used: no frame reaches further above the topmost one than `MARGIN`.
        unsafe {
            const MARGIN: usize = 1024;
            let co = self.current;
            let old = (*co).stack.len();
            let used = self.index_of(self.top.max(self.base)).max((*co).top);
            let size = 2 * used + MARGIN + EXTRA_SLOTS;
            if old < 4 * size || self.handling_overflow {
                return;
            }
            let mut stack: Vec<Value> = Vec::new();
            if stack.try_reserve_exact(size).is_err() {
                return;
            }
            stack.extend_from_slice(&(&(*co).stack)[..size]);
            let mut before = self
                .heap
                .change_boxed(co, |co| std::mem::replace(&mut co.stack, stack));
            let address = before.as_mut_ptr();
            drop(before);
            self.rebase(address);
        }
    }

    /// The current stack moved here from `old`: corrects what points into it.
    /// # Safety
    /// VM1; `old` was the address of the current stack, which has just moved.
    unsafe fn rebase(&mut self, old: *mut Value) {
        // SAFETY: VM1; distances are taken from addresses, as `old` may be freed.
        unsafe {
            self.use_stack();
            let new = self.stack_base;
            let moved = |p: *mut Value| new.byte_offset((p as isize) - (old as isize));
            self.base = moved(self.base);
            self.top = moved(self.top);
            let mut up = (*self.current).open_upvalues;
            while !up.is_null() {
                (*up).value = moved((*up).value);
                up = (*up).next_open;
            }
        }
    }

    /// For tests: gives the current stack another address and clobbers the old
    /// one, so that a stale pointer shows.
    /// # Safety
    /// VM1, VM3; nobody holds an address in the stack.
    pub(crate) unsafe fn move_stack(&mut self) {
        // SAFETY: VM1.
        unsafe {
            let mut old = self.heap.change_boxed(self.current, |co| {
                let stack = co.stack.clone();
                std::mem::replace(&mut co.stack, stack)
            });
            let address = old.as_mut_ptr();
            for v in &mut old {
                *v = Value::raw(0xDEAD_DEAD_DEAD_DEA8, tag::TABLE);
            }
            drop(old);
            self.rebase(address);
        }
    }

    /// Above this nothing of the topmost frame is in use: the end of a Lua function's
    /// registers, or the top of a native.
    /// # Safety
    /// VM3: a frame is on top.
    pub(crate) unsafe fn top_in_use(&self) -> *mut Value {
        let frame = Frame {
            base: self.base,
            pc: self.pc,
        };
        // SAFETY: by the caller, F1.
        unsafe {
            match frame.is_lua() {
                true => frame_top(self.base).max(self.top),
                false => self.top,
            }
        }
    }

    /// Slot index of a place on the current stack.
    pub(crate) fn index_of(&self, p: *const Value) -> usize {
        // SAFETY: VM1, `p` lies in the current stack.
        unsafe { p.offset_from(self.stack_base) as usize }
    }

    /// Writes `text` to the standard error stream as a warning, if on.
    pub(crate) fn warning(&mut self, message: &[u8], to_be_continued: bool) {
        use std::io::Write;
        if !self.warn_continues && !to_be_continued && message.first() == Some(&b'@') {
            match message {
                b"@on" => self.warn_on = true,
                b"@off" => self.warn_on = false,
                _ => {}
            }
            return;
        }
        if self.warn_on {
            let mut err = std::io::stderr().lock();
            let mut text = Vec::new();
            if !self.warn_continues {
                text.extend_from_slice(b"Lua warning: ");
            }
            text.extend_from_slice(message);
            if !to_be_continued {
                text.push(b'\n');
            }
            let _ = err.write_all(&text);
        }
        self.warn_continues = to_be_continued;
    }
}

/// What a VM keeps alive, behind a bare pointer: while the collector works it
/// holds the heap, which is a part of the VM, for itself alone (VM5).
pub(crate) struct VmRoots {
    vm: *const Vm,
    /// [`Roots::are_exact`].
    pub(crate) are_exact: bool,
}

impl Roots for VmRoots {
    fn running(&self) -> *mut Coroutine {
        // SAFETY: VM5.
        unsafe { (*self.vm).current }
    }

    fn are_exact(&self) -> bool {
        self.are_exact
    }

    fn forget_dead(&self, is_live: &dyn Fn(*mut crate::object::Header) -> bool) {
        // SAFETY: VM5.
        unsafe { (&(*self.vm).hot).forget_dead(is_live) };
    }

    /// # Safety
    /// VM5: what is marked is live.
    unsafe fn mark(&self, marker: &mut Marker) {
        // SAFETY: VM5; all of these are live objects or null.
        unsafe {
            let vm = self.vm;
            marker.mark_object((*vm).main.cast());
            marker.mark_object((*vm).current.cast());
            marker.mark_object((*vm).registry.cast());
            marker.mark_object((*vm).globals.cast());
            for &mt in &(*vm).type_metatables {
                if !mt.is_null() {
                    marker.mark_object(mt.cast());
                }
            }
            marker.mark_value((*vm).error);
            for &value in &(*vm).roots {
                marker.mark_value(value);
            }
            (&(*vm).hot).mark(marker);
        }
    }
}
