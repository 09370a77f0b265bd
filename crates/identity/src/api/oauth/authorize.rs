//! Where a client sends a person's browser: after the sign-in page, if need be, the person is asked whether the client may
//! act for them ([`super::consent`]).
//!
//! It must never give a code by itself: whoever can open a port on the person's machine can call themselves the public
//! client (RFC 8252 §8.6). An address that is not the client's own is never redirected to; the error is then a page here
//! (RFC 6749 §4.1.2.1).

use std::sync::Arc;

use crannog_kit::{Answer, Cx, Dialect, Endpoint, Fixture, Method, Reply, Route, StatusCode};
use crannog_security::Public;
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::consent;
use crate::Identity;
use crate::api::html::pages::{page, problem};
use crate::api::html::{encode, session_cookie};
use crate::service::oauth::{Authorization, PUBLIC_CLIENT, is_challenge, is_redirect, scopes};

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
    /// `all-apis`; `offline_access` asks for a refresh token.
    scope: Option<String>,
    /// Sent back unchanged.
    state: Option<String>,
    /// PKCE's challenge.
    code_challenge: Option<String>,
    /// `S256`.
    code_challenge_method: Option<String>,
    /// `none`, or any of `login`, `consent`, `select_account` (OpenID Connect Core §3.1.2.1).
    prompt: Option<String>,
}

/// What the client says about asking the person.
#[derive(Debug, PartialEq, Eq)]
enum Prompt {
    /// Show nothing: whatever would need a page is an error.
    None,
    /// Let the person sign in anew, as themselves or as somebody else.
    Login,
    /// Ask.
    Ask,
}

impl Prompt {
    fn of(text: &str) -> Result<Prompt, &'static str> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words[..] {
            ["none"] => return Ok(Prompt::None),
            _ if words.contains(&"none") => return Err("prompt=none stands alone"),
            _ if !words.iter().all(|word| ["login", "consent", "select_account"].contains(word)) => {
                return Err("prompt is none, or any of login, consent and select_account");
            }
            _ => {}
        }
        let anew = words.contains(&"login") || words.contains(&"select_account");
        Ok(if anew { Prompt::Login } else { Prompt::Ask })
    }
}

impl AuthorizeIn {
    /// The fields that were sent, without `prompt`: a page that was shown has answered it.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// This same request, as the sign-in page comes back to it.
    pub(super) fn again(&self) -> String {
        let fields = self.fields().map(|(name, value)| format!("{name}={}", encode(value)));
        format!("/oidc/v1/authorize?{}", fields.collect::<Vec<_>>().join("&"))
    }

    /// An answer to the client at its redirect address.
    pub(super) fn back(&self, redirect_uri: &str, answer: &[(&str, &str)]) -> Reply {
        let state = self.state.as_deref().map(|state| ("state", state));
        let answer = answer.iter().copied().chain(state);
        let answer: Vec<String> = answer.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        Reply::see_other(&format!("{redirect_uri}?{}", answer.join("&"))).header("cache-control", "no-store")
    }

    /// A refusal, in the words of RFC 6749 §4.1.2.1. databricks-sdk reads the description too, and fails without one.
    pub(super) fn refused(&self, redirect_uri: &str, error: &str, why: &str) -> Reply {
        self.back(redirect_uri, &[("error", error), ("error_description", why)])
    }

    /// What a code would be made for, or the answer that says what is wrong.
    pub(super) fn check(&self) -> Result<Authorization<'_>, Box<Reply>> {
        let redirect_uri = self.redirect_uri.as_deref().filter(|uri| is_redirect(uri));
        let Some(redirect_uri) = redirect_uri.filter(|_| self.client_id.as_deref() == Some(PUBLIC_CLIENT)) else {
            let text = "This client is not registered with this redirect address. The client databricks-cli may use \
                 http://localhost:8020 to http://localhost:8025.";
            let mut reply = page("Not signed in", &problem(Some(text)));
            reply.status = StatusCode::BAD_REQUEST;
            return Err(Box::new(reply));
        };
        if self.response_type.as_deref() != Some("code") {
            return Err(Box::new(self.refused(redirect_uri, "unsupported_response_type", "only code is supported")));
        }
        let challenge = self.code_challenge.as_deref().filter(|challenge| is_challenge(challenge));
        let Some(challenge) = challenge.filter(|_| self.code_challenge_method.as_deref() == Some("S256")) else {
            return Err(Box::new(self.refused(redirect_uri, "invalid_request", "PKCE with S256 is required")));
        };
        let scope = scopes(self.scope.as_deref())
            .map_err(|wrong| Box::new(self.refused(redirect_uri, "invalid_scope", wrong.message())))?;
        Ok(Authorization { redirect_uri, challenge, scope })
    }
}

/// To the sign-in page, and from there back to this request.
pub(super) fn to_login(cx: &Cx, request: &AuthorizeIn, anew: bool) -> Reply {
    let anew = if anew { "anew=true&" } else { "" };
    let login = format!("{}/login?{anew}next={}", cx.base_url(), encode(&request.again()));
    Reply::see_other(&login).header("cache-control", "no-store")
}

impl Endpoint for Authorize {
    type Asks = Public;
    type In = AuthorizeIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/oidc/v1/authorize",
        Dialect::Html,
        "Asks a signed-in person whether a client may act for them",
    )
    .answers(&[
        Answer::of(200, "text/html", "the page that asks"),
        Answer::bare(303, "to the client with a code or an error, or to the page to sign in first"),
        Answer::of(400, "text/html", "the client or its redirect is not known: nobody is sent there"),
    ]);

    fn asks(&self, _: &AuthorizeIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: AuthorizeIn) -> Result<Reply> {
        let asked = match input.check() {
            Ok(asked) => asked,
            Err(reply) => return Ok(*reply),
        };
        let prompt = match Prompt::of(input.prompt.as_deref().unwrap_or_default()) {
            Ok(prompt) => prompt,
            Err(why) => return Ok(input.refused(asked.redirect_uri, "invalid_request", why)),
        };
        let session = match session_cookie(cx) {
            Some(session) => self.0.session_owner(session).await?.map(|who| (session, who)),
            None => None,
        };
        Ok(match (session, prompt) {
            (None, Prompt::None) => input.refused(asked.redirect_uri, "login_required", "nobody is signed in"),
            (Some(_), Prompt::None) => {
                input.refused(asked.redirect_uri, "consent_required", "the person is asked each time")
            }
            (Some((session, who)), Prompt::Ask) => consent::ask(cx, &input, &asked, session, &who),
            (session, _) => to_login(cx, &input, session.is_some()),
        })
    }

    fn example(_: &Fixture) -> Value {
        example()
    }
}

/// A request as databricks-sdk sends it.
pub(super) fn example() -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_openid_connects() {
        assert_eq!(Prompt::of("none"), Ok(Prompt::None));
        for ask in ["", "consent", " consent "] {
            assert_eq!(Prompt::of(ask), Ok(Prompt::Ask), "{ask:?}");
        }
        for anew in ["login", "select_account", "login consent", "consent select_account"] {
            assert_eq!(Prompt::of(anew), Ok(Prompt::Login), "{anew:?}");
        }
        for bad in ["none login", "consent none", "never", "NONE"] {
            assert!(Prompt::of(bad).is_err(), "{bad:?}");
        }
    }
}
