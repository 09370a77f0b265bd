//! The token endpoint: client credentials, authorization codes, refresh tokens.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::{Answer, Body, Cx, Dialect, Endpoint, Fixture, Json, Method, Output, Reply, Route};
use crannog_security::Public;
use crannog_types::{Code, Problem, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;
use crate::service::oauth::{ACCESS_SECONDS, scopes};

pub(super) struct IssueToken(pub(super) Arc<Identity>);

/// The form of RFC 6749. Client id and secret stand here or in `Authorization: Basic`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TokenIn {
    /// `client_credentials`, `authorization_code` or `refresh_token`.
    grant_type: Option<String>,
    /// Scopes.
    scope: Option<String>,
    /// The client.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
    /// The authorization code.
    code: Option<String>,
    /// Where the code was sent to.
    redirect_uri: Option<String>,
    /// What the challenge was made of.
    code_verifier: Option<String>,
    /// The refresh token.
    refresh_token: Option<String>,
}

/// Tokens.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenOut {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// An answer that no cache may keep.
pub(super) struct NotStored(TokenOut);

impl From<NotStored> for Reply {
    fn from(answer: NotStored) -> Self {
        Reply::from(Json(answer.0)).header("cache-control", "no-store")
    }
}

impl Output for NotStored {
    const ANSWER: Answer = Answer::of(200, "application/json", "tokens, shown only now");

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<TokenOut>())
    }
}

/// Client id and secret of `Authorization: Basic`.
fn basic(cx: &Cx) -> Option<(String, String)> {
    let (scheme, rest) = cx.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

impl Endpoint for IssueToken {
    type Asks = Public;
    type In = TokenIn;
    type Out = NotStored;
    const ROUTE: Route =
        Route::new(Method::Post, "/oidc/v1/token", Dialect::OAuth, "Gives access tokens").body(Body::Form);

    fn asks(&self, _: &TokenIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: TokenIn) -> Result<NotStored> {
        let (client, secret) = match basic(cx) {
            Some((client, secret)) => (Some(client), Some(secret)),
            None => (input.client_id, input.client_secret),
        };
        let client = client.ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "the client does not say who it is").reason("invalid_client")
        })?;
        let missing = |what: &str| Problem::invalid(format!("{what} is missing")).reason("invalid_request");
        let origin = cx.origin();
        let issued = match input.grant_type.as_deref() {
            Some("client_credentials") => {
                let scope = scopes(input.scope.as_deref())?;
                let secret = secret.ok_or_else(|| missing("client_secret"))?;
                self.0.client_credentials(&client, &secret, &scope, origin).await?
            }
            Some("authorization_code") => {
                let code = input.code.ok_or_else(|| missing("code"))?;
                let redirect_uri = input.redirect_uri.ok_or_else(|| missing("redirect_uri"))?;
                let verifier = input.code_verifier.ok_or_else(|| missing("code_verifier"))?;
                self.0.exchange_code(&client, &code, &redirect_uri, &verifier, origin).await?
            }
            Some("refresh_token") => {
                let refresh = input.refresh_token.ok_or_else(|| missing("refresh_token"))?;
                self.0.refresh(&client, &refresh, origin).await?
            }
            other => {
                let other = other.unwrap_or_default();
                return Err(Problem::invalid(format!("the grant type {other:?} is not supported"))
                    .reason("unsupported_grant_type")
                    .hint("use client_credentials, authorization_code or refresh_token"));
            }
        };
        Ok(NotStored(TokenOut {
            access_token: issued.access.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: ACCESS_SECONDS,
            scope: issued.scope,
            refresh_token: issued.refresh.map(|refresh| refresh.reveal().to_owned()),
        }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "grant_type": "client_credentials",
            "client_id": fixture.more.get("application_id"),
            "client_secret": fixture.more.get("client_secret_text"),
            "scope": "all-apis",
        })
    }
}
