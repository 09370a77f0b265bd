//! May a commit that was planned on version N stand on a later one? Optimistic concurrency as delta-spark's
//! `ConflictChecker` has it, with its names, and stricter in three places where rows or order would be lost:
//!
//! - a file that a winner removed is gone, whether the winner changed data or only rearranged it: compaction conflicts
//!   with whatever removes or reads the same files;
//! - under WriteSerializable a reader may be ordered before a blind append that it did not see, but only as long as no
//!   later winner can have read that append: otherwise no serial order explains the table;
//! - a change of schema conflicts with every winner that added files, for nobody checked those against the new schema.
//!
//! `commitInfo.isBlindAppend` of a winner is believed only if the commit's actions bear it out.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::actions::{Action, Add, Metadata, PartitionValues, Remove, commit_info};
use super::commit;
use super::state::TableState;

pub use super::validate::{Invalid, validate};

/// How strictly commits are ordered; the table property `delta.isolationLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Some serial order explains the table, and it may move a blind append after a reader that did not see it.
    WriteSerializable,
    /// The order of versions explains the table.
    Serializable,
}

impl Isolation {
    /// The level that a table asks for; WriteSerializable unless it says otherwise.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        match metadata.configuration.get("delta.isolationLevel") {
            Some(level) if level.eq_ignore_ascii_case("Serializable") => Self::Serializable,
            _ => Self::WriteSerializable,
        }
    }
}

/// What a statement looked at before it decided what to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// Nothing of the table: a blind append, a property change.
    Nothing,
    /// Everything: overwrite, delete-all, create-or-replace, restore, any subquery over the table itself.
    WholeTable,
    /// These files (paths as in the log), and `scope` is where a file that appears meanwhile should have been read, too.
    Files { paths: HashSet<String>, scope: Scope },
}

/// Which newly added files a statement would have read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// None: compaction of files chosen beforehand.
    Nothing,
    /// Any: a predicate on data columns.
    Everything,
    /// Those in a partition that agrees with one of these in all columns that it names (physical names).
    Partitions(Vec<PartitionValues>),
}

impl Reads {
    fn depend_on(&self, path: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::WholeTable => true,
            Self::Files { paths, .. } => paths.contains(path),
        }
    }

    fn would_include(&self, add: &Add) -> bool {
        match self {
            Self::Nothing | Self::Files { scope: Scope::Nothing, .. } => false,
            Self::WholeTable | Self::Files { scope: Scope::Everything, .. } => true,
            Self::Files { scope: Scope::Partitions(partitions), .. } => {
                // A column that the file does not have counts as a match: better to conflict.
                let agrees = |(column, value): (&String, &Option<String>)| match add.partition_values.get(column) {
                    Some(found) => normal(found) == normal(value),
                    None => true,
                };
                partitions.iter().any(|partition| partition.iter().all(agrees))
            }
        }
    }
}

/// The empty string is null in partition values.
fn normal(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.is_empty())
}

/// A commit in search of a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The version that it was planned on.
    pub read_version: i64,
    pub reads: Reads,
    /// Applications whose progress (`txn`) it looked at; those that it writes count by themselves.
    pub read_app_ids: BTreeSet<String>,
    /// `commitInfo` first; see [`commit::build`].
    pub actions: Vec<Action>,
}

/// A commit that may stand on `state`, if [`validate`] agrees.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebased {
    /// The version to write.
    pub version: i64,
    pub actions: Vec<Action>,
}

/// The commit that came first, and what of it is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    pub version: i64,
    pub operation: Option<String>,
    /// The file in question.
    pub path: Option<String>,
}

impl fmt::Display for Winner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} ({})", self.version, self.operation.as_deref().unwrap_or("unknown operation"))?;
        match &self.path {
            Some(path) => write!(f, ", file '{path}'"),
            None => Ok(()),
        }
    }
}

/// Why a commit cannot stand on the newer version. Nothing was written; running the statement again on the newest version
/// is right in every case but [`Conflict::ConcurrentTransaction`], where it has been done already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("another commit added files that this statement should have read: {0}; run it again")]
    ConcurrentAppend(Winner),
    #[error(
        "this statement would be ordered before the append in version {appended}, which it did not see, and after a commit that may have read it: {winner}; run it again"
    )]
    UnorderedAppend { appended: i64, winner: Winner },
    #[error("another commit removed a file that this statement read: {0}; run it again")]
    ConcurrentDeleteRead(Winner),
    #[error("another commit removed a file that this statement removes: {0}; run it again")]
    ConcurrentDeleteDelete(Winner),
    #[error("another commit changed the schema or the properties of the table: {0}; run the statement again")]
    MetadataChanged(Winner),
    #[error("another commit changed the protocol of the table: {0}; run the statement again")]
    ProtocolChanged(Winner),
    #[error(
        "another commit recorded the progress of the same application '{app_id}': {winner}; it is the same stream twice, or a retry of what was done already: read its progress before going on"
    )]
    ConcurrentTransaction { app_id: String, winner: Winner },
    #[error("another commit changed the metadata domain '{domain}': {winner}; run the statement again")]
    DomainMetadataChanged { domain: String, winner: Winner },
    #[error(
        "the commits between version {read} and {newest} are not all at hand (version {missing} is missing); load them and check again"
    )]
    MissingCommits { read: i64, newest: i64, missing: i64 },
}

impl Conflict {
    /// The name of delta-spark's exception, which clients look for in messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ConcurrentAppend(_) | Self::UnorderedAppend { .. } => "ConcurrentAppendException",
            Self::ConcurrentDeleteRead(_) => "ConcurrentDeleteReadException",
            Self::ConcurrentDeleteDelete(_) => "ConcurrentDeleteDeleteException",
            Self::MetadataChanged(_) => "MetadataChangedException",
            Self::ProtocolChanged(_) => "ProtocolChangedException",
            Self::ConcurrentTransaction { .. } | Self::DomainMetadataChanged { .. } => "ConcurrentTransactionException",
            Self::MissingCommits { .. } => "ConcurrentWriteException",
        }
    }

    /// Whether planning and running the statement again on the newest version may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::ConcurrentTransaction { .. })
    }
}

/// Moves a proposal onto `state`, the version that the last winner made. `winners` are all commits after
/// `proposal.read_version`, in order; none means that there was no race.
///
/// # Errors
/// The first [`Conflict`], by winner and then in delta-spark's order of checks.
pub fn check<A: AsRef<[Action]>>(
    proposal: &Proposal,
    winners: &[(i64, A)],
    state: &TableState,
) -> Result<Rebased, Conflict> {
    let expected = proposal.read_version + 1..=state.version;
    let mut versions = winners.iter().map(|(version, _)| *version);
    if let Some(missing) = expected.clone().find(|version| versions.next() != Some(*version)) {
        return Err(Conflict::MissingCommits { read: proposal.read_version, newest: state.version, missing });
    }
    let own = Own::of(proposal, state);
    let mut unseen_append = None;
    for (version, actions) in winners {
        own.against(&WinningCommit::of(*version, actions.as_ref()), &mut unseen_append)?;
    }
    let mut actions = proposal.actions.clone();
    commit::stamp(&mut actions, state);
    Ok(Rebased { version: state.version + 1, actions })
}

struct WinningCommit<'a> {
    version: i64,
    actions: &'a [Action],
    operation: Option<&'a str>,
    blind_append: bool,
    data_change: bool,
}

impl<'a> WinningCommit<'a> {
    fn of(version: i64, actions: &'a [Action]) -> Self {
        let info = commit_info(actions);
        let only_new_rows = actions.iter().all(|action| match action {
            Action::Add(add) => add.data_change,
            Action::Remove(_) | Action::Metadata(_) | Action::Protocol(_) => false,
            _ => true,
        });
        let data_change = actions.iter().any(|action| match action {
            Action::Add(add) => add.data_change,
            Action::Remove(remove) => remove.data_change,
            _ => false,
        });
        Self {
            version,
            actions,
            operation: info.and_then(|i| i.operation.as_deref()),
            blind_append: only_new_rows && info.is_some_and(|i| i.is_blind_append == Some(true)),
            data_change,
        }
    }

    fn adds(&self) -> impl Iterator<Item = &'a Add> {
        self.actions.iter().filter_map(|a| if let Action::Add(add) = a { Some(add) } else { None })
    }

    fn removes(&self) -> impl Iterator<Item = &'a Remove> {
        self.actions.iter().filter_map(|a| if let Action::Remove(remove) = a { Some(remove) } else { None })
    }

    fn facts(&self, path: Option<&str>) -> Winner {
        Winner { version: self.version, operation: self.operation.map(str::to_owned), path: path.map(str::to_owned) }
    }
}

/// The proposal, as the checks want it.
struct Own<'a> {
    reads: &'a Reads,
    app_ids: BTreeSet<&'a str>,
    domains: BTreeSet<&'a str>,
    added: HashSet<&'a str>,
    removed: HashSet<&'a str>,
    /// Only rearranges rows: added files are none of its business (delta-spark's SnapshotIsolation).
    rearranges: bool,
    changes_metadata: bool,
    changes_schema: bool,
    isolation: Isolation,
}

impl<'a> Own<'a> {
    fn of(proposal: &'a Proposal, state: &TableState) -> Self {
        let mut own = Self {
            reads: &proposal.reads,
            app_ids: proposal.read_app_ids.iter().map(String::as_str).collect(),
            domains: BTreeSet::new(),
            added: HashSet::new(),
            removed: HashSet::new(),
            rearranges: true,
            changes_metadata: false,
            changes_schema: false,
            isolation: Isolation::of(&state.metadata),
        };
        for action in &proposal.actions {
            match action {
                Action::Add(add) => {
                    own.rearranges &= !add.data_change;
                    own.added.insert(&add.path);
                }
                Action::Remove(remove) => {
                    own.rearranges &= !remove.data_change;
                    own.removed.insert(&remove.path);
                }
                Action::Metadata(metadata) => {
                    own.rearranges = false;
                    own.changes_metadata = true;
                    own.changes_schema |= metadata.schema_string != state.metadata.schema_string
                        || metadata.partition_columns != state.metadata.partition_columns;
                }
                Action::Txn(txn) => {
                    own.app_ids.insert(&txn.app_id);
                }
                Action::DomainMetadata(domain) => {
                    own.domains.insert(&domain.domain);
                }
                _ => {}
            }
        }
        own.rearranges &= !(own.added.is_empty() && own.removed.is_empty());
        own
    }

    fn against(&self, winner: &WinningCommit<'_>, unseen_append: &mut Option<i64>) -> Result<(), Conflict> {
        for action in winner.actions {
            match action {
                Action::Protocol(_) => return Err(Conflict::ProtocolChanged(winner.facts(None))),
                Action::Metadata(_) => return Err(Conflict::MetadataChanged(winner.facts(None))),
                Action::DomainMetadata(d) if self.domains.contains(d.domain.as_str()) => {
                    let (domain, winner) = (d.domain.clone(), winner.facts(None));
                    return Err(Conflict::DomainMetadataChanged { domain, winner });
                }
                Action::Txn(txn) if self.app_ids.contains(txn.app_id.as_str()) => {
                    let (app_id, winner) = (txn.app_id.clone(), winner.facts(None));
                    return Err(Conflict::ConcurrentTransaction { app_id, winner });
                }
                _ => {}
            }
        }
        self.added_files(winner, unseen_append)?;
        for remove in winner.removes() {
            let path = remove.path.as_str();
            // Removed twice is the name that fits best, then read; a file that we add again would rise from the dead.
            if self.removed.contains(path) {
                return Err(Conflict::ConcurrentDeleteDelete(winner.facts(Some(path))));
            }
            if self.reads.depend_on(path) || self.added.contains(path) {
                return Err(Conflict::ConcurrentDeleteRead(winner.facts(Some(path))));
            }
        }
        Ok(())
    }

    fn added_files(&self, winner: &WinningCommit<'_>, unseen_append: &mut Option<i64>) -> Result<(), Conflict> {
        // The very same file: a retry of a commit that had been written after all, or an import of one file twice.
        if let Some(add) = winner.adds().find(|add| self.added.contains(add.path.as_str())) {
            return Err(Conflict::ConcurrentAppend(winner.facts(Some(&add.path))));
        }
        if self.rearranges {
            return Ok(());
        }
        if let Some(appended) = *unseen_append
            && !winner.blind_append
            && winner.data_change
        {
            return Err(Conflict::UnorderedAppend { appended, winner: winner.facts(None) });
        }
        let Some(add) = winner.adds().find(|add| self.changes_schema || self.reads.would_include(add)) else {
            return Ok(());
        };
        let may_reorder =
            winner.blind_append && self.isolation == Isolation::WriteSerializable && !self.changes_metadata;
        if !may_reorder {
            return Err(Conflict::ConcurrentAppend(winner.facts(Some(&add.path))));
        }
        unseen_append.get_or_insert(winner.version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixtures::{add, commit as committed, metadata, quiet, remove, table};
    use super::*;
    use crate::model::actions::{DomainMetadata, Protocol, Txn};

    fn proposal(reads: Reads, actions: Vec<Action>) -> Proposal {
        Proposal { read_version: 10, reads, read_app_ids: BTreeSet::new(), actions: committed("WRITE", false, actions) }
    }

    fn files(paths: &[&str], scope: Scope) -> Reads {
        Reads::Files { paths: paths.iter().map(|p| (*p).to_owned()).collect(), scope }
    }

    /// The kind of conflict of a proposal with one winner, or "" if there is none.
    fn race(properties: &[(&str, &str)], winner: Vec<Action>, own: &Proposal) -> &'static str {
        let state = table(properties).advance(11, &winner).unwrap();
        check(own, &[(11, winner)], &state).map_or_else(|conflict| conflict.kind(), |_| "")
    }

    fn append(path: &str) -> Vec<Action> {
        committed("WRITE", true, vec![Action::Add(add(path, 1))])
    }

    const SERIALIZABLE: &[(&str, &str)] = &[("delta.isolationLevel", "Serializable")];

    #[test]
    fn appends_stop_at_metadata_and_protocol_only() {
        let own = proposal(Reads::Nothing, vec![Action::Add(add("n", 1))]);
        assert_eq!(race(&[], append("w"), &own), "");
        assert_eq!(race(SERIALIZABLE, committed("DELETE", false, vec![remove(add("a", 10))]), &own), "");
        assert_eq!(race(&[], vec![Action::Metadata(metadata(&[("n", "1")]))], &own), "MetadataChangedException");
        let newer =
            Protocol { min_reader_version: 1, min_writer_version: 4, reader_features: None, writer_features: None };
        assert_eq!(race(&[], vec![Action::Protocol(newer)], &own), "ProtocolChangedException");
        assert_eq!(race(&[], append("n"), &own), "ConcurrentAppendException", "the very same file");
    }

    #[test]
    fn readers_and_blind_appends() {
        let overwrite = proposal(Reads::WholeTable, vec![remove(add("a", 10)), Action::Add(add("n", 1))]);
        assert_eq!(race(&[], append("w"), &overwrite), "", "ordered before the append");
        assert_eq!(race(SERIALIZABLE, append("w"), &overwrite), "ConcurrentAppendException");
        // An append that claims to be blind and is not.
        let liar = committed("OPTIMIZE", true, vec![Action::Add(quiet(add("b", 10)))]);
        assert_eq!(race(&[], liar, &overwrite), "ConcurrentAppendException");
        let unmarked = vec![Action::Add(add("w", 1))];
        assert_eq!(race(&[], unmarked, &overwrite), "ConcurrentAppendException");
        let alter = proposal(Reads::Nothing, vec![Action::Metadata(metadata(&[("n", "1")]))]);
        assert_eq!(race(&[], append("w"), &alter), "");
        let mut wider = metadata(&[]);
        wider.schema_string = wider.schema_string.replace("\"x\"", "\"y\"");
        let widen = proposal(Reads::Nothing, vec![Action::Metadata(wider)]);
        assert_eq!(race(&[], append("w"), &widen), "ConcurrentAppendException");
    }

    #[test]
    fn compaction_is_a_removal_like_any_other() {
        let compaction = || {
            let (a, b) = (quiet(add("a", 10)), quiet(add("b", 10)));
            committed("OPTIMIZE", false, vec![remove(a), remove(b), Action::Add(quiet(add("w", 20)))])
        };
        let again = proposal(
            files(&["a", "c"], Scope::Nothing),
            vec![remove(quiet(add("a", 10))), Action::Add(quiet(add("n", 10)))],
        );
        assert_eq!(race(&[], compaction(), &again), "ConcurrentDeleteDeleteException");
        let truncate = proposal(Reads::WholeTable, vec![remove(add("c", 10))]);
        assert_eq!(race(&[], compaction(), &truncate), "ConcurrentAppendException");
        let elsewhere = proposal(
            files(&["c"], Scope::Nothing),
            vec![remove(quiet(add("c", 10))), Action::Add(quiet(add("n", 10)))],
        );
        assert_eq!(race(&[], compaction(), &elsewhere), "");
        assert_eq!(race(SERIALIZABLE, append("w"), &elsewhere), "", "appends are none of compaction's business");
        let read = proposal(files(&["a"], Scope::Nothing), vec![Action::Add(add("n", 1))]);
        assert_eq!(race(&[], compaction(), &read), "ConcurrentDeleteReadException");
        let renewed = proposal(Reads::Nothing, vec![Action::Add(quiet(add("a", 10)))]);
        assert_eq!(race(&[], compaction(), &renewed), "ConcurrentDeleteReadException", "the file would come back");
    }

    #[test]
    fn predicates_on_partitions_narrow_what_conflicts() {
        let day = |day: &str| Scope::Partitions(vec![BTreeMap::from([("p".to_owned(), Some(day.to_owned()))])]);
        let delete = |scope| proposal(files(&["a"], scope), vec![remove(add("a", 10))]);
        assert_eq!(race(SERIALIZABLE, append("w"), &delete(day("2024-01-01"))), "ConcurrentAppendException");
        assert_eq!(race(SERIALIZABLE, append("w"), &delete(day("2024-01-02"))), "");
        assert_eq!(race(SERIALIZABLE, append("w"), &delete(Scope::Everything)), "ConcurrentAppendException");
    }

    #[test]
    fn streams_and_domains_are_not_shared() {
        let txn = Action::Txn(Txn { app_id: "s".into(), version: 1, last_updated: None });
        let own = proposal(Reads::Nothing, vec![txn.clone(), Action::Add(add("n", 1))]);
        assert_eq!(race(&[], vec![txn.clone()], &own), "ConcurrentTransactionException");
        let mut reader = proposal(Reads::Nothing, vec![Action::Add(add("n", 1))]);
        assert_eq!(race(&[], vec![txn.clone()], &reader), "");
        reader.read_app_ids.insert("s".into());
        assert_eq!(race(&[], vec![txn], &reader), "ConcurrentTransactionException");
        let domain =
            Action::DomainMetadata(DomainMetadata { domain: "d".into(), configuration: String::new(), removed: false });
        let own = proposal(Reads::Nothing, vec![domain.clone()]);
        assert_eq!(race(&[], vec![domain], &own), "ConcurrentTransactionException");
    }

    #[test]
    fn every_version_in_between_must_be_at_hand() {
        let own = proposal(Reads::Nothing, vec![]);
        let state = table(&[]).advance(11, &append("v")).unwrap().advance(12, &append("w")).unwrap();
        let missing = check(&own, &[(12, append("w"))], &state);
        assert_eq!(missing, Err(Conflict::MissingCommits { read: 10, newest: 12, missing: 11 }));
        let rebased = check(&own, &[(11, append("v")), (12, append("w"))], &state).unwrap();
        assert_eq!(rebased.version, 13);
    }

    #[test]
    fn messages_name_the_winner_and_what_to_do() {
        let state = table(&[]).advance(11, &committed("TRUNCATE", false, vec![remove(add("a", 10))])).unwrap();
        let own = proposal(files(&["a"], Scope::Nothing), vec![remove(add("a", 10))]);
        let winner = committed("TRUNCATE", false, vec![remove(add("a", 10))]);
        let conflict = check(&own, &[(11, winner)], &state).unwrap_err();
        let message = conflict.to_string();
        assert!(message.contains("version 11 (TRUNCATE), file 'a'") && message.contains("run it again"), "{message}");
        assert!(conflict.retryable());
    }
}
