//! Registered models that come from another tracker, with versions, aliases, tags and stages.
//!
//! Versions whose files this server keeps, since their run or logged model came before them, have these files without a copy.

use crannog_governance::service::models as governed;
use crannog_security::actions::{metastore, schemas};
use crannog_security::{Evidence, Permit};
use crannog_store::{Audit, Tx, params};
use crannog_types::{Micros, Problem, Result, SecurableId, fold};

use super::{check_text, distinct};
use crate::model::experiments::Tag;
use crate::model::imports::{Alias, ModelVersion, Outcome, RegisteredModel};
use crate::model::limits;
use crate::model::registry::{Status, TEXT, check_alias, check_tag, full_name, stage};
use crate::service::artifacts::{Artifacts, Imported};
use crate::service::registry::aliases::note;
use crate::service::registry::files::{root, share, signature};
use crate::sql::Rows;

const VERSION: &str = "INSERT INTO model_version (model, version, status, status_message, stage, source, location, run_id, run_link, \
     model_id, comment, signature, created_at, created_by, updated_at, updated_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $14) ON CONFLICT DO NOTHING";

/// Takes a model over into the schema of the permit; whoever imports owns it. Of a model that is there from an earlier import, the
/// versions that are not.
pub async fn take_over(
    artifacts: &Artifacts,
    permits: (&Permit<metastore::Administer>, &Permit<schemas::CreateModel>),
    model: &RegisteredModel,
) -> Result<Outcome> {
    let (administer, permit) = permits;
    let mut outcome = Outcome::default();
    check(model)?;
    let name = full_name(&model.full_name);
    let found = "SELECT s.id, s.created_at FROM securable s WHERE s.kind = 'registered_model' AND s.path = $1";
    let found = artifacts.db.read(administer).row(found, params![fold(&name.to_string())]).await?;
    let mut signatures = Vec::with_capacity(model.versions.len());
    for version in &model.versions {
        signatures.push(signed(artifacts, administer, version).await?);
    }
    let (mut tx, id, is_new) = match found {
        Some(row) if row.micros(1)? == micros(model.created_ms) => {
            let about = Audit::of("unityCatalog", "importRegisteredModel").with("full_name_arg", name.to_string());
            (artifacts.db.write(administer, about).await?, row.securable(0)?, false)
        }
        Some(_) => {
            outcome.left(name.to_string(), "the name is in use by another model");
            return Ok(outcome);
        }
        None => {
            let (mut tx, id) = governed::create(&artifacts.db, permit, name.last(), model.comment.as_deref()).await?;
            tx.run(
                "UPDATE securable SET created_at = $1, updated_at = $2 WHERE id = $3",
                params![micros(model.created_ms), micros(model.updated_ms), id],
            )
            .await?;
            tx.run("INSERT INTO registered_model (id, last_version) VALUES ($1, 0)", params![id]).await?;
            static PUT: Rows = Rows::new("INSERT INTO registered_model_tag (model, key, value)", 3, "");
            PUT.run(&mut tx, distinct(&model.tags), |(key, value)| params![id, key, value]).await?;
            (tx, id, true)
        }
    };
    for (version, signature) in model.versions.iter().zip(signatures) {
        take(&mut tx, id, version, signature, &mut outcome).await?;
    }
    if is_new {
        for Alias { alias, version } in &model.aliases {
            point(&mut tx, id, alias, *version, &mut outcome).await?;
        }
    }
    tx.commit().await?;
    Ok(outcome)
}

fn micros(millis: i64) -> Micros {
    Micros(millis.saturating_mul(1000))
}

fn check(model: &RegisteredModel) -> Result<()> {
    check_text("description", TEXT, model.comment.as_deref().unwrap_or_default())?;
    check_tags(&model.tags)?;
    for alias in &model.aliases {
        check_text("alias", 255, &alias.alias)?;
    }
    for version in &model.versions {
        if version.version < 1 {
            return Err(Problem::invalid(format!("{} is no number of a version", version.version)));
        }
        for (what, text) in [
            ("source", Some(&version.source)),
            ("location", version.location.as_ref()),
            ("run_link", version.run_link.as_ref()),
            ("model_id", version.model_id.as_ref()),
            ("description", version.comment.as_ref()),
            ("status_message", version.status_message.as_ref()),
            ("folder", Some(&version.folder)),
        ] {
            check_text(what, TEXT, text.map_or("", String::as_str))?;
        }
        check_text("run_id", limits::RUN_NAME, version.run_id.as_deref().unwrap_or_default())?;
        check_text("user_id", limits::RUN_NAME, version.user_id.as_deref().unwrap_or_default())?;
        stage(&version.stage)?;
        if let Some(of) = &version.files_of {
            Imported::of_root(of)?;
        }
        check_tags(&version.tags)?;
    }
    Ok(())
}

fn check_tags(tags: &[Tag]) -> Result<()> {
    tags.iter().try_for_each(|pair| {
        check_text("tags", usize::MAX, &pair.value)?;
        check_tag(&Tag { key: pair.key.clone(), value: pair.value.clone() })
    })
}

/// What a version takes and gives, as the file of its model says.
async fn signed(artifacts: &Artifacts, evidence: &dyn Evidence, version: &ModelVersion) -> Result<Option<String>> {
    let Some(of) = &version.files_of else { return Ok(None) };
    let found = signature(artifacts, evidence, &Imported::of_root(of)?.root(), &version.folder).await?;
    Ok(found.and_then(|signature| serde_json::to_string(&signature).ok()))
}

async fn take(
    tx: &mut Tx,
    model: SecurableId,
    version: &ModelVersion,
    signature: Option<String>,
    outcome: &mut Outcome,
) -> Result<()> {
    let (number, author) = (version.version, tx.author());
    let by = version.user_id.clone().filter(|user| !user.is_empty()).unwrap_or(author);
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let put = tx
        .run(
            VERSION,
            params![
                model,
                number,
                Status::of_word(&version.status).word(),
                some(&version.status_message),
                stage(&version.stage)?,
                version.source.as_str(),
                some(&version.location),
                some(&version.run_id),
                some(&version.run_link),
                some(&version.model_id),
                some(&version.comment),
                signature.clone(),
                micros(version.created_ms),
                by,
                micros(version.updated_ms),
            ],
        )
        .await?;
    if put == 0 {
        let there = "SELECT created_at FROM model_version WHERE model = $1 AND version = $2";
        let row = tx.row(there, params![model, number]).await?;
        let at = row.map(|row| row.micros(0)).transpose()?;
        if at != Some(micros(version.created_ms)) {
            outcome.left(format!("version {number}"), "the number is in use by another version");
            return Ok(());
        }
        outcome.there += 1;
    } else {
        static PUT: Rows = Rows::new("INSERT INTO model_version_tag (model, version, key, value)", 4, "");
        PUT.run(tx, distinct(&version.tags), |(key, value)| params![model, number, key, value]).await?;
        let last = "UPDATE registered_model SET last_version = $1 WHERE id = $2 AND last_version < $1";
        tx.run(last, params![number, model]).await?;
        outcome.made += 1;
    }
    // Files that came after the version, in a later import, are its own then.
    if let Some(of) = &version.files_of {
        let own = root(model, number);
        if tx.row("SELECT 1 FROM artifact WHERE root = $1 LIMIT 1", params![own.as_str()]).await?.is_none() {
            let shared = share(tx, &Imported::of_root(of)?.root(), &version.folder, &own).await?;
            if shared > 0 && put == 0 {
                let signed =
                    "UPDATE model_version SET signature = $1 WHERE model = $2 AND version = $3 AND signature IS NULL";
                tx.run(signed, params![signature, model, number]).await?;
            }
            if shared == 0 {
                outcome
                    .changed(format!("version {number}"), "it has no files: none of its run or logged model are here");
            }
        }
    }
    Ok(())
}

async fn point(tx: &mut Tx, model: SecurableId, alias: &str, number: i64, outcome: &mut Outcome) -> Result<()> {
    if let Err(problem) = check_alias(alias) {
        outcome.left(format!("alias {alias}"), problem.message());
        return Ok(());
    }
    let put = "INSERT INTO model_alias (model, alias, version) SELECT model, $2, version FROM model_version \
               WHERE model = $1 AND version = $3 ON CONFLICT (model, alias) DO NOTHING";
    if tx.run(put, params![model, alias, number]).await? == 0 {
        outcome.left(format!("alias {alias}"), format!("there is no version {number}"));
        return Ok(());
    }
    note(tx, model, alias, Some(number), None, Some("imported")).await
}
