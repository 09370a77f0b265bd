//! The registry of MLflow's folder: `models/<name>`, with a folder a version.

use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::imports::{Alias, ModelVersion};

use super::yaml::Meta;
use super::{Folder, below_of, folders, pairs};
use crate::cli::Failure;
use crate::cli::import::source::FoundModel;

impl Folder {
    /// The names of the registered models, in order.
    pub(in crate::cli::import) fn registered(&mut self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for folder in folders(&self.root.join("models"))? {
            // What is no model is reported when it is read.
            if let Some(name) = folder.file_name().and_then(|name| name.to_str())
                && self.meta(&folder).is_some()
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A registered model, with its versions by number.
    pub(in crate::cli::import) fn registered_model(&mut self, name: &str) -> Result<FoundModel, Failure> {
        let folder = self.root.join("models").join(name);
        let meta = self.meta(&folder).unwrap_or_default();
        let mut files = Vec::new();
        below_of(&folder.join("aliases"), String::new(), &mut files)?;
        files.sort();
        let mut aliases = Vec::new();
        for (alias, file) in files {
            if let Ok(version) = std::fs::read_to_string(&file)?.trim().parse() {
                aliases.push(Alias { alias, version });
            }
        }
        let mut versions = Vec::new();
        for below in folders(&folder)? {
            let numbered =
                below.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("version-"));
            let Some(number) = numbered.and_then(|number| number.parse::<i64>().ok()) else { continue };
            if let Some(meta) = self.meta(&below) {
                let version = version(number, &meta, pairs(&below.join("tags"))?);
                if version.stage != "Deleted_Internal" {
                    versions.push(version);
                }
            }
        }
        versions.sort_by_key(|version| version.version);
        let created_ms = meta.int("creation_timestamp").unwrap_or_default();
        Ok(FoundModel {
            created_ms,
            updated_ms: meta.int("last_updated_timestamp").unwrap_or(created_ms),
            comment: meta.text("description"),
            tags: pairs(&folder.join("tags"))?,
            aliases,
            versions,
        })
    }
}

fn version(number: i64, meta: &Meta, tags: Vec<Tag>) -> ModelVersion {
    let source = meta.text("source").unwrap_or_default();
    let created_ms = meta.int("creation_timestamp").unwrap_or_default();
    ModelVersion {
        version: number,
        status: meta.text("status").unwrap_or_else(|| "READY".to_owned()),
        status_message: meta.text("status_message"),
        stage: meta.text("current_stage").unwrap_or_else(|| "None".to_owned()),
        location: Some(meta.text("storage_location").unwrap_or_else(|| source.clone())),
        source,
        files_of: None,
        folder: String::new(),
        run_id: meta.text("run_id"),
        run_link: meta.text("run_link"),
        model_id: meta.text("model_id"),
        comment: meta.text("description"),
        user_id: meta.text("user_id"),
        created_ms,
        updated_ms: meta.int("last_updated_timestamp").unwrap_or(created_ms),
        tags,
    }
}
