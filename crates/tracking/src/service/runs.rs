//! Runs: made, read, ended, deleted and restored.

use std::collections::{BTreeMap, HashMap};

use crannog_security::actions::{experiments, runs};
use crannog_security::{Action, Evidence, Kind, Permit, Visible, kinds};
use crannog_store::query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use crannog_store::{Audit, Db, Reader, Row, Tx, params};
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
    key: str::to_owned,
    missing: "Run with id={} not found",
};

/// How the experiment of a run is found, for what only those may do who manage it.
pub static EXPERIMENT_OF_RUN: crannog_security::Finder = crannog_security::Finder {
    kind: Kind::Experiment,
    sql: "SELECT e.securable FROM experiment e JOIN run r ON r.experiment = e.id WHERE r.run_id = $1",
    key: str::to_owned,
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
        artifact_uri: artifact_uri(&location, &run_id),
        run_id,
    })
}

/// Where the files of a run are, by where those of its experiment are.
fn artifact_uri(location: &str, run_id: &str) -> String {
    format!("{}/{run_id}/artifacts", location.trim_end_matches('/'))
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
            params![
                run_id.as_str(),
                experiment.id,
                name.as_str(),
                new.user_id.as_str(),
                new.start_ms,
                permit.who().id,
                now
            ],
        )
        .await?;
    let seq = made.ok_or_else(|| no_run(&run_id))?.int(0)?;
    static PUT: Rows = Rows::new("INSERT INTO run_tag (run, key, value)", 3, "");
    PUT.run(&mut tx, &tags, |(key, value)| params![seq, key, value]).await?;
    tx.commit().await?;
    let tags = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    let info = RunInfo {
        seq,
        experiment: experiment.id,
        name,
        user_id: new.user_id,
        status: Status::Running,
        start_ms: new.start_ms,
        end_ms: None,
        lifecycle: Lifecycle::Active,
        artifact_uri: artifact_uri(&experiment.location(), &run_id),
        run_id,
    };
    Ok(Run { tags, ..Run::empty(info) })
}

/// What is known of a run: any permit on it tells.
pub async fn get_info<A: Action<On = kinds::Run>>(db: &Db, permit: &Permit<A>) -> Result<RunInfo> {
    info_of(db, permit, &run_of(permit)?).await
}

/// What is known of a run that somebody has a permit on.
pub(crate) async fn info_of(db: &Db, evidence: &dyn Evidence, run_id: &str) -> Result<RunInfo> {
    let row = db.read(evidence).row(ONE, params![run_id]).await?;
    info(&row.ok_or_else(|| no_run(run_id))?)
}

/// A run with what it logged.
pub async fn get(db: &Db, permit: &Permit<runs::Read>) -> Result<Run> {
    let info = get_info(db, permit).await?;
    let mut found = with_data(db, permit, vec![info], usize::MAX).await?;
    found.pop().ok_or_else(|| Problem::internal("a run was lost while it was read", "no run for a row"))
}

/// A page of runs of experiments, with what they logged. Gives the token of the next. A page may end before it is full: with
/// the run that makes it larger than 32 MiB. Of experiments that the caller may not see there are none, as of those that are
/// not there.
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
    let mut page = search_runs(db, visible, &wanted, info).await?;
    let infos = std::mem::take(&mut page.found);
    let runs = with_data(db, visible, infos, PAGE_BYTES).await?;
    let next = page.cut(runs.len())?;
    Ok((runs, next.map(|next| next.encode())))
}

/// A page ends with what makes it as large as this, in bytes of what was logged.
pub(super) const PAGE_BYTES: usize = 32 << 20;

/// So many bytes of what runs logged by keys are in memory for one answer, at most: also one run's, which has no pages.
const MOST_BYTES: usize = 128 << 20;

fn too_large(run_id: &str) -> Problem {
    let most = MOST_BYTES >> 20;
    Problem::invalid(format!("the run {run_id} logged more than {most} MiB of names, parameters, tags and datasets"))
        .hint("read the histories of its metrics by their names, and delete tags that nobody needs")
}

/// What runs logged, in a few reads for many of them. The evidence is what their experiments were asked for with. Gives the
/// first runs, at least one: those up to the one with which they are larger than so many bytes.
pub async fn with_data(db: &Db, evidence: &dyn Evidence, infos: Vec<RunInfo>, most: usize) -> Result<Vec<Run>> {
    let mut infos = infos.as_slice();
    let reader = db.read(evidence);
    let mut datasets = Datasets::default();
    let (mut runs, mut bytes) = (Vec::with_capacity(infos.len()), 0_usize);
    // As many as nobody had to give up.
    let mut fit = RUNS_A_READ;
    while !infos.is_empty() {
        // As many as those before let expect to fit.
        let size = match runs.len() {
            0 => FIRST_READ,
            read => ((most - bytes) / (bytes / read).max(1)).clamp(FIRST_READ, RUNS_A_READ),
        };
        let size = size.min(fit).min(infos.len());
        let mut part: Vec<Run> = infos[..size].iter().cloned().map(Run::empty).collect();
        let Some(mut used) = read_data(&reader, &mut part).await? else {
            if let [only] = part.as_slice() {
                return Err(too_large(&only.info.run_id));
            }
            fit = size / 2;
            continue;
        };
        infos = &infos[size..];
        let all: Vec<i64> = used.iter().flatten().map(|(dataset, _)| *dataset).collect();
        let mut rest = all.as_slice();
        for at in 0..part.len() {
            let mut large = size_of_run(&part[at]);
            for (dataset, tags) in std::mem::take(&mut used[at]) {
                datasets.read(&reader, rest, 1).await?;
                rest = &rest[1..];
                let Some(known) = datasets.0.get(&dataset).and_then(Option::as_ref) else { continue };
                let input = DatasetInput { tags, ..known.clone() };
                large = large.saturating_add(size_of_input(&input));
                if large > MOST_BYTES {
                    return Err(too_large(&part[at].info.run_id));
                }
                part[at].inputs.push(input);
            }
            bytes = bytes.saturating_add(large);
            if bytes >= most {
                part.truncate(at + 1);
                runs.append(&mut part);
                return Ok(runs);
            }
        }
        runs.append(&mut part);
    }
    Ok(runs)
}

/// How many runs one read is about: less than what the databases take as parameters.
const RUNS_A_READ: usize = 1000;

/// How many the first one is about, when nobody knows how large they are.
const FIRST_READ: usize = 100;

/// A dataset's number, and what a run used it for.
type Used = (i64, Vec<Tag>);

/// Reads what runs logged; gives which datasets each of them used. `None`: it is more than one answer may take.
async fn read_data(reader: &Reader<'_>, runs: &mut [Run]) -> Result<Option<Vec<Vec<Used>>>> {
    let seqs: Vec<i64> = runs.iter().map(|run| run.info.seq).collect();
    let place: HashMap<i64, usize> = seqs.iter().copied().enumerate().map(|(at, seq)| (seq, at)).collect();
    let found = |seq: i64| place.get(&seq).copied().unwrap_or_default();
    let mut left = MOST_BYTES;
    for table in [Logged::Metrics, Logged::Params, Logged::Tags] {
        let mut last = None;
        loop {
            let rows = reader.select(&table.part(&seqs, last.as_ref())).await?;
            for row in &rows {
                let (run, key) = (&mut runs[found(row.int(0)?)], row.text(1)?);
                last = Some((run.info.seq, key.clone()));
                let mut size = 32 + key.len();
                if table == Logged::Metrics {
                    let value = if row.flag(3)? { f64::NAN } else { row.opt_real(2)?.unwrap_or_default() };
                    run.metrics.push(Metric { key, value, time_ms: row.int(4)?, step: row.int(5)? });
                } else {
                    let value = row.text(2)?;
                    size += value.len();
                    let into = if table == Logged::Params { &mut run.params } else { &mut run.tags };
                    into.push(Tag { key, value });
                }
                let Some(less) = left.checked_sub(size) else { return Ok(None) };
                left = less;
            }
            if rows.len() < ROWS_A_READ {
                break;
            }
        }
    }
    let inputs = Query::select()
        .columns(["run", "dataset", "tags"])
        .from("run_dataset")
        .and_where(Expr::col("run").is_in(seqs.iter().copied()))
        .order_by("run", Order::Asc)
        .order_by("dataset", Order::Asc)
        .to_owned();
    let mut used = vec![Vec::new(); runs.len()];
    for row in reader.select(&inputs).await? {
        used[found(row.int(0)?)].push((row.int(1)?, super::inputs::read_tags(&row.text(2)?)?));
    }
    let models = Query::select()
        .columns([("u", "run"), ("u", "output"), ("m", "model_id"), ("u", "step")])
        .from_as("run_model", "u")
        .join_as(JoinType::InnerJoin, "logged_model", "m", Expr::col(("m", "seq")).equals(("u", "model")))
        .and_where(Expr::col(("u", "run")).is_in(seqs))
        .and_where(Expr::col(("m", "lifecycle")).ne("purged"))
        .order_by(("u", "run"), Order::Asc)
        .order_by(("u", "output"), Order::Asc)
        .order_by(("u", "model"), Order::Asc)
        .to_owned();
    for row in reader.select(&models).await? {
        let (run, model_id) = (&mut runs[found(row.int(0)?)], row.text(2)?);
        match row.flag(1)? {
            true => run.models_out.push((model_id, row.int(3)?)),
            false => run.models_in.push(model_id),
        }
    }
    Ok(Some(used))
}

/// Datasets by their numbers, without what runs used them for: each is read once, however many runs used it. `None`: it was
/// deleted a moment ago.
#[derive(Default)]
struct Datasets(HashMap<i64, Option<DatasetInput>>);

impl Datasets {
    /// Reads those of the first `needed` that are not there yet, and some of the others with them.
    async fn read(&mut self, reader: &Reader<'_>, all: &[i64], needed: usize) -> Result<()> {
        while all.iter().take(needed).any(|dataset| !self.0.contains_key(dataset)) {
            let missing = all.iter().copied().filter(|dataset| !self.0.contains_key(dataset));
            let mut missing: Vec<i64> = missing.take(A_READ).collect();
            missing.sort_unstable();
            missing.dedup();
            let select = Query::select()
                .columns(["seq", "name", "digest", "source_type", "source", "schema", "profile"])
                .from("dataset")
                .and_where(Expr::col("seq").is_in(missing.iter().copied()))
                .to_owned();
            self.0.extend(missing.into_iter().map(|seq| (seq, None)));
            for row in reader.select(&select).await? {
                let dataset = DatasetInput {
                    name: row.text(1)?,
                    digest: row.text(2)?,
                    source_type: row.text(3)?,
                    source: row.text(4)?,
                    schema: row.opt_text(5)?,
                    profile: row.opt_text(6)?,
                    tags: Vec::new(),
                };
                self.0.insert(row.int(0)?, Some(dataset));
            }
        }
        Ok(())
    }
}

/// How many datasets one read is about: each may be megabytes.
const A_READ: usize = 20;

/// About how many bytes a run is to whoever gets it.
fn size_of_run(run: &Run) -> usize {
    let tags = |tags: &[Tag]| tags.iter().map(|tag| FIELDS + tag.key.len() + tag.value.len()).sum::<usize>();
    let metrics: usize = run.metrics.iter().map(|metric| 3 * FIELDS + metric.key.len()).sum();
    let models = 2 * FIELDS * (run.models_in.len() + run.models_out.len());
    10 * FIELDS + models + metrics + tags(&run.params) + tags(&run.tags)
}

/// The same of a dataset that it used.
fn size_of_input(input: &DatasetInput) -> usize {
    let texts = [Some(&input.source), input.schema.as_ref(), input.profile.as_ref()];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let tags: usize = input.tags.iter().map(|tag| FIELDS + tag.key.len() + tag.value.len()).sum();
    4 * FIELDS + input.name.len() + texts + tags
}

/// Of the names of fields, in bytes.
const FIELDS: usize = 32;

/// Rows that are in memory at a time beside what was made of those before: a value is some kilobytes, at most.
const ROWS_A_READ: usize = 5000;

/// What runs log by keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Logged {
    Metrics,
    Params,
    Tags,
}

impl Logged {
    /// Some rows of runs, behind a run's key: the run, the key, the value, and what belongs to it.
    fn part(self, seqs: &[i64], behind: Option<&(i64, String)>) -> SelectStatement {
        let (table, columns): (_, &[&'static str]) = match self {
            Logged::Metrics => ("metric_latest", &["value", "nan", "time_ms", "step"]),
            Logged::Params => ("run_param", &["value"]),
            Logged::Tags => ("run_tag", &["value"]),
        };
        let mut part = Query::select();
        part.columns(["run", "key"]).columns(columns.iter().copied()).from(table);
        part.and_where(Expr::col("run").is_in(seqs.iter().copied()));
        if let Some((run, key)) = behind {
            let same = Expr::col("run").eq(*run).and(Expr::col("key").gt(key.as_str()));
            part.and_where(Expr::col("run").gt(*run).or(same));
        }
        part.order_by("run", Order::Asc).order_by("key", Order::Asc).limit(ROWS_A_READ as u64).to_owned()
    }
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
        put_tags(&mut tx, row.int(0)?, [(NAME_TAG, name.as_str())]).await?;
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

/// Puts tags of a run in place.
pub(crate) async fn put_tags<'t>(
    tx: &mut Tx,
    seq: i64,
    tags: impl IntoIterator<Item = (&'t str, &'t str)>,
) -> Result<()> {
    static PUT: Rows = Rows::new(
        "INSERT INTO run_tag (run, key, value)",
        3,
        "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
    );
    PUT.run(tx, tags, |(key, value)| params![seq, key, value]).await?;
    Ok(())
}
