//! Models and versions as Unity Catalog's clients read them. Times are milliseconds since 1970; `null` stands where there is
//! nothing to say.

use crannog_governance::api::unity::names::part;
use crannog_types::{FullName, SecurableId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::registry::{Model, Version};

/// An alias, and the version that it points at.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AliasInfo {
    alias_name: String,
    catalog_name: String,
    schema_name: String,
    model_name: String,
    /// The version's number.
    #[schemars(range(min = 1))]
    version_num: i64,
}

impl AliasInfo {
    pub(super) fn of(model: &FullName, alias_name: String, version_num: i64) -> Self {
        AliasInfo {
            alias_name,
            catalog_name: part(model, 0),
            schema_name: part(model, 1),
            model_name: part(model, 2),
            version_num,
        }
    }
}

/// A registered model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ModelInfo {
    name: String,
    /// The catalog.
    catalog_name: String,
    /// The schema.
    schema_name: String,
    full_name: String,
    id: String,
    /// What it is for.
    comment: Option<String>,
    /// A user, a service principal or a group.
    owner: String,
    /// Null where they were not asked for.
    aliases: Option<Vec<AliasInfo>>,
    /// Where its versions' files are, for the Files API.
    storage_location: String,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
    browse_only: Option<bool>,
}

impl ModelInfo {
    pub(super) fn of(model: Model, aliases: bool, browse_only: Option<bool>) -> Self {
        let object = model.object;
        let all = model.aliases.into_iter().map(|(alias, version)| AliasInfo::of(&object.name, alias, version));
        ModelInfo {
            aliases: aliases.then(|| all.collect()),
            name: object.name.last().to_owned(),
            catalog_name: part(&object.name, 0),
            schema_name: part(&object.name, 1),
            full_name: object.name.to_string(),
            storage_location: format!("/Models/{}", object.name.parts().join("/")),
            id: object.id.to_string(),
            comment: object.comment,
            owner: object.owner,
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: object.created_at.millis(),
            created_by: object.created_by,
            updated_at: object.updated_at.millis(),
            updated_by: object.updated_by,
            browse_only,
        }
    }
}

/// A version of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionInfo {
    model_name: String,
    /// The catalog.
    catalog_name: String,
    /// The schema.
    schema_name: String,
    /// Its number.
    #[schemars(range(min = 1))]
    version: i64,
    id: String,
    /// What it is.
    comment: Option<String>,
    /// Where its files came from.
    source: String,
    run_id: Option<String>,
    /// `PENDING_REGISTRATION`, `READY` or `FAILED_REGISTRATION`.
    status: &'static str,
    /// Where its files are, for the Files API.
    storage_location: String,
    /// Null where they were not asked for.
    aliases: Option<Vec<AliasInfo>>,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
}

impl VersionInfo {
    pub(super) fn of(version: Version, id: SecurableId, aliases: bool) -> Self {
        let name = &version.model;
        let all = version.aliases.into_iter().map(|alias| AliasInfo::of(name, alias, version.number));
        VersionInfo {
            aliases: aliases.then(|| all.collect()),
            model_name: part(name, 2),
            catalog_name: part(name, 0),
            schema_name: part(name, 1),
            storage_location: format!("/Models/{}/{}", name.parts().join("/"), version.number),
            id: format!("{id}/{}", version.number),
            version: version.number,
            comment: version.comment,
            source: version.source,
            run_id: version.run_id,
            status: version.status.word(),
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: version.created_at.millis(),
            created_by: version.created_by,
            updated_at: version.updated_at.millis(),
            updated_by: version.updated_by,
        }
    }
}
