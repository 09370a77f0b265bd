//! Where a client sends a person's browser: it comes back to the client with a code, after the sign-in page if need be.
//!
//! An address that is not the client's own is never redirected to; the error is then a page here (RFC 6749 §4.1.2.1).

use std::sync::Arc;

use crannog_kit::{Answer, Cx, Dialect, Endpoint, Fixture, Method, Reply, Route};
use crannog_security::Public;
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Identity;
use crate::api::html::{encode, session_cookie};
use crate::service::oauth::{Authorization, PUBLIC_CLIENT, is_challenge, is_redirect};

pub(super) struct Authorize(pub(super) Arc<Identity>);

/// What a client asks for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AuthorizeIn {
    /// `code`.
    response_type: Option<String>,
    /// `databricks-cli`.
    client_id: Option<String>,
    /// `http://localhost:8020` to `8025`.
    redirect_uri: Option<String>,
    /// Scopes; `offline_access` asks for a refresh token.
    scope: Option<String>,
    /// Sent back unchanged.
    state: Option<String>,
    /// PKCE's challenge.
    code_challenge: Option<String>,
    /// `S256`.
    code_challenge_method: Option<String>,
}

impl AuthorizeIn {
    /// This same request, as the sign-in page comes back to it.
    fn again(&self) -> String {
        let fields = [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        let fields = fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_deref()?))));
        format!("/oidc/v1/authorize?{}", fields.collect::<Vec<_>>().join("&"))
    }
}

impl Endpoint for Authorize {
    type Asks = Public;
    type In = AuthorizeIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/oidc/v1/authorize",
        Dialect::Html,
        "Gives a signed-in person's client an authorization code",
    )
    .answers(&[Answer::bare(303, "to the client with a code or an error, or to the page to sign in first")]);

    fn asks(&self, _: &AuthorizeIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: AuthorizeIn) -> Result<Reply> {
        let redirect_uri = input.redirect_uri.as_deref().filter(|uri| is_redirect(uri));
        let Some(redirect_uri) = redirect_uri.filter(|_| input.client_id.as_deref() == Some(PUBLIC_CLIENT)) else {
            return Err(Problem::invalid("this client is not registered with this redirect")
                .hint("the client databricks-cli may use http://localhost:8020 to http://localhost:8025"));
        };
        let back = |answer: String| {
            let state = input.state.as_deref().map(|state| format!("&state={}", encode(state))).unwrap_or_default();
            Reply::see_other(&format!("{redirect_uri}?{answer}{state}")).header("cache-control", "no-store")
        };
        if input.response_type.as_deref() != Some("code") {
            return Ok(back(
                "error=unsupported_response_type&error_description=only%20code%20is%20supported".to_owned(),
            ));
        }
        let challenge = input.code_challenge.as_deref().filter(|challenge| is_challenge(challenge));
        let Some(challenge) = challenge.filter(|_| input.code_challenge_method.as_deref() == Some("S256")) else {
            return Ok(back("error=invalid_request&error_description=PKCE%20with%20S256%20is%20required".to_owned()));
        };
        let who = match session_cookie(cx) {
            Some(session) => self.0.session_owner(session).await?,
            None => None,
        };
        let Some(who) = who else {
            let login = format!("{}/login?next={}", cx.base_url(), encode(&input.again()));
            return Ok(Reply::see_other(&login).header("cache-control", "no-store"));
        };
        let scope = input.scope.as_deref().unwrap_or("all-apis");
        let asked = Authorization { redirect_uri, challenge, scope };
        let code = self.0.authorize(&who, &asked, cx.origin()).await?;
        Ok(back(format!("code={}", code.reveal())))
    }

    fn example(_: &Fixture) -> Value {
        json!({
            "response_type": "code",
            "client_id": "databricks-cli",
            "redirect_uri": "http://localhost:8020",
            "scope": "all-apis offline_access",
            "state": "x",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        })
    }
}
