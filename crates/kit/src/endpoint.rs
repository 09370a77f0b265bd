//! One declaration per route.
//!
//! An [`Endpoint`] says where it is, what it is about, what must be granted before it runs, and what it does. kit does the
//! rest, in this order: route, authenticate, read head and JSON, `asks`, decide, `run`, render in the protocol's dialect.
//! A body that is a stream is not read before the permit is there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
pub use axum::http::StatusCode;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use crannog_security::{Asks, Caller, Lease, Origin, Who};
use crannog_types::{Code, Micros, Problem, Result};
use futures::Stream;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::fixture::Fixture;
use crate::health::Disk;
use crate::http::next_part;
use crate::lease::Leased;

/// Methods of HTTP that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head of what GET would give.
    Head,
    /// Does something.
    Post,
    /// Puts something in a place.
    Put,
    /// Changes parts of something.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// `GET`.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// The family of clients that a route answers: how errors look, which vendor strings are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Databricks' REST: `{error_code, message, details}`.
    Databricks,
    /// Unity Catalog's, open source and Databricks: the same, with `stack_trace` for old clients.
    Unity,
    /// MLflow's REST: `{error_code, message}`, numbers and texts for each other, JSON in several layers.
    Mlflow,
    /// SCIM 2.0: `{schemas, detail, status, scimType}`.
    Scim,
    /// OAuth 2.0: `{error, error_description}`.
    OAuth,
    /// Pages for people.
    Html,
}

/// How a request's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none; what is asked stands in the path and the query.
    None,
    /// A JSON object, joined with what stands in the path and the query.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Bytes that the route reads itself, after the permit: [`Cx::body`].
    Stream,
}

/// Where a route is.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// `/api/2.1/unity-catalog/tables/{full_name}`; `{*path}` takes the rest, slashes included.
    pub path: &'static str,
    /// Further places of the same operation: old versions and aliases.
    pub also: &'static [&'static str],
    /// Whose clients it answers.
    pub dialect: Dialect,
    /// How the body is read.
    pub body: Body,
    /// The largest JSON or form body in bytes, where it is not the usual one: 1 MiB, or 64 KiB where anybody may call.
    pub body_limit: Option<usize>,
    /// Answered when the disk is full too.
    pub on_full_disk: bool,
    /// One sentence for the list of routes and for OpenAPI.
    pub about: &'static str,
    /// The answers that are no failures, where they are not the one that the output stands for.
    pub answers: &'static [Answer],
    /// Headers that it reads besides those of HTTP and browsers ([`Cx::header`]).
    pub headers: &'static [Header],
}

/// A header that a request may bring and that changes what a route answers.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// `If-Unmodified-Since`, as documents write it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// A value that works with the route's example.
    pub example: &'static str,
    /// The values that it may have; empty for any text.
    pub values: &'static [&'static str],
}

/// Headers that every client, browser or proxy sends by itself. OpenAPI has other places for them, or none.
const OF_HTTP: [&str; 9] = [
    "accept",
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "sec-fetch-site",
    "user-agent",
    "x-forwarded-for",
];

/// An answer that is no failure in the protocol's words, for the OpenAPI document.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// 200 and the like.
    pub status: u16,
    /// The media type of its body; none for no body.
    pub media: Option<&'static str>,
    /// When it is given.
    pub about: &'static str,
}

impl Answer {
    /// With a body.
    pub const fn of(status: u16, media: &'static str, about: &'static str) -> Self {
        Answer { status, media: Some(media), about }
    }

    /// Without a body.
    pub const fn bare(status: u16, about: &'static str) -> Self {
        Answer { status, media: None, about }
    }
}

impl Route {
    /// A route whose input stands in path and query, or for POST, PUT and PATCH in a JSON body.
    pub const fn new(method: Method, path: &'static str, dialect: Dialect, about: &'static str) -> Self {
        let body = match method {
            Method::Post | Method::Put | Method::Patch => Body::Json,
            Method::Get | Method::Head | Method::Delete => Body::None,
        };
        let on_full_disk = matches!(method, Method::Get | Method::Head | Method::Delete);
        Route {
            method,
            path,
            also: &[],
            dialect,
            body,
            body_limit: None,
            on_full_disk,
            about,
            answers: &[],
            headers: &[],
        }
    }

    /// The same operation at further paths.
    pub const fn also(mut self, paths: &'static [&'static str]) -> Self {
        self.also = paths;
        self
    }

    /// Answered when the disk is full too: it only reads, frees space, or asks [`Cx::writable`] itself. GET, HEAD and DELETE are.
    pub const fn on_full_disk(mut self) -> Self {
        self.on_full_disk = true;
        self
    }

    /// With these answers in the place of the output's own one.
    pub const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    /// With these headers of the request: no others are seen by it.
    pub const fn headers(mut self, headers: &'static [Header]) -> Self {
        self.headers = headers;
        self
    }

    /// With a larger JSON or form body, in bytes: it is in memory, as a whole, for as long as the request runs.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// With another way to read the body.
    pub const fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// One operation of a protocol.
pub trait Endpoint: Send + Sync + 'static {
    /// What must be granted.
    type Asks: Asks;
    /// The input: fields of the path, the query and the JSON body, joined.
    type In: DeserializeOwned + JsonSchema + Send + 'static;
    /// The answer.
    type Out: Output;

    /// Where it is.
    const ROUTE: Route;

    /// What the request is about.
    fn asks(&self, input: &Self::In) -> Result<<Self::Asks as Asks>::Names>;

    /// Does it.
    fn run(
        &self,
        cx: &Cx,
        permits: <Self::Asks as Asks>::Permits,
        input: Self::In,
    ) -> impl Future<Output = Result<Self::Out>> + Send;

    /// An input that works on the objects of the fixture, for the tests that are generated for every route.
    fn example(fixture: &Fixture) -> Value;
}

/// How privileges and kinds are written to this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `USE_CATALOG`: databricks-sdk and Terraform drop what they do not know.
    Underscores,
    /// `USE CATALOG`: unitycatalog-client fails on what it does not know.
    Spaces,
}

/// The header by which a client chooses its [`Spelling`].
pub const SPELLING: Header = Header {
    name: "X-Crannog-Privileges",
    about: "How privileges are written: by the user agent, when left out. With it, privileges that the client's own models do \
            not know are listed, too.",
    example: "spaces",
    values: &["spaces", "underscores"],
};

/// What a route runs in.
pub struct Cx {
    pub(crate) caller: Option<Caller>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) headers: HeaderMap,
    pub(crate) declared: &'static [Header],
    pub(crate) base_url: String,
    pub(crate) path: String,
    pub(crate) body: Arc<Mutex<Option<HttpBody>>>,
    pub(crate) patience: Duration,
    pub(crate) disk: Option<Disk>,
    pub(crate) lease: Duration,
}

impl Cx {
    /// The caller; on a public route there may be none.
    pub fn caller(&self) -> Result<&Caller> {
        self.caller.as_ref().ok_or_else(|| Problem::new(Code::Unauthenticated, "this needs a token"))
    }

    /// Request id, address and user agent.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// A header of the request, by its name in small letters: one that the route declares ([`Route::headers`]), or one that
    /// clients send by themselves. Others are not seen, so that the OpenAPI document has all that matters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let declared = self.declared.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        if !declared && !OF_HTTP.contains(&name) {
            return None;
        }
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `https://host/base`, without a slash at the end: what links in answers start with.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Whether there is room for a change, for routes that are [`Route::on_full_disk`].
    ///
    /// # Errors
    /// `Unavailable` when the disk is full.
    pub fn writable(&self) -> Result<()> {
        self.disk.as_ref().map_or(Ok(()), Disk::writable)
    }

    /// A lease that is renewed while a body goes on: [`Leased::over`].
    pub fn renewing(&self, lease: Lease) -> Leased {
        Leased::new(vec![lease], self.lease)
    }

    /// The path of the request as it was sent, without the base path of `public_url`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How privileges are spelled to this client (`docs/access.md`): by [`SPELLING`], where the route declares it, else by the
    /// user agent.
    pub fn spelling(&self) -> Spelling {
        match self.header("x-crannog-privileges") {
            Some("spaces") => return Spelling::Spaces,
            Some("underscores") => return Spelling::Underscores,
            _ => {}
        }
        let agent = self.header("user-agent").unwrap_or_default().to_ascii_lowercase();
        if ["databricks", "terraform"].iter().any(|client| agent.contains(client)) {
            Spelling::Underscores
        } else {
            Spelling::Spaces
        }
    }

    /// The body, as it comes. Once. What is not taken of it is thrown away after the answer.
    ///
    /// It ends with a failure when the client stops sending, when the disk gets full under it, and after the answer.
    pub fn body(&self) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + 'static {
        let (disk, patience) = (self.disk.clone(), self.patience);
        Box::pin(futures::stream::try_unfold(Arc::clone(&self.body), move |held| {
            let disk = disk.clone();
            async move {
                disk.as_ref().map_or(Ok(()), Disk::writable)?;
                let part = match held.lock().await.as_mut() {
                    Some(body) => next_part(body, patience, Instant::now() + patience).await?,
                    None => return Err(Problem::invalid("the request was answered before its body ended")),
                };
                Ok(part.map(|part| (part, held)))
            }
        }))
    }
}

/// What a route answers.
pub struct Reply {
    /// 200 and the like.
    pub status: StatusCode,
    /// Headers besides those that kit sets on every answer.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// The body of an answer.
pub enum ReplyBody {
    /// JSON.
    Json(Value),
    /// Bytes in one piece.
    Bytes(Bytes),
    /// Bytes as they come.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>),
    /// None.
    Empty,
}

impl Reply {
    /// An answer with a status and a body.
    pub fn new(status: StatusCode, body: ReplyBody) -> Self {
        Reply { status, headers: HeaderMap::new(), body }
    }

    /// With a header. A value that no header may hold is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// A page for people.
    pub fn html(text: String) -> Self {
        Reply::new(StatusCode::OK, ReplyBody::Bytes(text.into())).header("content-type", "text/html; charset=utf-8")
    }

    /// To another page.
    pub fn see_other(to: &str) -> Self {
        Reply::new(StatusCode::SEE_OTHER, ReplyBody::Empty).header("location", to)
    }
}

/// Something that an endpoint answers with.
pub trait Output: Into<Reply> + Send + 'static {
    /// The answer that it stands for.
    const ANSWER: Answer;

    /// Its schema, for OpenAPI; `None` where it is not JSON.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

/// An answer in JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> From<Json<T>> for Reply {
    fn from(json: Json<T>) -> Self {
        match serde_json::to_value(json.0) {
            Ok(value) => Reply::new(StatusCode::OK, ReplyBody::Json(value)),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Reply::new(StatusCode::INTERNAL_SERVER_ERROR, ReplyBody::Empty)
            }
        }
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Json<T> {
    const ANSWER: Answer = Answer::of(200, "application/json", "done");

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

/// `{}` with 200: what Databricks answers when there is nothing to say.
#[derive(Debug)]
pub struct Empty;

impl From<Empty> for Reply {
    fn from(_: Empty) -> Self {
        Reply::new(StatusCode::OK, ReplyBody::Json(Value::Object(serde_json::Map::new())))
    }
}

impl Output for Empty {
    const ANSWER: Answer = Answer::of(200, "application/json", "done; there is nothing to say");

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(schemars::json_schema!({ "type": "object" }))
    }
}

/// 204.
#[derive(Debug)]
pub struct NoContent;

impl From<NoContent> for Reply {
    fn from(_: NoContent) -> Self {
        Reply::new(StatusCode::NO_CONTENT, ReplyBody::Empty)
    }
}

impl Output for NoContent {
    const ANSWER: Answer = Answer::bare(204, "done");

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// Its route declares its answers: [`Route::answers`].
impl Output for Reply {
    const ANSWER: Answer = Answer::bare(200, "done");

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// Finds out who a token belongs to. `identity` implements it.
pub trait Authenticate: Send + Sync + 'static {
    /// The owner of a bearer token (or of a session cookie), who is active and whose token is in force.
    ///
    /// # Errors
    /// `Unauthenticated` for any other token, the same for every reason; `ResourceExhausted` with a time to wait after too
    /// many of them.
    fn authenticate<'a>(
        &'a self,
        credentials: &'a Credentials,
        source_ip: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = Result<Who>> + Send + 'a>>;

    /// Whether what was accepted a while ago is in force still, for what outlives its request. A token that has expired since
    /// lets what it began end in peace; one that was revoked does not.
    fn in_force<'a>(
        &'a self,
        credentials: &'a Credentials,
        who: &'a Who,
    ) -> Pin<Box<dyn Future<Output = Result<InForce>> + Send + 'a>>;
}

/// The state of a credential that was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// It is there, and its owner is active; it expires then.
    Until(Option<Micros>),
    /// Its owner is active, but it is not there: it was revoked, or has expired and was cleared away. Or the owner may not
    /// use its kind any more.
    Gone,
    /// Its owner was deactivated or deleted.
    Nobody,
}

/// What a request brought to prove who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Bearer …`
    Bearer(String),
    /// `Authorization: Basic …`, decoded.
    Basic {
        /// Before the colon.
        user: String,
        /// After it.
        password: String,
    },
    /// Our own cookie.
    Session(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}
