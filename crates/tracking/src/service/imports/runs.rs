//! Runs that come from another tracker, with everything that they logged.
//!
//! A run is there as a whole or not at all. One with more points than a request takes comes in parts: until the last it has no name
//! that anybody finds, as runs that are being purged have none, and the first part of another try takes its place.

use std::collections::BTreeMap;

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Db, Tx, params};
use crannog_types::{Problem, Result};

use super::{PARAM, People, TAG, audit, check_pairs, check_text, distinct};
use crate::model::experiments::Lifecycle;
use crate::model::imports::{Known, Note, Outcome, Part, Run, RunKey, unpacked};
use crate::model::limits;
use crate::model::points;
use crate::model::runs::{NAME_TAG, Status};
use crate::service::inputs;
use crate::service::logging::Latest;
use crate::sql::Rows;

/// What the id of a run begins with until all of it is here.
const MARK: char = '~';

/// Says which runs are here, and which ids other runs have.
pub async fn known(db: &Db, permit: &Permit<metastore::Administer>, asked: &[RunKey]) -> Result<Known> {
    let reader = db.read(permit);
    let mut known = Known::default();
    for key in asked.iter().filter(|key| !key.run_id.contains('\0')) {
        let Some(row) = reader.row(FOUND, params![key.run_id.as_str()]).await? else { continue };
        match is_same(&row, key)? {
            true => known.there.push(key.run_id.clone()),
            false => known.left.push(Note { id: key.run_id.clone(), about: IN_USE.to_owned() }),
        }
    }
    Ok(known)
}

const FOUND: &str = "SELECT experiment, start_ms FROM run WHERE run_id = $1";
const IN_USE: &str = "the id is in use by another run";

fn is_same(row: &crannog_store::Row, key: &RunKey) -> Result<bool> {
    Ok(row.int(0)? == key.experiment_id && row.opt_int(1)? == key.start_ms)
}

/// Takes runs over.
pub async fn take_over(db: &Db, permit: &Permit<metastore::Administer>, runs: &[Run]) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut checked = Vec::with_capacity(runs.len());
    for run in runs {
        match check(run).and_then(|()| unpacked(&run.points)) {
            Ok(points) => checked.push((run, points)),
            Err(problem) => outcome.left(run.key.run_id.as_str(), problem.message()),
        }
    }
    let ids: Vec<&str> = checked.iter().map(|(run, _)| run.key.run_id.as_str()).collect();
    let mut tx = db.write(permit, audit("importMlflowRuns").with("runIds", ids)).await?;
    let (mut people, mut batch, mut latest) = (People::default(), Batch::default(), Latest::default());
    for (run, points) in &checked {
        let placed = match run.part {
            Part::Whole | Part::First => {
                let owner = people.find(&mut tx, &run.user_id, permit.who().id).await?;
                begin(&mut tx, run, owner.0, &mut batch, &mut outcome).await?
            }
            Part::Next | Part::Last => begun(&mut tx, run, &mut outcome).await?,
        };
        let Some(seq) = placed else { continue };
        if !points.is_empty() {
            let log = "INSERT INTO metric_log (run, points) VALUES ($1, $2)";
            tx.run(log, params![seq, points::encode(points)]).await?;
            latest.add(seq, run.key.experiment_id, points);
        }
    }
    batch.put(&mut tx).await?;
    latest.put(&mut tx).await?;
    for (run, _) in checked.iter().filter(|(run, _)| run.part == Part::Last) {
        end(&mut tx, run, &mut outcome).await?;
    }
    tx.commit().await?;
    Ok(outcome)
}

fn check(run: &Run) -> Result<()> {
    limits::check_run_id(&run.key.run_id)?;
    if matches!(run.part, Part::Whole | Part::First) && Status::of_word(&run.status).is_none() {
        return Err(Problem::invalid(format!("'{}' is no status of a run", run.status)));
    }
    check_text("name", limits::RUN_NAME, &run.name)?;
    check_text("user_id", limits::RUN_NAME, &run.user_id)?;
    check_pairs("params", PARAM, &run.params)?;
    check_pairs("tags", TAG, &run.tags)?;
    for dataset in &run.datasets {
        inputs::check(dataset)?;
    }
    Ok(())
}

/// Rows of many runs, put together.
#[derive(Default)]
struct Batch<'a> {
    params: Vec<(i64, &'a str, &'a str)>,
    tags: Vec<(i64, &'a str, &'a str)>,
}

impl Batch<'_> {
    async fn put(self, tx: &mut Tx) -> Result<()> {
        static PARAMS: Rows = Rows::new("INSERT INTO run_param (run, key, value)", 3, "");
        static TAGS: Rows = Rows::new("INSERT INTO run_tag (run, key, value)", 3, "");
        PARAMS.run(tx, self.params, |(run, key, value)| params![run, key, value]).await?;
        TAGS.run(tx, self.tags, |(run, key, value)| params![run, key, value]).await?;
        Ok(())
    }
}

/// Makes a run when there is none, and gives its key.
async fn begin<'a>(
    tx: &mut Tx,
    run: &'a Run,
    made_by: i64,
    batch: &mut Batch<'a>,
    outcome: &mut Outcome,
) -> Result<Option<i64>> {
    let id = run.key.run_id.as_str();
    if let Some(row) = tx.row(FOUND, params![id]).await? {
        match is_same(&row, &run.key)? {
            true => outcome.there += 1,
            false => outcome.left(id, IN_USE),
        }
        return Ok(None);
    }
    let experiment = "SELECT 1 FROM experiment WHERE id = $1";
    if tx.row(experiment, params![run.key.experiment_id]).await?.is_none() {
        outcome.left(id, format!("its experiment {} is not here", run.key.experiment_id));
        return Ok(None);
    }
    let now = tx.now();
    let lifecycle = if run.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    let deleted_ms = run.deleted.then(|| run.deleted_ms.unwrap_or(now.0 / 1000));
    let (name, lifecycle, deleted_ms) = match run.part {
        Part::Whole => (id.to_owned(), lifecycle.word(), deleted_ms),
        _ => {
            let marked = format!("{MARK}{id}");
            tx.run("DELETE FROM run WHERE run_id = $1 AND deleted_ms IS NULL", params![marked.as_str()]).await?;
            // Without a time of deletion: it is nobody's to purge.
            (marked, "purged", None)
        }
    };
    let row = tx
        .row(
            "INSERT INTO run (run_id, experiment, name, user_id, status, start_ms, end_ms, lifecycle, deleted_ms, created_by, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq",
            params![
                name,
                run.key.experiment_id,
                run.name.as_str(),
                run.user_id.as_str(),
                run.status.as_str(),
                run.key.start_ms,
                run.end_ms,
                lifecycle,
                deleted_ms,
                made_by,
                now
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let seq = row.int(0)?;
    batch.params.extend(distinct(&run.params).into_iter().map(|(key, value)| (seq, key, value)));
    let mut tags: BTreeMap<&str, &str> = distinct(&run.tags);
    if !run.name.is_empty() {
        tags.entry(NAME_TAG).or_insert(&run.name);
    }
    batch.tags.extend(tags.into_iter().map(|(key, value)| (seq, key, value)));
    for dataset in &run.datasets {
        inputs::put_dataset(tx, seq, run.key.experiment_id, dataset).await?;
    }
    if run.part == Part::Whole {
        outcome.made += 1;
    }
    Ok(Some(seq))
}

/// The key of a run that is being taken over.
async fn begun(tx: &mut Tx, run: &Run, outcome: &mut Outcome) -> Result<Option<i64>> {
    let id = run.key.run_id.as_str();
    let marked = "SELECT seq FROM run WHERE run_id = $1 AND deleted_ms IS NULL AND experiment = $2";
    let row = tx.row(marked, params![format!("{MARK}{id}"), run.key.experiment_id]).await?;
    if row.is_none() {
        outcome.left(id, "its first part is not here: another import took it over meanwhile");
    }
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// Gives a run its name: all of it is here.
async fn end(tx: &mut Tx, run: &Run, outcome: &mut Outcome) -> Result<()> {
    let id = run.key.run_id.as_str();
    if tx.row(FOUND, params![id]).await?.is_some() {
        return Ok(());
    }
    let lifecycle = if run.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    let deleted_ms = run.deleted.then(|| run.deleted_ms.unwrap_or(tx.now().0 / 1000));
    let named = "UPDATE run SET run_id = $1, lifecycle = $2, deleted_ms = $3 WHERE run_id = $4 AND deleted_ms IS NULL";
    let values = params![id, lifecycle.word(), deleted_ms, format!("{MARK}{id}")];
    outcome.made += usize::try_from(tx.run(named, values).await?).unwrap_or_default();
    Ok(())
}
