//! `/fs/files/Models` and `/fs/directories/Models`

use crannog_governance::api::files::serving::{RANGED, SERVED, received, serve};
use crannog_kit::{Answer, Body, Cx, Dialect, Json, Method, NoContent, Registry, Reply, ReplyBody, Route, StatusCode};
use crannog_security::actions::models as actions;
use crannog_security::{Lease, NameOf, Permit};
use crannog_storage::FileMeta;
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::paths::ModelPath;
use crate::Tracking;
use crate::api::endpoint;
use crate::service::artifacts::unreadable;
use crate::service::registry::{audit, files};

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    let of = || tracking.clone();
    registry.add(PutModelFile(of()));
    registry.add(GetModelFile(of()));
    registry.add(BeginModelUpload(of()));
    registry.add(HeadModelDirectory(of()));
    registry.add(ListModelDirectory(of()));
}

/// A path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ModelFileIn {
    /// `catalog/schema/model/version/…`
    path: String,
}

/// An upload that is to begin.
#[derive(Deserialize, JsonSchema)]
pub(super) struct BeginModelUploadIn {
    /// `catalog/schema/model/version/…`
    path: String,
    /// `initiate-upload`
    action: String,
}

/// What stands for an upload.
#[derive(Serialize, JsonSchema)]
pub(super) struct BeginModelUploadOut {
    multipart_upload: ModelUpload,
}

/// An upload.
#[derive(Serialize, JsonSchema)]
pub(super) struct ModelUpload {
    /// No parts are taken: databricks-sdk asks for their addresses, gets none, and sends the file as one.
    session_token: &'static str,
}

/// What is in a directory, by name.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListModelDirectoryOut {
    contents: Vec<ModelDirectoryEntry>,
    /// Of the next page: there is one page.
    next_page_token: Option<String>,
}

/// A file or a directory.
#[derive(Serialize, JsonSchema)]
pub(super) struct ModelDirectoryEntry {
    /// `/Models/catalog/schema/model/version/…`
    path: String,
    name: String,
    is_directory: bool,
    /// In bytes; none for a directory.
    #[schemars(range(min = 0))]
    file_size: Option<i64>,
}

const FILES: &str = "/api/2.0/fs/files/Models/{*path}";
const DIRECTORIES: &str = "/api/2.0/fs/directories/Models/{*path}";

endpoint! {
    /// Keeps a file of a version.
    PutModelFile: Route::new(Method::Put, FILES, Dialect::Databricks, "Upload a file of a version of a model.").body(Body::Stream);
    actions::CreateVersion, ModelFileIn => NoContent;
    asks |input| Ok(NameOf::named(ModelPath::below(&input.path)?.model));
    run |tracking, cx, permit, input| {
        let at = ModelPath::below(&input.path)?;
        let lease = Lease::of(cx.caller()?, &permit);
        let body = received(cx, lease.clone());
        files::put(&tracking.artifacts, &permit, &lease, at.number, &at.rest, body).await.map(|()| NoContent)
    };
    example |fixture| json!({ "path": version_path(fixture, "2/file_new.txt") });
}

endpoint! {
    /// Gives a file of a version.
    GetModelFile: Route::new(Method::Get, FILES, Dialect::Databricks, "Download a file of a version of a model.")
        .answers(SERVED)
        .headers(RANGED);
    actions::Execute, ModelFileIn => Reply;
    asks |input| Ok(NameOf::named(ModelPath::below(&input.path)?.model));
    run |tracking, cx, permit, input| {
        let lease = Lease::of(cx.caller()?, &permit);
        give(tracking, cx, &permit, lease, &ModelPath::below(&input.path)?).await
    };
    example |fixture| json!({ "path": version_path(fixture, "1/MLmodel") });
}

endpoint! {
    /// Begins an upload of a large file.
    BeginModelUpload: Route::new(Method::Post, FILES, Dialect::Databricks, "Begin to upload a large file of a version of a model.")
        .body(Body::None);
    actions::CreateVersion, BeginModelUploadIn => Json<BeginModelUploadOut>;
    asks |input| Ok(NameOf::named(ModelPath::below(&input.path)?.model));
    run |_tracking, _, _, input| match input.action.as_str() {
        "initiate-upload" => Ok(Json(BeginModelUploadOut { multipart_upload: ModelUpload { session_token: "whole" } })),
        other => Err(Problem::invalid(format!("action is '{other}'")).hint("files of models are sent as one, with PUT")),
    };
    example |fixture| json!({ "path": version_path(fixture, "2/large.bin"), "action": "initiate-upload" });
}

endpoint! {
    /// Says whether a directory is there.
    HeadModelDirectory: Route::new(Method::Head, DIRECTORIES, Dialect::Databricks, "Say whether a directory of a version of a model is there.")
        .answers(&[Answer::bare(200, "it is there")]);
    actions::Execute, ModelFileIn => Reply;
    asks |input| Ok(NameOf::named(ModelPath::below(&input.path)?.model));
    run |tracking, _, permit, input| {
        let at = ModelPath::below(&input.path)?;
        files::list(&tracking.artifacts, &permit, at.number, &at.rest).await.map_err(|_| at.missing())?;
        Ok(Reply::new(StatusCode::OK, ReplyBody::Empty))
    };
    example |fixture| json!({ "path": version_path(fixture, "1") });
}

endpoint! {
    /// Lists a directory.
    ListModelDirectory: Route::new(Method::Get, DIRECTORIES, Dialect::Databricks, "List a directory of a version of a model.");
    actions::Execute, ModelFileIn => Json<ListModelDirectoryOut>;
    asks |input| Ok(NameOf::named(ModelPath::below(&input.path)?.model));
    run |tracking, _, permit, input| {
        let at = ModelPath::below(&input.path)?;
        let found = files::list(&tracking.artifacts, &permit, at.number, &at.rest).await.map_err(|_| at.missing())?;
        let contents = found.into_iter().map(|found| ModelDirectoryEntry {
            path: at.of(&found.path),
            name: found.path.rsplit('/').next().unwrap_or_default().to_owned(),
            is_directory: found.size.is_none(),
            file_size: found.size,
        });
        Ok(Json(ListModelDirectoryOut { contents: contents.collect(), next_page_token: None }))
    };
    example |fixture| json!({ "path": version_path(fixture, "1") });
}

/// A file of a version, as far as the request wants it.
pub(super) async fn give(
    tracking: &Tracking,
    cx: &Cx,
    permit: &Permit<actions::Execute>,
    lease: Lease,
    at: &ModelPath,
) -> Result<Reply> {
    let found = files::find(&tracking.artifacts, permit, at.number, &at.rest).await;
    let (folder, name, written_at) = found.map_err(|_| at.missing())?;
    let meta = folder.head(&name).await.map_err(|error| unreadable(&at.rest, error))?;
    let meta = meta.ok_or_else(|| Problem::internal(format!("the content of '{}' is gone", at.rest), name.clone()))?;
    let opened = |meta: &FileMeta| {
        let about = audit("readModelVersionFile", &permit.target().name).with("version", at.number);
        let about = about.with("path", at.rest.as_str());
        let file = format!("{}/{}", at.number, at.rest);
        tracking.reading.record(permit, file, written_at, about.with("contentLength", meta.size));
    };
    let given = serve(cx, &folder, &name, &meta, Some(written_at), lease, opened).await;
    given.map_err(|error| unreadable(&at.rest, error))
}

/// The path of a version of the fixture's model, below `Models`.
pub(super) fn version_path(fixture: &crannog_kit::Fixture, rest: &str) -> String {
    format!("{}/{}/{}/{rest}", fixture.catalog, fixture.schema, fixture.text("model"))
}
