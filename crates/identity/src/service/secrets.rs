//! Stored secrets: scopes, values, and who may use them.
//!
//! A scope is a securable; READ, WRITE and MANAGE are grants on it. Whoever makes a scope owns it. Reading a value is
//! audited, as it hands something out.

use crannog_security::actions::{metastore, secret_scopes};
use crannog_security::{Action, Kind, Listing, Permit, Privilege, Visible};
use crannog_store::{Audit, Db, Tx, params};
use crannog_types::{Code, Micros, PrincipalId, Problem, Result, SecurableId, fold};
use zeroize::Zeroizing;

use crate::Identity;
use crate::errors::IdentityError;
use crate::model::principals::{Principal, principal_columns};
use crate::model::vault::Key;
use crate::service::bootstrap::bootstrap_task;
use crate::service::principals::named_in_transaction;

const LARGEST: usize = 128 * 1024;
const LONGEST_NAME: usize = 128;
const MOST_SECRETS: i64 = 1_000;
const MOST_SCOPES: i64 = 1_000;

/// The root key, or why there is none: then everything works but secrets.
pub(crate) struct Vault(Result<Key, String>);

impl Vault {
    /// Opens the file of the root key. Once secrets were stored under a key, no other one is taken, and none is made.
    pub(crate) async fn open(db: &Db, file: &std::path::Path) -> Result<Self> {
        let known = "SELECT value FROM setting WHERE name = 'root_key'";
        let row = db.read(&bootstrap_task()).row(known, params![]).await?;
        let known = row.map(|row| row.text(0)).transpose()?;
        let key = if known.is_some() && !file.exists() {
            Err(format!("the root key file {} is missing", file.display()))
        } else {
            match Key::of_file(file) {
                Ok(key) if known.as_ref().is_some_and(|known| *known != key.fingerprint()) => {
                    Err(format!("{} holds another key than the one that secrets were stored under", file.display()))
                }
                Ok(key) => Ok(key),
                Err(IdentityError::RootKey(error)) => Err(error),
                Err(error) => return Err(error.into()),
            }
        };
        match &key {
            Err(error) => tracing::error!(error, "stored secrets cannot be opened"),
            Ok(key) if known.is_none() => {
                let mut tx = db.write_unaudited(&bootstrap_task()).await?;
                let sql = "INSERT INTO setting (name, value) VALUES ('root_key', $1) ON CONFLICT DO NOTHING";
                tx.run(sql, params![key.fingerprint()]).await?;
                tx.commit().await?;
            }
            Ok(_) => {}
        }
        Ok(Vault(key))
    }

    fn root(&self) -> Result<&Key, IdentityError> {
        self.0.as_ref().map_err(|error| IdentityError::RootKey(error.clone()))
    }
}

/// A stored secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its key.
    pub key: String,
    /// When its value was put.
    pub updated_at: Micros,
}

/// The level of a principal on a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeAcl {
    /// The principal's name.
    pub principal: String,
    /// READ, WRITE or MANAGE.
    pub level: Privilege,
}

fn check(what: &str, name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(allowed) {
        return Err(Problem::invalid(format!("{name:?} cannot be the name of a {what}"))
            .hint("names have 1 to 128 letters, digits, dashes, underscores, periods and @"));
    }
    Ok(())
}

fn scope_place(scope: SecurableId) -> Vec<u8> {
    format!("crannog secret scope\0{scope}").into_bytes()
}

fn value_place(scope: SecurableId, folded: &str, version: i64) -> Vec<u8> {
    format!("crannog secret\0{scope}\0{folded}\0{version}").into_bytes()
}

async fn data_key(vault: &Vault, tx: &mut Tx, scope: SecurableId) -> Result<Key> {
    let row = tx.row("SELECT wrapped_key FROM secret_scope WHERE id = $1", params![scope]).await?;
    let wrapped = row.ok_or(IdentityError::Damaged)?.blob(0)?;
    Ok(Key::unwrap(vault.root()?, &wrapped, &scope_place(scope))?)
}

fn audit<A: Action>(action: &'static str, permit: &Permit<A>) -> Audit {
    Audit::of("secrets", action).with("scope", permit.target().name.to_string())
}

async fn set_level(
    tx: &mut Tx,
    scope: SecurableId,
    principal: PrincipalId,
    level: Option<Privilege>,
    by: &str,
) -> Result<bool> {
    let gone = "DELETE FROM securable_grant WHERE securable = $1 AND principal = $2";
    let had = tx.run(gone, params![scope, principal]).await? > 0;
    if let Some(level) = level {
        let sql = "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
             VALUES ($1, $2, $3, $4, $5)";
        tx.run(sql, params![scope, principal, level.sql(), tx.now(), by]).await?;
    }
    tx.bump().await?;
    Ok(had)
}

const ACLS: &str = "SELECT p.name, g.privilege FROM securable_grant g JOIN principal p ON p.id = g.principal \
     WHERE g.securable = $1 ORDER BY p.folded";
const SCOPES: &str = "SELECT s.name FROM securable s WHERE s.kind = 'secret_scope' AND ($2 = 1 \
       OR s.owner IN (SELECT principal FROM closure WHERE member = $1) \
       OR EXISTS (SELECT 1 FROM securable_grant g JOIN closure c ON c.principal = g.principal \
                  WHERE g.securable = s.id AND c.member = $1)) ORDER BY s.folded";
const OWNER: &str = principal_columns!("FROM principal p WHERE p.id = $1");

impl Identity {
    /// Makes a scope; the caller owns it. With `for_everybody` all users may manage it.
    pub async fn create_scope(&self, permit: &Permit<metastore::Work>, name: &str, for_everybody: bool) -> Result<()> {
        check("secret scope", name)?;
        let root = self.vault.root()?;
        let who = permit.who();
        let mut tx = self.db.write_moving(permit, Audit::of("secrets", "createScope").with("scope", name)).await?;
        let count = tx.row("SELECT count(*) FROM securable WHERE kind = 'secret_scope'", params![]).await?;
        if count.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= MOST_SCOPES {
            return Err(IdentityError::Limit(format!("there are {MOST_SCOPES} secret scopes already")).into());
        }
        let id = SecurableId::new();
        let sql = "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, \
             updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $7, $8) ON CONFLICT DO NOTHING";
        let values =
            params![id, Kind::SecretScope.word(), permit.target().id, name, fold(name), who.id, tx.now(), &*who.name,];
        if tx.run(sql, values).await? == 0 {
            return Err(Problem::new(Code::AlreadyExists, format!("a secret scope {name:?} is there already")));
        }
        let wrapped = Key::new()?.wrapped_by(root, &scope_place(id))?;
        tx.run("INSERT INTO secret_scope (id, wrapped_key) VALUES ($1, $2)", params![id, wrapped]).await?;
        if for_everybody {
            let level = Some(Privilege::SecretManage);
            set_level(&mut tx, id, self.ground.account_users, level, &who.name).await?;
        }
        tx.bump().await?;
        Ok(tx.commit().await?)
    }

    /// Deletes a scope with its secrets.
    pub async fn delete_scope(&self, permit: &Permit<secret_scopes::Manage>) -> Result<()> {
        let mut tx = self.db.write_moving(permit, audit("deleteScope", permit)).await?;
        tx.run("DELETE FROM securable WHERE id = $1", params![permit.target().id]).await?;
        tx.bump().await?;
        Ok(tx.commit().await?)
    }

    /// The scopes that the caller may use or owns.
    pub async fn scopes(&self, visible: &Visible<secret_scopes::Read>) -> Result<Vec<String>> {
        let all = match visible.listing() {
            Listing::All => true,
            Listing::Granted => false,
            Listing::Nothing => return Ok(Vec::new()),
        };
        let rows = self.db.read(visible).rows(SCOPES, params![visible.who().id, all]).await?;
        Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
    }

    /// Puts a value of at most 128 KB under a key of a scope.
    pub async fn put_secret(&self, permit: &Permit<secret_scopes::Write>, key: &str, value: &[u8]) -> Result<()> {
        check("secret", key)?;
        if value.len() > LARGEST {
            let text = format!("the value has {} bytes, more than {LARGEST}", value.len());
            return Err(Problem::invalid(text));
        }
        let (scope, folded) = (permit.target().id, fold(key));
        let mut tx = self.db.write(permit, audit("putSecret", permit).with("key", key)).await?;
        let data_key = data_key(&self.vault, &mut tx, scope).await?;
        let before = "SELECT version FROM secret WHERE scope = $1 AND folded = $2";
        let before = tx.row(before, params![scope, folded.clone()]).await?.map(|row| row.int(0)).transpose()?;
        if before.is_none() {
            let count = tx.row("SELECT count(*) FROM secret WHERE scope = $1", params![scope]).await?;
            if count.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= MOST_SECRETS {
                return Err(IdentityError::Limit(format!("the scope has {MOST_SECRETS} secrets already")).into());
            }
        }
        let version = before.unwrap_or(0) + 1;
        let sealed = data_key.seal(value, &value_place(scope, &folded, version))?;
        let sql = "INSERT INTO secret (scope, folded, name, version, sealed, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (scope, folded) DO UPDATE SET name = excluded.name, version = excluded.version, \
             sealed = excluded.sealed, updated_at = excluded.updated_at";
        tx.run(sql, params![scope, folded, key, version, sealed, tx.now()]).await?;
        Ok(tx.commit().await?)
    }

    /// The value under a key of a scope, with the key as it was written. Leaves an audit row.
    pub async fn secret(
        &self,
        permit: &Permit<secret_scopes::Read>,
        key: &str,
    ) -> Result<(String, Zeroizing<Vec<u8>>)> {
        let (scope, folded) = (permit.target().id, fold(key));
        let mut tx = self.db.write(permit, audit("getSecret", permit).with("key", key)).await?;
        let sql = "SELECT name, version, sealed FROM secret WHERE scope = $1 AND folded = $2";
        let row = tx.row(sql, params![scope, folded.clone()]).await?;
        let row = row.ok_or_else(|| no_secret(permit, key))?;
        let data_key = data_key(&self.vault, &mut tx, scope).await?;
        let value = data_key.open(&row.blob(2)?, &value_place(scope, &folded, row.int(1)?))?;
        let name = row.text(0)?;
        tx.commit().await?;
        Ok((name, value))
    }

    /// The keys of a scope.
    pub async fn secrets(&self, permit: &Permit<secret_scopes::Read>) -> Result<Vec<SecretInfo>> {
        let sql = "SELECT name, updated_at FROM secret WHERE scope = $1 ORDER BY folded";
        let rows = self.db.read(permit).rows(sql, params![permit.target().id]).await?;
        rows.iter().map(|row| Ok(SecretInfo { key: row.text(0)?, updated_at: row.micros(1)? })).collect()
    }

    /// Deletes the secret under a key of a scope.
    pub async fn delete_secret(&self, permit: &Permit<secret_scopes::Write>, key: &str) -> Result<()> {
        let mut tx = self.db.write(permit, audit("deleteSecret", permit).with("key", key)).await?;
        let sql = "DELETE FROM secret WHERE scope = $1 AND folded = $2";
        if tx.run(sql, params![permit.target().id, fold(key)]).await? == 0 {
            return Err(no_secret(permit, key).into());
        }
        Ok(tx.commit().await?)
    }

    /// Gives a principal one level on a scope, in place of the one it had.
    pub async fn put_acl(
        &self,
        permit: &Permit<secret_scopes::Manage>,
        principal: &str,
        level: Privilege,
    ) -> Result<()> {
        let audit = audit("putAcl", permit).with("principal", principal).with("permission", level_word(level));
        let mut tx = self.db.write_moving(permit, audit).await?;
        let principal = named_in_transaction(&mut tx, principal).await?;
        set_level(&mut tx, permit.target().id, principal.id, Some(level), &permit.who().name).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a principal's level on a scope away.
    pub async fn delete_acl(&self, permit: &Permit<secret_scopes::Manage>, principal: &str) -> Result<()> {
        let audit = audit("deleteAcl", permit).with("principal", principal);
        let mut tx = self.db.write_moving(permit, audit).await?;
        let found = named_in_transaction(&mut tx, principal).await?;
        if !set_level(&mut tx, permit.target().id, found.id, None, &permit.who().name).await? {
            return Err(Problem::not_found(format!("{principal} has no level of its own on this scope")));
        }
        Ok(tx.commit().await?)
    }

    /// Everybody's level on a scope; its owner's is MANAGE.
    pub async fn acls(&self, permit: &Permit<secret_scopes::Manage>) -> Result<Vec<ScopeAcl>> {
        let target = permit.target();
        let reader = self.db.read(permit);
        let mut found = Vec::new();
        if let Some(row) = reader.row(OWNER, params![target.owner]).await? {
            found.push(ScopeAcl { principal: Principal::read(&row)?.name, level: Privilege::SecretManage });
        }
        for row in reader.rows(ACLS, params![target.id]).await? {
            let (principal, level) = (row.text(0)?, Privilege::parse(&row.text(1)?));
            if let Some(level) = level.filter(|_| found.first().is_none_or(|owner| owner.principal != principal)) {
                found.push(ScopeAcl { principal, level });
            }
        }
        Ok(found)
    }
}

/// `READ`, `WRITE`, `MANAGE`.
pub(crate) fn level_word(level: Privilege) -> &'static str {
    match level {
        Privilege::SecretManage => "MANAGE",
        Privilege::SecretWrite => "WRITE",
        _ => "READ",
    }
}

fn no_secret<A: Action>(permit: &Permit<A>, key: &str) -> IdentityError {
    IdentityError::NoSecret { scope: permit.target().name.to_string(), key: key.to_owned() }
}
