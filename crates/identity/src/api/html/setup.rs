//! The one-time set-up link: set a password, get a first token, and what to paste where.

use std::sync::Arc;

use crannog_kit::{Answer, Body, Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Reply, Route, StatusCode};
use crannog_security::actions::metastore::Administer;
use crannog_security::{NameOf, Permit, Public};
use crannog_types::{Code, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pages::{clients, escape, page, problem};
use super::{from_our_pages, here, with_session};
use crate::errors::IdentityError;
use crate::model::credentials::Secret;
use crate::service::passwords::LEAST;
use crate::{Identity, PrincipalKind};

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(SetupPage(Arc::clone(identity)));
    registry.add(Setup(Arc::clone(identity)));
    registry.add(CreateSetupLink(Arc::clone(identity)));
}

const REFUSED: Answer = Answer::of(401, "text/html", "the link does not work, or no more");
const TOO_MANY: Answer = Answer::of(429, "text/html", "too many wrong links");

fn form(cx: &Cx, code: &str, name: &str, failed: Option<&str>) -> Reply {
    let body = format!(
        "<p>Welcome, <strong>{}</strong>. Choose a password of at least {LEAST} characters. This link works once.</p>\n\
         {}<form method=\"post\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"code\" value=\"{}\">\n\
         <input type=\"hidden\" name=\"name\" value=\"{}\" autocomplete=\"username\">\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" minlength=\"{LEAST}\" \
         required autofocus>\n\
         <label for=\"again\">The same again</label>\n\
         <input id=\"again\" name=\"again\" type=\"password\" autocomplete=\"new-password\" required>\n\
         <button>Set the password</button>\n</form>",
        escape(name),
        problem(failed),
        here(cx, "/setup"),
        escape(code),
        escape(name),
    );
    page("Set up", &body)
}

/// A page that says why the link does not work.
fn refused(failed: &Problem) -> Reply {
    let mut reply = page("Set up", &problem(Some(&failed.full_message())));
    reply.status = match failed.code() {
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNAUTHORIZED,
    };
    reply
}

fn about_the_code(failed: &Problem) -> bool {
    matches!(failed.code(), Code::Unauthenticated | Code::ResourceExhausted)
}

struct SetupPage(Arc<Identity>);

/// The code of the link.
#[derive(Deserialize, JsonSchema)]
struct SetupPageIn {
    /// Good once.
    code: Option<String>,
}

impl Endpoint for SetupPage {
    type Asks = Public;
    type In = SetupPageIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, "/setup", Dialect::Html, "The page of the one-time set-up link")
        .answers(&[Answer::of(200, "text/html", "the page"), REFUSED, TOO_MANY]);

    fn asks(&self, _: &SetupPageIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: SetupPageIn) -> Result<Reply> {
        let code = input.code.unwrap_or_default();
        match self.0.setup_owner(&code, cx.origin().source_ip.as_deref()).await {
            Ok(who) => Ok(form(cx, &code, &who.name, None)),
            Err(failed) if about_the_code(&failed) => Ok(refused(&failed)),
            Err(failed) => Err(failed),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "code": fixture.text("setup_code") })
    }
}

struct Setup(Arc<Identity>);

/// The form of the set-up page.
#[derive(Deserialize, JsonSchema)]
struct SetupIn {
    /// The code of the link.
    code: String,
    /// The new password.
    password: String,
    /// The same.
    again: String,
}

impl Endpoint for Setup {
    type Asks = Public;
    type In = SetupIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Post, "/setup", Dialect::Html, "Sets a password and gives a first token")
        .body(Body::Form)
        .answers(&[
            Answer::of(200, "text/html", "the password is set; the page has the token"),
            Answer::of(400, "text/html", "the password cannot be taken"),
            REFUSED,
            TOO_MANY,
        ]);

    fn asks(&self, _: &SetupIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: SetupIn) -> Result<Reply> {
        from_our_pages(cx)?;
        let who = match self.0.setup_owner(&input.code, cx.origin().source_ip.as_deref()).await {
            Ok(who) => who,
            Err(failed) if about_the_code(&failed) => return Ok(refused(&failed)),
            Err(failed) => return Err(failed),
        };
        let again = |why: &str| {
            let mut reply = form(cx, &input.code, &who.name, Some(why));
            reply.status = StatusCode::BAD_REQUEST;
            reply
        };
        if input.password != input.again {
            return Ok(again("The two passwords are not the same."));
        }
        match self.0.set_up(&input.code, &input.password, cx.origin()).await {
            Ok(done) => {
                let token = done.token.as_ref().map(Secret::reveal);
                let shown = token.map(|token| {
                    format!(
                        "<h2>Your first token</h2>\n<p>It is shown only now. Keep it like a password.</p>\n\
                         <pre>{}</pre>\n",
                        escape(token)
                    )
                });
                let body = format!(
                    "<p>The password of <strong>{}</strong> is set, and you are signed in.</p>\n{}{}\n\
                     <p><a href=\"{}\">To the start page</a></p>",
                    escape(&done.who.name),
                    shown.unwrap_or_default(),
                    clients(cx.base_url(), token),
                    here(cx, "/"),
                );
                Ok(with_session(page("You are set up", &body), cx, &done.session))
            }
            Err(failed) if failed.code() == Code::InvalidArgument => Ok(again(&failed.full_message())),
            Err(failed) if about_the_code(&failed) => Ok(refused(&failed)),
            Err(failed) => Err(failed),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "code": fixture.text("setup_code"), "password": "a new password", "again": "a new password" })
    }
}

struct CreateSetupLink(Arc<Identity>);

/// Who is invited.
#[derive(Debug, Deserialize, JsonSchema)]
struct CreateSetupLinkIn {
    /// A user's name.
    user_name: String,
}

/// A link to hand on.
#[derive(Serialize, JsonSchema)]
struct CreateSetupLinkOut {
    /// Good for a week and once.
    setup_url: String,
}

impl Endpoint for CreateSetupLink {
    type Asks = Administer;
    type In = CreateSetupLinkIn;
    type Out = Json<CreateSetupLinkOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/crannog/setup-links",
        Dialect::Databricks,
        "Makes a one-time link with which a user sets their own password",
    );

    fn asks(&self, _: &CreateSetupLinkIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<Administer>,
        input: CreateSetupLinkIn,
    ) -> Result<Json<CreateSetupLinkOut>> {
        let user = self.0.find_principal(&permit, &input.user_name).await?;
        let user = user
            .filter(|user| user.kind == PrincipalKind::User)
            .ok_or(IdentityError::NoPrincipal { kind: PrincipalKind::User.describe(), what: input.user_name })?;
        let code = self.0.create_setup_code(&permit, &user).await?;
        Ok(Json(CreateSetupLinkOut { setup_url: format!("{}/setup?code={}", cx.base_url(), code.reveal()) }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "user_name": fixture.text("user_name") })
    }
}
