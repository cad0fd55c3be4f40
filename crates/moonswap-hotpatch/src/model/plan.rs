//! `Plan`: what applying a patch would do, and everything a VM needs to do it. A
//! value; nothing is applied here.

use std::sync::Arc;

use moonswap_bytecode::{FunctionId, Prototype};

use super::change::{DataChange, Decision};
use super::literal::{ChangeClass, LiteralChange};
use super::migration::{Migrated, Staying, reasons};
use super::not_run::NotRun;
use super::undefined::Undefined;
use crate::manifest::divergence::{Divergence, is_same};
use crate::manifest::{ChunkManifest, Literals, Places, Progress};
use crate::patch::ChunkPatch;
use crate::patch::hooks::Hooks;
use crate::policy::{Policy, StalePolicy};
use crate::refusal::activation::Activation;
use crate::refusal::{Refusal, Unmatched, UnmatchedSetting};

/// Top-level code of a patch: statements of the new text in its order, compiled to
/// run beside the instance. It takes `_ENV` as its captured variable.
///
/// Its arguments are functions of the VM:
/// 1. `merge(table, i, value)` makes change `i` of the plan's `data`,
/// 2. `choose(now, i, value)` answers what a variable is to hold,
/// 3. `clear(table, i, key…)` clears the field of removal `i`,
/// 4. `returned()` answers what the main chunk returned,
/// 5. `arguments()` answers the main chunk's arguments,
/// 6. `hold(i, value)` keeps a value for the changes that name it.
#[derive(Clone, Debug)]
pub struct DeltaChunk {
    /// The code.
    pub code: Arc<Prototype>,
    /// It is undone if it changes anything that existed before the patch: its
    /// statements.
    pub tried: Option<Vec<NotRun>>,
    /// It runs before the patch changes anything: it evaluates what the old text has.
    pub is_old: bool,
}

/// What applying a patch to one chunk instance would do.
#[derive(Clone, Debug)]
pub struct ChunkPlan {
    /// Chunk name as given to `load`.
    pub chunk: Arc<str>,
    /// The new text.
    pub source: Arc<[u8]>,
    /// The same, compiled: what later patches are planned against. A commit
    /// takes it and leaves the older one.
    pub text: Option<ChunkPatch>,
    /// The new main chunk, fitted to the captures of existing closures.
    pub main: Arc<Prototype>,
    /// All literals of the new source in source order, then the removed ones.
    pub changes: Vec<LiteralChange>,
    /// Which of them are work for a commit: all but those that stay as they are
    /// under the id they have.
    pub(crate) work: Vec<u32>,
    /// Where the slots are, if the chunk was never patched.
    pub places: Option<Arc<Places>>,
    /// What these were loaded from, if the chunk was never patched.
    pub literals: Option<Literals>,
    /// Labels of the whole scope record after the commit: the existing cells
    /// first (names may have changed), then the new ones.
    pub cell_labels: Vec<(Arc<str>, u32)>,
    /// The cells to append: the tail of `cell_labels`. One with the
    /// declaration [`ENVIRONMENT_CELL`](crate::ENVIRONMENT_CELL) is the instance's `_ENV`.
    pub new_cells: Vec<(Arc<str>, u32)>,
    /// What runs before the commit, protected, in order: see [`DeltaChunk`].
    pub deltas: Vec<DeltaChunk>,
    /// What these change, by number.
    pub data: Arc<[DataChange]>,
    /// `if` statements of which these find out what arms are taken.
    pub decisions: Arc<[Decision]>,
    /// Functions whose fields these clear, by number.
    pub removals: Vec<FunctionId>,
    /// How far the main chunk counts as having got, in terms of the new text.
    pub progress: Progress,
    /// The same if the new text stays in the main chunk in one of `decisions`.
    pub passed: Option<(usize, Progress)>,
    /// Functions of the new text that are called around the commit.
    pub hooks: Hooks,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Global names that its functions use now and the texts do not define: asked
    /// for with [`settle`](crate::settle).
    pub look_up: Vec<Undefined>,
    /// Those of them that nobody defines.
    pub undefined: Vec<Undefined>,
    /// Top-level statements that `delta` and `define` run; `why` says how.
    pub runs: Vec<NotRun>,
    /// Top-level statements that changed and do not run.
    pub not_run: Vec<NotRun>,
    /// Why it may not be applied; all reasons.
    pub refusals: Vec<Refusal>,
    /// Names in the policy that fit nothing in this chunk: refused unless they
    /// fit in another chunk of the same patch.
    pub unmatched_settings: Vec<UnmatchedSetting>,
    /// Functions of which no closure may have been made when it is committed: those
    /// would stay on the old code.
    pub unmade: Vec<FunctionId>,
    /// It is refused, and might not be if it was known that some functions have no
    /// closures ([`ChunkManifest::knows_closures`]).
    pub asks_for_closures: bool,
    /// Number of literals that stay as they are.
    pub n_unchanged: usize,
    /// What stays on older code after it, because it was refused and the rest is
    /// applied.
    pub diverged: Option<Arc<Divergence>>,
    /// That is something else than before.
    pub(crate) is_diverging: bool,
}

impl ChunkPlan {
    /// Chunk name as shown to people.
    pub fn shown_chunk(&self) -> &str {
        self.chunk.strip_prefix(['@', '=']).unwrap_or(&self.chunk)
    }

    /// Whether it may not be applied.
    pub fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Whether applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        !self.is_refused()
            && !self.is_diverging
            && self.touched().all(|c| c.class == ChangeClass::Diverged)
            && self.new_cells.is_empty()
            && self.deltas.is_empty()
    }

    /// The literals that a commit has to do with: those it touches, and those that
    /// only get another id. Costs what they are, not what all are.
    pub fn work(&self) -> impl Iterator<Item = &LiteralChange> {
        self.work
            .iter()
            .filter_map(|&at| self.changes.get(at as usize))
    }

    /// What people should know, names that nobody defines included.
    pub fn all_warnings(&self) -> impl Iterator<Item = String> {
        let undefined = self.undefined.iter().map(Undefined::to_string);
        self.warnings.iter().cloned().chain(undefined)
    }

    /// The literals that a commit touches.
    pub fn touched(&self) -> impl Iterator<Item = &LiteralChange> {
        self.work().filter(|c| c.class != ChangeClass::Unchanged)
    }
}

impl ChunkPlan {
    /// Works out what follows from the changes and their classes.
    pub(crate) fn conclude(&mut self, manifest: &ChunkManifest) {
        self.n_unchanged = self
            .changes
            .iter()
            .filter(|c| c.class == ChangeClass::Unchanged)
            .count();
        self.work = work(&self.changes);
        self.is_diverging = !is_same(self.diverged.as_ref(), manifest.diverged.as_ref());
    }
}

/// Indices of the changes that are work.
fn work(changes: &[LiteralChange]) -> Vec<u32> {
    let stays = |c: &LiteralChange| c.class == ChangeClass::Unchanged && c.old == c.new;
    let numbered = (0..).zip(changes);
    numbered
        .filter(|(_, change)| !stays(change))
        .map(|(at, _)| at)
        .collect()
}

/// What applying a patch to one VM would do, chunk by chunk.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each chunk, in the order of the patch.
    pub chunks: Vec<ChunkPlan>,
    /// Why it may not be applied; all reasons of all chunks.
    pub refusals: Vec<Refusal>,
    /// Who runs the functions it changes now: filled in by a VM.
    pub activations: Vec<Activation>,
    /// What would become of activations whose code it changes, if the policy moves
    /// them: filled in by a VM.
    pub migrated: Vec<Migrated>,
    /// How many of these would stay on older code.
    pub staying: Staying,
}

impl Plan {
    /// Puts the plans of a patch's chunks together.
    pub fn of(chunks: Vec<ChunkPlan>) -> Self {
        let refusals = refusals(chunks.iter());
        Self {
            chunks,
            refusals,
            activations: Vec::new(),
            migrated: Vec::new(),
            staying: Staying::default(),
        }
    }

    /// What would become of the activations whose code it changes.
    pub fn set_exit_at(&mut self, exit_at: Vec<Migrated>, policy: &Policy) {
        self.staying = Staying::of(&exit_at);
        if policy.stale == StalePolicy::Migrate {
            self.migrated = exit_at;
        }
    }

    /// Whether it may not be applied.
    pub fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Whether applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        !self.is_refused() && self.chunks.iter().all(ChunkPlan::is_empty)
    }

    /// The literals that a commit touches, with their chunks.
    pub fn touched(&self) -> impl Iterator<Item = (&ChunkPlan, &LiteralChange)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.touched().map(move |change| (chunk, change)))
    }

    /// What people should know.
    pub fn warnings(&self) -> Vec<String> {
        let all = self.chunks.iter().flat_map(ChunkPlan::all_warnings);
        let mut all: Vec<String> = all.collect();
        if !self.migrated.is_empty() {
            all.extend(reasons(&self.migrated));
        } else if !self.staying.is_empty() {
            all.push(self.staying.warning());
        }
        all
    }

    /// Top-level statements that changed and do not run.
    pub fn not_run(&self) -> Vec<NotRun> {
        let all = self.chunks.iter().flat_map(|c| &c.not_run);
        all.cloned().collect()
    }

    /// Why functions stay on older code.
    pub fn diverged(&self) -> Vec<Refusal> {
        let all = self.chunks.iter().filter_map(|c| c.diverged.as_ref());
        all.flat_map(|d| &d.functions)
            .map(|left| left.refusal.clone())
            .collect()
    }

    /// Number of literals that stay as they are.
    pub fn n_unchanged(&self) -> usize {
        self.chunks.iter().map(|c| c.n_unchanged).sum()
    }
}

/// Everything that refuses a patch of these chunks, without repetitions
/// (several instances of a chunk have a plan each).
pub fn refusals<'a>(plans: impl Iterator<Item = &'a ChunkPlan> + Clone) -> Vec<Refusal> {
    let mut all: Vec<Refusal> = Vec::new();
    let mut add = |refusal: &Refusal| {
        if !all.contains(refusal) {
            all.push(refusal.clone());
        }
    };
    for plan in plans.clone() {
        plan.refusals.iter().for_each(&mut add);
    }
    let settings = plans.map(|plan| &plan.unmatched_settings[..]);
    for setting in UnmatchedSetting::nowhere(settings) {
        if let Unmatched::Refuses(refusal) = &setting.effect {
            add(refusal);
        }
    }
    all.sort_by(|a, b| {
        (&a.chunk, a.line, a.column, a.code).cmp(&(&b.chunk, b.line, b.column, b.code))
    });
    all
}
