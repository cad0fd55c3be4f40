//! `ChunkManifest`: what a VM knows about one loaded chunk instance, as plain
//! data that can be planned against on any thread.

pub(crate) mod divergence;

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{FunctionId, Prototype, UpvalueDescription};

use crate::manifest::divergence::Divergence;
use crate::patch::ChunkPatch;

/// The `declaration` of the scope-record cell that holds the chunk's `_ENV`:
/// code that used no global before reads the environment through it.
pub const ENVIRONMENT_CELL: u32 = u32::MAX;

/// Added to the `declaration` of a captured variable that the source has no
/// more: its index stays reserved.
const GONE: u32 = 1 << 31;

/// The entry of a layout whose variable the source has no more.
pub fn reserved(variable: &UpvalueDescription) -> UpvalueDescription {
    UpvalueDescription {
        declaration: variable.declaration | GONE,
        ..variable.clone()
    }
}

/// Whether the entry of a layout only reserves its index.
pub fn is_reserved(variable: &UpvalueDescription) -> bool {
    variable.declaration & GONE != 0
}

/// A cell of the scope record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellInfo {
    /// Source name of the top-level local.
    pub name: Arc<str>,
    /// Ordinal among the chunk's top-level declarations of this name, or
    /// [`ENVIRONMENT_CELL`].
    pub declaration: u32,
    /// The cell is there, or the VM can open it on a register of the main
    /// chunk's running frame.
    pub present: bool,
}

/// A slot of the chunk instance.
#[derive(Clone, Debug)]
pub struct SlotInfo {
    /// Its version, from 1.
    pub version: u32,
    /// The current prototype.
    pub current: Arc<Prototype>,
    /// What each captured-variable index of its closures is; append-only.
    pub layout: Vec<UpvalueDescription>,
    /// How many of these every closure has: those of the first version. Of the
    /// others, closures made before the variable came are without.
    pub n_fixed: usize,
    /// No patch may change its code.
    pub protected: bool,
    /// It has never had other code.
    pub is_first: bool,
    /// It is known that no closure of it was ever made.
    pub is_unmade: bool,
}

/// Where the slots of a chunk that was never patched are, in the order of loading:
/// each literal before those in it.
pub type Places = HashMap<FunctionId, u32>;

/// The literals of a chunk that was never patched, in the order of loading, and what
/// they take.
#[derive(Clone, Debug)]
pub struct Literals {
    /// Each literal before those in it.
    pub all: Arc<[Arc<Prototype>]>,
    /// Bytes, about; 0 if somebody else has them as well.
    pub bytes: usize,
}

impl Literals {
    /// The literals of a text.
    pub fn of(main: &Arc<Prototype>) -> Self {
        let all: Arc<[_]> = in_order(main).collect();
        let bytes = all.iter().map(|p| p.heap_bytes()).sum();
        Self { all, bytes }
    }
}

fn in_order(main: &Arc<Prototype>) -> impl Iterator<Item = Arc<Prototype>> {
    let mut todo = vec![Arc::clone(main)];
    std::iter::from_fn(move || {
        let next = todo.pop()?;
        todo.extend(next.children.iter().rev().cloned());
        Some(next)
    })
}

/// The [`Places`] of the literals of a text.
pub fn places(main: &Arc<Prototype>) -> Places {
    in_order(main).map(|p| p.id.clone()).zip(0..).collect()
}

/// How far the main chunk of an instance got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Not known; taken for its end.
    #[default]
    Unknown,
    /// It never ran to a return, and does not run.
    NotStarted,
    /// The instruction of the current text's main chunk at which it returned.
    Ended(u32),
    /// The instruction of the current text's main chunk at which it is.
    Running(u32),
    /// The statement of the current text in which it returned or is, by position; not
    /// by its end.
    Statement(u32),
}

/// What a VM knows about one loaded chunk instance.
#[derive(Clone, Debug)]
pub struct ChunkManifest {
    /// Chunk name as given to `load`, e.g. `@shop.lua`.
    pub chunk: Arc<str>,
    /// The main chunk's prototype of the current source.
    pub main: Arc<Prototype>,
    /// The current source, if kept. Without it top-level statements cannot be
    /// compared.
    pub source: Option<Arc<[u8]>>,
    /// The current source compiled, if that is at hand: spares planning to do
    /// it again.
    pub text: Option<ChunkPatch>,
    /// What of it does not run.
    pub diverged: Option<Arc<Divergence>>,
    /// The scope record.
    pub cells: Vec<CellInfo>,
    /// The slots, by the id of their current prototype.
    pub slots: HashMap<FunctionId, SlotInfo>,
    /// It was looked which of them have closures ([`SlotInfo::is_unmade`]).
    pub knows_closures: bool,
    /// Where they are, if the chunk was never patched.
    pub places: Option<Arc<Places>>,
    /// What they were loaded from, if the chunk was never patched.
    pub literals: Option<Literals>,
    /// The main chunk is running.
    pub main_running: bool,
    /// How often the main chunk was started.
    pub n_runs: u32,
    /// How far it got.
    pub progress: Progress,
    /// Its arguments (`...`) are kept.
    pub arguments: bool,
    /// The first value it returned is a table, and is kept.
    pub returned: bool,
    /// The VM's generation, compared with the patch's `base`.
    pub generation: u64,
}

impl ChunkManifest {
    /// The manifest of a chunk that was just loaded and ran once as a module:
    /// every literal at version 1, every top-level local with a cell.
    pub fn fresh(main: Arc<Prototype>, source: Option<Arc<[u8]>>) -> Self {
        let cells = main
            .scope
            .iter()
            .map(|variable| CellInfo {
                name: variable.name.clone(),
                declaration: variable.declaration,
                present: variable.register.is_some(),
            })
            .collect();
        let mut manifest = Self {
            chunk: main.id.chunk().clone(),
            main,
            source,
            text: None,
            diverged: None,
            cells,
            slots: HashMap::default(),
            knows_closures: false,
            places: None,
            literals: None,
            main_running: false,
            n_runs: 1,
            progress: Progress::Unknown,
            arguments: true,
            returned: true,
            generation: 1,
        };
        manifest.describe_unpatched();
        manifest
    }

    /// Fills in the slots of a chunk that no patch has touched: all that is to be
    /// known of them is in its text.
    pub fn describe_unpatched(&mut self) {
        let slot = |prototype: &Arc<Prototype>| {
            let info = SlotInfo {
                version: 1,
                protected: false,
                is_first: true,
                is_unmade: false,
                layout: prototype.upvalues.to_vec(),
                n_fixed: prototype.upvalues.len(),
                current: Arc::clone(prototype),
            };
            (prototype.id.clone(), info)
        };
        let literals = match self.literals.take() {
            Some(literals) => literals,
            None => Literals::of(&self.main),
        };
        self.slots = literals.all.iter().map(slot).collect();
        self.places = Some(Arc::new(places(&self.main)));
        self.literals = Some(literals);
    }

    /// The cell of a top-level local. The newest of equal name counts.
    pub fn cell(&self, name: &str, declaration: u32) -> Option<(u32, &CellInfo)> {
        let at = self
            .cells
            .iter()
            .rposition(|cell| &*cell.name == name && cell.declaration == declaration)?;
        Some((at as u32, &self.cells[at]))
    }
}

pub(crate) fn same(a: &UpvalueDescription, b: &UpvalueDescription) -> bool {
    a.name == b.name
        && a.depth == b.depth
        && a.declaration == b.declaration
        && a.top_level == b.top_level
}
