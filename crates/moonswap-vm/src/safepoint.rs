//! Requests for a safe point: how other threads, the collector and limits get
//! the interpreter's attention at no cost to code that runs undisturbed.
//!
//! The interpreter dispatches through a table of handlers in memory. A request
//! overwrites the entries of the safe-point opcodes with a handler that polls;
//! the poll restores the entries *before* it looks at what is pending, so no
//! request is lost. Without the tail-threaded backend a flag is tested instead.

use std::fmt;
use std::sync::Arc;

use moonswap_bytecode::OpCode;

use crate::sync::{AtomicBool, AtomicPtr, Mutex, Ordering, lock};

/// Operations at which a request is looked at. Tail calls are among them, for
/// a loop may consist of nothing else.
pub(crate) const SAFE_POINTS: [OpCode; 5] = [
    OpCode::Call,
    OpCode::TailCall,
    OpCode::JumpBack,
    OpCode::ForLoop,
    OpCode::TForLoop,
];

/// Operations at which the collector takes its steps as well, and a shortage of
/// memory is looked at: code without safe points must not allocate without end.
/// All registers are the frame's own there, too (P1).
#[cfg_attr(not(moonswap_tail), allow(dead_code))]
const MEMORY_POINTS: [OpCode; 3] = [OpCode::NewTable, OpCode::Closure, OpCode::Concat];

#[cfg(not(moonswap_tail))]
pub(crate) const fn is_safe_point(op: OpCode) -> bool {
    contains(&SAFE_POINTS, op)
}

pub(crate) const fn is_memory_point(op: OpCode) -> bool {
    contains(&MEMORY_POINTS, op)
}

const fn contains(all: &[OpCode], op: OpCode) -> bool {
    let mut i = 0;
    while i < all.len() {
        if all[i] as u8 == op as u8 {
            return true;
        }
        i += 1;
    }
    false
}

/// Wakes a host that sleeps outside of the VM.
pub type HostWaker = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct WakerCell(Mutex<Option<HostWaker>>);

impl fmt::Debug for WakerCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakerCell")
    }
}

/// The part of the dispatch machinery that other threads may touch.
#[derive(Debug, Default)]
pub(crate) struct PollHandle {
    /// Something wants a safe point.
    pub(crate) requested: AtomicBool,
    /// A limit of time has been reached, as far as another thread knows: what
    /// takes long may stop, and have the VM look (`limits.rs`).
    pub(crate) overdue: AtomicBool,
    /// The watchdog wants to look (`hotpatch/after/watchdog.rs`).
    pub(crate) guard_rings: AtomicBool,
    /// A patch made a step of the collector due, which is to come after the first
    /// calls of the new code (`heap/cycle.rs`).
    is_step_put_off: AtomicBool,
    /// Entries into Lua by natives and metamethods have to look closer: a limit
    /// is set, or something was requested (perhaps not any more).
    pub(crate) look: AtomicBool,
    /// For tests: no thread can be started for this VM (`threads.rs`).
    pub(crate) without_threads: AtomicBool,
    /// Dispatch table to overwrite; set up by the interpreter.
    pub(crate) table: DispatchTable,
    host_waker: WakerCell,
}

impl PollHandle {
    /// For the interpreter that goes by the table.
    pub(crate) fn new(table: DispatchTable) -> Self {
        Self {
            table,
            ..Self::default()
        }
    }

    /// Asks for a poll at the next safe point. Callable from any thread.
    pub(crate) fn request(&self) {
        // Read and written in one: with the poll, which does the same, the later
        // of the two sees what the earlier one did before.
        self.requested.swap(true, Ordering::AcqRel);
        self.look.store(true, Ordering::Release);
        self.table.arm();
    }

    /// As [`request`](Self::request), for what a host must not sleep through: patches
    /// and what belongs to them. Its waker is called as well.
    pub(crate) fn request_of_host(&self) {
        self.request();
        let waker = lock(&self.host_waker.0).clone();
        if let Some(waker) = waker {
            waker();
        }
    }

    /// Sets what [`request_of_host`](Self::request_of_host) calls.
    pub(crate) fn set_host_waker(&self, waker: Option<HostWaker>) {
        let old = std::mem::replace(&mut *lock(&self.host_waker.0), waker);
        // It may own what its destructor locks.
        drop(old);
    }

    /// The collector wants to step at the next safe point.
    pub(crate) fn request_step(&self) {
        self.is_step_put_off.store(false, Ordering::Release);
        self.request();
        // Code without calls and loops is to pay for what it allocates as well.
        self.table.arm_memory();
    }

    /// The collector's step is not due before it is asked for again.
    pub(crate) fn put_off_step(&self) {
        self.is_step_put_off.store(true, Ordering::Release);
    }

    pub(crate) fn is_step_put_off(&self) -> bool {
        self.is_step_put_off.load(Ordering::Acquire)
    }

    /// A step that was put off may come now. Callable from any thread.
    pub(crate) fn resume_step(&self) {
        if self.is_step_put_off() {
            self.request_step();
        }
    }

    /// The VM's thread has written entries anew: one that came before or meanwhile
    /// is armed again.
    pub(crate) fn rearm(&self) {
        // Read and written in one, as in `request`: a plain read could be done
        // before the entries are written, and miss a request that they hide.
        if self.requested.fetch_or(false, Ordering::AcqRel) {
            self.table.arm();
            self.table.arm_memory();
        }
    }

    /// A poll takes what was requested; entries go on looking if there are
    /// `limits`.
    pub(crate) fn take_request(&self, limits: bool) {
        // In this order: a request that comes between, or is not seen by the
        // swap, sets the flag afterwards.
        self.look.store(limits, Ordering::Release);
        self.requested.swap(false, Ordering::AcqRel);
    }
}

/// Where the interpreter's operations are, as addresses of code.
pub(crate) trait Handlers: std::fmt::Debug + Sync {
    /// What does an operation while nothing is requested.
    fn usual(&self, op: OpCode, table: &DispatchTable) -> *mut ();

    /// What polls and does the operation then.
    fn poll(&self) -> *mut ();
}

/// No interpreter, or one that does not go by the table.
#[derive(Debug)]
struct NoHandlers;

impl Handlers for NoHandlers {
    fn usual(&self, _: OpCode, _: &DispatchTable) -> *mut () {
        std::ptr::null_mut()
    }

    fn poll(&self) -> *mut () {
        std::ptr::null_mut()
    }
}

/// The handlers in memory; other threads overwrite entries to ask for a poll.
#[derive(Debug)]
pub(crate) struct DispatchTable {
    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    pub(crate) entries: Box<[AtomicPtr<()>; 256]>,
    /// What entries are set to.
    handlers: &'static dyn Handlers,
    /// Instructions go to the debug hook first.
    hooked: AtomicBool,
    /// Safe points count down.
    metered: AtomicBool,
    /// Operations that write go into the undo log.
    logged: AtomicBool,
}

impl Default for DispatchTable {
    fn default() -> Self {
        Self::new(&NoHandlers)
    }
}

impl DispatchTable {
    pub(crate) fn new(handlers: &'static dyn Handlers) -> Self {
        Self {
            entries: Box::new(std::array::from_fn(
                |_| AtomicPtr::new(std::ptr::null_mut()),
            )),
            handlers,
            hooked: AtomicBool::new(false),
            metered: AtomicBool::new(false),
            logged: AtomicBool::new(false),
        }
    }

    /// Whether instructions go to the debug hook first.
    pub(crate) fn is_hooked(&self) -> bool {
        self.hooked.load(Ordering::Relaxed)
    }

    /// Turns that on or off; the VM's own thread only.
    pub(crate) fn set_hooked(&self, on: bool) {
        self.hooked.store(on, Ordering::Relaxed);
        self.restore();
    }

    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    pub(crate) fn is_metered(&self) -> bool {
        self.metered.load(Ordering::Relaxed)
    }

    /// Turns the counting of safe points on or off; the VM's own thread only,
    /// which requests a poll afterwards.
    pub(crate) fn set_metered(&self, on: bool) {
        self.metered.store(on, Ordering::Relaxed);
        self.restore();
    }

    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    pub(crate) fn is_logged(&self) -> bool {
        self.logged.load(Ordering::Relaxed)
    }

    /// Turns the undo log on or off, with `heap.logged`; the VM's own
    /// thread only, which looks for requests afterwards.
    pub(crate) fn set_logged(&self, on: bool) {
        self.logged.store(on, Ordering::Relaxed);
        self.restore();
    }

    /// All entries to their own handlers.
    pub(crate) fn restore(&self) {
        self.set_usual(OpCode::ALL);
    }

    /// The safe-point entries to their own handlers.
    pub(crate) fn disarm(&self) {
        self.set_usual(&SAFE_POINTS);
        self.set_usual(&MEMORY_POINTS);
    }

    /// The entries of operations that allocate to the poll.
    pub(crate) fn arm_memory(&self) {
        self.set_poll(&MEMORY_POINTS);
    }

    /// The safe-point entries to the poll.
    pub(crate) fn arm(&self) {
        self.set_poll(&SAFE_POINTS);
    }

    fn set_usual(&self, ops: &[OpCode]) {
        for &op in ops {
            let handler = self.handlers.usual(op, self);
            self.entries[op as usize].store(handler, Ordering::Relaxed);
        }
    }

    fn set_poll(&self, ops: &[OpCode]) {
        let handler = self.handlers.poll();
        for &op in ops {
            self.entries[op as usize].store(handler, Ordering::Relaxed);
        }
    }
}
