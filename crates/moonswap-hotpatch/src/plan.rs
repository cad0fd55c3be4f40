//! `plan`: what applying a patch to one chunk instance would do, literal by
//! literal, and everything a VM needs to do it. A value; nothing is applied
//! here.

use std::fmt;
use std::sync::Arc;

use moonswap_bytecode::{CodeHash, FunctionId, Prototype};
use moonswap_compiler::syntax::ast::{Expr, ExprId, Statement, StatementKind};

use crate::activation::Activation;
use crate::build::{Built, build};
use crate::captures::CaptureCheck;
use crate::change::DataChange;
use crate::classify::{arity_warnings, classify};
use crate::diff::match_literals;
use crate::divergence::{Divergence, is_same};
use crate::hooks::Hooks;
use crate::keeping::plan_keeping;
use crate::manifest::{ChunkManifest, Literals, Places, Progress};
use crate::migrate::{Migration, ScopeCells, plan_migration, scope_cells};
use crate::migration_report::{Migrated, Staying, reasons};
use crate::outline::{Outline, path_name};
use crate::patch::{ChunkPatch, base_refusals, shown};
use crate::policy::{Policy, StalePolicy};
use crate::protected::protected;
use crate::refusal::{Code, NOT_KEPT, Refusal, Unfit};
use crate::statements::statements;
use crate::toplevel::{Comparison, TopLevel};
use crate::undefined::{self, Undefined};

/// What becomes of one literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeClass {
    /// The same code at the same lines.
    Unchanged,
    /// Only lines or names of locals changed.
    DebugOnly,
    /// New code in the existing slot.
    Swapped,
    /// The same code under another path, in the existing slot.
    Moved,
    /// A new slot.
    Added,
    /// No longer in the text; its closures live on.
    Removed,
    /// May not be changed like this.
    Refused,
    /// May not be changed like this, and stays as it is while the rest is applied
    /// (`refused = "keep-old"`).
    Diverged,
}

impl fmt::Display for ChangeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::DebugOnly => "debug-only",
            Self::Swapped => "swapped",
            Self::Moved => "moved",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Refused => "refused",
            Self::Diverged => "diverged",
        })
    }
}

/// One literal of the old or new source.
#[derive(Clone, Debug)]
pub struct LiteralChange {
    /// What becomes of it.
    pub class: ChangeClass,
    /// The slot it has: the id of the slot's current prototype.
    pub old: Option<FunctionId>,
    /// Its id from now on; the slot is to be known by it.
    pub new: Option<FunctionId>,
    /// The prototype to install; `None` for removed ones.
    pub new_prototype: Option<Arc<Prototype>>,
    /// Hash of the code before.
    pub old_hash: Option<CodeHash>,
    /// Hash of the code after.
    pub new_hash: Option<CodeHash>,
    /// Version of the slot now.
    pub old_version: Option<u32>,
    /// How running activations move to it, if the policy wants that.
    pub migration: Option<Arc<Migration>>,
    /// The id that it has in the new text, if it stands for no older one and is
    /// held back: it is not there.
    pub missing: Option<FunctionId>,
    /// It is held back, but literals in it have other slots now.
    pub(crate) is_relinked: bool,
    /// Line in the new text (in the old one for removed literals).
    pub line: u32,
}

impl LiteralChange {
    /// Path without the chunk, in the new text (in the old one for removed
    /// literals).
    pub fn name(&self) -> String {
        let id = self.new.as_ref().or(self.old.as_ref());
        let id = id.or(self.missing.as_ref());
        id.map(path_name).unwrap_or_default()
    }

    /// Whether a commit leaves its version alone.
    pub fn stays(&self) -> bool {
        match self.class {
            ChangeClass::Unchanged | ChangeClass::Refused => true,
            // Under another id its version has to be known by that.
            ChangeClass::Diverged => self.old == self.new && !self.is_relinked,
            ChangeClass::DebugOnly
            | ChangeClass::Swapped
            | ChangeClass::Moved
            | ChangeClass::Added
            | ChangeClass::Removed => false,
        }
    }

    /// Version of the slot after the commit.
    pub fn new_version(&self) -> Option<u32> {
        match self.class {
            ChangeClass::Added => Some(1),
            ChangeClass::Swapped => self.old_version.map(|v| v + 1),
            ChangeClass::Removed => None,
            ChangeClass::Unchanged
            | ChangeClass::DebugOnly
            | ChangeClass::Moved
            | ChangeClass::Refused
            | ChangeClass::Diverged => self.old_version,
        }
    }
}

/// A top-level statement that changed: most often one that is not going to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRun {
    /// Line in the new text.
    pub line: u32,
    /// Its first line, shortened.
    pub text: String,
    /// What is new about it, or in which way it runs.
    pub why: String,
    /// The setting that would bring it about, as written in Lua's `opts`.
    pub option: Option<String>,
}

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
    /// declaration [`ENVIRONMENT_CELL`] is the instance's `_ENV`.
    pub new_cells: Vec<(Arc<str>, u32)>,
    /// What runs before the commit, protected, in order: see [`DeltaChunk`].
    pub deltas: Vec<DeltaChunk>,
    /// What these change, by number.
    pub data: Arc<[DataChange]>,
    /// Functions whose fields these clear, by number.
    pub removals: Vec<FunctionId>,
    /// How far the main chunk counts as having got, in terms of the new text.
    pub progress: Progress,
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
    pub unfit: Vec<Unfit>,
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
    pub fn set_outlook(&mut self, outlook: Vec<Migrated>, policy: &Policy) {
        self.staying = Staying::of(&outlook);
        if policy.stale == StalePolicy::Migrate {
            self.migrated = outlook;
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
    for unfit in plans.clone().flat_map(|p| &p.unfit) {
        let nowhere = plans
            .clone()
            .all(|p| p.unfit.iter().any(|u| u.name == unfit.name));
        if nowhere {
            add(&unfit.refusal);
        }
    }
    all.sort_by(|a, b| {
        (&a.chunk, a.line, a.column, a.code).cmp(&(&b.chunk, b.line, b.column, b.code))
    });
    all
}

/// Plans the new text of one chunk against one instance of it.
pub fn plan_chunk(manifest: &ChunkManifest, patch: &ChunkPatch, policy: &Policy) -> ChunkPlan {
    let plan = plan_text(manifest, patch, policy);
    let mut plan = plan_keeping(manifest, patch, policy, plan);
    if plan.refusals.is_empty() {
        let before = manifest.diverged.iter().flat_map(|d| &d.functions);
        let after = |id| plan.diverged.as_ref().is_some_and(|d| d.of(id).is_some());
        let resolved = before.filter(|diverged| !after(&diverged.id));
        let said = resolved.map(|diverged| {
            let name = &diverged.refusal.function;
            format!("{name}: no longer held back")
        });
        plan.warnings.extend(said);
    }
    plan
}

/// The same, all or nothing.
pub(crate) fn plan_text(
    manifest: &ChunkManifest,
    patch: &ChunkPatch,
    policy: &Policy,
) -> ChunkPlan {
    let chunk = shown(&manifest.chunk);
    let mut refusals = addressee(&chunk, manifest, patch, policy);

    let old_text = old_text(manifest);
    let old_main = old_text.as_ref().map_or(&manifest.main, ChunkPatch::main);
    let nameless;
    let old = match &old_text {
        Some(text) => &text.facts().outline,
        None => {
            nameless = Outline::new(old_main, None);
            &nameless
        }
    };
    let new = &patch.facts().outline;
    let targets = old_text.as_ref().map(|text| &text.facts().targets);
    let targets = targets.map(|old| (old, &patch.facts().targets));
    let mut matching = match_literals(&chunk, old, new, policy, targets);
    refusals.append(&mut matching.refusals);

    let comparison = Comparison {
        chunk: chunk.clone(),
        manifest,
        policy,
        old: old_text.as_ref(),
        old_main,
        new: patch,
        matching: &matching,
    };
    let mut top = comparison.run();
    comparison.unpaired(&mut top);
    refusals.append(&mut top.refusals);
    let mut unfit = std::mem::take(&mut matching.unfit);
    unfit.append(&mut top.unfit);
    if old_text.is_none() {
        top.warnings.push(text_unknown(patch));
    }

    let check = CaptureCheck {
        chunk: chunk.clone(),
        manifest,
        policy,
        old,
        new,
        top: &top,
        old_ast: old_text.as_ref().map(ChunkPatch::ast),
        new_ast: patch.ast(),
    };
    let mut captures = check.run(&mut matching);
    refusals.append(&mut captures.refusals);
    let mut changes = classify(manifest, &check, &matching);
    refusals.extend(protected(&chunk, manifest, &mut changes));
    let hooks = Hooks::find(&chunk, patch.main(), patch.ast(), &mut refusals);
    let hooks = hooks.with_old(&manifest.main, old_text.as_ref());
    let mut warnings = std::mem::take(&mut top.warnings);
    warnings.append(&mut captures.warnings);
    warnings.append(&mut matching.warnings);
    warnings.extend(arity_warnings(old, new, &matching));
    let look_up = undefined::candidates(old_text.as_ref(), old, patch, &matching);
    let not_run = std::mem::take(&mut top.not_run);
    let mut cell_labels = std::mem::take(&mut top.labels);

    let mut built = Built {
        main: patch.main().clone(),
        deltas: Vec::new(),
    };
    if refusals.is_empty() {
        match build(
            manifest,
            old_text.as_ref(),
            patch,
            captures,
            &top,
            &mut cell_labels,
            &mut changes,
        ) {
            Ok(done) => {
                built = done;
                if policy.stale == StalePolicy::Migrate {
                    plan_migrations(manifest, &cell_labels, &mut changes);
                }
            }
            Err(refusal) => refusals.push(explained(*refusal, &top)),
        }
    }
    let new_cells = cell_labels[top.n_old_cells..].to_vec();
    refusals.sort_by_key(|r| (r.line, r.column, r.code));
    let mut plan = ChunkPlan {
        chunk: manifest.chunk.clone(),
        source: patch.source().clone(),
        text: Some(patch.clone()),
        main: built.main,
        n_unchanged: 0,
        diverged: None,
        is_diverging: false,
        work: Vec::new(),
        places: manifest.places.clone(),
        literals: manifest.literals.clone(),
        changes,
        cell_labels,
        new_cells,
        deltas: built.deltas,
        data: std::mem::take(&mut top.data).into(),
        progress: top.progress,
        removals: top.removals.into_iter().map(|r| r.id).collect(),
        hooks,
        warnings,
        look_up,
        undefined: Vec::new(),
        runs: top.runs,
        not_run,
        refusals,
        unfit,
    };
    plan.conclude(manifest);
    plan
}

/// The text that runs, if it is known.
pub(crate) fn old_text(manifest: &ChunkManifest) -> Option<ChunkPatch> {
    let running = manifest.diverged.as_ref().map(|d| &d.running);
    running.or(manifest.text.as_ref()).cloned().or_else(|| {
        let source = manifest.source.as_ref()?;
        ChunkPatch::compile(&manifest.chunk, source).ok()
    })
}

/// What follows from not having the text that runs.
fn text_unknown(patch: &ChunkPatch) -> String {
    let is_function = |value: &ExprId| {
        let value = patch.ast().exprs.get(value.0 as usize);
        matches!(value, Some(Expr::Function(_)))
    };
    let defines = |s: &&Statement| match &s.kind {
        StatementKind::Function { .. } => true,
        StatementKind::Assign { values, .. } => values.iter().all(is_function),
        _ => false,
    };
    let all = statements(patch.ast());
    let n = all.len() - all.iter().filter(defines).count();
    let s = if n == 1 { "" } else { "s" };
    format!(
        "the old text is not known (the chunk was loaded from binary): functions are replaced and added ones \
         defined, but {n} top-level statement{s} could not be compared, so changed constants and initialisers \
         keep their old values, in later patches too"
    )
}

/// A definition that needs a variable which nobody has kept is refused for that,
/// not for what its delta chunk lacks.
fn explained(mut refusal: Refusal, top: &TopLevel) -> Refusal {
    let lost = |name: &&Arc<str>| refusal.reason.contains(&format!("'{name}'"));
    if refusal.code == Code::DeltaFailed
        && let Some(name) = top.lost().find(lost)
    {
        refusal.code = Code::CellMissing;
        refusal.reason = format!(
            "the statement needs the top-level local {name}, whose value was not kept when the main chunk returned"
        );
        refusal.remedy = NOT_KEPT.to_owned();
    }
    refusal
}

/// How running activations of existing functions move to their new code.
fn plan_migrations(
    manifest: &ChunkManifest,
    labels: &[(Arc<str>, u32)],
    changes: &mut [LiteralChange],
) {
    let known: Vec<(Arc<str>, u32)> = manifest
        .cells
        .iter()
        .map(|cell| (Arc::clone(&cell.name), cell.declaration))
        .collect();
    let present: Vec<bool> = manifest.cells.iter().map(|cell| cell.present).collect();
    for change in changes {
        match change.class {
            ChangeClass::DebugOnly | ChangeClass::Swapped | ChangeClass::Moved => {}
            ChangeClass::Unchanged
            | ChangeClass::Added
            | ChangeClass::Removed
            | ChangeClass::Refused
            | ChangeClass::Diverged => continue,
        }
        let slot = change.old.as_ref().and_then(|id| manifest.slots.get(id));
        if let (Some(slot), Some(new)) = (slot, &change.new_prototype) {
            let cells = ScopeCells {
                old: &scope_cells(&slot.current.scope, &known),
                new: &scope_cells(&new.scope, labels),
                present: &present,
            };
            let migration = plan_migration(&slot.current, new, &cells);
            change.migration = Some(Arc::new(migration));
        }
    }
}

/// Whether the patch is meant for this chunk and generation.
fn addressee(
    chunk: &Arc<str>,
    manifest: &ChunkManifest,
    patch: &ChunkPatch,
    policy: &Policy,
) -> Vec<Refusal> {
    let refuse = |code, reason, remedy: &str| Refusal {
        code,
        chunk: chunk.clone(),
        line: 1,
        column: 1,
        function: "patch".into(),
        reason,
        remedy: remedy.into(),
    };
    let mut found = Vec::new();
    if *patch.chunk() != manifest.chunk {
        let reason = format!("the patch is for the chunk {}", shown(patch.chunk()));
        found.push(refuse(
            Code::OtherChunk,
            reason,
            "compile it under the name the chunk was loaded with",
        ));
    }
    if let Some(base) = policy.base
        && base != manifest.generation
    {
        let reason = format!(
            "made for generation {base}, but the VM is at generation {}",
            manifest.generation
        );
        found.push(refuse(
            Code::BaseMismatch,
            reason,
            "plan it again against the running program",
        ));
    }
    let running = manifest.source.as_deref();
    found.extend(base_refusals(
        patch.chunk(),
        patch.base(),
        running,
        patch.source(),
    ));
    found
}
