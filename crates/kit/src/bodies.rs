//! Bodies of requests: read whole within their limits, part by part, or thrown away.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use crannog_types::{Code, Problem, Result};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connections::Limits;
use crate::registry::Spec;
use crate::route::Dialect;

/// The largest JSON or form body, in bytes, of a route that declares no other: of one that anybody may call, and of the others.
const PUBLIC_BODY: usize = 64 * 1024;
const BODY: usize = 1024 * 1024;

/// How much of a body that was answered unread is read and thrown away, and for how long.
const DISCARD: usize = 16 * 1024 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(2);

/// A JSON or form body, as long as its route takes and within its time.
pub(crate) async fn read_all(body: &Mutex<Option<HttpBody>>, spec: &Spec, limits: &Limits) -> Result<Vec<u8>> {
    let mut held = body.lock().await;
    let Some(body) = held.as_mut() else { return Ok(Vec::new()) };
    let usual = if spec.public { PUBLIC_BODY } else { BODY };
    let limit = spec.route.body_limit.unwrap_or(usual);
    let end = Instant::now() + limits.body;
    let mut bytes = Vec::new();
    while let Some(part) = next_part(body, limits.part, end).await? {
        if part.len() > limit - bytes.len() {
            return Err(Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes"))
                .hint("this is what the route takes; files go through /api/2.0/fs/files"));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// The next part of a body: it has `patience`, and all of them have until `end`. `None` after the last.
pub(crate) async fn next_part(body: &mut HttpBody, patience: Duration, end: Instant) -> Result<Option<Bytes>> {
    let until = end.min(Instant::now() + patience);
    loop {
        match tokio::time::timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                // What is not data is trailers, which nobody asked for.
                if let Ok(part) = frame.into_data() {
                    return Ok(Some(part));
                }
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Problem::invalid("the body ended early").caused_by(error)),
            Err(_) => {
                return Err(Problem::invalid(format!(
                    "the body stopped coming: nothing for {} s, or not all of it in time",
                    patience.as_secs()
                ))
                .reason("REQUEST_BODY_TIMEOUT")
                .hint("send it again"));
            }
        }
    }
}

/// Takes what still comes of a body that nobody wants, for a moment.
pub(crate) async fn discard(body: &mut HttpBody) {
    let end = Instant::now() + DISCARD_FOR;
    let mut left = DISCARD;
    while let Ok(Some(part)) = next_part(body, DISCARD_FOR, end).await {
        match left.checked_sub(part.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// MLflow's server takes JSON that says it is JSON, so that no form of a foreign page passes for it.
pub(crate) fn json_alone(headers: &HeaderMap) -> Result<()> {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return Err(Problem::invalid("Bad Request. Content-Type header is missing."));
    };
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        return Ok(());
    }
    Err(Problem::invalid("Bad Request. Content-Type must be one of ['application/json']."))
}

pub(crate) fn read_json(bytes: &[u8], dialect: Dialect, into: &mut Map<String, Value>) -> Result<()> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match serde_json::from_slice(bytes) {
        // Old clients of MLflow put the JSON into a text of JSON.
        Ok(Value::String(inner)) if dialect == Dialect::Mlflow && !inner.starts_with('"') => {
            read_json(inner.as_bytes(), dialect, into)
        }
        Ok(Value::Object(object)) => {
            into.extend(object);
            Ok(())
        }
        Ok(_) => Err(Problem::invalid("the body is not a JSON object").reason("MALFORMED_REQUEST")),
        Err(error) => Err(Problem::invalid(format!("the body is not JSON: {error}")).reason("MALFORMED_REQUEST")),
    }
}
