//! Runs: made, read, ended, deleted and restored.

use std::collections::BTreeMap;

use crannog_security::actions::{experiments, runs};
use crannog_security::{Action, Evidence, Kind, Permit, Visible, kinds};
use crannog_store::query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use crannog_store::{Audit, Db, Row, Tx, params};
use crannog_types::{Problem, Result};
use uuid::Uuid;

use super::{Asked, experiments as experiment_verbs, no_run, not_active, run_of};
use crate::model::experiments::{Lifecycle, Tag, View};
use crate::model::limits::{self, Place};
use crate::model::runs::{DatasetInput, Metric, NAME_TAG, Run, RunInfo, Status, name_of, random_name};
use crate::model::search::{Entity, Filter, runs_order};
use crate::sql::Rows;
use crate::sql::search_runs::{RunSearch, search_runs};

/// How the experiment of a run is found.
pub static OF_RUN: crannog_security::Finder = crannog_security::Finder {
    kind: Kind::Run,
    sql: "SELECT e.securable FROM run r JOIN experiment e ON e.id = r.experiment WHERE r.run_id = $1",
    missing: "Run with id={} not found",
};

/// The columns of [`info`], of a run called r and its experiment called e.
macro_rules! run_columns {
    () => {
        "r.seq, r.run_id, r.experiment, r.name, r.user_id, r.status, r.start_ms, r.end_ms, r.lifecycle, \
         e.artifact_location FROM run r JOIN experiment e ON e.id = r.experiment"
    };
}

/// Reads [`run_columns`].
pub(crate) fn info(row: &Row) -> Result<RunInfo> {
    let (run_id, experiment) = (row.text(1)?, row.int(2)?);
    let location = row.opt_text(9)?.unwrap_or_else(|| format!("mlflow-artifacts:/{experiment}"));
    let status = row.text(5)?;
    Ok(RunInfo {
        seq: row.int(0)?,
        experiment,
        name: row.text(3)?,
        user_id: row.text(4)?,
        status: Status::of_word(&status)
            .ok_or_else(|| Problem::internal("the status of a run cannot be read", status))?,
        start_ms: row.opt_int(6)?,
        end_ms: row.opt_int(7)?,
        lifecycle: Lifecycle::of_word(&row.text(8)?),
        artifact_uri: format!("{}/{run_id}/artifacts", location.trim_end_matches('/')),
        run_id,
    })
}

const ONE: &str = concat!("SELECT ", run_columns!(), " WHERE r.run_id = $1");

fn audit(action: &'static str, run_id: &str) -> Audit {
    Audit::of("mlflowExperiment", action).with("runId", run_id)
}

/// A run that somebody begins.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// Its name; empty: the tag's, or one that is made up.
    pub name: String,
    /// Who runs it, as the client says.
    pub user_id: String,
    /// When it began, in milliseconds since 1970.
    pub start_ms: Option<i64>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Begins a run.
///
/// # Errors
/// When the experiment is deleted.
pub async fn create(db: &Db, permit: &Permit<experiments::Edit>, new: NewRun) -> Result<Run> {
    let random = Uuid::new_v4();
    let run_id = random.simple().to_string();
    let name = name_of(&new.name, &new.tags)?.unwrap_or_else(|| random_name(random.as_u64_pair().0));
    limits::check_length("run_name", limits::RUN_NAME, &name)?;
    limits::check_length("user_id", limits::RUN_NAME, &new.user_id)?;
    limits::check_count("tags", limits::TAGS, new.tags.len())?;
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for (at, Tag { key, value }) in new.tags.into_iter().enumerate() {
        let value = limits::check_tag(Place::Of("tags", at), &key, value)?;
        tags.insert(key, value);
    }
    tags.entry(NAME_TAG.to_owned()).or_insert_with(|| name.clone());
    let about = audit("createRun", &run_id).with("experimentId", permit.target().name.to_string());
    let mut tx = db.write(permit, about).await?;
    let experiment = experiment_verbs::active(&mut tx, permit).await?;
    let now = tx.now();
    let made = tx
        .row(
            "INSERT INTO run (run_id, experiment, name, user_id, status, start_ms, lifecycle, created_by, created_at) \
             VALUES ($1, $2, $3, $4, 'RUNNING', $5, 'active', $6, $7) RETURNING seq",
            params![run_id.as_str(), experiment, name.as_str(), new.user_id, new.start_ms, permit.who().id, now],
        )
        .await?;
    let seq = made.ok_or_else(|| no_run(&run_id))?.int(0)?;
    static PUT: Rows = Rows::new("INSERT INTO run_tag (run, key, value)", 3, "");
    PUT.run(&mut tx, &tags, |(key, value)| params![seq, key, value]).await?;
    let row = tx.row(ONE, params![run_id.as_str()]).await?.ok_or_else(|| no_run(&run_id))?;
    tx.commit().await?;
    let tags = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    Ok(Run { info: info(&row)?, metrics: Vec::new(), params: Vec::new(), tags, inputs: Vec::new() })
}

/// What is known of a run: any permit on it tells.
pub async fn get_info<A: Action<On = kinds::Run>>(db: &Db, permit: &Permit<A>) -> Result<RunInfo> {
    let run_id = run_of(permit)?;
    let row = db.read(permit).row(ONE, params![&*run_id]).await?;
    info(&row.ok_or_else(|| no_run(&run_id))?)
}

/// A run with what it logged.
pub async fn get(db: &Db, permit: &Permit<runs::Read>) -> Result<Run> {
    let info = get_info(db, permit).await?;
    let mut found = with_data(db, permit, vec![info]).await?;
    found.pop().ok_or_else(|| Problem::internal("a run was lost while it was read", "no run for a row"))
}

/// A page of runs of experiments, with what they logged. Gives the token of the next. Of experiments that the caller may not
/// see there are none, as of those that are not there.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn search(
    db: &Db,
    visible: &Visible<experiments::Read>,
    experiments: &[i64],
    view: View,
    asked: &Asked<'_>,
) -> Result<(Vec<Run>, Option<String>)> {
    let filter = Filter::parse(Entity::Runs, asked.filter)?;
    let order = runs_order(asked.order_by)?;
    let seen = experiment_verbs::seen(db, visible, experiments).await?;
    let page = asked.page()?;
    let wanted = RunSearch {
        experiments: &seen,
        lifecycles: view.lifecycles(),
        filter: &filter,
        order: &order,
        max_results: asked.max_results,
        page: page.as_ref(),
    };
    let (infos, next) = search_runs(db, visible, &wanted, info).await?;
    Ok((with_data(db, visible, infos).await?, next))
}

/// What runs logged, in a few reads for all of them. The evidence is what their experiments were asked for with.
pub async fn with_data(db: &Db, evidence: &dyn Evidence, infos: Vec<RunInfo>) -> Result<Vec<Run>> {
    let empty = |info| Run { info, metrics: Vec::new(), params: Vec::new(), tags: Vec::new(), inputs: Vec::new() };
    let mut runs: Vec<Run> = infos.into_iter().map(empty).collect();
    let reader = db.read(evidence);
    for part in runs.chunks_mut(RUNS_A_READ) {
        let seqs: Vec<i64> = part.iter().map(|run| run.info.seq).collect();
        let place: std::collections::HashMap<i64, usize> =
            seqs.iter().copied().enumerate().map(|(at, seq)| (seq, at)).collect();
        let found = |seq: i64| place.get(&seq).copied().unwrap_or_default();
        let mut metrics = logged("metric_latest", &seqs);
        metrics.columns(["value", "nan", "time_ms", "step"]);
        for row in reader.select(&metrics).await? {
            let value = if row.flag(3)? { f64::NAN } else { row.opt_real(2)?.unwrap_or_default() };
            part[found(row.int(0)?)].metrics.push(Metric {
                key: row.text(1)?,
                value,
                time_ms: row.int(4)?,
                step: row.int(5)?,
            });
        }
        let params = logged("run_param", &seqs).column("value").to_owned();
        for row in reader.select(&params).await? {
            part[found(row.int(0)?)].params.push(Tag { key: row.text(1)?, value: row.text(2)? });
        }
        let tags = logged("run_tag", &seqs).column("value").to_owned();
        for row in reader.select(&tags).await? {
            part[found(row.int(0)?)].tags.push(Tag { key: row.text(1)?, value: row.text(2)? });
        }
        let inputs = Query::select()
            .column(("u", "run"))
            .columns([("d", "name"), ("d", "digest"), ("d", "source_type"), ("d", "source"), ("d", "schema")])
            .columns([("d", "profile"), ("u", "tags")])
            .from_as("run_dataset", "u")
            .join_as(JoinType::InnerJoin, "dataset", "d", Expr::col(("d", "seq")).equals(("u", "dataset")))
            .and_where(Expr::col(("u", "run")).is_in(seqs))
            .order_by(("u", "run"), Order::Asc)
            .order_by(("u", "dataset"), Order::Asc)
            .to_owned();
        for row in reader.select(&inputs).await? {
            part[found(row.int(0)?)].inputs.push(DatasetInput {
                name: row.text(1)?,
                digest: row.text(2)?,
                source_type: row.text(3)?,
                source: row.text(4)?,
                schema: row.opt_text(5)?,
                profile: row.opt_text(6)?,
                tags: super::inputs::read_tags(&row.text(7)?)?,
            });
        }
    }
    Ok(runs)
}

/// How many runs one read is about: less than what the databases take as parameters.
const RUNS_A_READ: usize = 1000;

/// What runs logged by keys: the run, the key, and what is added.
fn logged(table: &'static str, seqs: &[i64]) -> SelectStatement {
    Query::select()
        .columns(["run", "key"])
        .from(table)
        .and_where(Expr::col("run").is_in(seqs.iter().copied()))
        .order_by("run", Order::Asc)
        .order_by("key", Order::Asc)
        .to_owned()
}

/// What is to change of a run; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct RunChange {
    /// What it is doing.
    pub status: Option<Status>,
    /// When it ended.
    pub end_ms: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// Changes a run.
///
/// # Errors
/// When it is deleted.
pub async fn update(db: &Db, permit: &Permit<runs::Edit>, change: &RunChange) -> Result<RunInfo> {
    let run_id = run_of(permit)?;
    limits::check_length("run_name", limits::RUN_NAME, change.name.as_deref().unwrap_or_default())?;
    let mut tx = db.write(permit, audit("updateRun", &run_id)).await?;
    let changed = tx
        .row(
            "UPDATE run SET status = coalesce($1, status), end_ms = coalesce($2, end_ms), name = coalesce($3, name) \
             WHERE run_id = $4 AND lifecycle = 'active' RETURNING seq",
            params![change.status.map(Status::word), change.end_ms, change.name.clone(), &*run_id],
        )
        .await?;
    let Some(row) = changed else {
        drop(tx);
        return Err(not_active(db, permit, &run_id).await);
    };
    if let Some(name) = &change.name {
        put_tag(&mut tx, row.int(0)?, NAME_TAG, name).await?;
    }
    let row = tx.row(ONE, params![&*run_id]).await?.ok_or_else(|| no_run(&run_id))?;
    tx.commit().await?;
    info(&row)
}

/// Deletes or restores a run.
pub async fn move_to(db: &Db, permit: &Permit<runs::Edit>, to: Lifecycle) -> Result<()> {
    let run_id = run_of(permit)?;
    let action = match to {
        Lifecycle::Active => "restoreRun",
        Lifecycle::Deleted => "deleteRun",
    };
    let mut tx = db.write(permit, audit(action, &run_id)).await?;
    let deleted_at = (to == Lifecycle::Deleted).then_some(tx.now().0 / 1000);
    let moved = tx
        .run(
            "UPDATE run SET lifecycle = $1, deleted_ms = $2 WHERE run_id = $3",
            params![to.word(), deleted_at, &*run_id],
        )
        .await?;
    if moved == 0 {
        return Err(no_run(&run_id));
    }
    Ok(tx.commit().await?)
}

/// Puts a tag of a run in place.
pub(crate) async fn put_tag(tx: &mut Tx, seq: i64, key: &str, value: &str) -> Result<()> {
    tx.run(
        "INSERT INTO run_tag (run, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
        params![seq, key, value],
    )
    .await?;
    Ok(())
}
