//! Hot patching from natives and embedders.
//!
//! Invariants: CX1–CX3; HP2: a native's call is a safe point, for all its
//! values are on the stack.

use std::sync::Arc;

use moonswap_hotpatch::{ChunkPlan, Patch, Plan, Policy, Report};

use super::{Context, View};
use crate::hotpatch::commit::Attempt;
use crate::hotpatch::{
    Applied, HistoryEntry, HotError, StaleFrame, Ticket, VersionInfo, commit, history, inspect,
    mailbox,
};
use crate::value::tag;

impl Context<'_> {
    /// Plans a patch against the newest live instance of each of its chunks, and
    /// lists who is in the middle of the functions it changes; changes nothing.
    pub fn hot_plan(&mut self, patch: &Patch, policy: &Policy) -> Result<Plan, HotError> {
        // SAFETY: HP2.
        let (planned, activations) = unsafe {
            let mut vm = self.vm();
            let planned = commit::plan_all(&mut vm, patch, policy)?;
            let activations = commit::activations(&mut vm, &planned);
            (planned, activations)
        };
        let mut chunks: Vec<ChunkPlan> = Vec::with_capacity(patch.chunks().len());
        for (_, plan) in planned {
            match chunks.last_mut() {
                Some(last) if last.chunk == plan.chunk => *last = plan,
                _ => chunks.push(plan),
            }
        }
        let mut plan = Plan::of(chunks);
        plan.activations = activations;
        Ok(plan)
    }

    /// Plans and applies a patch to all live instances of its chunks, or does
    /// nothing and says why: now or never. A policy that would have to wait here
    /// (in a callback of `table.sort`, say) refuses it: see
    /// [`Self::hot_submit`] and [`Self::hot_apply_or_queue`].
    pub fn hot_apply(&mut self, patch: &Patch, policy: &Policy) -> Result<Report, HotError> {
        // SAFETY: HP2.
        unsafe { commit::apply(&mut self.vm(), patch, policy) }
    }

    /// Applies a patch if that may be done here and now; queues it if it has to
    /// wait: by its policy, because the code that asks was called as a hook,
    /// finalizer or metamethod (unless the policy says `Immediate`), or because
    /// another patch is being prepared. What is refused for good is refused at
    /// once.
    pub fn hot_apply_or_queue(
        &mut self,
        patch: &Patch,
        policy: &Policy,
    ) -> Result<Applied, HotError> {
        let mut vm = self.vm();
        // SAFETY: HP2.
        match unsafe { commit::apply_or_wait(&mut vm, patch, policy) } {
            Attempt::Done(outcome) => outcome.map(Applied::Now),
            Attempt::NotNow(obstacle) => {
                let ticket = mailbox::submit_here(&mut vm, patch.clone(), policy.clone());
                ticket.note(obstacle);
                Ok(Applied::Queued(ticket))
            }
        }
    }

    /// Patches that are queued or wait.
    pub fn hot_queued(&self) -> usize {
        let vm = self.vm();
        vm.hot.waiting.len() + vm.hot.mailbox.n_commits()
    }

    /// Queues a patch for the next safe point of this VM that allows it: what
    /// code asks for that is itself being patched, or that runs inside a native
    /// which must not see a commit (`sort`, `gsub`).
    pub fn hot_submit(&mut self, patch: Patch, policy: Policy) -> Ticket {
        mailbox::submit_here(&mut self.vm(), patch, policy)
    }

    /// Whether a native such as `sort` is calling back now, so that patches
    /// submitted with the default timing wait.
    pub fn hot_is_deferred(&self) -> bool {
        self.vm().hot.n_blocking > 0
    }

    /// Restores the code from before patch `id` (`None`: the newest one).
    pub fn hot_rollback(&mut self, id: Option<u64>) -> Result<Report, HotError> {
        // SAFETY: HP2.
        unsafe { history::rollback(&mut self.vm(), id) }
    }

    /// Version of the Lua function at index `i`, from 1.
    pub fn hot_version(&self, i: usize) -> Option<u32> {
        let v = self.value(i);
        // SAFETY: CX2.
        (v.tag == tag::CLOSURE).then(|| unsafe { (*(*v.as_closure()).slot).version_number })
    }

    /// Versions of all functions of a chunk (`None`: of all).
    pub fn hot_versions(&mut self, chunk: Option<&str>) -> Vec<VersionInfo> {
        // SAFETY: HP2.
        unsafe { inspect::versions(&mut self.vm(), chunk) }
    }

    /// Activations that run an older version of their function.
    pub fn hot_frames(&mut self, chunk: Option<&str>) -> Vec<StaleFrame> {
        // SAFETY: HP2.
        unsafe { inspect::stale_frames(&mut self.vm(), chunk) }
    }

    /// Patches that can be rolled back, oldest first.
    pub fn hot_history(&self) -> Vec<HistoryEntry> {
        history::list(&self.vm())
    }

    /// Names of all chunks with live instances, as given to `load`.
    pub fn hot_chunks(&self) -> Vec<String> {
        // SAFETY: instances are live.
        let mut names: Vec<String> = self
            .vm()
            .hot
            .instances
            .borrow()
            .iter()
            .map(|&i| unsafe { (*i).chunk.to_string() })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The current texts of all live instances of a chunk, oldest first; `None`
    /// where the text was not kept.
    pub fn hot_sources(&self, chunk: &str) -> Vec<Option<Arc<[u8]>>> {
        let instances = self.vm().hot.instances_of(chunk);
        // SAFETY: instances are live.
        instances
            .iter()
            .map(|&i| unsafe { (&(*i).source).clone() })
            .collect()
    }

    /// The VM's generation: 1, and one more with each commit.
    pub fn hot_generation(&self) -> u64 {
        self.vm().hot.generation()
    }

    /// How many running activations patches have moved to new code (policy `stale
    /// = "migrate"`).
    pub fn hot_migrated(&self) -> u64 {
        self.vm().hot.n_migrated
    }

    /// Works off submitted patches now, as a host's poll does.
    pub fn hot_poll(&mut self) {
        mailbox::drain(&mut self.vm(), true);
    }

    /// Lets commits happen while the native function on top of the stack calls
    /// back into Lua (for `require` and the like; not for `sort`).
    pub fn mark_transparent(&self) {
        if let View::Function(f) = self.at(self.height().saturating_sub(1))
            && f.0.tag == tag::NATIVE
        {
            // SAFETY: CX2.
            unsafe { (*f.0.as_native()).header.flags |= crate::object::Native::TRANSPARENT };
        }
    }
}
