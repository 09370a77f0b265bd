//! Who is in which group, with nesting resolved in the same transaction.
//!
//! `closure` has a row for everybody and every group that they are in, directly or by nesting, and one for themselves. An
//! inactive principal is in no group. Every active user and service principal is in `account users`, which has no rows
//! in `member` and takes part in no nesting.
//!
//! These functions change rows inside a transaction that somebody with a permit began; they write no audit of their own.

use crannog_store::{Tx, params};
use crannog_types::{PrincipalId, Problem, Result};

use crate::errors::IdentityError;
use crate::model::nesting::{DEEPEST, depth_with};
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::bootstrap::Ground;

const ALREADY_ABOVE: &str = "SELECT 1 FROM closure WHERE member = $1 AND principal = $2";

const GROUP_EDGES: &str = "SELECT m.group_id, m.member_id FROM member m JOIN principal p ON p.id = m.member_id \
     WHERE p.kind = 'group'";

/// Everybody below the member gets every group above the group.
const JOIN_ABOVE: &str = "INSERT INTO closure (member, principal) \
     SELECT d.member, a.principal FROM closure d CROSS JOIN closure a WHERE d.principal = $2 AND a.member = $1 \
     ON CONFLICT DO NOTHING";

/// Everybody below the member loses every group above the group.
const CUT_ABOVE: &str = "DELETE FROM closure WHERE member IN (SELECT member FROM closure WHERE principal = $2) \
     AND principal IN (SELECT principal FROM closure WHERE member = $1)";

/// Everybody below a principal, and it itself, gets back every group that is reached by the edges that are left.
const CLIMB: &str = "INSERT INTO closure (member, principal) \
     WITH RECURSIVE up (member, above) AS ( \
       SELECT d.member, m.group_id FROM closure d JOIN member m ON m.member_id = d.member WHERE d.principal = $1 \
     UNION SELECT up.member, m.group_id FROM up JOIN member m ON m.member_id = up.above) \
     SELECT member, above FROM up WHERE member IS NOT NULL ON CONFLICT DO NOTHING";

/// Puts a member into a group. False when it was there already.
pub(crate) async fn join(tx: &mut Tx, ground: &Ground, group: &Principal, member: &Principal) -> Result<bool> {
    if let Some(system) = [group, member].into_iter().find(|principal| principal.id == ground.account_users) {
        return Err(IdentityError::SystemGroup(system.name.clone()).into());
    }
    if tx.row(ALREADY_ABOVE, params![group.id, member.id]).await?.is_some() {
        return Err(IdentityError::Cycle { group: group.name.clone(), member: member.name.clone() }.into());
    }
    if member.kind == PrincipalKind::Group {
        let rows = tx.rows(GROUP_EDGES, params![]).await?;
        let edges =
            rows.iter().map(|row| Ok((row.principal(0)?, row.principal(1)?))).collect::<Result<Vec<_>, Problem>>()?;
        let depth = depth_with(&edges, group.id, member.id);
        if depth > DEEPEST {
            return Err(IdentityError::TooDeep(depth).into());
        }
    }
    let sql = "INSERT INTO member (group_id, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    if tx.run(sql, params![group.id, member.id]).await? == 0 {
        return Ok(false);
    }
    if member.active {
        tx.run(JOIN_ABOVE, params![group.id, member.id]).await?;
    }
    tx.bump().await?;
    Ok(true)
}

/// Takes a member out of a group. False when it was not there.
pub(crate) async fn leave(tx: &mut Tx, group: PrincipalId, member: PrincipalId) -> Result<bool> {
    let sql = "DELETE FROM member WHERE group_id = $1 AND member_id = $2";
    if tx.run(sql, params![group, member]).await? == 0 {
        return Ok(false);
    }
    tx.run(CUT_ABOVE, params![group, member]).await?;
    let inactive = "SELECT 1 FROM principal WHERE id = $1 AND active = 0";
    if tx.row(inactive, params![member]).await?.is_none() {
        tx.run(CLIMB, params![member]).await?;
    }
    tx.bump().await?;
    Ok(true)
}

/// Writes the closure of one principal anew: when it is made, activated or deactivated.
pub(crate) async fn settle(tx: &mut Tx, ground: &Ground, principal: &Principal) -> Result<()> {
    tx.run("DELETE FROM closure WHERE member = $1", params![principal.id]).await?;
    let insert = "INSERT INTO closure (member, principal) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.run(insert, params![principal.id, principal.id]).await?;
    if principal.active {
        if principal.kind != PrincipalKind::Group {
            tx.run(insert, params![principal.id, ground.account_users]).await?;
        }
        tx.run(CLIMB, params![principal.id]).await?;
    }
    Ok(tx.bump().await?)
}

/// Takes a principal out of everything, before it is deleted.
pub(crate) async fn dissolve(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    for row in tx.rows("SELECT group_id FROM member WHERE member_id = $1", params![principal]).await? {
        leave(tx, row.principal(0)?, principal).await?;
    }
    for row in tx.rows("SELECT member_id FROM member WHERE group_id = $1", params![principal]).await? {
        leave(tx, principal, row.principal(0)?).await?;
    }
    Ok(())
}

/// Refuses a change after which nobody could administer.
pub(crate) async fn keep_an_administrator(tx: &mut Tx, ground: &Ground) -> Result<()> {
    let left = "SELECT 1 FROM closure c JOIN principal p ON p.id = c.member \
         WHERE c.principal = $1 AND p.kind <> 'group' AND p.active = 1 LIMIT 1";
    match tx.row(left, params![ground.admins]).await? {
        Some(_) => Ok(()),
        None => Err(IdentityError::LastAdministrator.into()),
    }
}
