//! Sign in with a name and a password; sign out.

use std::sync::Arc;

use crannog_kit::{Answer, Body, Cx, Dialect, Endpoint, Fixture, Method, Nothing, Registry, Reply, Route, StatusCode};
use crannog_security::Public;
use crannog_types::{Code, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::{escape, page, problem};
use super::{from_our_pages, local, session_cookie, with_session, without_session};
use crate::Identity;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(LoginPage(Arc::clone(identity)));
    registry.add(Login(Arc::clone(identity)));
    registry.add(Logout(Arc::clone(identity)));
}

/// Where to go after signing in.
#[derive(Debug, Deserialize, JsonSchema)]
struct LoginPageIn {
    /// A path on this server.
    next: Option<String>,
    /// Ask for name and password although somebody is signed in.
    #[serde(default)]
    anew: bool,
}

/// The form is sent to the address that it came from (no `action`), so that a browser keeps its fragment, which only the browser knows: it
/// is kept over every redirect, to this page and from it to `next`, and MLflow's pages have the place in it.
fn form(next: &str, name: &str, failed: Option<&str>) -> Reply {
    let body = format!(
        "{}<form method=\"post\">\n\
         <input type=\"hidden\" name=\"next\" value=\"{}\">\n\
         <label for=\"name\">User name</label>\n\
         <input id=\"name\" name=\"name\" value=\"{}\" autocomplete=\"username\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n\
         <button>Sign in</button>\n</form>\n\
         <p class=\"note\">No password yet? Open the set-up link that <code>crannog up</code> printed, or ask an \
         administrator for one.</p>",
        problem(failed),
        escape(next),
        escape(name),
    );
    page("Sign in", &body)
}

struct LoginPage(Arc<Identity>);

impl Endpoint for LoginPage {
    type Asks = Public;
    type In = LoginPageIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/login", Dialect::Html, "The page to sign in")
        .answers(&[Answer::of(200, "text/html", "the page"), Answer::bare(303, "signed in already: to `next`")]);

    fn asks(&self, _: &LoginPageIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: LoginPageIn) -> Result<Reply> {
        let signed_in = match session_cookie(cx) {
            Some(session) if !input.anew => self.0.session_owner(session).await?.is_some(),
            _ => false,
        };
        let next = local(input.next.as_deref());
        if signed_in {
            return Ok(Reply::see_other(&format!("{}{next}", cx.base_url())).header("cache-control", "no-store"));
        }
        Ok(form(next, "", None))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "next": "/" })
    }
}

struct Login(Arc<Identity>);

/// The form of the sign-in page.
#[derive(Deserialize, JsonSchema)]
struct LoginIn {
    /// The user's name.
    name: String,
    /// The password.
    password: String,
    /// A path on this server.
    next: Option<String>,
}

impl Endpoint for Login {
    type Asks = Public;
    type In = LoginIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Post, "/login", Dialect::Html, "Signs in with a name and a password")
        .body(Body::Form)
        .answers(&[
            Answer::bare(303, "signed in: to `next`, with the session's cookie"),
            Answer::of(401, "text/html", "the user name or the password is not right"),
            Answer::of(429, "text/html", "too many failed sign-ins"),
        ]);

    fn asks(&self, _: &LoginIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: LoginIn) -> Result<Reply> {
        from_our_pages(cx)?;
        let next = local(input.next.as_deref());
        match self.0.sign_in(input.name.trim(), &input.password, cx.origin()).await {
            Ok((_, session)) => {
                let to = format!("{}{next}", cx.base_url());
                Ok(with_session(Reply::see_other(&to), cx, &session).header("cache-control", "no-store"))
            }
            Err(failed) => {
                let (status, text) = match failed.code() {
                    Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "The user name or the password is not right."),
                    Code::ResourceExhausted => (
                        StatusCode::TOO_MANY_REQUESTS,
                        "Too many failed sign-ins. Wait a while and try again, or use a token.",
                    ),
                    _ => return Err(failed),
                };
                let mut reply = form(next, &input.name, Some(text));
                if let Some(after) = failed.retry() {
                    reply = reply.header("retry-after", after.as_secs().max(1).to_string());
                }
                reply.status = status;
                Ok(reply)
            }
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "name": fixture.text("user_name"), "password": fixture.text("password"), "next": "/" })
    }
}

struct Logout(Arc<Identity>);

impl Endpoint for Logout {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Post, "/logout", Dialect::Html, "Ends the browser's session")
        .body(Body::Form)
        .answers(&[Answer::bare(303, "signed out: to the page to sign in")]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), _: Nothing) -> Result<Reply> {
        from_our_pages(cx)?;
        if let Some(session) = session_cookie(cx) {
            self.0.sign_out(session, cx.origin()).await?;
        }
        Ok(without_session(Reply::see_other(&format!("{}/login", cx.base_url())), cx))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
