//! Logged models that come from another tracker, with what runs measured of them and which runs made and used them.

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Db, Tx, params};
use crannog_types::{Problem, Result};

use super::{PARAM, TAG, audit, check_pairs, check_text, distinct};
use crate::model::experiments::Lifecycle;
use crate::model::imports::{LoggedModel, Outcome};
use crate::model::logged_models::Status;
use crate::model::runs::stored;
use crate::sql::Rows;

/// Takes models over. Points of runs that are not here are left.
pub async fn take_over(db: &Db, permit: &Permit<metastore::Administer>, models: &[LoggedModel]) -> Result<Outcome> {
    let ids: Vec<&str> = models.iter().map(|model| model.model_id.as_str()).collect();
    let mut tx = db.write(permit, audit("importLoggedModels").with("modelIds", ids)).await?;
    let mut outcome = Outcome::default();
    for model in models {
        match check(model) {
            Ok(()) => take(&mut tx, model, &mut outcome).await?,
            Err(problem) => outcome.left(model.model_id.as_str(), problem.message()),
        }
    }
    tx.commit().await?;
    Ok(outcome)
}

fn check(model: &LoggedModel) -> Result<()> {
    let id = model.model_id.strip_prefix("m-").unwrap_or_default();
    let fine =
        !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !fine {
        return Err(Problem::invalid("its id is none that a logged model has"));
    }
    if Status::of_word(&model.status).word() != model.status {
        return Err(Problem::invalid(format!("'{}' is no status of a logged model", model.status)));
    }
    for (what, most, text) in [
        ("name", 500, model.name.as_str()),
        ("model_type", 500, model.model_type.as_str()),
        ("source_run_id", 256, model.source_run_id.as_str()),
        ("status_message", TAG, model.status_message.as_deref().unwrap_or_default()),
    ] {
        check_text(what, most, text)?;
    }
    check_pairs("params", PARAM, &model.params)?;
    check_pairs("tags", TAG, &model.tags)?;
    for point in &model.metrics {
        check_text("metrics", 500, &point.key)?;
        check_text("dataset_name", 500, &point.dataset_name)?;
        check_text("dataset_digest", 36, &point.dataset_digest)?;
        check_text("run_id", 256, &point.run_id)?;
    }
    let runs = model.used_by.iter().chain(model.made_by.iter().map(|made| &made.run_id));
    for run in runs {
        check_text("run_id", 256, run)?;
    }
    Ok(())
}

async fn take(tx: &mut Tx, model: &LoggedModel, outcome: &mut Outcome) -> Result<()> {
    let id = model.model_id.as_str();
    let found = "SELECT experiment, created_ms FROM logged_model WHERE model_id = $1";
    if let Some(row) = tx.row(found, params![id]).await? {
        match row.int(0)? == model.experiment_id && row.int(1)? == model.created_ms {
            true => outcome.there += 1,
            false => outcome.left(id, "the id is in use by another logged model"),
        }
        return Ok(());
    }
    if tx.row("SELECT 1 FROM experiment WHERE id = $1", params![model.experiment_id]).await?.is_none() {
        outcome.left(id, format!("its experiment {} is not here", model.experiment_id));
        return Ok(());
    }
    let lifecycle = if model.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    let row = tx
        .row(
            "INSERT INTO logged_model (model_id, experiment, name, model_type, source_run, status, status_message, lifecycle, \
             created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING seq",
            params![
                id,
                model.experiment_id,
                model.name.as_str(),
                model.model_type.as_str(),
                model.source_run_id.as_str(),
                model.status.as_str(),
                model.status_message.clone(),
                lifecycle.word(),
                model.created_ms,
                model.updated_ms
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let seq = row.int(0)?;
    static PARAMS: Rows = Rows::new("INSERT INTO logged_model_param (model, key, value)", 3, "");
    static TAGS: Rows = Rows::new("INSERT INTO logged_model_tag (model, key, value)", 3, "");
    PARAMS.run(tx, distinct(&model.params), |(key, value)| params![seq, key, value]).await?;
    TAGS.run(tx, distinct(&model.tags), |(key, value)| params![seq, key, value]).await?;
    let mut lost = 0_u64;
    for point in &model.metrics {
        let nan = point.value.is_none_or(f64::is_nan);
        let value = point.value.filter(|value| !value.is_nan()).map_or(0.0, stored);
        let put = tx
            .run(
                "INSERT INTO logged_model_metric (model, key, time_ms, step, run, dataset_name, dataset_digest, value, nan) \
                 SELECT $1, $2, $3, $4, seq, $5, $6, $7, $8 FROM run WHERE run_id = $9 ON CONFLICT DO NOTHING",
                params![
                    seq,
                    point.key.as_str(),
                    point.time_ms,
                    point.step,
                    point.dataset_name.as_str(),
                    point.dataset_digest.as_str(),
                    value,
                    nan,
                    point.run_id.as_str()
                ],
            )
            .await?;
        lost += 1 - put.min(1);
    }
    if lost > 0 {
        outcome.changed(id, format!("{lost} of its points are of runs that are not here"));
    }
    let used = model.used_by.iter().map(|run| (run, false, 0));
    let made = model.made_by.iter().map(|made| (&made.run_id, true, made.step));
    for (run, output, step) in used.chain(made) {
        tx.run(
            "INSERT INTO run_model (run, output, model, step) SELECT seq, $1, $2, $3 FROM run WHERE run_id = $4 \
             ON CONFLICT (run, output, model) DO NOTHING",
            params![output, seq, step, run.as_str()],
        )
        .await?;
    }
    outcome.made += 1;
    Ok(())
}
