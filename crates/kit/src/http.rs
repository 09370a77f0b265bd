//! The HTTP server: one dispatcher for every route.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use crannog_security::Origin;
use crannog_store::until_won;
use crannog_types::{Code, Problem, Result};
use futures::FutureExt;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use crate::authority::Authority;
use crate::bodies::{discard, json_alone, read_all, read_json};
use crate::connections::{Connections, Limits, Peer};
use crate::dialects;
use crate::disk::Disk;
use crate::endpoint::{Authenticate, Credentials, Cx};
use crate::input::{self, Unfit};
use crate::lease::Credential;
use crate::metrics::Metrics;
use crate::registry::{AnyEndpoint, Registry};
use crate::reply::{Reply, ReplyBody};
use crate::route::{Body, Dialect, Method};
use crate::tasks::Tasks;

/// What the server is told besides its routes.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Names under which this server may be called, besides loopback and addresses that it listens on: others are
    /// refused, against DNS rebinding.
    pub allowed_hosts: BTreeSet<String>,
    /// `https://lake.example.com/base`: what links start with; `None`: the Host header of the request.
    pub public_url: Option<String>,
    /// Addresses of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// The decimal id that `X-Databricks-Org-Id` carries on every answer.
    pub workspace_id: String,
    /// Tells browsers to come by HTTPS only: for servers that serve nothing else.
    pub https_only: bool,
    /// Where changes need room.
    pub disk: Option<Disk>,
    /// What counts requests.
    pub metrics: Metrics,
    /// How old a permit may get before what outlives its request asks again; zero: with every chunk.
    pub lease: Duration,
    /// How long bodies may take.
    pub limits: Limits,
}

impl HttpConfig {
    /// `/base` of `https://lake.example.com/base`, else nothing. A proxy may pass it on or take it off: both arrive.
    fn base_path(&self) -> &str {
        let (_, rest) = self.public_url.as_deref().and_then(|url| url.split_once("://")).unwrap_or_default();
        rest.find('/').map_or("", |slash| rest[slash..].trim_end_matches('/'))
    }

    /// A request's path without the base path.
    fn without_base<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.base_path()) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

/// Everything that a request needs.
pub struct Server {
    config: HttpConfig,
    authority: Arc<Authority>,
    authenticate: Arc<dyn Authenticate>,
    /// What throws bodies away that were answered unread.
    discarding: TaskTracker,
}

impl Server {
    /// A server over these.
    pub fn new(config: HttpConfig, authority: Arc<Authority>, authenticate: Arc<dyn Authenticate>) -> Arc<Self> {
        Arc::new(Server { config, authority, authenticate, discarding: TaskTracker::new() })
    }

    /// The routes of a registry as an HTTP service.
    pub fn router(self: &Arc<Self>, registry: &Registry) -> Router {
        let mut paths: BTreeMap<&'static str, (BTreeSet<&'static str>, MethodRouter)> = BTreeMap::new();
        for endpoint in registry.endpoints() {
            let route = endpoint.spec().route;
            for path in std::iter::once(route.path).chain(route.also.iter().copied()) {
                let (server, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
                let handler =
                    move |request: Request| async move { server.answer(Asked::Route(endpoint), request).await };
                let (mut methods, routes) = paths.remove(path).unwrap_or_default();
                methods.insert(route.method.word());
                paths.insert(path, (methods, routes.merge(on(filter(route.method), handler))));
            }
        }
        let base = self.config.base_path();
        let (missing, wrong_method) = (Arc::clone(self), Arc::clone(self));
        let mut router = Router::new();
        for (path, (mut methods, routes)) in paths {
            let server = Arc::clone(&wrong_method);
            if methods.contains("GET") {
                methods.insert("HEAD");
            }
            let allow: Arc<str> = methods.into_iter().collect::<Vec<_>>().join(", ").into();
            let routes = routes.fallback(move |request: Request| async move {
                server.answer(Asked::OtherMethods(allow), request).await
            });
            let below = registry.mounts().iter().filter(|mount| mount.covers(path));
            let below = below.map(|mount| format!("{}{path}", mount.below));
            for path in std::iter::once(path.to_owned()).chain(below) {
                if !base.is_empty() {
                    router = router.route(&format!("{base}{path}"), routes.clone());
                    if path == "/" {
                        router = router.route(base, routes.clone());
                    }
                }
                router = router.route(&path, routes.clone());
            }
        }
        router.fallback(move |request: Request| async move { missing.answer(Asked::Nothing, request).await })
    }

    /// Serves over plain HTTP, with the usual limits, until the tasks are told to stop, then finishes what is under way.
    pub async fn serve(listener: TcpListener, router: Router, tasks: &Tasks) {
        Connections::default().serve(listener, None, router, tasks.stopping()).await;
    }

    async fn answer(self: Arc<Self>, asked: Asked, request: Request) -> Response {
        let (endpoint, allow) = match asked {
            Asked::Route(endpoint) => (Some(endpoint), None),
            Asked::OtherMethods(allow) => (None, Some(allow)),
            Asked::Nothing => (None, None),
        };
        let request_id = Uuid::now_v7().to_string();
        let dialect = endpoint.as_ref().map_or(Dialect::Databricks, |endpoint| endpoint.spec().route.dialect);
        let name = endpoint.as_ref().map_or("-", |endpoint| endpoint.spec().name.as_str()).to_owned();
        let method = request.method().clone();
        let began = Instant::now();
        let span = tracing::info_span!("request", request_id, route = name, principal = Empty, decision_id = Empty);
        // A panic of a library costs its request an answer of 500, not the connection.
        let (parts, body) = request.into_parts();
        let sign_in = if dialect == Dialect::Html { self.sign_in(&parts) } else { None };
        let awaits_go_ahead = parts.headers.contains_key(header::EXPECT);
        let body = Arc::new(Mutex::new(Some(body)));
        let dispatched = self.dispatch(endpoint, parts, &body, &request_id);
        let outcome = AssertUnwindSafe(dispatched.instrument(span.clone()));
        let outcome = outcome.catch_unwind().await.unwrap_or_else(|_| {
            Err(Problem::internal("the request failed", "a panic, whose message is in the log before this line"))
        });
        // A client that is still sending when the connection closes never sees the answer. One that waits to be told to go on
        // has sent nothing, and reading on would tell it so.
        let unread = body.try_lock().ok().and_then(|mut body| body.take());
        if let Some(mut body) = unread.filter(|body| !awaits_go_ahead && !body.is_end_stream()) {
            self.discarding.spawn(async move { discard(&mut body).await });
        }
        let _entered = span.enter();
        let mut response = match outcome {
            Ok(reply) => respond(reply),
            Err(problem) if problem.code() == Code::Unauthenticated && sign_in.is_some() => {
                respond(Reply::see_other(&sign_in.unwrap_or_default()).header("cache-control", "no-store"))
            }
            Err(problem) => {
                if problem.code().fault() == crannog_types::Fault::Us {
                    tracing::error!(code = ?problem.code(), cause = problem.chain(), "request failed");
                }
                refuse(&problem, dialect, &request_id)
            }
        };
        self.config.metrics.request(&name, response.status().as_u16(), began.elapsed());
        tracing::debug!(%method, status = response.status().as_u16(), "answered");
        if let Some(allow) = allow.filter(|_| response.status() == StatusCode::NOT_FOUND) {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            if let Ok(allow) = HeaderValue::from_str(&allow) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        let headers = response.headers_mut();
        for (name, value) in [("x-request-id", request_id.as_str()), ("x-databricks-org-id", &self.config.workspace_id)]
        {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if self.config.https_only {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn dispatch(
        &self,
        endpoint: Option<Arc<dyn AnyEndpoint>>,
        mut parts: Parts,
        body: &Arc<Mutex<Option<HttpBody>>>,
        request_id: &str,
    ) -> Result<Reply> {
        // HTTP/2 names the host in the address; what reads headers finds it where HTTP/1 has it.
        if !parts.headers.contains_key(header::HOST)
            && let Some(Ok(authority)) =
                parts.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()))
        {
            parts.headers.insert(header::HOST, authority);
        }
        let host = self.host(&parts.headers)?;
        let Some(endpoint) = endpoint else {
            let path = self.config.without_base(parts.uri.path());
            return Err(Problem::not_found(format!("no API for {} {path}", parts.method))
                .reason("ENDPOINT_NOT_FOUND")
                .hint("`crannog endpoints` lists what is served"));
        };
        let spec = endpoint.spec();
        let connection = parts.extensions.get::<Peer>().copied();
        let peer = connection.map(|peer| peer.address.ip());
        let source_ip = self.source_ip(peer, &parts.headers).map(|ip| ip.to_string());
        let origin = Arc::new(Origin {
            request_id: request_id.to_owned(),
            source_ip: source_ip.clone(),
            user_agent: text(&parts.headers, header::USER_AGENT.as_str()).map(str::to_owned),
            statement_id: None,
        });
        let caller = if spec.public {
            None
        } else {
            let credentials = credentials(&parts.headers)?;
            if matches!(credentials, Credentials::Session(_)) && !parts.method.is_safe() {
                same_origin(&parts.headers, &host)?;
            }
            let who = self.authenticate.authenticate(&credentials, source_ip.as_deref()).await?;
            tracing::Span::current().record("principal", &*who.name);
            let standing = Credential::new(Arc::clone(&self.authenticate), credentials, who.clone());
            Some(self.authority.caller(who, Arc::clone(&origin)).standing_by(Arc::new(standing)))
        };

        if let (Some(disk), false) = (&self.config.disk, spec.public || spec.route.on_full_disk) {
            disk.writable()?;
        }

        let mut found = Map::new();
        // MLflow's messages say themselves what is wrong with a field.
        let unfit = if spec.route.dialect == Dialect::Mlflow { Unfit::Left } else { Unfit::Refused };
        if let Some(query) = parts.uri.query() {
            input::read_pairs(query, &spec.input, unfit, &mut found)?;
        }
        let path = self.config.without_base(parts.uri.path()).to_owned();
        let params = RawPathParams::from_request_parts(&mut parts, &())
            .await
            .map_err(|error| Problem::invalid(format!("the path cannot be read: {error}")))?;
        match spec.route.body {
            Body::Stream | Body::None => {}
            Body::Json => {
                if spec.route.dialect == Dialect::Mlflow {
                    json_alone(&parts.headers)?;
                }
                read_json(&read_all(body, spec, &self.config.limits).await?, spec.route.dialect, &mut found)?;
            }
            Body::Form => {
                let bytes = read_all(body, spec, &self.config.limits).await?;
                let form = std::str::from_utf8(&bytes).map_err(|_| Problem::invalid("the form is not UTF-8"))?;
                input::read_pairs(form, &spec.input, unfit, &mut found)?;
            }
        }
        for (name, value) in &params {
            input::put_text(name.to_owned(), value, &spec.input, unfit, &mut found)?;
        }
        let secure = connection.is_some_and(|peer| peer.secure);
        let scheme = text(&parts.headers, "x-forwarded-proto").filter(|_| self.trusts(peer));
        let scheme = scheme.unwrap_or(if secure { "https" } else { "http" });
        let base_url = self.config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"));
        let disk = self.config.disk.clone();
        let (body, declared) = (Arc::clone(body), spec.route.headers);
        let (patience, lease) = (self.config.limits.part, self.config.lease);
        let cx = Cx { caller, origin, headers: parts.headers, declared, base_url, path, body, patience, disk, lease };
        let input = Value::Object(found);
        let run = || endpoint.call(&cx, &input);
        // A streamed body cannot be read twice.
        if spec.route.body == Body::Stream { run().await } else { until_won(run).await }
    }

    /// Where a browser goes that comes to a page without being signed in, and comes back from. Browsers do not send the fragment of
    /// an address; they keep it over redirects, and the page of sign-in does not take it from them.
    fn sign_in(&self, parts: &Parts) -> Option<String> {
        let visits = parts.method.is_safe() && !parts.headers.contains_key(header::AUTHORIZATION);
        if !visits || !wants_a_page(text(&parts.headers, header::ACCEPT.as_str())) {
            return None;
        }
        let next = self.config.without_base(parts.uri.path());
        let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
        Some(format!("{}/login?next={next}", self.config.base_path()))
    }

    /// The host that the client called, if it is one of ours.
    fn host(&self, headers: &HeaderMap) -> Result<String> {
        let host = text(headers, header::HOST.as_str()).unwrap_or("localhost");
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let ours = bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.config.allowed_hosts.contains(&bare.to_ascii_lowercase());
        if ours {
            return Ok(host.to_owned());
        }
        Err(Problem::invalid(format!("this server is not called {bare:?}"))
            .reason("HOST_NOT_ALLOWED")
            .hint("add the name to allowed_hosts, or set public_url"))
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.config.trusted_proxies.contains(&peer))
    }

    /// The client's address: the last one in `X-Forwarded-For` that is not a trusted proxy, when the peer is one.
    fn source_ip(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return peer;
        }
        let forwarded = text(headers, "x-forwarded-for").unwrap_or_default();
        let client = forwarded.rsplit(',').filter_map(|ip| ip.trim().parse().ok()).find(|ip| !self.trusts(Some(*ip)));
        client.or(peer)
    }
}

/// What the router found.
enum Asked {
    Route(Arc<dyn AnyEndpoint>),
    /// The path is there, but not for this method; these it has.
    OtherMethods(Arc<str>),
    Nothing,
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Head => MethodFilter::HEAD,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials> {
    use base64::Engine;
    let missing = || {
        Problem::new(Code::Unauthenticated, "this needs a token")
            .hint("send `Authorization: Bearer <token>`; `crannog token create` makes one")
    };
    let Some(value) = text(headers, header::AUTHORIZATION.as_str()) else {
        let cookies = text(headers, header::COOKIE.as_str()).unwrap_or_default();
        let session =
            cookies.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == SESSION_COOKIE);
        return session.map(|(_, value)| Credentials::Session(value.to_owned())).ok_or_else(missing);
    };
    let (scheme, rest) = value.split_once(' ').ok_or_else(missing)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Ok(Credentials::Bearer(rest.to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest).ok();
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
            return Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() });
        }
    }
    Err(missing())
}

/// The cookie of a browser session.
pub const SESSION_COOKIE: &str = "crannog_session";

/// Whether an Accept header names HTML, as browsers do for a page. `*/*`, which every HTTP library sends, does not.
pub fn wants_a_page(accept: Option<&str>) -> bool {
    accept.unwrap_or_default().split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0_f32));
        html && !parts.any(refused)
    })
}

/// A browser sends cookies along from any page; only our own pages may change something with them.
fn same_origin(headers: &HeaderMap, host: &str) -> Result<()> {
    let origin =
        text(headers, header::ORIGIN.as_str()).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    if origin == Some(host) {
        return Ok(());
    }
    Err(Problem::new(Code::PermissionDenied, "this request comes from another site")
        .hint("send a token instead of a cookie"))
}

fn respond(reply: Reply) -> Response {
    let (kind, body) = match reply.body {
        ReplyBody::Json(value) => (Some("application/json"), HttpBody::from(value.to_string())),
        ReplyBody::Bytes(bytes) => (None, HttpBody::from(bytes)),
        ReplyBody::Stream(stream) => (None, HttpBody::from_stream(stream)),
        ReplyBody::Empty => (None, HttpBody::empty()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if let Some(kind) = kind {
        response.headers_mut().entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    response
}

fn refuse(problem: &Problem, dialect: Dialect, request_id: &str) -> Response {
    let (status, body) = dialects::render(problem, dialect, request_id);
    let reply = match (dialect, body) {
        (Dialect::Html, Value::String(message)) => {
            Reply::new(status, ReplyBody::Bytes(message.into())).header("content-type", "text/plain; charset=utf-8")
        }
        (Dialect::Scim, body) => {
            Reply::new(status, ReplyBody::Json(body)).header("content-type", "application/scim+json")
        }
        (_, body) => Reply::new(status, ReplyBody::Json(body)),
    };
    let mut response = respond(reply);
    if let Some(after) = problem.retry() {
        let seconds = after.as_secs().max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crannog\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_name_html_and_libraries_do_not() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for page in [browser, "application/json, Text/HTML; charset=utf-8; q=0.5"] {
            assert!(wants_a_page(Some(page)), "{page}");
        }
        for json in [None, Some("*/*"), Some("application/json"), Some("text/html;q=0, */*"), Some("text/*")] {
            assert!(!wants_a_page(json), "{json:?}");
        }
    }
}
