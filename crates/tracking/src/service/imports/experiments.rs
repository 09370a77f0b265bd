//! Experiments that come from another tracker.

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Db, Tx, params};
use crannog_types::{PrincipalId, Result};

use super::{audit, check_pairs, check_text, distinct};
use crate::model::artifacts;
use crate::model::experiments::{DEFAULT, Lifecycle, Tag};
use crate::model::imports::{Experiment, LAST_EXPERIMENT, Outcome};
use crate::model::limits;
use crate::service::experiments::{NewExperiment, insert};

/// Takes experiments over; whoever imports owns them. The default experiment is there always, and gets the tags that it has not.
pub async fn take_over(db: &Db, permit: &Permit<metastore::Administer>, all: &[Experiment]) -> Result<Outcome> {
    let ids: Vec<String> = all.iter().map(|one| one.id.to_string()).collect();
    let mut tx = db.write_moving(permit, audit("importMlflowExperiments").with("experimentIds", ids)).await?;
    let mut outcome = Outcome::default();
    for one in all {
        match check(one) {
            Ok(()) => take(&mut tx, one, permit.who().id, &mut outcome).await?,
            Err(problem) => outcome.left(one.id.to_string(), problem.message()),
        }
    }
    if outcome.made > 0 {
        tx.bump().await?;
    }
    tx.commit().await?;
    Ok(outcome)
}

fn check(one: &Experiment) -> Result<()> {
    if !(DEFAULT..=LAST_EXPERIMENT).contains(&one.id) {
        return Err(crannog_types::Problem::invalid("its id is no number that an experiment has here"));
    }
    limits::check_experiment_name(&one.name)?;
    check_text("name", limits::EXPERIMENT_NAME, &one.name)?;
    check_pairs("tags", limits::EXPERIMENT_TAG, &one.tags)?;
    let location = one.artifact_location.as_deref().unwrap_or_default();
    check_text("artifact_location", 2000, location)?;
    if location.contains(['#', ';']) || artifacts::hides_runs(location) {
        return Err(crannog_types::Problem::invalid(format!("its files cannot be at '{location}'")));
    }
    Ok(())
}

async fn take(tx: &mut Tx, one: &Experiment, owner: PrincipalId, outcome: &mut Outcome) -> Result<()> {
    let id = one.id.to_string();
    let found = tx.row("SELECT name, created_ms FROM experiment WHERE id = $1", params![one.id]).await?;
    if let Some(row) = found {
        let (name, created_ms) = (row.text(0)?, row.int(1)?);
        if one.id == DEFAULT {
            for (key, value) in distinct(&one.tags) {
                let put = "INSERT INTO experiment_tag (experiment, key, value) VALUES ($1, $2, $3) \
                           ON CONFLICT (experiment, key) DO NOTHING";
                tx.run(put, params![DEFAULT, key, value]).await?;
            }
            outcome.there += 1;
        } else if created_ms == one.created_ms {
            outcome.there += 1;
        } else {
            outcome.left(id, format!("the id is in use by the experiment '{name}'"));
        }
        return Ok(());
    }
    let mut name = one.name.clone();
    if taken(tx, &name).await? {
        name = format!("{} ({id})", one.name);
        if name.chars().count() > limits::EXPERIMENT_NAME || taken(tx, &name).await? {
            outcome.left(id, format!("the name '{}' is in use by another experiment", one.name));
            return Ok(());
        }
        outcome.changed(id.as_str(), format!("the name '{}' is in use, so it is '{name}'", one.name));
    }
    let tags = one.tags.iter().map(|pair| Tag { key: pair.key.clone(), value: pair.value.clone() }).collect();
    let new = NewExperiment { name, artifact_location: one.artifact_location.clone(), tags };
    if !insert(tx, one.id, &new, owner).await? {
        outcome.left(id, "the id or the name is in use");
        return Ok(());
    }
    let lifecycle = if one.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    tx.run(
        "UPDATE experiment SET lifecycle = $1, created_ms = $2, updated_ms = $3 WHERE id = $4",
        params![lifecycle.word(), one.created_ms, one.updated_ms, one.id],
    )
    .await?;
    outcome.made += 1;
    Ok(())
}

async fn taken(tx: &mut Tx, name: &str) -> Result<bool> {
    Ok(tx.row("SELECT 1 FROM experiment WHERE name = $1", params![name]).await?.is_some())
}
