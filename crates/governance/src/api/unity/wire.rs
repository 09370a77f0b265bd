//! Objects as Unity Catalog's clients read them.
//!
//! Times are milliseconds since 1970. `null` stands where there is nothing to say: a missing field is an error to polars.

use crannog_types::SecurableId;
use schemars::JsonSchema;
use serde::Serialize;

use super::columns::{self, ColumnInfo};
use super::names::part;
use crate::model::objects::{Container, Properties, Table, TableType, Volume};

/// A catalog.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CatalogInfo {
    name: String,
    full_name: String,
    id: String,
    catalog_type: &'static str,
    securable_type: &'static str,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Properties,
    options: Properties,
    /// A user, a service principal or a group.
    owner: String,
    isolation_mode: &'static str,
    /// Always null: managed data is in the server's storage.
    storage_root: Option<String>,
    storage_location: Option<String>,
    connection_name: Option<String>,
    provider_name: Option<String>,
    share_name: Option<String>,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
    browse_only: Option<bool>,
}

impl CatalogInfo {
    pub(super) fn of(catalog: Container, browse_only: Option<bool>) -> Self {
        let object = catalog.object;
        CatalogInfo {
            name: object.name.to_string(),
            full_name: object.name.to_string(),
            id: object.id.to_string(),
            catalog_type: "MANAGED_CATALOG",
            securable_type: "CATALOG",
            comment: object.comment,
            properties: catalog.properties,
            options: Properties::new(),
            owner: object.owner,
            isolation_mode: "OPEN",
            storage_root: catalog.storage_root.clone(),
            storage_location: catalog.storage_root,
            connection_name: None,
            provider_name: None,
            share_name: None,
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: object.created_at.millis(),
            created_by: object.created_by,
            updated_at: object.updated_at.millis(),
            updated_by: object.updated_by,
            browse_only,
        }
    }
}

/// A schema.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SchemaInfo {
    name: String,
    /// The catalog.
    catalog_name: String,
    full_name: String,
    schema_id: String,
    catalog_type: &'static str,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Properties,
    /// A user, a service principal or a group.
    owner: String,
    /// Always null: managed data is in the server's storage.
    storage_root: Option<String>,
    storage_location: Option<String>,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
    browse_only: Option<bool>,
}

impl SchemaInfo {
    pub(super) fn of(schema: Container, browse_only: Option<bool>) -> Self {
        let object = schema.object;
        SchemaInfo {
            name: object.name.last().to_owned(),
            catalog_name: part(&object.name, 0),
            full_name: object.name.to_string(),
            schema_id: object.id.to_string(),
            catalog_type: "MANAGED_CATALOG",
            comment: object.comment,
            properties: schema.properties,
            owner: object.owner,
            storage_root: schema.storage_root.clone(),
            storage_location: schema.storage_root,
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: object.created_at.millis(),
            created_by: object.created_by,
            updated_at: object.updated_at.millis(),
            updated_by: object.updated_by,
            browse_only,
        }
    }
}

/// Which of a table's larger fields a list leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Omit {
    pub(super) columns: bool,
    pub(super) properties: bool,
}

/// A table or a view.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableInfo {
    name: String,
    /// The catalog.
    catalog_name: String,
    /// The schema.
    schema_name: String,
    full_name: String,
    table_id: String,
    table_type: &'static str,
    data_source_format: Option<String>,
    columns: Vec<ColumnInfo>,
    /// Left out for those who may neither read nor write nor manage it.
    storage_location: Option<String>,
    /// What it is for.
    comment: Option<String>,
    /// Whatever the caller wants to keep with it.
    properties: Properties,
    /// A user, a service principal or a group.
    owner: String,
    view_definition: Option<String>,
    view_dependencies: Option<Properties>,
    sql_path: Option<String>,
    row_filter: Option<Properties>,
    table_constraints: Option<Vec<Properties>>,
    storage_credential_name: Option<String>,
    data_access_configuration_id: Option<String>,
    access_point: Option<String>,
    pipeline_id: Option<String>,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
    /// Milliseconds since 1970; null for what is there.
    deleted_at: Option<i64>,
    browse_only: Option<bool>,
}

impl TableInfo {
    pub(super) fn of(table: Table, omit: Omit, browse_only: Option<bool>) -> crannog_types::Result<Self> {
        let columns = if omit.columns {
            Vec::new()
        } else {
            columns::of_schema_json(&table.schema_json, &table.partition_columns)?
        };
        let object = table.object;
        Ok(TableInfo {
            name: object.name.last().to_owned(),
            catalog_name: part(&object.name, 0),
            schema_name: part(&object.name, 1),
            full_name: object.name.to_string(),
            table_id: object.id.to_string(),
            table_type: table.table_type.word(),
            data_source_format: table.format,
            columns,
            storage_location: table.location,
            comment: object.comment,
            properties: if omit.properties { Properties::new() } else { table.properties },
            owner: object.owner,
            view_definition: table.view.map(|view| view.text),
            view_dependencies: None,
            sql_path: None,
            row_filter: None,
            table_constraints: None,
            storage_credential_name: None,
            data_access_configuration_id: None,
            access_point: None,
            pipeline_id: None,
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: object.created_at.millis(),
            created_by: object.created_by,
            updated_at: object.updated_at.millis(),
            updated_by: object.updated_by,
            deleted_at: None,
            browse_only,
        })
    }
}

/// The least that a list of tables says.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableSummary {
    pub(super) full_name: String,
    table_type: &'static str,
}

impl TableSummary {
    pub(super) fn of(name: &crannog_types::FullName, table_type: TableType) -> Self {
        TableSummary { full_name: name.to_string(), table_type: table_type.word() }
    }
}

/// A volume.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VolumeInfo {
    name: String,
    /// The catalog.
    catalog_name: String,
    /// The schema.
    schema_name: String,
    full_name: String,
    volume_id: String,
    volume_type: &'static str,
    storage_location: Option<String>,
    /// What it is for.
    comment: Option<String>,
    /// A user, a service principal or a group.
    owner: String,
    access_point: Option<String>,
    metastore_id: String,
    /// Milliseconds since 1970.
    created_at: i64,
    created_by: String,
    /// Milliseconds since 1970.
    updated_at: i64,
    updated_by: String,
    browse_only: Option<bool>,
}

impl VolumeInfo {
    /// Where its files are is told to those who may open them.
    pub(super) fn of(volume: Volume, may_open: bool, browse_only: Option<bool>) -> Self {
        let object = volume.object;
        VolumeInfo {
            name: object.name.last().to_owned(),
            catalog_name: part(&object.name, 0),
            schema_name: part(&object.name, 1),
            full_name: object.name.to_string(),
            volume_id: object.id.to_string(),
            volume_type: if volume.managed { "MANAGED" } else { "EXTERNAL" },
            storage_location: may_open.then_some(volume.location),
            comment: object.comment,
            owner: object.owner,
            access_point: None,
            metastore_id: SecurableId::METASTORE.to_string(),
            created_at: object.created_at.millis(),
            created_by: object.created_by,
            updated_at: object.updated_at.millis(),
            updated_by: object.updated_by,
            browse_only,
        }
    }
}
