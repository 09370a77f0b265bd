//! `/mlflow-artifacts` and `/artifacts`: files of runs and models, through the server.

use crannog_governance::api::files::serving::{RANGED, SERVED, received, serve};
use crannog_kit::{Body, Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Reply, Route};
use crannog_security::actions::{logged_models as model_actions, runs as actions};
use crannog_security::{Action, Either, Lease, NameOf, Permit, kinds};
use crannog_storage::FileMeta;
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::inputs::inputs;
use super::logged_models::model;
use super::route;
use super::runs::run;
use crate::Tracking;
use crate::model::artifacts::{Holder, Place, plain};
use crate::service::artifacts::{self, Artifact, Reads, Writes, missing, unreadable};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(PutArtifact(tracking.clone()));
    registry.add(GetArtifact(tracking.clone()));
    registry.add(DeleteArtifact(tracking.clone()));
    registry.add(ListArtifactsBelow(tracking.clone()));
    registry.add(ListArtifacts(tracking.clone()));
    registry.add(GetArtifactOfRun(tracking.clone()));
}

/// A path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PathIn {
    /// `<experiment id>/<run id>/artifacts/…`, or `<experiment id>/models/<model id>/artifacts/…`
    path: String,
}

inputs! {
    /// Which folder of which run.
    pub(super) struct ListArtifactsIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// A folder, below the run's own.
        path: String,
    }
    /// Which file of which run.
    pub(super) struct ArtifactOfRunIn {
        /// The run's id.
        run_id: String = required,
        /// The same, of old clients.
        run_uuid: String,
        /// The file, below the run's folder.
        path: String = required,
    }
}

/// A file or a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FileInfoOut {
    path: String,
    is_dir: bool,
    /// In bytes; left out for a folder and for an empty file.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<i64>,
}

impl From<Artifact> for FileInfoOut {
    fn from(artifact: Artifact) -> Self {
        // protobuf leaves 0 out.
        let file_size = artifact.size.filter(|size| *size != 0);
        FileInfoOut { path: artifact.path, is_dir: artifact.size.is_none(), file_size }
    }
}

/// Files and folders.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FilesOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    root_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileInfoOut>,
}

/// The address of the proxy for files, under both prefixes.
const fn proxied(method: Method, about: &'static str) -> Route {
    Route::new(method, "/api/2.0/mlflow-artifacts/artifacts/{*path}", Dialect::Mlflow, about)
        .also(&["/ajax-api/2.0/mlflow-artifacts/artifacts/{*path}"])
}

/// Whose files a path is about.
fn whose<R, M>(path: &str) -> Result<Either<NameOf<R>, NameOf<M>>>
where
    R: Action<On = kinds::Run>,
    M: Action<On = kinds::LoggedModel>,
{
    Ok(match Place::parse(path)?.holder {
        Holder::Run(id) => Either::Left(run(&id, "")),
        Holder::Model(id) => Either::Right(model(&id)),
    })
}

/// A place, where the files of its run or model have to be.
async fn place<A: Action<On: artifacts::Holder>>(tracking: &Tracking, permit: &Permit<A>, text: &str) -> Result<Place> {
    let place = Place::parse(text)?;
    match place.is_of(&artifacts::address(&tracking.db, permit).await?) {
        true => Ok(place),
        false => Err(missing(text)),
    }
}

struct PutArtifact(Tracking);

impl PutArtifact {
    async fn put<A: Writes>(&self, cx: &Cx, permit: &Permit<A>, path: &str) -> Result<Empty> {
        let place = place(&self.0, permit, path).await?;
        let lease = Lease::of(cx.caller()?, permit);
        let body = received(cx, lease.clone());
        self.0.artifacts.put(permit, &lease, &place.path, body).await?;
        Ok(Empty)
    }
}

impl Endpoint for PutArtifact {
    type Asks = Either<actions::Edit, model_actions::Edit>;
    type In = PathIn;
    type Out = Empty;
    const ROUTE: Route = proxied(Method::Put, "Upload a file of a run or a model.").body(Body::Stream);

    fn asks(&self, input: &PathIn) -> Result<Either<NameOf<actions::Edit>, NameOf<model_actions::Edit>>> {
        whose(&input.path)
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Either<Permit<actions::Edit>, Permit<model_actions::Edit>>,
        input: PathIn,
    ) -> Result<Empty> {
        match permit {
            Either::Left(permit) => self.put(cx, &permit, &input.path).await,
            Either::Right(permit) => self.put(cx, &permit, &input.path).await,
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/{}/artifacts/file_new.txt", fixture.text("experiment"), fixture.text("run")) })
    }
}

struct GetArtifact(Tracking);

impl GetArtifact {
    async fn get<A: Reads>(&self, cx: &Cx, permit: &Permit<A>, path: &str) -> Result<Reply> {
        let place = place(&self.0, permit, path).await?;
        download(&self.0, cx, permit, &place.path).await
    }
}

impl Endpoint for GetArtifact {
    type Asks = Either<actions::Read, model_actions::Read>;
    type In = PathIn;
    type Out = Reply;
    const ROUTE: Route = proxied(Method::Get, "Download a file of a run or a model.").answers(SERVED).headers(RANGED);

    fn asks(&self, input: &PathIn) -> Result<Either<NameOf<actions::Read>, NameOf<model_actions::Read>>> {
        whose(&input.path)
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Either<Permit<actions::Read>, Permit<model_actions::Read>>,
        input: PathIn,
    ) -> Result<Reply> {
        match permit {
            Either::Left(permit) => self.get(cx, &permit, &input.path).await,
            Either::Right(permit) => self.get(cx, &permit, &input.path).await,
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/{}/artifacts/notes.txt", fixture.text("experiment"), fixture.text("run")) })
    }
}

/// A file, in whole or in part.
pub(super) async fn download<A: Reads>(tracking: &Tracking, cx: &Cx, permit: &Permit<A>, path: &str) -> Result<Reply> {
    let mut found = tracking.artifacts.find(permit, path).await?;
    let mut meta = found.0.head(&found.1).await.map_err(|error| unreadable(path, error))?;
    if meta.is_none() {
        // It may have been deleted, or replaced, since its row was read.
        found = tracking.artifacts.find(permit, path).await?;
        meta = found.0.head(&found.1).await.map_err(|error| unreadable(path, error))?;
    }
    let (folder, name, written_at) = found;
    let meta = meta.ok_or_else(|| Problem::internal(format!("the content of '{path}' is gone"), name.clone()))?;
    let lease = Lease::of(cx.caller()?, permit);
    let opened = |meta: &FileMeta| tracking.reading.of_artifact(permit, path, written_at, meta.size);
    serve(cx, &folder, &name, &meta, Some(written_at), lease, opened).await.map_err(|error| unreadable(path, error))
}

struct DeleteArtifact(Tracking);

impl DeleteArtifact {
    async fn delete<A: Writes>(&self, permit: &Permit<A>, path: &str) -> Result<Empty> {
        let place = place(&self.0, permit, path).await?;
        self.0.artifacts.delete(permit, &place.path).await?;
        Ok(Empty)
    }
}

impl Endpoint for DeleteArtifact {
    type Asks = Either<actions::Edit, model_actions::Edit>;
    type In = PathIn;
    type Out = Empty;
    const ROUTE: Route = proxied(Method::Delete, "Delete a file or a folder of a run or a model.");

    fn asks(&self, input: &PathIn) -> Result<Either<NameOf<actions::Edit>, NameOf<model_actions::Edit>>> {
        whose(&input.path)
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Either<Permit<actions::Edit>, Permit<model_actions::Edit>>,
        input: PathIn,
    ) -> Result<Empty> {
        match permit {
            Either::Left(permit) => self.delete(&permit, &input.path).await,
            Either::Right(permit) => self.delete(&permit, &input.path).await,
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/{}/artifacts/notes.txt", fixture.text("experiment"), fixture.text("run")) })
    }
}

struct ListArtifactsBelow(Tracking);

impl ListArtifactsBelow {
    async fn list<A: Reads>(&self, permit: &Permit<A>, path: &str) -> Result<Json<FilesOut>> {
        let place = place(&self.0, permit, path).await?;
        let found = self.0.artifacts.list(permit, &place.path).await?;
        let named = |artifact: Artifact| {
            let name = artifact.path.rsplit('/').next().unwrap_or_default().to_owned();
            FileInfoOut::from(Artifact { path: name, ..artifact })
        };
        Ok(Json(FilesOut { root_uri: None, files: found.into_iter().map(named).collect() }))
    }
}

impl Endpoint for ListArtifactsBelow {
    type Asks = Either<actions::Read, model_actions::Read>;
    type In = PathIn;
    type Out = Json<FilesOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/mlflow-artifacts/artifacts",
        Dialect::Mlflow,
        "List files of a run or a model; paths are names in the folder that is asked about.",
    )
    .also(&["/ajax-api/2.0/mlflow-artifacts/artifacts"]);

    fn asks(&self, input: &PathIn) -> Result<Either<NameOf<actions::Read>, NameOf<model_actions::Read>>> {
        whose(&input.path)
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Either<Permit<actions::Read>, Permit<model_actions::Read>>,
        input: PathIn,
    ) -> Result<Json<FilesOut>> {
        match permit {
            Either::Left(permit) => self.list(&permit, &input.path).await,
            Either::Right(permit) => self.list(&permit, &input.path).await,
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/{}/artifacts", fixture.text("experiment"), fixture.text("run")) })
    }
}

/// What is in a folder, with where the folders of whom a permit is for are.
pub(super) async fn listed<A: Reads>(tracking: &Tracking, permit: &Permit<A>, path: &str) -> Result<Json<FilesOut>> {
    let path = plain(path)?;
    let root_uri = Some(artifacts::address(&tracking.db, permit).await?);
    let found = tracking.artifacts.list(permit, &path).await?;
    Ok(Json(FilesOut { root_uri, files: found.into_iter().map(FileInfoOut::from).collect() }))
}

struct ListArtifacts(Tracking);

impl Endpoint for ListArtifacts {
    type Asks = actions::Read;
    type In = ListArtifactsIn;
    type Out = Json<FilesOut>;
    const ROUTE: Route = route!(Get "artifacts/list", "List files of a run.");

    fn asks(&self, input: &ListArtifactsIn) -> Result<NameOf<actions::Read>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: ListArtifactsIn) -> Result<Json<FilesOut>> {
        listed(&self.0, &permit, &input.path).await
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run") })
    }
}

struct GetArtifactOfRun(Tracking);

impl Endpoint for GetArtifactOfRun {
    type Asks = actions::Read;
    type In = ArtifactOfRunIn;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Get, "/get-artifact", Dialect::Mlflow, "Download a file of a run, for MLflow's pages.")
            .answers(SERVED)
            .headers(RANGED);

    fn asks(&self, input: &ArtifactOfRunIn) -> Result<NameOf<actions::Read>> {
        Ok(run(&input.run_id, &input.run_uuid))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Read>, input: ArtifactOfRunIn) -> Result<Reply> {
        download(&self.0, cx, &permit, &plain(&input.path)?).await
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "run_id": fixture.text("run"), "path": "notes.txt" })
    }
}
