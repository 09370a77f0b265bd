//! What runs log, below `/runs`: points of metrics, parameters, tags; each alone, or a batch.

use std::collections::BTreeMap;

use crannog_kit::{Cx, Empty, Endpoint, Fixture, Registry, Route};
use crannog_security::actions::runs as actions;
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use serde_json::{Value, json};

use super::inputs::inputs;
use super::logged_models::editable;
use super::route;
use super::runs::run;
use super::wire::{TagIn, tags};
use crate::Tracking;
use crate::model::experiments::Tag;
use crate::model::limits;
use crate::model::logged_models::ModelMetric;
use crate::model::runs::Metric;
use crate::service::logging::Batch;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(LogMetric(tracking.clone()));
    registry.add(LogParam(tracking.clone()));
    registry.add(SetTag(tracking.clone()));
    registry.add(DeleteTag(tracking.clone()));
    registry.add(LogBatch(tracking.clone()));
}

inputs! {
    /// A point of a metric.
    pub(super) struct LogMetricIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// The metric's name.
        key: String = required,
        /// Its value: a number, or `NaN`, `Infinity`, `-Infinity`.
        value: Option<f64> = required,
        /// When, in milliseconds since 1970.
        timestamp: Option<i64> = required,
        /// Its step.
        step: Option<i64>,
        /// The model that it is about, too.
        model_id: String,
        /// The dataset that the model was measured on.
        dataset_name: String,
        /// Which state of it.
        dataset_digest: String,
    }
    /// A point of a batch.
    pub(super) struct MetricIn {
        /// The metric's name.
        key: String,
        /// Its value: a number, or `NaN`, `Infinity`, `-Infinity`.
        value: Option<f64>,
        /// When, in milliseconds since 1970.
        timestamp: Option<i64>,
        /// Its step.
        step: Option<i64>,
        /// The model that it is about, too.
        model_id: String,
        /// The dataset that the model was measured on.
        dataset_name: String,
        /// Which state of it.
        dataset_digest: String,
    }
    /// A parameter.
    pub(super) struct LogParamIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// The parameter's name.
        key: String = required,
        /// Its value, of up to 6,000 characters.
        value: String,
    }
    /// Which tag.
    pub(super) struct TagKeyIn {
        /// The run's id.
        run_id: String = required,
        /// The tag's key.
        key: String = required,
    }
    /// A batch.
    pub(super) struct LogBatchIn {
        /// The run's id.
        run_id: String = required,
        /// Points, 1,000 at most.
        metrics: Vec<MetricIn>,
        /// Parameters, 100 at most.
        params: Vec<TagIn>,
        /// Tags, 100 at most.
        tags: Vec<TagIn>,
    }
}

struct LogMetric(Tracking);

impl Endpoint for LogMetric {
    type Asks = actions::Edit;
    type In = LogMetricIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/log-metric", "Log a point of a metric.");

    fn read(input: &Value) -> std::result::Result<LogMetricIn, serde_json::Error> {
        LogMetricIn::of_json(input)
    }

    fn asks(&self, input: &LogMetricIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Edit>, input: LogMetricIn) -> Result<Empty> {
        let metric = Metric {
            key: input.key,
            value: input.value.unwrap_or_default(),
            time_ms: input.timestamp.unwrap_or_default(),
            step: input.step.unwrap_or_default(),
        };
        check_dataset(&input.dataset_name, &input.dataset_digest)?;
        if input.model_id.is_empty() {
            self.0.logger.metrics(&permit, vec![metric]).await?;
            return Ok(Empty);
        }
        let (dataset_name, dataset_digest) = (input.dataset_name, input.dataset_digest);
        let point = ModelMetric { metric: metric.clone(), dataset_name, dataset_digest };
        let models = editable(cx, BTreeMap::from([(input.model_id, vec![point])])).await?;
        let batch = Batch { metrics: vec![metric], ..Batch::default() };
        self.0.logger.batch_about(&permit, batch, &models).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "key": "loss", "value": 0.25, "timestamp": 1_700_000_000_000_i64, "step": 1 })
    }
}

struct LogParam(Tracking);

impl Endpoint for LogParam {
    type Asks = actions::Edit;
    type In = LogParamIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/log-parameter", "Log a parameter; it never changes.");

    fn asks(&self, input: &LogParamIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: LogParamIn) -> Result<Empty> {
        self.0.logger.param(&permit, Tag { key: input.key, value: input.value }).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "key": "depth", "value": "8" })
    }
}

struct SetTag(Tracking);

impl Endpoint for SetTag {
    type Asks = actions::Edit;
    type In = LogParamIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/set-tag", "Set a tag of a run.");

    fn asks(&self, input: &LogParamIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: LogParamIn) -> Result<Empty> {
        self.0.logger.tag(&permit, Tag { key: input.key, value: input.value }).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "key": "team", "value": "flights" })
    }
}

struct DeleteTag(Tracking);

impl Endpoint for DeleteTag {
    type Asks = actions::Edit;
    type In = TagKeyIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/delete-tag", "Delete a tag of a run.");

    fn asks(&self, input: &TagKeyIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, ""))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: TagKeyIn) -> Result<Empty> {
        self.0.logger.delete_tag(&permit, &input.key).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "key": "color" })
    }
}

struct LogBatch(Tracking);

impl Endpoint for LogBatch {
    type Asks = actions::Edit;
    type In = LogBatchIn;
    type Out = Empty;
    const ROUTE: Route =
        route!(Post "runs/log-batch", "Log points, parameters and tags together.").body_limit(limits::BATCH_BYTES);

    fn read(input: &Value) -> std::result::Result<LogBatchIn, serde_json::Error> {
        LogBatchIn::of_json(input)
    }

    fn asks(&self, input: &LogBatchIn) -> Result<NameOf<actions::Edit>> {
        limits::check_run_id(&input.run_id)?;
        Ok(run(&input.run_id, ""))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Edit>, input: LogBatchIn) -> Result<Empty> {
        let mut about: BTreeMap<String, Vec<ModelMetric>> = BTreeMap::new();
        let metrics = input.metrics.into_iter().enumerate().map(|(at, metric)| {
            present("metrics", at, "key", !metric.key.is_empty())?;
            present("metrics", at, "value", metric.value.is_some())?;
            present("metrics", at, "timestamp", metric.timestamp.is_some())?;
            let point = Metric {
                key: metric.key,
                value: metric.value.unwrap_or_default(),
                time_ms: metric.timestamp.unwrap_or_default(),
                step: metric.step.unwrap_or_default(),
            };
            check_dataset(&metric.dataset_name, &metric.dataset_digest)?;
            if !metric.model_id.is_empty() {
                let (dataset_name, dataset_digest) = (metric.dataset_name, metric.dataset_digest);
                let point = ModelMetric { metric: point.clone(), dataset_name, dataset_digest };
                about.entry(metric.model_id).or_default().push(point);
            }
            Ok(point)
        });
        let metrics = metrics.collect::<Result<Vec<_>>>()?;
        for (list, tags) in [("params", &input.params), ("tags", &input.tags)] {
            for (at, tag) in tags.iter().enumerate() {
                present(list, at, "key", !tag.key.is_empty())?;
            }
        }
        let batch = Batch { metrics, params: tags(input.params), tags: tags(input.tags) };
        let models = editable(cx, about).await?;
        self.0.logger.batch_about(&permit, batch, &models).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "run_id": fixture.text("run"),
            "metrics": [{ "key": "loss", "value": 0.25, "timestamp": 1_700_000_000_000_i64, "step": 1 }],
            "params": [{ "key": "depth", "value": "8" }],
            "tags": [{ "key": "team", "value": "flights" }],
        })
    }
}

fn check_dataset(name: &str, digest: &str) -> Result<()> {
    if name.is_empty() == digest.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid("Both dataset_name and dataset_digest must be provided if one is provided"))
}

fn present(list: &str, at: usize, field: &str, there: bool) -> Result<()> {
    if there {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "Missing value for required parameter '{list}[{at}].{field}'. See the API docs for more information about request \
         parameters."
    )))
}
