//! The caller's own personal access tokens.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::metastore::{Read, Work};
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;
use crate::service::tokens::TokenInfo;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(CreateToken(Arc::clone(identity)));
    registry.add(ListTokens(Arc::clone(identity)));
    registry.add(DeleteToken(Arc::clone(identity)));
    registry.add(UpdateToken(Arc::clone(identity)));
}

/// A token without its text.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PublicTokenInfo {
    token_id: String,
    /// Milliseconds since the epoch.
    creation_time: i64,
    /// Milliseconds since the epoch; -1: never.
    expiry_time: i64,
    comment: String,
}

impl From<TokenInfo> for PublicTokenInfo {
    fn from(token: TokenInfo) -> Self {
        PublicTokenInfo {
            token_id: token.id,
            creation_time: token.created_at.millis(),
            expiry_time: token.expires_at.map_or(-1, crannog_types::Micros::millis),
            comment: token.comment.unwrap_or_default(),
        }
    }
}

struct CreateToken(Arc<Identity>);

/// A token to make.
#[derive(Debug, Deserialize, JsonSchema)]
struct CreateTokenIn {
    /// What it is for.
    comment: Option<String>,
    /// Seconds until it ends; never, when left out.
    lifetime_seconds: Option<i64>,
}

/// A new token; its value is not shown again.
#[derive(Serialize, JsonSchema)]
struct CreateTokenOut {
    token_value: String,
    token_info: PublicTokenInfo,
}

impl Endpoint for CreateToken {
    type Asks = Work;
    type In = CreateTokenIn;
    type Out = Json<CreateTokenOut>;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.0/token/create", Dialect::Databricks, "Makes a token for the caller");

    fn asks(&self, _: &CreateTokenIn) -> Result<NameOf<Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Work>, input: CreateTokenIn) -> Result<Json<CreateTokenOut>> {
        let (secret, token) = self.0.create_token(&permit, input.comment, input.lifetime_seconds).await?;
        Ok(Json(CreateTokenOut { token_value: secret.reveal().to_owned(), token_info: token.into() }))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "comment": "laptop", "lifetime_seconds": 3600 })
    }
}

struct ListTokens(Arc<Identity>);

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListTokensIn {}

/// The caller's tokens.
#[derive(Debug, Serialize, JsonSchema)]
struct ListTokensOut {
    token_infos: Vec<PublicTokenInfo>,
}

impl Endpoint for ListTokens {
    type Asks = Read;
    type In = ListTokensIn;
    type Out = Json<ListTokensOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/token/list", Dialect::Databricks, "Lists the caller's tokens");

    fn asks(&self, _: &ListTokensIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, _: ListTokensIn) -> Result<Json<ListTokensOut>> {
        let token_infos = self.0.own_tokens(&permit).await?.into_iter().map(Into::into).collect();
        Ok(Json(ListTokensOut { token_infos }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct DeleteToken(Arc<Identity>);

/// The token to revoke.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteTokenIn {
    /// Its id.
    token_id: String,
}

impl Endpoint for DeleteToken {
    type Asks = Work;
    type In = DeleteTokenIn;
    type Out = Empty;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.0/token/delete", Dialect::Databricks, "Revokes a token of the caller's");

    fn asks(&self, _: &DeleteTokenIn) -> Result<NameOf<Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Work>, input: DeleteTokenIn) -> Result<Empty> {
        self.0.revoke_own_token(&permit, &input.token_id).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "token_id": fixture.more.get("token") })
    }
}

struct UpdateToken(Arc<Identity>);

/// What is to be written about a token.
#[derive(Debug, Deserialize, JsonSchema)]
struct UpdateTokenIn {
    /// Its id.
    token_id: String,
    /// The new text.
    token: UpdateTokenText,
    /// `comment`: nothing else can be changed.
    update_mask: Option<String>,
}

/// The new text.
#[derive(Debug, Deserialize, JsonSchema)]
struct UpdateTokenText {
    /// What it is for.
    comment: Option<String>,
}

impl Endpoint for UpdateToken {
    type Asks = Work;
    type In = UpdateTokenIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.0/token/{token_id}",
        Dialect::Databricks,
        "Changes the comment of a token of the caller's",
    );

    fn asks(&self, _: &UpdateTokenIn) -> Result<NameOf<Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Work>, input: UpdateTokenIn) -> Result<Empty> {
        if input.update_mask.as_deref().is_some_and(|mask| mask != "comment") {
            return Err(
                Problem::invalid("only the comment of a token can be changed").hint("set update_mask to comment")
            );
        }
        let comment = input.token.comment.unwrap_or_default();
        self.0.comment_own_token(&permit, &input.token_id, &comment).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "token_id": fixture.more.get("token"), "token": { "comment": "desk" }, "update_mask": "comment" })
    }
}
