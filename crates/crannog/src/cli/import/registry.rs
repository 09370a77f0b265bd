//! Registered models with their versions.
//!
//! What a version's files are is said by an address. Where it leads to the files of a run or a logged model that this server keeps, the
//! version has these; what is in a bucket stays there.

use std::collections::{BTreeSet, HashMap};

use crannog_tracking::model::imports::{ModelVersion, Outcome, RegisteredModel};
use crannog_types::{check_name, fold};
use serde_json::json;

use super::places::{Place, Places, location};
use super::report::Report;
use super::source::{Holders, Home, Source};
use super::{ROUTES, unreadable};
use crate::cli::Failure;
use crate::client::{Asked, Client};

/// The tag of what is a prompt and no model.
const PROMPT: &str = "mlflow.prompt.is_prompt";

/// Takes registered models over, by name.
pub(super) async fn take_over(
    client: &Client,
    source: &mut Source,
    places: &Places,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    for name in source.registered().await? {
        let mut found = source.registered_model(&name).await?;
        if found.tags.iter().any(|tag| tag.key == PROMPT) {
            report.left("prompts", "nothing here holds them yet", 1, &name);
            continue;
        }
        let full_name = named(&name, &mut names);
        if full_name != name && full_name != format!("main.default.{name}") {
            report.changed("registered models", &format!("'{name}' is called '{full_name}'"), "");
        }
        let homes = homes(source, &found.versions).await?;
        for version in &mut found.versions {
            place(version, places, &homes);
            if version.location.is_none() && version.files_of.is_none() {
                let of = format!("{name} version {}", version.version);
                report.left("files of versions", "they are in no folder of a run or a logged model", 1, &of);
            }
        }
        let model = RegisteredModel {
            full_name,
            created_ms: found.created_ms,
            updated_ms: found.updated_ms,
            comment: found.comment,
            tags: found.tags,
            aliases: found.aliases,
            versions: found.versions,
        };
        match client.post(&format!("{ROUTES}/registered-models"), &json!({ "model": model })).await {
            Ok(answer) => {
                let outcome: Outcome = serde_json::from_value(answer).map_err(unreadable)?;
                report.add("versions of models", &prefixed(outcome, &model.full_name, &name));
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

/// What is said of a model and its versions, with its name there.
fn prefixed(mut outcome: Outcome, full_name: &str, name: &str) -> Outcome {
    for note in outcome.left.iter_mut().chain(&mut outcome.changed) {
        note.id = if note.id == full_name { name.to_owned() } else { format!("{name} {}", note.id) };
    }
    outcome
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

/// Where the runs and logged models that versions name have their files: by `runs/<id>` and `models/<id>`.
async fn homes(source: &mut Source, versions: &[ModelVersion]) -> Result<HashMap<String, Home>, Failure> {
    let mut runs: BTreeSet<String> = versions.iter().filter_map(|version| version.run_id.clone()).collect();
    let mut models = BTreeSet::new();
    for address in versions.iter().flat_map(|version| [Some(&version.source), version.location.as_ref()]).flatten() {
        match holder(address) {
            Some((Holders::Runs, id, _)) => _ = runs.insert(id),
            Some((Holders::Models, id, _)) => _ = models.insert(id),
            None => {}
        }
    }
    let mut homes = HashMap::new();
    for (of, ids) in [(Holders::Runs, runs), (Holders::Models, models)] {
        let found = source.homes_of(of, &ids).await?;
        homes.extend(found.into_iter().map(|home| (of.root(&home.id), home)));
    }
    Ok(homes)
}

/// Says whose files a version has, and where clients find them.
fn place(version: &mut ModelVersion, places: &Places, homes: &HashMap<String, Home>) {
    let addresses = [Some(version.source.clone()), version.location.clone()];
    for address in addresses.into_iter().flatten() {
        let Some((of, id, folder)) = holder(&address) else { continue };
        let Some(home) = homes.get(&of.root(&id)) else { continue };
        let below = match of {
            Holders::Models => {
                version.model_id = Some(id.clone());
                format!("models/{id}/artifacts")
            }
            Holders::Runs => format!("{id}/artifacts"),
        };
        if places.of(&home.address) == Place::Bucket {
            continue;
        }
        let base = home.address.strip_suffix(&format!("/{below}")).unwrap_or(&home.address);
        let base = location(home.experiment, base).unwrap_or_else(|| format!("mlflow-artifacts:/{}", home.experiment));
        let rest = if folder.is_empty() { String::new() } else { format!("/{folder}") };
        version.location = Some(format!("{base}/{below}{rest}"));
        (version.files_of, version.folder) = (Some(of.root(&id)), folder);
        return;
    }
    // What is on this machine alone, nobody else finds.
    if version.location.as_deref().is_some_and(|address| places.of(address) != Place::Bucket) {
        version.location = None;
    }
}

/// Whose files an address means, by their id, and which folder of theirs.
fn holder(address: &str) -> Option<(Holders, String, String)> {
    let path = address.split_once(':').map_or(address, |(_, path)| path).trim_matches('/');
    if address.starts_with("runs:/") {
        let (id, folder) = path.split_once('/').unwrap_or((path, ""));
        return Some((Holders::Runs, id.to_owned(), folder.to_owned()));
    }
    if address.starts_with("models:/") {
        let is_logged = path.starts_with("m-") && !path.contains(['/', '@']);
        return is_logged.then(|| (Holders::Models, path.to_owned(), String::new()));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == "artifacts").filter(|at| *at > 0)?;
    let id = parts[at - 1];
    let model = at > 1 && parts[at - 2] == "models" && id.starts_with("m-");
    let of = if model { Holders::Models } else { Holders::Runs };
    Some((of, id.to_owned(), parts[at + 1..].join("/")))
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
        let of = |address: &str| holder(address).map(|(of, id, folder)| format!("{} {folder}", of.root(&id)));
        assert_eq!(of("runs:/r1/model").as_deref(), Some("runs/r1 model"));
        assert_eq!(of("models:/m-1").as_deref(), Some("models/m-1 "));
        assert_eq!(of("models:/late/1"), None);
        assert_eq!(of("/srv/mlruns/1/r1/artifacts/model/x").as_deref(), Some("runs/r1 model/x"));
        assert_eq!(of("mlflow-artifacts:/1/models/m-1/artifacts").as_deref(), Some("models/m-1 "));
        assert_eq!(of("s3://bucket/model"), None);
    }
}
