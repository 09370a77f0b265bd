//! Registered models with their versions.
//!
//! What a version's files are is said by an address. Where it leads to the files of a run or a logged model that this server keeps, the
//! version has these; what is in a bucket stays there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crannog_store::query::{Expr, ExprTrait, Order};
use crannog_tracking::model::imports::{Alias, ModelVersion, Outcome, Pair, RegisteredModel};
use crannog_types::{check_name, fold};
use serde_json::json;

use super::database::Database;
use super::places::{Place, Places};
use super::report::Report;
use super::{ROUTES, unreadable};
use crate::cli::Failure;
use crate::client::{Asked, Client};

/// The tag of what is a prompt and no model.
const PROMPT: &str = "mlflow.prompt.is_prompt";

/// Takes registered models over, by name.
pub(super) async fn take_over(
    client: &Client,
    source: &mut Database,
    places: &Places,
    report: &mut Report,
) -> Result<(), Failure> {
    if !source.has("registered_models").await? {
        return Ok(());
    }
    let mut select =
        source.select("registered_models", &["name", "creation_time", "last_updated_time", "description"]).await?;
    select.order_by("name", Order::Asc);
    let mut names = BTreeSet::new();
    for row in source.rows(&select).await? {
        let name = row.text(0)?;
        let one = [name.clone()];
        let tags = source.pairs("registered_model_tags", "name", ["key", "value"], &one).await?.remove(&name);
        let tags = tags.unwrap_or_default();
        if tags.iter().any(|tag| tag.key == PROMPT) {
            report.left("prompts", "nothing here holds them yet", 1, &name);
            continue;
        }
        let full_name = named(&name, &mut names);
        if full_name != name && full_name != format!("main.default.{name}") {
            report.changed("registered models", &format!("'{name}' is called '{full_name}'"), "");
        }
        let created_ms = row.opt_int(1)?.unwrap_or_default();
        let model = RegisteredModel {
            full_name,
            created_ms,
            updated_ms: row.opt_int(2)?.unwrap_or(created_ms),
            comment: row.opt_text(3)?.filter(|text| !text.is_empty()),
            tags,
            aliases: aliases(source, &name).await?,
            versions: versions(source, places, &name, report).await?,
        };
        match client.post(&format!("{ROUTES}/registered-models"), &json!({ "model": model })).await {
            Ok(answer) => {
                let outcome: Outcome = serde_json::from_value(answer).map_err(unreadable)?;
                let prefixed = |note: &crannog_tracking::model::imports::Note| crannog_tracking::model::imports::Note {
                    id: if note.id == model.full_name { name.clone() } else { format!("{name} {}", note.id) },
                    about: note.about.clone(),
                };
                report.add(
                    "versions of models",
                    &Outcome {
                        made: outcome.made,
                        there: outcome.there,
                        left: outcome.left.iter().map(prefixed).collect(),
                        changed: outcome.changed.iter().map(prefixed).collect(),
                    },
                );
            }
            // Its schema is not there, or it is something else's name.
            Err(Asked::Refused(refused)) if matches!(refused.status, 400 | 403 | 404 | 409) => {
                report.left("registered models", &refused.message, 1, &name);
            }
            Err(asked) => return Err(asked.into()),
        }
    }
    Ok(())
}

/// The full name here of a model's name there: the same for the same names. A plain one is of main.default.
fn named(name: &str, taken: &mut BTreeSet<String>) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let full = match parts.as_slice() {
        [_, _, _] if parts.iter().all(|part| check_name(part).is_ok()) => name.to_owned(),
        _ => {
            let strange = |c: char| matches!(c, '.' | '/' | '\\' | ' ') || c.is_control();
            format!("main.default.{}", name.replace(strange, "_"))
        }
    };
    let mut free = full.clone();
    for number in 2.. {
        if taken.insert(fold(&free)) {
            break;
        }
        free = format!("{full}_{number}");
    }
    free
}

async fn aliases(source: &mut Database, name: &str) -> Result<Vec<Alias>, Failure> {
    if !source.has("registered_model_aliases").await? {
        return Ok(Vec::new());
    }
    let mut select = source.select("registered_model_aliases", &["alias", "version"]).await?;
    select.and_where(Expr::col("name").eq(name)).order_by("alias", Order::Asc);
    let rows = source.rows(&select).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(Alias { alias: row.text(0)?, version: row.int(1)? });
    }
    Ok(found)
}

async fn versions(
    source: &mut Database,
    places: &Places,
    name: &str,
    report: &mut Report,
) -> Result<Vec<ModelVersion>, Failure> {
    let mut select = source.select("model_version_tags", &["version", "key", "value"]).await?;
    select.and_where(Expr::col("name").eq(name));
    let mut tags: BTreeMap<i64, Vec<Pair>> = BTreeMap::new();
    for row in source.rows(&select).await? {
        let pair = Pair { key: row.text(1)?, value: row.opt_text(2)?.unwrap_or_default() };
        tags.entry(row.int(0)?).or_default().push(pair);
    }
    let columns = [
        "version",
        "creation_time",
        "last_updated_time",
        "description",
        "user_id",
        "current_stage",
        "source",
        "run_id",
        "status",
        "status_message",
        "run_link",
        "storage_location",
    ];
    let mut select = source.select("model_versions", &columns).await?;
    select.and_where(Expr::col("name").eq(name)).order_by("version", Order::Asc);
    let mut found = Vec::new();
    for row in source.rows(&select).await? {
        let (version, created_ms) = (row.int(0)?, row.opt_int(1)?.unwrap_or_default());
        let stage = row.opt_text(5)?.unwrap_or_else(|| "None".to_owned());
        if stage == "Deleted_Internal" {
            continue;
        }
        let address = row.opt_text(6)?.unwrap_or_default();
        let stored = row.opt_text(11)?.filter(|text| !text.is_empty());
        let run_id = row.opt_text(7)?.filter(|text| !text.is_empty());
        found.push(ModelVersion {
            version,
            status: row.opt_text(8)?.unwrap_or_else(|| "READY".to_owned()),
            status_message: row.opt_text(9)?,
            stage,
            source: address.clone(),
            location: Some(stored.unwrap_or(address)),
            files_of: None,
            folder: String::new(),
            run_id,
            run_link: row.opt_text(10)?,
            model_id: None,
            comment: row.opt_text(3)?,
            user_id: row.opt_text(4)?,
            created_ms,
            updated_ms: row.opt_int(2)?.unwrap_or(created_ms),
            tags: tags.remove(&version).unwrap_or_default(),
        });
    }
    let homes = homes(source, &found).await?;
    for version in &mut found {
        place(version, places, &homes);
        if version.location.is_none() && version.files_of.is_none() {
            report.left(
                "files of versions",
                "they are in no folder of a run or a logged model",
                1,
                &format!("{name} version {}", version.version),
            );
        }
    }
    Ok(found)
}

/// Where the runs and logged models that versions name have their files: by `runs/<id>` and `models/<id>`.
async fn homes(source: &mut Database, versions: &[ModelVersion]) -> Result<HashMap<String, (i64, String)>, Failure> {
    let mut homes = HashMap::new();
    let mut runs: BTreeSet<String> = versions.iter().filter_map(|version| version.run_id.clone()).collect();
    let mut models = BTreeSet::new();
    for address in versions.iter().flat_map(|version| [Some(&version.source), version.location.as_ref()]).flatten() {
        match holder(address) {
            Some((holder, _)) if holder.starts_with("runs/") => _ = runs.insert(holder["runs/".len()..].to_owned()),
            Some((holder, _)) => _ = models.insert(holder["models/".len()..].to_owned()),
            None => {}
        }
    }
    for (table, id, address, root, ids) in [
        ("runs", "run_uuid", "artifact_uri", "runs", runs),
        ("logged_models", "model_id", "artifact_location", "models", models),
    ] {
        if ids.is_empty() || !source.has(table).await? {
            continue;
        }
        let mut select = source.select(table, &[id, "experiment_id", address]).await?;
        select.and_where(Expr::col(id).is_in(ids.iter().map(String::as_str)));
        for row in source.rows(&select).await? {
            let home = (row.opt_int(1)?.unwrap_or_default(), row.opt_text(2)?.unwrap_or_default());
            homes.insert(format!("{root}/{}", row.text(0)?), home);
        }
    }
    Ok(homes)
}

/// Says whose files a version has, and where clients find them.
fn place(version: &mut ModelVersion, places: &Places, homes: &HashMap<String, (i64, String)>) {
    let addresses = [Some(version.source.clone()), version.location.clone()];
    for address in addresses.into_iter().flatten() {
        let Some((holder, folder)) = holder(&address) else { continue };
        let Some((experiment, home)) = homes.get(&holder) else { continue };
        let (root, id) = holder.split_once('/').unwrap_or_default();
        if root == "models" {
            version.model_id = Some(id.to_owned());
        }
        if places.of(home) == Place::Bucket {
            continue;
        }
        let below = match root {
            "models" => format!("models/{id}/artifacts"),
            _ => format!("{id}/artifacts"),
        };
        let base = home.strip_suffix(&format!("/{below}")).unwrap_or(home);
        let base =
            super::places::location(*experiment, base).unwrap_or_else(|| format!("mlflow-artifacts:/{experiment}"));
        let rest = if folder.is_empty() { String::new() } else { format!("/{folder}") };
        version.location = Some(format!("{base}/{below}{rest}"));
        (version.files_of, version.folder) = (Some(holder), folder);
        return;
    }
    // What is on this machine alone, nobody else finds.
    if version.location.as_deref().is_some_and(|address| places.of(address) != Place::Bucket) {
        version.location = None;
    }
}

/// Whose files an address means, and which folder of theirs: `runs/<id>` or `models/<id>`.
fn holder(address: &str) -> Option<(String, String)> {
    let path = address.split_once(':').map_or(address, |(_, path)| path).trim_matches('/');
    if address.starts_with("runs:/") {
        let (id, folder) = path.split_once('/').unwrap_or((path, ""));
        return Some((format!("runs/{id}"), folder.to_owned()));
    }
    if address.starts_with("models:/") {
        return (path.starts_with("m-") && !path.contains(['/', '@']))
            .then(|| (format!("models/{path}"), String::new()));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == "artifacts").filter(|at| *at > 0)?;
    let id = parts[at - 1];
    let root = if at > 1 && parts[at - 2] == "models" && id.starts_with("m-") { "models" } else { "runs" };
    Some((format!("{root}/{id}"), parts[at + 1..].join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_catalog_and_stay_apart() {
        let mut taken = BTreeSet::new();
        for (name, full) in [
            ("late", "main.default.late"),
            ("Late", "main.default.Late_2"),
            ("a.b.c", "a.b.c"),
            ("my model", "main.default.my_model"),
            ("my.model", "main.default.my_model_2"),
        ] {
            assert_eq!(named(name, &mut taken), full, "{name}");
        }
    }

    #[test]
    fn addresses_say_whose_files_they_are() {
        let of = |address: &str| holder(address).map(|(holder, folder)| format!("{holder} {folder}"));
        assert_eq!(of("runs:/r1/model").as_deref(), Some("runs/r1 model"));
        assert_eq!(of("models:/m-1").as_deref(), Some("models/m-1 "));
        assert_eq!(of("models:/late/1"), None);
        assert_eq!(of("/srv/mlruns/1/r1/artifacts/model/x").as_deref(), Some("runs/r1 model/x"));
        assert_eq!(of("mlflow-artifacts:/1/models/m-1/artifacts").as_deref(), Some("models/m-1 "));
        assert_eq!(of("s3://bucket/model"), None);
    }
}
