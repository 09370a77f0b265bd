//! OAuth 2.0: client credentials for programs, authorization codes with PKCE for people, refresh tokens that rotate.
//!
//! The one public client is `databricks-cli`, which databricks-sdk is by default; its redirects go to this machine's own
//! ports 8020 to 8025. A code or a refresh token is good once; used again, everything of that sign-in ends (RFC 9700 §4.14).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crannog_security::{Origin, Who};
use crannog_store::{Audit, Tx, params};
use crannog_types::{Problem, Result, fold};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::Identity;
use crate::model::credentials::{self, CredentialKind, Secret, hex};
use crate::model::limiter::Suspect;
use crate::service::sessions::record_sign_in;
use crate::service::signin::authenticate_task;
use crate::service::tokens::{NewToken, insert_token};

/// The client that databricks-sdk is when nobody tells it otherwise.
pub(crate) const PUBLIC_CLIENT: &str = "databricks-cli";
/// How long an access token is good.
pub(crate) const ACCESS_SECONDS: i64 = 3_600;
const CODE_SECONDS: i64 = 60;
const REFRESH_SECONDS: i64 = 30 * 24 * 3_600;

/// What the token endpoint gives.
pub(crate) struct Issued {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    pub(crate) scope: String,
}

/// What an authorization code was asked for with.
pub(crate) struct Authorization<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) challenge: &'a str,
    /// Of [`scopes`].
    pub(crate) scope: String,
}

/// Asks for a refresh token.
pub(crate) const OFFLINE: &str = "offline_access";
const EVERYTHING: &str = "all-apis";

/// The scopes that a token gets for those that were asked for. Every token may do what its owner may, so `all-apis` is
/// always among them.
///
/// # Errors
/// `invalid_scope` for one that there is not: a client that asks for less must not get more without knowing.
pub(crate) fn scopes(asked: Option<&str>) -> Result<String> {
    let mut offline = false;
    for scope in asked.unwrap_or_default().split_ascii_whitespace() {
        match scope {
            EVERYTHING => {}
            OFFLINE => offline = true,
            // The text goes into addresses too, where RFC 6749 §4.1.2.1 allows few signs: the scope is not repeated.
            _ => {
                return Err(Problem::invalid(format!(
                    "the scopes are {EVERYTHING} and {OFFLINE}; another was asked for"
                ))
                .reason("invalid_scope"));
            }
        }
    }
    Ok(if offline { format!("{EVERYTHING} {OFFLINE}") } else { EVERYTHING.to_owned() })
}

/// Whether the public client may be sent to this address: its own machine, ports 8020 to 8025.
pub(crate) fn is_redirect(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://localhost:").or_else(|| uri.strip_prefix("http://127.0.0.1:")) else {
        return false;
    };
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    path.is_empty() && matches!(port, "8020" | "8021" | "8022" | "8023" | "8024" | "8025")
}

/// Whether this is a challenge of PKCE's S256: 43 digits of base64url.
pub(crate) fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn invalid_grant(why: &str) -> Problem {
    Problem::invalid(why).reason("invalid_grant").hint("sign in again")
}

struct Granted {
    who: Who,
    client: String,
    redirect_uri: String,
    challenge: String,
    scope: String,
    family: String,
}

impl Identity {
    /// An access token for a service principal's id and secret.
    ///
    /// # Errors
    /// The same for every reason. A right secret is never locked out.
    pub(crate) async fn client_credentials(
        &self,
        client: &str,
        secret: &str,
        scope: &str,
        origin: &Arc<Origin>,
    ) -> Result<Issued> {
        let sql = "SELECT p.id, p.name FROM oauth_secret s JOIN principal p ON p.id = s.principal \
             WHERE s.hash = $1 AND p.folded = $2 AND s.expires_at > $3 AND p.active = 1";
        let row = match credentials::read(secret) {
            Some((CredentialKind::Client, hash)) => {
                let values = params![hex(&hash), fold(client), self.db.now()];
                self.db.read(&authenticate_task()).row(sql, values).await?
            }
            _ => None,
        };
        let Some(row) = row else {
            let account = Suspect::Account(fold(client));
            return Err(self.refuse(Some(account), origin.source_ip.as_deref()).await);
        };
        let who = Who { id: row.principal(0)?, name: row.text(1)?.into() };
        let audit = Audit::of("accounts", "oidcTokenAuthorization").with("grant_type", "client_credentials");
        let mut tx = self.signing_in(&who, origin, audit).await?;
        let issued = issue(&mut tx, &who, client, scope, None, false).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// A code for somebody who is signed in and has allowed it, to be taken to the client that asked.
    pub(crate) async fn authorize(&self, who: &Who, asked: &Authorization<'_>, origin: &Arc<Origin>) -> Result<Secret> {
        let audit = Audit::of("accounts", "oidcBrowserLogin")
            .with("client_id", PUBLIC_CLIENT)
            .with("redirect_uri", asked.redirect_uri)
            .with("scope", asked.scope.as_str());
        let mut tx = self.signing_in(who, origin, audit).await?;
        let code = Secret::new(CredentialKind::Client)?;
        let sql = "INSERT INTO oauth_grant (hash, kind, principal, client, redirect_uri, challenge, scope, family, \
             expires_at) VALUES ($1, 'code', $2, $3, $4, $5, $6, $7, $8)";
        let values = params![
            code.hash(),
            who.id,
            PUBLIC_CLIENT,
            asked.redirect_uri,
            asked.challenge,
            asked.scope.clone(),
            Uuid::now_v7().to_string(),
            tx.now().plus_seconds(CODE_SECONDS),
        ];
        tx.run(sql, values).await?;
        tx.commit().await?;
        Ok(code)
    }

    /// Tokens for an authorization code.
    pub(crate) async fn exchange_code(
        &self,
        client: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        origin: &Arc<Origin>,
    ) -> Result<Issued> {
        let (tx, granted) = self.use_grant("code", code, origin).await?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let proved = (43..=128).contains(&verifier.len())
            && bool::from(challenge.as_bytes().ct_eq(granted.challenge.as_bytes()));
        if granted.client != client || granted.redirect_uri != redirect_uri || !proved {
            // Whoever has the code without the rest has stolen it: it stays used up.
            tx.commit().await?;
            return Err(invalid_grant("the code was made for another client, redirect or verifier"));
        }
        finish(tx, &granted, "authorization_code", origin).await
    }

    /// New tokens for a refresh token, which is then used up.
    pub(crate) async fn refresh(&self, client: &str, refresh: &str, origin: &Arc<Origin>) -> Result<Issued> {
        let (tx, granted) = self.use_grant("refresh", refresh, origin).await?;
        if granted.client != client {
            tx.commit().await?;
            return Err(invalid_grant("the refresh token was made for another client"));
        }
        finish(tx, &granted, "refresh_token", origin).await
    }

    /// Marks a code or a refresh token as used, in the transaction that is given back.
    async fn use_grant(&self, kind: &'static str, text: &str, origin: &Arc<Origin>) -> Result<(Tx, Granted)> {
        let wanted = if kind == "code" { CredentialKind::Client } else { CredentialKind::Refresh };
        let unknown = || invalid_grant("the code or refresh token is used, too old, or not one of ours");
        let Some((_, hash)) = credentials::read(text).filter(|(found, _)| *found == wanted) else {
            return Err(self.refuse_grant(unknown(), origin).await);
        };
        let hash = hex(&hash);
        let mut tx = self.db.write_unaudited(&authenticate_task()).await?;
        let sql = "SELECT p.id, p.name, g.client, g.redirect_uri, g.challenge, g.scope, g.family, g.used_at, \
             g.expires_at, p.active FROM oauth_grant g JOIN principal p ON p.id = g.principal \
             WHERE g.hash = $1 AND g.kind = $2";
        let Some(row) = tx.row(sql, params![hash.clone(), kind]).await? else {
            drop(tx);
            return Err(self.refuse_grant(unknown(), origin).await);
        };
        let granted = Granted {
            who: Who { id: row.principal(0)?, name: row.text(1)?.into() },
            client: row.text(2)?,
            redirect_uri: row.text(3)?,
            challenge: row.text(4)?,
            scope: row.text(5)?,
            family: row.text(6)?,
        };
        if row.opt_int(7)?.is_some() {
            let audit = Audit::of("accounts", "oidcTokenReuse").with("client_id", granted.client.as_str());
            record_sign_in(&mut tx, &granted.who, origin, audit).await?;
            tx.run("DELETE FROM token WHERE family = $1", params![granted.family.clone()]).await?;
            tx.run("DELETE FROM oauth_grant WHERE family = $1", params![granted.family.clone()]).await?;
            tx.bump().await?;
            tx.commit().await?;
            return Err(invalid_grant("the code or refresh token was used twice, so this sign-in has ended"));
        }
        if row.micros(8)? <= tx.now() || !row.flag(9)? {
            return Err(unknown());
        }
        tx.run("UPDATE oauth_grant SET used_at = $2 WHERE hash = $1", params![hash, tx.now()]).await?;
        Ok((tx, granted))
    }

    async fn refuse_grant(&self, problem: Problem, origin: &Arc<Origin>) -> Problem {
        let refused = self.refuse(None, origin.source_ip.as_deref()).await;
        if refused.code() == crannog_types::Code::ResourceExhausted { refused } else { problem }
    }
}

async fn finish(mut tx: Tx, granted: &Granted, grant: &'static str, origin: &Arc<Origin>) -> Result<Issued> {
    let audit = Audit::of("accounts", "oidcTokenAuthorization")
        .with("grant_type", grant)
        .with("client_id", granted.client.as_str());
    record_sign_in(&mut tx, &granted.who, origin, audit).await?;
    let again = granted.scope.split(' ').any(|scope| scope == OFFLINE);
    let family = Some(granted.family.as_str());
    let issued = issue(&mut tx, &granted.who, &granted.client, &granted.scope, family, again).await?;
    tx.commit().await?;
    Ok(issued)
}

async fn issue(tx: &mut Tx, who: &Who, client: &str, scope: &str, family: Option<&str>, again: bool) -> Result<Issued> {
    let new = NewToken {
        kind: CredentialKind::OAuth,
        owner: who.id,
        comment: Some(format!("oauth for {}", client.chars().take(100).collect::<String>())),
        family: family.map(str::to_owned),
        expires_at: Some(tx.now().plus_seconds(ACCESS_SECONDS)),
    };
    let (access, _) = insert_token(tx, new, Some(who)).await?;
    let refresh = match family.filter(|_| again) {
        None => None,
        Some(family) => {
            let refresh = Secret::new(CredentialKind::Refresh)?;
            let sql = "INSERT INTO oauth_grant (hash, kind, principal, client, redirect_uri, challenge, scope, family, \
                 expires_at) VALUES ($1, 'refresh', $2, $3, '', '', $4, $5, $6)";
            let expires = tx.now().plus_seconds(REFRESH_SECONDS);
            tx.run(sql, params![refresh.hash(), who.id, client, scope, family, expires]).await?;
            Some(refresh)
        }
    };
    Ok(Issued { access, refresh, scope: scope.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_ones() {
        assert_eq!(scopes(None).unwrap(), "all-apis");
        assert_eq!(scopes(Some("offline_access")).unwrap(), "all-apis offline_access");
        assert_eq!(scopes(Some(" all-apis  offline_access all-apis")).unwrap(), "all-apis offline_access");
        assert_eq!(scopes(Some("all-apis sql")).unwrap_err().vendor_reason(), Some("invalid_scope"));
    }

    #[test]
    fn redirects_stay_on_the_machine() {
        for good in ["http://localhost:8020", "http://localhost:8025/", "http://127.0.0.1:8021"] {
            assert!(is_redirect(good), "{good}");
        }
        for bad in [
            "http://localhost:8019",
            "http://localhost:80200",
            "https://localhost:8020",
            "http://localhost:8020@evil.example",
            "http://localhost:8020.evil.example/",
            "http://localhost.evil.example:8020",
            "http://localhost:8020/x",
            "http://evil.example",
            "",
        ] {
            assert!(!is_redirect(bad), "{bad}");
        }
    }
}
