//! The pages' text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::Reply;
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:4rem auto;padding:0 1rem;color:#1c2b2d;\
background:#f7f8f6}h1{font-size:1.5rem}label{display:block;margin:1rem 0 .25rem}input{font:inherit;padding:.5rem;\
width:100%;max-width:24rem;box-sizing:border-box;border:1px solid #8a9a9b;border-radius:4px}button{font:inherit;\
margin-top:1.25rem;padding:.5rem 1.25rem;border:0;border-radius:4px;background:#1f5f5b;color:#fff;cursor:pointer}\
pre{background:#fff;border:1px solid #cdd6d3;border-radius:4px;padding:.75rem;overflow:auto;user-select:all}\
.problem{border-left:4px solid #b3261e;padding:.5rem .75rem;background:#fff}\
@media(prefers-color-scheme:dark){body{background:#15201f;color:#e3e9e7}pre,.problem{background:#1d2b2a}\
input{background:#1d2b2a;color:inherit}}";

/// A whole page. `body` is HTML, whose parts from outside were escaped.
pub(super) fn page(title: &str, body: &str) -> Reply {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    // A sign-in may go on to a client on the same machine; browsers hold redirects of forms to form-action.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' http://localhost:* http://127.0.0.1:*; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} · Crannog</title>\n<style>{STYLE}</style></head>\n\
         <body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    Reply::html(text)
        .header("content-security-policy", policy)
        .header("cache-control", "no-store")
        .header("referrer-policy", "same-origin")
        .header("x-frame-options", "DENY")
}

/// What went wrong, above a form.
pub(super) fn problem(text: Option<&str>) -> String {
    text.map(|text| format!("<p class=\"problem\" role=\"alert\">{}</p>\n", escape(text))).unwrap_or_default()
}

/// How clients are told of this server. With `None` for the token, a placeholder stands there.
pub(super) fn clients(base_url: &str, token: Option<&str>) -> String {
    let (host, token) = (escape(base_url), escape(token.unwrap_or("<your token>")));
    let polars = if base_url.starts_with("https://") { "" } else { ", require_https=False" };
    format!(
        "<h2>In a shell, for databricks-sdk, mlflow and crannog</h2>\n\
         <pre>export DATABRICKS_HOST={host}\nexport DATABRICKS_TOKEN={token}</pre>\n\
         <h2>databricks-sdk</h2>\n\
         <pre>from databricks.sdk import WorkspaceClient\n\n\
         w = WorkspaceClient(host=\"{host}\", token=\"{token}\")\nprint(w.current_user.me().user_name)</pre>\n\
         <h2>mlflow</h2>\n\
         <pre>import mlflow\n\nmlflow.set_tracking_uri(\"databricks\")</pre>\n\
         <h2>polars</h2>\n\
         <pre>import polars as pl\n\n\
         catalog = pl.Catalog(\"{host}\", bearer_token=\"{token}\"{polars})\nprint(catalog.list_catalogs())</pre>"
    )
}

/// Text as it may stand in HTML, attributes included.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}
