//! `/runs`: begun, read, changed, deleted, searched. What they log is in `logging`.

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::{experiments, runs as actions};
use crannog_security::{Action, List, NameOf, Permit, ScopeOf, Visible, kinds};
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::experiments::by_id;
use super::inputs::{Field, inputs};
use super::route;
use super::wire::{RunInfoOut, RunOut, TagIn, ViewIn, tags};
use crate::Tracking;
use crate::model::experiments::{Lifecycle, experiment_id};
use crate::model::runs::Status;
use crate::model::search::tracking_max_results;
use crate::service::Asked;
use crate::service::runs::{self, EXPERIMENT_OF_RUN, NewRun, OF_RUN, RunChange};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(CreateRun(tracking.clone()));
    registry.add(GetRun(tracking.clone()));
    registry.add(UpdateRun(tracking.clone()));
    registry.add(DeleteRun(tracking.clone()));
    registry.add(RestoreRun(tracking.clone()));
    registry.add(PurgeRun(tracking.clone()));
    registry.add(SearchRuns(tracking.clone()));
}

/// A run by its id, or by its old name.
pub(super) fn run<A: Action<On = kinds::Run>>(run_id: &str, run_uuid: &str) -> NameOf<A> {
    NameOf::found(&OF_RUN, id_of(run_id, run_uuid))
}

fn id_of<'a>(run_id: &'a str, run_uuid: &'a str) -> &'a str {
    if run_id.is_empty() { run_uuid } else { run_id }
}

/// `RUNNING` or its number; words that MLflow does not know are no status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StatusIn(Option<Status>);

impl Field for StatusIn {
    fn unset() -> Self {
        StatusIn(None)
    }
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(word) => Some(StatusIn(Status::of_word(word))),
            Value::Number(number) => {
                let number = number.as_i64()?;
                let (status, _) = Status::ALL.into_iter().find(|(_, n)| *n == number)?;
                Some(StatusIn(Some(status)))
            }
            _ => None,
        }
    }
}

impl JsonSchema for StatusIn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RunStatus".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = Status::ALL.iter().map(|(status, _)| status.word()).collect();
        schemars::json_schema!({ "type": "string", "enum": words })
    }
}

impl Serialize for StatusIn {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.map(Status::word).serialize(to)
    }
}

inputs! {
    /// A run that begins.
    pub(super) struct CreateRunIn {
        /// The experiment's id; 0 when left out.
        experiment_id: String,
        /// Who runs it, as the client says.
        user_id: String,
        /// Its name; made up when left out.
        run_name: String,
        /// When it began, in milliseconds since 1970.
        start_time: Option<i64>,
        /// Its tags.
        tags: Vec<TagIn>,
    }
    /// Which run.
    pub(super) struct RunIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
    }
    /// What is to change; what is left out stays.
    pub(super) struct UpdateRunIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// What it is doing.
        status: StatusIn,
        /// When it ended, in milliseconds since 1970.
        end_time: Option<i64>,
        /// Its name.
        run_name: String,
    }
    /// What is searched for.
    pub(super) struct SearchRunsIn {
        /// The experiments' ids.
        experiment_ids: Vec<String>,
        /// Such as `metrics.auc > 0.8 AND params.depth = '8'`.
        filter: String,
        /// Which of them: those that are not deleted, when left out.
        run_view_type: ViewIn,
        /// How many at most: 1,000 when left out, 50,000 or less.
        max_results: Option<i64>,
        /// Such as `metrics.auc DESC`.
        order_by: Vec<String>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneRunOut {
    run: RunOut,
}

/// What is known of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UpdateRunOut {
    run_info: RunInfoOut,
}

struct CreateRun(Tracking);

impl Endpoint for CreateRun {
    type Asks = experiments::Edit;
    type In = CreateRunIn;
    type Out = Json<OneRunOut>;
    const ROUTE: Route = route!(Post "runs/create", "Begin a run.");

    fn read(input: &Value) -> std::result::Result<CreateRunIn, serde_json::Error> {
        CreateRunIn::of_json(input)
    }

    fn asks(&self, input: &CreateRunIn) -> Result<NameOf<experiments::Edit>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<experiments::Edit>, input: CreateRunIn) -> Result<Json<OneRunOut>> {
        // protobuf's number that nobody gave.
        let start_ms = Some(input.start_time.unwrap_or_default());
        let new = NewRun { name: input.run_name, user_id: input.user_id, start_ms, tags: tags(input.tags) };
        Ok(Json(OneRunOut { run: RunOut::begun(runs::create(&self.0.db, &permit, new).await?) }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment"), "run_name": "run_new", "start_time": 1_700_000_000_000_i64 })
    }
}

pub(super) struct GetRun(pub(super) Tracking);

impl Endpoint for GetRun {
    type Asks = actions::Read;
    type In = RunIn;
    type Out = Json<OneRunOut>;
    const ROUTE: Route =
        route!(Get "runs/get", "Get a run with the last point of each metric, its parameters and tags.");

    fn asks(&self, input: &RunIn) -> Result<NameOf<actions::Read>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, _: RunIn) -> Result<Json<OneRunOut>> {
        Ok(Json(OneRunOut { run: runs::get(&self.0.db, &permit).await?.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run") })
    }
}

struct UpdateRun(Tracking);

impl Endpoint for UpdateRun {
    type Asks = actions::Edit;
    type In = UpdateRunIn;
    type Out = Json<UpdateRunOut>;
    const ROUTE: Route = route!(Post "runs/update", "Change a run's status, end, name.");

    fn asks(&self, input: &UpdateRunIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: UpdateRunIn) -> Result<Json<UpdateRunOut>> {
        let name = Some(input.run_name).filter(|name| !name.is_empty());
        let change = RunChange { status: input.status.0, end_ms: input.end_time, name };
        Ok(Json(UpdateRunOut { run_info: runs::update(&self.0.db, &permit, &change).await?.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "status": "FINISHED", "end_time": 1_700_000_060_000_i64 })
    }
}

struct DeleteRun(Tracking);

impl Endpoint for DeleteRun {
    type Asks = actions::Edit;
    type In = RunIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/delete", "Delete a run, until it is restored or purged.");

    fn asks(&self, input: &RunIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, _: RunIn) -> Result<Empty> {
        runs::move_to(&self.0.db, &permit, Lifecycle::Deleted).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run") })
    }
}

struct RestoreRun(Tracking);

impl Endpoint for RestoreRun {
    type Asks = actions::Edit;
    type In = RunIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "runs/restore", "Restore a deleted run.");

    fn asks(&self, input: &RunIn) -> Result<NameOf<actions::Edit>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, _: RunIn) -> Result<Empty> {
        runs::move_to(&self.0.db, &permit, Lifecycle::Active).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run") })
    }
}

struct PurgeRun(Tracking);

impl Endpoint for PurgeRun {
    type Asks = experiments::Manage;
    type In = RunIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/crannog/runs/purge",
        Dialect::Mlflow,
        "Delete a run for good, with everything that it logged; its space is given back within a minute.",
    );

    fn asks(&self, input: &RunIn) -> Result<NameOf<experiments::Manage>> {
        Ok(NameOf::found(&EXPERIMENT_OF_RUN, id_of(&input.run_id, &input.run_uuid)))
    }

    async fn run(&self, _: &Cx, permit: Permit<experiments::Manage>, input: RunIn) -> Result<Empty> {
        self.0.keeper.purge_run(&permit, id_of(&input.run_id, &input.run_uuid)).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run") })
    }
}

/// A page of runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchRunsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// How many runs are given to who does not say.
const RUNS: i64 = 1000;

pub(super) struct SearchRuns(pub(super) Tracking);

impl Endpoint for SearchRuns {
    type Asks = List<experiments::Read>;
    type In = SearchRunsIn;
    type Out = Json<SearchRunsOut>;
    const ROUTE: Route = route!(Post "runs/search", "Search runs of experiments.").on_full_disk();

    fn asks(&self, _: &SearchRunsIn) -> Result<ScopeOf<experiments::Read>> {
        Ok(ScopeOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<experiments::Read>,
        input: SearchRunsIn,
    ) -> Result<Json<SearchRunsOut>> {
        let ids = input.experiment_ids.iter().map(|id| experiment_id(id)).collect::<Result<Vec<i64>>>()?;
        let asked = Asked {
            filter: &input.filter,
            order_by: &input.order_by,
            max_results: tracking_max_results(input.max_results.unwrap_or(RUNS))?,
            page_token: &input.page_token,
        };
        let (found, next_page_token) = runs::search(&self.0.db, &visible, &ids, input.run_view_type.0, &asked).await?;
        Ok(Json(SearchRunsOut { runs: found.into_iter().map(RunOut::from).collect(), next_page_token }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_ids": [fixture.text("experiment")], "max_results": 100 })
    }
}
