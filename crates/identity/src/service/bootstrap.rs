//! The first start: the root, the groups that the program needs, the first administrator.
//!
//! No default password. Whoever starts the server gets an admin token and a one-time set-up code, and nobody else does.

use crannog_security::{System, Task};
use crannog_store::{Audit, Db, params};
use crannog_types::{PrincipalId, Problem, Result, SecurableId, fold};

use crate::errors::IdentityError;
use crate::model::credentials::{CredentialKind, Secret};
use crate::model::principals::{Principal, PrincipalKind, check_name, random_id};
use crate::service::membership;
use crate::service::tokens::{NewToken, insert_token};
use crate::service::ways::{Way, allow};

/// How long a set-up code is good.
const SETUP_LIFETIME: i64 = 7 * 24 * 3_600;

/// What the first start made. Shown once, never stored in clear.
#[derive(Debug)]
pub struct FirstStart {
    /// The administrator's user name.
    pub admin: String,
    /// A token of theirs that does not expire.
    pub token: Secret,
    /// The code of the link `/setup?code=…`, good for a week and once.
    pub setup_code: Secret,
}

/// What every database has after its first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The decimal id of this workspace, as `X-Databricks-Org-Id` carries it.
    pub workspace_id: String,
    /// The group that owns the metastore.
    pub admins: PrincipalId,
    /// The group that every active user and service principal is in.
    pub account_users: PrincipalId,
}

impl Ground {
    pub(crate) async fn read(db: &Db) -> Result<Option<Ground>> {
        let rows = db.read(&bootstrap_task()).rows("SELECT name, value FROM setting", params![]).await?;
        let mut found = std::collections::BTreeMap::new();
        for row in &rows {
            found.insert(row.text(0)?, row.text(1)?);
        }
        let id = |name: &str| found.get(name).and_then(|value| value.parse().ok());
        let ground = || {
            Some(Ground {
                workspace_id: found.get("workspace_id")?.clone(),
                admins: id("group_admins")?,
                account_users: id("group_account_users")?,
            })
        };
        Ok(ground())
    }
}

/// Sets an empty database up, in one transaction; `None` when it was set up before.
///
/// # Errors
/// When the administrator's name is not one, or the database fails.
pub async fn bootstrap(db: &Db, admin: &str) -> Result<Option<FirstStart>> {
    check_name(admin)?;
    if Ground::read(db).await?.is_some() {
        return Ok(None);
    }
    let audit = Audit::of("accounts", "createMetastore").with("admin", admin);
    let mut tx = db.write(&bootstrap_task(), audit).await?;
    let now = tx.now();
    let ground = Ground {
        workspace_id: random_id()?.to_string(),
        admins: PrincipalId(random_id()?),
        account_users: PrincipalId(random_id()?),
    };
    for (name, value) in [
        ("workspace_id", ground.workspace_id.clone()),
        ("group_admins", ground.admins.to_string()),
        ("group_account_users", ground.account_users.to_string()),
    ] {
        let sql = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        if tx.run(sql, params![name, value]).await? == 0 {
            // Another process came first.
            return Ok(None);
        }
    }
    let principal = |id, kind, name: &str, display: &str| Principal {
        id,
        kind,
        name: name.to_owned(),
        display_name: Some(display.to_owned()),
        given_name: None,
        family_name: None,
        external_id: None,
        active: true,
        created_at: now,
        updated_at: now,
    };
    let users = principal(ground.account_users, PrincipalKind::Group, "account users", "account users");
    let admins = principal(ground.admins, PrincipalKind::Group, "admins", "admins");
    let person = principal(PrincipalId(random_id()?), PrincipalKind::User, admin, "Admin");
    for principal in [&users, &admins, &person] {
        insert_principal(&mut tx, principal).await?;
        membership::settle(&mut tx, &ground, principal).await?;
    }
    membership::join(&mut tx, &ground, &admins, &person).await?;
    for way in [Way::Tokens, Way::Passwords] {
        for group in [ground.account_users, ground.admins] {
            allow(&mut tx, way, group).await?;
        }
    }
    let root = "INSERT INTO securable (id, kind, parent, name, folded, path, owner, comment, created_at, created_by, \
         updated_at, updated_by) VALUES ($1, 'metastore', NULL, 'metastore', 'metastore', '', $2, NULL, $3, $4, $3, $4)";
    let author = tx.author();
    tx.run(root, params![SecurableId::METASTORE, ground.admins, now, author]).await?;
    let comment = Some("made at the first start".to_owned());
    let (token, _) = insert_token(
        &mut tx,
        NewToken { kind: CredentialKind::Personal, owner: person.id, comment, family: None, expires_at: None },
        None,
    )
    .await?;
    let setup_code = insert_setup_code(&mut tx, person.id).await?;
    tx.commit().await?;
    Ok(Some(FirstStart { admin: admin.to_owned(), token, setup_code }))
}

pub(crate) async fn insert_principal(tx: &mut crannog_store::Tx, principal: &Principal) -> Result<()> {
    let sql = "INSERT INTO principal (id, kind, name, folded, display_name, external_id, active, created_at, updated_at, \
         given_name, family_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (folded) DO NOTHING";
    let values = params![
        principal.id,
        principal.kind.word(),
        principal.name.clone(),
        fold(&principal.name),
        principal.display_name.clone(),
        principal.external_id.clone(),
        principal.active,
        principal.created_at,
        principal.updated_at,
        principal.given_name.clone(),
        principal.family_name.clone(),
    ];
    match tx.run(sql, values).await? {
        0 => Err(IdentityError::NameTaken(principal.name.clone()).into()),
        _ => Ok(()),
    }
}

pub(crate) async fn insert_setup_code(tx: &mut crannog_store::Tx, owner: PrincipalId) -> Result<Secret, Problem> {
    let code = Secret::new(CredentialKind::SetUp)?;
    let expires = tx.now().plus_seconds(SETUP_LIFETIME);
    tx.run("DELETE FROM setup_code WHERE principal = $1", params![owner]).await?;
    let sql = "INSERT INTO setup_code (hash, principal, expires_at) VALUES ($1, $2, $3)";
    tx.run(sql, params![code.hash(), owner, expires]).await?;
    Ok(code)
}

#[expect(clippy::disallowed_methods, reason = "the first start has no caller yet")]
pub(crate) fn bootstrap_task() -> System {
    System::task(Task::Bootstrap)
}
