//! Grants: who holds what on which object.

use crannog_security::actions::securables;
use crannog_security::{Kind, Permit, Privilege};
use crannog_store::{Audit, Db, params};
use crannog_types::{FullName, Problem, Result};

use crate::model::grants::{Assignment, GrantChange};
use crate::sql;

/// What of an object's grants somebody may see: those who manage it see all, others their own and their groups'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All grants.
    All,
    /// The caller's own, and those of groups that the caller is in.
    Own,
}

/// The grants on the object itself, by principal; only those of one principal when it is named.
pub async fn direct(
    db: &Db,
    permit: &Permit<securables::ReadGrants>,
    seen: Seen,
    principal: Option<&str>,
) -> Result<Vec<Assignment>> {
    let mut found = all(db, permit, seen, principal).await?;
    found.retain(|assignment| assignment.inherited_from.is_none());
    Ok(found)
}

/// The grants on the object and on its containers that reach it. The metastore's own do not flow down.
pub async fn effective(
    db: &Db,
    permit: &Permit<securables::ReadGrants>,
    seen: Seen,
    principal: Option<&str>,
) -> Result<Vec<Assignment>> {
    let kind = permit.target().kind;
    let mut found = all(db, permit, seen, principal).await?;
    found.retain(|assignment| assignment.inherited_from.is_none() || reaches(assignment.privilege, kind));
    Ok(found)
}

/// Whether a privilege that was granted on a container says anything about an object of a kind.
fn reaches(privilege: Privilege, kind: Kind) -> bool {
    privilege.applies_to(kind) || privilege == Privilege::AllPrivileges || privilege == Privilege::Browse
}

async fn all(
    db: &Db,
    permit: &Permit<securables::ReadGrants>,
    seen: Seen,
    principal: Option<&str>,
) -> Result<Vec<Assignment>> {
    const ALL: &str = "WITH RECURSIVE up (id, kind, name, parent, depth) AS (\
           SELECT id, kind, name, parent, cast(0 AS bigint) FROM securable WHERE id = $1 \
         UNION ALL \
           SELECT s.id, s.kind, s.name, s.parent, up.depth + 1 FROM securable s JOIN up ON s.id = up.parent) \
         SELECT up.depth, up.kind, p.name, g.privilege, g.granted_by FROM up \
         JOIN securable_grant g ON g.securable = up.id JOIN principal p ON p.id = g.principal \
         WHERE ($2 = 1 OR g.principal IN (SELECT c.principal FROM closure c WHERE c.member = $3)) \
           AND (cast($4 AS text) IS NULL OR p.folded = $4) \
         ORDER BY up.depth, p.folded, g.privilege";
    let target = permit.target();
    let principal = principal.map(crannog_types::fold);
    let everything = i64::from(seen == Seen::All);
    let rows = db.read(permit).rows(ALL, params![target.id, everything, permit.who().id, principal]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let depth = usize::try_from(row.int(0)?).unwrap_or(usize::MAX);
        let kind = Kind::of_word(&row.text(1)?);
        let (Some(kind), Some(privilege)) = (kind, Privilege::parse(&row.text(3)?)) else { continue };
        if depth > 0 && kind == Kind::Metastore {
            continue;
        }
        let parts = target.name.parts();
        let of_container = || FullName::of(parts[..parts.len().saturating_sub(depth)].to_vec());
        found.push(Assignment {
            principal: row.text(2)?,
            privilege,
            inherited_from: (depth > 0).then(|| (kind, of_container())),
            granted_by: row.text(4)?,
        });
    }
    Ok(found)
}

/// Grants and revokes on one object, all or nothing. What is granted twice or was never granted is no error.
pub async fn change(db: &Db, permit: &Permit<securables::Grant>, changes: &[GrantChange]) -> Result<()> {
    let target = permit.target();
    let described: Vec<String> = changes.iter().map(describe).collect();
    let audit = Audit::of("unityCatalog", "updatePermissions")
        .with("securable_type", target.kind.word())
        .with("securable_full_name", target.name.to_string())
        .with("changes", described.join("; "));
    let mut tx = db.write_moving(permit, audit).await?;
    let (now, author) = (tx.now(), tx.author());
    for change in changes {
        for privilege in change.add.iter().chain(&change.remove) {
            if !privilege.applies_to(target.kind) {
                return Err(Problem::invalid(format!("{privilege} cannot be granted on a {}", target.kind)));
            }
        }
        let principal = sql::principal(&mut tx, &change.principal).await?;
        for privilege in &change.remove {
            tx.run(
                "DELETE FROM securable_grant WHERE securable = $1 AND principal = $2 AND privilege = $3",
                params![target.id, principal, privilege.sql()],
            )
            .await?;
        }
        for privilege in &change.add {
            tx.run(
                "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                params![target.id, principal, privilege.sql(), now, author.as_str()],
            )
            .await?;
        }
    }
    tx.bump().await?;
    Ok(tx.commit().await?)
}

fn describe(change: &GrantChange) -> String {
    let words =
        |privileges: &[Privilege]| privileges.iter().map(|privilege| privilege.sql()).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if !change.add.is_empty() {
        parts.push(format!("add {}", words(&change.add)));
    }
    if !change.remove.is_empty() {
        parts.push(format!("remove {}", words(&change.remove)));
    }
    format!("{}: {}", change.principal, parts.join(", "))
}
