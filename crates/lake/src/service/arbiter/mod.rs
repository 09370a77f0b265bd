//! The arbiter: every commit of this program to a Delta table goes through it.
//!
//! For each table it keeps the newest state and the last commits ([`desk`]). A commit is checked against what came since it
//! was planned, rebased where that is right, validated, and written by put-if-absent; when another writer (another replica,
//! or a foreign engine) took the version, it reads that commit and checks anew. So the queue in front of a table is an
//! optimisation and never the guard. Its own commits it adds to the state it keeps: nothing is listed or read again.
//!
//! Small appends hand in rows, not files, and may share a version ([`appends`]).
//!
//! It never publishes a commit that [`validate`] refuses, nor one whose data files are not durable. When a foreign commit
//! breaks the protocol, reading goes on with what every Delta reader sees, and our own writes stop until the table is
//! restored.

mod appends;
mod desk;
mod new_files;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crannog_kit::{Tasks, clock};
use crannog_storage::{Folder, Location};
use crannog_types::{Code, Problem, Result};
use futures::future::try_join_all;
use uuid::Uuid;

use self::desk::Desk;
pub use self::new_files::{NewFiles, until};
use super::table_log::{Published, read_commit, stage_commit};
use crate::model::actions::{Action, Add, Txn};
use crate::model::commit::{self, Operation, Provenance, WriteMode};
use crate::model::conflicts::{Conflict, Proposal, Reads, check};
use crate::model::partitions::decode_path;
use crate::model::seal::{Seal, Stated};
use crate::model::state::TableState;
use crate::model::stats::num_records;
use crate::model::validate::validate;
use crate::ports::{DataFile, Engine};

/// Races that a commit may lose before it gives up.
const RACES: usize = 100;
/// Versions between checkpoints, when the table does not say (`delta.checkpointInterval`).
const CHECKPOINT_INTERVAL: i64 = 100;
/// The reason of a failure that leaves open whether the commit is in the log.
const UNKNOWN_OUTCOME: &str = "DELTA_COMMIT_OUTCOME_UNKNOWN";

/// Who commits, for `commitInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The principal's id.
    pub id: String,
    /// The principal's name.
    pub name: String,
    /// The statement's id.
    pub statement: Option<String>,
}

impl Author {
    fn stated(&self, rows: Option<i64>) -> Stated {
        Stated { statement: self.statement.clone(), user_id: self.id.clone(), user_name: self.name.clone(), rows }
    }
}

/// A commit that was written.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its version.
    pub version: i64,
    /// The table at that version.
    pub state: Arc<TableState>,
}

/// What a statement wants to commit, planned on a state.
pub struct Plan {
    /// The state that it was planned on.
    pub read: Arc<TableState>,
    /// What it looked at.
    pub reads: Reads,
    /// What it is called.
    pub operation: Operation,
    /// Metrics of `commitInfo`.
    pub metrics: BTreeMap<String, i64>,
    /// Adds, removes, metadata, txns; `commitInfo` is made here.
    pub actions: Vec<Action>,
}

/// The keeper of tables.
pub struct Arbiter {
    engine: Arc<dyn Engine>,
    tasks: Tasks,
    tables: Mutex<HashMap<Location, Arc<Desk>>>,
    /// Marks what this installation commits; without one, commits are not told apart from others.
    seal: OnceLock<Seal>,
}

impl Arbiter {
    /// Over an engine. Groups of appends and checkpoints run as background tasks.
    pub fn new(engine: Arc<dyn Engine>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Arbiter { engine, tasks, tables: Mutex::default(), seal: OnceLock::new() })
    }

    /// From now on commits are sealed, and known again by this.
    pub fn seal_with(&self, seal: Seal) {
        // A second seal would be the same: there is one key.
        let _ = self.seal.set(seal);
    }

    /// The newest state of the table in a folder. It does not wait for a commit of ours that is being written.
    ///
    /// # Errors
    /// `TABLE_OR_VIEW_NOT_FOUND` when there is no Delta table.
    pub async fn open(&self, folder: &Folder) -> Result<Arc<TableState>> {
        self.desk(folder).newest(self.engine.as_ref(), folder).await
    }

    /// Writes version 0.
    ///
    /// # Errors
    /// `DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION` when a table is there already.
    pub async fn create(
        &self,
        folder: &Folder,
        operation: &Operation,
        author: &Author,
        actions: Vec<Action>,
    ) -> Result<Committed> {
        let desk = self.desk(folder);
        let _turn = desk.turn.lock().await;
        let actions = commit::build(
            None,
            operation,
            &Reads::Nothing,
            provenance(vec![author.stated(None)], BTreeMap::new()),
            actions,
        );
        let before = TableState::before_creation(&actions)?;
        validate(&before, &actions)?;
        let _busy = desk.busy(0, &actions);
        if publish(folder, 0, &actions, Vec::new()).await? == Published::Taken {
            return Err(Problem::new(
                Code::AlreadyExists,
                format!("there is a Delta table at {} already", folder.location()),
            )
            .reason("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"));
        }
        let state = Arc::new(before.advance(0, &actions)?);
        desk.begin(Arc::clone(&state), actions);
        Ok(Committed { version: 0, state })
    }

    /// Commits what a statement planned, on the newest version that it can stand on.
    ///
    /// # Errors
    /// `Aborted` with delta-spark's name of the conflict; what [`validate`] refuses; failures of storage. Whether the data
    /// files of a commit that failed may be deleted, [`may_be_committed`] says.
    pub async fn commit(&self, folder: &Folder, plan: Plan, author: &Author) -> Result<Committed> {
        let stated = vec![author.stated(plan.metrics.get("numOutputRows").copied())];
        self.commit_files(&self.desk(folder), folder, plan, stated, Vec::new()).await
    }

    /// A commit that was read or written lately, without a look into the log.
    pub fn remembered(&self, folder: &Folder, version: i64) -> Option<Arc<Vec<Action>>> {
        self.desk(folder).remembered(version)
    }

    /// Waits until the version that is in the making, if one is, is made.
    pub async fn settled(&self, folder: &Folder) {
        let desk = self.desk(folder);
        drop(desk.grouping.lock().await);
        drop(desk.turn.lock().await);
    }

    /// A table whose next version has been in the making for longer than this: its storage hangs.
    pub fn stuck(&self, longer_than: Duration) -> Option<Location> {
        let tables = lock(&self.tables);
        tables.iter().find(|(_, desk)| desk.busy_for() > longer_than).map(|(location, _)| location.clone())
    }

    /// Forgets a table that was dropped.
    pub fn forget(&self, location: &Location) {
        lock(&self.tables).remove(location);
    }

    fn desk(&self, folder: &Folder) -> Arc<Desk> {
        Arc::clone(lock(&self.tables).entry(folder.location().clone()).or_default())
    }

    /// Takes a turn and commits. `unsaved`: data files of the commit that are not stored yet; they are stored while the
    /// commit itself is written, and nothing is published before both are durable.
    async fn commit_files(
        &self,
        desk: &Desk,
        folder: &Folder,
        plan: Plan,
        stated: Vec<Stated>,
        mut unsaved: Vec<DataFile>,
    ) -> Result<Committed> {
        let turn = desk.turn.lock().await;
        let reads = plan.reads.clone();
        let actions =
            commit::build(Some(&plan.read), &plan.operation, &reads, provenance(stated, plan.metrics), plan.actions);
        let proposal = Proposal { read_version: plan.read.version, reads, read_app_ids: BTreeSet::new(), actions };
        // What is known is taken for the newest: if it is not, the version after it is taken, and that is found below.
        let mut state = match desk.known() {
            Some(state) if state.version >= plan.read.version => state,
            _ => desk.refresh(self.engine.as_ref(), folder).await?,
        };
        for _ in 0..RACES {
            if let Some(broken) = desk.broken() {
                return Err(Problem::new(Code::DataLoss, format!("the table cannot be written: {broken}"))
                    .reason("DELTA_LOG_CORRUPT")
                    .hint("RESTORE it to a version before that one"));
            }
            let winners = winners(desk, folder, proposal.read_version, state.version).await?;
            let winners: Vec<(i64, &[Action])> =
                winners.iter().map(|(version, won)| (*version, won.as_slice())).collect();
            let mut rebased = check(&proposal, &winners, &state)?;
            validate(&state, &rebased.actions)?;
            if let Some(seal) = self.seal.get() {
                seal.close(&folder.location().to_string(), rebased.version, &mut rebased.actions);
            }
            let busy = desk.busy(rebased.version, &rebased.actions);
            if publish(folder, rebased.version, &rebased.actions, std::mem::take(&mut unsaved)).await?
                == Published::Ours
            {
                let next = Arc::new(state.advance(rebased.version, &rebased.actions)?);
                desk.take(Arc::clone(&next), Arc::new(rebased.actions), None);
                drop(busy);
                drop(turn);
                let committed = Committed { version: rebased.version, state: next };
                self.checkpoint_when_due(desk, folder, &committed);
                return Ok(committed);
            }
            drop(busy);
            state = desk.refresh(self.engine.as_ref(), folder).await?;
        }
        Err(Problem::new(Code::Aborted, format!("another writer took the next version {RACES} times"))
            .reason("ABORTED")
            .hint("run the statement again"))
    }

    /// Every so many versions, whoever wrote them, a checkpoint is written, one at a time for a table.
    fn checkpoint_when_due(&self, desk: &Desk, folder: &Folder, committed: &Committed) {
        let interval = committed.state.metadata.configuration.get("delta.checkpointInterval");
        let interval =
            interval.and_then(|text| text.parse().ok()).filter(|interval| *interval > 0).unwrap_or(CHECKPOINT_INTERVAL);
        let version = committed.version;
        let last = desk.checkpointed.load(Ordering::Acquire);
        if version / interval <= last / interval || desk.checkpointing.swap(true, Ordering::AcqRel) {
            return;
        }
        desk.checkpointed.store(version, Ordering::Release);
        let (engine, folder) = (Arc::clone(&self.engine), folder.clone());
        let running = Running(Arc::clone(&desk.checkpointing));
        self.tasks.spawn_job("checkpoint", async move {
            if let Err(problem) = engine.checkpoint(&folder, version).await {
                tracing::warn!(location = %folder.location(), version, cause = problem.chain(), "no checkpoint was written");
            }
            drop(running);
        });
    }
}

/// A checkpoint that is being written, until it ends in whatever way.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Whether a commit that failed with this may be in the log all the same: then its data files must stay.
pub fn may_be_committed(problem: &Problem) -> bool {
    problem.vendor_reason() == Some(UNKNOWN_OUTCOME)
}

/// Deletes data files that no commit names. What cannot be deleted is harmless: nothing refers to it.
pub async fn delete_files(folder: &Folder, adds: &[Add]) {
    for add in adds {
        let deleted = match decode_path(&add.path) {
            Ok(path) => folder.delete(&path).await.map(|_| ()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = deleted {
            tracing::warn!(error, path = add.path, location = %folder.location(), "a data file that nothing names stays");
        }
    }
}

/// The plan of an append of data files that looked at nothing.
pub fn append_plan(read: Arc<TableState>, adds: Vec<Add>) -> Plan {
    let metrics = write_metrics(&adds);
    let partition_by = read.metadata.partition_columns.clone();
    Plan {
        read,
        reads: Reads::Nothing,
        operation: Operation::Write { mode: WriteMode::Append, partition_by, predicate: None },
        metrics,
        actions: adds.into_iter().map(Action::Add).collect(),
    }
}

/// What delta-spark counts of written files.
pub fn write_metrics(adds: &[Add]) -> BTreeMap<String, i64> {
    let rows: i64 = adds.iter().filter_map(|add| num_records(add.stats.as_deref())).sum();
    BTreeMap::from([
        ("numFiles".to_owned(), i64::try_from(adds.len()).unwrap_or(i64::MAX)),
        ("numOutputRows".to_owned(), rows),
        ("numOutputBytes".to_owned(), adds.iter().map(|add| add.size).sum()),
    ])
}

/// The progress of an application, recorded with the rows that it wrote: writing them twice is refused.
pub fn txn(app_id: String, version: i64) -> Action {
    Action::Txn(Txn { app_id, version, last_updated: Some(clock::now().millis()) })
}

/// Stores data files and the commit side by side, and gives the commit its name when all of them are durable.
async fn publish(folder: &Folder, version: i64, actions: &[Action], unsaved: Vec<DataFile>) -> Result<Published> {
    let store = |file: DataFile| async move {
        let path = decode_path(&file.add.path)?;
        folder.put_untold(&path, file.bytes).await.map_err(Problem::from)
    };
    let stored = try_join_all(unsaved.into_iter().map(store));
    let (stored, staged) = futures::join!(stored, stage_commit(folder, version, actions));
    stored?;
    let published = staged?.publish(folder).await?;
    if published == Published::Unknown {
        let message = format!("writing version {version} failed, and it may be in the table's log all the same");
        return Err(Problem::new(Code::Unavailable, message)
            .reason(UNKNOWN_OUTCOME)
            .hint("look whether the change is there before you make it again"));
    }
    Ok(published)
}

async fn winners(desk: &Desk, folder: &Folder, read: i64, newest: i64) -> Result<Vec<(i64, Arc<Vec<Action>>)>> {
    let mut found = Vec::new();
    for version in read + 1..=newest {
        let actions = match desk.remembered(version) {
            Some(actions) => Some(actions),
            None => read_commit(folder, version).await?,
        };
        let actions = actions.ok_or(Conflict::MissingCommits { read, newest, missing: version })?;
        found.push((version, actions));
    }
    Ok(found)
}

fn provenance(stated: Vec<Stated>, metrics: BTreeMap<String, i64>) -> Provenance {
    let author = stated.first();
    Provenance {
        now: clock::now().millis(),
        txn_id: Uuid::now_v7().to_string(),
        user_id: author.map(|author| author.user_id.clone()),
        user_name: author.map(|author| author.user_name.clone()),
        metrics,
        user_metadata: None,
        stated,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
