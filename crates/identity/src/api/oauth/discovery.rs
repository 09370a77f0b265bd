//! What clients read before anything else. databricks-sdk asks for the first on every construction, mlflow before every
//! request, so it comes from memory.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Nothing, Registry, Route};
use crannog_security::Public;
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Identity;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(GetDatabricksConfig(Arc::clone(identity)));
    registry.add(GetAuthorizationServer);
}

struct GetDatabricksConfig(Arc<Identity>);

/// Where OAuth is, and which workspace this is.
#[derive(Debug, Serialize, JsonSchema)]
struct DatabricksConfig {
    oidc_endpoint: String,
    workspace_id: String,
}

impl Endpoint for GetDatabricksConfig {
    type Asks = Public;
    type In = Nothing;
    type Out = Json<DatabricksConfig>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/.well-known/databricks-config",
        Dialect::Databricks,
        "Says where OAuth is and which workspace this is",
    );

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), _: Nothing) -> Result<Json<DatabricksConfig>> {
        let oidc_endpoint = format!("{}/oidc", cx.base_url());
        Ok(Json(DatabricksConfig { oidc_endpoint, workspace_id: self.0.ground().workspace_id.clone() }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct GetAuthorizationServer;

/// The metadata of RFC 8414.
#[derive(Debug, Serialize, JsonSchema)]
struct AuthorizationServer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    response_types_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    scopes_supported: [&'static str; 2],
    prompt_values_supported: [&'static str; 4],
}

impl Endpoint for GetAuthorizationServer {
    type Asks = Public;
    type In = Nothing;
    type Out = Json<AuthorizationServer>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/oidc/.well-known/oauth-authorization-server",
        Dialect::OAuth,
        "The metadata of the authorization server",
    );

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), _: Nothing) -> Result<Json<AuthorizationServer>> {
        let oidc = format!("{}/oidc", cx.base_url());
        Ok(Json(AuthorizationServer {
            authorization_endpoint: format!("{oidc}/v1/authorize"),
            token_endpoint: format!("{oidc}/v1/token"),
            issuer: oidc,
            response_types_supported: ["code"],
            grant_types_supported: ["authorization_code", "client_credentials", "refresh_token"],
            code_challenge_methods_supported: ["S256"],
            token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
            scopes_supported: ["all-apis", "offline_access"],
            prompt_values_supported: ["none", "login", "consent", "select_account"],
        }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
