//! Versions: made, made ready, read, changed, deleted, tagged; stages of old clients.

use std::collections::BTreeMap;

use crannog_governance::model::lineage::Event;
use crannog_governance::service::{lineage, models as governed};
use crannog_security::actions::models;
use crannog_security::{Action, Evidence, Permit, kinds};
use crannog_store::query::{Expr, ExprTrait, Order, Query};
use crannog_store::{Db, Row, Tx, params};
use crannog_types::{FullName, Problem, Result, SecurableId};

use super::files::{self, root};
use super::{aliases, audit, no_model, no_version};
use crate::model::experiments::Tag;
use crate::model::limits;
use crate::model::registry::signature::{Comparison, Signature};
use crate::model::registry::{Status, Version, check_key, check_tag, check_text, stage};
use crate::service::artifacts::Artifacts;
use crate::service::lineage::Whence;
use crate::sql::Rows;

/// The columns of [`read`], of a version called v.
pub(crate) const COLUMNS: [&str; 15] = [
    "model",
    "version",
    "status",
    "status_message",
    "stage",
    "source",
    "location",
    "run_id",
    "run_link",
    "model_id",
    "comment",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
];

macro_rules! columns {
    () => {
        "SELECT v.model, v.version, v.status, v.status_message, v.stage, v.source, v.location, v.run_id, v.run_link, v.model_id, \
         v.comment, v.created_at, v.created_by, v.updated_at, v.updated_by FROM model_version v"
    };
}

const ONE: &str = concat!(columns!(), " WHERE v.model = $1 AND v.version = $2");

/// Reads [`COLUMNS`] at the front of a row.
pub(super) fn read(row: &Row, model: FullName) -> Result<Version> {
    Ok(Version {
        model,
        number: row.int(1)?,
        status: Status::of_word(&row.text(2)?),
        status_message: row.opt_text(3)?,
        stage: row.text(4)?,
        source: row.text(5)?,
        location: row.opt_text(6)?,
        run_id: row.opt_text(7)?,
        run_link: row.opt_text(8)?,
        model_id: row.opt_text(9)?,
        comment: row.opt_text(10)?,
        created_at: row.micros(11)?,
        created_by: row.text(12)?,
        updated_at: row.micros(13)?,
        updated_by: row.text(14)?,
        tags: Vec::new(),
        aliases: Vec::new(),
    })
}

/// A version that somebody makes.
#[derive(Clone, Debug, Default)]
pub struct NewVersion {
    /// Where its files come from, as the client says.
    pub source: String,
    /// Where old clients find its files.
    pub location: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: Option<String>,
    /// The logged model that it is made of.
    pub model_id: Option<String>,
    /// What it is.
    pub comment: Option<String>,
    /// Its tags; the last of one key counts.
    pub tags: Vec<Tag>,
    /// The files that it has from somebody: their root and the folder below. With them it is ready at once.
    pub shared: Option<(String, String)>,
    /// Ready at once, though its files are elsewhere.
    pub elsewhere: bool,
    /// What it was made by and of, as far as its maker may read that.
    pub whence: Whence,
}

/// Makes a version, which gets the next number.
pub async fn create(
    artifacts: &Artifacts,
    permit: &Permit<models::CreateVersion>,
    new: &NewVersion,
) -> Result<Version> {
    let texts = [
        ("source", Some(new.source.as_str())),
        ("run_id", new.run_id.as_deref()),
        ("run_link", new.run_link.as_deref()),
        ("model_id", new.model_id.as_deref()),
        ("description", new.comment.as_deref()),
    ];
    for (what, text) in texts {
        check_text(what, text)?;
    }
    // Both databases find versions by it.
    limits::check_length("run_id", limits::RUN_NAME, new.run_id.as_deref().unwrap_or_default())?;
    limits::check_count("tags", limits::TAGS, new.tags.len())?;
    for tag in &new.tags {
        check_tag(tag)?;
    }
    let (db, target) = (&artifacts.db, permit.target());
    let signature = match &new.shared {
        // Contents never change, and neither do the files of what is logged once it is registered.
        Some((from, folder)) => files::signature(artifacts, permit, from, folder).await?,
        None => None,
    };
    let mut tx = db.write(permit, audit("createModelVersion", &target.name)).await?;
    let next = "UPDATE registered_model SET last_version = last_version + 1 WHERE id = $1 RETURNING last_version";
    let number = tx.row(next, params![target.id]).await?.ok_or_else(|| no_model(&target.name))?.int(0)?;
    let ready = new.shared.is_some() || new.elsewhere;
    let status = if ready { Status::Ready } else { Status::Pending };
    let (now, author) = (tx.now(), tx.author());
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    tx.run(
        "INSERT INTO model_version (model, version, status, stage, source, location, run_id, run_link, model_id, comment, \
         signature, created_at, created_by, updated_at, updated_by) \
         VALUES ($1, $2, $3, 'None', $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $12)",
        params![
            target.id,
            number,
            status.word(),
            new.source.as_str(),
            new.location.clone(),
            some(&new.run_id),
            some(&new.run_link),
            some(&new.model_id),
            new.comment.clone(),
            signature.as_ref().and_then(|signature| serde_json::to_string(signature).ok()),
            now,
            author,
        ],
    )
    .await?;
    static PUT: Rows = Rows::new("INSERT INTO model_version_tag (model, version, key, value)", 4, "");
    let tags: BTreeMap<&str, &str> = new.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    PUT.run(&mut tx, tags, |(key, value)| params![target.id, number, key, value]).await?;
    if let Some((from, folder)) = &new.shared {
        files::share(&mut tx, from, folder, &root(target.id, number)).await?;
    }
    governed::touch(&mut tx, target.id).await?;
    let flows = new.whence.flows(target, number);
    let event = Event { at: now, who: permit.who(), statement: None, part: new.whence.part.as_ref(), flows: &flows };
    lineage::record(&mut tx, &event).await?;
    tx.commit().await?;
    get(db, permit, number).await
}

/// One version.
///
/// # Errors
/// When there is no such version.
pub async fn get<A: Action<On = kinds::Model>>(db: &Db, permit: &Permit<A>, number: i64) -> Result<Version> {
    let target = permit.target();
    let row = db.read(permit).row(ONE, params![target.id, number]).await?;
    let found = read(&row.ok_or_else(|| no_version(&target.name, number))?, target.name.clone())?;
    let mut all = with_data(db, permit, vec![(target.id, found)]).await?;
    all.pop().ok_or_else(|| no_version(&target.name, number))
}

/// The versions of a model after a number, the first made first.
pub async fn list<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    after: i64,
    most: i64,
) -> Result<Vec<Version>> {
    const LIST: &str = concat!(columns!(), " WHERE v.model = $1 AND v.version > $2 ORDER BY v.version LIMIT $3");
    let target = permit.target();
    let rows = db.read(permit).rows(LIST, params![target.id, after, most]).await?;
    let found = rows.iter().map(|row| Ok((target.id, read(row, target.name.clone())?))).collect::<Result<Vec<_>>>()?;
    with_data(db, permit, found).await
}

/// The last version of a model in each stage, in the order of their numbers; those of some stages when asked.
pub async fn latest<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    stages: &[String],
) -> Result<Vec<Version>> {
    let mut wanted = Vec::new();
    for name in stages {
        wanted.push(stage(name)?);
    }
    let target = permit.target();
    let found = latest_of(db, permit, vec![(target.id, target.name.clone())]).await?;
    Ok(found.into_iter().filter(|version| wanted.is_empty() || wanted.contains(&version.stage.as_str())).collect())
}

/// The last version in each stage of each of some models.
pub(super) async fn latest_of(
    db: &Db,
    evidence: &dyn Evidence,
    models: Vec<(SecurableId, FullName)>,
) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    for part in models.chunks(MODELS_A_READ) {
        let greatest = Query::select()
            .column(("w", "model"))
            .column(("w", "stage"))
            .expr_as(Expr::col(("w", "version")).max(), "version")
            .from_as("model_version", "w")
            .and_where(Expr::col(("w", "model")).is_in(part.iter().map(|(id, _)| id.to_string())))
            .group_by_col(("w", "model"))
            .group_by_col(("w", "stage"))
            .to_owned();
        let mut query = Query::select();
        for column in COLUMNS {
            query.column(("v", column));
        }
        let same = |column: &'static str| Expr::col(("l", column)).equals(("v", column));
        query
            .from_as("model_version", "v")
            .join_subquery(crannog_store::query::JoinType::InnerJoin, greatest, "l", same("model").and(same("version")))
            .order_by(("v", "model"), Order::Asc)
            .order_by(("v", "version"), Order::Asc);
        for row in db.read(evidence).select(&query).await? {
            let id = row.securable(0)?;
            let name = part.iter().find(|(model, _)| *model == id).map(|(_, name)| name.clone());
            found.push((id, read(&row, name.unwrap_or_else(|| FullName::of(Vec::<String>::new())))?));
        }
    }
    with_data(db, evidence, found).await
}

/// Changes what people say of a version.
pub async fn update(db: &Db, permit: &Permit<models::Manage>, number: i64, comment: Option<&str>) -> Result<Version> {
    check_text("description", comment)?;
    let target = permit.target();
    let mut tx = db.write(permit, audit("updateModelVersion", &target.name).with("version", number)).await?;
    let (now, author) = (tx.now(), tx.author());
    let set =
        "UPDATE model_version SET comment = $1, updated_at = $2, updated_by = $3 WHERE model = $4 AND version = $5";
    if tx.run(set, params![comment, now, author, target.id, number]).await? == 0 {
        return Err(no_version(&target.name, number));
    }
    tx.commit().await?;
    get(db, permit, number).await
}

/// Makes a version ready: its files are all there, and stay as they are. Once more is no error.
pub async fn finalize(artifacts: &Artifacts, permit: &Permit<models::CreateVersion>, number: i64) -> Result<Version> {
    let (db, target) = (&artifacts.db, permit.target());
    if get(db, permit, number).await?.status == Status::Ready {
        return get(db, permit, number).await;
    }
    let signature = files::signature(artifacts, permit, &root(target.id, number), "").await?;
    let mut tx = db.write(permit, audit("finalizeModelVersion", &target.name).with("version", number)).await?;
    files::pending(&mut tx, permit, number).await?;
    let (now, author) = (tx.now(), tx.author());
    let signature = signature.as_ref().and_then(|signature| serde_json::to_string(signature).ok());
    tx.run(
        "UPDATE model_version SET status = 'READY', signature = $1, updated_at = $2, updated_by = $3 \
         WHERE model = $4 AND version = $5",
        params![signature, now, author, target.id, number],
    )
    .await?;
    governed::touch(&mut tx, target.id).await?;
    tx.commit().await?;
    get(db, permit, number).await
}

/// Deletes a version with its files; its number is not given again.
pub async fn delete(db: &Db, permit: &Permit<models::Manage>, number: i64) -> Result<()> {
    let target = permit.target();
    let mut tx = db.write(permit, audit("deleteModelVersion", &target.name).with("version", number)).await?;
    aliases::forget(&mut tx, target.id, number).await?;
    tx.run("DELETE FROM artifact WHERE root = $1", params![root(target.id, number)]).await?;
    let gone = "DELETE FROM model_version WHERE model = $1 AND version = $2";
    if tx.run(gone, params![target.id, number]).await? == 0 {
        return Err(no_version(&target.name, number));
    }
    governed::touch(&mut tx, target.id).await?;
    Ok(tx.commit().await?)
}

async fn there(tx: &mut Tx, permit: &Permit<models::Tag>, number: i64) -> Result<()> {
    let target = permit.target();
    let found = "SELECT 1 FROM model_version WHERE model = $1 AND version = $2";
    tx.row(found, params![target.id, number]).await?.map(|_| ()).ok_or_else(|| no_version(&target.name, number))
}

/// Sets a tag of a version.
///
/// # Errors
/// A new one where there are as many as there may be.
pub async fn set_tag(db: &Db, permit: &Permit<models::Tag>, number: i64, tag: &Tag) -> Result<()> {
    check_tag(tag)?;
    let target = permit.target();
    let about = audit("setModelVersionTag", &target.name).with("version", number).with("key", tag.key.as_str());
    let mut tx = db.write(permit, about).await?;
    there(&mut tx, permit, number).await?;
    // None when it is there already.
    let others = "SELECT count(*) FROM model_version_tag WHERE model = $1 AND version = $2 \
                  AND NOT EXISTS (SELECT 1 FROM model_version_tag WHERE model = $1 AND version = $2 AND key = $3)";
    let others = tx.row(others, params![target.id, number, tag.key.as_str()]).await?;
    limits::check_room("a model version", others.map(|row| row.int(0)).transpose()?.unwrap_or_default())?;
    tx.run(
        "INSERT INTO model_version_tag (model, version, key, value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value",
        params![target.id, number, tag.key.as_str(), tag.value.as_str()],
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Deletes a tag of a version. One that is not there is no error, as in MLflow.
pub async fn delete_tag(db: &Db, permit: &Permit<models::Tag>, number: i64, key: &str) -> Result<()> {
    check_key(key)?;
    let target = permit.target();
    let about = audit("deleteModelVersionTag", &target.name).with("version", number).with("key", key);
    let mut tx = db.write(permit, about).await?;
    there(&mut tx, permit, number).await?;
    let gone = "DELETE FROM model_version_tag WHERE model = $1 AND version = $2 AND key = $3";
    tx.run(gone, params![target.id, number, key]).await?;
    Ok(tx.commit().await?)
}

/// Moves a version to a stage; with `archive` what was in that stage goes to `Archived`.
///
/// # Errors
/// A stage that is none; `archive` for one whose versions nobody uses.
pub async fn transition(
    db: &Db,
    permit: &Permit<models::Manage>,
    number: i64,
    to: &str,
    archive: bool,
) -> Result<Version> {
    let to_stage = stage(to)?;
    if archive && !["Staging", "Production"].contains(&to_stage) {
        return Err(Problem::invalid(format!(
            "Model version transition cannot archive existing model versions because '{to}' is not an Active stage. Valid \
             stages are ['Staging', 'Production']"
        )));
    }
    let target = permit.target();
    let about = audit("transitionModelVersionStage", &target.name).with("version", number).with("stage", to_stage);
    let mut tx = db.write(permit, about).await?;
    let (now, author) = (tx.now(), tx.author());
    if archive {
        tx.run(
            "UPDATE model_version SET stage = 'Archived', updated_at = $1, updated_by = $2 \
             WHERE model = $3 AND version <> $4 AND stage = $5",
            params![now, author.as_str(), target.id, number, to_stage],
        )
        .await?;
    }
    let set = "UPDATE model_version SET stage = $1, updated_at = $2, updated_by = $3 WHERE model = $4 AND version = $5";
    if tx.run(set, params![to_stage, now, author, target.id, number]).await? == 0 {
        return Err(no_version(&target.name, number));
    }
    governed::touch(&mut tx, target.id).await?;
    tx.commit().await?;
    get(db, permit, number).await
}

/// A version's signature, and what changed since the last version before it that has one, with the number of that.
pub async fn compared<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    number: i64,
) -> Result<(Option<Signature>, Option<(i64, Comparison)>)> {
    let (reader, target) = (db.read(permit), permit.target());
    let one = "SELECT signature FROM model_version WHERE model = $1 AND version = $2";
    let row = reader.row(one, params![target.id, number]).await?.ok_or_else(|| no_version(&target.name, number))?;
    let parse = |text: String| {
        serde_json::from_str::<Signature>(&text).map_err(|error| Problem::internal("a signature cannot be read", error))
    };
    let Some(signature) = row.opt_text(0)?.map(parse).transpose()? else { return Ok((None, None)) };
    let last = "SELECT version, signature FROM model_version WHERE model = $1 AND version < $2 AND signature IS NOT NULL \
                ORDER BY version DESC LIMIT 1";
    let before = match reader.row(last, params![target.id, number]).await? {
        Some(row) => Some((row.int(0)?, Comparison::of(&parse(row.text(1)?)?, &signature))),
        None => None,
    };
    Ok((Some(signature), before))
}

/// How many models one read of tags and aliases is about.
const MODELS_A_READ: usize = 100;

/// Versions with their tags and aliases, in the same order.
pub(super) async fn with_data(
    db: &Db,
    evidence: &dyn Evidence,
    found: Vec<(SecurableId, Version)>,
) -> Result<Vec<Version>> {
    let mut at: BTreeMap<(String, i64), usize> = BTreeMap::new();
    let mut models: Vec<String> = Vec::new();
    let mut versions = Vec::with_capacity(found.len());
    for (id, version) in found {
        at.insert((id.to_string(), version.number), versions.len());
        models.push(id.to_string());
        versions.push(version);
    }
    models.sort();
    models.dedup();
    let least = versions.iter().map(|version: &Version| version.number).min().unwrap_or_default();
    let most = versions.iter().map(|version| version.number).max().unwrap_or_default();
    for part in models.chunks(MODELS_A_READ) {
        let of = |table: &'static str, columns: &[&'static str], by: &'static str| {
            Query::select()
                .columns(["model", "version"])
                .columns(columns.iter().copied())
                .from(table)
                .and_where(Expr::col("model").is_in(part.iter().map(String::as_str)))
                .and_where(Expr::col("version").between(least, most))
                .order_by(by, Order::Asc)
                .to_owned()
        };
        let reader = db.read(evidence);
        for row in reader.select(&of("model_version_tag", &["key", "value"], "key")).await? {
            if let Some(version) = at.get(&(row.text(0)?, row.int(1)?)).and_then(|at| versions.get_mut(*at)) {
                version.tags.push(Tag { key: row.text(2)?, value: row.text(3)? });
            }
        }
        for row in reader.select(&of("model_alias", &["alias"], "alias")).await? {
            if let Some(version) = at.get(&(row.text(0)?, row.int(1)?)).and_then(|at| versions.get_mut(*at)) {
                version.aliases.push(row.text(2)?);
            }
        }
    }
    Ok(versions)
}

/// Takes note that somebody asked how to reach a version's files.
///
/// # Errors
/// When there is no such version.
pub async fn vend<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    number: i64,
    operation: &str,
) -> Result<()> {
    let about = audit("generateTemporaryModelVersionCredential", &permit.target().name);
    noted(db, permit, number, about.with("operation", operation)).await
}

/// Takes note that somebody loads a version.
///
/// # Errors
/// When there is no such version.
pub async fn loaded(db: &Db, permit: &Permit<models::Execute>, number: i64) -> Result<()> {
    noted(db, permit, number, audit("loadModelVersion", &permit.target().name)).await
}

async fn noted<A: Action<On = kinds::Model>>(
    db: &Db,
    permit: &Permit<A>,
    number: i64,
    about: crannog_store::Audit,
) -> Result<()> {
    let target = permit.target();
    let mut tx = db.write(permit, about.with("version", number)).await?;
    let found = "SELECT 1 FROM model_version WHERE model = $1 AND version = $2";
    tx.row(found, params![target.id, number]).await?.ok_or_else(|| no_version(&target.name, number))?;
    Ok(tx.commit().await?)
}
