//! `Hot`: swapping functions of a running VM.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use moonswap_hotpatch::{Patch, PatchHash, Plan, Policy, Report};
use moonswap_vm::Context;
pub use moonswap_vm::Interrupter;
pub use moonswap_vm::hotpatch::{EventChunk, EventKind, HotEvent, Origin, Quarantined};
pub use moonswap_vm::hotpatch::{HistoryEntry, HotError, StaleFrame, VersionInfo};
pub use moonswap_vm::hotpatch::{Patcher, Ticket};

use crate::{Error, ErrorKind, Lua, Result};

/// Names a listener of [`Hot::on_event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Hot patching of one VM; see [`Lua::hot`].
///
/// A patch changes code only: main chunks are not run again, captured variables
/// and tables keep their values. It is applied whole or not at all.
#[derive(Clone, Debug)]
pub struct Hot(Lua);

impl Hot {
    pub(crate) fn new(lua: &Lua) -> Self {
        Self(lua.clone())
    }

    /// What applying a patch would do, literal by literal.
    pub fn plan(&self, patch: &Patch) -> Result<Plan> {
        self.plan_with(patch, &Policy::default())
    }

    /// [`Hot::plan`] under a policy.
    pub fn plan_with(&self, patch: &Patch, policy: &Policy) -> Result<Plan> {
        Ok(self.0.with(|cx| cx.hot_plan(patch, policy))?)
    }

    /// Applies a patch.
    pub fn apply(&self, patch: &Patch) -> Result<Report> {
        self.apply_with(patch, &Policy::default())
    }

    /// [`Hot::apply`] under a policy.
    pub fn apply_with(&self, patch: &Patch, policy: &Policy) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_apply(patch, policy))?)
    }

    /// Compiles the new source of the chunk called `name` and applies it.
    pub fn apply_source(&self, name: &str, source: impl AsRef<[u8]>) -> Result<Report> {
        self.apply_source_with(name, source, &Policy::default())
    }

    /// [`Hot::apply_source`] under a policy.
    pub fn apply_source_with(
        &self,
        name: &str,
        source: impl AsRef<[u8]>,
        policy: &Policy,
    ) -> Result<Report> {
        let source = source.as_ref();
        match Patch::compile(name, source) {
            Ok(patch) => self.apply_with(&patch, policy),
            Err(error) => {
                self.0
                    .with(|cx| cx.hot_note(name, policy, error.clone().into()));
                Err(Error::compile(error, source))
            }
        }
    }

    /// Restores what was before patch `id`; a new generation.
    pub fn rollback(&self, id: u64) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback(Some(id)))?)
    }

    /// Restores what was before the latest patch.
    pub fn rollback_last(&self) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback(None))?)
    }

    /// [`Hot::rollback`] (`None`: of the latest patch) with who asks for it and
    /// why, for events and the audit record.
    pub fn rollback_by(&self, id: Option<u64>, origin: &Origin) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback_by(id, origin))?)
    }

    /// Calls `listener` at every event from now on: each attempt to change code,
    /// by whatever door, gives a `Before` and then an `After`, `Refused` or
    /// `Rollback`. It runs on the VM's thread at a safe point and can use the
    /// VM; it cannot stop the attempt. Patches it applies itself are heard when
    /// it has returned; during `Before` they are refused as busy. A panic in it
    /// becomes a warning.
    ///
    /// A listener that owns a handle of this VM keeps it alive for ever: use the
    /// one it is given.
    pub fn on_event(&self, listener: impl Fn(&Lua, &HotEvent) + 'static) -> ListenerId {
        let heard = move |cx: &mut Context<'_>, event: &HotEvent| {
            let Some(lua) = Lua::of(cx) else {
                return Ok(());
            };
            let call = || catch_unwind(AssertUnwindSafe(|| listener(&lua, event)));
            match cx.suspended(call) {
                Ok(()) => Ok(()),
                Err(_) => Err(cx.error_plain("panic")),
            }
        };
        ListenerId(self.0.with(|cx| cx.hot_listen(Rc::new(heard))))
    }

    /// Lets a listener go; false if it is gone already.
    pub fn off(&self, listener: ListenerId) -> bool {
        self.0.with(|cx| cx.hot_forget_listener(listener.0))
    }

    /// Patches that used up their error budget and were undone: they are refused
    /// (`P040`) until they are released.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.0.with(|cx| cx.hot_quarantine())
    }

    /// Lets a patch out of quarantine; false if it is not in it.
    pub fn release(&self, hash: PatchHash) -> bool {
        self.0.with(|cx| cx.hot_release(hash))
    }

    /// The patches that can be rolled back, oldest first.
    pub fn history(&self) -> Vec<HistoryEntry> {
        self.0.with(|cx| cx.hot_history())
    }

    /// Version of each function of each loaded chunk.
    pub fn versions(&self) -> Vec<VersionInfo> {
        self.0.with(|cx| cx.hot_versions(None))
    }

    /// [`Hot::versions`] of one chunk.
    pub fn versions_of(&self, chunk: &str) -> Vec<VersionInfo> {
        self.0.with(|cx| cx.hot_versions(Some(chunk)))
    }

    /// Activations and suspended coroutines that still run an older version.
    pub fn frames(&self) -> Vec<StaleFrame> {
        self.0.with(|cx| cx.hot_frames(None))
    }

    /// Names of all loaded chunks.
    pub fn chunks(&self) -> Vec<String> {
        self.0.with(|cx| cx.hot_chunks())
    }

    /// 1, and one more with each commit.
    pub fn generation(&self) -> u64 {
        self.0.with(|cx| cx.hot_generation())
    }

    /// Submits patches from other threads.
    pub fn patcher(&self) -> Patcher {
        self.0.machine().patcher()
    }
}

impl From<HotError> for Error {
    fn from(error: HotError) -> Self {
        match error {
            HotError::Compile(error) => error.into(),
            HotError::Refused(refused) => {
                let message = refused.to_string().into_bytes();
                Error::new(ErrorKind::Refused(refused), message)
            }
            other => {
                let message = other.to_string().into_bytes();
                Error::new(ErrorKind::Hot, message)
            }
        }
    }
}
