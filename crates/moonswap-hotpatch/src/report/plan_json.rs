//! Plans as JSON: `summary`, `refused`, `chunks` with their functions and
//! statements, `activations`, `migrated`, `staying`, `refusals`.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::encoding::json::to_json;
use crate::manifest::ENVIRONMENT_CELL;
use crate::model::change::DataChange;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::model::migration::{Migrated, Staying};
use crate::model::not_run::NotRun;
use crate::model::plan::{ChunkPlan, Plan};
use crate::model::undefined::Undefined;
use crate::patch::shown;
use crate::refusal::Refusal;
use crate::refusal::activation::Activation;

impl Plan {
    /// All that [`Plan`]'s text says, as one JSON object.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

#[derive(Serialize)]
struct PlanView<'a> {
    summary: String,
    refused: bool,
    chunks: Vec<ChunkView<'a>>,
    activations: &'a [Activation],
    migrated: &'a [Migrated],
    staying: &'a Staying,
    refusals: &'a [Refusal],
}

#[derive(Serialize)]
struct ChunkView<'a> {
    chunk: Arc<str>,
    functions: Vec<FunctionView>,
    unchanged: usize,
    new_locals: Vec<&'a str>,
    data: Vec<DataView<'a>>,
    runs: &'a [NotRun],
    not_run: &'a [NotRun],
    diverged: Vec<&'a Refusal>,
    warnings: Vec<String>,
    undefined: &'a [Undefined],
}

#[derive(Serialize)]
struct FunctionView {
    id: String,
    class: ChangeClass,
    line: u32,
    old: Option<u32>,
    new: Option<u32>,
}

#[derive(Serialize)]
struct DataView<'a> {
    line: u32,
    path: &'a str,
    before: String,
    after: &'a str,
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = PlanView {
            summary: self.summary(),
            refused: self.is_refused(),
            chunks: self.chunks.iter().map(ChunkView::from).collect(),
            activations: &self.activations,
            migrated: &self.migrated,
            staying: &self.staying,
            refusals: &self.refusals,
        };
        view.serialize(serializer)
    }
}

impl<'a> From<&'a ChunkPlan> for ChunkView<'a> {
    fn from(plan: &'a ChunkPlan) -> Self {
        let cells = plan.new_cells.iter();
        let locals = cells.filter(|(_, declaration)| *declaration != ENVIRONMENT_CELL);
        let diverged = plan.diverged.iter().flat_map(|d| &d.functions);
        Self {
            chunk: shown(&plan.chunk),
            functions: plan.touched().map(FunctionView::from).collect(),
            unchanged: plan.n_unchanged,
            new_locals: locals.map(|(name, _)| name.as_ref()).collect(),
            data: plan.data_changes().map(DataView::from).collect(),
            runs: &plan.runs,
            not_run: &plan.not_run,
            diverged: diverged.map(|left| &left.refusal).collect(),
            warnings: plan.all_warnings().collect(),
            undefined: &plan.undefined,
        }
    }
}

impl From<&LiteralChange> for FunctionView {
    fn from(change: &LiteralChange) -> Self {
        Self {
            id: change.name(),
            class: change.class,
            line: change.line,
            old: change.old_version,
            new: change.new_version(),
        }
    }
}

impl<'a> From<&'a DataChange> for DataView<'a> {
    fn from(change: &'a DataChange) -> Self {
        Self {
            line: change.line,
            path: &change.path,
            before: change.before.to_string(),
            after: &change.after,
        }
    }
}
