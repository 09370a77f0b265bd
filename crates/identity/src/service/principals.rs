//! Users, groups, service principals: find, list, make, change, delete.

use std::collections::{BTreeMap, BTreeSet};

use crannog_security::actions::metastore;
use crannog_security::{Evidence, Kind, Permit};
use crannog_store::{Audit, Row, Tx, params};
use crannog_types::{PrincipalId, Problem, Result, fold};
use uuid::Uuid;

use crate::Identity;
use crate::errors::IdentityError;
use crate::model::principals::{
    PRINCIPAL_COLUMNS, Principal, PrincipalKind, check_name, check_user_name, principal_columns, random_id,
};
use crate::service::bootstrap::insert_principal;
use crate::service::membership;

/// Somebody new.
#[derive(Clone, Debug)]
pub struct NewPrincipal {
    /// What it is.
    pub kind: PrincipalKind,
    /// The name; `None` for a service principal makes an application id.
    pub name: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// A user's given name.
    pub given_name: Option<String>,
    /// A user's family name.
    pub family_name: Option<String>,
    /// The id in a directory.
    pub external_id: Option<String>,
    /// Whether it may sign in.
    pub active: bool,
    /// The first members of a group.
    pub members: Vec<PrincipalId>,
    /// The groups that it is put into.
    pub groups: Vec<PrincipalId>,
}

/// What is to change; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// A group's new name.
    pub name: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// A user's given name.
    pub given_name: Option<String>,
    /// A user's family name.
    pub family_name: Option<String>,
    /// The id in a directory.
    pub external_id: Option<String>,
    /// Whether it may sign in.
    pub active: Option<bool>,
    /// All members of a group from now on. Before `add` and `remove`.
    pub members: Option<Vec<PrincipalId>>,
    /// Members to add.
    pub add: Vec<PrincipalId>,
    /// Members to remove.
    pub remove: Vec<PrincipalId>,
}

/// One line of a membership: a group and one who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The other side: the group of a member, or the member of a group.
    pub other: PrincipalId,
    /// Its kind.
    pub kind: PrincipalKind,
    /// Its name.
    pub name: String,
    /// What people call it.
    pub shown: String,
    /// Put there itself, and not by nesting.
    pub direct: bool,
}

const BY_ID: &str = principal_columns!("FROM principal p WHERE p.id = $1");
const BY_NAME: &str = principal_columns!("FROM principal p WHERE p.folded = $1");
const OF_KIND: &str = principal_columns!("FROM principal p WHERE p.kind = $1 ORDER BY p.id");
const GROUPS_OF: &str = principal_columns!(
    ", c.member, CASE WHEN EXISTS (SELECT 1 FROM member m WHERE m.group_id = p.id AND m.member_id = c.member) \
       THEN 1 ELSE 0 END \
     FROM closure c JOIN principal p ON p.id = c.principal WHERE c.member = $1 AND c.principal <> c.member ORDER BY p.id"
);
const GROUPS_OF_ALL: &str = principal_columns!(
    ", c.member, CASE WHEN EXISTS (SELECT 1 FROM member m WHERE m.group_id = p.id AND m.member_id = c.member) \
       THEN 1 ELSE 0 END \
     FROM closure c JOIN principal p ON p.id = c.principal WHERE c.principal <> c.member ORDER BY p.id"
);
const MEMBERS_OF: &str = principal_columns!(
    ", m.group_id, 1 FROM member m JOIN principal p ON p.id = m.member_id WHERE m.group_id = $1 ORDER BY p.id"
);
const MEMBERS_OF_ALL: &str =
    principal_columns!(", m.group_id, 1 FROM member m JOIN principal p ON p.id = m.member_id ORDER BY p.id");
const EVERYBODY_IN: &str = principal_columns!(
    ", c.principal, 1 FROM closure c JOIN principal p ON p.id = c.member \
     WHERE c.principal = $1 AND c.member <> $1 ORDER BY p.id"
);

impl Identity {
    /// The principal of a name, of any kind, as a GRANT names it; compared without case.
    pub async fn find_principal(&self, evidence: &dyn Evidence, name: &str) -> Result<Option<Principal>> {
        let row = self.db.read(evidence).row(BY_NAME, params![fold(name)]).await?;
        Ok(row.as_ref().map(Principal::read).transpose()?)
    }

    /// The principal of an id, of any kind.
    pub async fn principal_of_id(&self, evidence: &dyn Evidence, id: PrincipalId) -> Result<Option<Principal>> {
        let row = self.db.read(evidence).row(BY_ID, params![id]).await?;
        Ok(row.as_ref().map(Principal::read).transpose()?)
    }

    /// The names of all groups that a principal is in, directly or by nesting: `is_account_group_member`.
    pub async fn group_names(&self, evidence: &dyn Evidence, id: PrincipalId) -> Result<Vec<String>> {
        let rows = self.db.read(evidence).rows(GROUPS_OF, params![id]).await?;
        Ok(rows.iter().map(|row| row.text(2)).collect::<Result<_, _>>()?)
    }

    /// The principal of a kind and an id.
    pub async fn principal(
        &self,
        permit: &Permit<metastore::Read>,
        kind: PrincipalKind,
        id: &str,
    ) -> Result<Principal> {
        let found = match id.parse() {
            Ok(id) => self.principal_of_id(permit, id).await?,
            Err(_) => None,
        };
        Ok(found.filter(|found| found.kind == kind).ok_or_else(|| no_principal(kind, id))?)
    }

    /// All principals of a kind, by id.
    pub async fn principals(&self, permit: &Permit<metastore::Read>, kind: PrincipalKind) -> Result<Vec<Principal>> {
        let rows = self.db.read(permit).rows(OF_KIND, params![kind.word()]).await?;
        Ok(rows.iter().map(Principal::read).collect::<Result<_, _>>()?)
    }

    /// The groups that principals are in: of one, or of all.
    pub async fn groups_of(
        &self,
        evidence: &dyn Evidence,
        one: Option<PrincipalId>,
    ) -> Result<BTreeMap<PrincipalId, Vec<Membership>>> {
        let reader = self.db.read(evidence);
        let rows = match one {
            Some(id) => reader.rows(GROUPS_OF, params![id]).await?,
            None => reader.rows(GROUPS_OF_ALL, params![]).await?,
        };
        memberships(&rows)
    }

    /// The direct members of groups: of one, or of all. `account users` has everybody.
    pub async fn members_of(
        &self,
        evidence: &dyn Evidence,
        one: Option<PrincipalId>,
    ) -> Result<BTreeMap<PrincipalId, Vec<Membership>>> {
        let reader = self.db.read(evidence);
        let everybody = self.ground.account_users;
        let mut rows = match one {
            Some(id) if id == everybody => Vec::new(),
            Some(id) => reader.rows(MEMBERS_OF, params![id]).await?,
            None => reader.rows(MEMBERS_OF_ALL, params![]).await?,
        };
        if one.is_none_or(|id| id == everybody) {
            rows.extend(reader.rows(EVERYBODY_IN, params![everybody]).await?);
        }
        memberships(&rows)
    }

    /// Makes a principal.
    ///
    /// # Errors
    /// When the name is taken, is not one, or the memberships would be a cycle or too deep.
    pub async fn create_principal(
        &self,
        permit: &Permit<metastore::Administer>,
        new: NewPrincipal,
    ) -> Result<Principal> {
        let name = match (new.name, new.kind) {
            (Some(name), _) => name,
            (None, PrincipalKind::ServicePrincipal) => Uuid::new_v4().to_string(),
            (None, kind) => return Err(Problem::invalid(format!("a {} needs a name", kind.describe()))),
        };
        check_name(&name)?;
        if new.kind == PrincipalKind::User {
            check_user_name(&name)?;
        }
        let (action, param) = match new.kind {
            PrincipalKind::User => ("createUser", "targetUserName"),
            PrincipalKind::Group => ("createGroup", "targetGroupName"),
            PrincipalKind::ServicePrincipal => ("createServicePrincipal", "targetServicePrincipalName"),
        };
        let mut tx = self.db.write_moving(permit, Audit::of("accounts", action).with(param, name.as_str())).await?;
        let principal = Principal {
            id: PrincipalId(random_id()?),
            kind: new.kind,
            name,
            display_name: new.display_name,
            given_name: new.given_name,
            family_name: new.family_name,
            external_id: new.external_id,
            active: new.active || new.kind == PrincipalKind::Group,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        insert_principal(&mut tx, &principal).await?;
        membership::settle(&mut tx, &self.ground, &principal).await?;
        for group in new.groups {
            let group = in_transaction(&mut tx, group, Some(PrincipalKind::Group)).await?;
            self.join(&mut tx, &group, &principal).await?;
        }
        for member in new.members {
            let member = in_transaction(&mut tx, member, None).await?;
            self.join(&mut tx, &principal, &member).await?;
        }
        tx.commit().await?;
        Ok(principal)
    }

    /// Changes a principal of a kind.
    ///
    /// # Errors
    /// Like [`Identity::create_principal`], and when nobody would be left who administers.
    pub async fn change_principal(
        &self,
        permit: &Permit<metastore::Administer>,
        kind: PrincipalKind,
        id: &str,
        changes: Changes,
    ) -> Result<Principal> {
        let id_number = id.parse().map_err(|_| no_principal(kind, id))?;
        let (action, param) = match kind {
            PrincipalKind::User => ("updateUser", "targetUserId"),
            PrincipalKind::Group => ("updateGroup", "targetGroupId"),
            PrincipalKind::ServicePrincipal => ("updateServicePrincipal", "targetServicePrincipalId"),
        };
        let mut tx = self.db.write_moving(permit, Audit::of("accounts", action).with(param, id)).await?;
        let mut principal = in_transaction(&mut tx, id_number, Some(kind)).await?;
        let system = [self.ground.admins, self.ground.account_users].contains(&principal.id);
        if let Some(name) = changes.name.filter(|name| *name != principal.name) {
            if system {
                return Err(IdentityError::SystemGroup(principal.name).into());
            }
            check_name(&name)?;
            let taken = tx.row(BY_NAME, params![fold(&name)]).await?.map(|row| row.principal(0)).transpose()?;
            if taken.is_some_and(|taken| taken != principal.id) {
                return Err(IdentityError::NameTaken(name).into());
            }
            principal.name = name;
            tx.bump().await?;
        }
        principal.display_name = changes.display_name.or(principal.display_name);
        principal.given_name = changes.given_name.or(principal.given_name);
        principal.family_name = changes.family_name.or(principal.family_name);
        principal.external_id = changes.external_id.or(principal.external_id);
        let was_active = principal.active;
        principal.active = changes.active.unwrap_or(was_active) || kind == PrincipalKind::Group;
        principal.updated_at = tx.now();
        let sql = "UPDATE principal SET name = $2, folded = $3, display_name = $4, external_id = $5, active = $6, \
             updated_at = $7, given_name = $8, family_name = $9 WHERE id = $1";
        let values = params![
            principal.id,
            principal.name.clone(),
            fold(&principal.name),
            principal.display_name.clone(),
            principal.external_id.clone(),
            principal.active,
            principal.updated_at,
            principal.given_name.clone(),
            principal.family_name.clone(),
        ];
        tx.run(sql, values).await?;
        if principal.active != was_active {
            membership::settle(&mut tx, &self.ground, &principal).await?;
            let action = if principal.active { "activateUser" } else { "deactivateUser" };
            tx.also(Audit::of("accounts", action).with("targetUserName", principal.name.as_str()));
            if !principal.active {
                end_sessions(&mut tx, principal.id).await?;
            }
        }
        let (mut add, mut remove) = (changes.add, changes.remove);
        if let Some(wanted) = changes.members {
            if principal.id == self.ground.account_users {
                return Err(IdentityError::SystemGroup(principal.name).into());
            }
            let wanted: BTreeSet<PrincipalId> = wanted.into_iter().collect();
            let rows = tx.rows("SELECT member_id FROM member WHERE group_id = $1", params![principal.id]).await?;
            let now = rows.iter().map(|row| row.principal(0)).collect::<Result<BTreeSet<_>, _>>()?;
            remove.extend(now.difference(&wanted));
            add.extend(wanted.difference(&now));
        }
        for member in remove {
            if principal.id == self.ground.account_users {
                return Err(IdentityError::SystemGroup(principal.name).into());
            }
            if membership::leave(&mut tx, principal.id, member).await? {
                tx.also(
                    Audit::of("accounts", "removePrincipalFromGroup")
                        .with("targetGroupName", principal.name.as_str())
                        .with("targetUserId", member.to_string()),
                );
            }
        }
        for member in add {
            let member = in_transaction(&mut tx, member, None).await?;
            self.join(&mut tx, &principal, &member).await?;
        }
        membership::keep_an_administrator(&mut tx, &self.ground).await?;
        tx.commit().await?;
        Ok(principal)
    }

    /// Deletes a principal of a kind, with its tokens and grants. Its secret scopes go to the group `admins`.
    ///
    /// # Errors
    /// When it owns anything else, belongs to the program, or is the last who administers.
    pub async fn delete_principal(
        &self,
        permit: &Permit<metastore::Administer>,
        kind: PrincipalKind,
        id: &str,
    ) -> Result<()> {
        let id_number = id.parse().map_err(|_| no_principal(kind, id))?;
        let (action, param) = match kind {
            PrincipalKind::User => ("deleteUser", "targetUserId"),
            PrincipalKind::Group => ("removeGroup", "targetGroupId"),
            PrincipalKind::ServicePrincipal => ("deleteServicePrincipal", "targetServicePrincipalId"),
        };
        let mut tx = self.db.write_moving(permit, Audit::of("accounts", action).with(param, id)).await?;
        let principal = in_transaction(&mut tx, id_number, Some(kind)).await?;
        if [self.ground.admins, self.ground.account_users].contains(&principal.id) {
            return Err(IdentityError::SystemGroup(principal.name).into());
        }
        let scopes = "UPDATE securable SET owner = $2 WHERE owner = $1 AND kind = $3";
        tx.run(scopes, params![principal.id, self.ground.admins, Kind::SecretScope.word()]).await?;
        // A warehouse has an id in its path; people know it by its name.
        let owned = "SELECT s.kind, coalesce(w.name, s.path), (SELECT count(*) FROM securable WHERE owner = $1) \
             FROM securable s LEFT JOIN warehouse w ON w.id = s.id WHERE s.owner = $1 ORDER BY s.path LIMIT 1";
        if let Some(row) = tx.row(owned, params![principal.id]).await? {
            let example = format!("{} {}", row.text(0)?, row.text(1)?);
            return Err(IdentityError::Owns { name: principal.name, count: row.int(2)?, example }.into());
        }
        membership::dissolve(&mut tx, principal.id).await?;
        tx.run("DELETE FROM principal WHERE id = $1", params![principal.id]).await?;
        tx.bump().await?;
        membership::keep_an_administrator(&mut tx, &self.ground).await?;
        Ok(tx.commit().await?)
    }

    async fn join(&self, tx: &mut Tx, group: &Principal, member: &Principal) -> Result<()> {
        if membership::join(tx, &self.ground, group, member).await? {
            tx.also(
                Audit::of("accounts", "addPrincipalToGroup")
                    .with("targetGroupName", group.name.as_str())
                    .with("targetUserName", member.name.as_str()),
            );
        }
        Ok(())
    }
}

/// Ends everything that a sign-in left: sessions, OAuth tokens, codes.
pub(crate) async fn end_sessions(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.run("DELETE FROM token WHERE principal = $1 AND kind <> 'personal'", params![principal]).await?;
    tx.run("DELETE FROM oauth_grant WHERE principal = $1", params![principal]).await?;
    Ok(tx.bump().await?)
}

pub(crate) async fn in_transaction(tx: &mut Tx, id: PrincipalId, kind: Option<PrincipalKind>) -> Result<Principal> {
    let found = tx.row(BY_ID, params![id]).await?.as_ref().map(Principal::read).transpose()?;
    let found = found.filter(|found| kind.is_none_or(|kind| found.kind == kind));
    Ok(found.ok_or_else(|| IdentityError::NoPrincipal {
        kind: kind.map_or("principal", PrincipalKind::describe),
        what: id.to_string(),
    })?)
}

pub(crate) async fn named_in_transaction(tx: &mut Tx, name: &str) -> Result<Principal> {
    let found = tx.row(BY_NAME, params![fold(name)]).await?.as_ref().map(Principal::read).transpose()?;
    Ok(found.ok_or_else(|| IdentityError::NoPrincipal { kind: "principal", what: name.to_owned() })?)
}

fn no_principal(kind: PrincipalKind, what: &str) -> IdentityError {
    IdentityError::NoPrincipal { kind: kind.describe(), what: what.to_owned() }
}

fn memberships(rows: &[Row]) -> Result<BTreeMap<PrincipalId, Vec<Membership>>> {
    let mut found: BTreeMap<PrincipalId, Vec<Membership>> = BTreeMap::new();
    for row in rows {
        let other = Principal::read(row)?;
        let shown = other.shown().to_owned();
        found.entry(row.principal(PRINCIPAL_COLUMNS)?).or_default().push(Membership {
            other: other.id,
            kind: other.kind,
            name: other.name,
            shown,
            direct: row.flag(PRINCIPAL_COLUMNS + 1)?,
        });
    }
    Ok(found)
}
