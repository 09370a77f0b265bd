//! What clients ask of a server before anything else: its version, and what it has.

use crannog_kit::{
    Answer, Cx, Dialect, Endpoint, Fixture, Json, Method, Nothing, Registry, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::Public;
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// The version of MLflow's protocol that is spoken here. Clients compare it with what they need.
const VERSION: &str = "3.17.2";

pub(super) fn endpoints(registry: &mut Registry) {
    registry.add(GetMlflowVersion);
    registry.add(GetMlflowHealth);
    registry.add(GetServerInfo);
}

fn plain(text: &'static str) -> Reply {
    Reply::new(StatusCode::OK, ReplyBody::Bytes(text.into())).header("content-type", "text/plain; charset=utf-8")
}

struct GetMlflowVersion;

impl Endpoint for GetMlflowVersion {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Get, "/version", Dialect::Mlflow, "Tell the version of MLflow's protocol that is spoken.")
            .answers(&[Answer::of(200, "text/plain", "the version")]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Cx, (): (), _: Nothing) -> Result<Reply> {
        Ok(plain(VERSION))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct GetMlflowHealth;

impl Endpoint for GetMlflowHealth {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/health", Dialect::Mlflow, "Say that MLflow's clients are served.")
        .answers(&[Answer::of(200, "text/plain", "`OK`")]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Cx, (): (), _: Nothing) -> Result<Reply> {
        Ok(plain("OK"))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// What the server has.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServerInfoOut {
    store_type: &'static str,
    workspaces_enabled: bool,
    trace_archival_enabled: bool,
    multipart_uploads_enabled: bool,
    multipart_downloads_enabled: bool,
    presigned_upload_run_id_supported: bool,
    presigned_upload_model_id_supported: bool,
    features_enabled: FeaturesOut,
}

/// Parts of MLflow that are there or not.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FeaturesOut {
    gateway: bool,
}

struct GetServerInfo;

impl Endpoint for GetServerInfo {
    type Asks = Public;
    type In = Nothing;
    type Out = Json<ServerInfoOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/3.0/mlflow/server-info",
        Dialect::Mlflow,
        "Tell what MLflow's clients may ask for.",
    )
    .also(&["/ajax-api/3.0/mlflow/server-info"]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Cx, (): (), _: Nothing) -> Result<Json<ServerInfoOut>> {
        Ok(Json(ServerInfoOut {
            store_type: "SqlStore",
            workspaces_enabled: false,
            trace_archival_enabled: false,
            multipart_uploads_enabled: false,
            multipart_downloads_enabled: false,
            presigned_upload_run_id_supported: false,
            presigned_upload_model_id_supported: false,
            features_enabled: FeaturesOut { gateway: false },
        }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
