//! What clients ask of a server before anything else: its version, and what it has.

use crannog_kit::{
    Answer, Cx, Dialect, Endpoint, Fixture, Json, Method, Nothing, Registry, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::actions::metastore;
use crannog_security::{NameOf, Permit, Public};
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
    registry.add(GetUiTelemetry);
    registry.add(ListGatewayEndpoints);
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

/// What MLflow's pages may tell others of their use.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UiTelemetryOut {
    /// Nothing at all.
    disable_ui_telemetry: bool,
    /// Which events not; all of them, by the first.
    disable_ui_events: Vec<String>,
    /// Of how many visitors in a hundred.
    #[schemars(range(min = 0))]
    ui_rollout_percentage: i64,
}

struct GetUiTelemetry;

impl Endpoint for GetUiTelemetry {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<UiTelemetryOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/ajax-api/3.0/mlflow/ui-telemetry",
        Dialect::Mlflow,
        "Tell MLflow's pages that nobody is told of their use.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<metastore::Read>, _: Nothing) -> Result<Json<UiTelemetryOut>> {
        Ok(Json(UiTelemetryOut { disable_ui_telemetry: true, disable_ui_events: Vec::new(), ui_rollout_percentage: 0 }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Models of others that a gateway passes requests on to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct GatewayEndpointsOut {
    /// There is no gateway, so there are none.
    endpoints: Vec<String>,
}

struct ListGatewayEndpoints;

impl Endpoint for ListGatewayEndpoints {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Json<GatewayEndpointsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/ajax-api/2.0/mlflow/gateway-proxy",
        Dialect::Mlflow,
        "Tell MLflow's pages that there is no gateway, as MLflow's server does without one.",
    );

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<metastore::Read>, _: Nothing) -> Result<Json<GatewayEndpointsOut>> {
        Ok(Json(GatewayEndpointsOut { endpoints: Vec::new() }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
