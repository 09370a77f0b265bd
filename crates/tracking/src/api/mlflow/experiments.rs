//! `/experiments`

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::{experiments as actions, metastore};
use crannog_security::{List, NameOf, Permit, ScopeOf, Visible};
use crannog_types::{Code, FullName, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::inputs::inputs;
use super::route;
use super::wire::{ExperimentOut, TagIn, ViewIn, tags};
use crate::Tracking;
use crate::model::experiments::{Lifecycle, Tag, experiment_id};
use crate::model::search::tracking_max_results;
use crate::service::Asked;
use crate::service::experiments::{self, BY_NAME, NewExperiment};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(CreateExperiment(tracking.clone()));
    registry.add(GetExperiment(tracking.clone()));
    registry.add(GetExperimentByName(tracking.clone()));
    registry.add(UpdateExperiment(tracking.clone()));
    registry.add(DeleteExperiment(tracking.clone()));
    registry.add(RestoreExperiment(tracking.clone()));
    registry.add(PurgeExperiment(tracking.clone()));
    registry.add(SetExperimentTag(tracking.clone()));
    registry.add(DeleteExperimentTag(tracking.clone()));
    registry.add(SearchExperiments(tracking.clone()));
    registry.add(SearchExperimentsByGet(tracking.clone()));
}

/// An experiment by the number that clients call it.
pub(super) fn by_id<A: crannog_security::Action>(text: &str) -> Result<NameOf<A>> {
    Ok(NameOf::named(FullName::of([experiment_id(text)?.to_string()])))
}

inputs! {
    /// An experiment that is wanted.
    pub(super) struct CreateExperimentIn {
        /// Its name, of up to 500 characters.
        name: String = required,
        /// Where its runs' files are to be, if not in the server's own storage.
        artifact_location: String,
        /// Its tags.
        tags: Vec<TagIn>,
    }
    /// Which experiment.
    pub(super) struct ExperimentIn {
        /// The experiment's id.
        experiment_id: String = required,
    }
    /// Which experiment.
    pub(super) struct ExperimentNameIn {
        /// The experiment's name.
        experiment_name: String = required,
    }
    /// A new name.
    pub(super) struct UpdateExperimentIn {
        /// The experiment's id.
        experiment_id: String = required,
        /// Its new name, of up to 500 characters.
        new_name: String = required,
    }
    /// A tag.
    pub(super) struct ExperimentTagIn {
        /// The experiment's id.
        experiment_id: String = required,
        /// The tag's key.
        key: String = required,
        /// Its value, of up to 20,000 characters.
        value: String,
    }
    /// What is searched for.
    pub(super) struct SearchExperimentsIn {
        /// How many at most, 50,000 or less; it has to be there.
        #[schemars(range(min = 1, max = 50_000))]
        max_results: Option<i64>,
        /// `next_page_token` of the page before.
        page_token: String,
        /// Such as `name LIKE 'late%' AND tags.team = 'flights'`.
        filter: String,
        /// Such as `name ASC`.
        order_by: Vec<String>,
        /// Which of them: those that are not deleted, when left out.
        view_type: ViewIn,
    }
    /// Which tag.
    pub(super) struct ExperimentTagKeyIn {
        /// The experiment's id.
        experiment_id: String = required,
        /// The tag's key.
        key: String = required,
    }
}

/// The id of what was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ExperimentIdOut {
    experiment_id: String,
}

/// An experiment.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneExperimentOut {
    experiment: ExperimentOut,
}

struct CreateExperiment(Tracking);

impl Endpoint for CreateExperiment {
    type Asks = metastore::Work;
    type In = CreateExperimentIn;
    type Out = Json<ExperimentIdOut>;
    const ROUTE: Route = route!(Post "experiments/create", "Create an experiment.");

    fn asks(&self, _: &CreateExperimentIn) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<metastore::Work>,
        input: CreateExperimentIn,
    ) -> Result<Json<ExperimentIdOut>> {
        let artifact_location = Some(input.artifact_location).filter(|location| !location.is_empty());
        let new = NewExperiment { name: input.name, artifact_location, tags: tags(input.tags) };
        match experiments::create(&self.0.db, &permit, &new).await {
            Ok(id) => Ok(Json(ExperimentIdOut { experiment_id: id.to_string() })),
            Err(taken) if taken.code() == Code::AlreadyExists => {
                let by_name = NameOf::<actions::Read>::found(&BY_NAME, new.name.as_str());
                match cx.caller()?.ask(by_name).await {
                    Err(hidden) if hidden.code() == Code::NotFound => Err(experiments::hidden(&new.name)),
                    _ => Err(taken),
                }
            }
            Err(failed) => Err(failed),
        }
    }

    fn example(_: &Fixture) -> Value {
        json!({ "name": "experiment_new", "tags": [{ "key": "team", "value": "flights" }] })
    }
}

pub(super) struct GetExperiment(pub(super) Tracking);

impl Endpoint for GetExperiment {
    type Asks = actions::Read;
    type In = ExperimentIn;
    type Out = Json<OneExperimentOut>;
    const ROUTE: Route = route!(Get "experiments/get", "Get an experiment.");

    fn asks(&self, input: &ExperimentIn) -> Result<NameOf<actions::Read>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, _: ExperimentIn) -> Result<Json<OneExperimentOut>> {
        Ok(Json(OneExperimentOut { experiment: experiments::get(&self.0.db, &permit).await?.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment") })
    }
}

struct GetExperimentByName(Tracking);

impl Endpoint for GetExperimentByName {
    type Asks = actions::Read;
    type In = ExperimentNameIn;
    type Out = Json<OneExperimentOut>;
    const ROUTE: Route = route!(Get "experiments/get-by-name", "Get an experiment by its name.");

    fn asks(&self, input: &ExperimentNameIn) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::found(&BY_NAME, input.experiment_name.as_str()))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, _: ExperimentNameIn) -> Result<Json<OneExperimentOut>> {
        Ok(Json(OneExperimentOut { experiment: experiments::get(&self.0.db, &permit).await?.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_name": fixture.text("experiment_name") })
    }
}

struct UpdateExperiment(Tracking);

impl Endpoint for UpdateExperiment {
    type Asks = actions::Manage;
    type In = UpdateExperimentIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "experiments/update", "Rename an experiment.");

    fn asks(&self, input: &UpdateExperimentIn) -> Result<NameOf<actions::Manage>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, input: UpdateExperimentIn) -> Result<Empty> {
        experiments::rename(&self.0.db, &permit, &input.new_name).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment"), "new_name": "experiment_new" })
    }
}

struct DeleteExperiment(Tracking);

impl Endpoint for DeleteExperiment {
    type Asks = actions::Manage;
    type In = ExperimentIn;
    type Out = Empty;
    const ROUTE: Route =
        route!(Post "experiments/delete", "Delete an experiment and its runs, until they are restored or purged.");

    fn asks(&self, input: &ExperimentIn) -> Result<NameOf<actions::Manage>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, _: ExperimentIn) -> Result<Empty> {
        experiments::move_to(&self.0.db, &permit, Lifecycle::Deleted).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment") })
    }
}

struct RestoreExperiment(Tracking);

impl Endpoint for RestoreExperiment {
    type Asks = actions::Manage;
    type In = ExperimentIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "experiments/restore", "Restore a deleted experiment and its runs.");

    fn asks(&self, input: &ExperimentIn) -> Result<NameOf<actions::Manage>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, _: ExperimentIn) -> Result<Empty> {
        experiments::move_to(&self.0.db, &permit, Lifecycle::Active).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("deleted_experiment") })
    }
}

struct PurgeExperiment(Tracking);

impl Endpoint for PurgeExperiment {
    type Asks = actions::Manage;
    type In = ExperimentIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/crannog/experiments/purge",
        Dialect::Mlflow,
        "Delete a deleted experiment for good, with its runs and logged models; it is gone within a minute.",
    );

    fn asks(&self, input: &ExperimentIn) -> Result<NameOf<actions::Manage>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Manage>, _: ExperimentIn) -> Result<Empty> {
        self.0.keeper.purge_experiment(&permit).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("deleted_experiment") })
    }
}

struct SetExperimentTag(Tracking);

impl Endpoint for SetExperimentTag {
    type Asks = actions::Edit;
    type In = ExperimentTagIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "experiments/set-experiment-tag", "Set a tag of an experiment.");

    fn asks(&self, input: &ExperimentTagIn) -> Result<NameOf<actions::Edit>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: ExperimentTagIn) -> Result<Empty> {
        experiments::set_tag(&self.0.db, &permit, &Tag { key: input.key, value: input.value }).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment"), "key": "team", "value": "flights" })
    }
}

struct DeleteExperimentTag(Tracking);

impl Endpoint for DeleteExperimentTag {
    type Asks = actions::Edit;
    type In = ExperimentTagKeyIn;
    type Out = Empty;
    const ROUTE: Route = route!(Post "experiments/delete-experiment-tag", "Delete a tag of an experiment.");

    fn asks(&self, input: &ExperimentTagKeyIn) -> Result<NameOf<actions::Edit>> {
        by_id(&input.experiment_id)
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: ExperimentTagKeyIn) -> Result<Empty> {
        experiments::delete_tag(&self.0.db, &permit, &input.key).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment"), "key": "color" })
    }
}

/// A page of experiments.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchExperimentsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    experiments: Vec<ExperimentOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

async fn search(
    tracking: &Tracking,
    visible: &Visible<actions::Read>,
    input: &SearchExperimentsIn,
) -> Result<Json<SearchExperimentsOut>> {
    let asked = Asked {
        filter: &input.filter,
        order_by: &input.order_by,
        max_results: tracking_max_results(input.max_results.unwrap_or_default())?,
        page_token: &input.page_token,
    };
    let (found, next_page_token) = experiments::search(&tracking.db, visible, input.view_type.0, &asked).await?;
    let experiments = found.into_iter().map(ExperimentOut::from).collect();
    Ok(Json(SearchExperimentsOut { experiments, next_page_token }))
}

struct SearchExperiments(Tracking);

impl Endpoint for SearchExperiments {
    type Asks = List<actions::Read>;
    type In = SearchExperimentsIn;
    type Out = Json<SearchExperimentsOut>;
    const ROUTE: Route = route!(Post "experiments/search", "Search experiments.").on_full_disk();

    fn asks(&self, _: &SearchExperimentsIn) -> Result<ScopeOf<actions::Read>> {
        Ok(ScopeOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<actions::Read>,
        input: SearchExperimentsIn,
    ) -> Result<Json<SearchExperimentsOut>> {
        search(&self.0, &visible, &input).await
    }

    fn example(_: &Fixture) -> Value {
        json!({ "max_results": 1000 })
    }
}

struct SearchExperimentsByGet(Tracking);

impl Endpoint for SearchExperimentsByGet {
    type Asks = List<actions::Read>;
    type In = SearchExperimentsIn;
    type Out = Json<SearchExperimentsOut>;
    const ROUTE: Route = route!(Get "experiments/search", "Search experiments.");

    fn asks(&self, _: &SearchExperimentsIn) -> Result<ScopeOf<actions::Read>> {
        Ok(ScopeOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<actions::Read>,
        input: SearchExperimentsIn,
    ) -> Result<Json<SearchExperimentsOut>> {
        search(&self.0, &visible, &input).await
    }

    fn example(_: &Fixture) -> Value {
        json!({ "max_results": 1000 })
    }
}
