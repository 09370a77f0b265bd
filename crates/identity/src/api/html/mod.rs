//! Pages for people: start, sign in, set up, sign out. Rendered here; the start page has one script of a line, no other has any.
//!
//! The Content-Security-Policy allows the one style sheet, and that script, by their hashes and nothing else. What a person or a client sent is
//! escaped wherever it is shown. Forms are taken from our own pages alone.

mod home;
mod login;
pub(crate) mod pages;
mod setup;

use std::sync::Arc;

use crannog_kit::http::SESSION_COOKIE;
use crannog_kit::{Cx, Registry, Reply};
use crannog_types::{Code, Problem, Result};

use crate::Identity;
use crate::model::credentials::Secret;
use crate::service::sessions::SESSION_SECONDS;

pub(crate) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    home::endpoints(registry, identity);
    login::endpoints(registry, identity);
    setup::endpoints(registry, identity);
}

/// The session that a browser sent.
pub(crate) fn session_cookie(cx: &Cx) -> Option<&str> {
    let pairs = cx.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value).next()
}

/// An answer that signs a browser in.
fn with_session(reply: Reply, cx: &Cx, session: &Secret) -> Reply {
    reply.header("set-cookie", cookie(cx, session.reveal(), SESSION_SECONDS))
}

/// An answer that signs a browser out.
fn without_session(reply: Reply, cx: &Cx) -> Reply {
    reply.header("set-cookie", cookie(cx, "", 0))
}

fn cookie(cx: &Cx, value: &str, seconds: i64) -> String {
    let secure = if cx.base_url().starts_with("https://") { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// Refuses a form that another site's page sent.
pub(crate) fn from_our_pages(cx: &Cx) -> Result<()> {
    let ours = match cx.header("origin") {
        // `null`, and anything else that names no host, is another site.
        Some(origin) => origin.split_once("://").is_some_and(|(_, host)| cx.header("host") == Some(host)),
        None => cx.header("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none"),
    };
    if ours {
        return Ok(());
    }
    Err(Problem::new(Code::PermissionDenied, "this form comes from another site"))
}

/// The path of one of our pages as the browser sees it: below the base path of `public_url`. Not the whole address, as the
/// browser may have come by another of the server's names.
pub(crate) fn here(cx: &Cx, path: &str) -> String {
    let (_, rest) = cx.base_url().split_once("://").unwrap_or_default();
    format!("{}{path}", rest.find('/').map_or("", |slash| &rest[slash..]))
}

/// A place on this server to go to after signing in; anything else is the start page.
fn local(next: Option<&str>) -> &str {
    let is_local = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && !next.contains('\\')
            && !next.bytes().any(|byte| byte.is_ascii_control())
    };
    next.filter(is_local).unwrap_or("/")
}

/// Percent-encodes what may not stand in a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_here_are_gone_to() {
        assert_eq!(local(Some("/oidc/v1/authorize?a=b")), "/oidc/v1/authorize?a=b");
        for bad in ["//evil.example", "https://evil.example", "/\\evil.example", "/\tx", "", "evil"] {
            assert_eq!(local(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(encode("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }
}
