//! MLflow's messages for Unity Catalog, as its protocol buffers have them in JSON.

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::mlflow::wire::TagOut;
use crate::model::registry::{Model, Version};

/// A name that points at a version.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AliasOut {
    alias: String,
    version: String,
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnityModelOut {
    /// `catalog.schema.model`
    name: String,
    /// When it was made, in milliseconds since 1970.
    creation_timestamp: i64,
    /// When it was last changed, in milliseconds since 1970.
    last_updated_timestamp: i64,
    /// Its owner.
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
}

impl From<Model> for UnityModelOut {
    fn from(model: Model) -> Self {
        let alias = |(alias, version): (String, i64)| AliasOut { alias, version: version.to_string() };
        UnityModelOut {
            name: model.object.name.to_string(),
            creation_timestamp: model.object.created_at.millis(),
            last_updated_timestamp: model.object.updated_at.millis(),
            user_id: model.object.owner,
            description: model.object.comment,
            aliases: model.aliases.into_iter().map(alias).collect(),
            tags: model.tags.into_iter().map(TagOut::from).collect(),
        }
    }
}

/// A version of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UnityVersionOut {
    /// `catalog.schema.model`
    name: String,
    version: String,
    /// When it was made, in milliseconds since 1970.
    creation_timestamp: i64,
    /// When it was last changed, in milliseconds since 1970.
    last_updated_timestamp: i64,
    /// Who made it.
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Where its files came from.
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    /// `PENDING_REGISTRATION`, `READY` or `FAILED_REGISTRATION`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    /// Where its files are, for the Files API.
    storage_location: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagOut>,
    /// The logged model that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
}

/// Where a version's files are, for the Files API.
pub(super) fn location(version: &Version) -> String {
    format!("/Models/{}/{}", version.model.parts().join("/"), version.number)
}

impl From<Version> for UnityVersionOut {
    fn from(version: Version) -> Self {
        let number = version.number.to_string();
        UnityVersionOut {
            storage_location: location(&version),
            name: version.model.to_string(),
            creation_timestamp: version.created_at.millis(),
            last_updated_timestamp: version.updated_at.millis(),
            user_id: version.created_by,
            description: version.comment,
            source: version.source,
            run_id: version.run_id,
            status: version.status.word(),
            status_message: version.status_message,
            aliases: version.aliases.into_iter().map(|alias| AliasOut { alias, version: number.clone() }).collect(),
            tags: version.tags.into_iter().map(TagOut::from).collect(),
            model_id: version.model_id,
            version: number,
        }
    }
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneUnityModelOut {
    registered_model: UnityModelOut,
}

impl OneUnityModelOut {
    pub(super) fn of(model: Model) -> crannog_kit::Json<Self> {
        crannog_kit::Json(OneUnityModelOut { registered_model: model.into() })
    }
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneUnityVersionOut {
    model_version: UnityVersionOut,
}

impl OneUnityVersionOut {
    pub(super) fn of(version: Version) -> crannog_kit::Json<Self> {
        crannog_kit::Json(OneUnityVersionOut { model_version: version.into() })
    }
}
