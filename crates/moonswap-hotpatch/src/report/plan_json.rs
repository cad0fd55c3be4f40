//! Plans, refusals and what they list as JSON values.

use super::ReportedFunction;
use crate::encoding::json::Json;
use crate::manifest::ENVIRONMENT_CELL;
use crate::model::change::DataChange;
use crate::model::literal::LiteralChange;
use crate::model::migration::Migrated;
use crate::model::not_run::NotRun;
use crate::model::plan::{ChunkPlan, Plan};
use crate::model::undefined::Undefined;
use crate::patch::shown;
use crate::refusal::activation::Activation;
use crate::refusal::{Refusal, Refused};

impl Plan {
    /// All that [`Plan`]'s text says: `summary`, `refused`, `chunks` with their
    /// functions and statements, `refusals`.
    pub fn json(&self) -> Json {
        Json::object([
            ("summary", Json::text(self.summary())),
            ("refused", Json::Bool(self.is_refused())),
            (
                "chunks",
                Json::Array(self.chunks.iter().map(ChunkPlan::json).collect()),
            ),
            (
                "activations",
                Json::Array(self.activations.iter().map(Activation::json).collect()),
            ),
            (
                "migrated",
                Json::Array(self.migrated.iter().map(Migrated::json).collect()),
            ),
            ("staying", self.staying.json()),
            ("refusals", list(&self.refusals)),
        ])
    }
}

impl ChunkPlan {
    fn json(&self) -> Json {
        let cells = self.new_cells.iter();
        let locals = cells.filter(|(_, declaration)| *declaration != ENVIRONMENT_CELL);
        let statements = |list: &[NotRun]| Json::Array(list.iter().map(NotRun::json).collect());
        Json::object([
            ("chunk", Json::text(shown(&self.chunk).as_ref())),
            (
                "functions",
                Json::Array(self.touched().map(LiteralChange::json).collect()),
            ),
            ("unchanged", Json::number(self.n_unchanged)),
            ("new_locals", Json::texts(locals.map(|(name, _)| name))),
            (
                "data",
                Json::Array(self.data_changes().map(DataChange::json).collect()),
            ),
            ("runs", statements(&self.runs)),
            ("not_run", statements(&self.not_run)),
            (
                "diverged",
                Json::Array(
                    self.diverged
                        .iter()
                        .flat_map(|d| &d.functions)
                        .map(|left| left.refusal.json())
                        .collect(),
                ),
            ),
            ("warnings", Json::texts(self.all_warnings())),
            (
                "undefined",
                Json::Array(self.undefined.iter().map(Undefined::json).collect()),
            ),
        ])
    }
}

impl LiteralChange {
    fn json(&self) -> Json {
        Json::object([
            ("id", Json::text(self.name())),
            ("class", Json::text(self.class.to_string())),
            ("line", Json::number(self.line)),
            ("old", Json::optional_number(self.old_version)),
            ("new", Json::optional_number(self.new_version())),
        ])
    }
}

impl ReportedFunction {
    pub(crate) fn json(&self) -> Json {
        Json::object([
            ("chunk", Json::text(self.chunk.as_ref())),
            ("id", Json::text(&self.id)),
            ("class", Json::text(self.class.to_string())),
            ("old", Json::optional_number(self.old)),
            ("new", Json::optional_number(self.new)),
        ])
    }
}

impl NotRun {
    pub(crate) fn json(&self) -> Json {
        Json::object([
            ("line", Json::number(self.line)),
            ("text", Json::text(&self.text)),
            ("why", Json::text(&self.why)),
            (
                "option",
                self.option.as_ref().map_or(Json::Null, Json::text),
            ),
        ])
    }
}

impl Undefined {
    /// Each field under its name.
    pub fn json(&self) -> Json {
        let suggestion = self.suggestion.as_ref();
        Json::object([
            ("name", Json::text(self.name.as_ref())),
            ("line", Json::number(self.line)),
            ("column", Json::number(self.column)),
            ("function", Json::text(&self.function)),
            (
                "suggestion",
                suggestion.map_or(Json::Null, |name| Json::text(name.as_ref())),
            ),
        ])
    }
}

impl Refusal {
    /// Each field under its name.
    pub fn json(&self) -> Json {
        Json::object([
            ("code", Json::text(self.code.text())),
            ("chunk", Json::text(self.chunk.as_ref())),
            ("line", Json::number(self.line)),
            ("column", Json::number(self.column)),
            ("function", Json::text(&self.function)),
            ("reason", Json::text(&self.reason)),
            ("remedy", Json::text(&self.remedy)),
        ])
    }
}

impl Refused {
    /// All refusals as a list.
    pub fn json(&self) -> Json {
        list(&self.refusals)
    }

    /// Whether the reason is what the patch is or was made for, not what its
    /// code would do: exit code 5 of the command line.
    pub fn is_provenance(&self) -> bool {
        self.refusals.iter().any(|r| r.code.is_provenance())
    }
}

fn list(refusals: &[Refusal]) -> Json {
    Json::Array(refusals.iter().map(Refusal::json).collect())
}
