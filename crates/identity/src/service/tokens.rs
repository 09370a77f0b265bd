//! Personal access tokens: make, list, revoke.
//!
//! The text of a token leaves the program once, in the answer that made it.

use crannog_security::actions::metastore;
use crannog_security::{Permit, Who};
use crannog_store::{Audit, Row, Tx, params};
use crannog_types::{Micros, PrincipalId, Problem, Result};
use uuid::Uuid;

use crate::Identity;
use crate::errors::IdentityError;
use crate::model::credentials::{CredentialKind, Secret};
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::bootstrap::bootstrap_task;
use crate::service::ways::check_tokens;

/// What is known of a token, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub owner: PrincipalId,
    /// What its maker wrote about it.
    pub comment: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// Who made it; `None` for the program.
    pub created_by: Option<PrincipalId>,
    /// Their name.
    pub created_by_name: String,
    /// When it ends; `None`: never.
    pub expires_at: Option<Micros>,
}

/// The longest lifetime that can be asked for: a hundred years.
const LONGEST: i64 = 100 * 366 * 24 * 3_600;

/// Databricks' limit of tokens a person.
const MOST: i64 = 600;

const LONGEST_COMMENT: usize = 1_000;

const INFO: &str = "SELECT id, principal, comment, created_at, created_by, created_by_name, expires_at FROM token \
     WHERE kind = 'personal' AND (expires_at IS NULL OR expires_at > $1) ORDER BY created_at, id";
const INFO_OF: &str = "SELECT id, principal, comment, created_at, created_by, created_by_name, expires_at FROM token \
     WHERE kind = 'personal' AND (expires_at IS NULL OR expires_at > $1) AND principal = $2 ORDER BY created_at, id";
const INFO_ONE: &str = "SELECT id, principal, comment, created_at, created_by, created_by_name, expires_at FROM token \
     WHERE kind = 'personal' AND (expires_at IS NULL OR expires_at > $1) AND id = $2";

fn info(row: &Row) -> Result<TokenInfo, Problem> {
    Ok(TokenInfo {
        id: row.text(0)?,
        owner: row.principal(1)?,
        comment: row.opt_text(2)?,
        created_at: row.micros(3)?,
        created_by: row.opt_int(4)?.map(PrincipalId),
        created_by_name: row.text(5)?,
        expires_at: row.opt_int(6)?.map(Micros),
    })
}

pub(crate) struct NewToken {
    pub(crate) kind: CredentialKind,
    pub(crate) owner: PrincipalId,
    pub(crate) comment: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) expires_at: Option<Micros>,
}

pub(crate) async fn insert_token(tx: &mut Tx, new: NewToken, by: Option<&Who>) -> Result<(Secret, TokenInfo)> {
    if new.kind == CredentialKind::Personal {
        let count = "SELECT count(*) FROM token WHERE principal = $1 AND kind = 'personal' \
             AND (expires_at IS NULL OR expires_at > $2)";
        let count = tx.row(count, params![new.owner, tx.now()]).await?.map(|row| row.int(0)).transpose()?;
        if count.unwrap_or(0) >= MOST {
            return Err(IdentityError::Limit(format!("one person has at most {MOST} tokens")).into());
        }
        if new.comment.as_ref().is_some_and(|comment| comment.len() > LONGEST_COMMENT) {
            return Err(Problem::invalid(format!("the comment has more than {LONGEST_COMMENT} bytes")));
        }
    }
    let secret = Secret::new(new.kind)?;
    let made = TokenInfo {
        id: Uuid::now_v7().simple().to_string(),
        owner: new.owner,
        comment: new.comment,
        created_at: tx.now(),
        created_by: by.map(|who| who.id),
        created_by_name: by.map_or_else(|| tx.author(), |who| who.name.to_string()),
        expires_at: new.expires_at,
    };
    let sql = "INSERT INTO token (id, kind, hash, principal, comment, family, created_at, created_by, created_by_name, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = params![
        made.id.clone(),
        new.kind.word(),
        secret.hash(),
        made.owner,
        made.comment.clone(),
        new.family,
        made.created_at,
        made.created_by,
        made.created_by_name.clone(),
        made.expires_at,
    ];
    tx.run(sql, values).await?;
    Ok((secret, made))
}

/// The moment that a lifetime ends; no lifetime, 0 and -1 mean never.
pub(crate) fn expiry(now: Micros, lifetime_seconds: Option<i64>) -> Result<Option<Micros>> {
    match lifetime_seconds {
        None | Some(0 | -1) => Ok(None),
        Some(seconds) if (1..=LONGEST).contains(&seconds) => Ok(Some(now.plus_seconds(seconds))),
        Some(seconds) => Err(Problem::invalid(format!("lifetime_seconds is {seconds}")).hint(
            "give a number of seconds of at most a hundred years, or leave it out for a token that does not end",
        )),
    }
}

impl Identity {
    /// A token for the caller.
    pub async fn create_token(
        &self,
        permit: &Permit<metastore::Work>,
        comment: Option<String>,
        lifetime_seconds: Option<i64>,
    ) -> Result<(Secret, TokenInfo)> {
        let who = permit.who().clone();
        let audit = Audit::of("accounts", "generateDbToken").with("tokenOwner", &*who.name);
        let mut tx = self.db.write(permit, audit).await?;
        let new = NewToken {
            kind: CredentialKind::Personal,
            owner: who.id,
            comment,
            family: None,
            expires_at: expiry(tx.now(), lifetime_seconds)?,
        };
        check_tokens(&mut tx, who.id).await?;
        let made = insert_token(&mut tx, new, Some(&who)).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// A token for somebody else: an active user or service principal.
    pub async fn create_token_for(
        &self,
        permit: &Permit<metastore::Administer>,
        owner: &Principal,
        comment: Option<String>,
        lifetime_seconds: Option<i64>,
    ) -> Result<(Secret, TokenInfo)> {
        if owner.kind == PrincipalKind::Group || !owner.active {
            return Err(Problem::invalid(format!("{} is a group or inactive, and cannot have a token", owner.name)));
        }
        let audit = Audit::of("accounts", "generateDbToken").with("tokenOwner", owner.name.as_str());
        let mut tx = self.db.write(permit, audit).await?;
        let new = NewToken {
            kind: CredentialKind::Personal,
            owner: owner.id,
            comment,
            family: None,
            expires_at: expiry(tx.now(), lifetime_seconds)?,
        };
        check_tokens(&mut tx, new.owner).await?;
        let made = insert_token(&mut tx, new, Some(permit.who())).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// A further token for an administrator, for whoever can write the data folder: replaces a lost one.
    ///
    /// # Errors
    /// When no active user is left in the group `admins`.
    pub async fn create_admin_token(&self) -> Result<Secret> {
        let sql = "SELECT p.id, p.name FROM closure c JOIN principal p ON p.id = c.member \
             WHERE c.principal = $1 AND p.kind = 'user' AND p.active = 1 ORDER BY p.created_at, p.id LIMIT 1";
        let row = self.db.read(&bootstrap_task()).row(sql, params![self.ground.admins]).await?;
        let row = row.ok_or(IdentityError::LastAdministrator)?;
        let (owner, name) = (row.principal(0)?, row.text(1)?);
        let audit = Audit::of("accounts", "generateDbToken").with("tokenOwner", name);
        let mut tx = self.db.write(&bootstrap_task(), audit).await?;
        let comment = Some("made on the machine".to_owned());
        let new = NewToken { kind: CredentialKind::Personal, owner, comment, family: None, expires_at: None };
        let (secret, _) = insert_token(&mut tx, new, None).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// The caller's tokens that are in force, oldest first.
    pub async fn own_tokens(&self, permit: &Permit<metastore::Read>) -> Result<Vec<TokenInfo>> {
        let rows = self.db.read(permit).rows(INFO_OF, params![self.db.now(), permit.who().id]).await?;
        rows.iter().map(info).collect()
    }

    /// Everybody's tokens that are in force, oldest first.
    pub async fn all_tokens(&self, permit: &Permit<metastore::Administer>) -> Result<Vec<TokenInfo>> {
        let rows = self.db.read(permit).rows(INFO, params![self.db.now()]).await?;
        rows.iter().map(info).collect()
    }

    /// One token of anybody.
    pub async fn token(&self, permit: &Permit<metastore::Administer>, id: &str) -> Result<TokenInfo> {
        let row = self.db.read(permit).row(INFO_ONE, params![self.db.now(), id]).await?;
        info(&row.ok_or_else(|| IdentityError::NoToken(id.to_owned()))?)
    }

    /// Revokes a token of the caller's; it is refused at the next request.
    pub async fn revoke_own_token(&self, permit: &Permit<metastore::Work>, id: &str) -> Result<()> {
        let audit = Audit::of("accounts", "revokeDbToken").with("tokenId", id);
        let mut tx = self.db.write_moving(permit, audit).await?;
        let sql = "DELETE FROM token WHERE id = $1 AND kind = 'personal' AND principal = $2";
        if tx.run(sql, params![id, permit.who().id]).await? == 0 {
            return Err(IdentityError::NoToken(id.to_owned()).into());
        }
        tx.bump().await?;
        Ok(tx.commit().await?)
    }

    /// Revokes anybody's token; it is refused at the next request.
    pub async fn revoke_token(&self, permit: &Permit<metastore::Administer>, id: &str) -> Result<()> {
        let audit = Audit::of("accounts", "revokeDbToken").with("tokenId", id);
        let mut tx = self.db.write_moving(permit, audit).await?;
        if tx.run("DELETE FROM token WHERE id = $1 AND kind = 'personal'", params![id]).await? == 0 {
            return Err(IdentityError::NoToken(id.to_owned()).into());
        }
        tx.bump().await?;
        Ok(tx.commit().await?)
    }

    /// Changes what is written about a token.
    pub async fn comment_own_token(&self, permit: &Permit<metastore::Work>, id: &str, comment: &str) -> Result<()> {
        let audit = Audit::of("accounts", "updateDbToken").with("tokenId", id).with("comment", comment);
        let mut tx = self.db.write(permit, audit).await?;
        let sql = "UPDATE token SET comment = $1 WHERE id = $2 AND kind = 'personal' AND principal = $3";
        if tx.run(sql, params![comment, id, permit.who().id]).await? == 0 {
            return Err(IdentityError::NoToken(id.to_owned()).into());
        }
        Ok(tx.commit().await?)
    }
}
