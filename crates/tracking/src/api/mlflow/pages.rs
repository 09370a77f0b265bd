//! `/mlflow/`: MLflow's own pages, once `crannog ui add mlflow` has put them there.
//!
//! They are scripts of others that run with the reader's session, so they get a Content-Security-Policy of their own: nothing but
//! what this server gives is loaded, asked or embedded, and no text becomes a script. Their addresses are relative, so they ask
//! below `/mlflow`, where the routes that they use are served a second time ([`ASKED`]). They are there for who is signed in; a
//! browser that is not is sent to sign in. What users logged is never a page here: it is sent as bytes to be saved, and what
//! MLflow's pages show of it stands in a frame that the policy holds as well.

use crannog_kit::{
    Answer, Cx, Dialect, Endpoint, Fixture, Method, Mount, Nothing, Registry, Reply, ReplyBody, Route, StatusCode,
};
use crannog_security::actions::metastore;
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Tracking;
use crate::service::ui;

/// Where the pages are.
const PAGE: &str = "/mlflow/";

/// What they ask for, at addresses that are relative to their own.
const ASKED: Mount =
    Mount { below: "/mlflow", paths: &["/ajax-api/", "/graphql", "/get-artifact", "/model-versions/get-artifact"] };

/// Styles are written by scripts, without a hash. Pictures and workers are made of what was loaded (`blob:`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      font-src 'self' data:; connect-src 'self' blob:; worker-src 'self' blob:; frame-src blob:; \
                      manifest-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    registry.add(GetMlflowPage(tracking.clone()));
    registry.add(GetMlflowPageFile(tracking.clone()));
    registry.mount(ASKED);
}

/// The media type of a file, by its name; [`FILES`] has them all.
fn media(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/vnd.microsoft.icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}

const FILES: &[Answer] = &[
    Answer::of(200, "application/octet-stream", "the file, with the media type that its name stands for"),
    Answer::of(200, "text/html", "a page"),
    Answer::of(200, "text/javascript", "a script"),
    Answer::of(200, "text/css", "a style sheet"),
    Answer::of(200, "application/json", "a list"),
    Answer::of(200, "text/plain", "a text"),
    Answer::of(200, "image/svg+xml", "a drawing"),
    Answer::of(200, "image/png", "a picture"),
    Answer::of(200, "image/vnd.microsoft.icon", "an icon"),
    Answer::of(200, "font/woff", "a font"),
    Answer::of(200, "font/woff2", "a font"),
    Answer::of(200, "font/ttf", "a font"),
    Answer::bare(303, "not signed in: to the page to sign in"),
];

fn missing() -> Problem {
    Problem::not_found("MLflow's pages are not there")
        .hint("whoever runs this server adds them with `crannog ui add mlflow`, from an installed mlflow")
}

async fn serve(tracking: &Tracking, cx: &Cx, permit: &Permit<metastore::Read>, path: &str) -> Result<Reply> {
    let accepted = cx.header("accept-encoding").unwrap_or_default();
    let unpacks = accepted.split(',').any(|one| matches!(one.trim(), "gzip" | "*"));
    let storage = &tracking.artifacts.storage;
    let found = ui::find(storage, permit, path, unpacks).await?.ok_or_else(missing)?;
    // The names below `static` have a hash of the content; others stay when it changes.
    let kept = if path.starts_with("static/") { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    let body = ReplyBody::Stream(Box::pin(found.content.map_err(std::io::Error::other)));
    let reply = Reply::new(StatusCode::OK, body)
        .header("content-type", media(path))
        .header("content-length", found.meta.size.to_string())
        .header("content-security-policy", POLICY)
        .header("referrer-policy", "same-origin")
        .header("x-frame-options", "DENY")
        .header("cross-origin-resource-policy", "same-origin")
        .header("cache-control", kept)
        .header("vary", "accept-encoding, cookie");
    Ok(if found.packed { reply.header("content-encoding", "gzip") } else { reply })
}

struct GetMlflowPage(Tracking);

impl Endpoint for GetMlflowPage {
    type Asks = metastore::Read;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route = Route::new(Method::Get, PAGE, Dialect::Html, "Show MLflow's own pages, if they were added.")
        .also(&["/mlflow"])
        .answers(&[
            Answer::of(200, "text/html", "the page"),
            Answer::bare(
                303,
                "to the page to sign in; or from `/mlflow` to `/mlflow/`, as the page's addresses are relative",
            ),
        ]);

    fn asks(&self, _: &Nothing) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, permit: Permit<metastore::Read>, _: Nothing) -> Result<Reply> {
        if !cx.path().ends_with('/') {
            ui::current(&self.0.artifacts.storage, &permit).await?.ok_or_else(missing)?;
            return Ok(Reply::see_other(&format!("{}{PAGE}", cx.base_url())));
        }
        serve(&self.0, cx, &permit, ui::INDEX).await
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Which file.
#[derive(Deserialize, JsonSchema)]
struct PageFileIn {
    /// Its path in the build.
    path: String,
}

struct GetMlflowPageFile(Tracking);

impl Endpoint for GetMlflowPageFile {
    type Asks = metastore::Read;
    type In = PageFileIn;
    type Out = Reply;
    const ROUTE: Route =
        Route::new(Method::Get, "/mlflow/static-files/{*path}", Dialect::Html, "Give a file of MLflow's own pages.")
            .answers(FILES);

    fn asks(&self, _: &PageFileIn) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, permit: Permit<metastore::Read>, input: PageFileIn) -> Result<Reply> {
        serve(&self.0, cx, &permit, &input.path).await
    }

    fn example(_: &Fixture) -> Value {
        json!({ "path": "static/js/main.js" })
    }
}
