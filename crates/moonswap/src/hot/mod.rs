//! `Hot`: swapping functions of a running VM.

pub mod audit;
pub(crate) mod patch_file;
pub(crate) mod pool;
pub(crate) mod request;
pub(crate) mod resolve;
#[cfg(feature = "sign")]
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod trust;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use moonswap_hotpatch::{MigrationReport, Patch, PatchHash, PatchSource, Plan, Refused, Report};
use moonswap_vm::Context;
pub use moonswap_vm::Interrupter;
pub use moonswap_vm::hotpatch::{Applied, HistoryEntry, HotError, StaleFrame, VersionInfo};
pub use moonswap_vm::hotpatch::{Cause, OnProbation, Quarantined, Which};
pub use moonswap_vm::hotpatch::{EventChunk, EventKind, HotEvent, Origin};
pub use moonswap_vm::hotpatch::{Patcher, Ticket};

use crate::hot::audit::AuditLog;
use crate::hot::request::{PatchInput, PatchRequest};
use crate::{Error, Lua, Result, Status, Trust};

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

    /// The one way to plan, apply and queue a patch. It comes from
    ///
    /// - the name of a chunk and its new text;
    /// - a compiled [`Patch`], for one or for many VMs;
    /// - a patch file: a `Path`, or a [`PatchFile`](crate::PatchFile) that was read already. Before
    ///   anything of it is compiled it is refused if it is damaged, if the VM's
    ///   [`Trust`] does not accept it (signature, expiry, sequence; codes `S…`), and
    ///   if another text runs than the one it was made for (`P013`).
    ///
    /// A chunk is named as it was loaded. Without its `@`, and with or without `./`,
    /// a name finds the chunk of that file as well.
    ///
    /// ```
    /// use moonswap::{Lua, Policy};
    ///
    /// # fn main() -> moonswap::Result<()> {
    /// let lua = Lua::new();
    /// lua.load("function price(x) return x * 1.2 end").set_name("@shop.lua").exec()?;
    /// let text = "function price(x) return x * 1.5 end";
    /// let plan = lua.hot().patch(("shop.lua", text)).plan()?;
    /// assert!(plan.refused().is_none());
    /// lua.hot()
    ///     .patch(("shop.lua", text))
    ///     .policy(Policy::new().guard(3, std::time::Duration::from_secs(60)))
    ///     .by("ada", "new prices")
    ///     .apply()?;
    /// assert_eq!(lua.load("return price(100)").eval::<f64>()?, 150.0);
    ///
    /// let wrong = lua.hot().patch(("shopp.lua", text)).apply().unwrap_err();
    /// assert!(wrong.to_string().contains("did you mean '@shop.lua'?"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A patch file:
    ///
    /// ```
    /// use moonswap::{FileChunk, Lua, PatchFile, Policy, TextDigest};
    ///
    /// # fn main() -> moonswap::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("moonswap-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("price.moonpatch");
    /// let old = "function price(x) return x * 1.2 end";
    /// let chunk = FileChunk {
    ///     name: "@shop.lua".into(),
    ///     base: Some(TextDigest::of(old.as_bytes())),
    ///     changes: vec![],
    ///     source: b"function price(x) return x * 1.5 end".to_vec(),
    /// };
    /// std::fs::write(&path, PatchFile::new(vec![chunk], Policy::default()).to_bytes())?;
    ///
    /// let lua = Lua::new();
    /// lua.load(old).set_name("@shop.lua").exec()?;
    /// lua.hot().patch(&path).apply()?;
    /// assert_eq!(lua.load("return price(100)").eval::<f64>()?, 150.0);
    /// let again = lua.hot().patch(&path).apply().unwrap_err();
    /// assert!(again.refused().is_some_and(|refused| refused.is_provenance()));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn patch(&self, what: impl Into<PatchInput>) -> PatchRequest {
        PatchRequest::new(&self.0, what.into())
    }

    /// Short for [`patch(patch).plan()`](PatchRequest::plan).
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self, patch: &Patch) -> Result<Plan> {
        self.patch(patch).plan()
    }

    /// Short for [`patch(patch).apply()`](PatchRequest::apply).
    ///
    /// # Errors
    /// As there.
    pub fn apply(&self, patch: &Patch) -> Result<Report> {
        self.patch(patch).apply()
    }

    /// Short for [`patch((name, source)).apply()`](PatchRequest::apply).
    ///
    /// # Errors
    /// As there.
    pub fn apply_source(&self, name: &str, source: impl AsRef<[u8]>) -> Result<Report> {
        self.patch((name, source)).apply()
    }

    /// How many patches are queued or wait.
    pub fn queued(&self) -> usize {
        self.0.with(|cx| cx.hot_queued())
    }

    /// Which patch files this VM is to believe from now on. Without a call of
    /// this, unsigned ones are accepted.
    pub fn set_trust(&self, trust: Trust) {
        *self.0.trust().borrow_mut() = trust;
    }

    /// A copy of what [`Hot::set_trust`] set, with the sequence numbers of the
    /// files applied since, to be kept over a restart.
    pub fn trust(&self) -> Trust {
        self.0.trust().borrow().clone()
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

    /// [`Hot::rollback`] (`None`: of the latest patch) with who asks for it and
    /// why, for events and the audit record.
    pub fn rollback_by(&self, id: Option<u64>, origin: &Origin) -> Result<Report> {
        Ok(self.0.with(|cx| cx.hot_rollback_by(id, origin))?)
    }

    /// Lets running activations and sleeping coroutines that are on older code move
    /// to the current code, as patches do whose policy says `stale = "migrate"`: each
    /// one when it next comes to a place that both codes have, such as an iteration boundary of a
    /// loop. `chunk` is a name as [`Hot::chunks`] gives it, or without its first
    /// character; `None`: of all chunks. From other threads: [`Patcher::migrate`].
    ///
    /// ```
    /// use moonswap::Lua;
    ///
    /// # fn main() -> moonswap::Result<()> {
    /// let lua = Lua::new();
    /// let old = "function work() local n = 0 while true do n = n + 1 coroutine.yield('old') end end";
    /// lua.load(old).set_name("@job.lua").exec()?;
    /// lua.load("job = coroutine.wrap(work) job()").exec()?;
    /// let report = lua.hot().apply_source("@job.lua", old.replace("'old'", "'new'"))?;
    /// assert_eq!(report.staying.activations, 1);
    ///
    /// let report = lua.hot().migrate(None)?;
    /// assert_eq!(report.to_string(), "1 of 1 activations move");
    /// assert_eq!(lua.load("return job()").eval::<String>()?, "new");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// While a patch is being prepared: by code that the patch runs.
    pub fn migrate(&self, chunk: Option<&str>) -> Result<MigrationReport> {
        Ok(self.0.with(|cx| cx.hot_migrate(chunk))?)
    }

    /// Calls `listener` at every event from now on: each attempt to change code,
    /// by whatever source, gives a `Before` and then an `After`, `Refused` or
    /// `Rollback`; the end of a probation a `Passed`, a release from quarantine a
    /// `Released`. It runs on the VM's thread at a safe point and can use the
    /// VM; it cannot stop the attempt. Patches it applies itself are heard when
    /// it has returned; during `Before` they are refused as busy. A panic in it
    /// becomes a warning.
    ///
    /// A listener that owns a [`Lua`] of this VM keeps it alive for ever: use the
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

    /// Keeps an audit record of every attempt from now on. [`Hot::off`] ends it.
    /// A record that cannot be written stops nothing: it is a warning of the
    /// attempt's report (of Lua's `warn`, if it was refused), and
    /// [`AuditLog::on_failure`] is told.
    pub fn set_audit(&self, log: AuditLog) -> ListenerId {
        let recorder = Rc::new(move |event: &HotEvent| log.record(event));
        ListenerId(self.0.with(|cx| cx.hot_record(recorder)))
    }

    /// Who runs what: prints, and serialises to JSON.
    pub fn status(&self) -> Status {
        self.0.with(|cx| Status {
            generation: cx.hot_generation(),
            versions: cx.hot_versions(None),
            stale: cx.hot_frames(None),
            diverged: cx.hot_diverged(None),
            history: cx.hot_history(),
            probation: cx.hot_probation(),
            quarantine: cx.hot_quarantine(),
            queued: cx.hot_queued(),
        })
    }

    /// Lets a listener go; false if it is gone already.
    pub fn off(&self, listener: ListenerId) -> bool {
        self.0.with(|cx| cx.hot_forget_listener(listener.0))
    }

    /// Patches on probation ([`Policy::guard`](crate::Policy::guard)), oldest first.
    pub fn probation(&self) -> Vec<OnProbation> {
        self.0.with(|cx| cx.hot_probation())
    }

    /// Patches that used up their error budget, or whose code did not return in time,
    /// and were undone: they are refused (`P040`) until they are released.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.0.with(|cx| cx.hot_quarantine())
    }

    /// Lets a patch out of quarantine; false if it is not in it.
    pub fn release(&self, hash: PatchHash) -> bool {
        self.0
            .with(|cx| cx.hot_release(Which::Hash(hash), PatchSource::Rust))
    }

    /// [`Hot::release`] by the number the patch had when it was applied.
    pub fn release_patch(&self, id: u64) -> bool {
        self.0
            .with(|cx| cx.hot_release(Which::Patch(id), PatchSource::Rust))
    }

    /// Patches and rollbacks that can be undone, oldest first: the last 16 patches
    /// and at most 32 entries.
    pub fn history(&self) -> Vec<HistoryEntry> {
        self.0.with(|cx| cx.hot_history())
    }

    /// Functions that do not run what the text of their chunk says, and why: patches
    /// with `refused = "keep-old"` left them on older code.
    pub fn diverged(&self) -> Vec<moonswap_hotpatch::Refusal> {
        self.0.with(|cx| cx.hot_diverged(None))
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

impl Error {
    /// What listeners are told of a patch that failed before the VM saw it.
    pub(crate) fn to_hot(&self) -> HotError {
        match (self.refused(), self.compile_error()) {
            (Some(refused), _) => HotError::Refused(refused.clone()),
            (_, Some(error)) => HotError::Compile(error.clone()),
            _ => HotError::Other(self.to_string()),
        }
    }
}

impl From<HotError> for Error {
    fn from(error: HotError) -> Self {
        match error {
            HotError::Compile(error) => error.into(),
            HotError::Refused(refused) => refused.into(),
            other => Error::Hot(other.to_string()),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Refused(refused)
    }
}
