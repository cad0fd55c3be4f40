//! `Pool`: one patch for many VMs on many threads.
//!
//! A patch is compiled once; each VM commits at a safe point of its own. The
//! pool only holds [`Patcher`]s: it keeps no VM alive and needs no thread.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Guard, Patch, Policy, Report, to_json};
use serde::{Serialize, Serializer};

use crate::{HotError, Patcher, Ticket};

/// How often canaries are looked at while they are on hold.
const LOOK: Duration = Duration::from_millis(5);
/// How long one VM may take if nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// VMs that get the same patches.
///
/// ```
/// use std::time::Duration;
/// use moonswap::{Lua, Patch, Pool};
///
/// # fn main() -> moonswap::Result<()> {
/// // In a server each of them lives on a thread of its own.
/// let vms = [Lua::new(), Lua::new(), Lua::new()];
/// let mut pool = Pool::new();
/// for (i, lua) in vms.iter().enumerate() {
///     lua.load("function price(x) return x * 1.2 end").set_name("@shop.lua").exec()?;
///     pool.add(format!("shard {i}"), lua.hot().patcher());
/// }
/// let patch = Patch::compile("@shop.lua", b"function price(x) return x * 1.5 end")?;
/// let rollout = std::thread::spawn(move || {
///     pool.apply(&patch)
///         .canary(1)
///         .hold(Duration::from_millis(50))
///         .abort_if(|canaries| canaries.iter().any(|canary| canary.name == "on fire"))
///         .run()
/// });
/// while !rollout.is_finished() {
///     for lua in &vms {
///         assert!(lua.load("return price(100)").eval::<f64>()? >= 120.0);
///     }
/// }
/// let report = rollout.join().unwrap();
/// assert!(report.is_complete(), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pool {
    members: Vec<(String, Patcher)>,
}

impl Pool {
    /// No VMs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a VM. The name is for reports; the order decides who is a canary.
    pub fn add(&mut self, name: impl Into<String>, patcher: Patcher) {
        self.members.push((name.into(), patcher));
    }

    /// Forgets VMs that no longer exist; how many there are left.
    pub fn sweep(&mut self) -> usize {
        self.members.retain(|(_, patcher)| !patcher.is_gone());
        self.members.len()
    }

    /// A patch for all of them; [`Rollout::run`] applies it.
    pub fn apply<'a>(&'a self, patch: &Patch) -> Rollout<'a> {
        Rollout {
            pool: self,
            patch: patch.clone(),
            policy: Policy::default(),
            canaries: 0,
            hold: Duration::ZERO,
            budget: None,
            abort_if: None,
            timeout: TIMEOUT,
            together: false,
        }
    }
}

/// A VM that runs the patch before the others do.
#[derive(Clone, Debug)]
pub struct Canary {
    /// Its name in the pool.
    pub name: String,
    /// What was done to it.
    pub report: Report,
    /// How long it has been running the patch.
    pub running: Duration,
}

type AbortIf<'a> = Box<dyn FnMut(&[Canary]) -> bool + 'a>;

/// How a patch goes to the VMs of a [`Pool`].
#[must_use = "`run` applies it"]
pub struct Rollout<'a> {
    pool: &'a Pool,
    patch: Patch,
    policy: Policy,
    canaries: usize,
    hold: Duration,
    budget: Option<u32>,
    abort_if: Option<AbortIf<'a>>,
    timeout: Duration,
    together: bool,
}

impl fmt::Debug for Rollout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollout")
            .field("policy", &self.policy)
            .field("canaries", &self.canaries)
            .field("hold", &self.hold)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl<'a> Rollout<'a> {
    /// How to apply it in each VM.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The first `n` VMs get it first. If one of them refuses it, takes too long
    /// or makes [`abort_if`](Self::abort_if) say so, it is undone in all of
    /// these, and no other VM gets it. A VM that is gone, or has not loaded the
    /// patch's chunks, is no canary: the next one is.
    pub fn canary(mut self, n: usize) -> Self {
        self.canaries = n;
        self
    }

    /// How long canaries run the patch before the others get it.
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// Asked every few milliseconds during the hold, and once at its end.
    pub fn abort_if(mut self, abort: impl FnMut(&[Canary]) -> bool + 'a) -> Self {
        self.abort_if = Some(Box::new(abort));
        self
    }

    /// Canaries are on probation ([`Policy::guard`]) during the hold: one in
    /// which the new code raises more than `n` errors undoes the patch itself,
    /// and then so do the others.
    pub fn abort_on_errors(mut self, n: u32) -> Self {
        self.budget = Some(n);
        self
    }

    /// How long a VM may take to reach a safe point; after that the patch is
    /// withdrawn there. 30 seconds, if nobody says otherwise.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// If one VM refuses it or takes too long, it is undone in all others.
    pub fn together(mut self) -> Self {
        self.together = true;
        self
    }

    /// Applies the patch; waits until every VM has committed or refused it. The
    /// VMs must be running meanwhile: do not call it on the thread of one.
    pub fn run(mut self) -> PoolReport {
        let mut report = PoolReport {
            members: Vec::with_capacity(self.pool.members.len()),
            aborted: None,
        };
        for (name, _) in &self.pool.members {
            report.members.push(MemberReport {
                name: name.clone(),
                outcome: MemberOutcome::NotTried,
            });
        }
        let mut next = 0;
        let mut canaries: Vec<usize> = Vec::new();
        while canaries.len() < self.canaries && next < self.pool.members.len() {
            let end = (next + self.canaries - canaries.len()).min(self.pool.members.len());
            let failed = self.try_all(next..end, true, &mut report);
            canaries.extend((next..end).filter(|&i| report.members[i].is_applied()));
            next = end;
            if let Some(failed) = failed {
                return self.abort(Abort::Failed(failed), report);
            }
        }
        if !canaries.is_empty()
            && let Some(abort) = self.watch(&canaries, &report)
        {
            return self.abort(abort, report);
        }
        let failed = self.try_all(next..self.pool.members.len(), false, &mut report);
        match failed {
            Some(failed) if self.together => self.abort(Abort::Failed(failed), report),
            _ => report,
        }
    }

    /// Submits to some VMs at once, then waits for each; the name of one that
    /// failed.
    fn try_all(
        &self,
        range: std::ops::Range<usize>,
        canary: bool,
        report: &mut PoolReport,
    ) -> Option<String> {
        let mut policy = self.policy.clone();
        if let Some(errors) = self.budget.filter(|_| canary) {
            let within = self.hold;
            policy.guard = Some(Guard {
                errors,
                within,
                slow: self.policy.guard.and_then(|guard| guard.slow),
            });
        }
        let tickets: Vec<(usize, Ticket)> = range
            .map(|i| {
                let patcher = &self.pool.members[i].1;
                (i, patcher.submit(self.patch.clone(), policy.clone()))
            })
            .collect();
        let mut failed = None;
        for (i, ticket) in tickets {
            let member = &mut report.members[i];
            member.outcome = match ticket.wait(Some(self.timeout)) {
                Ok(report) => MemberOutcome::Applied(report),
                Err(HotError::Gone) => MemberOutcome::Gone,
                Err(error @ HotError::NotLoaded { .. }) => MemberOutcome::NotLoaded(error),
                Err(error) => {
                    failed.get_or_insert_with(|| member.name.clone());
                    MemberOutcome::Failed(error)
                }
            };
        }
        failed
    }

    /// Looks after the canaries during the hold.
    fn watch(&mut self, canaries: &[usize], report: &PoolReport) -> Option<Abort> {
        let start = Instant::now();
        let mut shown: Vec<Canary> = canaries
            .iter()
            .filter_map(|&i| match &report.members[i].outcome {
                MemberOutcome::Applied(done) => Some(Canary {
                    name: report.members[i].name.clone(),
                    report: done.clone(),
                    running: Duration::ZERO,
                }),
                _ => None,
            })
            .collect();
        loop {
            let held = start.elapsed();
            for (canary, &i) in shown.iter_mut().zip(canaries) {
                canary.running = held;
                let patcher = &self.pool.members[i].1;
                if patcher.is_gone() || patcher.generation() != canary.report.generation {
                    return Some(Abort::Left(canary.name.clone()));
                }
            }
            if self.abort_if.as_mut().is_some_and(|abort| abort(&shown)) {
                return Some(Abort::AskedFor);
            }
            if held >= self.hold {
                return None;
            }
            thread::sleep(LOOK.min(self.hold - held));
        }
    }

    /// Undoes the patch wherever it was applied.
    fn abort(&self, why: Abort, mut report: PoolReport) -> PoolReport {
        let mut tickets = Vec::new();
        for (i, member) in report.members.iter().enumerate() {
            if let MemberOutcome::Applied(done) = &member.outcome
                // 0: it ran the same code before.
                && done.id != 0
            {
                let patcher = &self.pool.members[i].1;
                tickets.push((i, patcher.rollback(done.id, Some(done.generation))));
            }
        }
        for (i, ticket) in tickets {
            let undone = ticket.wait(Some(self.timeout));
            let outcome = &mut report.members[i].outcome;
            *outcome = match (std::mem::replace(outcome, MemberOutcome::Gone), undone) {
                (MemberOutcome::Applied(applied), Ok(undone)) => {
                    let applied = Box::new(applied);
                    MemberOutcome::Undone { applied, undone }
                }
                (MemberOutcome::Applied(_), Err(HotError::Gone)) => MemberOutcome::Gone,
                (MemberOutcome::Applied(applied), Err(error)) => {
                    MemberOutcome::NotUndone { applied, error }
                }
                (other, _) => other,
            };
        }
        report.aborted = Some(why);
        report
    }
}

/// Why a rollout was broken off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// This VM refused the patch, or took too long.
    Failed(String),
    /// This canary runs something else by now: the patch was undone in it
    /// (probation, for example), another one was applied, or it is gone.
    Left(String),
    /// `abort_if` said so.
    AskedFor,
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(name) => write!(f, "{name} did not take it"),
            Self::Left(name) => write!(f, "{name} did not stay with it"),
            Self::AskedFor => f.write_str("the host said so"),
        }
    }
}

/// What became of the patch in one VM.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MemberOutcome {
    /// It runs.
    Applied(Report),
    /// It ran, and was undone.
    Undone {
        /// What was done first.
        applied: Box<Report>,
        /// What was done in the end.
        undone: Report,
    },
    /// It was to be undone, which failed: most often because something else was
    /// committed since, or the patch undid itself.
    NotUndone {
        /// What was done first.
        applied: Report,
        /// Why it was not undone.
        error: HotError,
    },
    /// Refused, or the VM took too long; nothing has changed in it.
    Failed(HotError),
    /// It has not loaded a chunk of the patch.
    NotLoaded(HotError),
    /// The VM no longer exists.
    Gone,
    /// The rollout was broken off before.
    NotTried,
}

impl MemberOutcome {
    /// A stable word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Undone { .. } => "undone",
            Self::NotUndone { .. } => "not-undone",
            Self::Failed(error) => error.kind(),
            Self::NotLoaded(_) => "not-loaded",
            Self::Gone => "gone",
            Self::NotTried => "not-tried",
        }
    }
}

/// One VM of a [`PoolReport`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberReport {
    /// Its name in the pool.
    pub name: String,
    /// What became of it.
    pub outcome: MemberOutcome,
}

impl MemberReport {
    /// Whether it runs the patch.
    pub fn is_applied(&self) -> bool {
        matches!(self.outcome, MemberOutcome::Applied(_))
    }
}

impl Serialize for MemberReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            name: &'a str,
            outcome: &'static str,
            report: Option<&'a Report>,
            error: Option<String>,
        }
        let (report, error) = match &self.outcome {
            MemberOutcome::Applied(report) | MemberOutcome::Undone { undone: report, .. } => {
                (Some(report), None)
            }
            MemberOutcome::NotUndone { applied, error } => (Some(applied), Some(error.to_string())),
            MemberOutcome::Failed(error) | MemberOutcome::NotLoaded(error) => {
                (None, Some(error.to_string()))
            }
            MemberOutcome::Gone | MemberOutcome::NotTried => (None, None),
        };
        let view = View {
            name: &self.name,
            outcome: self.outcome.kind(),
            report,
            error,
        };
        view.serialize(serializer)
    }
}

impl fmt::Display for MemberReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.outcome {
            MemberOutcome::Applied(report) => write!(f, "{report}"),
            MemberOutcome::Undone { undone, .. } => write!(f, "undone: {undone}"),
            MemberOutcome::NotUndone { error, .. } => write!(f, "not undone: {error}"),
            MemberOutcome::Failed(error) => write!(f, "not applied: {error}"),
            MemberOutcome::NotLoaded(error) => write!(f, "{error}"),
            MemberOutcome::Gone => f.write_str("gone"),
            MemberOutcome::NotTried => f.write_str("not tried"),
        }
    }
}

/// What became of a patch in all VMs of a [`Pool`]. Prints one line for each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolReport {
    /// In the order of the pool.
    pub members: Vec<MemberReport>,
    /// Why it was broken off, if it was.
    pub aborted: Option<Abort>,
}

impl PoolReport {
    /// Whether every VM runs it that exists and has loaded its chunks.
    pub fn is_complete(&self) -> bool {
        self.aborted.is_none()
            && self.members.iter().all(|member| match member.outcome {
                MemberOutcome::Applied(_) | MemberOutcome::NotLoaded(_) | MemberOutcome::Gone => {
                    true
                }
                MemberOutcome::Undone { .. }
                | MemberOutcome::NotUndone { .. }
                | MemberOutcome::Failed(_)
                | MemberOutcome::NotTried => false,
            })
    }

    /// How many VMs run it.
    pub fn n_applied(&self) -> usize {
        self.members.iter().filter(|m| m.is_applied()).count()
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

impl Serialize for PoolReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            complete: bool,
            applied: usize,
            aborted: Option<String>,
            members: &'a [MemberReport],
        }
        let view = View {
            complete: self.is_complete(),
            applied: self.n_applied(),
            aborted: self.aborted.as_ref().map(ToString::to_string),
            members: &self.members,
        };
        view.serialize(serializer)
    }
}

impl fmt::Display for PoolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, all) = (self.n_applied(), self.members.len());
        write!(f, "applied in {n} of {all} VMs")?;
        if let Some(why) = &self.aborted {
            write!(f, ", broken off: {why}")?;
        }
        for member in &self.members {
            write!(f, "\n  {member}")?;
        }
        Ok(())
    }
}
