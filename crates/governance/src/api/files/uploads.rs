//! Files in parts, as databricks-sdk sends what is larger than 50 MiB: begin, ask for an address for each part, put the
//! parts there without a token, complete.
//!
//! The address of a part is a secret that this process made for whoever may write the volume ([`Addresses`]): it is good once, for
//! one part of one upload, for an hour at most, and while its maker may write the volume. What is put there is invisible before
//! the upload is completed, and completing asks for the permission again. After a restart addresses are gone; the client is told
//! so in words that it takes for an expired address, and asks for a new one.

use std::sync::Arc;

use crannog_kit::{
    Addresses, Answer, Body, Cx, Dialect, Endpoint, Fixture, Json, Method, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::actions::volumes as actions;
use crannog_security::{Lease, NameOf, Permit, Public};
use crannog_storage::{Folder, UploadId};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::objects::{exists, failed, volume_of};
use super::paths::VolumePath;
use super::serving::received;
use crate::Governance;
use crate::service::files::FileChange;
use crate::service::volumes;

/// Addresses in one answer.
const BATCH: i64 = 1_000;

/// Says to databricks-sdk that an address has expired (its `_is_url_expired_response` knows this one).
const EXPIRED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
     <Message>Request has expired</Message></Error>";

/// Where one part goes.
pub(super) struct Place {
    folder: Folder,
    upload: UploadId,
    number: u32,
    /// What it was made by.
    lease: Lease,
}

/// The addresses that are out.
pub(super) type Places = Addresses<Place>;

/// What a client keeps of an upload: its id, and whether it may replace a file.
struct Session {
    upload: UploadId,
    overwrite: bool,
}

impl Session {
    fn text(&self) -> String {
        format!("{}.{}", self.upload, if self.overwrite { "replace" } else { "new" })
    }

    fn parse(text: Option<&str>) -> Result<Self> {
        let wrong = || {
            Problem::not_found("the session_token belongs to no upload").hint("begin one with action=initiate-upload")
        };
        let (id, overwrite) = text.and_then(|text| text.split_once('.')).ok_or_else(wrong)?;
        let upload = id.parse().map_err(|_| wrong())?;
        match overwrite {
            "replace" => Ok(Session { upload, overwrite: true }),
            "new" => Ok(Session { upload, overwrite: false }),
            _ => Err(wrong()),
        }
    }
}

/// The upload that a session means, when it is one of this very path.
async fn upload_of(folder: &Folder, at: &VolumePath, session: &Session) -> Result<()> {
    let target = folder.upload_target(session.upload).await?;
    match target == at.file()? {
        true => Ok(()),
        false => Err(Problem::not_found("the session_token belongs to no upload of this path")),
    }
}

/// Begins, completes or aborts an upload in parts, as `action` says.
pub(crate) struct ChangeUpload(pub(super) Governance, pub(super) Arc<Places>);

/// Which file, and what.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ChangeUploadIn {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    path: String,
    /// `initiate-upload`, `complete-upload` or `abort-upload`.
    action: String,
    /// Whether a file that is there is replaced: yes, when left out.
    overwrite: Option<bool>,
    /// What `initiate-upload` gave.
    session_token: Option<String>,
    /// The parts to put together, by their numbers.
    parts: Option<Vec<Part>>,
}

/// A part that was put.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Part {
    /// The number of the part, 1 to 10000.
    part_number: u32,
}

/// What a change of an upload answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeUploadOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    multipart_upload: Option<MultipartUpload>,
}

/// An upload that was begun.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MultipartUpload {
    /// What `initiate-upload` gave.
    session_token: String,
}

impl Endpoint for ChangeUpload {
    type Asks = actions::Write;
    type In = ChangeUploadIn;
    type Out = Json<ChangeUploadOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/fs/files/{*path}",
        Dialect::Databricks,
        "Begin, complete or abort the upload of a file in parts.",
    );

    fn asks(&self, input: &ChangeUploadIn) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<actions::Write>,
        input: ChangeUploadIn,
    ) -> Result<Json<ChangeUploadOut>> {
        let at = VolumePath::parse(&input.path)?;
        let file = at.file()?;
        let folder = volumes::to_write(&self.0, &permit).await?;
        let wrong = |error| failed(&at.of(file), error);
        let session = || Session::parse(input.session_token.as_deref());
        let mut multipart_upload = None;
        match input.action.as_str() {
            "initiate-upload" => {
                let overwrite = input.overwrite.unwrap_or(true);
                match folder.head(file).await.map_err(wrong)? {
                    Some(meta) if meta.is_dir => {
                        return Err(crannog_storage::StorageError::IsDirectory(at.of(file)).into());
                    }
                    Some(_) if !overwrite => return Err(exists(&at.of(file))),
                    _ => {}
                }
                FileChange::new(&self.0, permit, "filesBeginUpload", at.of(file)).record(None).await?;
                let upload = folder.begin_upload(file).await.map_err(wrong)?;
                multipart_upload = Some(MultipartUpload { session_token: Session { upload, overwrite }.text() });
            }
            "complete-upload" => {
                let session = session()?;
                upload_of(&folder, &at, &session).await?;
                let parts: Vec<u32> = input.parts.iter().flatten().map(|part| part.part_number).collect();
                if !parts.is_sorted_by(|before, after| before < after) {
                    return Err(Problem::invalid("parts are not in the order of their numbers, each once"));
                }
                let change = FileChange::new(&self.0, permit, "filesPut", at.of(file));
                change.record(None).await?;
                let completed = folder.complete_upload(session.upload, &parts, session.overwrite).await;
                completed.map_err(|error| change.failed(wrong(error)))?;
                self.1.remove_all(|place| place.upload == session.upload);
            }
            "abort-upload" => {
                let session = session()?;
                upload_of(&folder, &at, &session).await?;
                FileChange::new(&self.0, permit, "filesAbortUpload", at.of(file)).record(None).await?;
                self.1.remove_all(|place| place.upload == session.upload);
                folder.abort_upload(session.upload).await?;
            }
            other => {
                return Err(Problem::invalid(format!("action is {other:?}"))
                    .hint("use initiate-upload, complete-upload or abort-upload"));
            }
        }
        Ok(Json(ChangeUploadOut { multipart_upload }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("{}/large_new.csv", volume_of(fixture)), "action": "initiate-upload" })
    }
}

/// Makes addresses for parts.
pub(crate) struct CreateUploadPartUrls(pub(super) Governance, pub(super) Arc<Places>);

/// Of which upload, and for which parts.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateUploadPartUrlsIn {
    /// `Volumes/catalog/schema/volume/…`, percent-encoded, or not.
    path: String,
    /// What `initiate-upload` gave.
    session_token: String,
    /// The number of the first part.
    #[schemars(range(min = 1, max = 10000))]
    start_part_number: i64,
    /// For how many parts; 1 when left out, 1000 at most.
    #[schemars(range(min = 1))]
    count: Option<i64>,
}

/// Addresses for parts.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreateUploadPartUrlsOut {
    upload_part_urls: Vec<UploadPartUrl>,
}

/// The address of one part. It is a secret.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UploadPartUrl {
    url: String,
    /// The number of the part, 1 to 10000.
    part_number: u32,
    headers: Vec<Header>,
}

/// A header that must come with a part: none.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Header {
    name: String,
    value: String,
}

impl Endpoint for CreateUploadPartUrls {
    type Asks = actions::Write;
    type In = CreateUploadPartUrlsIn;
    type Out = Json<CreateUploadPartUrlsOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/fs/create-upload-part-urls",
        Dialect::Databricks,
        "Make addresses for the parts of an upload.",
    );

    fn asks(&self, input: &CreateUploadPartUrlsIn) -> Result<NameOf<actions::Write>> {
        Ok(NameOf::named(VolumePath::parse(&input.path)?.volume))
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<actions::Write>,
        input: CreateUploadPartUrlsIn,
    ) -> Result<Json<CreateUploadPartUrlsOut>> {
        let at = VolumePath::parse(&input.path)?;
        let folder = volumes::to_write(&self.0, &permit).await?;
        let session = Session::parse(Some(&input.session_token))?;
        upload_of(&folder, &at, &session).await?;
        let now = self.0.db.now();
        let mut upload_part_urls = Vec::new();
        let first = input.start_part_number;
        for number in first..first.saturating_add(input.count.unwrap_or(1).clamp(1, BATCH)) {
            let number =
                u32::try_from(number).ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
                    Problem::invalid(format!("there is no part {number}")).hint("parts are numbered 1 to 10000")
                })?;
            let lease = Lease::of(cx.caller()?, &permit);
            let place = Place { folder: folder.clone(), upload: session.upload, number, lease };
            let secret = self.1.add(permit.who().id, place, now)?;
            let url = format!("{}/api/2.0/fs/upload-parts/{secret}", cx.base_url());
            upload_part_urls.push(UploadPartUrl { url, part_number: number, headers: Vec::new() });
        }
        // Addresses are handed out, and what is put there needs no token.
        FileChange::new(&self.0, permit, "filesCreateUploadPartUrls", at.of(at.file()?)).record(None).await?;
        Ok(Json(CreateUploadPartUrlsOut { upload_part_urls }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "path": format!("/{}/large.csv", volume_of(fixture)),
            "session_token": fixture.more.get("upload_session").cloned().unwrap_or_default(),
            "start_part_number": 1,
            "count": 1,
        })
    }
}

/// Takes one part. Whoever has the address may: it was made for this part of this upload.
pub(crate) struct PutUploadPart(pub(super) Governance, pub(super) Arc<Places>);

/// The secret of the address.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PutUploadPartIn {
    /// The secret of the address.
    secret: String,
}

impl Endpoint for PutUploadPart {
    type Asks = Public;
    type In = PutUploadPartIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/fs/upload-parts/{secret}",
        Dialect::Databricks,
        "Take one part of an upload, at an address that was made for it.",
    )
    .body(Body::Stream)
    .answers(&[
        Answer::bare(200, "the part is kept; ETag names it"),
        Answer::of(403, "application/xml", "the address is none of ours, or has expired"),
    ]);

    fn asks(&self, _: &PutUploadPartIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: PutUploadPartIn) -> Result<Reply> {
        let expired = || {
            Reply::new(StatusCode::FORBIDDEN, ReplyBody::Bytes(EXPIRED.into()))
                .header("content-type", "application/xml")
        };
        let Some(place) = self.1.find(&input.secret, self.0.db.now()) else { return Ok(expired()) };
        cx.writable()?;
        // The address outlives the permit that it was made with.
        place.lease.renew().await?;
        let body = received(cx, place.lease.clone());
        let size = place.folder.put_part(place.upload, place.number, body).await?;
        // Only now: a part whose connection broke may be sent again to the same address.
        self.1.remove(&input.secret);
        let tag = format!("\"{}-{size}\"", place.number);
        Ok(Reply::new(StatusCode::OK, ReplyBody::Empty).header("etag", tag))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "secret": fixture.text("part_secret") })
    }
}
