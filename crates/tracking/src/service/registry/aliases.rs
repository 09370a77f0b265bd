//! Aliases: names that point at one version each, with every move of them: who, when, why.
//!
//! A move can be made on a condition: that the alias still points at what its mover last saw. Of two movers who saw the same,
//! one is told that the other came first.

use crannog_security::actions::models;
use crannog_security::{Action, Permit, kinds};
use crannog_store::{Db, Tx, params};
use crannog_types::{Code, FullName, Micros, Problem, Result, SecurableId};

use super::{audit, no_version};
use crate::model::registry::{Move, check_alias, check_text};

/// What a mover says besides where to.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The version that the alias has to point at before; `Some(None)`: it must point at none.
    pub expected: Option<Option<i64>>,
    /// Why it is moved.
    pub reason: Option<String>,
}

/// Points an alias at a version.
///
/// # Errors
/// A name that no alias has; no such version; `ABORTED` when it does not point at what was expected.
pub async fn set(db: &Db, permit: &Permit<models::Manage>, alias: &str, number: i64, terms: &Terms) -> Result<()> {
    check_alias(alias)?;
    check_text("reason", terms.reason.as_deref())?;
    let target = permit.target();
    let about = audit("setRegisteredModelAlias", &target.name).with("alias", alias).with("version", number);
    let mut tx = db.write(permit, about).await?;
    let there = "SELECT 1 FROM model_version WHERE model = $1 AND version = $2";
    if tx.row(there, params![target.id, number]).await?.is_none() {
        return Err(no_version(&target.name, number));
    }
    let previous = current(&mut tx, target.id, alias).await?;
    expect(alias, previous, terms)?;
    tx.run(
        "INSERT INTO model_alias (model, alias, version) VALUES ($1, $2, $3) \
         ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version",
        params![target.id, alias, number],
    )
    .await?;
    if previous != Some(number) {
        note(&mut tx, target.id, alias, Some(number), previous, terms.reason.as_deref()).await?;
    }
    crannog_governance::service::models::touch(&mut tx, target.id).await?;
    Ok(tx.commit().await?)
}

/// Takes an alias away; says whether it was there.
///
/// # Errors
/// `ABORTED` when it does not point at what was expected.
pub async fn delete(db: &Db, permit: &Permit<models::Manage>, alias: &str, terms: &Terms) -> Result<bool> {
    check_text("reason", terms.reason.as_deref())?;
    let target = permit.target();
    let mut tx = db.write(permit, audit("deleteRegisteredModelAlias", &target.name).with("alias", alias)).await?;
    let previous = current(&mut tx, target.id, alias).await?;
    expect(alias, previous, terms)?;
    if previous.is_some() {
        tx.run("DELETE FROM model_alias WHERE model = $1 AND alias = $2", params![target.id, alias]).await?;
        note(&mut tx, target.id, alias, None, previous, terms.reason.as_deref()).await?;
        crannog_governance::service::models::touch(&mut tx, target.id).await?;
    }
    tx.commit().await?;
    Ok(previous.is_some())
}

/// Takes away all aliases of a version that is deleted.
pub(super) async fn forget(tx: &mut Tx, model: SecurableId, number: i64) -> Result<()> {
    let of = "SELECT alias FROM model_alias WHERE model = $1 AND version = $2 ORDER BY alias";
    for row in tx.rows(of, params![model, number]).await? {
        note(tx, model, &row.text(0)?, None, Some(number), Some("the version was deleted")).await?;
    }
    tx.run("DELETE FROM model_alias WHERE model = $1 AND version = $2", params![model, number]).await?;
    Ok(())
}

async fn current(tx: &mut Tx, model: SecurableId, alias: &str) -> Result<Option<i64>> {
    let row = tx.row("SELECT version FROM model_alias WHERE model = $1 AND alias = $2", params![model, alias]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

fn expect(alias: &str, found: Option<i64>, terms: &Terms) -> Result<()> {
    let Some(expected) = terms.expected.filter(|expected| *expected != found) else { return Ok(()) };
    let shown =
        |version: Option<i64>| version.map_or_else(|| "no version".to_owned(), |number| format!("version {number}"));
    Err(Problem::new(
        Code::Aborted,
        format!("the alias '{alias}' points at {}, not at {}", shown(found), shown(expected)),
    )
    .reason("ABORTED")
    .hint("somebody moved it meanwhile; look at its history and decide again"))
}

pub(crate) async fn note(
    tx: &mut Tx,
    model: SecurableId,
    alias: &str,
    version: Option<i64>,
    previous: Option<i64>,
    reason: Option<&str>,
) -> Result<()> {
    let (now, author) = (tx.now(), tx.author());
    let reason = reason.filter(|reason| !reason.is_empty());
    tx.run(
        "INSERT INTO model_alias_move (model, alias, version, previous, moved_at, moved_by, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![model, alias, version, previous, now, author, reason],
    )
    .await?;
    Ok(())
}

/// The version that an alias points at, or pointed at at a time.
pub async fn find<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    alias: &str,
    as_of: Option<Micros>,
) -> Result<Option<i64>> {
    let (reader, model) = (db.read(permit), permit.target().id);
    let row = match as_of {
        None => {
            let now = "SELECT version FROM model_alias WHERE model = $1 AND alias = $2";
            reader.row(now, params![model, alias]).await?
        }
        Some(at) => {
            let then = "SELECT version FROM model_alias_move WHERE model = $1 AND alias = $2 AND moved_at <= $3 \
                        ORDER BY seq DESC LIMIT 1";
            reader.row(then, params![model, alias, at]).await?
        }
    };
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten())
}

/// The moves of an alias, or of all of a model, the last first: those before a move, so many of them. Each with its number.
pub async fn history<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    alias: Option<&str>,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<(i64, Move)>> {
    let rows = db
        .read(permit)
        .rows(
            "SELECT seq, alias, version, previous, moved_at, moved_by, reason FROM model_alias_move \
             WHERE model = $1 AND ($2 = '' OR alias = $2) AND seq < $3 ORDER BY seq DESC LIMIT $4",
            params![permit.target().id, alias.unwrap_or_default(), before.unwrap_or(i64::MAX), most],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let found = Move {
                alias: row.text(1)?,
                version: row.opt_int(2)?,
                previous: row.opt_int(3)?,
                at: row.micros(4)?,
                by: row.text(5)?,
                reason: row.opt_text(6)?,
            };
            Ok((row.int(0)?, found))
        })
        .collect()
}

/// The answer about an alias that points at nothing, in Unity Catalog's words.
pub fn no_alias(model: &FullName, alias: &str) -> Problem {
    Problem::not_found(format!("Registered model alias '{alias}' of '{model}' does not exist"))
        .reason("RESOURCE_DOES_NOT_EXIST")
        .hint("the model says which aliases it has")
}
