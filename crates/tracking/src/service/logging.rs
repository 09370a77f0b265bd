//! What runs log: points of metrics, parameters, tags.
//!
//! Points alone, which are most of what is logged, go to the [`writer`], which writes those of several requests together; what
//! comes with parameters or tags is a transaction of its own.

mod latest;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crannog_kit::{Steps, Tasks};
use crannog_security::actions::runs;
use crannog_security::{Evidence, Permit};
use crannog_store::{Audit, Db, Tx, params};
use crannog_types::{Code, Problem, Result};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::latest::Latest;
use self::writer::{Entry, Refused};
use super::logged_models::{OfModel, put_metrics};
use super::touched::Touched;
use super::{no_run, not_active, run_of, runs as run_verbs};
use crate::model::experiments::{Lifecycle, Tag};
use crate::model::limits::{self, Place};
use crate::model::points;
use crate::model::runs::{Metric, NAME_TAG, stored};
use crate::sql::Rows;

/// The largest tag in which old clients keep their models, in bytes.
const OLD_MODELS: usize = 1_000_000;

/// Writes what runs log. Cheap to clone.
#[derive(Clone)]
pub struct Logger {
    db: Db,
    queue: mpsc::Sender<Entry>,
    touched: Arc<Touched>,
    writes: Steps,
}

/// Everything of one batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Points.
    pub metrics: Vec<Metric>,
    /// Parameters.
    pub params: Vec<Tag>,
    /// Tags.
    pub tags: Vec<Tag>,
}

impl Logger {
    /// Starts writing; it ends with the tasks, after what is waiting then.
    pub fn start(db: Db, tasks: &Tasks) -> Self {
        let (queue, writes) = writer::start(db.clone(), tasks);
        Logger { db, queue, touched: Arc::default(), writes }
    }

    /// Whether the writer hangs: writing one group has taken longer than this.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.writes.stuck(longer_than)
    }

    /// Logs points of metrics to a run.
    ///
    /// # Errors
    /// Names and times that MLflow refuses; a run that is deleted.
    pub async fn metrics(&self, permit: &Permit<runs::Edit>, metrics: Vec<Metric>) -> Result<()> {
        self.write(permit, &run_of(permit)?, checked(metrics)?).await
    }

    /// Has points written, with whatever else is waiting.
    async fn write(&self, permit: &Permit<runs::Edit>, run_id: &Arc<str>, points: Vec<Metric>) -> Result<()> {
        if points.is_empty() {
            // Nothing is to be logged, and could it be?
            return match run_verbs::get_info(&self.db, permit).await?.lifecycle {
                Lifecycle::Active => Ok(()),
                Lifecycle::Deleted => Err(not_active(&self.db, permit, run_id).await),
            };
        }
        let now = self.db.now();
        let first = self.touched.is_first(permit.who().id, run_id, now);
        let first = first.then(|| (permit.who().clone(), permit.origin().cloned()));
        let (done, written) = oneshot::channel();
        let entry = Entry { run_id: Arc::clone(run_id), points, first, done };
        let stopping = || Problem::new(Code::Unavailable, "the server is stopping").hint("try again in a moment");
        self.queue.send(entry).await.map_err(|_| stopping())?;
        match written.await.map_err(|_| stopping())? {
            Ok(()) => {
                self.touched.note(permit.who().id, run_id, now);
                Ok(())
            }
            Err(Refused::NotActive) => Err(not_active(&self.db, permit, run_id).await),
            Err(Refused::Group(cause)) => Err(Problem::new(Code::Unavailable, "the points could not be written")
                .hint("send them again; the server's log has the cause")
                .caused_by(cause)),
        }
    }

    /// Logs a batch to a run: all of it, or nothing.
    ///
    /// # Errors
    /// What MLflow refuses; a parameter that has another value already; a run that is deleted.
    pub async fn batch(&self, permit: &Permit<runs::Edit>, batch: Batch) -> Result<()> {
        self.batch_about(permit, batch, &[]).await
    }

    /// [`Logger::batch`], some of whose points are about models, too.
    ///
    /// # Errors
    /// The same.
    pub async fn batch_about(&self, permit: &Permit<runs::Edit>, batch: Batch, models: &[OfModel]) -> Result<()> {
        let run_id = run_of(permit)?;
        let (metrics, params, tags) =
            (checked(batch.metrics)?, checked_params(batch.params)?, checked_tags(batch.tags)?);
        limits::check_batch(metrics.len(), params.len(), tags.len())?;
        unique(&params)?;
        if params.is_empty() && tags.is_empty() && models.is_empty() {
            return self.write(permit, &run_id, metrics).await;
        }
        let mut tx = self.begin(permit, &run_id).await?;
        let (seq, experiment) = active(&mut tx, &run_id).await?;
        put_params(&mut tx, seq, &run_id, params, Said::Together).await?;
        if !metrics.is_empty() {
            let log = "INSERT INTO metric_log (run, points) VALUES ($1, $2)";
            tx.run(log, params![seq, points::encode(&metrics)]).await?;
            let mut latest = Latest::default();
            latest.add(seq, experiment, &metrics);
            latest.put(&mut tx).await?;
        }
        put_metrics(&mut tx, seq, models).await?;
        put_run_tags(&mut tx, seq, &tags).await?;
        self.commit(permit, &run_id, tx).await
    }

    /// Logs one parameter.
    ///
    /// # Errors
    /// When it has another value already; when the run is deleted.
    pub async fn param(&self, permit: &Permit<runs::Edit>, param: Tag) -> Result<()> {
        let run_id = run_of(permit)?;
        let value = limits::check_param(Place::Alone, &param.key, param.value)?;
        let mut tx = self.begin(permit, &run_id).await?;
        let (seq, _) = active(&mut tx, &run_id).await?;
        put_params(&mut tx, seq, &run_id, vec![Tag { key: param.key, value }], Said::Alone).await?;
        self.commit(permit, &run_id, tx).await
    }

    /// Sets one tag.
    ///
    /// # Errors
    /// When the run is deleted.
    pub async fn tag(&self, permit: &Permit<runs::Edit>, tag: Tag) -> Result<()> {
        let run_id = run_of(permit)?;
        let value = limits::check_tag(Place::Alone, &tag.key, tag.value)?;
        let mut tx = self.begin(permit, &run_id).await?;
        let (seq, _) = active(&mut tx, &run_id).await?;
        put_run_tag(&mut tx, seq, &Tag { key: tag.key, value }).await?;
        self.commit(permit, &run_id, tx).await
    }

    /// Deletes one tag.
    ///
    /// # Errors
    /// When there is no such tag; when the run is deleted.
    pub async fn delete_tag(&self, permit: &Permit<runs::Edit>, key: &str) -> Result<()> {
        let run_id = run_of(permit)?;
        let mut tx = self.begin(permit, &run_id).await?;
        let (seq, _) = active(&mut tx, &run_id).await?;
        if tx.run("DELETE FROM run_tag WHERE run = $1 AND key = $2", params![seq, key]).await? == 0 {
            let message = format!("No tag with name: {key} in run with id {run_id}");
            return Err(Problem::not_found(message).reason("RESOURCE_DOES_NOT_EXIST"));
        }
        self.commit(permit, &run_id, tx).await
    }

    /// Adds a description of a model to the tag in which runs of old clients keep them.
    ///
    /// # Errors
    /// When the run is deleted; when the tag holds something else.
    pub async fn old_model(&self, permit: &Permit<runs::Edit>, model: serde_json::Value) -> Result<()> {
        const TAG: &str = "mlflow.log-model.history";
        let run_id = run_of(permit)?;
        let mut tx = self.begin(permit, &run_id).await?;
        let (seq, _) = active(&mut tx, &run_id).await?;
        let row = tx.row("SELECT value FROM run_tag WHERE run = $1 AND key = $2", params![seq, TAG]).await?;
        let mut models: Vec<serde_json::Value> = match row {
            Some(row) => serde_json::from_str(&row.text(0)?)
                .map_err(|error| Problem::invalid(format!("the tag {TAG} holds no list")).caused_by(error))?,
            None => Vec::new(),
        };
        models.push(model);
        let value = serde_json::Value::Array(models).to_string();
        if value.len() > OLD_MODELS {
            return Err(Problem::invalid(format!(
                "the run has so many models that they are more than {OLD_MODELS} bytes"
            ))
            .hint("log the model to another run, or with a client of MLflow 3"));
        }
        put_run_tag(&mut tx, seq, &Tag { key: TAG.to_owned(), value }).await?;
        self.commit(permit, &run_id, tx).await
    }

    /// A change of what a run logged. The first of somebody in an hour has its audit row.
    async fn begin(&self, permit: &Permit<runs::Edit>, run_id: &str) -> Result<Tx> {
        if self.touched.is_first(permit.who().id, run_id, self.db.now()) {
            return Ok(self.db.write(permit, audit(run_id)).await?);
        }
        #[expect(clippy::disallowed_methods, reason = "an earlier change of this hour has an audit row")]
        Ok(self.db.write_further(permit).await?)
    }

    async fn commit(&self, permit: &Permit<runs::Edit>, run_id: &str, tx: Tx) -> Result<()> {
        // Of the moment before: an audit row of the last hour is none of this one.
        let began = tx.now();
        tx.commit().await?;
        self.touched.note(permit.who().id, run_id, began);
        Ok(())
    }
}

/// What the audit says of everything that is logged to a run.
fn audit(run_id: &str) -> Audit {
    Audit::of("mlflowExperiment", "logToRun").with("runId", run_id)
}

fn checked(mut metrics: Vec<Metric>) -> Result<Vec<Metric>> {
    let alone = metrics.len() == 1;
    for (at, metric) in metrics.iter_mut().enumerate() {
        let place = if alone { Place::Alone } else { Place::Of("metrics", at) };
        limits::check_metric(place, &metric.key, metric.value, metric.time_ms)?;
        metric.value = stored(metric.value);
    }
    Ok(metrics)
}

fn checked_params(params: Vec<Tag>) -> Result<Vec<Tag>> {
    let check = |(at, Tag { key, value })| {
        let value = limits::check_param(Place::Of("params", at), &key, value)?;
        Ok(Tag { key, value })
    };
    params.into_iter().enumerate().map(check).collect()
}

fn checked_tags(tags: Vec<Tag>) -> Result<Vec<Tag>> {
    let check = |(at, Tag { key, value })| {
        let value = limits::check_tag(Place::Of("tags", at), &key, value)?;
        Ok(Tag { key, value })
    };
    tags.into_iter().enumerate().map(check).collect()
}

fn unique(params: &[Tag]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    let twice: Vec<String> =
        params.iter().filter(|param| !seen.insert(param.key.as_str())).map(|param| quoted(&param.key)).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value per \
         param key.",
        twice.join(", ")
    )))
}

/// A text as Python shows it in a list.
fn quoted(text: &str) -> String {
    if text.contains('\'') && !text.contains('"') { format!("\"{text}\"") } else { format!("'{text}'") }
}

/// The key of a run that is there, and its experiment.
pub(crate) async fn active(tx: &mut Tx, run_id: &str) -> Result<(i64, i64)> {
    let row = tx.row("SELECT seq, experiment, lifecycle FROM run WHERE run_id = $1", params![run_id]).await?;
    let row = row.ok_or_else(|| no_run(run_id))?;
    let state = row.text(2)?;
    if state != "active" {
        return Err(Problem::invalid(format!(
            "The run {run_id} must be in the 'active' state. Current state is {state}."
        )));
    }
    Ok((row.int(0)?, row.int(1)?))
}

/// How a parameter that has another value is spoken of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Alone,
    Together,
}

/// Puts parameters in place. One that is there with the same value stays.
async fn put_params(tx: &mut Tx, seq: i64, run_id: &str, params: Vec<Tag>, said: Said) -> Result<()> {
    static PUT: Rows = Rows::new("INSERT INTO run_param (run, key, value)", 3, "ON CONFLICT (run, key) DO NOTHING");
    let put = PUT.run(tx, &params, |param| params![seq, param.key.as_str(), param.value.as_str()]).await?;
    if put == params.len() as u64 {
        return Ok(());
    }
    let mut there: HashMap<String, String> = HashMap::new();
    for row in tx.rows("SELECT key, value FROM run_param WHERE run = $1", params![seq]).await? {
        there.insert(row.text(0)?, row.text(1)?);
    }
    let other: Vec<(&Tag, &String)> = params
        .iter()
        .filter_map(|param| Some((param, there.get(&param.key).filter(|old| **old != param.value)?)))
        .collect();
    match (other.as_slice(), said) {
        ([], _) => Ok(()),
        ([(param, old), ..], Said::Alone) => Err(Problem::invalid(format!(
            "Changing param values is not allowed. Param with key='{}' was already logged with value='{old}' for run \
             ID='{run_id}'. Attempted logging new value '{}'.",
            param.key, param.value
        ))),
        (other, Said::Together) => {
            let one = |(param, old): &(&Tag, &String)| {
                let (key, old, new) = (quoted(&param.key), quoted(old), quoted(&param.value));
                format!("{{'key': {key}, 'old_value': {old}, 'new_value': {new}}}")
            };
            let list = other.iter().map(one).collect::<Vec<_>>().join(", ");
            Err(Problem::invalid(format!(
                "Changing param values is not allowed. Params were already logged='[{list}]' for run ID='{run_id}'."
            )))
        }
    }
}

/// Puts a tag in place. A run's name is a tag too.
async fn put_run_tag(tx: &mut Tx, seq: i64, tag: &Tag) -> Result<()> {
    put_run_tags(tx, seq, std::slice::from_ref(tag)).await
}

/// Puts tags in place; of one that is there twice, the last.
async fn put_run_tags(tx: &mut Tx, seq: i64, tags: &[Tag]) -> Result<()> {
    for tag in tags.iter().filter(|tag| tag.key == NAME_TAG && !tag.value.is_empty()) {
        limits::check_length("run_name", limits::RUN_NAME, &tag.value)?;
        tx.run("UPDATE run SET name = $1 WHERE seq = $2", params![tag.value.as_str(), seq]).await?;
    }
    let last: BTreeMap<&str, &str> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    run_verbs::put_tags(tx, seq, last).await
}
