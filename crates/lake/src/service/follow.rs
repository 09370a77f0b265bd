//! The catalog follows the logs: what was committed to a table becomes audit rows and the catalog's copy of its metadata.
//!
//! The log is the truth and is written first. Who did it stands sealed in the commit itself, so a crash, a cancelled statement
//! or an unreachable database loses nothing: whoever follows next (this statement's task, the next one's, another replica, the
//! next start) finds every version that the catalog has not taken notice of, and takes notice of it once. Commits without
//! our seal are another program's, and are recorded as such; nobody is named for them.
//!
//! Before a table is committed to it is put under watch in the database. What commits, and what follows it, runs in a task
//! that no client's disconnect and no cancel ends. Each piece of it that is short by itself is a step that health watches; reading
//! a table's whole state is not: how long that takes depends on the table.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use crannog_governance::Governance;
use crannog_governance::service::table_logs::{self, Copy, Known, News};
use crannog_kit::{Steps, Tasks, clock};
use crannog_security::{Caller, Origin, System, Task, Who};
use crannog_storage::{Access, Folder};
use crannog_store::{Audit, AuditEvent, until_won};
use crannog_types::{Code, Micros, PrincipalId, Problem, Result, SecurableId};
use tokio::sync::{oneshot, watch};

use super::arbiter::{Arbiter, Author, Committed, may_be_committed};
use super::table_log::read_notes;
use crate::model::actions::{Action, CommitInfo};
use crate::model::seal::Seal;
use crate::model::state::TableState;

/// A watch is good for this long before it is put up anew, in seconds; one that is older than [`FORGOTTEN`] is nobody's.
const WATCH: i64 = 600;
const FORGOTTEN: i64 = 3_600;
/// How often old watches are looked through.
const SWEEP: Duration = Duration::from_secs(900);
/// Versions that are taken notice of in one transaction.
const WINDOW: i64 = 500;
/// How often a log is looked at when others keep taking notice of it first.
const RUNS: u32 = 10;
/// Whoever reads the audit waits this long for what was just committed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Follows the logs of tables.
pub struct Follower {
    governance: Governance,
    arbiter: Arc<Arbiter>,
    tasks: Tasks,
    seal: Seal,
    tables: Mutex<HashMap<SecurableId, Arc<Followed>>>,
    /// Of the statements that are committing: what the log does not say of them.
    origins: Mutex<HashMap<String, Arc<Origin>>>,
    /// How many tasks commit or follow.
    busy: watch::Sender<usize>,
    steps: Steps,
}

/// What is kept of one table.
#[derive(Default)]
struct Followed {
    /// Held while it is followed: the last version that the catalog took notice of, as far as is known here.
    turn: tokio::sync::Mutex<Option<i64>>,
    /// The newest version that somebody saw who left it to whoever holds the turn.
    seen: AtomicI64,
    watched: Mutex<Option<Micros>>,
}

/// A commit that is not followed yet: counted for [`Follower::flush`], and the origin of its statement at hand.
struct UnderWay {
    follower: Arc<Follower>,
    statement: Option<String>,
}

impl UnderWay {
    fn new(follower: &Arc<Follower>, origin: &Arc<Origin>) -> Self {
        follower.busy.send_modify(|count| *count += 1);
        if let Some(statement) = &origin.statement_id {
            lock(&follower.origins).insert(statement.clone(), Arc::clone(origin));
        }
        UnderWay { follower: Arc::clone(follower), statement: origin.statement_id.clone() }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(statement) = &self.statement {
            lock(&self.follower.origins).remove(statement);
        }
        self.follower.busy.send_modify(|count| *count -= 1);
    }
}

impl Follower {
    /// Follows what a crash left, in the background, and from then on every commit.
    pub async fn start(governance: Governance, arbiter: Arc<Arbiter>, tasks: &Tasks) -> Result<Arc<Self>> {
        let acting = &system();
        let seal = Seal::new(until_won(|| table_logs::seal_key(&governance.db, acting)).await?);
        arbiter.seal_with(seal.clone());
        let follower = Arc::new(Follower {
            governance,
            arbiter,
            tasks: tasks.clone(),
            seal,
            tables: Mutex::default(),
            origins: Mutex::default(),
            busy: watch::Sender::new(0),
            steps: Steps::default(),
        });
        let watched = table_logs::watched(&follower.governance.db, acting).await?;
        let (sweeper, stop) = (Arc::clone(&follower), tasks.stopping());
        // Counted before anybody can ask for the audit: what a crash left is in the first answer.
        let under_way = UnderWay::new(&follower, &Arc::default());
        tasks.spawn("catalog follower", async move {
            sweeper.sweep(watched).await;
            drop(under_way);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(SWEEP) => {}
                }
                match sweeper.step(table_logs::watched(&sweeper.governance.db, &system())).await {
                    Ok(watched) => sweeper.sweep(watched).await,
                    Err(problem) => tracing::warn!(cause = problem.chain(), "watches cannot be read"),
                }
            }
        });
        Ok(follower)
    }

    /// Commits to a table, and follows. It ends whether the caller waits for it or not. `followed` says whether the answer
    /// waits until the catalog took notice.
    ///
    /// # Errors
    /// The commit's own. When only the catalog could not be told, that is logged: it is told at the next commit or look.
    pub async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        (id, folder): (SecurableId, &Folder),
        followed: bool,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.watch(id).await?;
        let (done, answer) = oneshot::channel();
        let under_way = UnderWay::new(self, caller.origin());
        let folder = folder.clone();
        self.tasks.spawn_job("commit", async move {
            let outcome = work.await;
            let committed = outcome.as_ref().err().is_none_or(may_be_committed);
            // Whoever no longer waits was cancelled; the commit is in the log all the same.
            let done = if followed {
                Some((done, outcome))
            } else {
                let _ = done.send(outcome);
                None
            };
            if committed {
                under_way.follower.follow_or_warn(id, &folder).await;
            }
            drop(under_way);
            if let Some((done, outcome)) = done {
                let _ = done.send(outcome);
            }
        });
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs what must not be parted to its end, whether the caller waits for it or not.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn to_its_end<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, answer) = oneshot::channel();
        let under_way = UnderWay::new(self, caller.origin());
        self.tasks.spawn_job("create", async move {
            let outcome = work.await;
            drop(under_way);
            // Whoever no longer waits was cancelled; it is done all the same.
            let _ = done.send(outcome);
        });
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Appends a few rows, and follows. Rows of a caller who stops waiting before they are being written are not written.
    ///
    /// # Errors
    /// Those of [`Arbiter::append_rows`].
    pub async fn append(
        self: &Arc<Self>,
        caller: &Caller,
        (id, folder): (SecurableId, &Folder),
        read: Arc<TableState>,
        rows: Vec<RecordBatch>,
        author: Author,
    ) -> Result<Committed> {
        self.watch(id).await?;
        let (mut done, answer) = oneshot::channel();
        let under_way = UnderWay::new(self, caller.origin());
        let folder = folder.clone();
        self.tasks.spawn_job("append and follow", async move {
            let arbiter = &under_way.follower.arbiter;
            let outcome = tokio::select! {
                outcome = arbiter.append_rows(&folder, read, rows, author) => Some(outcome),
                () = done.closed() => None,
            };
            let may_be_there = match &outcome {
                Some(Err(problem)) => may_be_committed(problem),
                Some(Ok(_)) | None => true,
            };
            match outcome {
                Some(outcome) => drop(done.send(outcome)),
                // They may have been taken into a group before: what is being written is waited for.
                None => arbiter.settled(&folder).await,
            }
            if may_be_there {
                under_way.follower.follow_or_warn(id, &folder).await;
            }
        });
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// A table was seen at a version that the catalog may not know yet: another program may have committed.
    pub fn seen(self: &Arc<Self>, id: SecurableId, folder: &Folder, known: Option<i64>, state: &TableState) {
        if known.is_some_and(|known| known >= state.version) {
            return;
        }
        // Before the turn is tried for: its holder looks here after giving it back.
        self.table(id).seen.fetch_max(state.version, Ordering::SeqCst);
        if self.is_followed(id, state.version) {
            return;
        }
        let (under_way, folder) = (UnderWay::new(self, &Arc::default()), folder.read_only());
        self.tasks.spawn_job("follow", async move { under_way.follower.follow_or_warn(id, &folder).await });
    }

    /// Whether this version was followed here, or is being followed.
    fn is_followed(&self, id: SecurableId, version: i64) -> bool {
        let table = self.table(id);
        // Somebody holds the turn: they look at what was seen meanwhile before they are done.
        table.turn.try_lock().map_or(true, |turn| turn.is_some_and(|known| known >= version))
    }

    /// Waits until what was committed so far can be read in the audit; not for ever, as storage may hang.
    pub async fn flush(&self) {
        let mut busy = self.busy.subscribe();
        if tokio::time::timeout(PATIENCE, busy.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!("commits have been under way for long: the audit is read without them");
        }
    }

    async fn follow_or_warn(&self, id: SecurableId, folder: &Folder) {
        if let Err(problem) = self.follow(id, folder).await {
            tracing::warn!(location = %folder.location(), cause = problem.chain(), "the catalog is behind a table's log");
        }
    }

    /// Puts a table under watch, and takes notice of what was there before.
    async fn watch(&self, id: SecurableId) -> Result<()> {
        let table = self.table(id);
        let now = clock::now();
        if lock(&table.watched).is_some_and(|since| since.plus_seconds(WATCH) > now) {
            return Ok(());
        }
        let (db, system) = (&self.governance.db, &system());
        until_won(|| self.step(table_logs::watch(db, system, id))).await?;
        *lock(&table.watched) = Some(now);
        let known = self.step(table_logs::known(db, system, id)).await?;
        let Some(known) = known.filter(|known| known.version.is_none()) else {
            return Ok(());
        };
        let folder = self.governance.storage.open(system, &known.location, Access::Read)?;
        self.follow(id, &folder).await
    }

    /// Takes notice of every version that the catalog does not know.
    async fn follow(&self, id: SecurableId, folder: &Folder) -> Result<()> {
        let table = self.table(id);
        for _ in 0..RUNS {
            let mut turn = table.turn.lock().await;
            self.follow_in_turn(id, folder, &mut turn).await?;
            let followed = *turn;
            drop(turn);
            if followed.is_none_or(|followed| followed >= table.seen.load(Ordering::SeqCst)) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn follow_in_turn(&self, id: SecurableId, folder: &Folder, turn: &mut Option<i64>) -> Result<()> {
        let state = match self.arbiter.open(folder).await {
            Err(problem) if problem.code() == Code::NotFound => return Ok(()),
            opened => opened?,
        };
        let (db, system) = (&self.governance.db, &system());
        for _ in 0..RUNS {
            if turn.is_some_and(|known| known >= state.version) {
                return Ok(());
            }
            let Some(known) = self.step(table_logs::known(db, system, id)).await? else {
                lock(&self.tables).remove(&id);
                return Ok(());
            };
            if known.version.is_some_and(|known| known >= state.version) {
                *turn = known.version;
                return Ok(());
            }
            let mut at = known;
            loop {
                let news = self.news(&at, folder, &state).await?;
                if !until_won(|| self.step(table_logs::note(db, system, &at, &news))).await? {
                    break;
                }
                *turn = Some(news.version);
                at.version = Some(news.version);
                if news.version >= state.version {
                    return Ok(());
                }
            }
        }
        Err(Problem::new(Code::Aborted, "others keep taking notice of the table first"))
    }

    /// The next versions that a table's catalog row does not know.
    async fn news(&self, known: &Known, folder: &Folder, state: &TableState) -> Result<News> {
        let metadata = &state.metadata;
        let mut copy = Copy {
            schema_json: metadata.schema_string.clone(),
            partition_columns: metadata.partition_columns.clone(),
            properties: metadata.configuration.clone(),
            comment: None,
            changed_by: None,
        };
        // Nothing is known of it: it was registered with its log. What is in there was done before.
        let Some(before) = known.version else {
            return Ok(News { version: state.version, copy: Some(copy), events: Vec::new() });
        };
        let until = state.version.min(before + WINDOW);
        let (mut events, mut changed) = (Vec::new(), false);
        for version in before + 1..=until {
            let found = match self.arbiter.remembered(folder, version) {
                Some(actions) => Some(actions),
                None => self.step(read_notes(folder, version)).await?,
            };
            let Some(actions) = found else {
                // The log was cleaned up behind a checkpoint: that there was something is all that can be said.
                changed = true;
                events.push(event(known, version, None, "modifyTable", None));
                continue;
            };
            let info = actions.iter().find_map(|a| if let Action::CommitInfo(info) = a { Some(info) } else { None });
            let moved =
                actions.iter().find_map(|a| if let Action::Metadata(metadata) = a { Some(metadata) } else { None });
            let stated = info.and_then(|info| self.seal.open(&known.location.to_string(), version, info));
            let operation = info.and_then(|info| info.operation.as_deref()).unwrap_or_default();
            if let Some(metadata) = moved {
                changed = true;
                if operation.contains("REPLACE TABLE") {
                    copy.comment = Some(metadata.description.clone());
                }
                copy.changed_by = stated.iter().flatten().next().map(|by| by.user_name.clone());
            }
            let action = if moved.is_some() { "updateTable" } else { "modifyTable" };
            let Some(stated) = stated else {
                events.push(event(known, version, info, action, None));
                continue;
            };
            for by in stated {
                let who = Who { id: PrincipalId(by.user_id.parse().unwrap_or_default()), name: by.user_name.into() };
                let origin = by.statement.map(|id| self.origin(id)).unwrap_or_default();
                let mut event = event(known, version, info, action, Some((who, origin)));
                if let Some(rows) = by.rows {
                    event.what = event.what.with("num_rows", rows);
                }
                events.push(event);
            }
        }
        Ok(News { version: until, copy: changed.then_some(copy), events })
    }

    fn origin(&self, statement: String) -> Arc<Origin> {
        lock(&self.origins)
            .get(&statement)
            .cloned()
            .unwrap_or_else(|| Arc::new(Origin { statement_id: Some(statement), ..Origin::default() }))
    }

    /// Follows the tables under watch; whose watch is old, and who are followed to the end, are let go.
    async fn sweep(&self, watched: Vec<SecurableId>) {
        for id in watched {
            let followed = async {
                let (db, system) = (&self.governance.db, &system());
                let Some(known) = self.step(table_logs::known(db, system, id)).await? else { return Ok(()) };
                let folder = self.governance.storage.open(system, &known.location, Access::Read)?;
                self.follow(id, &folder).await?;
                let old = clock::now().plus_seconds(-FORGOTTEN);
                until_won(|| self.step(table_logs::unwatch(db, system, id, old))).await
            };
            if let Err(problem) = followed.await {
                tracing::warn!(%id, cause = problem.chain(), "a table's log could not be followed");
            }
        }
    }

    /// Whether a step of following has been under way for longer than this: the database or a disk hangs.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.steps.stuck(longer_than)
    }

    async fn step<T>(&self, work: impl Future<Output = T>) -> T {
        let step = self.steps.begin();
        let done = work.await;
        drop(step);
        done
    }

    /// Forgets a table that was dropped.
    pub fn forget(&self, id: SecurableId) {
        lock(&self.tables).remove(&id);
    }

    fn table(&self, id: SecurableId) -> Arc<Followed> {
        Arc::clone(lock(&self.tables).entry(id).or_default())
    }
}

/// What is said of a version, by one of its authors; without one it is another program's.
fn event(
    known: &Known,
    version: i64,
    info: Option<&CommitInfo>,
    action: &'static str,
    by: Option<(Who, Arc<Origin>)>,
) -> AuditEvent {
    let mut what = Audit::of("unityCatalog", action)
        .with("full_name_arg", known.name.to_string())
        .with("table_id", known.id.to_string())
        .with("version", version);
    if let Some(operation) = info.and_then(|info| info.operation.clone()) {
        what = what.with("operation", operation);
    }
    if by.is_none() {
        // Anybody who can write the folder can write any name: what the commit says of itself is told as such.
        what = what.with("external", true);
        if let Some(info) = info {
            for (name, text) in [("claimed_user", &info.user_name), ("engine_info", &info.engine_info)] {
                what = text.iter().fold(what, |what, text| what.with(name, text.as_str()));
            }
        }
    }
    let said = info.and_then(|info| info.timestamp).filter(|_| by.is_some());
    let at = said.map_or_else(clock::now, |millis| Micros(millis.saturating_mul(1_000)));
    let (who, origin) = by.unzip();
    AuditEvent { at, who, origin, what, status: 200, error: None }
}

fn stopped() -> Problem {
    Problem::new(Code::Unavailable, "the server stopped while it committed")
        .hint("look whether the change is there before you make it again")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the catalog follows what is in the logs already; it acts for nobody")]
fn system() -> System {
    System::task(Task::Reconcile)
}
