//! Messages of MLflow's plain registry, as its protocol buffers have them in JSON: what is not set is left out.

use crannog_kit::Json;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::mlflow::wire::TagOut;
use crate::model::registry::{Model, Version, plain_name};

/// A name that points at a version.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlainAliasOut {
    alias: String,
    version: String,
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlainModelOut {
    name: String,
    /// When it was made, in milliseconds since 1970.
    creation_timestamp: i64,
    /// When it was last changed, in milliseconds since 1970.
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The last version in each stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<PlainVersionOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<PlainAliasOut>,
}

impl PlainModelOut {
    pub(super) fn of(model: Model, latest: Vec<Version>) -> Self {
        let alias = |(alias, version): (String, i64)| PlainAliasOut { alias, version: version.to_string() };
        PlainModelOut {
            name: plain_name(&model.object.name),
            creation_timestamp: model.object.created_at.millis(),
            last_updated_timestamp: model.object.updated_at.millis(),
            description: model.object.comment,
            latest_versions: latest.into_iter().map(PlainVersionOut::found).collect(),
            tags: model.tags.into_iter().map(TagOut::from).collect(),
            aliases: model.aliases.into_iter().map(alias).collect(),
        }
    }
}

/// A version of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api::mlflow) struct PlainVersionOut {
    name: String,
    version: String,
    /// When it was made, in milliseconds since 1970.
    creation_timestamp: i64,
    /// When it was last changed, in milliseconds since 1970.
    last_updated_timestamp: i64,
    /// `None`, `Staging`, `Production` or `Archived`.
    current_stage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Where its files came from.
    source: String,
    run_id: String,
    /// `PENDING_REGISTRATION`, `READY` or `FAILED_REGISTRATION`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    run_link: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

impl From<Version> for PlainVersionOut {
    fn from(version: Version) -> Self {
        PlainVersionOut {
            name: plain_name(&version.model),
            version: version.number.to_string(),
            creation_timestamp: version.created_at.millis(),
            last_updated_timestamp: version.updated_at.millis(),
            current_stage: version.stage,
            description: version.comment,
            source: version.source,
            run_id: version.run_id.unwrap_or_default(),
            status: version.status.word(),
            status_message: version.status_message,
            run_link: version.run_link.unwrap_or_default(),
            tags: version.tags.into_iter().map(TagOut::from).collect(),
            aliases: version.aliases,
        }
    }
}

impl PlainVersionOut {
    /// One of several: MLflow's lists have no aliases.
    pub(super) fn found(version: Version) -> Self {
        PlainVersionOut::from(Version { aliases: Vec::new(), ..version })
    }
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OnePlainModelOut {
    registered_model: PlainModelOut,
}

impl OnePlainModelOut {
    pub(super) fn of(model: Model, latest: Vec<Version>) -> Json<Self> {
        Json(OnePlainModelOut { registered_model: PlainModelOut::of(model, latest) })
    }
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OnePlainVersionOut {
    model_version: PlainVersionOut,
}

impl OnePlainVersionOut {
    pub(super) fn of(version: Version) -> Json<Self> {
        Json(OnePlainVersionOut { model_version: version.into() })
    }
}

/// Versions.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlainVersionsOut {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) model_versions: Vec<PlainVersionOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page_token: Option<String>,
}
