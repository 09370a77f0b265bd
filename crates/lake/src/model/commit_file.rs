//! Commit files: newline-delimited JSON, one action a line.
//!
//! Rendering never writes `null`: an absent field is absent.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::LogError;
use super::actions::{Action, CommitInfo, Metadata};

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
        notes.extend(note.commit_info.map(Action::CommitInfo));
        notes.extend(note.meta_data.map(Action::Metadata));
    }
    Ok(notes)
}

/// What [`parse_notes`] looks for in a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    commit_info: Option<CommitInfo>,
    meta_data: Option<Metadata>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::actions::commit_info;

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
