//! The actions of Delta's log, field for field as the protocol writes them in JSON.
//!
//! Readers must ignore actions and fields that they do not know (PROTOCOL.md, "Protocol Evolution"): unknown *actions* are kept
//! as [`Action::Unknown`] so that they can be shown, unknown *fields* of file actions are dropped, and `commitInfo`, which may
//! hold any JSON, is kept whole. An absent field is absent, never `null`.
//!
//! Files of actions are read and written in [`super::commit_file`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Partition column (its physical name) to serialized value; `None` is null.
pub type PartitionValues = BTreeMap<String, Option<String>>;

/// What a reader and a writer must be able to do to touch the table at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    /// Present exactly when `min_reader_version` is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    /// Present exactly when `min_writer_version` is 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}

/// File format of the data: always parquet without options in tables written today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub provider: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Self {
        Self { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// Name, schema, partitioning and properties of the table. A later one replaces an earlier one entirely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub format: Format,
    /// The schema as a JSON text; see [`super::schema::StructType::from_schema_string`].
    pub schema_string: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_columns: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub configuration: BTreeMap<String, String>,
    /// Milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

impl Metadata {
    /// A boolean table property; absent or unreadable is `false`, as delta-spark defaults all that we read.
    #[must_use]
    pub fn flag(&self, property: &str) -> bool {
        self.configuration.get(property).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"))
    }
}

/// Where the deleted rows of a file are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionVector {
    /// `u` (file in the table, named by a UUID), `i` (inline) or `p` (absolute path).
    pub storage_type: String,
    pub path_or_inline_dv: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i32>,
    pub size_in_bytes: i32,
    /// How many rows it deletes.
    pub cardinality: i64,
}

impl DeletionVector {
    /// `uniqueId` of the protocol: with the path it is the key of a logical file.
    #[must_use]
    pub fn unique_id(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}{}@{offset}", self.storage_type, self.path_or_inline_dv),
            None => format!("{}{}", self.storage_type, self.path_or_inline_dv),
        }
    }
}

/// A logical file that is in the table from this version on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    /// URI-encoded, relative to the table's root or absolute, exactly as in the log.
    pub path: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_values: PartitionValues,
    /// Bytes.
    pub size: i64,
    /// Milliseconds since the epoch.
    pub modification_time: i64,
    /// `false`: the commit only rearranges rows that were there already.
    pub data_change: bool,
    /// JSON text; see [`super::stats::FileStats`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<DeletionVector>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_row_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_row_commit_version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clustering_provider: Option<String>,
}

impl Add {
    /// The deletion vector's unique id, if there is one.
    #[must_use]
    pub fn dv_id(&self) -> Option<String> {
        self.deletion_vector.as_ref().map(DeletionVector::unique_id)
    }

    /// The tombstone of this very logical file, with all of its metadata, so that readers of the change feed and VACUUM
    /// need not look the file up. `deletion_timestamp` is in milliseconds since the epoch.
    #[must_use]
    pub fn to_remove(&self, deletion_timestamp: i64, data_change: bool) -> Remove {
        Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(deletion_timestamp),
            data_change,
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values.clone()),
            size: Some(self.size),
            stats: self.stats.clone(),
            tags: self.tags.clone(),
            deletion_vector: self.deletion_vector.clone(),
            base_row_id: self.base_row_id,
            default_row_commit_version: self.default_row_commit_version,
        }
    }
}

/// The tombstone of a logical file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    pub path: String,
    /// Milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<i64>,
    /// Absent means `true`, as in delta-spark.
    #[serde(default = "yes")]
    pub data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_file_metadata: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_values: Option<PartitionValues>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<DeletionVector>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_row_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_row_commit_version: Option<i64>,
}

impl Remove {
    /// The deletion vector's unique id, if there is one.
    #[must_use]
    pub fn dv_id(&self) -> Option<String> {
        self.deletion_vector.as_ref().map(DeletionVector::unique_id)
    }
}

/// A file of the change data feed: rows with their `_change_type`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cdc {
    pub path: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_values: PartitionValues,
    pub size: i64,
    /// Always `false`.
    #[serde(default)]
    pub data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
}

/// How far an application (a stream, an import) has come, written with the rows so that a retry is idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A named piece of configuration; names that begin with `delta.` belong to the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainMetadata {
    pub domain: String,
    pub configuration: String,
    #[serde(default)]
    pub removed: bool,
}

/// First line of a V2 checkpoint; never in a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMetadata {
    pub version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
}

/// A file that holds part of a V2 checkpoint; never in a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    pub path: String,
    pub size_in_bytes: i64,
    pub modification_time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
}

/// Who did what. Free-form by the protocol, so a field of an unexpected type lands in `extra` instead of failing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", rename_all = "camelCase")]
pub struct CommitInfo {
    /// The version's time where in-commit timestamps are on: milliseconds since the epoch, strictly increasing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_commit_timestamp: Option<i64>,
    /// The writer's clock, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Values are strings; those that were structures are JSON texts inside the string.
    pub operation_parameters: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_blind_append: Option<bool>,
    /// Values are numbers as strings.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub operation_metrics: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// Everything else that the writer recorded.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl From<Map<String, Value>> for CommitInfo {
    fn from(mut map: Map<String, Value>) -> Self {
        fn take<T>(map: &mut Map<String, Value>, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
            let value = read(map.get(key)?)?;
            map.shift_remove(key);
            Some(value)
        }
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let object = |v: &Value| v.as_object().cloned();
        Self {
            in_commit_timestamp: take(&mut map, "inCommitTimestamp", Value::as_i64),
            timestamp: take(&mut map, "timestamp", Value::as_i64),
            user_id: take(&mut map, "userId", text),
            user_name: take(&mut map, "userName", text),
            operation: take(&mut map, "operation", text),
            operation_parameters: take(&mut map, "operationParameters", object).unwrap_or_default(),
            read_version: take(&mut map, "readVersion", Value::as_i64),
            isolation_level: take(&mut map, "isolationLevel", text),
            is_blind_append: take(&mut map, "isBlindAppend", Value::as_bool),
            operation_metrics: take(&mut map, "operationMetrics", object).unwrap_or_default(),
            engine_info: take(&mut map, "engineInfo", text),
            txn_id: take(&mut map, "txnId", text),
            extra: map,
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    CommitInfo(CommitInfo),
    Protocol(Protocol),
    Metadata(Metadata),
    Add(Add),
    Remove(Remove),
    Cdc(Cdc),
    Txn(Txn),
    DomainMetadata(DomainMetadata),
    CheckpointMetadata(CheckpointMetadata),
    Sidecar(Sidecar),
    /// An action that this program does not know. By the protocol it may be ignored.
    Unknown {
        name: String,
        body: Value,
    },
}

/// The `commitInfo` of a commit, wherever it stands.
#[must_use]
pub fn commit_info(actions: &[Action]) -> Option<&CommitInfo> {
    actions.iter().find_map(|a| if let Action::CommitInfo(info) = a { Some(info) } else { None })
}

fn yes() -> bool {
    true
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
