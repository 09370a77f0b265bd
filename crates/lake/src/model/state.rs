//! A table at one version: what the log says when replayed up to there.
//!
//! Seeded once from a checkpoint or a scan ([`Loaded`]), then advanced commit by commit without listing anything. While
//! advancing, a commit that cannot have come from a correct writer is told apart ([`Fault`]): readers go on with
//! [`TableState::advance_despite_faults`], writers stop until the table is restored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::LogError;
use super::actions::{Action, Add, DomainMetadata, Metadata, Protocol, Remove, Txn, commit_info};
use super::chunk::Layout;
use super::features;
use super::files::FileIndex;
use super::schema::StructType;

/// Operation of delta-spark that tombstones deletion vector files, which were never live: legal, though it looks like the
/// removal of unknown files.
const DV_TOMBSTONES: &str = "Deletion Vector Tombstones";
/// The operations that may take requirements out of the protocol.
const DOWNGRADES: &[&str] = &["DROP FEATURE", "RESTORE"];

/// A table as read from storage.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub protocol: Protocol,
    pub metadata: Metadata,
    pub txns: Vec<Txn>,
    /// Without removed ones.
    pub domains: Vec<DomainMetadata>,
    pub adds: Vec<Add>,
    /// Of the version, milliseconds since the epoch: the in-commit timestamp where the table has them.
    pub timestamp: i64,
}

/// A table at one version. Cloning and advancing share structure.
#[derive(Debug, Clone)]
pub struct TableState {
    pub version: i64,
    /// Milliseconds since the epoch; never less than that of the version before.
    pub timestamp: i64,
    pub protocol: Arc<Protocol>,
    pub metadata: Arc<Metadata>,
    pub schema: Arc<StructType>,
    /// By application id.
    pub txns: Arc<BTreeMap<String, Txn>>,
    /// By name of the domain.
    pub domains: Arc<BTreeMap<String, DomainMetadata>>,
    pub files: FileIndex,
}

/// How a commit breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It removes a file that is not in the table: rows that it meant to replace may now be there twice.
    RemoveNotLive {
        path: String,
    },
    RemoveTwice {
        path: String,
    },
    AddTwice {
        path: String,
    },
    /// It adds a file that is there with another deletion vector, which it does not remove.
    AddOverLive {
        path: String,
    },
    /// It adds and removes the same logical file.
    AddAndRemove {
        path: String,
    },
    ProtocolTwice,
    MetadataTwice,
    /// It takes requirements out of the protocol and is neither a `DROP FEATURE` nor a `RESTORE`.
    ProtocolDowngrade {
        lost: String,
    },
    /// Its in-commit timestamp is missing or not later than the one before.
    TimestampOrder {
        previous: i64,
        found: Option<i64>,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveNotLive { path } => {
                write!(f, "it removes '{path}', which is not in the table (rows may be there twice)")
            }
            Self::RemoveTwice { path } => write!(f, "it removes '{path}' twice"),
            Self::AddTwice { path } => write!(f, "it adds '{path}' twice"),
            Self::AddOverLive { path } => {
                write!(f, "it adds '{path}', which is there with another deletion vector, without removing that")
            }
            Self::AddAndRemove { path } => write!(f, "it adds and removes the same '{path}'"),
            Self::ProtocolTwice => f.write_str("it has two protocol actions"),
            Self::MetadataTwice => f.write_str("it has two metaData actions"),
            Self::ProtocolDowngrade { lost } => {
                write!(f, "it takes {lost} out of the protocol, which only DROP FEATURE may")
            }
            Self::TimestampOrder { previous, found: Some(found) } => {
                write!(f, "its in-commit timestamp {found} is not after {previous}")
            }
            Self::TimestampOrder { previous, found: None } => {
                write!(f, "it has no in-commit timestamp, which the table demands (the one before is {previous})")
            }
        }
    }
}

impl TableState {
    /// The state of a version as loaded.
    ///
    /// # Errors
    /// [`LogError::Schema`] for a schema that cannot be read or does not have the partition columns.
    pub fn new(version: i64, loaded: Loaded) -> Result<Self, LogError> {
        let schema = StructType::from_schema_string(&loaded.metadata.schema_string)?;
        let layout = Arc::new(Layout::new(&schema, &loaded.metadata)?);
        Ok(Self {
            version,
            timestamp: loaded.timestamp,
            protocol: Arc::new(loaded.protocol),
            metadata: Arc::new(loaded.metadata),
            schema: Arc::new(schema),
            txns: Arc::new(loaded.txns.into_iter().map(|t| (t.app_id.clone(), t)).collect()),
            domains: Arc::new(
                loaded.domains.into_iter().filter(|d| !d.removed).map(|d| (d.domain.clone(), d)).collect(),
            ),
            files: FileIndex::new(layout, loaded.adds.into_iter().map(Arc::new)),
        })
    }

    /// The state of a new table: version 0, from the actions of its first commit.
    ///
    /// # Errors
    /// [`LogError::Malformed`] when the commit has no protocol or no metadata; else as [`TableState::advance`].
    pub fn create(actions: &[Action]) -> Result<Self, LogError> {
        Self::before_creation(actions)?.advance(0, actions)
    }

    /// The empty table that the first commit of a new one stands on: version -1. Validate the commit against it.
    ///
    /// # Errors
    /// [`LogError::Malformed`] when the commit has no protocol or no metadata, [`LogError::Schema`] for a bad schema.
    pub fn before_creation(actions: &[Action]) -> Result<Self, LogError> {
        let protocol = actions.iter().find_map(|a| if let Action::Protocol(p) = a { Some(p.clone()) } else { None });
        let metadata = actions.iter().find_map(|a| if let Action::Metadata(m) = a { Some(m.clone()) } else { None });
        let (Some(protocol), Some(metadata)) = (protocol, metadata) else {
            let reason = "the first commit of a table needs a protocol and a metaData action".to_owned();
            return Err(LogError::Malformed { line: 1, reason });
        };
        Self::new(-1, Loaded { protocol, metadata, txns: vec![], domains: vec![], adds: vec![], timestamp: 0 })
    }

    /// The next version.
    ///
    /// # Errors
    /// [`LogError::Gap`] when `version` is not the next one, [`LogError::Corrupt`] with the first fault of the commit,
    /// [`LogError::Schema`] when its metadata cannot be understood.
    pub fn advance(&self, version: i64, actions: &[Action]) -> Result<Self, LogError> {
        match self.advance_despite_faults(version, actions)? {
            (next, faults) if faults.is_empty() => Ok(next),
            (_, mut faults) => Err(LogError::Corrupt { version, fault: faults.swap_remove(0) }),
        }
    }

    /// The next version as every reader of Delta will see it, and what is wrong with the commit.
    ///
    /// # Errors
    /// [`LogError::Gap`] and [`LogError::Schema`], as [`TableState::advance`].
    pub fn advance_despite_faults(&self, version: i64, actions: &[Action]) -> Result<(Self, Vec<Fault>), LogError> {
        if version != self.version + 1 {
            return Err(LogError::Gap { current: self.version, found: version });
        }
        let commit = Sorted::of(actions);
        let mut faults = commit.file_faults(&self.files);
        let mut next = self.clone();
        next.version = version;

        if commit.protocols.len() > 1 {
            faults.push(Fault::ProtocolTwice);
        }
        if let Some(protocol) = commit.protocols.last() {
            let lost = features::lost_requirements(&self.protocol, protocol);
            if let Some(lost) = lost.filter(|_| !commit.operation.is_some_and(|o| DOWNGRADES.contains(&o))) {
                faults.push(Fault::ProtocolDowngrade { lost });
            }
            next.protocol = Arc::new((*protocol).clone());
        }
        if commit.metadata.len() > 1 {
            faults.push(Fault::MetadataTwice);
        }
        if let Some(metadata) = commit.metadata.last() {
            next.replace_metadata(metadata)?;
        }
        next.timestamp = match next.commit_time(self.timestamp, actions) {
            Ok(timestamp) => timestamp,
            Err(fault) => {
                faults.push(fault);
                self.timestamp
            }
        };
        for action in actions {
            match action {
                Action::Txn(txn) => {
                    Arc::make_mut(&mut next.txns).insert(txn.app_id.clone(), txn.clone());
                }
                Action::DomainMetadata(domain) if domain.removed => {
                    Arc::make_mut(&mut next.domains).remove(&domain.domain);
                }
                Action::DomainMetadata(domain) => {
                    Arc::make_mut(&mut next.domains).insert(domain.domain.clone(), domain.clone());
                }
                _ => {}
            }
        }
        if !commit.removes.is_empty() || !commit.adds.is_empty() {
            // A reader drops only the logical file that the tombstone names.
            let live = |r: &&&Remove| next.files.get_exact(&r.path, r.dv_id().as_deref()).is_some();
            let removes = commit.removes.iter().filter(live).map(|r| r.path.as_str()).collect::<Vec<_>>();
            let adds = commit.adds.iter().map(|add| Arc::new((*add).clone())).collect();
            next.files = next.files.advance(removes, adds);
        }
        Ok((next, faults))
    }

    /// The timestamp that a commit on top of this version must carry if it is made at `now` (milliseconds since the
    /// epoch): later than this version's.
    #[must_use]
    pub fn next_timestamp(&self, now: i64) -> i64 {
        now.max(self.timestamp.saturating_add(1))
    }

    /// Whether every commit must carry an in-commit timestamp.
    #[must_use]
    pub fn in_commit_timestamps(&self) -> bool {
        self.metadata.flag("delta.enableInCommitTimestamps")
    }

    fn replace_metadata(&mut self, metadata: &Metadata) -> Result<(), LogError> {
        let schema = StructType::from_schema_string(&metadata.schema_string)?;
        if schema != *self.schema || metadata.partition_columns != self.metadata.partition_columns {
            self.files = self.files.with_layout(Arc::new(Layout::new(&schema, metadata)?));
            self.schema = Arc::new(schema);
        }
        self.metadata = Arc::new(metadata.clone());
        Ok(())
    }

    fn commit_time(&self, previous: i64, actions: &[Action]) -> Result<i64, Fault> {
        let info = commit_info(actions);
        let in_commit = info.and_then(|i| i.in_commit_timestamp);
        if self.in_commit_timestamps() {
            return in_commit.filter(|t| *t > previous).ok_or(Fault::TimestampOrder { previous, found: in_commit });
        }
        // Without them Delta takes the file's time, moved up where it would go back.
        Ok(info.and_then(|i| i.timestamp).map_or(previous, |t| t.max(previous)))
    }
}

/// The actions of a commit by kind.
struct Sorted<'a> {
    adds: Vec<&'a Add>,
    removes: Vec<&'a Remove>,
    protocols: Vec<&'a Protocol>,
    metadata: Vec<&'a Metadata>,
    operation: Option<&'a str>,
}

impl<'a> Sorted<'a> {
    fn of(actions: &'a [Action]) -> Self {
        let operation = commit_info(actions).and_then(|i| i.operation.as_deref());
        let mut sorted = Self { adds: vec![], removes: vec![], protocols: vec![], metadata: vec![], operation };
        for action in actions {
            match action {
                Action::Add(add) => sorted.adds.push(add),
                Action::Remove(remove) => sorted.removes.push(remove),
                Action::Protocol(protocol) => sorted.protocols.push(protocol),
                Action::Metadata(metadata) => sorted.metadata.push(metadata),
                _ => {}
            }
        }
        sorted
    }

    fn file_faults(&self, live: &FileIndex) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut removed = HashMap::new();
        for remove in &self.removes {
            let (path, dv) = (remove.path.as_str(), remove.dv_id());
            if live.get_exact(path, dv.as_deref()).is_none() && self.operation != Some(DV_TOMBSTONES) {
                faults.push(Fault::RemoveNotLive { path: path.to_owned() });
            }
            if removed.insert(path, dv).is_some() {
                faults.push(Fault::RemoveTwice { path: path.to_owned() });
            }
        }
        let mut added = HashSet::with_capacity(self.adds.len());
        for add in &self.adds {
            let path = add.path.as_str();
            if !added.insert(path) {
                faults.push(Fault::AddTwice { path: path.to_owned() });
            }
            match (removed.get(path), live.get(path)) {
                (Some(dv), _) if *dv == add.dv_id() => faults.push(Fault::AddAndRemove { path: path.to_owned() }),
                // The same logical file again only renews its statistics and tags.
                (None, Some(there)) if there.dv_id() != add.dv_id() => {
                    faults.push(Fault::AddOverLive { path: path.to_owned() });
                }
                _ => {}
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{add, commit, marked, metadata, remove, table};
    use super::*;
    use crate::model::actions::CommitInfo;

    fn fault(state: &TableState, actions: Vec<Action>) -> Option<Fault> {
        match state.advance(state.version + 1, &actions) {
            Ok(_) => None,
            Err(LogError::Corrupt { version, fault }) => {
                assert_eq!(version, state.version + 1);
                Some(fault)
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_commit_takes_the_table_one_version_further() {
        let state = table(&[]);
        let txn = Txn { app_id: "stream".into(), version: 3, last_updated: None };
        let domain = DomainMetadata { domain: "d".into(), configuration: "{}".into(), removed: false };
        let next = state
            .advance(
                11,
                &commit(
                    "WRITE",
                    false,
                    vec![
                        remove(add("a", 10)),
                        Action::Add(add("d", 5)),
                        Action::Txn(txn),
                        Action::DomainMetadata(domain.clone()),
                        Action::Unknown { name: "new".into(), body: true.into() },
                    ],
                ),
            )
            .unwrap();
        assert_eq!((next.version, next.timestamp, next.files.len(), next.files.rows()), (11, 2000, 3, Some(25)));
        assert_eq!((next.txns["stream"].version, next.domains.len()), (3, 1));
        assert_eq!((state.version, state.files.rows()), (10, Some(30)), "the older version is as it was");
        let gone = DomainMetadata { removed: true, ..domain };
        assert!(next.advance(12, &[Action::DomainMetadata(gone)]).unwrap().domains.is_empty());
        assert_eq!(next.advance(14, &[]).unwrap_err(), LogError::Gap { current: 11, found: 14 });
    }

    #[test]
    fn what_no_correct_writer_commits_is_told_apart() {
        let state = table(&[("delta.enableDeletionVectors", "true")]);
        let path = || "a".to_owned();
        let twice = vec![remove(add("a", 10)), remove(add("a", 10))];
        assert_eq!(fault(&state, twice), Some(Fault::RemoveTwice { path: path() }));
        assert_eq!(fault(&state, vec![remove(add("z", 10))]), Some(Fault::RemoveNotLive { path: "z".into() }));
        let other_dv = vec![remove(marked(add("a", 10), "v", 1))];
        assert_eq!(fault(&state, other_dv), Some(Fault::RemoveNotLive { path: path() }));
        let over = vec![Action::Add(marked(add("a", 10), "v", 1))];
        assert_eq!(fault(&state, over), Some(Fault::AddOverLive { path: path() }));
        let doubled = vec![Action::Add(add("n", 1)), Action::Add(add("n", 1))];
        assert_eq!(fault(&state, doubled), Some(Fault::AddTwice { path: "n".into() }));
        let undone = vec![remove(add("a", 10)), Action::Add(add("a", 10))];
        assert_eq!(fault(&state, undone), Some(Fault::AddAndRemove { path: path() }));
        // Legal: a new deletion vector, renewed statistics, tombstones of deletion vector files.
        assert_eq!(fault(&state, vec![remove(add("a", 10)), Action::Add(marked(add("a", 10), "v", 1))]), None);
        assert_eq!(fault(&state, vec![Action::Add(add("a", 10))]), None);
        assert_eq!(fault(&state, commit("Deletion Vector Tombstones", false, vec![remove(add("dv.bin", 1))])), None);
    }

    #[test]
    fn double_compaction_is_reported_and_still_readable() {
        let state = table(&[]);
        let compact = |to: &str| vec![remove(add("a", 10)), remove(add("b", 10)), Action::Add(add(to, 20))];
        let first = state.advance(11, &compact("d")).unwrap();
        assert!(matches!(first.advance(12, &compact("e")), Err(LogError::Corrupt { version: 12, .. })));
        let (seen, faults) = first.advance_despite_faults(12, &compact("e")).unwrap();
        assert_eq!((faults.len(), seen.files.rows()), (2, Some(50)), "rows are doubled, as every reader sees them");
    }

    #[test]
    fn requirements_only_go_with_drop_feature() {
        let state = table(&[("delta.enableDeletionVectors", "true")]);
        let plain =
            Protocol { min_reader_version: 1, min_writer_version: 2, reader_features: None, writer_features: None };
        let lost = Some(Fault::ProtocolDowngrade { lost: "deletionVectors".into() });
        assert_eq!(fault(&state, commit("WRITE", false, vec![Action::Protocol(plain.clone())])), lost);
        assert_eq!(fault(&state, commit("DROP FEATURE", false, vec![Action::Protocol(plain)])), None);
    }

    #[test]
    fn in_commit_timestamps_only_grow() {
        let state = table(&[("delta.enableInCommitTimestamps", "true")]);
        let at = |t| vec![Action::CommitInfo(CommitInfo { in_commit_timestamp: t, ..CommitInfo::default() })];
        assert_eq!(fault(&state, at(None)), Some(Fault::TimestampOrder { previous: 1000, found: None }));
        assert_eq!(fault(&state, at(Some(1000))), Some(Fault::TimestampOrder { previous: 1000, found: Some(1000) }));
        assert_eq!(state.advance(11, &at(Some(1001))).unwrap().timestamp, 1001);
        assert_eq!((state.next_timestamp(5), state.next_timestamp(5000)), (1001, 5000));
    }

    #[test]
    fn a_new_schema_gives_the_files_new_columns() {
        let state = table(&[]);
        let mut wider = metadata(&[]);
        wider.schema_string = wider.schema_string.replace("\"x\"", "\"y\"");
        let next = state.advance(11, &[Action::Metadata(wider)]).unwrap();
        assert!(next.files.containers()[0].min("y").is_some() && next.files.containers()[0].min("x").is_none());
        assert!(state.files.containers()[0].min("x").is_some());
    }

    #[test]
    fn a_table_begins_with_protocol_and_metadata() {
        let protocol = (*table(&[]).protocol).clone();
        let actions = commit("CREATE TABLE", true, vec![Action::Protocol(protocol), Action::Metadata(metadata(&[]))]);
        let state = TableState::create(&actions).unwrap();
        assert_eq!((state.version, state.timestamp, state.files.len()), (0, 2000, 0));
        assert!(TableState::create(&actions[..2]).is_err());
    }
}
