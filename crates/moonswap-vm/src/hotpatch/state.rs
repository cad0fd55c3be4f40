//! `HotState`: what a VM knows about its chunks and patches.
//!
//! Invariants: HP2, HP3.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use crate::heap::Marker;
use crate::hotpatch::after::{closing, history, probation};
use crate::hotpatch::apply::{checkpoint, running, transaction};
use crate::hotpatch::observe::event;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::registry::{instances, texts};
use crate::hotpatch::request::mailbox;
use crate::hotpatch::schedule::gate::CommitGate;
use crate::hotpatch::schedule::{trap, waiting};
use crate::object::{Header, Instance, Version};

/// Chunks that were loaded by a name of the host's and are kept although no code of
/// theirs lives: data that patches may change.
const MAX_NAMES: usize = 1024;

/// What a VM knows about its chunks and patches.
#[derive(Default)]
pub(crate) struct HotState {
    /// All live instances; dead ones are dropped by the collector's atomic step.
    pub(crate) instances: RefCell<instances::Instances>,
    pub(crate) texts: RefCell<texts::Texts>,
    /// The newest instance of each module, kept alive.
    pub(crate) modules: HashMap<Arc<str>, *mut Instance>,
    /// Those of [`HotState::keep_named`], oldest first; some may be gone.
    names: VecDeque<Arc<str>>,
    /// Serial of the newest instance.
    pub(crate) last_serial: u64,
    /// One more with each commit; 1 before the first.
    pub(crate) n_commits: u64,
    /// Number of the last patch.
    pub(crate) last_patch: u64,
    pub(crate) history: history::History,
    pub(crate) events: event::Events,
    pub(crate) guards: probation::Guards,
    pub(crate) mailbox: Arc<mailbox::Mailbox>,
    pub(crate) gate: CommitGate,
    /// The delta chunks that run now.
    pub(crate) transaction: Option<running::Transaction>,
    /// The delta chunk that runs now is only tried.
    pub(crate) trial: Option<transaction::Trial>,
    /// What the patch goes back to if it fails.
    pub(crate) checkpoint: Option<checkpoint::Checkpoint>,
    pub(crate) waiting: waiting::Waiting,
    pub(crate) closings: closing::Closings,
    pub(crate) trap: Option<trap::Trap>,
    /// Versions whose activations move to newer ones.
    pub(crate) migrating: RefCell<Vec<*mut Version>>,
    /// Activations that have moved.
    pub(crate) n_migrated: u64,
}

impl HotState {
    /// The VM's generation.
    pub(crate) fn generation(&self) -> u64 {
        self.n_commits + 1
    }

    /// Something was committed: the next generation.
    pub(crate) fn advance(&mut self) {
        self.n_commits += 1;
        self.last_patch += 1;
        self.mailbox.publish_generation(self.n_commits);
    }

    /// A new instance was loaded.
    pub(crate) fn register(&mut self, instance: *mut Instance) {
        self.instances.get_mut().push(instance);
        // SAFETY: just made.
        self.withdraw(unsafe { &(*instance).chunk });
    }

    /// What other threads know of a chunk is out of date.
    pub(crate) fn withdraw(&self, chunk: &str) {
        let known = self.mailbox.published.withdraw(chunk);
        self.mailbox.deferred_drops.keep_snapshots(known);
    }

    /// Keeps a module's instance alive for patches, in place of an older one.
    ///
    /// # Safety
    /// `instance` is live.
    pub(crate) unsafe fn keep_module(&mut self, instance: *mut Instance) {
        // SAFETY: live instance; it is reached from the caller's stack until
        // the next safe point, and from here afterwards.
        unsafe {
            self.modules
                .insert(Arc::clone(&(*instance).chunk), instance)
        };
    }

    /// The same of a chunk that was loaded by its name only. A host may have a name
    /// for each request: the oldest ones are kept no longer than their code lives.
    ///
    /// # Safety
    /// `instance` is live.
    pub(crate) unsafe fn keep_named(&mut self, instance: *mut Instance) {
        // SAFETY: live instance.
        let name = unsafe { Arc::clone(&(*instance).chunk) };
        if !self.modules.contains_key(&name) {
            self.names.push_back(name);
        }
        // SAFETY: by the caller.
        unsafe { self.keep_module(instance) };
        if self.names.len() > MAX_NAMES
            && let Some(oldest) = self.names.pop_front()
        {
            self.modules.remove(&oldest);
        }
    }

    /// Live instances of a chunk, oldest first.
    pub(crate) fn instances_of(&self, chunk: &str) -> Vec<*mut Instance> {
        self.instances.borrow().of(chunk).to_vec()
    }

    /// Names of all chunks with live instances, as given to `load`.
    pub(crate) fn chunks(&self) -> Vec<String> {
        let instances = self.instances.borrow();
        let mut names: Vec<String> = instances
            .all()
            .iter()
            // SAFETY: entries are live.
            .map(|&i| unsafe { (*i).chunk.to_string() })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn mark(&self, marker: &mut Marker) {
        // SAFETY: modules and history entries are live (HP3).
        unsafe {
            for &instance in self.modules.values() {
                marker.mark_object(instance.cast());
            }
            self.history.mark(marker);
            self.closings.mark(marker);
            if let Some(trap) = &self.trap {
                trap.mark(marker);
            }
        }
    }

    /// Drops instances and versions the collector found dead.
    pub(crate) fn forget_dead(&self, is_live: &dyn Fn(*mut Header) -> bool) {
        self.instances.borrow_mut().retain(|i| is_live(i.cast()));
        self.texts.borrow_mut().forget_dead();
        migrate::forget_dead(&mut self.migrating.borrow_mut(), is_live);
    }
}
