//! Datasets and models that runs use, and models that they make.

use crannog_governance::model::lineage::{Event, Flow, Part};
use crannog_governance::service::lineage;
use crannog_security::actions::{experiments, logged_models as models, runs};
use crannog_security::{Permit, Visible};
use crannog_store::{Audit, Db, Tx, params};
use crannog_types::{Problem, Result};
use serde_json::{Map, Value};

use super::{experiments as experiment_verbs, logged_models, logging, part_of, run_of};
use crate::model::experiments::Tag;
use crate::model::limits;
use crate::model::runs::DatasetInput;

/// The tag that says what a dataset was used for.
pub(crate) const CONTEXT: &str = "mlflow.data.context";

/// Notes datasets and models that a run used. A dataset that it used already keeps its tags. `sources` are the tables that
/// the datasets are of: [`super::lineage::of_datasets`].
///
/// # Errors
/// When the run is deleted.
pub async fn log(
    db: &Db,
    permit: &Permit<runs::Edit>,
    datasets: &[DatasetInput],
    sources: &[Flow],
    used: &[Permit<models::Read>],
) -> Result<()> {
    let run_id = run_of(permit)?;
    limits::check_count("datasets", limits::TAGS, datasets.len())?;
    for dataset in datasets {
        check(dataset)?;
    }
    let about = Audit::of("mlflowExperiment", "logInputs").with("runId", &*run_id).with("datasets", datasets.len());
    let mut tx = db.write(permit, about).await?;
    let (run, experiment) = logging::active(&mut tx, &run_id).await?;
    for dataset in datasets {
        put_dataset(&mut tx, run, experiment, dataset).await?;
    }
    for model in used {
        logged_models::link(&mut tx, run, &part_of(model)?, None).await?;
    }
    let part = Part { experiment: permit.target().id, run_id: Some(run_id.to_string()), model_id: None };
    let event = Event { at: tx.now(), who: permit.who(), statement: None, part: Some(&part), flows: sources };
    lineage::record(&mut tx, &event).await?;
    Ok(tx.commit().await?)
}

/// Notes models that a run made, each at a step. One that is noted already keeps its step.
///
/// # Errors
/// When the run is deleted.
pub async fn log_outputs(db: &Db, permit: &Permit<runs::Edit>, made: &[(Permit<models::Edit>, i64)]) -> Result<()> {
    let run_id = run_of(permit)?;
    let ids = made.iter().map(|(model, _)| part_of(model)).collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let about = Audit::of("mlflowExperiment", "logOutputs").with("runId", &*run_id).with("models", names);
    let mut tx = db.write(permit, about).await?;
    let (run, _) = logging::active(&mut tx, &run_id).await?;
    for (model_id, (_, step)) in ids.iter().zip(made) {
        logged_models::link(&mut tx, run, model_id, Some(*step)).await?;
    }
    Ok(tx.commit().await?)
}

/// Notes that a run used a dataset.
pub(crate) async fn put_dataset(tx: &mut Tx, run: i64, experiment: i64, dataset: &DatasetInput) -> Result<()> {
    tx.run(
        "INSERT INTO dataset (experiment, name, digest, source_type, source, schema, profile) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (experiment, name, digest) DO NOTHING",
        params![
            experiment,
            dataset.name.as_str(),
            dataset.digest.as_str(),
            dataset.source_type.as_str(),
            dataset.source.as_str(),
            dataset.schema.clone(),
            dataset.profile.clone()
        ],
    )
    .await?;
    let context = dataset.tags.iter().find(|tag| tag.key == CONTEXT).map(|tag| tag.value.clone());
    tx.run(
        "INSERT INTO run_dataset (run, dataset, tags, context) \
         SELECT $1, seq, $2, $3 FROM dataset WHERE experiment = $4 AND name = $5 AND digest = $6 \
         ON CONFLICT (run, dataset) DO NOTHING",
        params![run, written(&dataset.tags), context, experiment, dataset.name.as_str(), dataset.digest.as_str()],
    )
    .await?;
    Ok(())
}

/// Refuses a dataset that is too large in one of its texts.
pub(crate) fn check(dataset: &DatasetInput) -> Result<()> {
    let limits = [
        ("name", 500, dataset.name.as_str()),
        ("digest", 36, dataset.digest.as_str()),
        ("source", 65_535, dataset.source.as_str()),
        ("schema", 1_048_575, dataset.schema.as_deref().unwrap_or_default()),
        ("profile", 16_777_215, dataset.profile.as_deref().unwrap_or_default()),
    ];
    for (what, limit, text) in limits {
        limits::check_length(what, limit, text)?;
    }
    limits::check_count("tags", limits::PARAMS_AND_TAGS, dataset.tags.len())?;
    for tag in &dataset.tags {
        limits::check_length("key", 255, &tag.key)?;
        limits::check_length("value", 500, &tag.value)?;
    }
    Ok(())
}

fn written(tags: &[Tag]) -> String {
    let object: Map<String, Value> = tags.iter().map(|tag| (tag.key.clone(), tag.value.as_str().into())).collect();
    Value::Object(object).to_string()
}

/// Reads what [`log`] wrote of tags.
pub(crate) fn read_tags(text: &str) -> Result<Vec<Tag>> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| Problem::internal("the tags of a dataset cannot be read", error))?;
    let tag = |(key, value): (String, Value)| Tag { key, value: value.as_str().unwrap_or_default().to_owned() };
    Ok(object.into_iter().map(tag).collect())
}

/// A dataset that runs of an experiment used, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment's number.
    pub experiment: i64,
    /// Its name.
    pub name: String,
    /// Which state of it.
    pub digest: String,
    /// What for, if that was said.
    pub context: Option<String>,
}

/// So many are listed, as by MLflow.
const SUMMARIES: usize = 1000;

/// What datasets runs of experiments used. Of experiments that the caller may not see there are none.
pub async fn summaries(
    db: &Db,
    visible: &Visible<experiments::Read>,
    experiments: &[i64],
) -> Result<Vec<DatasetSummary>> {
    let mut found = Vec::new();
    for experiment in experiment_verbs::seen(db, visible, experiments).await? {
        let rows = db
            .read(visible)
            .rows(
                "SELECT DISTINCT d.name, d.digest, u.context FROM dataset d JOIN run_dataset u ON u.dataset = d.seq \
                 WHERE d.experiment = $1 ORDER BY d.name, d.digest, u.context LIMIT 1000",
                params![experiment],
            )
            .await?;
        for row in rows.iter().take(SUMMARIES - found.len()) {
            let (name, digest, context) = (row.text(0)?, row.text(1)?, row.opt_text(2)?);
            found.push(DatasetSummary { experiment, name, digest, context });
        }
    }
    Ok(found)
}
