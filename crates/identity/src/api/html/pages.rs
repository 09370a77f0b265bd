//! The pages' text and look.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::Reply;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("pages.css");

/// A hut on its piles.
const MARK: &str = "<svg viewBox=\"0 0 24 24\" width=\"26\" height=\"26\" aria-hidden=\"true\"><path d=\"M3 12 12 4l9 8M6 \
     12v3h12v-3M8 15v4M16 15v4M12 15v4M2 20q2.5-2 5 0t5 0 5 0 5 0\" fill=\"none\" stroke=\"currentColor\" \
     stroke-width=\"1.8\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>";

/// A whole page. `body` is HTML, whose parts from outside were escaped.
pub(crate) fn page(title: &str, body: &str) -> Reply {
    page_with(title, body, "")
}

/// A whole page with a script at its end, which is always the same text, so that the policy can name it by its hash.
pub(super) fn page_with(title: &str, body: &str, script: &'static str) -> Reply {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let (script, allowed) = if script.is_empty() {
        (String::new(), String::new())
    } else {
        let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
        (format!("<script>{script}</script>\n"), format!("script-src 'sha256-{hash}'; "))
    };
    // A sign-in may go on to a client on the same machine; browsers hold redirects of forms to form-action.
    let policy = format!(
        "default-src 'none'; {allowed}style-src 'sha256-{hash}'; form-action 'self' http://localhost:* http://127.0.0.1:*; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} · Crannog</title>\n<style>{STYLE}</style></head>\n\
         <body>\n<header>{MARK}<span>Crannog</span></header>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n{script}</body>\n</html>\n"
    );
    Reply::html(text)
        .header("content-security-policy", policy)
        .header("cache-control", "no-store")
        .header("referrer-policy", "same-origin")
        .header("x-frame-options", "DENY")
}

/// What went wrong, above a form.
pub(crate) fn problem(text: Option<&str>) -> String {
    text.map(|text| format!("<p class=\"problem\" role=\"alert\">{}</p>\n", escape(text))).unwrap_or_default()
}

/// How clients are told of this server. With `None` for the token, a placeholder stands there.
pub(super) fn clients(base_url: &str, token: Option<&str>) -> String {
    let (host, token) = (escape(base_url), escape(token.unwrap_or("<your token>")));
    let https = base_url.starts_with("https://");
    let polars = if https { "" } else { ", require_https=False" };
    let trust = if https {
        "<p class=\"note\">If a client does not trust this server's certificate: <code>crannog trust</code> writes the \
         authority's, and prints what to set.</p>\n"
    } else {
        ""
    };
    format!(
        "<h2>Connect with a token</h2>\n\
         <p>One click selects a whole box.</p>\n{trust}\
         <h3>Shell, for crannog and databricks-sdk</h3>\n\
         <pre>export DATABRICKS_HOST={host}\nexport DATABRICKS_TOKEN={token}</pre>\n\
         <h3>databricks-sdk</h3>\n\
         <pre>from databricks.sdk import WorkspaceClient\n\n\
         w = WorkspaceClient(host=\"{host}\", token=\"{token}\")\nprint(w.current_user.me().user_name)</pre>\n\
         <h3>polars</h3>\n\
         <pre>import polars as pl\n\n\
         catalog = pl.Catalog(\"{host}\", bearer_token=\"{token}\"{polars})\nprint(catalog.list_catalogs())</pre>\n\
         <h3>mlflow</h3>\n\
         <pre>export MLFLOW_TRACKING_URI={host}\nexport MLFLOW_TRACKING_TOKEN={token}</pre>"
    )
}

/// Text as it may stand in HTML, attributes included.
pub(crate) fn escape(text: &str) -> String {
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
