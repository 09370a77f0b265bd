//! `/fs/files`: one file at a time.

use crannog_kit::{Body, Cx, Dialect, Endpoint, Fixture, Method, NoContent, Reply, ReplyBody, Route, StatusCode};
use crannog_security::actions::volumes as actions;
use crannog_security::{Lease, NameOf, Permit};
use crannog_storage::{FileMeta, Folder, StorageError};
use crannog_types::{Code, Problem, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paths::VolumePath;
use super::serving::{RANGED, SERVED, described, received, serve};
use crate::Governance;
use crate::service::files::{Downloads, FileChange};
use crate::service::volumes;

/// A path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct FilePath {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    pub(super) path: String,
}

/// Something has the name. databricks-sdk goes by `ALREADY_EXISTS` and shows 409 for it.
pub(super) fn exists(path: &str) -> Problem {
    Problem::new(Code::Aborted, format!("the file '{path}' already exists"))
        .reason("ALREADY_EXISTS")
        .hint("use overwrite=true to replace it")
}

/// Nothing has the name.
pub(super) fn missing(path: &str) -> Problem {
    Problem::not_found(format!("'{path}' does not exist")).hint("list its directory to see what there is")
}

/// A failure of storage about a path that the caller wrote.
pub(super) fn failed(path: &str, error: StorageError) -> Problem {
    match error {
        StorageError::NotFound(_) => missing(path),
        StorageError::Exists(_) => exists(path),
        other => other.into(),
    }
}

/// Stores a file: the body is its content.
pub(crate) struct PutFile(pub(super) Governance);

/// Where, and whether a file that is there may be replaced: yes, unless it is said.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PutFileIn {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    path: String,
    /// Whether a file that is there is replaced: yes, when left out.
    overwrite: Option<bool>,
}

impl Endpoint for PutFile {
    type Asks = actions::Write;
    type In = PutFileIn;
    type Out = NoContent;
    const ROUTE: Route =
        Route::new(Method::Put, "/api/2.0/fs/files/{*path}", Dialect::Databricks, "Upload a file.").body(Body::Stream);

    fn asks(&self, input: &PutFileIn) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Write>, input: PutFileIn) -> Result<NoContent> {
        let at = VolumePath::parse(&input.path)?;
        let file = at.file()?;
        let folder = volumes::to_write(&self.0, &permit).await?;
        let wrong = |error| failed(&at.of(file), error);
        let replace = input.overwrite.unwrap_or(true);
        // Before the body is read: nobody wants to send a gigabyte to learn this.
        if !replace && folder.head(file).await.map_err(wrong)?.is_some() {
            return Err(exists(&at.of(file)));
        }
        let change = FileChange::new(&self.0, permit, "filesPut", at.of(file));
        let lease = Lease::of(cx.caller()?, change.permit());
        let body = change.recorded(lease.clone(), received(cx, lease));
        let put =
            if replace { folder.put(file, body).await.map(|_| true) } else { folder.put_if_absent(file, body).await };
        match put {
            Ok(true) => Ok(NoContent),
            Ok(false) => Err(change.failed(exists(&at.of(file)))),
            Err(error) => Err(change.failed(wrong(error))),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/file_new.csv", volume_of(fixture)), "overwrite": true })
    }
}

/// Reads a file, or a range of it.
pub(crate) struct GetFile(pub(super) Governance, pub(super) Downloads);

impl Endpoint for GetFile {
    type Asks = actions::Read;
    type In = FilePath;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/fs/files/{*path}", Dialect::Databricks, "Download a file.")
        .answers(SERVED)
        .headers(RANGED);

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Read>, input: FilePath) -> Result<Reply> {
        let at = VolumePath::parse(&input.path)?;
        let file = at.file()?;
        let folder = volumes::to_read(&self.0, &permit).await?;
        let wrong = |error| failed(&at.of(file), error);
        let meta = head(&folder, &at).await?;
        let lease = Lease::of(cx.caller()?, &permit);
        let opened = |meta: &FileMeta| self.1.record(&self.0, &permit, at.of(file), meta);
        serve(cx, &folder, file, &meta, None, lease, opened).await.map_err(wrong)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/file.csv", volume_of(fixture)) })
    }
}

/// Reads what is known of a file.
pub(crate) struct HeadFile(pub(super) Governance);

impl Endpoint for HeadFile {
    type Asks = actions::Read;
    type In = FilePath;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Head, "/api/2.0/fs/files/{*path}", Dialect::Databricks, "Get a file's metadata.");

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: FilePath) -> Result<Reply> {
        let at = VolumePath::parse(&input.path)?;
        let folder = volumes::to_read(&self.0, &permit).await?;
        let meta = head(&folder, &at).await?;
        Ok(described(StatusCode::OK, ReplyBody::Empty, &meta, meta.size))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/file.csv", volume_of(fixture)) })
    }
}

/// Deletes a file.
pub(crate) struct DeleteFile(pub(super) Governance);

impl Endpoint for DeleteFile {
    type Asks = actions::Write;
    type In = FilePath;
    type Out = NoContent;
    const ROUTE: Route = Route::new(Method::Delete, "/api/2.0/fs/files/{*path}", Dialect::Databricks, "Delete a file.");

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Write>, input: FilePath) -> Result<NoContent> {
        let at = VolumePath::parse(&input.path)?;
        let file = at.file()?;
        let folder = volumes::to_write(&self.0, &permit).await?;
        head(&folder, &at).await?;
        let change = FileChange::new(&self.0, permit, "filesDelete", at.of(file));
        change.record(None).await?;
        match folder.delete(file).await {
            Ok(true) => Ok(NoContent),
            Ok(false) => Err(change.failed(missing(&at.of(file)))),
            Err(error) => Err(change.failed(failed(&at.of(file), error))),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/file.csv", volume_of(fixture)) })
    }
}

/// The file at a path.
///
/// # Errors
/// When nothing, or a directory, is there.
async fn head(folder: &Folder, at: &VolumePath) -> Result<FileMeta> {
    let file = at.file()?;
    match folder.head(file).await.map_err(|error| failed(&at.of(file), error))? {
        Some(meta) if !meta.is_dir => Ok(meta),
        Some(_) => Err(StorageError::IsDirectory(at.of(file)).into()),
        None => Err(missing(&at.of(file))),
    }
}

pub(super) fn volume_of(fixture: &Fixture) -> String {
    format!("Volumes/{}/{}/{}", fixture.catalog, fixture.schema, fixture.volume)
}
