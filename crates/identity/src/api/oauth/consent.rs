//! Asks a signed-in person whether a client may act for them, and gives the client its code or their refusal.
//!
//! The form carries a proof: a hash over the browser's session and the request that the page showed. Another site can make
//! a browser send the form, but not know the proof, and a proof holds for no other request and no other session.

use std::sync::Arc;

use crannog_kit::{Answer, Body, Cx, Dialect, Endpoint, Fixture, Method, Reply, Route, StatusCode};
use crannog_security::{Public, Who};
use crannog_types::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::authorize::{AuthorizeIn, example, to_login};
use crate::Identity;
use crate::api::html::pages::{escape, page};
use crate::api::html::{encode, from_our_pages, here, session_cookie};
use crate::model::credentials::hex;
use crate::service::oauth::{Authorization, OFFLINE, PUBLIC_CLIENT};

/// The page that asks.
pub(super) fn ask(cx: &Cx, request: &AuthorizeIn, asked: &Authorization<'_>, session: &str, who: &Who) -> Reply {
    let hidden = request.fields().map(|(name, value)| field(name, value));
    let hidden: String = hidden.chain([field("proof", &proof(session, request))]).collect();
    let lasting = asked.scope.split(' ').any(|scope| scope == OFFLINE);
    let lasting = if lasting { "<li>stay signed in for 30 days after its last use</li>\n" } else { "" };
    let body = format!(
        "<p><strong>{client}</strong>, a program on this computer such as databricks-sdk, asks to act as \
         <strong>{name}</strong>. It may then</p>\n\
         <ul>\n<li>do everything that you may do on this server</li>\n{lasting}</ul>\n\
         <dl>\n<dt>Scopes</dt><dd><code>{scope}</code></dd>\n\
         <dt>The answer goes to</dt><dd><code>{redirect}</code></dd>\n</dl>\n\
         <p>Allow this only if you have just started the sign-in yourself.</p>\n\
         <form method=\"post\" action=\"{action}\">\n{hidden}\
         <button name=\"answer\" value=\"allow\">Allow</button>\n\
         <button name=\"answer\" value=\"deny\" class=\"quiet\">Deny</button>\n</form>\n\
         <p class=\"note\"><a href=\"{login}?anew=true&amp;next={next}\">Sign in as somebody else</a></p>",
        client = PUBLIC_CLIENT,
        name = escape(&who.name),
        scope = escape(&asked.scope),
        redirect = escape(asked.redirect_uri),
        action = here(cx, "/oidc/v1/consent"),
        login = here(cx, "/login"),
        next = encode(&request.again()),
    );
    page("Allow access?", &body)
}

fn field(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value))
}

/// What only a page that was made for this session and this request knows.
fn proof(session: &str, request: &AuthorizeIn) -> String {
    let request = request.again();
    let parts = [b"crannog consent".as_slice(), session.as_bytes(), request.as_bytes()];
    let digests: Vec<u8> = parts.iter().flat_map(Sha256::digest).collect();
    hex(&Sha256::digest(digests))
}

pub(super) struct Consent(pub(super) Arc<Identity>);

/// The form of the page that asks.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ConsentIn {
    /// What the client asked for.
    #[serde(flatten)]
    request: AuthorizeIn,
    /// `allow`; anything else denies.
    answer: Option<String>,
    /// Of the page.
    proof: Option<String>,
}

impl Endpoint for Consent {
    type Asks = Public;
    type In = ConsentIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/oidc/v1/consent",
        Dialect::Html,
        "Gives a client its authorization code, or the person's refusal",
    )
    .body(Body::Form)
    .answers(&[
        Answer::bare(303, "to the client with a code or an error, or to the page to sign in first"),
        Answer::of(400, "text/html", "the client or its redirect is not known: nobody is sent there"),
        Answer::of(403, "text/html", "the answer does not belong to the page that asked"),
    ]);

    fn asks(&self, _: &ConsentIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: ConsentIn) -> Result<Reply> {
        from_our_pages(cx)?;
        let request = &input.request;
        let asked = match request.check() {
            Ok(asked) => asked,
            Err(reply) => return Ok(*reply),
        };
        let session = match session_cookie(cx) {
            Some(session) => self.0.session_owner(session).await?.map(|who| (session, who)),
            None => None,
        };
        let Some((session, who)) = session else { return Ok(to_login(cx, request, false)) };
        let sent = input.proof.unwrap_or_default();
        if !bool::from(sent.as_bytes().ct_eq(proof(session, request).as_bytes())) {
            let body = format!(
                "<p>This answer does not belong to the page that asked, so nothing was allowed.</p>\n\
                 <p><a href=\"{}\">Ask me again</a></p>",
                escape(&here(cx, &request.again())),
            );
            let mut reply = page("Not allowed", &body);
            reply.status = StatusCode::FORBIDDEN;
            return Ok(reply);
        }
        if input.answer.as_deref() != Some("allow") {
            return Ok(request.refused(asked.redirect_uri, "access_denied", "the person denied the request"));
        }
        let code = self.0.authorize(&who, &asked, cx.origin()).await?;
        Ok(request.back(asked.redirect_uri, &[("code", code.reveal())]))
    }

    fn example(_: &Fixture) -> Value {
        let mut form = example();
        if let Value::Object(form) = &mut form {
            form.insert("answer".to_owned(), json!("deny"));
            form.insert("proof".to_owned(), json!("none"));
        }
        form
    }
}
