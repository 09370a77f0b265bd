//! Permission levels of objects of the workspace (warehouses, experiments), as Databricks' generic permissions API has them:
//! grants on the securable, and a warehouse's owner as IS_OWNER.

use std::collections::BTreeMap;

use crannog_security::{Action, Evidence, Kind, Permit, Privilege, Target};
use crannog_store::{Audit, Tx, params};
use crannog_types::{Code, PrincipalId, Problem, Result};

use crate::Identity;
use crate::model::principals::{PRINCIPAL_COLUMNS, Principal, principal_columns};
use crate::service::principals::named_in_transaction;

/// A level, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// See that a warehouse is there.
    View,
    /// Run statements on a warehouse.
    Use,
    /// See everybody's statements on a warehouse.
    Monitor,
    /// See an experiment, its runs and their files.
    Read,
    /// Log runs in an experiment.
    Edit,
    /// Everything that its owner may.
    Manage,
    /// All of it.
    Owner,
}

impl Level {
    /// The levels of a kind of object, strongest first, each with what it allows.
    pub fn of(kind: Kind) -> &'static [(Level, &'static str)] {
        match kind {
            Kind::Warehouse => &[
                (Level::Owner, "Owns the warehouse"),
                (Level::Manage, "Can edit, start, stop, delete and share the warehouse"),
                (Level::Monitor, "Can run statements and see those of others"),
                (Level::Use, "Can run statements on the warehouse"),
                (Level::View, "Can see the warehouse"),
            ],
            Kind::Experiment => &[
                (Level::Manage, "Can rename, delete, restore and share the experiment"),
                (Level::Edit, "Can log runs in the experiment, and change and delete runs"),
                (Level::Read, "Can see the experiment, its runs and their files"),
            ],
            _ => &[],
        }
    }

    /// `CAN_USE`.
    pub fn word(self) -> &'static str {
        match self {
            Level::View => "CAN_VIEW",
            Level::Use => "CAN_USE",
            Level::Monitor => "CAN_MONITOR",
            Level::Read => "CAN_READ",
            Level::Edit => "CAN_EDIT",
            Level::Manage => "CAN_MANAGE",
            Level::Owner => "IS_OWNER",
        }
    }

    /// The level of a word, if objects of this kind have it.
    pub fn of_word(kind: Kind, word: &str) -> Option<Level> {
        Level::of(kind).iter().map(|(level, _)| *level).find(|level| level.word() == word)
    }

    fn privilege(self) -> Option<Privilege> {
        match self {
            Level::View => Some(Privilege::CanView),
            Level::Use => Some(Privilege::CanUse),
            Level::Monitor => Some(Privilege::CanMonitor),
            Level::Read => Some(Privilege::CanRead),
            Level::Edit => Some(Privilege::CanEdit),
            Level::Manage => Some(Privilege::CanManage),
            Level::Owner => None,
        }
    }
}

/// Levels of one principal on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAcl {
    /// Who.
    pub principal: Principal,
    /// Which levels; `true`: by administering the whole, not by a grant here.
    pub levels: Vec<(Level, bool)>,
}

const GRANTS: &str = principal_columns!(
    ", g.privilege FROM securable_grant g JOIN principal p ON p.id = g.principal \
         WHERE g.securable = $1 ORDER BY p.id"
);
const ONE: &str = principal_columns!("FROM principal p WHERE p.id = $1");

impl Identity {
    /// Who has which level on an object.
    pub async fn levels<A: Action>(&self, permit: &Permit<A>) -> Result<Vec<ObjectAcl>> {
        self.acls_of(permit, permit.target()).await
    }

    /// Changes levels on an object. With `replace`, whoever is not named loses theirs; one level a principal.
    pub async fn change_levels<A: Action>(
        &self,
        permit: &Permit<A>,
        wanted: &[(String, Level)],
        replace: bool,
    ) -> Result<Vec<ObjectAcl>> {
        let target = permit.target();
        let named: BTreeMap<&str, &str> = wanted.iter().map(|(name, level)| (name.as_str(), level.word())).collect();
        let (service, action, object) = match target.kind {
            Kind::Experiment => ("mlflowExperiment", "changeExperimentAcls", "experimentId"),
            _ => ("databrickssql", "changeWarehouseAcls", "warehouse"),
        };
        let audit = Audit::of(service, action)
            .with(object, target.name.to_string())
            .with("replace", replace)
            .with("levels", serde_json::json!(named));
        let mut tx = self.db.write_moving(permit, audit).await?;
        if wanted.iter().any(|(_, level)| *level == Level::Owner) {
            let above = "SELECT 1 FROM closure WHERE member = $1 AND principal IN ($2, $3) LIMIT 1";
            let values = params![permit.who().id, target.owner, self.ground.admins];
            if tx.row(above, values).await?.is_none() {
                return Err(Problem::new(Code::PermissionDenied, "only its owner or an administrator gives it away")
                    .hint("leave IS_OWNER out"));
            }
        }
        if replace {
            tx.run("DELETE FROM securable_grant WHERE securable = $1", params![target.id]).await?;
        }
        for (name, level) in wanted {
            let principal = named_in_transaction(&mut tx, name).await?;
            set(&mut tx, target, principal.id, *level, &permit.who().name).await?;
        }
        tx.bump().await?;
        tx.commit().await?;
        let owner = wanted.iter().rfind(|(_, level)| *level == Level::Owner);
        let owner = match owner {
            Some((name, _)) => self.find_principal(permit, name).await?.map(|owner| owner.id),
            None => None,
        };
        self.acls_of(permit, &Target { owner: owner.unwrap_or(target.owner), ..target.clone() }).await
    }

    async fn acls_of(&self, evidence: &dyn Evidence, target: &Target) -> Result<Vec<ObjectAcl>> {
        let reader = self.db.read(evidence);
        let mut found: Vec<ObjectAcl> = Vec::new();
        let mut add = |principal: Principal, level: Level, inherited: bool| match found
            .iter_mut()
            .find(|acl| acl.principal.id == principal.id)
        {
            Some(acl) => acl.levels.push((level, inherited)),
            None => found.push(ObjectAcl { principal, levels: vec![(level, inherited)] }),
        };
        if let Some(row) = reader.row(ONE, params![target.owner]).await? {
            // Experiments have no such level: their owner can manage them.
            let owns = Level::of_word(target.kind, Level::Owner.word()).unwrap_or(Level::Manage);
            add(Principal::read(&row)?, owns, false);
        }
        for row in reader.rows(GRANTS, params![target.id]).await? {
            if let Some(level) = Level::of_word(target.kind, &row.text(PRINCIPAL_COLUMNS)?) {
                add(Principal::read(&row)?, level, false);
            }
        }
        if let Some(row) = reader.row(ONE, params![self.ground.admins]).await? {
            add(Principal::read(&row)?, Level::Manage, true);
        }
        Ok(found)
    }
}

async fn set(tx: &mut Tx, target: &Target, principal: PrincipalId, level: Level, by: &str) -> Result<(), Problem> {
    let gone = "DELETE FROM securable_grant WHERE securable = $1 AND principal = $2";
    tx.run(gone, params![target.id, principal]).await?;
    match level.privilege() {
        Some(privilege) => {
            let sql = "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
                 VALUES ($1, $2, $3, $4, $5)";
            tx.run(sql, params![target.id, principal, privilege.sql(), tx.now(), by]).await?;
        }
        None => {
            let sql = "UPDATE securable SET owner = $2, updated_at = $3, updated_by = $4 WHERE id = $1";
            tx.run(sql, params![target.id, principal, tx.now(), by]).await?;
        }
    }
    Ok(())
}
