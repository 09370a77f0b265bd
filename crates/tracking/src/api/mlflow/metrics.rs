//! `/metrics`

use std::collections::BTreeSet;

use crannog_kit::{Cx, Endpoint, Fixture, Json, Registry, Route};
use crannog_security::actions::runs as actions;
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::inputs::inputs;
use super::route;
use super::runs::run;
use super::wire::MetricOut;
use crate::Tracking;
use crate::service::{history, pages, run_of};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(GetMetricHistory(tracking.clone()));
    registry.add(GetMetricHistoryBulkInterval(tracking.clone()));
}

inputs! {
    /// Which metric of which run.
    pub(super) struct MetricHistoryIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// The metric's name.
        metric_key: String = required,
        /// How many points at most; all of them when left out.
        #[schemars(range(min = 1))]
        max_results: Option<i64>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
    /// Which metric of which runs.
    pub(super) struct BulkIntervalIn {
        /// The runs' ids, 100 at most.
        run_ids: Vec<String> = required,
        /// The metric's name.
        metric_key: String = required,
        /// From this step on.
        #[schemars(range(min = -9_223_372_036_854_775_808_i64))]
        start_step: Option<i64>,
        /// Up to this step.
        #[schemars(range(min = -9_223_372_036_854_775_808_i64))]
        end_step: Option<i64>,
        /// How many points of each run, 2,500 at most and when left out.
        #[schemars(range(min = 1, max = 2500))]
        max_results: Option<i64>,
    }
}

/// Points.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MetricsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

struct GetMetricHistory(Tracking);

impl Endpoint for GetMetricHistory {
    type Asks = actions::Read;
    type In = MetricHistoryIn;
    type Out = Json<MetricsOut>;
    const ROUTE: Route = route!(Get "metrics/get-history", "Get the points of a metric.");

    fn asks(&self, input: &MetricHistoryIn) -> Result<NameOf<actions::Read>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: MetricHistoryIn) -> Result<Json<MetricsOut>> {
        if let Some(wrong) = input.max_results.filter(|most| *most <= 0) {
            return Err(Problem::invalid(format!(
                "Invalid value {wrong} for parameter 'max_results' supplied. It must be a positive integer."
            )));
        }
        let from = pages::offset(&input.page_token)?;
        let points = history::points(&self.0.db, &permit, &input.metric_key).await?;
        let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let end = from.saturating_add(most);
        let next_page_token = (end < points.len()).then(|| pages::token(end));
        let metrics = points.into_iter().skip(from).take(most);
        let metrics = metrics.map(|point| MetricOut::of(&input.metric_key, point, None)).collect();
        Ok(Json(MetricsOut { metrics, next_page_token }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "metric_key": "accuracy" })
    }
}

pub(super) struct GetMetricHistoryBulkInterval(pub(super) Tracking);

/// How many runs one request may be about.
const RUNS: usize = 100;
/// How many points of a run one answer has.
const POINTS: i64 = 2500;

impl Endpoint for GetMetricHistoryBulkInterval {
    type Asks = Vec<actions::Read>;
    type In = BulkIntervalIn;
    type Out = Json<MetricsOut>;
    const ROUTE: Route =
        route!(Get "metrics/get-history-bulk-interval", "Get samples of a metric of several runs, evenly spaced.");

    fn asks(&self, input: &BulkIntervalIn) -> Result<Vec<NameOf<actions::Read>>> {
        let docs = "See the API docs for more information about request parameters.";
        if input.run_ids.is_empty() {
            return Err(Problem::invalid(format!("Missing value for required parameter 'run_ids'. {docs}")));
        }
        if input.run_ids.len() > RUNS {
            return Err(Problem::invalid(format!(
                "GetMetricHistoryBulkInterval request must specify at most {RUNS} run_ids. Received {} run_ids. {docs}",
                input.run_ids.len()
            )));
        }
        if input.max_results.is_some_and(|most| !(1..=POINTS).contains(&most)) {
            return Err(Problem::invalid(format!("max_results must be between 1 and {POINTS}. {docs}")));
        }
        match (input.start_step, input.end_step) {
            (Some(start), Some(end)) if start > end => Err(Problem::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            ))),
            (Some(_), None) | (None, Some(_)) => {
                Err(Problem::invalid("If either start step or end step are specified, both must be specified."))
            }
            _ => {
                // A run that is named twice is read once.
                let mut seen = BTreeSet::new();
                Ok(input.run_ids.iter().filter(|run_id| seen.insert(*run_id)).map(|run_id| run(run_id, "")).collect())
            }
        }
    }

    async fn run(
        &self,
        _: &Cx,
        permits: Vec<Permit<actions::Read>>,
        input: BulkIntervalIn,
    ) -> Result<Json<MetricsOut>> {
        let most = usize::try_from(input.max_results.unwrap_or(POINTS)).unwrap_or_default();
        let steps = input.start_step.unwrap_or(i64::MIN)..=input.end_step.unwrap_or(i64::MAX);
        let mut metrics = Vec::new();
        for permit in &permits {
            let mut points = history::points(&self.0.db, permit, &input.metric_key).await?;
            points.retain(|point| steps.contains(&point.step));
            let run_id = run_of(permit)?;
            let sampled = history::sampled(points, most).into_iter();
            metrics.extend(sampled.map(|point| MetricOut::of(&input.metric_key, point, Some(&run_id))));
        }
        Ok(Json(MetricsOut { metrics, next_page_token: None }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_ids": [fixture.text("run")], "metric_key": "accuracy", "max_results": 100 })
    }
}
