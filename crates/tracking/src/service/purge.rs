//! What was deleted long enough ago, and a run that somebody asks it for, goes for good: runs, logged models and experiments with everything of theirs.
//!
//! What is to go is marked first, and loses its name: nobody finds, restores or changes it from then on. Then its rows go, some
//! at a time, so that nobody waits long for the database and a crash is gone on from. Contents that no row names any more are
//! [`super::artifacts::Artifacts::collect`]'s matter.

use crannog_kit::steps::Steps;
use crannog_security::actions::experiments;
use crannog_security::{Permit, System, Task};
use crannog_store::{Audit, Db, Value, params, until_won};
use crannog_types::{Code, Micros, Problem, Result};

use super::no_run;

/// What stands before the ids of what is going: no id that was given out or imported begins so.
const MARK: char = '~';

/// How many runs or models are marked at a time.
const MARKED: i64 = 100;

/// Rows a transaction: less than a tenth of a second of the database's one writer.
const ROWS: i64 = 2000;

/// How many of each went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Runs.
    pub runs: usize,
    /// Logged models.
    pub models: usize,
    /// Experiments.
    pub experiments: u64,
}

/// When an experiment counts as deleted that is to be purged at once, and its runs with it: before 1970, and thereby before any
/// retention.
const AT_ONCE: i64 = -1;

/// Purges what is marked, and what was deleted before a moment, be it 1970 ([`AT_ONCE`]). Each transaction is one of the steps.
///
/// # Errors
/// What the database says; calling again goes on.
pub(super) async fn purge(db: &Db, before: Micros, steps: &Steps) -> Result<Purged> {
    let mut purged = Purged::default();
    let before_ms = before.0 / 1000;
    while mark(db, &RUNS, before_ms, steps).await? == MARKED {}
    while mark(db, &MODELS, before_ms, steps).await? == MARKED {}
    purged.runs = remove(db, &RUNS, steps).await?;
    purged.models = remove(db, &MODELS, steps).await?;
    purged.experiments = old_experiments(db, before_ms, steps).await?;
    Ok(purged)
}

/// Marks one run of the experiment that the permit is for, deleted or not.
///
/// # Errors
/// When a version in the registry comes from it; when there is none.
pub(super) async fn mark_run(db: &Db, permit: &Permit<experiments::Manage>, run_id: &str) -> Result<()> {
    const MARK: &str = "UPDATE run SET lifecycle = 'purged', run_id = '~' || run_id, deleted_ms = $3 WHERE run_id = $1 \
                        AND experiment IN (SELECT id FROM experiment WHERE securable = $2) AND lifecycle <> 'purged'";
    let mut tx = db.write_moving(permit, Audit::of("mlflowExperiment", RUNS.action).with(RUNS.id, run_id)).await?;
    let version = "SELECT s.path FROM model_version v JOIN securable s ON s.id = v.model WHERE v.run_id = $1 LIMIT 1";
    if tx.row(version, params![run_id]).await?.is_some() {
        return Err(Problem::new(
            Code::FailedPrecondition,
            format!("a version of a registered model comes from the run {run_id}"),
        )
        .reason("INVALID_STATE")
        .hint("delete the version first, or only delete the run"));
    }
    let now_ms = tx.now().0 / 1000;
    if tx.run(MARK, params![run_id, permit.target().id, now_ms]).await? == 0 {
        return Err(no_run(run_id));
    }
    // A permit that is remembered is one on what is no longer there.
    tx.bump().await?;
    Ok(tx.commit().await?)
}

/// Says of a deleted experiment that it goes at once, with all of its runs and logged models.
///
/// # Errors
/// When it is not deleted; when a version in the registry comes from it; for `Default`, which stays.
pub(super) async fn mark_experiment(db: &Db, permit: &Permit<experiments::Manage>) -> Result<()> {
    const MARK: &str =
        "UPDATE experiment SET updated_ms = $1 WHERE securable = $2 AND lifecycle = 'deleted' AND id <> 0 RETURNING id";
    const RUNS: &str = "UPDATE run SET deleted_ms = $1 WHERE experiment = $2 AND lifecycle = 'deleted'";
    const VERSION: &str = "SELECT s.path FROM model_version v JOIN securable s ON s.id = v.model WHERE v.run_id IN \
                           (SELECT run_id FROM run WHERE experiment = $1) OR v.model_id IN \
                           (SELECT model_id FROM logged_model WHERE experiment = $1) LIMIT 1";
    let (target, name) = (permit.target().id, permit.target().name.to_string());
    let refused = |message: String| Problem::new(Code::FailedPrecondition, message).reason("INVALID_STATE");
    let about = Audit::of("mlflowExperiment", "beginPurgeMlflowExperiment").with("experimentId", name.as_str());
    let mut tx = db.write(permit, about).await?;
    let Some(row) = tx.row(MARK, params![AT_ONCE, target]).await? else {
        return Err(refused(format!("the experiment {name} is not deleted, or is the first, which stays"))
            .hint("delete it first, or purge its runs"));
    };
    let id = row.int(0)?;
    if let Some(version) = tx.row(VERSION, params![id]).await? {
        let model = version.text(0)?;
        return Err(refused(format!("a version of the registered model {model} comes from the experiment {name}"))
            .hint("delete the version first, or purge the other runs"));
    }
    tx.run(RUNS, params![AT_ONCE, id]).await?;
    Ok(tx.commit().await?)
}

#[expect(clippy::disallowed_methods, reason = "whoever deleted it has shown a permit; time does the rest")]
fn system() -> System {
    System::task(Task::Track)
}

/// How one kind of things goes.
struct Doomed {
    /// Marks some; gives their ids as they are then.
    mark: &'static str,
    /// The marked: their keys and ids.
    marked: &'static str,
    /// What the audit says of one.
    action: &'static str,
    /// What it calls its id.
    id: &'static str,
    /// What the root of its files begins with.
    root: &'static str,
    /// Rows of it that may be many: each statement deletes some, by the key and how many.
    parts: &'static [&'static str],
    /// The rest, by the key.
    last: &'static [&'static str],
}

const RUNS: Doomed = Doomed {
    mark: "UPDATE run SET lifecycle = 'purged', run_id = '~' || run_id WHERE seq IN (SELECT seq FROM run \
           WHERE deleted_ms < $1 AND lifecycle = 'deleted' AND NOT EXISTS \
           (SELECT 1 FROM model_version v WHERE v.run_id = run.run_id) ORDER BY deleted_ms LIMIT $2) RETURNING run_id",
    marked: "SELECT seq, run_id FROM run WHERE deleted_ms IS NOT NULL AND lifecycle = 'purged' ORDER BY seq LIMIT $1",
    action: "purgeRun",
    id: "runId",
    root: "runs",
    parts: &[
        "DELETE FROM metric_log WHERE seq IN (SELECT seq FROM metric_log WHERE run = $1 ORDER BY seq LIMIT $2)",
        "DELETE FROM metric_latest WHERE run = $1 AND key IN (SELECT key FROM metric_latest WHERE run = $1 LIMIT $2)",
        "DELETE FROM run_param WHERE run = $1 AND key IN (SELECT key FROM run_param WHERE run = $1 LIMIT $2)",
        "DELETE FROM run_tag WHERE run = $1 AND key IN (SELECT key FROM run_tag WHERE run = $1 LIMIT $2)",
        "DELETE FROM logged_model_metric WHERE run = $1 AND (model, key, time_ms) IN \
         (SELECT model, key, time_ms FROM logged_model_metric WHERE run = $1 LIMIT $2)",
    ],
    last: &[
        "DELETE FROM dataset WHERE seq IN (SELECT dataset FROM run_dataset WHERE run = $1) AND NOT EXISTS \
         (SELECT 1 FROM run_dataset o WHERE o.dataset = dataset.seq AND o.run <> $1)",
        "DELETE FROM run WHERE seq = $1",
    ],
};

const MODELS: Doomed = Doomed {
    mark: "UPDATE logged_model SET lifecycle = 'purged', model_id = '~' || model_id WHERE seq IN (SELECT m.seq \
           FROM logged_model m JOIN experiment e ON e.id = m.experiment WHERE ((m.lifecycle = 'deleted' AND m.updated_ms < $1) \
           OR (m.lifecycle <> 'purged' AND e.lifecycle = 'deleted' AND e.updated_ms < $1)) AND NOT EXISTS \
           (SELECT 1 FROM model_version v WHERE v.model_id = m.model_id) ORDER BY m.seq LIMIT $2) \
           RETURNING model_id",
    marked: "SELECT seq, model_id FROM logged_model WHERE lifecycle = 'purged' ORDER BY seq LIMIT $1",
    action: "purgeLoggedModel",
    id: "modelId",
    root: "models",
    parts: &[
        "DELETE FROM logged_model_metric WHERE model = $1 AND (key, time_ms, step) IN \
         (SELECT key, time_ms, step FROM logged_model_metric WHERE model = $1 LIMIT $2)",
        "DELETE FROM logged_model_param WHERE model = $1 AND key IN \
         (SELECT key FROM logged_model_param WHERE model = $1 LIMIT $2)",
        "DELETE FROM logged_model_tag WHERE model = $1 AND key IN \
         (SELECT key FROM logged_model_tag WHERE model = $1 LIMIT $2)",
    ],
    last: &["DELETE FROM logged_model WHERE seq = $1"],
};

/// Marks some; gives how many.
async fn mark(db: &Db, doomed: &Doomed, before_ms: i64, steps: &Steps) -> Result<i64> {
    let _step = steps.begin();
    let mut tx = db.write_unaudited(&system()).await?;
    let ids = tx.rows(doomed.mark, params![before_ms, MARKED]).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    for row in &ids {
        tx.also(Audit::of("mlflowExperiment", doomed.action).with(doomed.id, row.text(0)?.trim_start_matches(MARK)));
    }
    // A permit that is remembered is one on what is no longer there.
    tx.bump().await?;
    tx.commit().await?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}

/// Removes what is marked, also of an earlier time; gives how many.
async fn remove(db: &Db, doomed: &Doomed, steps: &Steps) -> Result<usize> {
    let mut removed = 0;
    loop {
        let marked = db.read(&system()).rows(doomed.marked, params![MARKED]).await?;
        if marked.is_empty() {
            return Ok(removed);
        }
        for row in &marked {
            let (key, id) = (row.int(0)?, row.text(1)?);
            const FILES: &str = "DELETE FROM artifact WHERE root = $1 AND path IN \
                                 (SELECT path FROM artifact WHERE root = $1 LIMIT $2)";
            let root = format!("{}/{}", doomed.root, id.trim_start_matches(MARK));
            while some(db, FILES, params![root.as_str(), ROWS], steps).await? > 0 {}
            for part in doomed.parts {
                while some(db, part, params![key, ROWS], steps).await? > 0 {}
            }
            for part in doomed.last {
                some(db, part, params![key], steps).await?;
            }
            removed += 1;
        }
    }
}

/// One statement in a transaction of its own.
async fn some(db: &Db, sql: &'static str, params: Vec<Value>, steps: &Steps) -> Result<u64> {
    until_won(|| async {
        let _step = steps.begin();
        let mut tx = db.write_unaudited(&system()).await?;
        let gone = tx.run(sql, params.clone()).await?;
        tx.commit().await?;
        Ok(gone)
    })
    .await
}

/// Experiments that nothing is left of but themselves; their names are free then. `Default` stays.
async fn old_experiments(db: &Db, before_ms: i64, steps: &Steps) -> Result<u64> {
    const GONE: &str = "DELETE FROM securable WHERE id IN (SELECT e.securable FROM experiment e WHERE e.lifecycle = 'deleted' \
                        AND e.updated_ms < $1 AND e.id <> 0 AND NOT EXISTS (SELECT 1 FROM run r WHERE r.experiment = e.id) \
                        AND NOT EXISTS (SELECT 1 FROM logged_model m WHERE m.experiment = e.id) LIMIT $2) RETURNING name";
    let _step = steps.begin();
    let mut tx = db.write_unaudited(&system()).await?;
    let gone = tx.rows(GONE, params![before_ms, MARKED]).await?;
    if gone.is_empty() {
        return Ok(0);
    }
    for row in &gone {
        tx.also(Audit::of("mlflowExperiment", "purgeMlflowExperiment").with("experimentId", row.text(0)?));
    }
    tx.bump().await?;
    tx.commit().await?;
    Ok(gone.len() as u64)
}
