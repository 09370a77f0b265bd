//! A small table for tests: partitioned by `p`, a column `x`, three files of ten rows.

use std::collections::BTreeMap;

use super::actions::{Action, Add, CommitInfo, DeletionVector, Metadata};
use super::features::protocol_for;
use super::schema::{DataType, StructField, StructType};
use super::state::{Loaded, TableState};

pub(super) fn metadata(properties: &[(&str, &str)]) -> Metadata {
    let fields = vec![StructField::new("p", DataType::Date, true), StructField::new("x", DataType::Long, true)];
    Metadata {
        id: "t".into(),
        schema_string: StructType { fields }.to_schema_string(),
        partition_columns: vec!["p".into()],
        configuration: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..Metadata::default()
    }
}

/// Version 10 at time 1000 with the files `a`, `b` and `c`.
pub(super) fn table(properties: &[(&str, &str)]) -> TableState {
    let metadata = metadata(properties);
    let schema = StructType::from_schema_string(&metadata.schema_string).unwrap();
    let protocol = protocol_for(&schema, &metadata).unwrap();
    let adds = ["a", "b", "c"].map(|path| add(path, 10)).into();
    TableState::new(10, Loaded { protocol, metadata, txns: vec![], domains: vec![], adds, timestamp: 1000 }).unwrap()
}

pub(super) fn add(path: &str, rows: i64) -> Add {
    Add {
        path: path.into(),
        partition_values: BTreeMap::from([("p".to_owned(), Some("2024-01-01".to_owned()))]),
        size: rows,
        data_change: true,
        stats: Some(format!("{{\"numRecords\":{rows}}}")),
        ..Add::default()
    }
}

pub(super) fn quiet(add: Add) -> Add {
    Add { data_change: false, ..add }
}

pub(super) fn marked(add: Add, dv: &str, cardinality: i64) -> Add {
    let deletion_vector = Some(DeletionVector {
        storage_type: "u".into(),
        path_or_inline_dv: dv.into(),
        offset: Some(1),
        size_in_bytes: 34,
        cardinality,
    });
    Add { deletion_vector, ..add }
}

pub(super) fn remove(add: Add) -> Action {
    let data_change = add.data_change;
    Action::Remove(add.to_remove(1, data_change))
}

/// A commit with its information in front.
pub(super) fn commit(operation: &str, blind: bool, actions: Vec<Action>) -> Vec<Action> {
    let info = CommitInfo {
        operation: Some(operation.into()),
        is_blind_append: Some(blind),
        timestamp: Some(2000),
        ..CommitInfo::default()
    };
    std::iter::once(Action::CommitInfo(info)).chain(actions).collect()
}
