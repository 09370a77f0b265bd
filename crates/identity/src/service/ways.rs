//! Who may prove who they are with personal access tokens, and who with a password: Databricks' permissions on
//! `authorization/tokens` and `authorization/passwords`.
//!
//! At first everybody may. Whoever loses it keeps their tokens and password, but they are not taken from the next request
//! on. Administrators can never lose it, or nobody could give it back; OAuth is open to everybody.

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Audit, Tx, params};
use crannog_types::{Code, PrincipalId, Problem, Result};

use crate::Identity;
use crate::model::principals::{Principal, principal_columns};
use crate::service::principals::named_in_transaction;

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Personal access tokens.
    Tokens,
    /// Name and password, and the browser sessions that begin with them.
    Passwords,
}

impl Way {
    /// `tokens`: in the API's path and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Way::Tokens => "tokens",
            Way::Passwords => "passwords",
        }
    }

    /// The way of a word.
    pub fn of_word(word: &str) -> Option<Way> {
        [Way::Tokens, Way::Passwords].into_iter().find(|way| way.word() == word)
    }
}

const GRANTED: &str = principal_columns!(
    "FROM principal p JOIN authorization_grant a ON a.principal = p.id WHERE a.way = $1 ORDER BY p.id"
);

impl Identity {
    /// Who may use a way, and whether they cannot lose it.
    pub async fn users_of_way(&self, permit: &Permit<metastore::Read>, way: Way) -> Result<Vec<(Principal, bool)>> {
        let rows = self.db.read(permit).rows(GRANTED, params![way.word()]).await?;
        self.with_fixed(&rows)
    }

    fn with_fixed(&self, rows: &[crannog_store::Row]) -> Result<Vec<(Principal, bool)>> {
        let one = |row| {
            let principal = Principal::read(row)?;
            let fixed = principal.id == self.ground.admins;
            Ok((principal, fixed))
        };
        rows.iter().map(one).collect()
    }

    /// Lets these use a way; with `replace`, nobody else but administrators.
    pub async fn change_users_of_way(
        &self,
        permit: &Permit<metastore::Administer>,
        way: Way,
        names: &[String],
        replace: bool,
    ) -> Result<Vec<(Principal, bool)>> {
        let audit = Audit::of("accounts", "changeAuthorizationAcls")
            .with("way", way.word())
            .with("replace", replace)
            .with("principals", serde_json::json!(names));
        let mut tx = self.db.write_moving(permit, audit).await?;
        if replace {
            let sql = "DELETE FROM authorization_grant WHERE way = $1 AND principal <> $2";
            tx.run(sql, params![way.word(), self.ground.admins]).await?;
        }
        for name in names {
            let principal = named_in_transaction(&mut tx, name).await?;
            allow(&mut tx, way, principal.id).await?;
        }
        let rows = tx.rows(GRANTED, params![way.word()]).await?;
        tx.bump().await?;
        tx.commit().await?;
        self.with_fixed(&rows)
    }
}

/// Lets somebody use a way.
pub(crate) async fn allow(tx: &mut Tx, way: Way, principal: PrincipalId) -> Result<()> {
    let sql = "INSERT INTO authorization_grant (way, principal) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.run(sql, params![way.word(), principal]).await?;
    Ok(())
}

/// Whether somebody may use a way.
pub(crate) async fn is_allowed(tx: &mut Tx, way: Way, principal: PrincipalId) -> Result<bool> {
    let sql = "SELECT 1 FROM authorization_grant a JOIN closure c ON c.principal = a.principal \
         WHERE a.way = $1 AND c.member = $2 LIMIT 1";
    Ok(tx.row(sql, params![way.word(), principal]).await?.is_some())
}

/// Refuses a token for somebody who could not use it.
pub(crate) async fn check_tokens(tx: &mut Tx, owner: PrincipalId) -> Result<()> {
    if is_allowed(tx, Way::Tokens, owner).await? {
        return Ok(());
    }
    Err(Problem::new(Code::PermissionDenied, "they may not use personal access tokens")
        .hint("an administrator can give CAN_USE on authorization/tokens"))
}
