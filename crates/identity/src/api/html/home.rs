//! What a browser finds at the server's address: who is signed in, and how to connect clients.
//!
//! Programs that come to `/` without asking for a page get the JSON 404 of every unknown path: an SDK that was given a wrong
//! address must not take a page for an answer.

use std::sync::Arc;

use crannog_kit::http::wants_a_page;
use crannog_kit::{Answer, Cx, Dialect, Endpoint, Fixture, Method, Nothing, Registry, Reply, Route};
use crannog_security::Public;
use crannog_types::{Problem, Result};
use serde_json::{Value, json};

use super::pages::{clients, escape, page_with};
use super::{here, session_cookie};
use crate::Identity;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(Home(Arc::clone(identity)));
}

/// MLflow's clients print a run's address as if MLflow's pages were at the server's root, with the place behind `#`, which no browser
/// sends. So this page passes it on.
const TO_MLFLOW: &str = "if (location.hash.startsWith(\"#/\")) location.replace(document.getElementById(\"mlflow\").href + \
                         location.hash)";

struct Home(Arc<Identity>);

impl Endpoint for Home {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Get, "/", Dialect::Databricks, "The start page, for browsers; JSON clients get a 404")
            .answers(&[
                Answer::of(200, "text/html", "the page"),
                Answer::bare(303, "not signed in: to the page to sign in"),
            ]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), _: Nothing) -> Result<Reply> {
        if !wants_a_page(cx.header("accept")) {
            return Err(Problem::not_found("no API for GET /")
                .reason("ENDPOINT_NOT_FOUND")
                .hint("`crannog endpoints` lists what is served"));
        }
        let who = match session_cookie(cx) {
            Some(session) => self.0.session_owner(session).await?,
            None => None,
        };
        let reply = match who {
            None => Reply::see_other(&format!("{}/login", cx.base_url())).header("cache-control", "no-store"),
            Some(who) => {
                let body = format!(
                    "<form method=\"post\" action=\"{}\" class=\"bar\"><span>Signed in as <strong>{}</strong></span>\
                     <button class=\"quiet\">Sign out</button></form>\n\
                     <dl>\n<dt>This server</dt><dd><code>{}</code></dd>\n\
                     <dt>Workspace id</dt><dd><code>{}</code></dd>\n</dl>\n\
                     <h2>Sign in from a program</h2>\n\
                     <p>This asks you in the browser, and needs no token:</p>\n\
                     <pre>from databricks.sdk import WorkspaceClient\n\n\
                     w = WorkspaceClient(host=\"{}\", auth_type=\"external-browser\")</pre>\n\
                     <p>Elsewhere a token stands in for you. <code>crannog token create</code> makes one, and so does \
                     <code>w.tokens.create()</code>.</p>\n{}\n\
                     <p class=\"note\"><a id=\"mlflow\" href=\"{}\">MLflow\'s own pages</a> are here, too, once whoever runs this server \
                     has added them with <code>crannog ui add mlflow</code>.</p>",
                    here(cx, "/logout"),
                    escape(&who.name),
                    escape(cx.base_url()),
                    escape(&self.0.ground().workspace_id),
                    escape(cx.base_url()),
                    clients(cx.base_url(), None),
                    here(cx, "/mlflow/"),
                );
                page_with("Your lakehouse", &body, TO_MLFLOW)
            }
        };
        Ok(reply.header("vary", "accept, cookie"))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}
