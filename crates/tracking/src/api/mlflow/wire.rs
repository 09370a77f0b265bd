//! MLflow's messages, as its protocol buffers have them in JSON: what is not set is left out.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use serde_json::Value;

use super::inputs::{Field, inputs};
use crate::model::experiments::{Experiment, Tag, View};
use crate::model::logged_models::{LoggedModel, ModelMetric};
use crate::model::points::Point;
use crate::model::runs::{DatasetInput, Metric, Run, RunInfo};

inputs! {
    /// A key and its value.
    pub(crate) struct TagIn {
        /// The key.
        key: String,
        /// The value.
        value: String,
    }
}

impl From<TagIn> for Tag {
    fn from(tag: TagIn) -> Self {
        Tag { key: tag.key, value: tag.value }
    }
}

/// `ACTIVE_ONLY` or its number; what MLflow does not know shows what is active.
#[derive(Clone, Copy, Debug)]
pub(super) struct ViewIn(pub(super) View);

const VIEWS: [(View, &str, i64); 3] =
    [(View::ActiveOnly, "ACTIVE_ONLY", 1), (View::DeletedOnly, "DELETED_ONLY", 2), (View::All, "ALL", 3)];

impl Default for ViewIn {
    fn default() -> Self {
        ViewIn(View::ActiveOnly)
    }
}

impl Field for ViewIn {
    fn unset() -> Self {
        ViewIn::default()
    }
    fn read(value: &Value) -> Option<Self> {
        let known = match value {
            Value::String(text) => {
                let number: Option<i64> = text.parse().ok();
                VIEWS.iter().find(|(_, word, at)| word == text || number == Some(*at))
            }
            Value::Number(number) => VIEWS.iter().find(|(_, _, at)| number.as_i64() == Some(*at)),
            _ => return None,
        };
        Some(known.map_or_else(ViewIn::default, |(view, _, _)| ViewIn(*view)))
    }
}

impl JsonSchema for ViewIn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ViewType".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": VIEWS.map(|(_, word, _)| word) })
    }
}

impl Serialize for ViewIn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let word = VIEWS.iter().find(|(view, _, _)| *view == self.0).map(|(_, word, _)| *word);
        word.serialize(to)
    }
}

/// Tags of a request.
pub(crate) fn tags(given: Vec<TagIn>) -> Vec<Tag> {
    given.into_iter().map(Tag::from).collect()
}

/// A key and its value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagOut {
    key: String,
    value: String,
}

impl From<Tag> for TagOut {
    fn from(tag: Tag) -> Self {
        TagOut { key: tag.key, value: tag.value }
    }
}

pub(super) fn all<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

/// An experiment.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ExperimentOut {
    experiment_id: String,
    name: String,
    artifact_location: String,
    lifecycle_stage: &'static str,
    /// When it was last changed, in milliseconds since 1970.
    last_update_time: i64,
    /// When it was made, in milliseconds since 1970.
    creation_time: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
    /// MLflow's workspaces: there is one.
    workspace: &'static str,
}

impl From<Experiment> for ExperimentOut {
    fn from(experiment: Experiment) -> Self {
        ExperimentOut {
            experiment_id: experiment.id.to_string(),
            artifact_location: experiment.location(),
            name: experiment.name,
            lifecycle_stage: experiment.lifecycle.word(),
            last_update_time: experiment.updated_ms,
            creation_time: experiment.created_ms,
            tags: all(experiment.tags),
            workspace: "default",
        }
    }
}

/// What is known of a run without what it logged.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunInfoOut {
    run_id: String,
    /// The same, for old clients.
    run_uuid: String,
    run_name: String,
    experiment_id: String,
    user_id: String,
    status: &'static str,
    /// When it began, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: String,
    lifecycle_stage: &'static str,
}

impl From<RunInfo> for RunInfoOut {
    fn from(info: RunInfo) -> Self {
        RunInfoOut {
            run_uuid: info.run_id.clone(),
            run_id: info.run_id,
            run_name: info.name,
            experiment_id: info.experiment.to_string(),
            user_id: info.user_id,
            status: info.status.word(),
            start_time: info.start_ms,
            // MLflow's server takes 0 for no end.
            end_time: info.end_ms.filter(|end| *end != 0),
            artifact_uri: info.artifact_uri,
            lifecycle_stage: info.lifecycle.word(),
        }
    }
}

/// A point of a metric. NaN is the text `NaN`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MetricOut {
    key: String,
    /// Its value, in the metric's own unit: a number, or the text `NaN`.
    #[serde(serialize_with = "double")]
    #[schemars(schema_with = "double_schema")]
    value: f64,
    /// When, in milliseconds since 1970.
    timestamp: i64,
    /// Its step, a count of the client's.
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<String>,
}

impl From<Metric> for MetricOut {
    fn from(metric: Metric) -> Self {
        let Metric { key, value, time_ms, step } = metric;
        MetricOut {
            key,
            value,
            timestamp: time_ms,
            step,
            run_id: None,
            model_id: None,
            dataset_name: None,
            dataset_digest: None,
        }
    }
}

impl MetricOut {
    /// A point of a history, with its run where there are several.
    pub(super) fn of(key: &str, point: Point, run_id: Option<&str>) -> Self {
        let Point { time_ms, step, value } = point;
        let metric = Metric { key: key.to_owned(), value, time_ms, step };
        MetricOut { run_id: run_id.map(str::to_owned), ..MetricOut::from(metric) }
    }

    /// With its model, its dataset and the run that measured it.
    pub(super) fn about(point: ModelMetric, model_id: &str, run_id: &str) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        MetricOut {
            run_id: Some(run_id.to_owned()),
            model_id: Some(model_id.to_owned()),
            dataset_name: some(point.dataset_name),
            dataset_digest: some(point.dataset_digest),
            ..MetricOut::from(point.metric)
        }
    }
}

/// proto3's JSON of a double.
fn double<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.is_nan() { to.serialize_str("NaN") } else { to.serialize_f64(*value) }
}

fn double_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["number", "string"] })
}

/// What a run logged.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunDataOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    params: Vec<TagOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
}

/// A dataset.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DatasetOut {
    name: String,
    digest: String,
    source_type: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}

/// A dataset and what it was used for.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DatasetInputOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
    dataset: DatasetOut,
}

impl From<DatasetInput> for DatasetInputOut {
    fn from(input: DatasetInput) -> Self {
        DatasetInputOut {
            tags: all(input.tags),
            dataset: DatasetOut {
                name: input.name,
                digest: input.digest,
                source_type: input.source_type,
                source: input.source,
                schema: input.schema,
                profile: input.profile,
            },
        }
    }
}

/// What a run used.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunInputsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInputOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInputOut>,
}

/// A model that a run used.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ModelInputOut {
    model_id: String,
}

/// A model that a run made, and the step at which it did.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ModelOutputOut {
    model_id: String,
    /// At which step it was made, a count of the client's.
    step: i64,
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunOut {
    info: RunInfoOut,
    data: RunDataOut,
    inputs: RunInputsOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<RunOutputsOut>,
}

/// What a run made.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct RunOutputsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelOutputOut>,
}

impl RunOut {
    /// A run that has just begun, of which nothing is said that it made.
    pub(super) fn begun(run: Run) -> Self {
        RunOut { outputs: None, ..RunOut::from(run) }
    }
}

impl From<Run> for RunOut {
    fn from(run: Run) -> Self {
        RunOut {
            info: run.info.into(),
            data: RunDataOut { metrics: all(run.metrics), params: all(run.params), tags: all(run.tags) },
            inputs: RunInputsOut {
                dataset_inputs: all(run.inputs),
                model_inputs: run.models_in.into_iter().map(|model_id| ModelInputOut { model_id }).collect(),
            },
            outputs: Some(RunOutputsOut {
                model_outputs: run
                    .models_out
                    .into_iter()
                    .map(|(model_id, step)| ModelOutputOut { model_id, step })
                    .collect(),
            }),
        }
    }
}

/// What is known of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LoggedModelInfoOut {
    model_id: String,
    experiment_id: String,
    name: String,
    /// When it was made, in milliseconds since 1970.
    creation_timestamp_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    last_updated_timestamp_ms: i64,
    artifact_uri: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    model_type: String,
    source_run_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
}

/// What was logged about a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LoggedModelDataOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    params: Vec<TagOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricOut>,
}

/// A logged model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LoggedModelOut {
    info: LoggedModelInfoOut,
    data: LoggedModelDataOut,
}

impl From<LoggedModel> for LoggedModelOut {
    fn from(model: LoggedModel) -> Self {
        let info = model.info;
        let metrics = model.metrics.into_iter();
        let metrics = metrics.map(|(point, run_id)| MetricOut::about(point, &info.model_id, &run_id)).collect();
        LoggedModelOut {
            info: LoggedModelInfoOut {
                model_id: info.model_id,
                experiment_id: info.experiment.to_string(),
                name: info.name,
                creation_timestamp_ms: info.created_ms,
                last_updated_timestamp_ms: info.updated_ms,
                artifact_uri: info.artifact_uri,
                status: info.status.on_wire(),
                status_message: info.status_message,
                model_type: info.model_type,
                source_run_id: info.source_run_id,
                tags: all(model.tags),
            },
            data: LoggedModelDataOut { params: all(model.params), metrics },
        }
    }
}
