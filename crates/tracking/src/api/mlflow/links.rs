//! `/runs`: what a run used and made, datasets and models; `/experiments/search-datasets`: what all of them used.

use crannog_kit::{Cx, Empty, Endpoint, Fixture, Json, Registry, Route};
use crannog_security::actions::{experiments, logged_models as models, runs as actions};
use crannog_security::{List, NameOf, Permit, ScopeOf, Visible};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::inputs::{Field, Item, inputs};
use super::logged_models::model;
use super::route;
use super::runs::run;
use super::wire::{TagIn, tags};
use crate::Tracking;
use crate::model::experiments::experiment_id;
use crate::model::limits;
use crate::model::runs::DatasetInput;
use crate::service::{inputs as verbs, lineage};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(LogModel(tracking.clone()));
    registry.add(LogInputs(tracking.clone()));
    registry.add(LogOutputs(tracking.clone()));
    registry.add(SearchDatasets(tracking.clone()));
}

inputs! {
    /// A model, as clients before MLflow 3 log it.
    pub(super) struct LogModelIn {
        /// The run's id.
        run_id: String = required,
        /// The model's description, JSON in a text.
        model_json: String = required,
    }
    /// A dataset.
    pub(super) struct DatasetIn {
        /// Its name.
        name: String,
        /// Its digest.
        digest: String,
        /// What kind of source.
        source_type: String,
        /// Where it comes from, JSON in a text.
        source: String,
        /// Its columns, JSON in a text.
        schema: Option<String>,
        /// Its size, JSON in a text.
        profile: Option<String>,
    }
    /// A dataset and what it is used for.
    pub(super) struct DatasetInputIn {
        /// What for: `mlflow.data.context`.
        tags: Vec<TagIn>,
        /// The dataset.
        dataset: DatasetField,
    }
    /// A model.
    pub(super) struct ModelInputIn {
        /// The model's id.
        model_id: String,
    }
    /// A model and when it was made.
    pub(super) struct ModelOutputIn {
        /// The model's id.
        model_id: String,
        /// The step at which it was made.
        step: Option<i64>,
    }
    /// Models that a run made.
    pub(super) struct LogOutputsIn {
        /// The run's id.
        run_id: String = required,
        /// The models.
        models: Vec<ModelOutputIn> = required,
    }
    /// Whose datasets.
    pub(super) struct SearchDatasetsIn {
        /// The experiments' ids, 20 at most.
        experiment_ids: Vec<String>,
    }
    /// Datasets and models that a run uses.
    pub(super) struct LogInputsIn {
        /// The run's id.
        run_id: String = required,
        /// The datasets.
        datasets: Vec<DatasetInputIn>,
        /// The models.
        models: Vec<ModelInputIn>,
    }
}

/// A message in a message.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(transparent)]
pub(super) struct DatasetField(Option<DatasetIn>);

impl Field for DatasetField {
    fn unset() -> Self {
        DatasetField(None)
    }
    fn read(value: &Value) -> Option<Self> {
        DatasetIn::read(value).map(|dataset| DatasetField(Some(dataset)))
    }
}

struct LogModel(Tracking);

impl Endpoint for LogModel {
    type Asks = actions::Edit;
    type In = LogModelIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/log-model", "Note a model that a client before MLflow 3 logs.");

    fn asks(&self, input: &LogModelIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, ""))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: LogModelIn) -> Result<Empty> {
        let model: Value = serde_json::from_str(&input.model_json).map_err(|_| {
            Problem::invalid(format!("Malformed model info. \n {} \n is not a valid JSON.", input.model_json))
        })?;
        let missing: Vec<String> = ["artifact_path", "flavors", "run_id", "utc_time_created"]
            .into_iter()
            .filter(|field| model.get(field).is_none())
            .map(|field| format!("'{field}'"))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Problem::invalid(format!("Model json is missing mandatory fields: {{{missing}}}")));
        }
        self.0.logger.old_model(&permit, model).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        let run_id = fixture.text("run");
        let model =
            json!({ "run_id": run_id, "artifact_path": "model", "flavors": {}, "utc_time_created": "2024-01-01" });
        json!({ "run_id": run_id, "model_json": model.to_string() })
    }
}

struct LogInputs(Tracking);

impl Endpoint for LogInputs {
    type Asks = actions::Edit;
    type In = LogInputsIn;
    type Out = Empty;
    const ROUTE: Route =
        route!(Post "runs/log-inputs", "Note datasets and models that a run uses.").body_limit(limits::INPUTS_BYTES);

    fn asks(&self, input: &LogInputsIn) -> Result<NameOf<actions::Edit>> {
        limits::check_run_id(&input.run_id)?;
        Ok(run(&input.run_id, ""))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Edit>, input: LogInputsIn) -> Result<Empty> {
        let datasets: Vec<DatasetInput> = input.datasets.into_iter().map(DatasetInput::from).collect();
        let mut used = Vec::with_capacity(input.models.len());
        for one in &input.models {
            used.push(cx.caller()?.ask::<models::Read>(model(&one.model_id)).await?);
        }
        let sources = lineage::of_datasets(&self.0.db, cx.caller()?, &permit, &datasets).await?;
        verbs::log(&self.0.db, &permit, &datasets, &sources, &used).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "run_id": fixture.text("run"),
            "datasets": [{
                "tags": [{ "key": "mlflow.data.context", "value": "training" }],
                "dataset": { "name": "flights", "digest": "0a1b2c3d", "source_type": "delta_table", "source": "{}" },
            }],
        })
    }
}

impl From<DatasetInputIn> for DatasetInput {
    fn from(input: DatasetInputIn) -> Self {
        let tags = tags(input.tags);
        let Some(dataset) = input.dataset.0 else { return DatasetInput { tags, ..DatasetInput::default() } };
        DatasetInput {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
            tags,
        }
    }
}

struct LogOutputs(Tracking);

impl Endpoint for LogOutputs {
    type Asks = actions::Edit;
    type In = LogOutputsIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/outputs", "Note models that a run makes.");

    fn asks(&self, input: &LogOutputsIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, ""))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Edit>, input: LogOutputsIn) -> Result<Empty> {
        let mut made = Vec::with_capacity(input.models.len());
        for one in &input.models {
            let permit = cx.caller()?.ask::<models::Edit>(model(&one.model_id)).await?;
            made.push((permit, one.step.unwrap_or_default()));
        }
        verbs::log_outputs(&self.0.db, &permit, &made).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "run_id": fixture.text("run"),
            "models": [{ "model_id": fixture.text("logged_model"), "step": 3 }],
        })
    }
}

/// Datasets.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchDatasetsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dataset_summaries: Vec<DatasetSummaryOut>,
}

/// A dataset and what it was used for.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DatasetSummaryOut {
    experiment_id: String,
    name: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

/// How many experiments a request may be about.
const EXPERIMENTS: usize = 20;

struct SearchDatasets(Tracking);

impl Endpoint for SearchDatasets {
    type Asks = List<experiments::Read>;
    type In = SearchDatasetsIn;
    type Out = Json<SearchDatasetsOut>;
    const ROUTE: Route =
        route!(Post "experiments/search-datasets", "List datasets that runs of experiments used, 1,000 at most.")
            .on_full_disk();

    fn asks(&self, input: &SearchDatasetsIn) -> Result<ScopeOf<experiments::Read>> {
        match input.experiment_ids.len() {
            0 => Err(Problem::invalid("SearchDatasets request must specify at least one experiment_id.")),
            many if many > EXPERIMENTS => Err(Problem::invalid(format!(
                "SearchDatasets request cannot specify more than {EXPERIMENTS} experiment_ids. Received {many} experiment_ids."
            ))),
            _ => Ok(ScopeOf::root()),
        }
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<experiments::Read>,
        input: SearchDatasetsIn,
    ) -> Result<Json<SearchDatasetsOut>> {
        let ids = input.experiment_ids.iter().map(|id| experiment_id(id)).collect::<Result<Vec<i64>>>()?;
        let found = verbs::summaries(&self.0.db, &visible, &ids).await?;
        let summary = |found: verbs::DatasetSummary| DatasetSummaryOut {
            experiment_id: found.experiment.to_string(),
            name: found.name,
            digest: found.digest,
            context: found.context,
        };
        Ok(Json(SearchDatasetsOut { dataset_summaries: found.into_iter().map(summary).collect() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_ids": [fixture.text("experiment")] })
    }
}
