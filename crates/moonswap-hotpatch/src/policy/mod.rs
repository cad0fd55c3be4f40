//! `Policy`: how one patch wants to be applied. The names are those of `opts`
//! in the Lua API, of patch files and of the command line.

pub(crate) mod provenance;
#[cfg(feature = "json")]
mod settings;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use provenance::PatchSource;

/// What to do with closures that lack a variable of an enclosing function
/// which the new code captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Captures {
    /// The patch is refused.
    #[default]
    Refuse,
    /// Old closures stay on the old version; new closures get the new code.
    KeepOld,
    /// The variable is nil in old closures.
    Nil,
    /// An expression over existing captures gives the value: evaluated once in
    /// each old closure, when it is first called after the patch.
    Expression(String),
}

/// [`Captures`] for all variables and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturePolicy {
    /// For variables without an entry of their own.
    pub all: Captures,
    /// By variable name.
    pub by_name: BTreeMap<String, Captures>,
}

impl CapturePolicy {
    /// The rule for a variable.
    pub fn of(&self, name: &str) -> &Captures {
        self.by_name.get(name).unwrap_or(&self.all)
    }
}

/// What a refusal of one function does to the rest of the patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenRefused {
    /// The whole patch is refused.
    #[default]
    Refuse,
    /// The function stays on its code, and with it what cannot be applied without
    /// it; the rest is applied. It is listed as diverged until a later patch has
    /// code for it that can be applied.
    KeepOld,
}

/// [`WhenRefused`] for all functions and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedPolicy {
    /// For functions without an entry of their own.
    pub all: WhenRefused,
    /// By path without the chunk, or by its last step; `main chunk` for statements
    /// of the top level.
    pub by_function: BTreeMap<String, WhenRefused>,
}

impl RefusedPolicy {
    /// The rule for a function.
    pub fn of(&self, path: &str) -> &WhenRefused {
        let last = path.rsplit(" / ").next().unwrap_or(path);
        let own = self.by_function.get(path);
        own.or_else(|| self.by_function.get(last))
            .unwrap_or(&self.all)
    }

    /// Whether any function is to be held back.
    pub fn keeps_any(&self) -> bool {
        let keeps = |rule: &WhenRefused| *rule == WhenRefused::KeepOld;
        keeps(&self.all) || self.by_function.values().any(keeps)
    }
}

/// When the commit may happen. A patch that has to wait is refused when its
/// [`Policy::deadline`] passes; without one it waits until it is withdrawn, or
/// until a later patch of one of its chunks is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timing {
    /// At the next safe point outside non-yieldable natives that call back
    /// (`table.sort`, `string.gsub`), or when the host polls.
    #[default]
    DeferredNative,
    /// At the next safe point, wherever it is.
    Immediate,
    /// As `DeferredNative`, but only when no changed function is active: no
    /// activation of a function that is swapped or removed, in any version, in
    /// any coroutine, the suspended ones included (those that `suspended =
    /// "close"` is going to close do not count once the deadline has passed).
    /// Unchanged functions that call changed ones do not count; the main chunk
    /// does if its own code changed.
    Quiescent,
    /// Only when the host polls: `Machine::poll`, `Context::hot_poll`, the Lua
    /// function `moonswap.sleep`.
    Checkpoint,
}

impl Timing {
    /// Whether a native that cannot yield and calls back holds the commit up.
    #[doc(hidden)]
    pub fn waits_for_natives(self) -> bool {
        match self {
            Self::Immediate | Self::Checkpoint => false,
            Self::DeferredNative | Self::Quiescent => true,
        }
    }
}

/// What to do with coroutines suspended in changed code: in an activation of a
/// function that is swapped or removed. Garbage that is not collected yet counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SuspendedPolicy {
    /// They finish on their version. With a deadline, those that have not
    /// finished so long after the commit are listed as overdue.
    #[default]
    Finish,
    /// Their existence refuses the patch; with a deadline, if there still are
    /// any when it passes.
    Refuse,
    /// They are closed after the commit, as by `coroutine.close`: errors in their
    /// `__close` methods are warnings of the report. With a deadline, those are
    /// closed that have not finished so long after the commit (with `Quiescent`:
    /// at the commit).
    Close,
}

/// What to do with running activations of changed code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StalePolicy {
    /// They finish on their version.
    #[default]
    Finish,
    /// Those in a loop move to the new version when it begins its next turn, where
    /// that is provably right, also those that earlier patches left behind; the
    /// report says which stay, and why. A later patch of the function takes along
    /// those that have not moved yet only if it migrates as well. Undoing the patch
    /// moves back.
    Migrate,
}

/// Which top-level statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize, serde::Deserialize),
    serde(untagged, expecting = "a line number or a text expected")
)]
#[non_exhaustive]
pub enum RunSelector {
    /// The statement that starts on this line of the new source.
    Line(u32),
    /// The statement whose text is this.
    Text(String),
}

/// What becomes of data that the text gives as constants (fields, tables) and that
/// the patch changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataPolicy {
    /// It follows the text where the program still holds what the old text said.
    #[default]
    Merge,
    /// It is listed and left alone.
    List,
    /// It follows the text whatever the program holds.
    Replace,
}

/// [`DataPolicy`] for all data and by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataPolicies {
    /// For data without an entry of its own.
    pub all: DataPolicy,
    /// By path, e.g. `M.limits.max`. An entry also allows changes of data that
    /// other code assigns.
    pub by_path: BTreeMap<String, DataPolicy>,
}

impl DataPolicies {
    /// The rule for a path.
    pub fn of(&self, path: &str) -> DataPolicy {
        self.by_path.get(path).copied().unwrap_or(self.all)
    }

    /// Whether any path by itself follows the text whatever the program holds.
    pub fn replaces_by_path(&self) -> bool {
        self.by_path
            .values()
            .any(|rule| *rule == DataPolicy::Replace)
    }
}

/// Which call statements of the main chunk run again, by what they call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// The callee as written, `*` for any text: `core.register_*`.
    pub callee: String,
    /// Those that the patch adds.
    pub added: bool,
    /// Those that the patch changes.
    pub changed: bool,
}

impl Rerun {
    /// `core.register_*`, `added:…` or `changed:…`. A `:` of a method call counts as
    /// a `.`.
    pub fn parse(rule: &str) -> Self {
        let (added, changed, callee) =
            match (rule.strip_prefix("added:"), rule.strip_prefix("changed:")) {
                (Some(callee), _) => (true, false, callee),
                (_, Some(callee)) => (false, true, callee),
                _ => (true, true, rule),
            };
        Self {
            callee: callee.trim().replace(':', "."),
            added,
            changed,
        }
    }

    /// The reverse of [`Self::parse`].
    pub fn rule(&self) -> String {
        let which = match (self.added, self.changed) {
            (true, false) => "added:",
            (false, true) => "changed:",
            _ => "",
        };
        format!("{which}{}", self.callee)
    }

    /// Whether a callee fits.
    pub fn fits(&self, callee: &str) -> bool {
        let mut parts = self.callee.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(last) = parts.next_back() else {
            return callee == first;
        };
        let rest = callee.strip_prefix(first);
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(last)) else {
            return false;
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Probation of a patch: what undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// More errors than this (errors of limits count as well) …
    pub errors: u32,
    /// … within this time after the commit restore the previous generation.
    pub within: Duration,
    /// So does, within the same time, an activation of code that the patch brought
    /// if it neither returns nor yields for so long, and the host does not poll. It
    /// is interrupted. `None`: activations may take as long as they like.
    pub slow: Option<Duration>,
}

impl Guard {
    /// What to say to whoever gave no positive time.
    pub const SLOW_EXPECTED: &'static str = "slow: more than 0 seconds expected";

    /// More than `errors` errors within a time undo the patch.
    pub fn new(errors: u32, within: Duration) -> Self {
        Self {
            errors,
            within,
            slow: None,
        }
    }

    /// So does an activation that takes longer than this; not zero.
    #[must_use]
    pub fn slow(mut self, slow: Duration) -> Self {
        self.slow = Some(slow);
        self
    }
}

/// All settings of one patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Plan only.
    pub dry: bool,
    /// Old to new name, of literals and top-level locals.
    pub rename: BTreeMap<String, String>,
    /// Top-level locals whose initialisers run again.
    pub reset: Vec<String>,
    /// Clear fields of removed functions.
    pub remove: bool,
    /// Top-level statements to run.
    pub run: Vec<RunSelector>,
    /// Also run added statements that change only what is new in this patch.
    pub run_new: bool,
    /// Call statements to run by what they call.
    pub rerun: Vec<Rerun>,
    /// Data that the text gives as constants.
    pub data: DataPolicies,
    /// Update configuration constants (`local MAX = 10` → `20`).
    pub config: bool,
    /// New captures of enclosing functions' locals.
    pub captures: CapturePolicy,
    /// Whether a refused function refuses the whole patch.
    pub refused: RefusedPolicy,
    /// When to commit.
    pub timing: Timing,
    /// Suspended coroutines.
    pub suspended: SuspendedPolicy,
    /// Stale activations.
    pub stale: StalePolicy,
    /// How long to wait, from the submission on, for the moment that `timing` and
    /// `suspended = "refuse"` ask for; and how long, from the commit on, suspended
    /// coroutines have to finish.
    pub deadline: Option<Duration>,
    /// The generation the patch was made for.
    pub base: Option<u64>,
    /// Probation.
    pub guard: Option<Guard>,
    /// By which way it was asked for; set by the sources themselves.
    pub source: PatchSource,
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dry: false,
            rename: BTreeMap::new(),
            reset: Vec::new(),
            remove: false,
            run: Vec::new(),
            run_new: true,
            rerun: Vec::new(),
            data: DataPolicies::default(),
            config: true,
            captures: CapturePolicy::default(),
            refused: RefusedPolicy::default(),
            timing: Timing::default(),
            suspended: SuspendedPolicy::default(),
            stale: StalePolicy::default(),
            deadline: None,
            base: None,
            guard: None,
            source: PatchSource::default(),
            author: None,
            reason: None,
        }
    }
}

impl Policy {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plan only.
    #[must_use]
    pub fn dry(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// `old` is called `new` from now on.
    #[must_use]
    pub fn rename(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.rename.insert(old.into(), new.into());
        self
    }

    /// Runs the initialiser of a top-level local again.
    #[must_use]
    pub fn reset(mut self, name: impl Into<String>) -> Self {
        self.reset.push(name.into());
        self
    }

    /// Runs a top-level statement of the new source.
    #[must_use]
    pub fn run(mut self, which: RunSelector) -> Self {
        self.run.push(which);
        self
    }

    /// Whether added statements that change only what is new run.
    #[must_use]
    pub fn run_new(mut self, run: bool) -> Self {
        self.run_new = run;
        self
    }

    /// Runs call statements that the patch adds or changes, by what they call:
    /// see [`Rerun::parse`].
    #[must_use]
    pub fn rerun(mut self, rule: &str) -> Self {
        self.rerun.push(Rerun::parse(rule));
        self
    }

    /// The rule for data that the text gives as constants.
    #[must_use]
    pub fn data(mut self, rule: DataPolicy) -> Self {
        self.data.all = rule;
        self
    }

    /// Whether configuration constants are updated.
    #[must_use]
    pub fn config(mut self, update: bool) -> Self {
        self.config = update;
        self
    }

    /// Whether a refused function refuses the whole patch.
    #[must_use]
    pub fn refused(mut self, rule: WhenRefused) -> Self {
        self.refused.all = rule;
        self
    }

    /// The rule for new captures of enclosing functions' locals.
    #[must_use]
    pub fn captures(mut self, rule: Captures) -> Self {
        self.captures.all = rule;
        self
    }

    /// Whether fields of removed functions are cleared.
    #[must_use]
    pub fn remove(mut self, remove: bool) -> Self {
        self.remove = remove;
        self
    }

    /// When to commit.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What to do with coroutines suspended in changed code.
    #[must_use]
    pub fn suspended(mut self, rule: SuspendedPolicy) -> Self {
        self.suspended = rule;
        self
    }

    /// What to do with running activations of changed code.
    #[must_use]
    pub fn stale(mut self, rule: StalePolicy) -> Self {
        self.stale = rule;
        self
    }

    /// How long to wait.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The generation the patch was made for.
    #[must_use]
    pub fn base(mut self, generation: u64) -> Self {
        self.base = Some(generation);
        self
    }

    /// Probation: more than `errors` errors of the new code within this time
    /// after the commit restore what was before the patch, once, and the same
    /// patch is refused from then on.
    #[must_use]
    pub fn guard(mut self, errors: u32, within: Duration) -> Self {
        let slow = self.guard.and_then(|guard| guard.slow);
        self.guard = Some(Guard {
            errors,
            within,
            slow,
        });
        self
    }

    /// Probation: an activation of the new code that neither returns nor yields for
    /// so long, while the host does not poll, is interrupted, and undoes the patch.
    /// Without [`Policy::guard`]: within a minute after the commit, in which the
    /// first error undoes it as well.
    #[must_use]
    pub fn slow(mut self, slow: Duration) -> Self {
        let guard = self.guard.unwrap_or(Guard::new(0, Duration::from_secs(60)));
        self.guard = Some(guard.slow(slow));
        self
    }

    /// By which way it is asked for.
    #[must_use]
    pub fn source(mut self, source: PatchSource) -> Self {
        self.source = source;
        self
    }

    /// Who and why, for the audit record.
    #[must_use]
    pub fn signed_off(mut self, author: impl Into<String>, reason: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self.reason = Some(reason.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Rerun;

    #[test]
    fn callees_fit_rules() {
        for (rule, callee, fits) in [
            ("core.register_*", "core.register_node", true),
            ("core.register_*", "core.unregister_node", false),
            ("describe", "describe", true),
            ("describe", "describes", false),
            ("*.on", "bus.on", true),
            ("*.on", "bus.once", false),
            ("added:app:get", "app.get", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*b", "ab", false),
            ("*", "anything", true),
        ] {
            assert_eq!(Rerun::parse(rule).fits(callee), fits, "{rule} {callee}");
        }
    }
}
