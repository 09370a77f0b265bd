//! The conflict rules against an oracle: whatever is let through must be explained by some serial order.
//!
//! A small partitioned table, every kind of operation with its meaning on rows (what a serial execution would do) and its
//! plan on files (what we commit). Operations start and commit in every interleaving of pairs, and in many random ones of
//! up to five. Under WriteSerializable the rows at the end must be those of *some* order of the operations that
//! succeeded, under Serializable those of the order of versions. `InsertCount` writes what it read, so that an order in
//! which it saw what it cannot have seen shows in the rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Map;

use super::actions::{Action, Add, DeletionVector, Metadata, Protocol};
use super::commit::{self, Operation, Provenance, WriteMode};
use super::conflicts::{Conflict, Proposal, Reads, Scope, check, validate};
use super::schema::{DataType, StructField, StructType};
use super::state::TableState;
use super::stats::FileStats;

/// Partition and value.
type Row = (u8, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// Two rows, one in each partition, without looking.
    Append,
    /// One row that says how many there are.
    InsertCount,
    Overwrite,
    OverwritePartition(u8),
    DeletePartition(u8),
    /// The smallest row of a partition, by a deletion vector.
    DeleteSmallest(u8),
    Truncate,
    Compact,
    CompactPartition(u8),
    /// Other rows and another schema.
    Replace,
    SetProperty,
    /// Back to the files of version 0.
    Restore,
}

const ALL: [Op; 15] = [
    Op::Append,
    Op::InsertCount,
    Op::Overwrite,
    Op::OverwritePartition(0),
    Op::OverwritePartition(1),
    Op::DeletePartition(0),
    Op::DeletePartition(1),
    Op::DeleteSmallest(0),
    Op::DeleteSmallest(1),
    Op::Truncate,
    Op::Compact,
    Op::CompactPartition(0),
    Op::Replace,
    Op::SetProperty,
    Op::Restore,
];

const INITIAL: [Row; 4] = [(0, 1), (0, 2), (1, 3), (1, 4)];

fn rows_of(op: Op, id: i64, count: usize) -> Vec<Row> {
    let value = 100 * (id + 1);
    match op {
        Op::Append => vec![(0, value), (1, value + 1)],
        Op::InsertCount => vec![(0, value + 10 + count as i64)],
        Op::Overwrite | Op::Replace => vec![(0, value + 2), (1, value + 3)],
        Op::OverwritePartition(p) => vec![(p, value + 4)],
        _ => vec![],
    }
}

/// What the operation means.
fn apply(op: Op, id: i64, rows: &mut Vec<Row>) {
    let count = rows.len();
    match op {
        Op::Overwrite | Op::Truncate | Op::Replace => rows.clear(),
        Op::DeletePartition(p) | Op::OverwritePartition(p) => rows.retain(|r| r.0 != p),
        Op::DeleteSmallest(p) => {
            if let Some(smallest) = rows.iter().filter(|r| r.0 == p).min().copied() {
                rows.retain(|r| *r != smallest);
            }
        }
        Op::Restore => *rows = INITIAL.to_vec(),
        Op::Append | Op::InsertCount | Op::Compact | Op::CompactPartition(_) | Op::SetProperty => {}
    }
    rows.extend(rows_of(op, id, count));
}

/// A table with the contents of its files, by path and deletion vector.
struct World {
    versions: Vec<TableState>,
    log: Vec<(i64, Vec<Action>)>,
    contents: HashMap<(String, Option<String>), Vec<Row>>,
    files_written: usize,
}

fn metadata(columns: &[&str], isolation: &str) -> Metadata {
    let fields = columns.iter().map(|name| StructField::new(*name, DataType::Long, true)).collect();
    Metadata {
        id: "t".into(),
        schema_string: StructType { fields }.to_schema_string(),
        partition_columns: vec!["p".into()],
        configuration: BTreeMap::from([
            ("delta.isolationLevel".to_owned(), isolation.to_owned()),
            ("delta.enableInCommitTimestamps".to_owned(), "true".to_owned()),
            ("delta.enableDeletionVectors".to_owned(), "true".to_owned()),
        ]),
        ..Metadata::default()
    }
}

impl World {
    fn new(isolation: &str) -> Self {
        let metadata = metadata(&["p", "x"], isolation);
        let schema = StructType::from_schema_string(&metadata.schema_string).unwrap();
        let protocol: Protocol = super::features::protocol_for(&schema, &metadata).unwrap();
        let mut world = Self { versions: vec![], log: vec![], contents: HashMap::new(), files_written: 0 };
        let mut actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        actions.extend(INITIAL.iter().map(|row| Action::Add(world.file(row.0, vec![*row], true))));
        let actions = commit::build(
            None,
            &Operation::Truncate,
            &Reads::Nothing,
            Provenance { now: 1, ..Provenance::default() },
            actions,
        );
        validate(&TableState::before_creation(&actions).unwrap(), &actions).unwrap();
        world.versions.push(TableState::create(&actions).unwrap());
        world.log.push((0, actions));
        world
    }

    fn newest(&self) -> &TableState {
        self.versions.last().unwrap()
    }

    fn file(&mut self, partition: u8, rows: Vec<Row>, data_change: bool) -> Add {
        self.files_written += 1;
        let path = format!("p={partition}/{}.parquet", self.files_written);
        let stats = FileStats::of_rows(rows.len() as i64).render();
        self.contents.insert((path.clone(), None), rows);
        Add {
            path,
            partition_values: BTreeMap::from([("p".to_owned(), Some(partition.to_string()))]),
            size: 1,
            data_change,
            stats: Some(stats),
            ..Add::default()
        }
    }

    fn read(&self, add: &Add) -> &Vec<Row> {
        &self.contents[&(add.path.clone(), add.dv_id())]
    }

    fn rows(&self, state: &TableState) -> Vec<Row> {
        let mut rows: Vec<Row> = state.files.iter().flat_map(|add| self.read(add).clone()).collect();
        rows.sort_unstable();
        assert_eq!(state.files.rows(), Some(rows.len() as i64));
        rows
    }

    /// What we would commit for the operation, having read `version`.
    fn plan(&mut self, op: Op, id: i64, version: usize) -> Proposal {
        let state = self.versions[version].clone();
        let in_partition = |add: &Add, p: u8| add.partition_values["p"].as_deref() == Some(p.to_string().as_str());
        let all: Vec<Add> = state.files.iter().map(|add| (**add).clone()).collect();
        let of = |p: u8| all.iter().filter(|add| in_partition(add, p)).cloned().collect::<Vec<_>>();
        let partition_scope = |p: u8| Scope::Partitions(vec![BTreeMap::from([("p".to_owned(), Some(p.to_string()))])]);
        let files =
            |files: &[Add], scope| Reads::Files { paths: files.iter().map(|a| a.path.clone()).collect(), scope };
        let removes =
            |files: &[Add], change| files.iter().map(|a| Action::Remove(a.to_remove(1, change))).collect::<Vec<_>>();
        let count = self.rows(&state).len();
        let mut new: Vec<Action> = Vec::new();
        for row in rows_of(op, id, count) {
            new.push(Action::Add(self.file(row.0, vec![row], true)));
        }
        let mut compacted = |chosen: &[Add]| {
            let mut actions = removes(chosen, false);
            for p in (0..2).filter(|p| chosen.iter().any(|a| in_partition(a, *p))) {
                let rows: Vec<Row> =
                    chosen.iter().filter(|a| in_partition(a, p)).flat_map(|a| self.read(a).clone()).collect();
                actions.push(Action::Add(self.file(p, rows, false)));
            }
            actions
        };
        let write = Operation::Write { mode: WriteMode::Append, partition_by: vec![], predicate: None };
        let (reads, operation, mut actions) = match op {
            Op::Append => (Reads::Nothing, write, vec![]),
            Op::InsertCount => (Reads::WholeTable, write, vec![]),
            Op::Overwrite => (Reads::WholeTable, write, removes(&all, true)),
            Op::Truncate => (Reads::WholeTable, Operation::Truncate, removes(&all, true)),
            Op::OverwritePartition(p) => (files(&of(p), partition_scope(p)), write, removes(&of(p), true)),
            Op::DeletePartition(p) => {
                (files(&of(p), partition_scope(p)), Operation::Delete { predicate: vec![] }, removes(&of(p), true))
            }
            Op::DeleteSmallest(p) => {
                let candidates = of(p);
                let smallest = candidates.iter().flat_map(|a| self.read(a).clone()).min();
                let hit = candidates.iter().find(|a| smallest.is_some_and(|row| self.read(a).contains(&row))).cloned();
                let mut actions = Vec::new();
                if let (Some(hit), Some(smallest)) = (hit, smallest) {
                    actions.push(Action::Remove(hit.to_remove(1, true)));
                    let left: Vec<Row> = self.read(&hit).iter().filter(|r| **r != smallest).copied().collect();
                    let deleted = hit.deletion_vector.as_ref().map_or(0, |dv| dv.cardinality) + 1;
                    self.files_written += 1;
                    let dv = DeletionVector {
                        storage_type: "u".into(),
                        path_or_inline_dv: format!("{:020}", self.files_written),
                        offset: Some(1),
                        size_in_bytes: 1,
                        cardinality: deleted,
                    };
                    let add = Add { deletion_vector: Some(dv), data_change: true, ..hit };
                    self.contents.insert((add.path.clone(), add.dv_id()), left);
                    actions.push(Action::Add(add));
                }
                (files(&candidates, partition_scope(p)), Operation::Delete { predicate: vec![] }, actions)
            }
            Op::Compact | Op::CompactPartition(_) => {
                let chosen = if let Op::CompactPartition(p) = op { of(p) } else { all.clone() };
                let optimize =
                    Operation::Optimize { predicate: vec![], z_order_by: vec![], cluster_by: vec![], auto: false };
                (files(&chosen, Scope::Nothing), optimize, compacted(&chosen))
            }
            Op::Replace => {
                let mut actions = removes(&all, true);
                let mut metadata = metadata(&["p", "x", "y"], &state.metadata.configuration["delta.isolationLevel"]);
                metadata.configuration = state.metadata.configuration.clone();
                actions.push(Action::Metadata(metadata));
                (Reads::WholeTable, write, actions)
            }
            Op::SetProperty => {
                let mut metadata = (*state.metadata).clone();
                metadata.configuration.insert("note".into(), id.to_string());
                (
                    Reads::Nothing,
                    Operation::SetTableProperties { properties: BTreeMap::new() },
                    vec![Action::Metadata(metadata)],
                )
            }
            Op::Restore => {
                let old: Vec<Add> = self.versions[0].files.iter().map(|a| (**a).clone()).collect();
                let key = |a: &Add| (a.path.clone(), a.dv_id());
                let (then, now): (HashSet<_>, HashSet<_>) =
                    (old.iter().map(key).collect(), all.iter().map(key).collect());
                let gone: Vec<Add> = all.iter().filter(|a| !then.contains(&key(a))).cloned().collect();
                let mut actions = removes(&gone, true);
                actions.extend(old.into_iter().filter(|a| !now.contains(&key(a))).map(Action::Add));
                (Reads::WholeTable, Operation::Restore { version: Some(0), timestamp: None }, actions)
            }
        };
        actions.extend(new);
        let provenance = Provenance { now: 1, txn_id: id.to_string(), ..Provenance::default() };
        let actions = commit::build(Some(&state), &operation, &reads, provenance, actions);
        Proposal { read_version: version as i64, reads, read_app_ids: BTreeSet::new(), actions }
    }

    fn commit(&mut self, proposal: &Proposal) -> Result<(), Conflict> {
        let winners = &self.log[(proposal.read_version + 1) as usize..];
        let rebased = check(proposal, winners, self.newest())?;
        validate(self.newest(), &rebased.actions).unwrap();
        let text = super::commit_file::render_commit(&rebased.actions).unwrap();
        let read = super::commit_file::parse_commit(&text).unwrap();
        assert_eq!(read, rebased.actions);
        let next = self.newest().advance(rebased.version, &read).unwrap();
        self.versions.push(next);
        self.log.push((rebased.version, rebased.actions));
        Ok(())
    }
}

fn permutations(items: &[(i64, Op)]) -> Vec<Vec<(i64, Op)>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let mut out = Vec::new();
    for i in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(i);
        out.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, first);
            tail
        }));
    }
    out
}

fn serial(order: &[(i64, Op)]) -> Vec<Row> {
    let mut rows = INITIAL.to_vec();
    for (id, op) in order {
        apply(*op, *id, &mut rows);
    }
    rows.sort_unstable();
    rows
}

/// Runs a schedule: each number is the index of an operation; its first occurrence starts it, its second commits it.
/// Returns the operations that succeeded, in order of their versions.
fn run(isolation: &str, ops: &[Op], schedule: &[usize]) -> Vec<(i64, Op)> {
    let mut world = World::new(isolation);
    let mut started: HashMap<usize, Proposal> = HashMap::new();
    let mut succeeded = Vec::new();
    for &index in schedule {
        match started.remove(&index) {
            None => {
                let newest = world.versions.len() - 1;
                let proposal = world.plan(ops[index], index as i64, newest);
                started.insert(index, proposal);
            }
            Some(proposal) => {
                if world.commit(&proposal).is_ok() {
                    succeeded.push((index as i64, ops[index]));
                }
            }
        }
    }
    let rows = world.rows(world.newest());
    let explained = match isolation {
        "Serializable" => serial(&succeeded) == rows,
        _ => permutations(&succeeded).iter().any(|order| serial(order) == rows),
    };
    assert!(explained, "{isolation}: {ops:?} by {schedule:?}: {succeeded:?} made {rows:?}, which no order explains");
    succeeded
}

#[test]
fn every_pair_of_operations_from_the_same_version() {
    let mut both = 0;
    for isolation in ["WriteSerializable", "Serializable"] {
        for first in ALL {
            for second in ALL {
                let succeeded = run(isolation, &[first, second], &[0, 1, 0, 1]);
                assert_eq!(succeeded[0].1, first, "the first one to commit never conflicts");
                both += usize::from(succeeded.len() == 2);
                if isolation == "WriteSerializable" && second == Op::Append {
                    let schema_or_property = matches!(first, Op::Replace | Op::SetProperty);
                    assert_eq!(succeeded.len(), if schema_or_property { 1 } else { 2 }, "{first:?} then append");
                }
            }
        }
    }
    // Not everything conflicts, or the rules would be useless.
    assert!(both > 100, "{both}");
}

#[test]
fn the_races_that_lose_rows_elsewhere_conflict() {
    for isolation in ["WriteSerializable", "Serializable"] {
        for second in
            [Op::Compact, Op::CompactPartition(0), Op::Overwrite, Op::Truncate, Op::DeletePartition(0), Op::Restore]
        {
            assert_eq!(run(isolation, &[Op::Compact, second], &[0, 1, 0, 1]).len(), 1, "compaction, then {second:?}");
        }
        for disjoint in [Op::DeletePartition(1), Op::OverwritePartition(1), Op::DeleteSmallest(1)] {
            assert_eq!(run(isolation, &[Op::CompactPartition(0), disjoint], &[0, 1, 0, 1]).len(), 2, "{disjoint:?}");
        }
        assert_eq!(run(isolation, &[Op::Append, Op::Compact], &[0, 1, 0, 1]).len(), 2, "appends never stop compaction");
    }
}

#[test]
fn a_reader_is_not_ordered_before_an_append_that_a_later_winner_read() {
    // The delete must come before the append (which survives it) and after the count (which counted what it deletes), but
    // the count has counted the append.
    let ops = [Op::DeletePartition(1), Op::Append, Op::InsertCount];
    let schedule = [0, 1, 1, 2, 2, 0];
    assert_eq!(run("WriteSerializable", &ops, &schedule), [(1, Op::Append), (2, Op::InsertCount)]);
}

#[test]
fn random_interleavings_of_three_to_five_operations() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % below
    };
    let mut by_count = Map::new();
    for round in 0..4_000 {
        let ops: Vec<Op> = (0..3 + random(3)).map(|_| ALL[random(ALL.len())]).collect();
        let mut schedule: Vec<usize> = (0..ops.len()).flat_map(|i| [i, i]).collect();
        for i in (1..schedule.len()).rev() {
            schedule.swap(i, random(i + 1));
        }
        let isolation = if round % 4 == 0 { "Serializable" } else { "WriteSerializable" };
        let succeeded = run(isolation, &ops, &schedule);
        by_count.insert(succeeded.len().to_string(), true.into());
    }
    assert!(by_count.len() >= 3, "the schedules should differ in what succeeds: {by_count:?}");
}
