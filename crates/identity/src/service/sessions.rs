//! Signing in with a browser: passwords, sessions, the one-time set-up code.
//!
//! These act before there is a caller, so their audit rows name the person themselves.

use std::sync::Arc;

use crannog_security::{Origin, Who};
use crannog_store::{Audit, AuditEvent, Tx, params};
use crannog_types::{Code, Problem, Result};

use crate::Identity;
use crate::model::credentials::{self, CredentialKind, Secret, hex};
use crate::service::principals::end_sessions;
use crate::service::signin::authenticate_task;
use crate::service::tokens::{NewToken, insert_token};
use crate::service::ways::{Way, is_allowed};

/// How long a browser stays signed in.
pub(crate) const SESSION_SECONDS: i64 = 24 * 3_600;

/// What a used set-up code gave.
pub(crate) struct SetUp {
    pub(crate) who: Who,
    pub(crate) session: Secret,
    /// `None`: they may not use tokens.
    pub(crate) token: Option<Secret>,
}

impl Identity {
    /// Begins a change that somebody makes by proving who they are, with its audit row.
    pub(crate) async fn signing_in(&self, who: &Who, origin: &Arc<Origin>, what: Audit) -> Result<Tx> {
        let mut tx = self.db.write_unaudited(&authenticate_task()).await?;
        record_sign_in(&mut tx, who, origin, what).await?;
        Ok(tx)
    }

    /// A session for a name and a password.
    pub(crate) async fn sign_in(&self, name: &str, password: &str, origin: &Arc<Origin>) -> Result<(Who, Secret)> {
        let who = self.by_password(name, password, origin.source_ip.as_deref()).await?;
        let audit = Audit::of("accounts", "login").with("authenticationMethod", "PASSWORD");
        let mut tx = self.signing_in(&who, origin, audit).await?;
        let session = insert_session(&mut tx, &who).await?;
        tx.commit().await?;
        Ok((who, session))
    }

    /// The person of a session.
    pub(crate) async fn session_owner(&self, session: &str) -> Result<Option<Who>> {
        self.owner_of_token(session, &[CredentialKind::Session]).await
    }

    /// Ends a session; it is out at the next request.
    pub(crate) async fn sign_out(&self, session: &str, origin: &Arc<Origin>) -> Result<()> {
        let Some(who) = self.session_owner(session).await? else { return Ok(()) };
        let mut tx = self.signing_in(&who, origin, Audit::of("accounts", "logout")).await?;
        let hash = hex(&credentials::hash(session));
        tx.run("DELETE FROM token WHERE kind = 'session' AND hash = $1", params![hash]).await?;
        tx.bump().await?;
        Ok(tx.commit().await?)
    }

    /// Whose set-up code this is, while it can be used.
    pub(crate) async fn setup_owner(&self, code: &str, source_ip: Option<&str>) -> Result<Who> {
        let sql = "SELECT p.id, p.name FROM setup_code s JOIN principal p ON p.id = s.principal \
             WHERE s.hash = $1 AND s.expires_at > $2 AND p.active = 1 AND EXISTS (SELECT 1 FROM authorization_grant a \
             JOIN closure c ON c.principal = a.principal WHERE a.way = 'passwords' AND c.member = p.id)";
        let row = match credentials::read(code) {
            Some((CredentialKind::SetUp, hash)) => {
                self.db.read(&authenticate_task()).row(sql, params![hex(&hash), self.db.now()]).await?
            }
            _ => None,
        };
        match row {
            Some(row) => Ok(Who { id: row.principal(0)?, name: row.text(1)?.into() }),
            None => {
                let refused = self.refuse(None, source_ip).await;
                if refused.code() == Code::ResourceExhausted {
                    return Err(refused);
                }
                Err(Problem::new(Code::Unauthenticated, "this set-up link is used, too old, or not one of ours").hint(
                    "an administrator can make a new one; `crannog token create --admin` always works on the machine",
                ))
            }
        }
    }

    /// Uses a set-up code: the password is set, every older session ends, and there is a first token.
    pub(crate) async fn set_up(&self, code: &str, password: &str, origin: &Arc<Origin>) -> Result<SetUp> {
        let who = self.setup_owner(code, origin.source_ip.as_deref()).await?;
        let hash = self.passwords.make(password).await?;
        let mut tx = self.signing_in(&who, origin, Audit::of("accounts", "changePassword")).await?;
        let used = "DELETE FROM setup_code WHERE hash = $1";
        if tx.run(used, params![hex(&credentials::hash(code))]).await? == 0 {
            return Err(Problem::new(Code::Unauthenticated, "this set-up link is used"));
        }
        let sql = "INSERT INTO password (principal, hash, changed_at) VALUES ($1, $2, $3) \
             ON CONFLICT (principal) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at";
        tx.run(sql, params![who.id, hash, tx.now()]).await?;
        end_sessions(&mut tx, who.id).await?;
        let session = insert_session(&mut tx, &who).await?;
        let new = NewToken {
            kind: CredentialKind::Personal,
            owner: who.id,
            comment: Some("made when the password was set".to_owned()),
            family: None,
            expires_at: None,
        };
        let token = if is_allowed(&mut tx, Way::Tokens, who.id).await? {
            Some(insert_token(&mut tx, new, Some(&who)).await?.0)
        } else {
            None
        };
        tx.commit().await?;
        Ok(SetUp { who, session, token })
    }
}

/// The audit row of a sign-in; what has expired goes on the way.
pub(crate) async fn record_sign_in(tx: &mut Tx, who: &Who, origin: &Arc<Origin>, what: Audit) -> Result<()> {
    let now = tx.now();
    let (who, origin) = (Some(who.clone()), Some(Arc::clone(origin)));
    tx.record(&AuditEvent { at: now, who, origin, what, status: 200, error: None }).await?;
    tx.run("DELETE FROM token WHERE kind <> 'personal' AND expires_at <= $1", params![now]).await?;
    tx.run("DELETE FROM oauth_grant WHERE expires_at <= $1", params![now]).await?;
    tx.run("DELETE FROM setup_code WHERE expires_at <= $1", params![now]).await?;
    Ok(())
}

async fn insert_session(tx: &mut Tx, who: &Who) -> Result<Secret> {
    let new = NewToken {
        kind: CredentialKind::Session,
        owner: who.id,
        comment: None,
        family: None,
        expires_at: Some(tx.now().plus_seconds(SESSION_SECONDS)),
    };
    Ok(insert_token(tx, new, Some(who)).await?.0)
}
