//! `Hot`: swapping functions of a running VM.

use moonswap_hotpatch::{Patch, Plan, Policy, Report};
pub use moonswap_vm::Interrupter;
pub use moonswap_vm::hotpatch::{Applied, HistoryEntry, HotError, StaleFrame, VersionInfo};
pub use moonswap_vm::hotpatch::{Patcher, Ticket};

use crate::{Error, ErrorKind, Lua, Result};

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

    /// Applies a patch, now or never.
    pub fn apply(&self, patch: &Patch) -> Result<Report> {
        self.apply_with(patch, &Policy::default())
    }

    /// [`Hot::apply`] under a policy. One that would have to wait here refuses the
    /// patch and lists what stands in the way; [`Hot::submit`] waits.
    pub fn apply_with(&self, patch: &Patch, policy: &Policy) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_apply(patch, policy))?)
    }

    /// Applies a patch, or queues it if it has to wait: by its policy, or because
    /// this is called from a callback of `table.sort`, a hook, a finalizer, a
    /// metamethod, or while another patch is being prepared.
    pub fn apply_or_queue(&self, patch: &Patch, policy: &Policy) -> Result<Applied> {
        Ok(self.0.with(|cx| cx.hot_apply_or_queue(patch, policy))?)
    }

    /// Queues a patch for the next safe point that its policy allows.
    pub fn submit(&self, patch: Patch, policy: Policy) -> Ticket {
        self.0.with(|cx| cx.hot_submit(patch, policy))
    }

    /// How many patches are queued or wait.
    pub fn queued(&self) -> usize {
        self.0.with(|cx| cx.hot_queued())
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
        let patch = Patch::compile(name, source).map_err(|error| Error::compile(error, source))?;
        self.apply_with(&patch, policy)
    }

    /// Restores what was before entry `id` of the history, a patch or a rollback:
    /// a new generation, and an entry of its own that can be undone.
    pub fn rollback(&self, id: u64) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback(Some(id)))?)
    }

    /// Restores what was before the newest patch in force: called again and again
    /// it goes back step by step.
    pub fn rollback_last(&self) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback(None))?)
    }

    /// Patches and rollbacks that can be undone, oldest first: the last 16 patches
    /// and at most 32 entries.
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
