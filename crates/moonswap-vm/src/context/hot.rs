//! Hot patching from natives and embedders.
//!
//! Invariants: CX1–CX3; HP2: a native's call is a safe point (`at_safe_point`),
//! for all its values are on the stack.

use std::sync::Arc;

use moonswap_bytecode::FunctionId;
use moonswap_hotpatch::{MigrationReport, Patch, PatchSource, Plan, Policy, Report};

use super::{Context, FunctionRef, View};
use crate::hotpatch::after::{history, quarantine};
use crate::hotpatch::apply::at_once::Attempt;
use crate::hotpatch::apply::{at_once, attempt};
use crate::hotpatch::observe::inspect;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::planner::plan;
use crate::hotpatch::registry::manifest::registry;
use crate::hotpatch::request::{mailbox, patcher};
use crate::hotpatch::{
    Applied, AtSafePoint, EventChunk, HistoryEntry, HotError, Listener, OnProbation, Origin,
    Quarantined, Recorder, RolledBack, StaleFrame, Ticket, VersionInfo, Which,
};
use crate::object::{Closure, Instance, PrototypeSlot, Version};
use crate::value::tag;
use crate::vm::Vm;

impl Context<'_> {
    /// The VM: a native's call is a safe point for as long as it lends its window,
    /// for views of values borrow that.
    fn at_safe_point(&mut self) -> &mut AtSafePoint {
        let mut vm = self.vm_address().cast::<Vm>();
        // SAFETY: CX1, CX4; HP2: the native's values are on the stack.
        unsafe { AtSafePoint::new(vm.as_mut()) }
    }

    /// Plans a patch against all live instances of its chunks, and lists who is in
    /// the middle of the functions it changes; changes nothing. Of several
    /// instances the newest that it changes is shown; refusals are those of all.
    pub fn hot_plan(&mut self, patch: &Patch, policy: &Policy) -> Result<Plan, HotError> {
        plan::preview(self.at_safe_point(), patch, policy)
    }

    /// Plans and applies a patch to all live instances of its chunks, or does
    /// nothing and says why: now or never. A policy that would have to wait here
    /// (in a callback of `table.sort`, say) refuses it: see
    /// [`Self::hot_submit`] and [`Self::hot_apply_or_queue`].
    pub fn hot_apply(&mut self, patch: &Patch, policy: &Policy) -> Result<Report, HotError> {
        at_once::apply(self.at_safe_point(), patch, policy)
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
        let vm = self.at_safe_point();
        match at_once::apply_or_wait(vm, patch, policy) {
            Attempt::Done(outcome) => outcome.map(Applied::Now),
            Attempt::NotNow(obstacle) => {
                let ticket = patcher::submit_here(vm, patch.clone(), policy.clone());
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
        patcher::submit_here(&mut self.vm(), patch, policy)
    }

    /// Whether a native such as `sort` is calling back now, so that patches
    /// submitted with the default timing wait.
    pub fn hot_is_deferred(&self) -> bool {
        self.vm().hot.gate.is_blocked()
    }

    /// Restores what was before entry `id` of the history, a patch or a rollback
    /// (`None`: the newest patch in force); an entry of its own.
    pub fn hot_rollback(&mut self, id: Option<u64>) -> Result<Report, HotError> {
        self.hot_rollback_by(id, &Origin::default())
    }

    /// The same, with who asks for it.
    pub fn hot_rollback_by(
        &mut self,
        id: Option<u64>,
        origin: &Origin,
    ) -> Result<Report, HotError> {
        attempt::rollback_here(self.at_safe_point(), id, origin)
    }

    /// The same; queued if the code that asks is at no moment for a commit: called
    /// back by `sort` or `gsub`, as a hook, finalizer or metamethod, or by what
    /// another patch closes.
    pub fn hot_rollback_or_queue(
        &mut self,
        id: Option<u64>,
        origin: &Origin,
    ) -> Result<RolledBack, HotError> {
        at_once::rollback_or_wait(self.at_safe_point(), id, origin)
    }

    /// Tells the listeners of an attempt that failed before there was a patch:
    /// a text that does not compile.
    pub fn hot_note(&mut self, chunks: &[&str], policy: &Policy, error: HotError) {
        if policy.dry {
            return;
        }
        let chunk = |name: &&str| EventChunk {
            name: (*name).into(),
            base: None,
            new: None,
        };
        let event = attempt::failed(chunks.iter().map(chunk).collect(), policy, error);
        attempt::note(self.at_safe_point(), event);
    }

    /// Lets `listener` hear of all attempts from now on; answers its number.
    pub fn hot_listen(&self, listener: Listener) -> u64 {
        let mut vm = self.vm();
        crate::hotpatch::apply::checkpoint::listeners(&mut vm);
        vm.hot.events.listen(listener)
    }

    /// Lets `recorder` write down every event from now on; answers its number.
    pub fn hot_record(&self, recorder: Recorder) -> u64 {
        self.vm().hot.events.record(recorder)
    }

    /// Lets a listener go; false if there is none of that number.
    pub fn hot_forget_listener(&self, number: u64) -> bool {
        let mut vm = self.vm();
        crate::hotpatch::apply::checkpoint::listeners(&mut vm);
        vm.hot.events.forget(number)
    }

    /// Patches in quarantine, oldest first.
    pub fn hot_quarantine(&self) -> Vec<Quarantined> {
        self.vm().hot.guards.quarantine()
    }

    /// Patches on probation, oldest first.
    pub fn hot_probation(&self) -> Vec<OnProbation> {
        self.vm().hot.guards.on_probation()
    }

    /// Lets a patch out of quarantine; false if it is not in it.
    pub fn hot_release(&mut self, which: Which, source: PatchSource) -> bool {
        quarantine::release(self.at_safe_point(), which, source)
    }

    /// From now on patches that would change the code of the Lua function at
    /// index `i` are refused. False if it is no Lua function.
    pub fn hot_protect(&self, i: usize) -> bool {
        let v = self.value(i);
        if v.tag != tag::CLOSURE {
            return false;
        }
        // SAFETY: CX2; live slot and instance.
        unsafe {
            let slot = Closure::slot(v.as_closure());
            self.vm().undo().flags(slot);
            (*slot).header.flags |= PrototypeSlot::PROTECTED;
            let instance = (*slot).instance;
            crate::hotpatch::touch(&mut self.vm(), instance);
        }
        true
    }

    /// What [`moonswap_hotpatch::replace_literal`] needs to know of the Lua
    /// function at index `i`: its id and its chunk's current text, if that was
    /// kept and the function is still in it.
    pub fn hot_literal(&self, i: usize) -> Option<(FunctionId, Option<Arc<[u8]>>)> {
        let v = self.value(i);
        // SAFETY: CX2; live slot, version and instance.
        (v.tag == tag::CLOSURE).then(|| unsafe {
            let slot = Closure::slot(v.as_closure());
            let instance = (*slot).instance;
            let id = Version::id(PrototypeSlot::version(slot));
            let is_in_text = registry(&mut self.vm(), instance).get(&id) == Some(slot);
            let source = Instance::source(instance);
            (id, source.filter(|_| is_in_text))
        })
    }

    /// Of the activation at a level (as `debug.getinfo` counts): the version it
    /// runs, if its function was ever patched.
    pub fn hot_level_version(&self, level: usize) -> Option<u32> {
        // SAFETY: CX1, F1, F2.
        unsafe { inspect::version_at(&self.vm(), level) }
    }

    /// Version of the Lua function at index `i`, from 1.
    pub fn hot_version(&self, i: usize) -> Option<u32> {
        let v = self.value(i);
        // SAFETY: CX2.
        (v.tag == tag::CLOSURE)
            .then(|| unsafe { PrototypeSlot::number(Closure::slot(v.as_closure())) })
    }

    /// What of the text of a chunk (`None`: of all chunks) does not run because it was
    /// refused, with the reasons.
    pub fn hot_diverged(&self, chunk: Option<&str>) -> Vec<moonswap_hotpatch::Refusal> {
        inspect::diverged(&self.vm(), chunk)
    }

    /// Versions of all functions of a chunk (`None`: of all).
    pub fn hot_versions(&mut self, chunk: Option<&str>) -> Vec<VersionInfo> {
        inspect::versions(self.at_safe_point(), chunk)
    }

    /// Activations that run an older version of their function.
    pub fn hot_frames(&mut self, chunk: Option<&str>) -> Vec<StaleFrame> {
        inspect::stale_frames(self.at_safe_point(), chunk)
    }

    /// Patches and rollbacks that can be undone, oldest first.
    pub fn hot_history(&self) -> Vec<HistoryEntry> {
        history::list(&self.vm())
    }

    /// Names of all chunks with live instances, as given to `load`.
    pub fn hot_chunks(&self) -> Vec<String> {
        self.vm().hot.chunks()
    }

    /// The current texts of all live instances of a chunk, oldest first; `None`
    /// where the text was not kept.
    pub fn hot_sources(&self, chunk: &str) -> Vec<Option<Arc<[u8]>>> {
        let instances = self.vm().hot.instances_of(chunk);
        // SAFETY: instances are live.
        instances
            .iter()
            .map(|&i| unsafe { Instance::source(i) })
            .collect()
    }

    /// The VM's generation: 1, and one more with each commit.
    pub fn hot_generation(&self) -> u64 {
        self.vm().hot.generation()
    }

    /// For the hook of [`Machine::set_safe_point_hook`](crate::Machine): it is not
    /// called again.
    pub fn end_safe_point_hook(&self) {
        self.vm().safe_point_hook_ends = true;
    }

    /// Lets the running activations of a chunk (`None`: of all chunks) that are on
    /// older code move to the current code, each when it next comes to a place where
    /// that is right; tells of all of them. Changes nothing else.
    ///
    /// # Errors
    /// [`HotError::Busy`] while a patch is prepared.
    pub fn hot_migrate(&mut self, chunk: Option<&str>) -> Result<MigrationReport, HotError> {
        migrate::begin_all(self.at_safe_point(), chunk)
    }

    /// How many running activations patches have moved to new code (policy `stale
    /// = "migrate"`).
    pub fn hot_migrated(&self) -> u64 {
        self.vm().hot.n_migrated
    }

    /// Works off submitted patches now, as a host's poll does.
    pub fn hot_poll(&mut self) {
        mailbox::drain(self.at_safe_point(), true);
    }

    /// Says of a native function that it writes nothing but its arguments, and those
    /// by the table functions of this window, and otherwise only answers and calls
    /// back: top-level statements that a patch tries may call it.
    pub fn mark_harmless(&self, function: FunctionRef<'_>) {
        if function.0.tag == tag::NATIVE {
            // SAFETY: CX2.
            unsafe { (*function.0.as_native()).header.flags |= crate::object::Native::HARMLESS };
        }
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
