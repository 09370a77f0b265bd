//! Verbs of the catalog. Each takes a permit, and what it is done to comes from the permit.

pub mod catalogs;
pub mod containers;
pub mod explain;
pub mod files;
pub mod grants;
pub mod lineage;
pub mod locations;
pub mod metastore;
pub mod models;
pub mod reconcile;
pub mod schemas;
pub mod table_logs;
pub mod tables;
pub mod vending;
pub mod volumes;

use crannog_security::{Caller, Decision, Kind, Reference, Rule};
use crannog_store::{Tx, params};
use crannog_types::{FullName, Result, SecurableId};

use crate::model::objects::Change;
use crate::sql;

/// Whether one of these rules allows the caller; leaves no trace.
async fn may_any(caller: &Caller, rules: [Rule; 3], about: &Reference) -> Result<bool> {
    for rule in rules {
        if let (_, Decision::Allowed(_)) = caller.explain(rule, about).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What an update of any object has in common.
async fn apply(tx: &mut Tx, id: SecurableId, kind: Kind, name: &FullName, change: &Change) -> Result<()> {
    if let Some(comment) = &change.comment {
        let comment = Some(comment.as_str()).filter(|comment| !comment.is_empty());
        tx.run("UPDATE securable SET comment = $1 WHERE id = $2", params![comment, id]).await?;
    }
    if let Some(owner) = &change.owner {
        sql::transfer(tx, id, owner).await?;
    }
    sql::touch(tx, id).await?;
    if let Some(new_name) = &change.new_name {
        sql::rename(tx, id, kind, name, new_name).await?;
    }
    Ok(())
}
