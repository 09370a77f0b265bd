//! `/crannog/imports/mlflow`: what `crannog import mlflow` sends. For administrators; a batch that comes twice changes nothing.

use crannog_governance::api::files::serving::received;
use crannog_kit::{Body, Dialect, Json, Method, NoContent, Registry, Route};
use crannog_security::actions::{metastore, schemas};
use crannog_security::{Lease, NameOf};
use crannog_types::FullName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Tracking;
use crate::api::{endpoint, example_model};
use crate::model::imports::{BODY, Experiment, File, Known, LoggedModel, Outcome, RegisteredModel, Run, RunKey};
use crate::model::registry::full_name;
use crate::service::imports::{experiments, files, models, registry, runs};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(ImportExperiments(of()));
    registry.add(KnownRuns(of()));
    registry.add(ImportRuns(of()));
    registry.add(ImportLoggedModels(of()));
    registry.add(MissingFiles(of()));
    registry.add(ImportFile(of()));
    registry.add(ImportRegisteredModel(of()));
}

/// Where a route of an import is.
macro_rules! import {
    ($method:ident $path:literal, $about:literal) => {
        Route::new(Method::$method, concat!("/api/2.0/crannog/imports/mlflow/", $path), Dialect::Databricks, $about)
    };
}

/// Experiments.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ImportExperimentsIn {
    /// Experiments of the source.
    experiments: Vec<Experiment>,
}

/// Runs.
#[derive(Deserialize, JsonSchema)]
pub(super) struct KnownRunsIn {
    /// Ids of runs, and when they started.
    runs: Vec<RunKey>,
}

/// Runs.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ImportRunsIn {
    /// Runs of the source; a large one comes in parts.
    runs: Vec<Run>,
}

/// Logged models.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ImportLoggedModelsIn {
    /// Logged models of the source.
    models: Vec<LoggedModel>,
}

/// Files.
#[derive(Deserialize, Serialize, JsonSchema)]
pub(super) struct FilesList {
    /// Files, each by the run or logged model that it is of.
    files: Vec<File>,
}

/// A file.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ImportFileIn {
    /// `runs/<id>/…` or `models/<id>/…`
    path: String,
}

/// A model.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ImportRegisteredModelIn {
    model: RegisteredModel,
}

endpoint! {
    /// Takes experiments over.
    ImportExperiments: import!(Post "experiments", "Take over experiments of another tracker, with their ids.").body_limit(BODY);
    metastore::Administer, ImportExperimentsIn => Json<Outcome>;
    asks |_| Ok(NameOf::root());
    run |tracking, _, permit, input| experiments::take_over(&tracking.db, &permit, &input.experiments).await.map(Json);
    example |_| json!({ "experiments": [{
        "id": 738_291_009_999_i64, "name": "taken over", "artifact_location": null, "deleted": false,
        "created_ms": 1_750_000_000_000_i64, "updated_ms": 1_750_000_000_000_i64, "tags": [{ "key": "team", "value": "ops" }],
    }] });
}

endpoint! {
    /// Says which runs are here.
    KnownRuns: import!(Post "known-runs", "Say which runs are here already.").body_limit(BODY).on_full_disk();
    metastore::Administer, KnownRunsIn => Json<Known>;
    asks |_| Ok(NameOf::root());
    run |tracking, _, permit, input| runs::known(&tracking.db, &permit, &input.runs).await.map(Json);
    example |_| json!({ "runs": [{ "run_id": "f00d", "experiment_id": 0, "start_ms": 1_750_000_000_000_i64 }] });
}

endpoint! {
    /// Takes runs over.
    ImportRuns: import!(Post "runs", "Take over runs of another tracker, with everything that they logged.").body_limit(BODY);
    metastore::Administer, ImportRunsIn => Json<Outcome>;
    asks |_| Ok(NameOf::root());
    run |tracking, _, permit, input| runs::take_over(&tracking.db, &permit, &input.runs).await.map(Json);
    example |_| json!({ "runs": [{
        "run_id": "feed00f00d", "experiment_id": 0, "start_ms": 1_750_000_000_000_i64, "name": "taken over",
        "user_id": "ana", "status": "FINISHED", "params": [{ "key": "depth", "value": "8" }],
    }] });
}

endpoint! {
    /// Takes logged models over.
    ImportLoggedModels: import!(Post "logged-models", "Take over logged models of another tracker.").body_limit(BODY);
    metastore::Administer, ImportLoggedModelsIn => Json<Outcome>;
    asks |_| Ok(NameOf::root());
    run |tracking, _, permit, input| models::take_over(&tracking.db, &permit, &input.models).await.map(Json);
    example |_| json!({ "models": [{
        "model_id": "m-feed00f00d", "experiment_id": 0, "name": "late", "model_type": "", "source_run_id": "",
        "status": "READY", "status_message": null, "deleted": false, "created_ms": 1_750_000_000_000_i64,
        "updated_ms": 1_750_000_000_000_i64, "params": [], "tags": [], "metrics": [], "used_by": [], "made_by": [],
    }] });
}

endpoint! {
    /// Says which files are not here.
    MissingFiles: import!(Post "missing-files", "Say which of some files are not here.").body_limit(BODY).on_full_disk();
    metastore::Administer, FilesList => Json<FilesList>;
    asks |_| Ok(NameOf::root());
    run |tracking, _, permit, input| {
        let files = files::missing(&tracking.db, &permit, &input.files).await?;
        Ok(Json(FilesList { files }))
    };
    example |_| json!({ "files": [{ "holder": "runs/feed00f00d", "path": "model/MLmodel", "size": 7 }] });
}

endpoint! {
    /// Takes a file over.
    ImportFile: import!(Put "files/{*path}", "Take over a file of a run or a logged model.").body(Body::Stream);
    metastore::Administer, ImportFileIn => NoContent;
    asks |_| Ok(NameOf::root());
    run |tracking, cx, permit, input| {
        let lease = Lease::of(cx.caller()?, &permit);
        let body = received(cx, lease.clone());
        files::take_over(&tracking.artifacts, &permit, &lease, &input.path, body).await.map(|()| NoContent)
    };
    example |fixture| json!({ "path": format!("runs/{}/taken_over.txt", fixture.text("run")) });
}

endpoint! {
    /// Takes a registered model over.
    ImportRegisteredModel: import!(Post "registered-models", "Take over a registered model of another tracker, with its versions.")
        .body_limit(BODY);
    (metastore::Administer, schemas::CreateModel), ImportRegisteredModelIn => Json<Outcome>;
    asks |input| {
        let name = full_name(&input.model.full_name);
        let schema: Vec<String> = name.parts().iter().take(2).cloned().collect();
        Ok((NameOf::root(), NameOf::named(FullName::of(schema))))
    };
    run |tracking, _, permits, input| {
        registry::take_over(&tracking.artifacts, (&permits.0, &permits.1), &input.model).await.map(Json)
    };
    example |fixture| {
        let name = example_model(fixture);
        let schema = name.rsplit_once('.').map_or("", |(schema, _)| schema);
        json!({ "model": {
            "full_name": format!("{schema}.model_new"), "created_ms": 1_750_000_000_000_i64, "updated_ms": 1_750_000_000_000_i64,
            "comment": null, "tags": [], "aliases": [{ "alias": "champion", "version": 1 }], "versions": [{
                "version": 1, "status": "READY", "status_message": null, "stage": "None", "source": "s3://models/late",
                "location": "s3://models/late", "files_of": null, "folder": "", "run_id": null, "run_link": null, "model_id": null,
                "comment": null, "user_id": null, "created_ms": 1_750_000_000_000_i64, "updated_ms": 1_750_000_000_000_i64,
                "tags": [],
            }],
        } })
    };
}
