//! `/fs/directories`

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, NoContent, Reply, ReplyBody, Route, StatusCode};
use crannog_security::actions::volumes as actions;
use crannog_security::{NameOf, Permit};
use crannog_storage::{FileMeta, Folder, StorageError};
use crannog_types::{Page, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::objects::{FilePath, failed, missing, volume_of};
use super::paths::VolumePath;
use super::times::http_date;
use crate::Governance;
use crate::service::files::FileChange;
use crate::service::volumes;

/// Makes a directory and those above it. One that is there is no error.
pub(crate) struct CreateDirectory(pub(super) Governance);

impl Endpoint for CreateDirectory {
    type Asks = actions::Write;
    type In = FilePath;
    type Out = NoContent;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/fs/directories/{*path}",
        Dialect::Databricks,
        "Create a directory and those above it.",
    )
    .body(crannog_kit::Body::None);

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Write>, input: FilePath) -> Result<NoContent> {
        let at = VolumePath::parse(&input.path)?;
        let folder = volumes::to_write(&self.0, &permit).await?;
        let change = FileChange::new(&self.0, permit, "filesCreateDirectory", at.of(at.directory()));
        change.record(None).await?;
        match folder.make_dir(at.directory()).await {
            Ok(_) => Ok(NoContent),
            Err(error) => Err(change.failed(failed(&at.of(at.directory()), error))),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/directory_new", volume_of(fixture)) })
    }
}

/// Says whether a directory is there.
pub(crate) struct HeadDirectory(pub(super) Governance);

impl Endpoint for HeadDirectory {
    type Asks = actions::Read;
    type In = FilePath;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Head,
        "/api/2.0/fs/directories/{*path}",
        Dialect::Databricks,
        "Say whether a directory is there.",
    );

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Read>, input: FilePath) -> Result<Reply> {
        let at = VolumePath::parse(&input.path)?;
        let folder = volumes::to_read(&self.0, &permit).await?;
        let meta = directory(&folder, &at).await?;
        let reply = Reply::new(StatusCode::OK, ReplyBody::Empty);
        Ok(match meta {
            Some(meta) => reply.header("last-modified", http_date(meta.modified)),
            None => reply,
        })
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": volume_of(fixture) })
    }
}

/// Lists a directory.
pub(crate) struct ListDirectory(pub(super) Governance);

/// Which directory, and which page.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListDirectoryIn {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    path: String,
    /// How many at most: 0, or left out, for the server's page of 1000.
    #[schemars(range(min = 0))]
    page_size: Option<i64>,
    /// `next_page_token` of the page before, unchanged.
    page_token: Option<String>,
}

/// What is in a directory, by name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListDirectoryOut {
    contents: Vec<DirectoryEntry>,
    /// Of the next page; null on the last one.
    next_page_token: Option<String>,
}

/// A file or a directory.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DirectoryEntry {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    path: String,
    name: String,
    is_directory: bool,
    /// In bytes; none for a directory.
    file_size: Option<u64>,
    /// Milliseconds since 1970.
    last_modified: i64,
}

impl Endpoint for ListDirectory {
    type Asks = actions::Read;
    type In = ListDirectoryIn;
    type Out = Json<ListDirectoryOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/fs/directories/{*path}", Dialect::Databricks, "List a directory.");

    fn asks(&self, input: &ListDirectoryIn) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<actions::Read>,
        input: ListDirectoryIn,
    ) -> Result<Json<ListDirectoryOut>> {
        let at = VolumePath::parse(&input.path)?;
        let page = Page::of(Some(input.page_size.unwrap_or(0)), input.page_token.as_deref())?;
        let folder = volumes::to_read(&self.0, &permit).await?;
        directory(&folder, &at).await?;
        let after = page.after.as_deref().unwrap_or_default();
        let found = folder.list_from(at.directory(), after, false).await;
        let found = page.cut(found.map_err(|error| failed(&at.of(at.directory()), error))?, |meta| meta.path.clone());
        let contents = found.rows.into_iter().map(|meta| DirectoryEntry {
            path: at.of(&meta.path),
            name: meta.path.rsplit('/').next().unwrap_or_default().to_owned(),
            is_directory: meta.is_dir,
            file_size: (!meta.is_dir).then_some(meta.size),
            last_modified: meta.modified.millis(),
        });
        Ok(Json(ListDirectoryOut { contents: contents.collect(), next_page_token: found.next }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": volume_of(fixture) })
    }
}

/// Deletes an empty directory.
pub(crate) struct DeleteDirectory(pub(super) Governance);

impl Endpoint for DeleteDirectory {
    type Asks = actions::Write;
    type In = FilePath;
    type Out = NoContent;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.0/fs/directories/{*path}",
        Dialect::Databricks,
        "Delete an empty directory.",
    );

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, _: &Cx, permit: Permit<actions::Write>, input: FilePath) -> Result<NoContent> {
        let at = VolumePath::parse(&input.path)?;
        let path = at.directory();
        if path.is_empty() {
            return Err(Problem::invalid(format!("{} is a volume, not a directory in one", at.volume))
                .hint("DROP VOLUME removes a volume with its files"));
        }
        let folder = volumes::to_write(&self.0, &permit).await?;
        let change = FileChange::new(&self.0, permit, "filesDeleteDirectory", at.of(path));
        change.record(None).await?;
        let problem = match folder.remove_dir(path).await {
            Ok(true) => return Ok(NoContent),
            Ok(false) => missing(&at.of(path)),
            Err(error @ StorageError::NotEmpty(_)) => Problem::from(error).reason("DIRECTORY_NOT_EMPTY"),
            Err(error) => failed(&at.of(path), error),
        };
        Err(change.failed(problem))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/directory", volume_of(fixture)) })
    }
}

/// The directory at a path; `None` for the volume itself before anything was put into it.
///
/// # Errors
/// When nothing, or a file, is there.
async fn directory(folder: &Folder, at: &VolumePath) -> Result<Option<FileMeta>> {
    let path = at.directory();
    match folder.head(path).await.map_err(|error| failed(&at.of(path), error))? {
        Some(meta) if meta.is_dir => Ok(Some(meta)),
        Some(_) => Err(StorageError::NotADirectory(at.of(path)).into()),
        None if path.is_empty() => Ok(None),
        None => Err(missing(&at.of(path))),
    }
}
