//! The arbiter: nothing acknowledged is lost, nothing is doubled, whatever queue or replica a commit came from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use crannog_kit::Tasks;
use crannog_lake::model::actions::{Action, Format, Metadata};
use crannog_lake::model::commit::{Operation, TableDescription, WriteMode};
use crannog_lake::model::conflicts::Reads;
use crannog_lake::model::features::protocol_for;
use crannog_lake::model::schema::{DataType as DeltaType, StructField, StructType};
use crannog_lake::ports::{Engine, RowStream, WriteSpec};
use crannog_lake::service::arbiter::{Arbiter, Author, Committed, Plan, append_plan, may_be_committed, txn};
use crannog_lake::service::table_log::commit_path;
use crannog_security::{System, Task};
use crannog_storage::faults::{Faults, Step};
use crannog_storage::{Access, External, Folder, Managed, Storage};
use crannog_types::{Code, Micros};
use futures::FutureExt;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::fake::{FakeEngine, REFUSED};

struct Table {
    folder: Folder,
    _data: TempDir,
}

fn arbiter() -> Arc<Arbiter> {
    Arbiter::new(Arc::new(FakeEngine::default()), Tasks::new())
}

fn schema() -> StructType {
    StructType::new(vec![StructField::new("n", DeltaType::Long, true)]).unwrap()
}

fn metadata() -> Metadata {
    Metadata {
        id: "t".to_owned(),
        name: None,
        description: None,
        format: Format::default(),
        schema_string: schema().to_schema_string(),
        partition_columns: Vec::new(),
        configuration: Default::default(),
        created_time: Some(0),
    }
}

async fn table(arbiter: &Arbiter) -> Table {
    let data = tempfile::tempdir().unwrap();
    let storage = Storage::new(data.path(), External::Nowhere).unwrap();
    table_in(arbiter, data, &storage).await
}

async fn table_in(arbiter: &Arbiter, data: TempDir, storage: &Storage) -> Table {
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a permit")]
    let system = System::task(Task::Probe);
    let at = storage.managed(Managed::Tables, uuid::Uuid::now_v7());
    let folder = storage.open(&system, &at, Access::ReadWrite).unwrap();
    let actions = vec![Action::Protocol(protocol_for(&schema(), &metadata()).unwrap()), Action::Metadata(metadata())];
    let operation = Operation::CreateTable(TableDescription::of(&metadata(), true));
    arbiter.create(&folder, &operation, &Author::default(), actions).await.unwrap();
    Table { folder, _data: data }
}

fn rows(from: i64, count: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(from..from + count))]).unwrap()
}

/// Appends rows as a statement would that begins now.
async fn append(arbiter: &Arc<Arbiter>, folder: &Folder, batch: RecordBatch) -> crannog_types::Result<Committed> {
    let read = arbiter.open(folder).await?;
    arbiter.append_rows(folder, read, vec![batch], Author::default()).await
}

fn spec() -> WriteSpec {
    WriteSpec { schema: schema(), metadata: metadata(), now: Micros(0) }
}

fn stream_of(count: i64) -> RowStream {
    Box::pin(futures::stream::iter([Ok(rows(0, count))]))
}

async fn files(folder: &Folder, count: i64) -> Vec<crannog_lake::model::Add> {
    FakeEngine::default().write(folder, &spec(), stream_of(count)).await.unwrap()
}

/// A disk that answers when it is let.
#[derive(Default)]
struct Hangs {
    held: Mutex<bool>,
    changed: Condvar,
}

impl Hangs {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.changed.notify_all();
    }
}

impl Faults for Hangs {
    fn before(&self, _: &Step) -> std::io::Result<()> {
        drop(self.changed.wait_while(self.held.lock().unwrap(), |held| *held).unwrap());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_disk_hangs_is_found_and_goes_on_when_it_answers() {
    let (arbiter, disk, data) = (arbiter(), Arc::new(Hangs::default()), tempfile::tempdir().unwrap());
    let storage =
        Storage::new(data.path(), External::Nowhere).unwrap().with_faults(Arc::clone(&disk) as Arc<dyn Faults>);
    let table = table_in(&arbiter, data, &storage).await;
    append(&arbiter, &table.folder, rows(0, 1)).await.unwrap();
    assert_eq!(arbiter.stuck(Duration::ZERO), None);
    disk.hold(true);
    let (writing, folder) = (Arc::clone(&arbiter), table.folder.clone());
    let mut writers = JoinSet::new();
    writers.spawn(async move { append(&writing, &folder, rows(1, 1)).await });
    while arbiter.stuck(Duration::from_millis(20)).as_ref() != Some(table.folder.location()) {
        tokio::task::yield_now().await;
    }
    disk.hold(false);
    assert_eq!(writers.join_next().await.unwrap().unwrap().unwrap().version, 2);
    assert_eq!(arbiter.stuck(Duration::ZERO), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_append_is_a_version_of_its_own() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    for expected in 1..=3 {
        let committed = append(&arbiter, &table.folder, rows(0, 1)).await.unwrap();
        assert_eq!(committed.version, expected);
    }
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_wait_are_grouped_and_none_is_lost() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let (arbiter, folder) = (Arc::clone(&arbiter), table.folder.clone());
        writers.spawn(async move {
            for n in 0..10 {
                append(&arbiter, &folder, rows(writer * 10 + n, 1)).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let state = arbiter.open(&table.folder).await.unwrap();
    assert_eq!(state.files.rows(), Some(640));
    assert!(state.version < 320, "{} versions for 640 appends of 64 writers", state.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_arbiters_over_one_table_lose_and_double_nothing() {
    let (one, other) = (arbiter(), arbiter());
    let table = table(&one).await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let arbiter = if writer % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&other) };
        let folder = table.folder.clone();
        writers.spawn(async move {
            for _ in 0..10 {
                let read = arbiter.open(&folder).await.unwrap();
                let adds = files(&folder, 1).await;
                arbiter.commit(&folder, append_plan(read, adds), &Author::default()).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(one.open(&table.folder).await.unwrap().files.rows(), Some(80));
    assert_eq!(other.open(&table.folder).await.unwrap().version, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_overwrites_planned_on_one_version_the_second_is_refused() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    append(&arbiter, &table.folder, rows(0, 4)).await.unwrap();
    let read = arbiter.open(&table.folder).await.unwrap();
    let overwrite = async || {
        let removes = read.files.iter().map(|add| Action::Remove(add.to_remove(1, true)));
        let adds = files(&table.folder, 2).await.into_iter().map(Action::Add);
        let plan = Plan {
            read: Arc::clone(&read),
            reads: Reads::WholeTable,
            operation: Operation::Write { mode: WriteMode::Overwrite, partition_by: Vec::new(), predicate: None },
            metrics: Default::default(),
            actions: removes.chain(adds).collect(),
        };
        arbiter.commit(&table.folder, plan, &Author::default()).await
    };
    overwrite().await.unwrap();
    let refused = overwrite().await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains("Concurrent"), "{refused}");
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_application_progress_is_committed_once() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let read = arbiter.open(&table.folder).await.unwrap();
    let plan = async || {
        let mut plan = append_plan(Arc::clone(&read), files(&table.folder, 5).await);
        plan.actions.insert(0, txn("segment".to_owned(), 7));
        plan
    };
    arbiter.commit(&table.folder, plan().await, &Author::default()).await.unwrap();
    assert_eq!(
        arbiter.commit(&table.folder, plan().await, &Author::default()).await.unwrap_err().code(),
        Code::Aborted
    );
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_commit_is_seen_and_a_foreign_wrong_one_stops_our_writes_alone() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let add = files(&table.folder, 3).await.remove(0);
    let foreign = serde_json::json!({ "add": add }).to_string();
    assert!(table.folder.put_if_absent(&commit_path(1), foreign).await.unwrap());
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(3));
    let twice = serde_json::json!({ "remove": { "path": "not-there.parquet", "dataChange": true } }).to_string();
    assert!(table.folder.put_if_absent(&commit_path(2), twice).await.unwrap());
    let state = arbiter.open(&table.folder).await.unwrap();
    assert_eq!((state.version, state.files.rows()), (2, Some(3)));
    let refused = append(&arbiter, &table.folder, rows(0, 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused}");
    assert!(refused.next_step().is_some_and(|step| step.contains("RESTORE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_waiting_takes_nobody_else_along_and_leaves_no_empty_version() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let mut writers = JoinSet::new();
    let read = arbiter.open(&table.folder).await.unwrap();
    for writer in 0..40_i64 {
        let (arbiter, folder, read) = (Arc::clone(&arbiter), table.folder.clone(), Arc::clone(&read));
        writers.spawn(async move {
            let append = arbiter.append_rows(&folder, read, vec![rows(writer, 1)], Author::default());
            if writer % 2 == 0 {
                append.await.map(|_| 1)
            } else {
                // Polled once, so that its rows wait, and then given up.
                tokio::select! {
                    biased;
                    outcome = append => outcome.map(|_| 1),
                    () = tokio::task::yield_now() => Ok(0),
                }
            }
        });
    }
    let mut acknowledged = 0;
    while let Some(outcome) = writers.join_next().await {
        acknowledged += outcome.unwrap().unwrap();
    }
    let state = arbiter.open(&table.folder).await.unwrap();
    let there = state.files.rows().unwrap();
    assert!((acknowledged..=40).contains(&there), "{acknowledged} acknowledged, {there} there");
    assert!(acknowledged >= 20);
    assert!(state.files.iter().all(|add| crannog_lake::model::stats::num_records(add.stats.as_deref()) != Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_written_fail_for_their_own_writer() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let mut writers = JoinSet::new();
    for writer in 0..40_i64 {
        let (arbiter, folder) = (Arc::clone(&arbiter), table.folder.clone());
        let value = if writer % 10 == 0 { REFUSED } else { writer };
        writers.spawn(async move { (value, append(&arbiter, &folder, rows(value, 1)).await) });
    }
    while let Some(outcome) = writers.join_next().await {
        let (value, outcome) = outcome.unwrap();
        match value {
            REFUSED => assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument),
            _ => drop(outcome.unwrap()),
        }
    }
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(36));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_made_for_an_older_schema_are_refused_and_the_others_written() {
    let arbiter = arbiter();
    let table = table(&arbiter).await;
    let old = arbiter.open(&table.folder).await.unwrap();
    let mut wider = metadata();
    let fields = vec![StructField::new("n", DeltaType::Long, true), StructField::new("more", DeltaType::Long, true)];
    wider.schema_string = StructType::new(fields).unwrap().to_schema_string();
    let plan = Plan {
        read: Arc::clone(&old),
        reads: Reads::Nothing,
        operation: Operation::AddColumns { columns: Vec::new() },
        metrics: Default::default(),
        actions: vec![Action::Metadata(wider)],
    };
    arbiter.commit(&table.folder, plan, &Author::default()).await.unwrap();
    let late = arbiter.append_rows(&table.folder, old, vec![rows(0, 1)], Author::default());
    let (late, fresh) = futures::join!(late, append(&arbiter, &table.folder, rows(0, 1)));
    let late = late.unwrap_err();
    assert_eq!(late.code(), Code::Aborted);
    assert!(late.message().contains("MetadataChanged"), "{late}");
    fresh.unwrap();
    assert_eq!(arbiter.open(&table.folder).await.unwrap().files.rows(), Some(1));
}

/// Fails the fsync of a log's folder, once, after the next commit got its name.
#[derive(Default)]
struct LogNotSynced(AtomicBool);

impl Faults for LogNotSynced {
    fn before(&self, step: &Step) -> std::io::Result<()> {
        match step {
            Step::SyncDir(path) if path.ends_with("_delta_log") && self.0.swap(false, Ordering::SeqCst) => {
                Err(std::io::Error::other("the disk is gone"))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_keeps_its_data_files() {
    let arbiter = arbiter();
    let data = tempfile::tempdir().unwrap();
    let faults = Arc::new(LogNotSynced::default());
    let storage = Storage::new(data.path(), External::Nowhere).unwrap().with_faults(Arc::clone(&faults) as _);
    let table = table_in(&arbiter, data, &storage).await;
    faults.0.store(true, Ordering::SeqCst);
    let problem = append(&arbiter, &table.folder, rows(0, 1)).await.unwrap_err();
    assert!(may_be_committed(&problem), "{problem}");
    let state = arbiter.open(&table.folder).await.unwrap();
    assert_eq!((state.version, state.files.rows()), (1, Some(1)), "it is there");
    for add in state.files.iter() {
        assert!(table.folder.head(&add.path).await.unwrap().is_some(), "and so are its rows");
    }
    append(&arbiter, &table.folder, rows(0, 1)).await.unwrap();
}

/// Fails whatever touches the log.
#[derive(Default)]
struct NoLog(AtomicBool);

impl Faults for NoLog {
    fn before(&self, step: &Step) -> std::io::Result<()> {
        match step {
            Step::Create(path)
                if path.parent().is_some_and(|at| at.ends_with("_delta_log")) && self.0.load(Ordering::SeqCst) =>
            {
                Err(std::io::Error::other("the disk is gone"))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn data_files_that_no_commit_takes_are_deleted() {
    let tasks = Tasks::new();
    let arbiter = Arbiter::new(Arc::new(FakeEngine::default()), tasks.clone());
    let table = table(&arbiter).await;
    let dropped = arbiter.write(&table.folder, spec(), stream_of(3)).await.unwrap();
    let gone = dropped.adds()[0].path.clone();
    assert!(table.folder.head(&gone).await.unwrap().is_some());
    drop(dropped);
    let taken = arbiter.write(&table.folder, spec(), stream_of(3)).await.unwrap().into_commit();
    let given_up = arbiter.write(&table.folder, spec(), Box::pin(futures::stream::pending()));
    assert!(given_up.now_or_never().is_none(), "it waits for its rows");
    // It waits for what deletes them.
    tasks.stop().await;
    let left = table.folder.list("", false).await.unwrap().into_iter().filter(|file| !file.is_dir);
    let left: Vec<String> = left.map(|file| file.path).collect();
    assert_eq!(left, [taken[0].path.clone()], "{gone} was dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_leaves_no_data_file() {
    let arbiter = arbiter();
    let data = tempfile::tempdir().unwrap();
    let faults = Arc::new(NoLog::default());
    let storage = Storage::new(data.path(), External::Nowhere).unwrap().with_faults(Arc::clone(&faults) as _);
    let table = table_in(&arbiter, data, &storage).await;
    faults.0.store(true, Ordering::SeqCst);
    let problem = append(&arbiter, &table.folder, rows(0, 1)).await.unwrap_err();
    assert!(!may_be_committed(&problem), "{problem}");
    let left = table.folder.list("", true).await.unwrap();
    assert!(!left.iter().any(|file| file.path.ends_with(".parquet")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the commit that hangs, beside the test's own reading")]
async fn readers_do_not_wait_for_a_commit_that_hangs_and_do_not_see_it() {
    let arbiter = arbiter();
    let data = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let storage = Storage::new(data.path(), External::Nowhere).unwrap().with_faults(Arc::clone(&gate) as _);
    let table = table_in(&arbiter, data, &storage).await;
    *gate.closed.lock().unwrap() = true;
    let writing = tokio::spawn({
        let (arbiter, folder) = (Arc::clone(&arbiter), table.folder.clone());
        async move { append(&arbiter, &folder, rows(0, 1)).await }
    });
    while table.folder.head(&commit_path(1)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(arbiter.open(&table.folder).await.unwrap().version, 0, "it is not durable yet");
    assert!(arbiter.stuck(Duration::ZERO).is_some());
    *gate.closed.lock().unwrap() = false;
    gate.opened.notify_all();
    assert_eq!(writing.await.unwrap().unwrap().version, 1);
    assert_eq!(arbiter.open(&table.folder).await.unwrap().version, 1);
}

/// Holds up the fsync of a log's folder.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Faults for Gate {
    fn before(&self, step: &Step) -> std::io::Result<()> {
        if matches!(step, Step::SyncDir(path) if path.ends_with("_delta_log")) {
            drop(self.opened.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
        }
        Ok(())
    }
}
