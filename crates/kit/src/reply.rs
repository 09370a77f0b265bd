//! What operations answer with: JSON, bytes, streams, pages, nothing.
//!
//! What is answered as JSON becomes bytes in one step: a tree of values in between would take many times the memory of a long
//! list.

use std::pin::Pin;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use crannog_types::Result;
use futures::Stream;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::route::Answer;

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
        match serde_json::to_vec(&json.0) {
            Ok(text) => {
                Reply::new(StatusCode::OK, ReplyBody::Bytes(text.into())).header("content-type", "application/json")
            }
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
