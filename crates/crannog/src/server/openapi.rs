//! `/api/openapi.json`: the document of the routes that this very process serves.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use crannog_kit::{
    Answer, Cx, Dialect, Endpoint, Fixture, Method, Nothing, Registry, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::Public;
use crannog_types::Result;
use serde_json::{Value, json};

/// The routes, once all are there, and their document, once somebody asked for it.
#[derive(Default)]
pub(super) struct Described {
    registry: OnceLock<Registry>,
    document: OnceLock<Bytes>,
}

impl Described {
    /// Keeps the routes.
    pub(super) fn set(&self, registry: Registry) -> &Registry {
        self.registry.get_or_init(|| registry)
    }

    fn document(&self) -> Bytes {
        let write = || match self.registry.get() {
            Some(registry) => crannog_kit::openapi::document(registry).to_string().into(),
            None => Bytes::new(),
        };
        self.document.get_or_init(write).clone()
    }
}

/// The OpenAPI document. Public: it is the same for every installation of a version.
pub(super) struct OpenApi(pub(super) Arc<Described>);

impl Endpoint for OpenApi {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/openapi.json",
        Dialect::Databricks,
        "Describe every route of this server in OpenAPI 3.1.",
    )
    .answers(&[Answer::of(200, "application/json", "the document")]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Cx, (): (), _: Nothing) -> Result<Reply> {
        let reply = Reply::new(StatusCode::OK, ReplyBody::Bytes(self.0.document()));
        Ok(reply.header("content-type", "application/json"))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
