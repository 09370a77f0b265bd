//! One declaration per route.
//!
//! An [`Endpoint`] says where it is, what it is about, what must be granted before it runs, and what it does. kit does the
//! rest, in this order: route, authenticate, read head and JSON, `asks`, decide, `run`, render in the protocol's dialect.
//! A body that is a stream is not read before the permit is there. Where it is says a [`Route`], what it answers a [`Reply`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::HeaderMap;
use bytes::Bytes;
use crannog_security::{Asks, Caller, Lease, Origin, Who};
use crannog_types::{Code, Micros, Problem, Result};
use futures::Stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::bodies::next_part;
use crate::disk::Disk;
use crate::fixture::Fixture;
use crate::lease::Leased;
use crate::reply::Output;
use crate::route::{Header, Route};

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

    /// Reads the input. Routes whose bodies are long read them without making another copy of them first.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(input: &Value) -> std::result::Result<Self::In, serde_json::Error> {
        Self::In::deserialize(input)
    }

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

/// The input of an operation that is told nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Nothing {}

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

/// Headers that every client, browser or proxy sends by itself. OpenAPI has other places for them, or none.
const OF_HTTP: [&str; 10] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "sec-fetch-site",
    "user-agent",
    "x-forwarded-for",
];

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
