//! `commitInfo`: what was done, in the words of delta-spark, so that `DESCRIBE HISTORY` reads alike whoever wrote.
//!
//! `operationParameters` hold each value as delta-spark serializes it: texts are texts, lists and maps are JSON *inside* a
//! text, numbers and booleans stand bare. Metrics are numbers as texts. The clock and the transaction id come from the
//! caller.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::actions::{Action, CommitInfo, Metadata};
use super::conflicts::{Isolation, Reads};
use super::seal::{self, Stated};
use super::state::TableState;

/// `engineInfo` of our commits.
pub const ENGINE_INFO: &str = concat!("crannog/", env!("CARGO_PKG_VERSION"));
const ICT_VERSION: &str = "delta.inCommitTimestampEnablementVersion";
const ICT_TIMESTAMP: &str = "delta.inCommitTimestampEnablementTimestamp";

/// `mode` of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    Append,
    Overwrite,
    ErrorIfExists,
    Ignore,
}

impl WriteMode {
    /// Spark's `SaveMode`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Overwrite => "Overwrite",
            Self::ErrorIfExists => "ErrorIfExists",
            Self::Ignore => "Ignore",
        }
    }
}

/// What is known of a table when it is created or replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDescription {
    pub is_managed: bool,
    pub description: Option<String>,
    pub partition_by: Vec<String>,
    pub cluster_by: Vec<String>,
    pub properties: BTreeMap<String, String>,
}

impl TableDescription {
    /// From the metadata that is being written.
    #[must_use]
    pub fn of(metadata: &Metadata, is_managed: bool) -> Self {
        Self {
            is_managed,
            description: metadata.description.clone(),
            partition_by: metadata.partition_columns.clone(),
            cluster_by: Vec::new(),
            properties: metadata.configuration.clone(),
        }
    }

    fn parameters(&self) -> Value {
        json!({
            "partitionBy": text_of(&self.partition_by),
            "clusterBy": text_of(&self.cluster_by),
            "description": self.description,
            "isManaged": self.is_managed.to_string(),
            "properties": text_of(&self.properties),
        })
    }
}

/// An operation of delta-spark's `DeltaOperations`. Predicates are SQL texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Write {
        mode: WriteMode,
        partition_by: Vec<String>,
        predicate: Option<String>,
    },
    StreamingUpdate {
        output_mode: String,
        query_id: String,
        epoch_id: i64,
    },
    CreateTable(TableDescription),
    CreateTableAsSelect(TableDescription),
    ReplaceTable {
        table: TableDescription,
        or_create: bool,
        as_select: bool,
    },
    Delete {
        predicate: Vec<String>,
    },
    Update {
        predicate: Vec<String>,
    },
    Merge {
        predicate: Vec<String>,
        matched: Vec<MergeClause>,
        not_matched: Vec<MergeClause>,
        not_matched_by_source: Vec<MergeClause>,
    },
    Truncate,
    CopyInto,
    Optimize {
        predicate: Vec<String>,
        z_order_by: Vec<String>,
        cluster_by: Vec<String>,
        auto: bool,
    },
    Restore {
        version: Option<i64>,
        timestamp: Option<String>,
    },
    SetTableProperties {
        properties: BTreeMap<String, String>,
    },
    UnsetTableProperties {
        properties: Vec<String>,
        if_exists: bool,
    },
    /// Columns as JSON objects `{"column": {"name", "type", "nullable", "metadata"}}`.
    AddColumns {
        columns: Vec<Value>,
    },
    ChangeColumn {
        column: Value,
    },
    SetTableComment {
        comment: Option<String>,
    },
    UpgradeProtocol {
        protocol: Value,
    },
    VacuumStart {
        retention_check: bool,
        default_retention_millis: i64,
        specified_retention_millis: Option<i64>,
    },
    VacuumEnd {
        status: String,
    },
}

/// A clause of MERGE: `update`, `delete` or `insert`, with its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeClause {
    pub predicate: Option<String>,
    pub action_type: &'static str,
}

impl Operation {
    /// `commitInfo.operation`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Write { .. } => "WRITE",
            Self::StreamingUpdate { .. } => "STREAMING UPDATE",
            Self::CreateTable(_) => "CREATE TABLE",
            Self::CreateTableAsSelect(_) => "CREATE TABLE AS SELECT",
            Self::ReplaceTable { or_create: false, as_select: false, .. } => "REPLACE TABLE",
            Self::ReplaceTable { or_create: false, as_select: true, .. } => "REPLACE TABLE AS SELECT",
            Self::ReplaceTable { or_create: true, as_select: false, .. } => "CREATE OR REPLACE TABLE",
            Self::ReplaceTable { or_create: true, as_select: true, .. } => "CREATE OR REPLACE TABLE AS SELECT",
            Self::Delete { .. } => "DELETE",
            Self::Update { .. } => "UPDATE",
            Self::Merge { .. } => "MERGE",
            Self::Truncate => "TRUNCATE",
            Self::CopyInto => "COPY INTO",
            Self::Optimize { .. } => "OPTIMIZE",
            Self::Restore { .. } => "RESTORE",
            Self::SetTableProperties { .. } => "SET TBLPROPERTIES",
            Self::UnsetTableProperties { .. } => "UNSET TBLPROPERTIES",
            Self::AddColumns { .. } => "ADD COLUMNS",
            Self::ChangeColumn { .. } => "CHANGE COLUMN",
            Self::SetTableComment { .. } => "SET TABLE COMMENT",
            Self::UpgradeProtocol { .. } => "UPGRADE PROTOCOL",
            Self::VacuumStart { .. } => "VACUUM START",
            Self::VacuumEnd { .. } => "VACUUM END",
        }
    }

    /// `commitInfo.operationParameters`.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        let value = match self {
            Self::Write { mode, partition_by, predicate } => {
                let mut value = json!({"mode": mode.name(), "partitionBy": text_of(partition_by)});
                if let Some(predicate) = predicate {
                    value["predicate"] = json!(predicate);
                }
                value
            }
            Self::StreamingUpdate { output_mode, query_id, epoch_id } => {
                json!({"outputMode": output_mode, "queryId": query_id, "epochId": epoch_id.to_string()})
            }
            Self::CreateTable(table) | Self::CreateTableAsSelect(table) | Self::ReplaceTable { table, .. } => {
                table.parameters()
            }
            Self::Delete { predicate } | Self::Update { predicate } => json!({"predicate": text_of(predicate)}),
            Self::Merge { predicate, matched, not_matched, not_matched_by_source } => json!({
                "predicate": text_of(predicate),
                "matchedPredicates": clauses(matched),
                "notMatchedPredicates": clauses(not_matched),
                "notMatchedBySourcePredicates": clauses(not_matched_by_source),
            }),
            Self::Truncate | Self::CopyInto => json!({}),
            Self::Optimize { predicate, z_order_by, cluster_by, auto } => json!({
                "predicate": text_of(predicate),
                "zOrderBy": text_of(z_order_by),
                "clusterBy": text_of(cluster_by),
                "auto": auto,
            }),
            Self::Restore { version, timestamp } => json!({"version": version, "timestamp": timestamp}),
            Self::SetTableProperties { properties } => json!({"properties": text_of(properties)}),
            Self::UnsetTableProperties { properties, if_exists } => {
                json!({"properties": text_of(properties), "ifExists": if_exists})
            }
            Self::AddColumns { columns } => json!({"columns": text_of(columns)}),
            Self::ChangeColumn { column } => json!({"column": column.to_string()}),
            Self::SetTableComment { comment } => json!({"comment": comment}),
            Self::UpgradeProtocol { protocol } => json!({"newProtocol": protocol.to_string()}),
            Self::VacuumStart { retention_check, default_retention_millis, specified_retention_millis } => {
                let mut value = json!({
                    "retentionCheckEnabled": retention_check,
                    "defaultRetentionMillis": default_retention_millis,
                });
                if let Some(millis) = specified_retention_millis {
                    value["specifiedRetentionMillis"] = json!(millis);
                }
                value
            }
            Self::VacuumEnd { status } => json!({"status": status}),
        };
        if let Value::Object(map) = value { map } else { Map::new() }
    }
}

fn clauses(clauses: &[MergeClause]) -> Value {
    let clause = |c: &MergeClause| match &c.predicate {
        Some(predicate) => json!({"predicate": predicate, "actionType": c.action_type}),
        None => json!({"actionType": c.action_type}),
    };
    text_of(&clauses.iter().map(clause).collect::<Vec<_>>())
}

/// A list or map as JSON inside a text.
fn text_of(value: &(impl serde::Serialize + ?Sized)) -> Value {
    json!(json!(value).to_string())
}

/// Who commits, when, and what it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Milliseconds since the epoch.
    pub now: i64,
    /// Unique to this attempt to commit.
    pub txn_id: String,
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    /// Such as `numOutputRows`, `numFiles`, `numRemovedFiles`, `numOutputBytes`.
    pub metrics: BTreeMap<String, i64>,
    /// The user's own note (`userMetadata`).
    pub user_metadata: Option<String>,
    /// The statements that it holds the work of.
    pub stated: Vec<Stated>,
}

/// The actions of a commit with their `commitInfo` in front. `state` is the version that the statement read, `None` for a
/// new table.
#[must_use]
pub fn build(
    state: Option<&TableState>,
    operation: &Operation,
    reads: &Reads,
    provenance: Provenance,
    mut actions: Vec<Action>,
) -> Vec<Action> {
    let files = |action: &&Action| matches!(action, Action::Add(_) | Action::Remove(_));
    let only_adds = actions.iter().filter(files).all(|a| matches!(a, Action::Add(_)));
    let rearranges = actions.iter().any(|a| files(&a))
        && actions.iter().all(|action| match action {
            Action::Add(add) => !add.data_change,
            Action::Remove(remove) => !remove.data_change,
            _ => true,
        });
    let metadata = actions.iter().find_map(|a| if let Action::Metadata(m) = a { Some(m) } else { None });
    let isolation = metadata.or(state.map(|s| &*s.metadata)).map_or(Isolation::Serializable, Isolation::of);
    let isolation = match isolation {
        _ if rearranges => "SnapshotIsolation",
        Isolation::Serializable => "Serializable",
        Isolation::WriteSerializable => "WriteSerializable",
    };
    let mut extra = Map::new();
    if let Some(note) = provenance.user_metadata {
        extra.insert("userMetadata".to_owned(), json!(note));
    }
    extra.extend(seal::tags(&provenance.stated));
    let info = CommitInfo {
        in_commit_timestamp: None,
        timestamp: Some(provenance.now),
        user_id: provenance.user_id,
        user_name: provenance.user_name,
        operation: Some(operation.name().to_owned()),
        operation_parameters: operation.parameters(),
        read_version: state.map(|s| s.version),
        isolation_level: Some(isolation.to_owned()),
        is_blind_append: Some(only_adds && *reads == Reads::Nothing),
        operation_metrics: provenance.metrics.iter().map(|(k, v)| (k.clone(), json!(v.to_string()))).collect(),
        engine_info: Some(ENGINE_INFO.to_owned()),
        txn_id: Some(provenance.txn_id),
        extra,
    };
    actions.retain(|action| !matches!(action, Action::CommitInfo(_)));
    actions.insert(0, Action::CommitInfo(info));
    match state {
        Some(state) => stamp(&mut actions, state),
        None => stamp_after(&mut actions, None, false),
    }
    actions
}

/// Gives a commit the in-commit timestamp that it needs on top of `state`, if the table has them. A commit that turns them
/// on says so with its own version and time.
pub(super) fn stamp(actions: &mut [Action], state: &TableState) {
    stamp_after(actions, Some((state.version, state.timestamp)), state.in_commit_timestamps());
}

/// `previous` is version and timestamp of the version before.
fn stamp_after(actions: &mut [Action], previous: Option<(i64, i64)>, was_enabled: bool) {
    let is_enabled =
        |a: &Action| if let Action::Metadata(m) = a { Some(m.flag("delta.enableInCommitTimestamps")) } else { None };
    if !actions.iter().find_map(is_enabled).unwrap_or(was_enabled) {
        return;
    }
    let mut time = 0;
    for action in actions.iter_mut() {
        if let Action::CommitInfo(info) = action {
            let attempted = info.in_commit_timestamp.or(info.timestamp).unwrap_or(0);
            time = previous.map_or(attempted, |(_, before)| attempted.max(before.saturating_add(1)));
            info.in_commit_timestamp = Some(time);
        }
    }
    // Only a table that lived without them must say since when it has them.
    let Some((before, _)) = previous.filter(|_| !was_enabled) else { return };
    for action in actions.iter_mut() {
        if let Action::Metadata(metadata) = action {
            metadata.configuration.insert(ICT_VERSION.to_owned(), (before + 1).to_string());
            metadata.configuration.insert(ICT_TIMESTAMP.to_owned(), time.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{add, metadata, quiet, remove, table};
    use super::*;
    use crate::model::actions::commit_info;
    use crate::model::commit_file::render_commit;
    use crate::model::conflicts::{Proposal, check};

    fn parameters(operation: &Operation) -> String {
        Value::Object(operation.parameters()).to_string()
    }

    #[test]
    fn parameters_are_spelled_as_delta_spark_spells_them() {
        let write = Operation::Write {
            mode: WriteMode::Overwrite,
            partition_by: vec!["p".into()],
            predicate: Some("p = 1".into()),
        };
        assert_eq!(parameters(&write), r#"{"mode":"Overwrite","partitionBy":"[\"p\"]","predicate":"p = 1"}"#);
        let create = Operation::CreateTable(TableDescription::of(&metadata(&[("k", "v")]), true));
        assert_eq!(
            parameters(&create),
            r#"{"partitionBy":"[\"p\"]","clusterBy":"[]","description":null,"isManaged":"true","properties":"{\"k\":\"v\"}"}"#
        );
        let optimize =
            Operation::Optimize { predicate: vec![], z_order_by: vec!["x".into()], cluster_by: vec![], auto: true };
        assert_eq!(parameters(&optimize), r#"{"predicate":"[]","zOrderBy":"[\"x\"]","clusterBy":"[]","auto":true}"#);
        let merge = Operation::Merge {
            predicate: vec!["(a = b)".into()],
            matched: vec![MergeClause { predicate: None, action_type: "update" }],
            not_matched: vec![],
            not_matched_by_source: vec![],
        };
        assert_eq!(merge.parameters()["matchedPredicates"], r#"[{"actionType":"update"}]"#);
        assert_eq!(
            parameters(&Operation::Restore { version: Some(3), timestamp: None }),
            r#"{"version":3,"timestamp":null}"#
        );
    }

    #[test]
    fn commit_info_is_complete_and_first() {
        let state = table(&[]);
        let provenance = Provenance {
            now: 5,
            txn_id: "t".into(),
            user_name: Some("ada".into()),
            metrics: BTreeMap::from([("numOutputRows".to_owned(), 3)]),
            ..Provenance::default()
        };
        let write = Operation::Write { mode: WriteMode::Append, partition_by: vec![], predicate: None };
        let actions = build(Some(&state), &write, &Reads::Nothing, provenance, vec![Action::Add(add("n", 3))]);
        let text = String::from_utf8(render_commit(&actions).unwrap()).unwrap();
        let expected = format!(
            r#"{{"commitInfo":{{"timestamp":5,"userName":"ada","operation":"WRITE","operationParameters":{{"mode":"Append","partitionBy":"[]"}},"readVersion":10,"isolationLevel":"WriteSerializable","isBlindAppend":true,"operationMetrics":{{"numOutputRows":"3"}},"engineInfo":"{ENGINE_INFO}","txnId":"t"}}}}"#
        );
        assert_eq!(text.lines().next(), Some(expected.as_str()));
    }

    #[test]
    fn only_what_reads_nothing_and_removes_nothing_is_blind() {
        let state = table(&[]);
        let blind = |reads: Reads, actions| {
            let actions = build(Some(&state), &Operation::Truncate, &reads, Provenance::default(), actions);
            let info = commit_info(&actions).unwrap();
            (info.is_blind_append.unwrap(), info.isolation_level.clone().unwrap())
        };
        assert!(!blind(Reads::WholeTable, vec![Action::Add(add("n", 1))]).0);
        assert!(!blind(Reads::Nothing, vec![remove(add("a", 10))]).0);
        let compaction = vec![remove(quiet(add("a", 10))), Action::Add(quiet(add("n", 10)))];
        assert_eq!(blind(Reads::Nothing, compaction), (false, "SnapshotIsolation".to_owned()));
    }

    #[test]
    fn in_commit_timestamps_follow_the_version_that_the_commit_ends_up_on() {
        let on = &[("delta.enableInCommitTimestamps", "true")];
        let state = table(on);
        let provenance = || Provenance { now: 900, ..Provenance::default() };
        let own = build(Some(&state), &Operation::Truncate, &Reads::Nothing, provenance(), vec![]);
        assert_eq!(commit_info(&own).unwrap().in_commit_timestamp, Some(1001), "the clock is behind the table");
        let winner = build(
            Some(&state),
            &Operation::Truncate,
            &Reads::Nothing,
            Provenance { now: 7000, ..Provenance::default() },
            vec![],
        );
        let newer = state.advance(11, &winner).unwrap();
        let proposal =
            Proposal { read_version: 10, reads: Reads::Nothing, read_app_ids: Default::default(), actions: own };
        let rebased = check(&proposal, &[(11, winner)], &newer).unwrap();
        assert_eq!(commit_info(&rebased.actions).unwrap().in_commit_timestamp, Some(7001));
    }

    #[test]
    fn the_commit_that_turns_timestamps_on_says_so() {
        let metadata = Action::Metadata(metadata(&[("delta.enableInCommitTimestamps", "true")]));
        let provenance = || Provenance { now: 5000, ..Provenance::default() };
        let stamped = |state: Option<&TableState>| {
            let actions = build(state, &Operation::Truncate, &Reads::Nothing, provenance(), vec![metadata.clone()]);
            let Action::Metadata(m) = &actions[1] else { panic!() };
            (m.configuration.get(ICT_VERSION).cloned(), m.configuration.get(ICT_TIMESTAMP).cloned())
        };
        assert_eq!(stamped(Some(&table(&[]))), (Some("11".to_owned()), Some("5000".to_owned())));
        assert_eq!(stamped(None), (None, None), "a table that always had them needs no mark");
    }
}
