//! The actions of Delta's log, field for field as the protocol writes them in JSON.
//!
//! A commit file is newline-delimited JSON, one action a line. Readers must ignore actions and fields that they do not
//! know (PROTOCOL.md, "Protocol Evolution"): unknown *actions* are kept as [`Action::Unknown`] so that they can be shown,
//! unknown *fields* of file actions are dropped, and `commitInfo`, which may hold any JSON, is kept whole.
//!
//! Rendering never writes `null`: an absent field is absent.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::LogError;

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

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::CommitInfo(a) => map.serialize_entry("commitInfo", a)?,
            Self::Protocol(a) => map.serialize_entry("protocol", a)?,
            Self::Metadata(a) => map.serialize_entry("metaData", a)?,
            Self::Add(a) => map.serialize_entry("add", a)?,
            Self::Remove(a) => map.serialize_entry("remove", a)?,
            Self::Cdc(a) => map.serialize_entry("cdc", a)?,
            Self::Txn(a) => map.serialize_entry("txn", a)?,
            Self::DomainMetadata(a) => map.serialize_entry("domainMetadata", a)?,
            Self::CheckpointMetadata(a) => map.serialize_entry("checkpointMetadata", a)?,
            Self::Sidecar(a) => map.serialize_entry("sidecar", a)?,
            Self::Unknown { name, body } => map.serialize_entry(name, body)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one action")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Action, M::Error> {
        let mut found = None;
        // Some writers render every other action as null beside the one that they mean.
        while let Some(name) = map.next_key::<String>()? {
            let action = match name.as_str() {
                "commitInfo" => map.next_value::<Option<_>>()?.map(Action::CommitInfo),
                "protocol" => map.next_value::<Option<_>>()?.map(Action::Protocol),
                "metaData" => map.next_value::<Option<_>>()?.map(Action::Metadata),
                "add" => map.next_value::<Option<_>>()?.map(Action::Add),
                "remove" => map.next_value::<Option<_>>()?.map(Action::Remove),
                "cdc" => map.next_value::<Option<_>>()?.map(Action::Cdc),
                "txn" => map.next_value::<Option<_>>()?.map(Action::Txn),
                "domainMetadata" => map.next_value::<Option<_>>()?.map(Action::DomainMetadata),
                "checkpointMetadata" => map.next_value::<Option<_>>()?.map(Action::CheckpointMetadata),
                "sidecar" => map.next_value::<Option<_>>()?.map(Action::Sidecar),
                _ => map.next_value::<Option<Value>>()?.map(|body| Action::Unknown { name, body }),
            };
            match (found.is_some(), action) {
                (_, None) => {}
                (false, Some(action)) => found = Some(action),
                (true, Some(_)) => return Err(de::Error::custom("two actions in one line")),
            }
        }
        found.ok_or_else(|| de::Error::custom("no action in the line"))
    }
}

/// Reads a commit file. Empty lines are skipped; unknown actions are kept.
///
/// # Errors
/// [`LogError::Malformed`] with the line (counted from 1) that is not an action.
pub fn parse_commit(bytes: &[u8]) -> Result<Vec<Action>, LogError> {
    let mut actions = Vec::new();
    for (index, line) in lines(bytes) {
        let action =
            serde_json::from_slice(line).map_err(|e| LogError::Malformed { line: index + 1, reason: e.to_string() })?;
        actions.push(action);
    }
    Ok(actions)
}

/// Only who made a commit and what it made of the metadata: its `commitInfo` and `metaData` actions. Everything else, the
/// bulk of a large commit, is passed over.
///
/// # Errors
/// [`LogError::Malformed`] with the line (counted from 1) that is not an action.
pub fn parse_notes(bytes: &[u8]) -> Result<Vec<Action>, LogError> {
    let mut notes = Vec::new();
    for (index, line) in lines(bytes) {
        let note: Note =
            serde_json::from_slice(line).map_err(|e| LogError::Malformed { line: index + 1, reason: e.to_string() })?;
        notes.extend(note.0);
    }
    Ok(notes)
}

struct Note(Option<Action>);

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NoteVisitor)
    }
}

struct NoteVisitor;

impl<'de> Visitor<'de> for NoteVisitor {
    type Value = Note;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ActionVisitor.expecting(f)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Note, M::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "commitInfo" => found = map.next_value::<Option<_>>()?.map(Action::CommitInfo).or(found),
                "metaData" => found = map.next_value::<Option<_>>()?.map(Action::Metadata).or(found),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Note(found))
    }
}

/// The lines that are not empty, with their place.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).enumerate().filter(|(_, line)| !line.is_empty())
}

/// The text of a commit file: one action a line, `commitInfo` first (in-commit timestamps demand it), the rest in the
/// order given.
///
/// # Errors
/// [`LogError::Malformed`] when an action cannot be written as JSON. No action built from these types can cause it, but a
/// commit with a line missing must never be published, so the caller gets to know.
pub fn render_commit(actions: &[Action]) -> Result<Vec<u8>, LogError> {
    let (info, rest): (Vec<_>, Vec<_>) = actions.iter().partition(|a| matches!(a, Action::CommitInfo(_)));
    let mut out = Vec::with_capacity(actions.len() * 512);
    for (index, action) in info.into_iter().chain(rest).enumerate() {
        serde_json::to_writer(&mut out, action)
            .map_err(|e| LogError::Malformed { line: index + 1, reason: e.to_string() })?;
        out.push(b'\n');
    }
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = concat!(
        r#"{"add":{"path":"p=a/1.parquet","partitionValues":{"p":"a","q":null},"size":1,"modificationTime":2,"dataChange":true,"stats":"{\"numRecords\":1}","deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":6}}}"#,
        "\n\n",
        r#"{"commitInfo":{"timestamp":3,"operation":"WRITE","operationParameters":{"mode":"Append","partitionBy":"[]"},"isBlindAppend":true,"notebook":{"id":7},"readVersion":"odd"}}"#,
        "\r\n",
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2},"add":null}"#,
        "\n",
        r#"{"metaData":{"id":"i","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":null,"shiny":1}}"#,
        "\n",
        r#"{"remove":{"path":"x","deletionTimestamp":5,"dataChange":false}}"#,
        "\n",
        r#"{"txn":{"appId":"a","version":7}}"#,
        "\n",
        r#"{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}"#,
        "\n",
        r#"{"fromTheFuture":{"a":1}}"#,
    );

    #[test]
    fn a_commit_is_read_as_the_protocol_says() {
        let actions = parse_commit(COMMIT.as_bytes()).unwrap();
        assert_eq!(actions.len(), 8);
        let Action::Add(add) = &actions[0] else { panic!() };
        assert_eq!(add.partition_values["q"], None);
        assert_eq!(add.dv_id().as_deref(), Some("uab^-aqEH.-t@S}K{vb[*k^@4"));
        let info = commit_info(&actions).unwrap();
        assert_eq!((info.is_blind_append, info.read_version), (Some(true), None));
        assert_eq!(info.extra["readVersion"], "odd", "a field of the wrong type is kept, not fatal");
        let Action::Unknown { name, .. } = &actions[7] else { panic!() };
        assert_eq!(name, "fromTheFuture");
    }

    #[test]
    fn of_a_large_commit_who_and_what_it_made_of_the_metadata_is_enough() {
        let wanted = |action: &Action| matches!(action, Action::CommitInfo(_) | Action::Metadata(_));
        let mut whole = parse_commit(COMMIT.as_bytes()).unwrap();
        whole.retain(wanted);
        assert_eq!(whole.len(), 2);
        assert_eq!(parse_notes(COMMIT.as_bytes()).unwrap(), whole);
        let beside = parse_notes(br#"{"add":null,"commitInfo":{"operation":"WRITE"},"metaData":null}"#).unwrap();
        assert_eq!(commit_info(&beside).unwrap().operation.as_deref(), Some("WRITE"));
        assert!(matches!(parse_notes(b"{}\n{\"add\":"), Err(LogError::Malformed { line: 2, .. })));
    }

    #[test]
    fn what_is_rendered_reads_the_same_and_begins_with_commit_info() {
        let actions = parse_commit(COMMIT.as_bytes()).unwrap();
        let text = String::from_utf8(render_commit(&actions).unwrap()).unwrap();
        assert!(text.starts_with("{\"commitInfo\":{") && text.ends_with("}\n"), "{text}");
        // Null stands only where a partition value is null.
        assert_eq!(text.matches("null").count(), 1, "{text}");
        let again = parse_commit(text.as_bytes()).unwrap();
        assert_eq!(again[0], actions[1]);
        assert_eq!(again[1], actions[0]);
        assert_eq!(again[2..], actions[2..]);
    }

    #[test]
    fn what_is_no_commit_names_its_line() {
        for (text, line) in [
            ("{}", 1),
            ("\n{\"add\":{}}", 2),
            ("{\"txn\":{\"appId\":\"a\",\"version\":1},\"cdc\":{\"path\":\"\",\"size\":1}}", 1),
            ("{\"add\"", 1),
        ] {
            assert!(
                matches!(parse_commit(text.as_bytes()), Err(LogError::Malformed { line: l, .. }) if l == line),
                "{text}"
            );
        }
    }

    #[test]
    fn a_tombstone_describes_the_very_file() {
        let actions = parse_commit(COMMIT.as_bytes()).unwrap();
        let Action::Add(add) = &actions[0] else { panic!() };
        let remove = add.to_remove(9, true);
        assert_eq!((remove.dv_id(), remove.size, remove.extended_file_metadata), (add.dv_id(), Some(1), Some(true)));
    }
}
