//! Logged models: made, finalized, read, searched, tagged, deleted; and what runs measure of them.

use std::collections::{BTreeMap, HashMap};

use crannog_security::actions::{experiments, logged_models};
use crannog_security::{Evidence, Kind, Permit, Visible};
use crannog_store::query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use crannog_store::{Audit, Db, Row, Tx, params};
use crannog_types::{Problem, Result};
use uuid::Uuid;

use super::runs::PAGE_BYTES;
use super::{experiments as experiment_verbs, part_of};
use crate::model::experiments::{Lifecycle, Tag, experiment_id};
use crate::model::limits;
use crate::model::logged_models::{LoggedModel, ModelInfo, ModelMetric, ModelsAsked, Status, check_name, check_texts};
use crate::model::runs::{Metric, random_name, stored};
use crate::model::search::{Entity, Filter};
use crate::sql::Rows;
use crate::sql::search_logged_models::{ModelSearch, search_logged_models};

/// How the experiment of a model is found.
pub static OF_MODEL: crannog_security::Finder = crannog_security::Finder {
    kind: Kind::LoggedModel,
    sql: "SELECT e.securable FROM logged_model m JOIN experiment e ON e.id = m.experiment WHERE m.model_id = $1",
    key: str::to_owned,
    missing: "Logged model with ID '{}' not found.",
};

const ONE: &str = "SELECT m.seq, m.model_id, m.experiment, m.name, m.model_type, m.source_run, m.status, m.status_message, \
                   m.lifecycle, m.created_ms, m.updated_ms, e.artifact_location FROM logged_model m \
                   JOIN experiment e ON e.id = m.experiment WHERE m.model_id = $1";

/// Reads a row of [`ONE`], and of a search.
fn info(row: &Row) -> Result<ModelInfo> {
    let (model_id, experiment) = (row.text(1)?, row.int(2)?);
    let location = row.opt_text(11)?.unwrap_or_else(|| format!("mlflow-artifacts:/{experiment}"));
    Ok(ModelInfo {
        seq: row.int(0)?,
        experiment,
        name: row.text(3)?,
        model_type: row.text(4)?,
        source_run_id: row.text(5)?,
        status: Status::of_word(&row.text(6)?),
        status_message: row.opt_text(7)?,
        lifecycle: Lifecycle::of_word(&row.text(8)?),
        created_ms: row.int(9)?,
        updated_ms: row.int(10)?,
        artifact_uri: format!("{}/models/{model_id}/artifacts", location.trim_end_matches('/')),
        model_id,
    })
}

fn audit(action: &'static str, model_id: &str) -> Audit {
    Audit::of("mlflowExperiment", action).with("modelId", model_id)
}

/// The answer about a model that is deleted, or not there.
pub(crate) fn no_model(model_id: &str) -> Problem {
    Problem::not_found(OF_MODEL.missing.replace("{}", model_id)).reason("RESOURCE_DOES_NOT_EXIST")
}

/// A model that somebody logs.
#[derive(Clone, Debug, Default)]
pub struct NewModel {
    /// Its name; empty: one that is made up.
    pub name: String,
    /// What kind of model.
    pub model_type: String,
    /// The run that makes it.
    pub source_run_id: String,
    /// Its parameters.
    pub params: Vec<Tag>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Makes a model, whose files are to come.
///
/// # Errors
/// A name that addresses cannot have; when the experiment is deleted.
pub async fn create(db: &Db, permit: &Permit<experiments::Edit>, new: NewModel) -> Result<LoggedModel> {
    check_name(&new.name)?;
    check_texts(&new.model_type, &new.source_run_id, &new.params, &new.tags)?;
    let random = Uuid::new_v4();
    let model_id = format!("m-{}", random.simple());
    let name = if new.name.is_empty() { random_name(random.as_u64_pair().0) } else { new.name };
    let about = audit("createLoggedModel", &model_id).with("experimentId", permit.target().name.to_string());
    let mut tx = db.write(permit, about).await?;
    let experiment = experiment_verbs::active(&mut tx, permit).await?.id;
    let now = tx.now().0 / 1000;
    let made = tx
        .row(
            "INSERT INTO logged_model (model_id, experiment, name, model_type, source_run, status, lifecycle, created_ms, \
             updated_ms) VALUES ($1, $2, $3, $4, $5, 'PENDING', 'active', $6, $6) RETURNING seq",
            params![model_id.as_str(), experiment, name, new.model_type, new.source_run_id, now],
        )
        .await?;
    let seq = made.ok_or_else(|| no_model(&model_id))?.int(0)?;
    add_params(&mut tx, seq, &new.params).await?;
    put_tags(&mut tx, seq, &new.tags).await?;
    tx.commit().await?;
    read(db, permit, &model_id).await
}

/// Adds parameters. One that is there with the same value stays.
async fn add_params(tx: &mut Tx, seq: i64, params: &[Tag]) -> Result<()> {
    static PUT: Rows =
        Rows::new("INSERT INTO logged_model_param (model, key, value)", 3, "ON CONFLICT (model, key) DO NOTHING");
    let put = PUT.run(tx, params, |param| params![seq, param.key.as_str(), param.value.as_str()]).await?;
    if put == params.len() as u64 {
        return Ok(());
    }
    let mut there: HashMap<String, String> = HashMap::new();
    for row in tx.rows("SELECT key, value FROM logged_model_param WHERE model = $1", params![seq]).await? {
        there.insert(row.text(0)?, row.text(1)?);
    }
    for param in params {
        if let Some(old) = there.get(&param.key).filter(|old| **old != param.value) {
            return Err(Problem::invalid(format!(
                "Changing param values is not allowed. Param with key='{}' was already logged with value='{old}'. Attempted \
                 logging new value '{}'.",
                param.key, param.value
            ))
            .reason("BAD_REQUEST"));
        }
    }
    Ok(())
}

async fn put_tags(tx: &mut Tx, seq: i64, tags: &[Tag]) -> Result<()> {
    static PUT: Rows = Rows::new(
        "INSERT INTO logged_model_tag (model, key, value)",
        3,
        "ON CONFLICT (model, key) DO UPDATE SET value = excluded.value",
    );
    // The last of one key stays; a statement takes each once.
    let tags: BTreeMap<&str, &str> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    PUT.run(tx, tags, |(key, value)| params![seq, key, value]).await?;
    Ok(())
}

/// A model. One that is deleted is there for who asks for such.
///
/// # Errors
/// When it is deleted and that was not asked for.
pub async fn get(db: &Db, permit: &Permit<logged_models::Read>, deleted_too: bool) -> Result<LoggedModel> {
    let found = read(db, permit, &part_of(permit)?).await?;
    if found.info.lifecycle == Lifecycle::Deleted && !deleted_too {
        return Err(no_model(&found.info.model_id));
    }
    Ok(found)
}

/// What is known of a model that somebody has a permit on.
pub(crate) async fn info_of(db: &Db, evidence: &dyn Evidence, model_id: &str) -> Result<ModelInfo> {
    let row = db.read(evidence).row(ONE, params![model_id]).await?;
    info(&row.ok_or_else(|| no_model(model_id))?)
}

async fn read(db: &Db, evidence: &dyn Evidence, model_id: &str) -> Result<LoggedModel> {
    let found = info_of(db, evidence, model_id).await?;
    let mut models = with_data(db, evidence, vec![found]).await?;
    models.pop().ok_or_else(|| no_model(model_id))
}

/// Says whether a model's files are there.
pub async fn finalize(db: &Db, permit: &Permit<logged_models::Edit>, status: Status) -> Result<LoggedModel> {
    let model_id = part_of(permit)?;
    let mut tx = db.write(permit, audit("finalizeLoggedModel", &model_id).with("status", status.word())).await?;
    let now = tx.now().0 / 1000;
    let set = "UPDATE logged_model SET status = $1, updated_ms = $2 WHERE model_id = $3";
    if tx.run(set, params![status.word(), now, &*model_id]).await? == 0 {
        return Err(no_model(&model_id));
    }
    tx.commit().await?;
    read(db, permit, &model_id).await
}

/// Deletes a model: it is found no more, and who knows its id can still look at it.
pub async fn delete(db: &Db, permit: &Permit<logged_models::Edit>) -> Result<()> {
    let model_id = part_of(permit)?;
    let mut tx = db.write(permit, audit("deleteLoggedModel", &model_id)).await?;
    let now = tx.now().0 / 1000;
    let set = "UPDATE logged_model SET lifecycle = 'deleted', updated_ms = $1 WHERE model_id = $2";
    if tx.run(set, params![now, &*model_id]).await? == 0 {
        return Err(no_model(&model_id));
    }
    Ok(tx.commit().await?)
}

/// The key of a model, deleted or not.
async fn key(tx: &mut Tx, model_id: &str) -> Result<i64> {
    let row = tx.row("SELECT seq FROM logged_model WHERE model_id = $1", params![model_id]).await?;
    Ok(row.ok_or_else(|| no_model(model_id))?.int(0)?)
}

/// Refuses a model that is deleted.
pub(crate) async fn active(tx: &mut Tx, model_id: &str) -> Result<()> {
    let there = "SELECT seq FROM logged_model WHERE model_id = $1 AND lifecycle = 'active'";
    tx.row(there, params![model_id]).await?.map(|_| ()).ok_or_else(|| no_model(model_id))
}

/// Adds parameters to a model.
///
/// # Errors
/// When one has another value already.
pub async fn log_params(db: &Db, permit: &Permit<logged_models::Edit>, params: &[Tag]) -> Result<()> {
    check_texts("", "", params, &[])?;
    let model_id = part_of(permit)?;
    let mut tx = db.write(permit, audit("logLoggedModelParams", &model_id)).await?;
    let seq = key(&mut tx, &model_id).await?;
    add_params(&mut tx, seq, params).await?;
    Ok(tx.commit().await?)
}

/// Sets tags of a model.
pub async fn set_tags(db: &Db, permit: &Permit<logged_models::Edit>, tags: &[Tag]) -> Result<()> {
    check_texts("", "", &[], tags)?;
    let model_id = part_of(permit)?;
    let keys: Vec<&str> = tags.iter().map(|tag| tag.key.as_str()).collect();
    let mut tx = db.write(permit, audit("setLoggedModelTags", &model_id).with("keys", keys)).await?;
    let seq = key(&mut tx, &model_id).await?;
    put_tags(&mut tx, seq, tags).await?;
    Ok(tx.commit().await?)
}

/// Deletes a tag of a model.
///
/// # Errors
/// When there is no such tag.
pub async fn delete_tag(db: &Db, permit: &Permit<logged_models::Edit>, tag: &str) -> Result<()> {
    let model_id = part_of(permit)?;
    let mut tx = db.write(permit, audit("deleteLoggedModelTag", &model_id).with("key", tag)).await?;
    let seq = key(&mut tx, &model_id).await?;
    if tx.run("DELETE FROM logged_model_tag WHERE model = $1 AND key = $2", params![seq, tag]).await? == 0 {
        let message = format!("No tag with key '{tag}' found for model with ID '{model_id}'.");
        return Err(Problem::not_found(message).reason("RESOURCE_DOES_NOT_EXIST"));
    }
    Ok(tx.commit().await?)
}

/// Points about a model that a run logs, with the permit for it.
pub type OfModel = (Permit<logged_models::Edit>, Vec<ModelMetric>);

/// Puts points about models in place. The names and times were checked: they are the run's points too.
pub(crate) async fn put_metrics(tx: &mut Tx, run: i64, models: &[OfModel]) -> Result<()> {
    static PUT: Rows = Rows::new(
        "INSERT INTO logged_model_metric (model, key, time_ms, step, run, dataset_name, dataset_digest, value, nan)",
        9,
        "ON CONFLICT DO NOTHING",
    );
    for (permit, points) in models {
        let model_id = part_of(permit)?;
        let seq = key(tx, &model_id).await?;
        for point in points {
            limits::check_length("dataset_name", 500, &point.dataset_name)?;
            limits::check_length("dataset_digest", 36, &point.dataset_digest)?;
        }
        let values = |ModelMetric { metric, dataset_name, dataset_digest }: &ModelMetric| {
            let nan = metric.value.is_nan();
            let value = if nan { 0.0 } else { stored(metric.value) };
            let (key, dataset_name, dataset_digest) =
                (metric.key.as_str(), dataset_name.as_str(), dataset_digest.as_str());
            params![seq, key, metric.time_ms, metric.step, run, dataset_name, dataset_digest, value, nan]
        };
        PUT.run(tx, points, values).await?;
    }
    Ok(())
}

/// Notes that a run made models (each at a step), or used them. What is noted already stays.
pub(crate) async fn link(tx: &mut Tx, run: i64, model_id: &str, made_at: Option<i64>) -> Result<()> {
    let seq = key(tx, model_id).await?;
    tx.run(
        "INSERT INTO run_model (run, output, model, step) VALUES ($1, $2, $3, $4) ON CONFLICT (run, output, model) DO NOTHING",
        params![run, made_at.is_some(), seq, made_at.unwrap_or_default()],
    )
    .await?;
    Ok(())
}

/// A page of models of experiments. Gives the token of the next. Of experiments that the caller may not see there are none, as
/// of those that are not there.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn search(
    db: &Db,
    visible: &Visible<experiments::Read>,
    asked: &ModelsAsked,
) -> Result<(Vec<LoggedModel>, Option<String>)> {
    asked.check_datasets()?;
    let page = asked.page()?;
    let filter = Filter::parse(Entity::LoggedModels, &asked.filter)?;
    let order = asked.order()?;
    let ids = asked.experiment_ids.iter().map(|id| experiment_id(id)).collect::<Result<Vec<i64>>>()?;
    let seen = experiment_verbs::seen(db, visible, &ids).await?;
    let wanted = ModelSearch {
        experiments: &seen,
        filter: &filter,
        datasets: &asked.datasets,
        order: &order,
        max_results: asked.max_results,
        page: page.as_ref(),
    };
    let mut page = search_logged_models(db, visible, &wanted, info).await?;
    let infos = std::mem::take(&mut page.found);
    let models = with_data(db, visible, infos).await?;
    let next = page.cut(models.len())?;
    Ok((models, next.map(|page| asked.token(&page))))
}

/// How many models one read is about.
const MODELS_A_READ: usize = 100;

/// What was logged about models. The evidence is what their experiments were asked for with. Gives the first models, at least one:
/// those up to the one with which they are larger than a page.
async fn with_data(db: &Db, evidence: &dyn Evidence, infos: Vec<ModelInfo>) -> Result<Vec<LoggedModel>> {
    let empty = |info| LoggedModel { info, params: Vec::new(), tags: Vec::new(), metrics: Vec::new() };
    let mut models: Vec<LoggedModel> = infos.into_iter().map(empty).collect();
    let reader = db.read(evidence);
    let (mut done, mut bytes) = (0, 0_usize);
    while done < models.len() {
        let end = models.len().min(done + MODELS_A_READ);
        let part = &mut models[done..end];
        let place: HashMap<i64, usize> = part.iter().enumerate().map(|(at, model)| (model.info.seq, at)).collect();
        let found = |seq: i64| place.get(&seq).copied().unwrap_or_default();
        let seqs: BTreeMap<i64, ()> = place.keys().map(|seq| (*seq, ())).collect();
        let about = |table: &'static str| -> SelectStatement {
            Query::select()
                .columns([("l", "model"), ("l", "key"), ("l", "value")])
                .from_as(table, "l")
                .and_where(Expr::col(("l", "model")).is_in(seqs.keys().copied()))
                .order_by(("l", "model"), Order::Asc)
                .order_by(("l", "key"), Order::Asc)
                .to_owned()
        };
        for row in reader.select(&about("logged_model_param")).await? {
            part[found(row.int(0)?)].params.push(Tag { key: row.text(1)?, value: row.text(2)? });
        }
        for row in reader.select(&about("logged_model_tag")).await? {
            part[found(row.int(0)?)].tags.push(Tag { key: row.text(1)?, value: row.text(2)? });
        }
        let mut metrics = about("logged_model_metric");
        metrics
            .columns([("l", "nan"), ("l", "time_ms"), ("l", "step"), ("l", "dataset_name"), ("l", "dataset_digest")])
            .column(("r", "run_id"))
            .join_as(JoinType::InnerJoin, "run", "r", Expr::col(("r", "seq")).equals(("l", "run")))
            .order_by(("l", "time_ms"), Order::Asc)
            .order_by(("l", "step"), Order::Asc)
            .order_by(("l", "run"), Order::Asc)
            .order_by(("l", "dataset_name"), Order::Asc)
            .order_by(("l", "dataset_digest"), Order::Asc)
            .order_by(("l", "value"), Order::Asc);
        for row in reader.select(&metrics).await? {
            let value = if row.flag(3)? { f64::NAN } else { row.opt_real(2)?.unwrap_or_default() };
            let metric = Metric { key: row.text(1)?, value, time_ms: row.int(4)?, step: row.int(5)? };
            let metric = ModelMetric { metric, dataset_name: row.text(6)?, dataset_digest: row.text(7)? };
            part[found(row.int(0)?)].metrics.push((metric, row.text(8)?));
        }
        let cut = part.iter().position(|model| {
            bytes = bytes.saturating_add(size_of(model));
            bytes >= PAGE_BYTES
        });
        if let Some(at) = cut {
            models.truncate(done + at + 1);
            break;
        }
        done = end;
    }
    Ok(models)
}

/// About how many bytes a model is to whoever gets it.
fn size_of(model: &LoggedModel) -> usize {
    const FIELDS: usize = 32;
    let tags = model.params.iter().chain(&model.tags).map(|tag| FIELDS + tag.key.len() + tag.value.len());
    let metrics = model
        .metrics
        .iter()
        .map(|(point, _)| 8 * FIELDS + point.metric.key.len() + point.dataset_name.len() + point.dataset_digest.len());
    10 * FIELDS + tags.sum::<usize>() + metrics.sum::<usize>()
}
