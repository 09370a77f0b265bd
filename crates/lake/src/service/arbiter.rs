//! The arbiter: every commit of this program to a Delta table goes through it.
//!
//! For each table it keeps the newest state and the last commits. A commit is checked against what came since it was
//! planned, rebased where that is right, validated, and written by put-if-absent; when another writer (another replica, or
//! a foreign engine) took the version, it reads that commit and checks anew. So the queue in front of a table is an
//! optimisation and never the guard.
//!
//! Small appends hand in rows, not files. A lone append commits at once; those that arrive while one is under way are
//! written together, one Parquet file and one version for the group.
//!
//! It never publishes a commit that [`validate`] refuses. When a foreign commit breaks the protocol, reading goes on with
//! what every Delta reader sees, and our own writes stop until the table is restored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arrow_array::RecordBatch;
use crannog_kit::{Tasks, clock};
use crannog_storage::{Folder, Location};
use crannog_types::{Code, Problem, Result};
use futures::stream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::table_log::{read_commit, write_commit};
use crate::model::actions::{Action, Add, Txn};
use crate::model::commit::{self, Operation, Provenance, WriteMode};
use crate::model::conflicts::{Conflict, Proposal, Reads, check};
use crate::model::seal::{Seal, Stated};
use crate::model::state::TableState;
use crate::model::stats::num_records;
use crate::model::validate::validate;
use crate::ports::{Engine, WriteSpec};

/// Commits that are remembered for checks of proposals planned on older versions; older ones are read again.
const REMEMBERED: usize = 256;
/// Rows of a group of small appends.
const GROUP_ROWS: usize = 100_000;
/// Once appends are grouped, a table gets at most one version in this time.
const GROUP_PACE: Duration = Duration::from_millis(50);
/// Races that a commit may lose before it gives up.
const RACES: usize = 100;
/// Versions between checkpoints, when the table does not say (`delta.checkpointInterval`).
const CHECKPOINT_INTERVAL: i64 = 100;

/// Who commits, for `commitInfo`.
#[derive(Clone, Debug, Default)]
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

/// What is kept of one table.
struct Desk {
    /// The newest state known; `None` before it was loaded.
    state: RwLock<Option<Arc<TableState>>>,
    /// Held while a version is written.
    turn: tokio::sync::Mutex<Turn>,
    /// Appends that wait for a turn.
    waiting: Mutex<Vec<Append>>,
    /// Since when a version has been in the making.
    busy_since: Mutex<Option<Instant>>,
}

/// A version in the making, for [`Arbiter::stuck`].
struct Busy<'a>(&'a Desk);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *lock(&self.0.busy_since) = None;
    }
}

impl Desk {
    fn busy(&self) -> Busy<'_> {
        *lock(&self.busy_since) = Some(Instant::now());
        Busy(self)
    }
}

#[derive(Default)]
struct Turn {
    recent: VecDeque<(i64, Arc<Vec<Action>>)>,
    /// A foreign commit that broke the protocol.
    broken: Option<String>,
    last_group: Option<Instant>,
}

struct Append {
    rows: Vec<RecordBatch>,
    count: usize,
    author: Author,
    done: oneshot::Sender<std::result::Result<Committed, Arc<Problem>>>,
}

impl Arbiter {
    /// Over an engine. Checkpoints run as background tasks.
    pub fn new(engine: Arc<dyn Engine>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Arbiter { engine, tasks, tables: Mutex::default(), seal: OnceLock::new() })
    }

    /// From now on commits are sealed, and known again by this.
    pub fn seal_with(&self, seal: Seal) {
        // A second seal would be the same: there is one key.
        let _ = self.seal.set(seal);
    }

    /// The newest state of the table in a folder.
    ///
    /// # Errors
    /// `TABLE_OR_VIEW_NOT_FOUND` when there is no Delta table.
    pub async fn open(&self, folder: &Folder) -> Result<Arc<TableState>> {
        let desk = self.desk(folder);
        let known = read(&desk.state).clone();
        if let Some(state) = &known
            && folder.head(&super::table_log::commit_path(state.version + 1)).await?.is_none()
        {
            return Ok(Arc::clone(state));
        }
        let mut turn = desk.turn.lock().await;
        self.refresh(&desk, &mut turn, folder).await
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
        let mut turn = desk.turn.lock().await;
        let _busy = desk.busy();
        let actions = commit::build(
            None,
            operation,
            &Reads::Nothing,
            provenance(vec![author.stated(None)], BTreeMap::new()),
            actions,
        );
        let before = TableState::before_creation(&actions)?;
        validate(&before, &actions)?;
        if !write_commit(folder, 0, &actions).await? {
            return Err(Problem::new(
                Code::AlreadyExists,
                format!("there is a Delta table at {} already", folder.location()),
            )
            .reason("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"));
        }
        let state = Arc::new(before.advance(0, &actions)?);
        turn.keep(0, Arc::new(actions));
        *write(&desk.state) = Some(Arc::clone(&state));
        Ok(Committed { version: 0, state })
    }

    /// Commits what a statement planned, on the newest version that it can stand on.
    ///
    /// # Errors
    /// `Aborted` with delta-spark's name of the conflict; what [`validate`] refuses; failures of storage.
    pub async fn commit(&self, folder: &Folder, plan: Plan, author: &Author) -> Result<Committed> {
        let desk = self.desk(folder);
        let mut turn = desk.turn.lock().await;
        let busy = desk.busy();
        let stated = vec![author.stated(plan.metrics.get("numOutputRows").copied())];
        let committed = self.commit_in_turn(&desk, &mut turn, folder, plan, stated).await?;
        drop(busy);
        drop(turn);
        self.checkpoint_when_due(folder, &committed);
        Ok(committed)
    }

    /// Appends a few rows, together with whatever else waits to be appended to the table.
    ///
    /// The group is written by a task of its own: whoever stops waiting takes nobody else's rows along. Rows whose owner
    /// stopped waiting before their group was taken are not written.
    pub async fn append_rows(
        self: &Arc<Self>,
        folder: &Folder,
        rows: Vec<RecordBatch>,
        author: Author,
    ) -> Result<Committed> {
        let desk = self.desk(folder);
        let count = rows.iter().map(RecordBatch::num_rows).sum();
        let (done, outcome) = oneshot::channel();
        lock(&desk.waiting).push(Append { rows, count, author, done });
        let (arbiter, folder) = (Arc::clone(self), folder.clone());
        self.tasks.spawn_job("append", async move { arbiter.append_waiting(&desk, &folder).await });
        match outcome.await {
            Ok(outcome) => outcome.map_err(shared),
            Err(_) => Err(Problem::new(Code::Unavailable, "the server stopped while the rows were appended")
                .hint("look whether they are there before you append them again")),
        }
    }

    /// Takes a turn and appends what waits by then; nothing, when another turn took it along.
    async fn append_waiting(&self, desk: &Desk, folder: &Folder) {
        let mut turn = desk.turn.lock().await;
        let contended = lock(&desk.waiting).len() > 1;
        if contended && let Some(last) = turn.last_group {
            tokio::time::sleep_until(last + GROUP_PACE).await;
        }
        let group = take_group(desk);
        if group.is_empty() {
            return;
        }
        turn.last_group = contended.then(Instant::now);
        let busy = desk.busy();
        let result = self.append_group(desk, &mut turn, folder, &group).await.map_err(Arc::new);
        drop(busy);
        drop(turn);
        if let Ok(committed) = &result {
            self.checkpoint_when_due(folder, committed);
        }
        for append in group {
            // Whoever no longer waits was cancelled; the rows are in the table all the same.
            let _ = append.done.send(result.clone());
        }
    }

    /// Waits until the version that is in the making, if one is, is made.
    pub async fn settled(&self, folder: &Folder) {
        drop(self.desk(folder).turn.lock().await);
    }

    /// A table whose next version has been in the making for longer than this: its storage hangs.
    pub fn stuck(&self, longer_than: Duration) -> Option<Location> {
        let tables = lock(&self.tables);
        let hangs = |desk: &Desk| lock(&desk.busy_since).is_some_and(|since| since.elapsed() > longer_than);
        tables.iter().find(|(_, desk)| hangs(desk)).map(|(location, _)| location.clone())
    }

    /// Forgets a table that was dropped.
    pub fn forget(&self, location: &Location) {
        lock(&self.tables).remove(location);
    }

    fn desk(&self, folder: &Folder) -> Arc<Desk> {
        let mut tables = lock(&self.tables);
        let desk = tables.entry(folder.location().clone()).or_insert_with(|| {
            Arc::new(Desk {
                state: RwLock::new(None),
                turn: tokio::sync::Mutex::default(),
                waiting: Mutex::default(),
                busy_since: Mutex::default(),
            })
        });
        Arc::clone(desk)
    }

    /// Brings the state up to the newest version in the log.
    async fn refresh(&self, desk: &Desk, turn: &mut Turn, folder: &Folder) -> Result<Arc<TableState>> {
        let known = read(&desk.state).clone();
        let mut state = match known {
            Some(state) => state,
            None => {
                let loaded = self.engine.load(folder).await?.ok_or_else(|| no_table(folder))?;
                Arc::new(TableState::new(loaded.0, loaded.1)?)
            }
        };
        while let Some(actions) = read_commit(folder, state.version + 1).await? {
            let version = state.version + 1;
            let (next, faults) = state.advance_despite_faults(version, &actions)?;
            if let Some(fault) = faults.first() {
                let what = format!("version {version} breaks the protocol: {fault}");
                tracing::error!(location = %folder.location(), what, "a foreign commit damaged a table");
                turn.broken = Some(what);
            }
            state = Arc::new(next);
            turn.keep(version, actions);
        }
        *write(&desk.state) = Some(Arc::clone(&state));
        Ok(state)
    }

    async fn commit_in_turn(
        &self,
        desk: &Desk,
        turn: &mut Turn,
        folder: &Folder,
        plan: Plan,
        stated: Vec<Stated>,
    ) -> Result<Committed> {
        let reads = plan.reads.clone();
        let actions =
            commit::build(Some(&plan.read), &plan.operation, &reads, provenance(stated, plan.metrics), plan.actions);
        let proposal = Proposal { read_version: plan.read.version, reads, read_app_ids: BTreeSet::new(), actions };
        for _ in 0..RACES {
            let state = self.refresh(desk, turn, folder).await?;
            if let Some(broken) = &turn.broken {
                return Err(Problem::new(Code::DataLoss, format!("the table cannot be written: {broken}"))
                    .reason("DELTA_LOG_CORRUPT")
                    .hint("RESTORE it to a version before that one"));
            }
            let winners = winners(turn, folder, proposal.read_version, state.version).await?;
            let winners: Vec<(i64, &[Action])> =
                winners.iter().map(|(version, won)| (*version, won.as_slice())).collect();
            let mut rebased = check(&proposal, &winners, &state)?;
            validate(&state, &rebased.actions)?;
            if let Some(seal) = self.seal.get() {
                seal.close(&folder.location().to_string(), rebased.version, &mut rebased.actions);
            }
            if write_commit(folder, rebased.version, &rebased.actions).await? {
                let next = Arc::new(state.advance(rebased.version, &rebased.actions)?);
                turn.keep(rebased.version, Arc::new(rebased.actions));
                *write(&desk.state) = Some(Arc::clone(&next));
                return Ok(Committed { version: rebased.version, state: next });
            }
        }
        Err(Problem::new(Code::Aborted, format!("another writer took the next version {RACES} times"))
            .reason("ABORTED")
            .hint("run the statement again"))
    }

    async fn append_group(&self, desk: &Desk, turn: &mut Turn, folder: &Folder, group: &[Append]) -> Result<Committed> {
        let state = self.refresh(desk, turn, folder).await?;
        let spec =
            WriteSpec { schema: (*state.schema).clone(), metadata: (*state.metadata).clone(), now: clock::now() };
        let batches: Vec<_> = group.iter().flat_map(|append| append.rows.iter().cloned().map(Ok)).collect();
        let adds = self.engine.write(folder, &spec, Box::pin(stream::iter(batches))).await?;
        let stated =
            group.iter().map(|append| append.author.stated(i64::try_from(append.count).ok())).collect::<Vec<_>>();
        let plan = append_plan(state, adds);
        self.commit_in_turn(desk, turn, folder, plan, stated).await
    }

    fn checkpoint_when_due(&self, folder: &Folder, committed: &Committed) {
        let interval = committed.state.metadata.configuration.get("delta.checkpointInterval");
        let interval =
            interval.and_then(|text| text.parse().ok()).filter(|interval| *interval > 0).unwrap_or(CHECKPOINT_INTERVAL);
        if committed.version == 0 || committed.version % interval != 0 {
            return;
        }
        let (engine, folder, version) = (Arc::clone(&self.engine), folder.clone(), committed.version);
        self.tasks.spawn_job("checkpoint", async move {
            if let Err(problem) = engine.checkpoint(&folder, version).await {
                tracing::warn!(location = %folder.location(), version, cause = problem.chain(), "no checkpoint was written");
            }
        });
    }
}

impl Turn {
    fn keep(&mut self, version: i64, actions: Arc<Vec<Action>>) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((version, actions));
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

async fn winners(turn: &Turn, folder: &Folder, read: i64, newest: i64) -> Result<Vec<(i64, Arc<Vec<Action>>)>> {
    let mut found = Vec::new();
    for version in read + 1..=newest {
        let kept = turn.recent.iter().find(|(kept, _)| *kept == version).map(|(_, actions)| Arc::clone(actions));
        let actions = match kept {
            Some(actions) => Some(actions),
            None => read_commit(folder, version).await?,
        };
        let actions = actions.ok_or(Conflict::MissingCommits { read, newest, missing: version })?;
        found.push((version, actions));
    }
    Ok(found)
}

fn take_group(desk: &Desk) -> Vec<Append> {
    let mut waiting = lock(&desk.waiting);
    waiting.retain(|append| !append.done.is_closed());
    let (mut rows, mut end) = (0, 0);
    for append in waiting.iter() {
        rows += append.count;
        if end > 0 && rows > GROUP_ROWS {
            break;
        }
        end += 1;
    }
    waiting.drain(..end).collect()
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

fn no_table(folder: &Folder) -> Problem {
    Problem::new(Code::NotFound, format!("there is no Delta table at {}", folder.location()))
        .reason("DELTA_TABLE_NOT_FOUND")
        .sql_state("42P01")
}

/// A group's failure, told to each of its members.
fn shared(problem: Arc<Problem>) -> Problem {
    let mut copy = Problem::new(problem.code(), problem.message().to_owned());
    if let Some(reason) = problem.vendor_reason() {
        copy = copy.reason(reason.to_owned());
    }
    if let Some(hint) = problem.next_step() {
        copy = copy.hint(hint.to_owned());
    }
    copy.caused_by(problem.chain())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
