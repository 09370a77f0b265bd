//! `/logged-models`

use std::collections::BTreeMap;

use crannog_governance::api::files::serving::{RANGED, SERVED};
use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Reply, Route};
use crannog_security::actions::{experiments, logged_models as actions};
use crannog_security::{Action, List, NameOf, Permit, ScopeOf, Visible, kinds};
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::artifacts::{FilesOut, download, listed};
use super::experiments::by_id;
use super::inputs::{Field, inputs};
use super::route;
use super::wire::{LoggedModelOut, TagIn, all, tags};
use crate::Tracking;
use crate::model::artifacts::plain;
use crate::model::limits;
use crate::model::logged_models::{DatasetFilter, LoggedModel, ModelMetric, ModelsAsked, OrderBy, Status};
use crate::model::search::tracking_max_results;
use crate::service::logged_models::{self as verbs, NewModel, OF_MODEL, OfModel};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(CreateLoggedModel(tracking.clone()));
    registry.add(GetLoggedModel(tracking.clone()));
    registry.add(FinalizeLoggedModel(tracking.clone()));
    registry.add(DeleteLoggedModel(tracking.clone()));
    registry.add(SearchLoggedModels(tracking.clone()));
    registry.add(LogLoggedModelParams(tracking.clone()));
    registry.add(SetLoggedModelTags(tracking.clone()));
    registry.add(DeleteLoggedModelTag(tracking.clone()));
    registry.add(ListLoggedModelArtifacts(tracking.clone()));
    registry.add(GetLoggedModelArtifact(tracking.clone()));
}

/// A model by its id.
pub(super) fn model<A: Action<On = kinds::LoggedModel>>(model_id: &str) -> NameOf<A> {
    NameOf::found(&OF_MODEL, model_id)
}

/// Points about models, with the permits that they need.
pub(super) async fn editable(cx: &Cx, about: BTreeMap<String, Vec<ModelMetric>>) -> Result<Vec<OfModel>> {
    let mut models = Vec::with_capacity(about.len());
    for (model_id, points) in about {
        models.push((cx.caller()?.ask::<actions::Edit>(model(&model_id)).await?, points));
    }
    Ok(models)
}

/// `LOGGED_MODEL_READY` or its number; words that MLflow does not know say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StatusIn(Status);

impl Field for StatusIn {
    fn unset() -> Self {
        StatusIn::default()
    }
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(sent) => {
                let known = Status::ALL.into_iter().find(|(.., word)| word == sent);
                Some(StatusIn(known.map(|(status, ..)| status).unwrap_or_default()))
            }
            Value::Number(sent) => {
                let (status, ..) = Status::ALL.into_iter().find(|(_, number, _)| sent.as_i64() == Some(*number))?;
                Some(StatusIn(status))
            }
            _ => None,
        }
    }
}

impl JsonSchema for StatusIn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LoggedModelStatus".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": Status::ALL.map(|(.., word)| word) })
    }
}

impl Serialize for StatusIn {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.on_wire().serialize(to)
    }
}

inputs! {
    /// A model that is to be made.
    pub(super) struct CreateLoggedModelIn {
        /// The experiment's id.
        experiment_id: String = required,
        /// Its name, of up to 500 characters; made up when left out.
        name: String,
        /// What kind of model, as the client says.
        model_type: String,
        /// The run that makes it.
        source_run_id: String,
        /// Its parameters.
        params: Vec<TagIn>,
        /// Its tags.
        tags: Vec<TagIn>,
    }
    /// Which model.
    pub(super) struct ModelIn {
        /// The model's id.
        model_id: String = required,
    }
    /// Which model.
    pub(super) struct GetModelIn {
        /// The model's id.
        model_id: String = required,
        /// `true` for one that is deleted, too.
        allow_deleted: String,
    }
    /// Whether its files are there.
    pub(super) struct FinalizeIn {
        /// The model's id.
        model_id: String = required,
        /// `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`.
        status: StatusIn = required,
    }
    /// Parameters.
    pub(super) struct ModelParamsIn {
        /// The model's id.
        model_id: String = required,
        /// The parameters.
        params: Vec<TagIn>,
    }
    /// Tags.
    pub(super) struct ModelTagsIn {
        /// The model's id.
        model_id: String = required,
        /// The tags.
        tags: Vec<TagIn>,
    }
    /// Which tag.
    pub(super) struct ModelTagIn {
        /// The model's id.
        model_id: String = required,
        /// The tag's key.
        tag_key: String = required,
    }
    /// Which folder.
    pub(super) struct ModelFolderIn {
        /// The model's id.
        model_id: String = required,
        /// A folder, below the model's own.
        artifact_directory_path: String,
    }
    /// Which file.
    pub(super) struct ModelFileIn {
        /// The model's id.
        model_id: String = required,
        /// The file, below the model's folder.
        artifact_file_path: String = required,
    }
    /// A dataset.
    pub(super) struct DatasetFilterIn {
        /// Its name.
        dataset_name: String,
        /// Which state of it; any, when left out.
        dataset_digest: String,
    }
    /// One key of an order.
    pub(super) struct OrderByIn {
        /// `metrics.auc`, `creation_time`, …
        field_name: String,
        /// The least first; so when left out.
        ascending: Option<bool>,
        /// Of a metric, only values on this dataset.
        dataset_name: String,
        /// And this state of it.
        dataset_digest: String,
    }
    /// What is searched for.
    pub(super) struct SearchLoggedModelsIn {
        /// The experiments' ids.
        experiment_ids: Vec<String> = required,
        /// Such as `metrics.auc > 0.8 AND name = 'late'`.
        filter: String,
        /// Datasets, one of which the metrics have to be about.
        datasets: Vec<DatasetFilterIn>,
        /// How many at most: 100 when left out, 50,000 or less.
        max_results: Option<i64>,
        /// The order; the latest first, when left out.
        order_by: Vec<OrderByIn>,
        /// `next_page_token` of the page before.
        page_token: String,
    }
}

/// A logged model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneModelOut {
    model: LoggedModelOut,
}

fn one(model: LoggedModel) -> Json<OneModelOut> {
    Json(OneModelOut { model: model.into() })
}

struct CreateLoggedModel(Tracking);

impl Endpoint for CreateLoggedModel {
    type Asks = experiments::Edit;
    type In = CreateLoggedModelIn;
    type Out = Json<OneModelOut>;
    const ROUTE: Route =
        route!(Post "logged-models", "Create a logged model, whose files are to come.").body_limit(limits::BATCH_BYTES);

    fn asks(&self, input: &CreateLoggedModelIn) -> Result<NameOf<experiments::Edit>> {
        by_id(&input.experiment_id)
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<experiments::Edit>,
        input: CreateLoggedModelIn,
    ) -> Result<Json<OneModelOut>> {
        let new = NewModel {
            name: input.name,
            model_type: input.model_type,
            source_run_id: input.source_run_id,
            params: tags(input.params),
            tags: tags(input.tags),
        };
        Ok(one(verbs::create(&self.0.db, &permit, new).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_id": fixture.text("experiment"), "name": "late", "source_run_id": fixture.text("run") })
    }
}

struct GetLoggedModel(Tracking);

impl Endpoint for GetLoggedModel {
    type Asks = actions::Read;
    type In = GetModelIn;
    type Out = Json<OneModelOut>;
    const ROUTE: Route = route!(Get "logged-models/{model_id}", "Get a logged model with what was logged about it.");

    fn asks(&self, input: &GetModelIn) -> Result<NameOf<actions::Read>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: GetModelIn) -> Result<Json<OneModelOut>> {
        let deleted_too = input.allow_deleted.eq_ignore_ascii_case("true");
        Ok(one(verbs::get(&self.0.db, &permit, deleted_too).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model") })
    }
}

struct FinalizeLoggedModel(Tracking);

impl Endpoint for FinalizeLoggedModel {
    type Asks = actions::Edit;
    type In = FinalizeIn;
    type Out = Json<OneModelOut>;
    const ROUTE: Route = route!(Patch "logged-models/{model_id}", "Say whether a logged model's files are there.");

    fn asks(&self, input: &FinalizeIn) -> Result<NameOf<actions::Edit>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: FinalizeIn) -> Result<Json<OneModelOut>> {
        Ok(one(verbs::finalize(&self.0.db, &permit, input.status.0).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model"), "status": "LOGGED_MODEL_READY" })
    }
}

struct DeleteLoggedModel(Tracking);

impl Endpoint for DeleteLoggedModel {
    type Asks = actions::Edit;
    type In = ModelIn;
    type Out = Empty;
    const ROUTE: Route = route!(Delete "logged-models/{model_id}", "Delete a logged model.");

    fn asks(&self, input: &ModelIn) -> Result<NameOf<actions::Edit>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, _: ModelIn) -> Result<Empty> {
        verbs::delete(&self.0.db, &permit).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model") })
    }
}

struct LogLoggedModelParams(Tracking);

impl Endpoint for LogLoggedModelParams {
    type Asks = actions::Edit;
    type In = ModelParamsIn;
    type Out = Empty;
    const ROUTE: Route =
        route!(Post "logged-models/{model_id}/params", "Add parameters to a logged model; they never change.")
            .body_limit(limits::BATCH_BYTES);

    fn asks(&self, input: &ModelParamsIn) -> Result<NameOf<actions::Edit>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: ModelParamsIn) -> Result<Empty> {
        verbs::log_params(&self.0.db, &permit, &tags(input.params)).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model"), "params": [{ "key": "depth", "value": "8" }] })
    }
}

struct SetLoggedModelTags(Tracking);

impl Endpoint for SetLoggedModelTags {
    type Asks = actions::Edit;
    type In = ModelTagsIn;
    type Out = Empty;
    const ROUTE: Route = route!(Patch "logged-models/{model_id}/tags", "Set tags of a logged model.");

    fn asks(&self, input: &ModelTagsIn) -> Result<NameOf<actions::Edit>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: ModelTagsIn) -> Result<Empty> {
        verbs::set_tags(&self.0.db, &permit, &tags(input.tags)).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model"), "tags": [{ "key": "team", "value": "flights" }] })
    }
}

struct DeleteLoggedModelTag(Tracking);

impl Endpoint for DeleteLoggedModelTag {
    type Asks = actions::Edit;
    type In = ModelTagIn;
    type Out = Empty;
    const ROUTE: Route = route!(Delete "logged-models/{model_id}/tags/{tag_key}", "Delete a tag of a logged model.");

    fn asks(&self, input: &ModelTagIn) -> Result<NameOf<actions::Edit>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Edit>, input: ModelTagIn) -> Result<Empty> {
        verbs::delete_tag(&self.0.db, &permit, &input.tag_key).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model"), "tag_key": "color" })
    }
}

struct ListLoggedModelArtifacts(Tracking);

impl Endpoint for ListLoggedModelArtifacts {
    type Asks = actions::Read;
    type In = ModelFolderIn;
    type Out = Json<FilesOut>;
    const ROUTE: Route = route!(Get "logged-models/{model_id}/artifacts/directories", "List files of a logged model.");

    fn asks(&self, input: &ModelFolderIn) -> Result<NameOf<actions::Read>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: ModelFolderIn) -> Result<Json<FilesOut>> {
        listed(&self.0, &permit, &input.artifact_directory_path).await
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model") })
    }
}

struct GetLoggedModelArtifact(Tracking);

impl Endpoint for GetLoggedModelArtifact {
    type Asks = actions::Read;
    type In = ModelFileIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files",
        Dialect::Mlflow,
        "Download a file of a logged model, for MLflow's pages.",
    )
    .answers(SERVED)
    .headers(RANGED);

    fn asks(&self, input: &ModelFileIn) -> Result<NameOf<actions::Read>> {
        Ok(model(&input.model_id))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Read>, input: ModelFileIn) -> Result<Reply> {
        download(&self.0, cx, &permit, &plain(&input.artifact_file_path)?).await
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "model_id": fixture.text("logged_model"), "artifact_file_path": "MLmodel" })
    }
}

/// A page of models.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LoggedModelsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<LoggedModelOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// How many models are given to who does not say.
const MODELS: i64 = 100;

struct SearchLoggedModels(Tracking);

impl Endpoint for SearchLoggedModels {
    type Asks = List<experiments::Read>;
    type In = SearchLoggedModelsIn;
    type Out = Json<LoggedModelsOut>;
    const ROUTE: Route = route!(Post "logged-models/search", "Search logged models of experiments.").on_full_disk();

    fn asks(&self, _: &SearchLoggedModelsIn) -> Result<ScopeOf<experiments::Read>> {
        Ok(ScopeOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        visible: Visible<experiments::Read>,
        input: SearchLoggedModelsIn,
    ) -> Result<Json<LoggedModelsOut>> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let dataset = |of: DatasetFilterIn| DatasetFilter { name: of.dataset_name, digest: some(of.dataset_digest) };
        let order = |by: OrderByIn| OrderBy {
            field_name: by.field_name,
            ascending: by.ascending.unwrap_or(true),
            dataset_name: some(by.dataset_name),
            dataset_digest: some(by.dataset_digest),
        };
        let asked = ModelsAsked {
            experiment_ids: input.experiment_ids,
            filter: input.filter,
            datasets: input.datasets.into_iter().map(dataset).collect(),
            order_by: input.order_by.into_iter().map(order).collect(),
            // MLflow takes 0 for nothing said.
            max_results: tracking_max_results(input.max_results.filter(|most| *most != 0).unwrap_or(MODELS))?,
            page_token: input.page_token,
        };
        let (found, next_page_token) = verbs::search(&self.0.db, &visible, &asked).await?;
        Ok(Json(LoggedModelsOut { models: all(found), next_page_token }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "experiment_ids": [fixture.text("experiment")], "max_results": 100 })
    }
}
