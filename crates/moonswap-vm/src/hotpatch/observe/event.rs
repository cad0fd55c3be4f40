//! Events: what listeners hear of every attempt to change code.
//!
//! Each attempt, by whatever source, gives one `before` and then one of `after`,
//! `refused`, `rollback`. A patch that was on probation gives one `passed` at its
//! end, if it was not undone; one that was, a `released` when it is let out of
//! quarantine. Listeners run on the VM's thread at a safe point and
//! cannot stop an attempt; their errors are warnings. What a listener itself
//! sets off is heard when it has returned, so listeners never nest.
//!
//! Invariants: HP2, HO1.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

use moonswap_bytecode::CodeHash;
use moonswap_hotpatch::{Patch, PatchSource, Policy, Report};

use crate::context::{Context, Outcome};
use crate::hotpatch::cause::Cause;
use crate::hotpatch::registry::literals;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::object::StringObject;
use crate::value::tag;
use crate::vm::Vm;

/// Events that listeners may set off in a row: one that patches on every event
/// would never end.
const MAX_IN_A_ROW: u32 = 100;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// An attempt begins.
    Before,
    /// A patch was applied.
    After,
    /// A patch or rollback was not applied; nothing has changed.
    Refused,
    /// An earlier generation was restored.
    Rollback,
    /// The probation of a patch is over: it stays.
    Passed,
    /// A patch was let out of quarantine.
    Released,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Before,
        Self::After,
        Self::Refused,
        Self::Rollback,
        Self::Passed,
        Self::Released,
    ];

    /// The word in the Lua API and in audit records.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Refused => "refused",
            Self::Rollback => "rollback",
            Self::Passed => "passed",
            Self::Released => "released",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One chunk of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventChunk {
    /// Chunk name as given to `load`.
    pub name: Arc<str>,
    /// Hash of the code that runs when the attempt begins; `None`: not loaded.
    pub base: Option<CodeHash>,
    /// Hash of the code to come; `None`: does not compile, or a rollback.
    pub new: Option<CodeHash>,
}

/// What a listener hears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HotEvent {
    /// What happened.
    pub kind: EventKind,
    /// Number of the attempt in this VM, from 1; its events share it.
    pub attempt: u64,
    /// By which way it was asked for.
    pub source: PatchSource,
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The chunks concerned; of a rollback those that are known by then.
    pub chunks: Vec<EventChunk>,
    /// Of a rollback: the patch that is undone, if one was named. Of `passed` and
    /// `released`: the patch.
    pub undoes: Option<u64>,
    /// Of a rollback by the VM itself: what the patch did.
    pub cause: Option<Cause>,
    /// What came of it; `None` before, and for `passed` and `released`.
    pub outcome: Option<Result<Report, HotError>>,
}

impl HotEvent {
    /// What is done, if it was.
    pub fn report(&self) -> Option<&Report> {
        match &self.outcome {
            Some(Ok(report)) => Some(report),
            _ => None,
        }
    }

    /// Why it was refused, if it was.
    pub fn error(&self) -> Option<&HotError> {
        match &self.outcome {
            Some(Err(error)) => Some(error),
            _ => None,
        }
    }
}

/// Hears events, with a context of its own.
pub type Listener = Rc<dyn Fn(&mut Context<'_>, &HotEvent) -> Outcome<()>>;

/// Writes events down: called at once, in the middle of what happens, so it sees
/// every event in order and may not enter the VM. The error is why it could not:
/// it does not stop the attempt, whose report has it as a warning.
pub type Recorder = Rc<dyn Fn(&HotEvent) -> Result<(), String>>;

/// The listeners of a VM.
#[derive(Default)]
pub(crate) struct Events {
    listeners: Vec<(u64, Listener)>,
    recorders: Vec<(u64, Recorder)>,
    last: u64,
    waiting: VecDeque<HotEvent>,
    is_delivering: bool,
    /// Number of the last attempt.
    n_attempts: u64,
}

impl Events {
    pub(crate) fn has_listeners(&self) -> bool {
        !self.listeners.is_empty() || !self.recorders.is_empty()
    }

    pub(crate) fn next_attempt(&mut self) -> u64 {
        self.n_attempts += 1;
        self.n_attempts
    }

    pub(crate) fn listen(&mut self, listener: Listener) -> u64 {
        self.last += 1;
        self.listeners.push((self.last, listener));
        self.last
    }

    pub(crate) fn listeners(&self) -> &[(u64, Listener)] {
        &self.listeners
    }

    /// Numbers given since stay used.
    pub(crate) fn set_listeners(&mut self, listeners: Vec<(u64, Listener)>) {
        self.listeners = listeners;
    }

    pub(crate) fn record(&mut self, recorder: Recorder) -> u64 {
        self.last += 1;
        self.recorders.push((self.last, recorder));
        self.last
    }

    pub(crate) fn forget(&mut self, id: u64) -> bool {
        let before = self.listeners.len() + self.recorders.len();
        self.listeners.retain(|(known, _)| *known != id);
        self.recorders.retain(|(known, _)| *known != id);
        self.listeners.len() + self.recorders.len() < before
    }
}

/// An event of a patch that is about to be tried.
pub(crate) fn of_patch(vm: &Vm, attempt: u64, patch: &Patch, policy: &Policy) -> HotEvent {
    let chunks = patch.chunks().iter().map(|chunk| EventChunk {
        name: Arc::clone(chunk.chunk()),
        base: base_of(vm, chunk.chunk()),
        new: Some(chunk.main().deep_hash),
    });
    HotEvent {
        kind: EventKind::Before,
        attempt,
        source: policy.source,
        author: policy.author.clone(),
        reason: policy.reason.clone(),
        chunks: chunks.collect(),
        undoes: None,
        cause: None,
        outcome: None,
    }
}

/// Hash of the code of the newest live instance.
pub(crate) fn base_of(vm: &Vm, chunk: &str) -> Option<CodeHash> {
    let newest = vm.hot.instances_of(chunk).pop()?;
    // SAFETY: live instance.
    Some(unsafe { literals::deep_hash(vm, newest) })
}

/// Has an event written down; what could not be.
pub(crate) fn record(vm: &Vm, event: &HotEvent) -> Vec<String> {
    let mut failed = Vec::new();
    for (_, recorder) in &vm.hot.events.recorders {
        let attempt = event.attempt;
        match catch_unwind(AssertUnwindSafe(|| recorder(event))) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failed.push(format!("attempt {attempt} is not on record: {why}")),
            Err(_) => failed.push(format!(
                "attempt {attempt} may not be on record: its recorder panicked"
            )),
        }
    }
    failed
}

/// Lets the listeners hear an event, and what they set off.
pub(crate) fn emit(vm: &mut AtSafePoint, event: HotEvent) {
    if vm.hot.events.listeners.is_empty() {
        return;
    }
    vm.hot.events.waiting.push_back(event);
    if vm.hot.events.is_delivering {
        return;
    }
    vm.hot.events.is_delivering = true;
    let mut n = 0;
    while let Some(event) = vm.hot.events.waiting.pop_front() {
        n += 1;
        if n > MAX_IN_A_ROW {
            vm.hot.events.waiting.clear();
            vm.warning(
                b"moonswap: listeners of events set off events without end; the rest is dropped",
                false,
            );
            break;
        }
        let listeners: Vec<Listener> = vm
            .hot
            .events
            .listeners
            .iter()
            .map(|(_, listener)| Rc::clone(listener))
            .collect();
        for listener in listeners {
            deliver(vm, &listener, &event);
        }
    }
    vm.hot.events.is_delivering = false;
}

fn deliver(vm: &mut AtSafePoint, listener: &Listener, event: &HotEvent) {
    // SAFETY: HO1; above the frame's registers and `top` nothing is alive.
    unsafe {
        let saved = vm.index_of(vm.top);
        vm.top = vm.top_in_use();
        let at = vm.index_of(vm.top);
        let error = vm.error;
        let in_flight = std::mem::take(&mut vm.in_flight);
        let outcome = match vm.ensure_top(48) {
            Ok(()) => call(vm, at, listener, event),
            Err(raised) => Err(raised),
        };
        vm.in_flight = in_flight;
        let raised = std::mem::replace(&mut vm.error, error);
        vm.top = vm.stack_base.add(saved);
        if outcome.is_err() && !vm.limits.has_tripped() && !vm.limits.has_ended() {
            let text: &[u8] = if raised.tag == tag::STRING {
                StringObject::bytes(raised.as_string())
            } else {
                b"error object is not a string"
            };
            let message = [&b"error in a listener of moonswap ("[..], text, b")"].concat();
            vm.warning(&message, false);
        }
    }
}

/// Calls a listener. A panic of it is an error, unless it has left the VM in the
/// middle of something.
fn call(vm: &mut Vm, at: usize, listener: &Listener, event: &HotEvent) -> Outcome<()> {
    let (current, base, depth) = (vm.current, vm.index_of(vm.base), vm.host_depth);
    let outcome = {
        let mut cx = Context::of_frame(vm, at);
        catch_unwind(AssertUnwindSafe(|| listener(&mut cx, event)))
    };
    outcome.unwrap_or_else(|panic| {
        let is_whole = std::ptr::eq(vm.current, current)
            && vm.index_of(vm.base) == base
            && vm.host_depth == depth;
        if !is_whole {
            resume_unwind(panic);
        }
        Err(vm.raise_message("panic"))
    })
}
