//! `/fs/files`: one file at a time.

use std::ops::Range;

use crannog_kit::{
    Answer, Body, Cx, Dialect, Endpoint, Fixture, Header, Method, NoContent, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::actions::volumes as actions;
use crannog_security::{Lease, NameOf, Permit};
use crannog_storage::{ByteStream, FileMeta, Folder, StorageError};
use crannog_types::{Code, Problem, Result};
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paths::VolumePath;
use super::times::{changed_since, http_date};
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

/// The request's body for storage. A client that goes away in the middle leaves nothing, and so does one whose permit is
/// revoked in the middle.
pub(super) fn received(cx: &Cx, lease: Lease) -> ByteStream {
    let body = cx.body().map_err(std::io::Error::other);
    let failed = |error: std::io::Error| match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => Problem::invalid("the upload ended early").caused_by(error),
    };
    Box::pin(cx.renewing(lease).over(body).map_err(failed))
}

/// Reads a file, or a range of it.
pub(crate) struct GetFile(pub(super) Governance, pub(super) Downloads);

impl Endpoint for GetFile {
    type Asks = actions::Read;
    type In = FilePath;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/fs/files/{*path}", Dialect::Databricks, "Download a file.")
        .answers(&[
            Answer::of(200, "application/octet-stream", "the whole file"),
            Answer::of(206, "application/octet-stream", "the bytes that `Range` asked for"),
            Answer::bare(412, "it was changed since `If-Unmodified-Since`"),
            Answer::bare(416, "it has no such bytes; Content-Range says how many it has"),
        ])
        .headers(&[
            Header {
                name: "Range",
                about: "Which bytes: `bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<how many last ones>` (RFC 9110); one \
                        range. Anything else is for the whole file.",
                example: "bytes=0-1023",
                values: &[],
            },
            Header {
                name: "If-Unmodified-Since",
                about: "Only if the file has not been changed after this date (RFC 9110), to the second.",
                example: "Fri, 31 Dec 2100 23:59:59 GMT",
                values: &[],
            },
        ]);

    fn asks(&self, input: &FilePath) -> Result<NameOf<actions::Read>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Read>, input: FilePath) -> Result<Reply> {
        let at = VolumePath::parse(&input.path)?;
        let file = at.file()?;
        let folder = volumes::to_read(&self.0, &permit).await?;
        let wrong = |error| failed(&at.of(file), error);
        let meta = head(&folder, &at).await?;
        if cx.header("if-unmodified-since").is_some_and(|date| changed_since(meta.modified, date)) {
            return Ok(described(StatusCode::PRECONDITION_FAILED, ReplyBody::Empty, &meta, 0));
        }
        let wanted = cx.header("range").map_or(Wanted::All, |range| ranges(range, meta.size));
        let range = match &wanted {
            Wanted::All => 0..u64::MAX,
            Wanted::Part(range) => range.clone(),
            Wanted::Nothing => {
                return Ok(described(StatusCode::RANGE_NOT_SATISFIABLE, ReplyBody::Empty, &meta, 0)
                    .header("content-range", format!("bytes */{}", meta.size)));
            }
        };
        // The file may have been replaced since: what is told is what was opened.
        let (meta, stream) = folder.read_range(file, range.clone()).await.map_err(wrong)?;
        self.1.record(&self.0, &permit, at.of(file), &meta);
        let end = range.end.min(meta.size);
        let length = end - range.start.min(end);
        let lease = Lease::of(cx.caller()?, &permit);
        let stream = cx.renewing(lease).over(stream.map_err(std::io::Error::other));
        let body = ReplyBody::Stream(Box::pin(stream));
        Ok(match wanted {
            Wanted::All => described(StatusCode::OK, body, &meta, length),
            _ => {
                let last = end.saturating_sub(1);
                described(StatusCode::PARTIAL_CONTENT, body, &meta, length)
                    .header("content-range", format!("bytes {}-{last}/{}", range.start, meta.size))
            }
        })
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

/// An answer about a file. What users stored is never shown as a page of ours: it is bytes, to be saved.
fn described(status: StatusCode, body: ReplyBody, meta: &FileMeta, length: u64) -> Reply {
    Reply::new(status, body)
        .header("content-type", "application/octet-stream")
        .header("content-disposition", "attachment")
        .header("content-length", length.to_string())
        .header("last-modified", http_date(meta.modified))
        .header("accept-ranges", "bytes")
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The whole file; also when the header is none that is understood (RFC 9110, section 14.2).
    All,
    /// These bytes, the end exclusive.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Nothing,
}

fn ranges(header: &str, size: u64) -> Wanted {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok().map(Some),
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Wanted::All;
            }
            if first >= size {
                return Wanted::Nothing;
            }
            Wanted::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size)))
        }
        (Some(None), Some(Some(count))) if count > 0 && size > 0 => Wanted::Part(size.saturating_sub(count)..size),
        (Some(None), Some(Some(_))) => Wanted::Nothing,
        _ => Wanted::All,
    }
}

pub(super) fn volume_of(fixture: &Fixture) -> String {
    format!("Volumes/{}/{}/{}", fixture.catalog, fixture.schema, fixture.volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_http_defines_them() {
        for (header, size, wanted) in [
            ("bytes=0-9", 100, Wanted::Part(0..10)),
            ("bytes=90-", 100, Wanted::Part(90..100)),
            ("bytes=90-1000", 100, Wanted::Part(90..100)),
            ("bytes=-10", 100, Wanted::Part(90..100)),
            ("bytes=-1000", 100, Wanted::Part(0..100)),
            ("bytes=100-", 100, Wanted::Nothing),
            ("bytes=-0", 100, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Nothing),
            ("bytes=9-3", 100, Wanted::All),
            ("bytes=0-1,5-6", 100, Wanted::All),
            ("lines=0-1", 100, Wanted::All),
            ("bytes=+1-2", 100, Wanted::All),
            ("bytes=0-18446744073709551615", 100, Wanted::Part(0..100)),
        ] {
            assert_eq!(ranges(header, size), wanted, "{header}");
        }
    }
}
