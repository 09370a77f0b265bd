//! Everybody's tokens, for administrators; and tokens made on behalf of somebody.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::metastore::Administer;
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;
use crate::errors::IdentityError;
use crate::service::tokens::TokenInfo;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(ListAllTokens(Arc::clone(identity)));
    registry.add(GetToken(Arc::clone(identity)));
    registry.add(RevokeToken(Arc::clone(identity)));
    registry.add(CreateOboToken(Arc::clone(identity)));
}

/// A token without its text, with its owner.
#[derive(Debug, Serialize, JsonSchema)]
struct ManagedToken {
    token_id: String,
    /// Milliseconds since the epoch.
    creation_time: i64,
    /// Milliseconds since the epoch; -1: never.
    expiry_time: i64,
    comment: String,
    /// The decimal id of whom it signs in.
    owner_id: i64,
    /// The decimal id of who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_id: Option<i64>,
    created_by_username: String,
    /// The decimal id of this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<i64>,
}

fn managed(identity: &Identity, token: TokenInfo) -> ManagedToken {
    ManagedToken {
        token_id: token.id,
        creation_time: token.created_at.millis(),
        expiry_time: token.expires_at.map_or(-1, crannog_types::Micros::millis),
        comment: token.comment.unwrap_or_default(),
        owner_id: token.owner.0,
        created_by_id: token.created_by.map(|by| by.0),
        created_by_username: token.created_by_name,
        workspace_id: identity.ground().workspace_id.parse().ok(),
    }
}

struct ListAllTokens(Arc<Identity>);

/// Whose tokens.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListAllTokensIn {
    /// Made by the principal of this id.
    #[schemars(range(min = 1))]
    created_by_id: Option<i64>,
    /// Made by the principal of this name.
    created_by_username: Option<String>,
}

/// Tokens.
#[derive(Debug, Serialize, JsonSchema)]
struct ListAllTokensOut {
    token_infos: Vec<ManagedToken>,
}

impl Endpoint for ListAllTokens {
    type Asks = Administer;
    type In = ListAllTokensIn;
    type Out = Json<ListAllTokensOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/token-management/tokens", Dialect::Databricks, "Lists everybody's tokens");

    fn asks(&self, _: &ListAllTokensIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: ListAllTokensIn) -> Result<Json<ListAllTokensOut>> {
        let by_id =
            |token: &TokenInfo| input.created_by_id.is_none_or(|id| token.created_by.is_some_and(|by| by.0 == id));
        let by_name = |token: &TokenInfo| {
            let folded = input.created_by_username.as_deref().map(crannog_types::fold);
            folded.is_none_or(|name| name == crannog_types::fold(&token.created_by_name))
        };
        let tokens = self.0.all_tokens(&permit).await?.into_iter().filter(|token| by_id(token) && by_name(token));
        Ok(Json(ListAllTokensOut { token_infos: tokens.map(|token| managed(&self.0, token)).collect() }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// One token.
#[derive(Debug, Deserialize, JsonSchema)]
struct TokenIdIn {
    /// Its id.
    token_id: String,
}

struct GetToken(Arc<Identity>);

/// One token.
#[derive(Debug, Serialize, JsonSchema)]
struct GetTokenOut {
    token_info: ManagedToken,
}

impl Endpoint for GetToken {
    type Asks = Administer;
    type In = TokenIdIn;
    type Out = Json<GetTokenOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/token-management/tokens/{token_id}",
        Dialect::Databricks,
        "Gets what is known of anybody's token",
    );

    fn asks(&self, _: &TokenIdIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: TokenIdIn) -> Result<Json<GetTokenOut>> {
        let token = self.0.token(&permit, &input.token_id).await?;
        Ok(Json(GetTokenOut { token_info: managed(&self.0, token) }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "token_id": fixture.more.get("token") })
    }
}

struct RevokeToken(Arc<Identity>);

impl Endpoint for RevokeToken {
    type Asks = Administer;
    type In = TokenIdIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.0/token-management/tokens/{token_id}",
        Dialect::Databricks,
        "Revokes anybody's token",
    );

    fn asks(&self, _: &TokenIdIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: TokenIdIn) -> Result<Empty> {
        self.0.revoke_token(&permit, &input.token_id).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "token_id": fixture.more.get("token") })
    }
}

struct CreateOboToken(Arc<Identity>);

/// A token to make for somebody.
#[derive(Debug, Deserialize, JsonSchema)]
struct CreateOboTokenIn {
    /// The application id of a service principal.
    application_id: Option<String>,
    /// The name of a user: our own extension.
    user_name: Option<String>,
    /// What it is for.
    comment: Option<String>,
    /// Seconds until it ends; never, when left out.
    lifetime_seconds: Option<i64>,
}

/// A new token; its value is not shown again.
#[derive(Serialize, JsonSchema)]
struct CreateOboTokenOut {
    token_value: String,
    token_info: ManagedToken,
}

impl Endpoint for CreateOboToken {
    type Asks = Administer;
    type In = CreateOboTokenIn;
    type Out = Json<CreateOboTokenOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/token-management/on-behalf-of/tokens",
        Dialect::Databricks,
        "Makes a token for a service principal or a user",
    );

    fn asks(&self, _: &CreateOboTokenIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<Administer>,
        input: CreateOboTokenIn,
    ) -> Result<Json<CreateOboTokenOut>> {
        let (kind, name) = match (input.application_id, input.user_name) {
            (Some(id), None) => (crate::PrincipalKind::ServicePrincipal, id),
            (None, Some(name)) => (crate::PrincipalKind::User, name),
            _ => return Err(Problem::invalid("give either application_id or user_name")),
        };
        let owner = self.0.find_principal(&permit, &name).await?.filter(|owner| owner.kind == kind);
        let owner = owner.ok_or(IdentityError::NoPrincipal { kind: kind.describe(), what: name })?;
        let (secret, token) = self.0.create_token_for(&permit, &owner, input.comment, input.lifetime_seconds).await?;
        let token_info = managed(&self.0, token);
        Ok(Json(CreateOboTokenOut { token_value: secret.reveal().to_owned(), token_info }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "application_id": fixture.more.get("application_id"), "comment": "nightly", "lifetime_seconds": 3600 })
    }
}
