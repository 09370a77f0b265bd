//! The last look at a commit before it is published: does it fit the version that it will stand on?
//!
//! Conflict rules ([`super::conflicts`]) judge whether a commit may be moved onto a newer version; this judges the result,
//! whoever built it. Everything here holds for every operation; nothing that fails here may ever be put into a log.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::LogError;
use super::actions::{Action, Add, Metadata, PartitionValues, Protocol, Remove};
use super::chunk::Layout;
use super::features::{self, Unsupported};
use super::schema::StructType;
use super::state::TableState;
use super::stats::num_records;
use super::values::Scalar;

/// Why a commit must not be published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Invalid {
    #[error("the commit removes '{path}', which is not in version {version} of the table; plan the statement again")]
    RemoveNotLive { path: String, version: i64 },
    #[error("the commit names '{path}' in more than one {action} action; each file may be named once")]
    Twice { path: String, action: &'static str },
    #[error(
        "the commit adds '{path}', which is in version {version} of the table already; remove it in the same commit, or add it with dataChange=false to renew its statistics"
    )]
    AddLive { path: String, version: i64 },
    #[error("the commit adds and removes the same '{path}'; leave both out")]
    AddAndRemove { path: String },
    #[error(
        "the table is append-only (delta.appendOnly is true), and the commit removes rows with '{path}'; set the property to false first"
    )]
    AppendOnly { path: String },
    #[error(
        "the partition values of '{path}' are {found:?}, the table is partitioned by {expected:?}; give each column a value or null"
    )]
    PartitionValues { path: String, found: Vec<String>, expected: Vec<String> },
    #[error("'{path}' has a deletion vector, and {reason}")]
    DeletionVector { path: String, reason: &'static str },
    #[error(
        "the commit only rearranges data (dataChange=false), but removes files of {removed} rows and adds files of {added}; rows would be lost or doubled"
    )]
    RowsNotConserved { removed: i64, added: i64 },
    #[error("the in-commit timestamp {found:?} is not after {previous}, that of the version before")]
    TimestampOrder { previous: i64, found: Option<i64> },
    #[error(
        "the application '{app_id}' has come to {last} already, and the commit says {found}; it was committed before, do not repeat it"
    )]
    TxnNotMonotone { app_id: String, last: i64, found: i64 },
    #[error("the commit has {what} more than once")]
    Repeated { what: String },
    #[error("the commit must begin with its commitInfo action")]
    NoCommitInfo,
    #[error(
        "{what} needs the Delta feature '{feature}', which the protocol of the table does not list; add it in the same commit"
    )]
    FeatureMissing { what: &'static str, feature: String },
    #[error("the commit takes {lost} out of the protocol; that is not possible")]
    ProtocolDowngrade { lost: String },
    #[error(
        "the commit changes the partition columns and leaves {left} files of the old partitioning in the table; it must replace them all"
    )]
    Repartitioned { left: usize },
    #[error("the partition column '{0}' is of a nested type; partition by a plain column")]
    NestedPartition(String),
    #[error("every column is a partition column; leave at least one in the files")]
    OnlyPartitions,
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Checks a commit against the version that it follows: `state.version + 1` may be written with these actions.
///
/// # Errors
/// The first [`Invalid`] found.
pub fn validate(state: &TableState, actions: &[Action]) -> Result<(), Invalid> {
    if !matches!(actions.first(), Some(Action::CommitInfo(_))) {
        return Err(Invalid::NoCommitInfo);
    }
    let target = Target::after(state, actions)?;
    singles(state, actions, &target)?;
    timestamp(state, actions, &target)?;
    files(state, actions, &target)
}

/// Protocol and metadata as they will be after the commit.
struct Target<'a> {
    protocol: &'a Protocol,
    metadata: &'a Metadata,
    partitions: Vec<(String, super::DataType)>,
    writer_features: BTreeSet<&'a str>,
}

impl<'a> Target<'a> {
    fn after(state: &'a TableState, actions: &'a [Action]) -> Result<Self, Invalid> {
        let new_protocol = actions.iter().find_map(|a| if let Action::Protocol(p) = a { Some(p) } else { None });
        let new_metadata = actions.iter().find_map(|a| if let Action::Metadata(m) = a { Some(m) } else { None });
        let (protocol, metadata) = (new_protocol.unwrap_or(&state.protocol), new_metadata.unwrap_or(&state.metadata));
        if let Some(lost) = features::lost_requirements(&state.protocol, protocol) {
            return Err(Invalid::ProtocolDowngrade { lost });
        }
        let schema = match new_metadata {
            Some(metadata) => StructType::from_schema_string(&metadata.schema_string)?,
            None => (*state.schema).clone(),
        };
        features::writable(protocol, metadata, &schema)?;
        let partitions = if new_metadata.is_some() {
            let layout = Layout::new(&schema, metadata)?;
            check_metadata(protocol, metadata, &schema, &layout)?;
            pairs(&layout)
        } else {
            pairs(state.files.layout())
        };
        Ok(Self { protocol, metadata, partitions, writer_features: features::writer_features(protocol) })
    }
}

fn pairs(layout: &Layout) -> Vec<(String, super::DataType)> {
    layout.partitions().iter().map(|p| (p.physical.clone(), p.data_type.clone())).collect()
}

fn check_metadata(
    protocol: &Protocol,
    metadata: &Metadata,
    schema: &StructType,
    layout: &Layout,
) -> Result<(), Invalid> {
    if let Some(nested) = layout.partitions().iter().find(|p| p.data_type.is_nested()) {
        return Err(Invalid::NestedPartition(nested.logical.clone()));
    }
    if !schema.fields.is_empty() && schema.fields.len() == layout.partitions().len() {
        return Err(Invalid::OnlyPartitions);
    }
    let needed = features::protocol_for(schema, metadata)?;
    match features::lost_requirements(&needed, protocol) {
        Some(feature) => Err(Invalid::FeatureMissing { what: "the schema or a property", feature }),
        None => Ok(()),
    }
}

/// Actions of which there may be one: by kind, by application, by domain.
fn singles(state: &TableState, actions: &[Action], target: &Target<'_>) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    for action in actions {
        let what = match action {
            Action::CommitInfo(_) => "a commitInfo action".to_owned(),
            Action::Protocol(_) => "a protocol action".to_owned(),
            Action::Metadata(_) => "a metaData action".to_owned(),
            Action::Txn(txn) => {
                if let Some(last) = state.txns.get(&txn.app_id).filter(|last| last.version >= txn.version) {
                    let app_id = txn.app_id.clone();
                    return Err(Invalid::TxnNotMonotone { app_id, last: last.version, found: txn.version });
                }
                format!("a txn action of '{}'", txn.app_id)
            }
            Action::DomainMetadata(domain) => {
                if !target.writer_features.contains("domainMetadata") {
                    let feature = "domainMetadata".to_owned();
                    return Err(Invalid::FeatureMissing { what: "a domainMetadata action", feature });
                }
                format!("the domain '{}'", domain.domain)
            }
            _ => continue,
        };
        if !seen.insert(what.clone()) {
            return Err(Invalid::Repeated { what });
        }
    }
    Ok(())
}

fn timestamp(state: &TableState, actions: &[Action], target: &Target<'_>) -> Result<(), Invalid> {
    if !target.metadata.flag("delta.enableInCommitTimestamps") {
        return Ok(());
    }
    let found = super::actions::commit_info(actions).and_then(|info| info.in_commit_timestamp);
    match found {
        Some(time) if time > state.timestamp => Ok(()),
        _ => Err(Invalid::TimestampOrder { previous: state.timestamp, found }),
    }
}

fn files(state: &TableState, actions: &[Action], target: &Target<'_>) -> Result<(), Invalid> {
    let append_only = state.metadata.flag("delta.appendOnly");
    let mut removed: HashMap<&str, &Remove> = HashMap::new();
    for action in actions {
        let Action::Remove(remove) = action else { continue };
        if state.files.get_exact(&remove.path, remove.dv_id().as_deref()).is_none() {
            return Err(Invalid::RemoveNotLive { path: remove.path.clone(), version: state.version });
        }
        if remove.data_change && append_only {
            return Err(Invalid::AppendOnly { path: remove.path.clone() });
        }
        if removed.insert(&remove.path, remove).is_some() {
            return Err(Invalid::Twice { path: remove.path.clone(), action: "remove" });
        }
    }
    let mut added: HashMap<&str, &Add> = HashMap::new();
    for action in actions {
        let add = match action {
            Action::Add(add) => add,
            Action::Cdc(cdc) => {
                check_partition(&cdc.path, &cdc.partition_values, target)?;
                continue;
            }
            _ => continue,
        };
        check_partition(&add.path, &add.partition_values, target)?;
        check_deletion_vector(add, target)?;
        match (removed.get(add.path.as_str()), state.files.get(&add.path)) {
            (Some(remove), _) if remove.dv_id() == add.dv_id() => {
                return Err(Invalid::AddAndRemove { path: add.path.clone() });
            }
            (None, Some(live)) if add.data_change || live.dv_id() != add.dv_id() => {
                return Err(Invalid::AddLive { path: add.path.clone(), version: state.version });
            }
            _ => {}
        }
        if added.insert(&add.path, add).is_some() {
            return Err(Invalid::Twice { path: add.path.clone(), action: "add" });
        }
    }
    if target.metadata.partition_columns != state.metadata.partition_columns && removed.len() < state.files.len() {
        return Err(Invalid::Repartitioned { left: state.files.len() - removed.len() });
    }
    conserved(state, &removed, &added)
}

fn check_partition(path: &str, values: &PartitionValues, target: &Target<'_>) -> Result<(), Invalid> {
    let complete =
        values.len() == target.partitions.len() && target.partitions.iter().all(|(name, _)| values.contains_key(name));
    if !complete {
        return Err(Invalid::PartitionValues {
            path: path.to_owned(),
            found: values.keys().cloned().collect(),
            expected: target.partitions.iter().map(|(name, _)| name.clone()).collect(),
        });
    }
    for (name, data_type) in &target.partitions {
        if let Some(text) = values.get(name).and_then(Option::as_deref).filter(|text| !text.is_empty()) {
            Scalar::parse(text, data_type)?;
        }
    }
    Ok(())
}

fn check_deletion_vector(add: &Add, target: &Target<'_>) -> Result<(), Invalid> {
    let Some(dv) = &add.deletion_vector else { return Ok(()) };
    let refuse = |reason| Err(Invalid::DeletionVector { path: add.path.clone(), reason });
    if !target.writer_features.contains("deletionVectors")
        || !features::reader_features(target.protocol).contains("deletionVectors")
    {
        return refuse("the protocol of the table does not list the feature deletionVectors");
    }
    match num_records(add.stats.as_deref()) {
        None => refuse("its statistics lack numRecords, which the protocol then demands"),
        Some(rows) if dv.cardinality > rows || dv.cardinality < 0 => refuse("that deletes more rows than the file has"),
        Some(_) => Ok(()),
    }
}

/// A commit that only rearranges data has as many rows after as before. Unknown row counts pass.
fn conserved(state: &TableState, removed: &HashMap<&str, &Remove>, added: &HashMap<&str, &Add>) -> Result<(), Invalid> {
    let quiet = removed.values().filter(|r| !r.data_change).filter_map(|r| state.files.get(&r.path));
    // A live file added again is only renewed.
    let renewed = |add: &&&Add| !removed.contains_key(add.path.as_str()) && state.files.get(&add.path).is_some();
    let new = added.values().filter(|a| !a.data_change && !renewed(a)).copied();
    match (quiet.map(|a| live_rows(a)).sum::<Option<i64>>(), new.map(live_rows).sum::<Option<i64>>()) {
        (Some(removed), Some(added)) if removed != added => Err(Invalid::RowsNotConserved { removed, added }),
        _ => Ok(()),
    }
}

fn live_rows(add: &Add) -> Option<i64> {
    let deleted = add.deletion_vector.as_ref().map_or(0, |dv| dv.cardinality);
    Some(num_records(add.stats.as_deref())? - deleted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixtures::{add, commit, marked, metadata, quiet, remove, table};
    use super::*;
    use crate::model::actions::{DomainMetadata, Txn};

    fn judge(properties: &[(&str, &str)], actions: Vec<Action>) -> Result<(), Invalid> {
        validate(&table(properties), &commit("WRITE", false, actions))
    }

    #[test]
    fn good_commits_pass() {
        let dv = &[("delta.enableDeletionVectors", "true")];
        judge(&[], vec![Action::Add(add("d", 3)), remove(add("a", 10))]).unwrap();
        judge(&[], vec![remove(quiet(add("a", 10))), remove(quiet(add("b", 10))), Action::Add(quiet(add("d", 20)))])
            .unwrap();
        judge(dv, vec![remove(add("a", 10)), Action::Add(marked(add("a", 10), "v", 4))]).unwrap();
        judge(&[], vec![Action::Add(quiet(add("a", 10)))]).unwrap();
        judge(&[], vec![]).unwrap();
    }

    #[test]
    fn files_are_removed_once_and_only_if_they_are_there() {
        let is = |actions, name: &str| {
            let error = judge(&[("delta.enableDeletionVectors", "true")], actions).unwrap_err();
            assert!(format!("{error:?}").starts_with(name), "{error:?}");
        };
        is(vec![remove(add("z", 1))], "RemoveNotLive");
        is(vec![remove(marked(add("a", 10), "v", 1))], "RemoveNotLive");
        is(vec![remove(add("a", 10)), remove(add("a", 10))], "Twice");
        is(vec![Action::Add(add("d", 1)), Action::Add(add("d", 1))], "Twice");
        is(vec![Action::Add(add("a", 10))], "AddLive");
        is(vec![Action::Add(quiet(marked(add("a", 10), "v", 1)))], "AddLive");
        is(vec![Action::Add(add("a", 10)), remove(add("a", 10))], "AddAndRemove");
        is(vec![remove(add("a", 10)), Action::Add(marked(add("a", 10), "v", 11))], "DeletionVector");
        is(vec![Action::Add(Add { stats: None, ..marked(add("n", 10), "v", 1) })], "DeletionVector");
        is(vec![remove(quiet(add("a", 10))), Action::Add(quiet(add("d", 9)))], "RowsNotConserved");
        is(vec![remove(quiet(add("a", 10)))], "RowsNotConserved");
        is(vec![Action::Add(Add { partition_values: BTreeMap::new(), ..add("d", 1) })], "PartitionValues");
        let bad_date = BTreeMap::from([("p".to_owned(), Some("yesterday".to_owned()))]);
        is(vec![Action::Add(Add { partition_values: bad_date, ..add("d", 1) })], "Log(Value");
        assert!(judge(&[], vec![Action::Add(marked(add("n", 10), "v", 1))]).is_err(), "no such feature in the table");
    }

    #[test]
    fn an_append_only_table_may_be_rearranged_but_not_changed() {
        let append_only = &[("delta.appendOnly", "true")];
        assert!(matches!(judge(append_only, vec![remove(add("a", 10))]), Err(Invalid::AppendOnly { .. })));
        judge(append_only, vec![remove(quiet(add("a", 10))), Action::Add(quiet(add("d", 10)))]).unwrap();
    }

    #[test]
    fn progress_of_applications_only_grows() {
        let mut state = table(&[]);
        let txn = |version| Action::Txn(Txn { app_id: "s".into(), version, last_updated: None });
        state = state.advance(11, &[txn(5)]).unwrap();
        validate(&state, &commit("WRITE", false, vec![txn(6)])).unwrap();
        let again = validate(&state, &commit("WRITE", false, vec![txn(5)]));
        assert_eq!(again, Err(Invalid::TxnNotMonotone { app_id: "s".into(), last: 5, found: 5 }));
        assert!(matches!(judge(&[], vec![txn(1), txn(2)]), Err(Invalid::Repeated { .. })));
        let domain = DomainMetadata { domain: "d".into(), configuration: String::new(), removed: false };
        assert!(matches!(judge(&[], vec![Action::DomainMetadata(domain)]), Err(Invalid::FeatureMissing { .. })));
    }

    #[test]
    fn metadata_must_fit_protocol_and_files() {
        let new = |properties: &[(&str, &str)]| Action::Metadata(metadata(properties));
        judge(&[], vec![new(&[("note", "x")])]).unwrap();
        let error = judge(&[], vec![new(&[("delta.enableDeletionVectors", "true")])]).unwrap_err();
        assert!(
            matches!(error, Invalid::FeatureMissing { ref feature, .. } if feature.contains("deletionVectors")),
            "{error}"
        );
        let flat = Action::Metadata(Metadata { partition_columns: vec![], ..metadata(&[]) });
        assert_eq!(judge(&[], vec![flat.clone(), remove(add("a", 10))]), Err(Invalid::Repartitioned { left: 2 }));
        judge(&[], ["a", "b", "c"].map(|f| remove(add(f, 10))).into_iter().chain([flat]).collect()).unwrap();
        let lost = Action::Metadata(Metadata { partition_columns: vec!["p".into(), "x".into()], ..metadata(&[]) });
        assert_eq!(judge(&[], vec![lost]), Err(Invalid::OnlyPartitions));
        let old = Action::Protocol(Protocol {
            min_reader_version: 1,
            min_writer_version: 1,
            reader_features: None,
            writer_features: None,
        });
        assert!(matches!(judge(&[], vec![old]), Err(Invalid::ProtocolDowngrade { .. })));
    }

    #[test]
    fn the_commit_says_who_and_when_first() {
        let state = table(&[("delta.enableInCommitTimestamps", "true")]);
        assert_eq!(validate(&state, &[]), Err(Invalid::NoCommitInfo));
        let untimed = validate(&state, &commit("WRITE", true, vec![]));
        assert_eq!(untimed, Err(Invalid::TimestampOrder { previous: 1000, found: None }));
    }
}
