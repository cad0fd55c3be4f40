//! Hot patching inside a VM.
//!
//! The protocol, in order; everything that can fail comes before the first
//! store:
//! 1. a *manifest* of the chunk's instances is made (`manifest`): plain data;
//! 2. the patch is planned against it (crate `moonswap-hotpatch`), off the VM's
//!    thread if need be; refusals end it;
//! 3. new versions are loaded into the heap (`prepare`), the delta chunk runs
//!    protected;
//! 4. `commit` rewrites the slots: plain stores that cannot fail, at a safe
//!    point; the previous versions go to the history.
//!
//! Running activations keep their pinned version (`frame.rs`).

pub(crate) mod commit;
pub(crate) mod scope;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::heap::Marker;
use crate::object::{Header, Instance};
use crate::safepoint::PollHandle;

/// What a VM knows about its chunks and patches.
#[derive(Default)]
pub(crate) struct HotState {
    /// All live instances, oldest first; dead ones are dropped by the
    /// collector's atomic step.
    pub(crate) instances: RefCell<Vec<*mut Instance>>,
    /// The newest instance of each module, kept alive.
    pub(crate) modules: HashMap<Arc<str>, *mut Instance>,
    pub(crate) generation: u64,
}

impl HotState {
    /// A new instance was loaded.
    pub(crate) fn register(&mut self, instance: *mut Instance) {
        self.instances.get_mut().push(instance);
    }

    /// Source text of a module, for plans that need the old text.
    pub(crate) unsafe fn remember_source(&mut self, instance: *mut Instance, _source: Option<&[u8]>) {
        // SAFETY: live instance.
        unsafe { self.modules.insert(Arc::clone(&(*instance).chunk), instance) };
    }

    pub(crate) unsafe fn mark(&self, marker: &mut Marker) {
        // SAFETY: modules are live.
        unsafe {
            for &instance in self.modules.values() {
                marker.mark_object(instance.cast());
            }
        }
    }

    /// Drops instances the collector found dead.
    pub(crate) fn forget_dead(&self, is_live: &dyn Fn(*mut Header) -> bool) {
        self.instances.borrow_mut().retain(|&i| is_live(i.cast()));
    }

    pub(crate) fn patcher(&self, poll: &Arc<PollHandle>) -> Patcher {
        Patcher { poll: Arc::clone(poll) }
    }
}

/// Submits patches from any thread.
#[derive(Clone, Debug)]
pub struct Patcher {
    poll: Arc<PollHandle>,
}

impl Patcher {
    /// Wakes the VM.
    pub fn wake(&self) {
        self.poll.request();
    }
}
