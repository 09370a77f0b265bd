//! Experiments.

use std::collections::BTreeMap;

use crannog_security::actions::{experiments, metastore};
use crannog_security::{Action, Kind, Listing, Permit, System, Task, Visible, kinds};
use crannog_store::query::{Expr, ExprTrait, Order, Query};
use crannog_store::{Audit, Db, Row, Tx, params};
use crannog_types::{Code, PrincipalId, Problem, Result, SecurableId};

use super::Asked;
use super::runs::PAGE_BYTES;
use crate::model::experiments::{DEFAULT, Experiment, Lifecycle, Tag, View};
use crate::model::search::{Compare, Entity, Filter, Key, Operator, Value, experiments_order};
use crate::model::{artifacts, limits};
use crate::sql::Rows;
use crate::sql::search_experiments::{ExperimentSearch, search_experiments};
use crate::sql::search_runs::distinct;

/// How an experiment is found by its name.
pub static BY_NAME: crannog_security::Finder = crannog_security::Finder {
    kind: Kind::Experiment,
    sql: "SELECT securable FROM experiment WHERE name = $1",
    key: str::to_owned,
    missing: "Could not find experiment with name '{}'",
};

const COLUMNS: &str = "SELECT securable, id, name, artifact_location, lifecycle, created_ms, updated_ms FROM experiment WHERE securable = $1";

fn audit(action: &'static str) -> Audit {
    Audit::of("mlflowExperiment", action)
}

/// An experiment that somebody wants.
#[derive(Clone, Debug, Default)]
pub struct NewExperiment {
    /// Its name.
    pub name: String,
    /// Where its runs' files are to be, if not in the server's own storage.
    pub artifact_location: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Makes an experiment; its maker owns it. Gives its id.
///
/// # Errors
/// `RESOURCE_ALREADY_EXISTS` for a name that is taken, also by a deleted experiment.
pub async fn create(db: &Db, permit: &Permit<metastore::Work>, new: &NewExperiment) -> Result<i64> {
    limits::check_experiment_name(&new.name)?;
    if new.artifact_location.as_deref().is_some_and(|location| location.contains(['#', ';'])) {
        return Err(Problem::invalid("'artifact_location' URL can't include fragments or params."));
    }
    if new.artifact_location.as_deref().is_some_and(artifacts::hides_runs) {
        return Err(Problem::invalid(
            "'artifact_location' must have no folder `artifacts`: runs keep their files in one",
        ));
    }
    limits::check_count("tags", limits::TAGS, new.tags.len())?;
    for tag in &new.tags {
        limits::check_experiment_tag(&tag.key, &tag.value)?;
    }
    let about = audit("createMlflowExperiment").with("experimentName", new.name.as_str());
    let mut tx = db.write_moving(permit, about).await?;
    let last = tx.row("SELECT coalesce(max(id), 0) FROM experiment", params![]).await?;
    let id = last
        .map(|row| row.int(0))
        .transpose()?
        .unwrap_or(DEFAULT)
        .checked_add(1)
        .ok_or_else(|| Problem::new(Code::ResourceExhausted, "there is no number left for an experiment"))?;
    if !insert(&mut tx, id, new, permit.who().id).await? {
        drop(tx);
        after_what_is_in_flight(db, permit).await?;
        return Err(taken(&new.name));
    }
    tx.bump().await?;
    tx.commit().await?;
    Ok(id)
}

/// Comes back when every change is committed that was made by now. Who has a name may have got it in a change that nobody can read
/// yet, and the caller looks next whose it is.
#[expect(clippy::disallowed_methods, reason = "it changes nothing that an audit row could tell of")]
async fn after_what_is_in_flight(db: &Db, permit: &Permit<metastore::Work>) -> Result<()> {
    Ok(db.write_further(permit).await?.commit().await?)
}

fn taken(name: &str) -> Problem {
    Problem::new(Code::AlreadyExists, format!("Experiment(name={name}) already exists."))
}

/// A name that is taken by an experiment which the caller may not see. `set_experiment` of MLflow's clients takes "already exists" for
/// a race, returns nothing, and logs to `Default` from then on; this code ends it.
pub fn hidden(name: &str) -> Problem {
    Problem::new(Code::PermissionDenied, format!("an experiment that you may not see has the name \"{name}\""))
        .hint("choose another name, or ask who made it or an administrator for CAN_READ or CAN_EDIT")
}

/// Inserts an experiment with its securable; says whether the name was free.
pub(crate) async fn insert(tx: &mut Tx, id: i64, new: &NewExperiment, owner: PrincipalId) -> Result<bool> {
    let securable = SecurableId::new();
    let (now, author) = (tx.now(), tx.author());
    // Nothing caught: a number that somebody else took meanwhile ends the transaction, and it is run again.
    let numbered = tx.run(
        "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, updated_by) \
         VALUES ($1, $2, $3, $4, $4, $4, $5, $6, $7, $6, $7) ON CONFLICT DO NOTHING",
        params![securable, Kind::Experiment.word(), SecurableId::METASTORE, id.to_string(), owner, now, author],
    )
    .await?;
    if numbered == 0 {
        return Ok(false);
    }
    let made = tx
        .run(
            "INSERT INTO experiment (securable, id, name, artifact_location, lifecycle, created_ms, updated_ms) \
             VALUES ($1, $2, $3, $4, 'active', $5, $5) ON CONFLICT DO NOTHING",
            params![securable, id, new.name.as_str(), new.artifact_location.clone(), now.0 / 1000],
        )
        .await?;
    if made == 0 {
        return Ok(false);
    }
    static PUT: Rows = Rows::new(
        "INSERT INTO experiment_tag (experiment, key, value)",
        3,
        "ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value",
    );
    // The last of one key stays; a statement takes each once.
    let tags: BTreeMap<&str, &str> = new.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    PUT.run(tx, tags, |(key, value)| params![id, key, value]).await?;
    Ok(true)
}

async fn set(tx: &mut Tx, id: i64, tag: &Tag) -> Result<()> {
    tx.run(
        "INSERT INTO experiment_tag (experiment, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value",
        params![id, tag.key.as_str(), tag.value.as_str()],
    )
    .await?;
    Ok(())
}

/// Makes the experiment `Default` when there is none at all; everybody may log to it.
pub async fn bootstrap(db: &Db, owner: PrincipalId, everybody: PrincipalId) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the first start makes what a new installation has")]
    let system = System::task(Task::Bootstrap);
    if db.read(&system).row("SELECT 1 FROM experiment", params![]).await?.is_some() {
        return Ok(());
    }
    let mut tx = db.write_unaudited(&system).await?;
    insert(&mut tx, DEFAULT, &NewExperiment { name: "Default".to_owned(), ..NewExperiment::default() }, owner).await?;
    let now = tx.now();
    tx.run(
        "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
         SELECT securable, $1, 'CAN_EDIT', $2, 'System user' FROM experiment WHERE id = $3",
        params![everybody, now, DEFAULT],
    )
    .await?;
    tx.bump().await?;
    Ok(tx.commit().await?)
}

/// One experiment: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Experiment>>(db: &Db, permit: &Permit<A>) -> Result<Experiment> {
    let reader = db.read(permit);
    let row = reader.row(COLUMNS, params![permit.target().id]).await?.ok_or_else(|| gone(&permit.target().name))?;
    let mut found = read(&row)?;
    let tags = "SELECT key, value FROM experiment_tag WHERE experiment = $1 ORDER BY key";
    for row in reader.rows(tags, params![found.id]).await? {
        found.tags.push(Tag { key: row.text(0)?, value: row.text(1)? });
    }
    Ok(found)
}

fn gone(id: &crannog_types::FullName) -> Problem {
    Problem::not_found(format!("No Experiment with id={id} exists")).reason("RESOURCE_DOES_NOT_EXIST")
}

/// The experiments that the caller may see, a page of them. Gives the token of the next.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn search(
    db: &Db,
    visible: &Visible<experiments::Read>,
    view: View,
    asked: &Asked<'_>,
) -> Result<(Vec<Experiment>, Option<String>)> {
    let filter = Filter::parse(Entity::Experiments, asked.filter)?;
    let order = experiments_order(asked.order_by)?;
    let page = asked.page()?;
    let wanted = ExperimentSearch {
        lifecycles: view.lifecycles(),
        filter: &filter,
        order: &order,
        max_results: asked.max_results,
        page: page.as_ref(),
    };
    let mut page = search_experiments(db, visible, &wanted, read).await?;
    let (mut found, mut next) = (std::mem::take(&mut page.found), page.next.take());
    let (mut done, mut bytes) = (0, 0_usize);
    while done < found.len() {
        let end = found.len().min(done + EXPERIMENTS_A_READ);
        let part = &mut found[done..end];
        let ids: Vec<i64> = part.iter().map(|experiment| experiment.id).collect();
        let tags = Query::select()
            .columns(["experiment", "key", "value"])
            .from("experiment_tag")
            .and_where(Expr::col("experiment").is_in(ids))
            .order_by("experiment", Order::Asc)
            .order_by("key", Order::Asc)
            .to_owned();
        for row in db.read(visible).select(&tags).await? {
            let (id, tag) = (row.int(0)?, Tag { key: row.text(1)?, value: row.text(2)? });
            if let Some(experiment) = part.iter_mut().find(|experiment| experiment.id == id) {
                experiment.tags.push(tag);
            }
        }
        let tag = |tag: &Tag| 32 + tag.key.len() + tag.value.len();
        let large = |experiment: &Experiment| experiment.tags.iter().map(tag).sum::<usize>();
        // At least one: what one experiment has is one answer.
        let cut = part.iter().position(|experiment| {
            bytes = bytes.saturating_add(large(experiment));
            bytes >= PAGE_BYTES
        });
        if let Some(at) = cut.map(|at| done + at).filter(|at| at + 1 < found.len()) {
            next = Some(page.behind(at)?);
            found.truncate(at + 1);
            break;
        }
        done = end;
    }
    Ok((found, next.map(|next| next.encode())))
}

/// Those of some experiments that the caller may see, each once.
///
/// # Errors
/// When there are more than one search takes.
pub(crate) async fn seen(db: &Db, visible: &Visible<experiments::Read>, ids: &[i64]) -> Result<Vec<i64>> {
    let ids = distinct(ids)?;
    if visible.listing() == Listing::All || ids.is_empty() {
        return Ok(ids);
    }
    let texts = ids.iter().map(ToString::to_string).collect();
    let named = Compare { key: Key::Attribute("experiment_id"), operator: Operator::In, value: Value::List(texts) };
    let wanted = ExperimentSearch {
        lifecycles: View::All.lifecycles(),
        filter: &Filter::Compare(named),
        order: &experiments_order(&[])?,
        max_results: i64::try_from(ids.len()).unwrap_or(i64::MAX - 1),
        page: None,
    };
    Ok(search_experiments(db, visible, &wanted, |row| Ok(row.int(1)?)).await?.found)
}

/// How many experiments one read of tags is about.
const EXPERIMENTS_A_READ: usize = 100;

/// Reads a row of [`COLUMNS`], and of a search.
fn read(row: &Row) -> Result<Experiment> {
    Ok(Experiment {
        id: row.int(1)?,
        name: row.text(2)?,
        artifact_location: row.opt_text(3)?,
        lifecycle: Lifecycle::of_word(&row.text(4)?),
        created_ms: row.int(5)?,
        updated_ms: row.int(6)?,
        tags: Vec::new(),
    })
}

/// Renames an experiment.
///
/// # Errors
/// `INVALID_STATE` when it is deleted; `RESOURCE_ALREADY_EXISTS` for a name that is taken.
pub async fn rename(db: &Db, permit: &Permit<experiments::Manage>, name: &str) -> Result<()> {
    limits::check_experiment_name(name)?;
    let target = permit.target();
    let mut tx = db
        .write(
            permit,
            audit("renameMlflowExperiment").with("experimentId", target.name.to_string()).with("newName", name),
        )
        .await?;
    let row = tx.row(COLUMNS, params![target.id]).await?.ok_or_else(|| gone(&target.name))?;
    if read(&row)?.lifecycle == Lifecycle::Deleted {
        let problem = Problem::new(Code::FailedPrecondition, "Cannot rename a non-active experiment.");
        return Err(problem.hint("restore it first"));
    }
    let held = tx.row("SELECT 1 FROM experiment WHERE name = $1 AND securable <> $2", params![name, target.id]).await?;
    if held.is_some() {
        return Err(taken(name));
    }
    let now = tx.now().0 / 1000;
    tx.run("UPDATE experiment SET name = $1, updated_ms = $2 WHERE securable = $3", params![name, now, target.id])
        .await?;
    // What was found by its name is found by another now.
    tx.bump().await?;
    Ok(tx.commit().await?)
}

/// Deletes or restores an experiment and its runs.
///
/// # Errors
/// "Not found" when it is in that state already.
pub async fn move_to(db: &Db, permit: &Permit<experiments::Manage>, to: Lifecycle) -> Result<()> {
    let target = permit.target();
    let action = match to {
        Lifecycle::Active => "restoreMlflowExperiment",
        Lifecycle::Deleted => "deleteMlflowExperiment",
    };
    let mut tx = db.write(permit, audit(action).with("experimentId", target.name.to_string())).await?;
    let now = tx.now().0 / 1000;
    let moved = tx
        .row(
            "UPDATE experiment SET lifecycle = $1, updated_ms = $2 WHERE securable = $3 AND lifecycle <> $1 RETURNING id",
            params![to.word(), now, target.id],
        )
        .await?;
    let id = moved.ok_or_else(|| gone(&target.name))?.int(0)?;
    let deleted_at = (to == Lifecycle::Deleted).then_some(now);
    tx.run(
        "UPDATE run SET lifecycle = $1, deleted_ms = $2 WHERE experiment = $3 AND lifecycle NOT IN ($1, 'purged')",
        params![to.word(), deleted_at, id],
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Sets a tag of an experiment.
///
/// # Errors
/// When the experiment is deleted.
pub async fn set_tag(db: &Db, permit: &Permit<experiments::Edit>, tag: &Tag) -> Result<()> {
    limits::check_experiment_tag(&tag.key, &tag.value)?;
    let about = audit("setMlflowExperimentTag").with("experimentId", permit.target().name.to_string());
    let mut tx = db.write(permit, about.with("key", tag.key.as_str())).await?;
    let id = active(&mut tx, permit).await?.id;
    set(&mut tx, id, tag).await?;
    Ok(tx.commit().await?)
}

/// Deletes a tag of an experiment.
///
/// # Errors
/// When there is no such tag; when the experiment is deleted.
pub async fn delete_tag(db: &Db, permit: &Permit<experiments::Edit>, key: &str) -> Result<()> {
    let about = audit("deleteMlflowExperimentTag").with("experimentId", permit.target().name.to_string());
    let mut tx = db.write(permit, about.with("key", key)).await?;
    let id = active(&mut tx, permit).await?.id;
    let gone = tx.run("DELETE FROM experiment_tag WHERE experiment = $1 AND key = $2", params![id, key]).await?;
    if gone == 0 {
        let message = format!("No tag with name: {key} in experiment with id {id}");
        return Err(Problem::not_found(message).reason("RESOURCE_DOES_NOT_EXIST"));
    }
    Ok(tx.commit().await?)
}

/// An experiment that is there, without its tags.
pub(crate) async fn active<A: Action<On = kinds::Experiment>>(tx: &mut Tx, permit: &Permit<A>) -> Result<Experiment> {
    let target = permit.target();
    let row = tx.row(COLUMNS, params![target.id]).await?.ok_or_else(|| gone(&target.name))?;
    let found = read(&row)?;
    if found.lifecycle == Lifecycle::Deleted {
        return Err(Problem::invalid(format!(
            "The experiment {} must be in the 'active' state. Current state is deleted.",
            found.id
        )));
    }
    Ok(found)
}
