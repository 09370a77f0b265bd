//! SQLite's one writer, with group commit.
//!
//! A transaction is a savepoint inside an outer transaction of the one writing connection. Its commit releases the
//! savepoint and then waits for the committer, a thread that takes the connection after everybody who was already waiting for it
//! and commits the outer transaction: one fsync for the whole group. A lone transaction finds nobody waiting, so the
//! committer runs at once.
//!
//! Statements run where they are asked for, on the thread of the request: one takes some microseconds, less than it takes to wake
//! another thread and be woken by it, and with a thread's turn for each statement a change took most of its time in those. What
//! waits for the disk, the commit, is the committer's. Statements of changes are therefore short: what changes very many rows does
//! it in parts. Where the disk hangs, one of them hangs, and one thread with it: whoever else wants the connection waits for it without a
//! thread. The program has a second thread for requests on any machine, which goes on (kit's `EventLoop`).
//!
//! Only the committer commits, and only it moves the version: a request that is cancelled half-way cannot leave the connection in a
//! state that nobody knows, nor a committed change under an old version. What it began is rolled back by whoever comes next
//! ([`State::tidy`]). No transaction is ever acknowledged that was not committed: when SQLite gave the outer transaction up by
//! itself (disk full, I/O error), everybody who waits for it is told so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::Instant;

use crate::StoreError;
use crate::rows::storable;
use crate::value::{Row, Value};

/// The writing connection and who waits for it.
pub(crate) struct Writer {
    state: Arc<Mutex<State>>,
    committer: mpsc::Sender<Work>,
    version: Arc<AtomicU64>,
}

/// What the committer is asked for.
enum Work {
    /// Commit the group.
    Commit,
    /// Write what the log holds into the file.
    Checkpoint(oneshot::Sender<Result<(), StoreError>>),
    /// The same, for good.
    Close(oneshot::Sender<()>),
}

struct State {
    connection: Connection,
    /// The outer transaction is open.
    open: bool,
    /// A savepoint is open that nobody released: its transaction was dropped.
    dirty: bool,
    /// A transaction of this group moves the version.
    bumped: bool,
    /// The committer was asked to commit, and did not begin.
    asked: bool,
    /// Released transactions that wait for the outer commit.
    pending: Vec<oneshot::Sender<Result<(), String>>>,
    version: Arc<AtomicU64>,
    closed: bool,
}

/// One transaction. Dropped without [`SqliteTx::commit`], it leaves nothing.
pub(crate) struct SqliteTx {
    state: Option<OwnedMutexGuard<State>>,
    committer: mpsc::Sender<Work>,
}

/// How long a lock of another process is waited for, and between two looks.
const BUSY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

const GIVEN_UP: &str = "the database gave the group of transactions up";

/// Texts whose plans are kept.
const STATEMENTS: usize = 512;

impl Writer {
    /// Opens the file, which is there and has its tables, and starts the committer; it ends when the writer is dropped.
    pub(crate) fn start(file: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Of opening alone: changes wait without keeping their thread.
        connection.busy_timeout(BUSY)?;
        for pragma in ["PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA case_sensitive_like = ON"] {
            execute(&connection, pragma)?;
        }
        let version = Arc::new(AtomicU64::new(stored_version(&connection)?));
        connection.busy_timeout(Duration::ZERO)?;
        let state = Arc::new(Mutex::new(State {
            connection,
            open: false,
            dirty: false,
            bumped: false,
            asked: false,
            pending: Vec::new(),
            version: Arc::clone(&version),
            closed: false,
        }));
        let (committer, asked) = mpsc::channel();
        let shared = Arc::clone(&state);
        let committing = move || {
            while let Ok(work) = asked.recv() {
                shared.blocking_lock().work(work);
            }
        };
        std::thread::Builder::new().name("sqlite-commits".to_owned()).spawn(committing).map_err(sqlx::Error::Io)?;
        Ok(Writer { state, committer, version })
    }

    /// The version of everything that decisions depend on. It moves after the commit, before the acknowledgement.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) async fn begin(&self) -> Result<SqliteTx, StoreError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if state.closed {
            return Err(StoreError::NotCommitted("the database is closed".to_owned()));
        }
        state.tidy();
        if !state.open {
            let since = Instant::now();
            while let Err(error) = execute(&state.connection, "BEGIN IMMEDIATE") {
                if !error.is_busy() || since.elapsed() > BUSY {
                    return Err(error);
                }
                tokio::time::sleep(LOOK).await;
            }
            state.open = true;
        }
        // Whatever ends this early, a failure or a cancelled request, the drop of the transaction tells the committer.
        let mut tx = SqliteTx { state: Some(state), committer: self.committer.clone() };
        let state = tx.state()?;
        execute(&state.connection, "SAVEPOINT request")?;
        state.dirty = true;
        Ok(tx)
    }

    /// For [`crate::testing::hang`]: who begins a change waits for the lock of another process with its thread, and for long.
    pub(crate) async fn keep_threads(&self) -> Result<(), StoreError> {
        Ok(self.state.lock().await.connection.busy_timeout(Duration::from_secs(600))?)
    }

    /// Writes what the log holds into the file, which then ends behind its last page, as far as no reader is in the way. Nobody
    /// waits for a reader.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        let _ = self.committer.send(Work::Checkpoint(done));
        written.await.map_err(|_| stopping())?
    }

    /// Waits for what is under way and refuses everything after it. Then the database is whole in its one file, so that
    /// whoever copies that alone has all of it; readers that are still open would prevent it.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let _ = self.committer.send(Work::Close(done));
        let _ = closed.await;
    }
}

impl State {
    /// What the committer does, on its thread.
    fn work(&mut self, work: Work) {
        match work {
            Work::Commit => {
                self.asked = false;
                self.commit_group();
            }
            Work::Checkpoint(done) => {
                self.commit_group();
                let written = match self.closed {
                    true => Ok(()),
                    false => execute(&self.connection, "PRAGMA wal_checkpoint(PASSIVE)").map(|_| ()),
                };
                // Whoever asked may be gone.
                let _ = done.send(written);
            }
            Work::Close(done) => {
                self.commit_group();
                self.closed = true;
                let patience = self.connection.busy_timeout(BUSY).map_err(StoreError::from);
                if let Err(error) = patience.and_then(|()| execute(&self.connection, "PRAGMA wal_checkpoint(TRUNCATE)"))
                {
                    tracing::warn!(%error, "the write-ahead log stays beside the database; the next start reads it");
                }
                let _ = done.send(());
            }
        }
    }

    /// Undoes what a dropped transaction left, and finds out whether the outer transaction is still there.
    fn tidy(&mut self) {
        if self.dirty {
            self.dirty = false;
            let undone = execute(&self.connection, "ROLLBACK TO request")
                .and_then(|_| execute(&self.connection, "RELEASE request"));
            // Half of a transaction must not stay: then nothing of the group does.
            if undone.is_err() && !self.connection.is_autocommit() {
                let _ = execute(&self.connection, "ROLLBACK");
            }
        }
        // SQLite rolls everything back by itself where it cannot go on: then nothing of the group is there.
        if self.open && self.connection.is_autocommit() {
            self.end_group(Err(GIVEN_UP.to_owned()));
        }
    }

    fn commit_group(&mut self) {
        self.tidy();
        if !self.open {
            return;
        }
        let outcome = execute(&self.connection, "COMMIT").map(|_| ()).map_err(|error| {
            tracing::error!(error = ?error, "a group of transactions could not be committed");
            format!("{error:?}")
        });
        if outcome.is_err() {
            let _ = execute(&self.connection, "ROLLBACK");
        } else if self.bumped {
            match stored_version(&self.connection) {
                Ok(version) => self.version.store(version, Ordering::Release),
                Err(_) => _ = self.version.fetch_add(1, Ordering::AcqRel),
            }
        }
        self.end_group(outcome);
    }

    fn end_group(&mut self, outcome: Result<(), String>) {
        self.open = false;
        self.bumped = false;
        for waiting in self.pending.drain(..) {
            // Whoever no longer waits was cancelled; the transaction stands all the same.
            let _ = waiting.send(outcome.clone());
        }
    }
}

impl SqliteTx {
    fn state(&mut self) -> Result<&mut State, StoreError> {
        self.state.as_deref_mut().ok_or_else(|| StoreError::NotCommitted("the transaction is over".to_owned()))
    }

    /// The connection, as long as the transaction is there: after SQLite gave it up, each statement would be a change of its own.
    fn connection(&mut self) -> Result<&Connection, StoreError> {
        let connection = &self.state()?.connection;
        if connection.is_autocommit() {
            return Err(StoreError::NotCommitted(GIVEN_UP.to_owned()));
        }
        Ok(connection)
    }

    /// Runs a statement; gives the number of rows that it changed.
    pub(crate) fn run(&mut self, sql: &'static str, params: Vec<Value>) -> Result<u64, StoreError> {
        let connection = self.connection()?;
        let mut statement = bound(connection, sql, params)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(connection.changes())
    }

    /// Every row of an answer, as this transaction sees it.
    pub(crate) fn rows(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let mut statement = bound(self.connection()?, sql, params)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found
                .push(Row((0..columns).map(|column| value(column, row.get_ref(column)?)).collect::<Result<_, _>>()?));
        }
        Ok(found)
    }

    /// Waits until the transaction is durable; `bumped`: it moves the version.
    pub(crate) async fn commit(mut self, bumped: bool) -> Result<(), StoreError> {
        let committed = {
            let state = self.state()?;
            execute(&state.connection, "RELEASE request")?;
            state.dirty = false;
            state.bumped |= bumped;
            let (done, committed) = oneshot::channel();
            state.pending.push(done);
            committed
        };
        drop(self);
        match committed.await {
            Ok(outcome) => outcome.map_err(StoreError::NotCommitted),
            Err(_) => Err(stopping()),
        }
    }
}

impl Drop for SqliteTx {
    /// Gives the connection back and asks the committer, once a group.
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let asked = std::mem::replace(&mut state.asked, true);
        // Before the committer wakes, which would only wait for it.
        drop(state);
        if !asked {
            let _ = self.committer.send(Work::Commit);
        }
    }
}

fn stopping() -> StoreError {
    StoreError::NotCommitted("the server is stopping".to_owned())
}

/// A statement with its parameters. SQLite counts `$2` by where it first stands; the number is part of its name.
fn bound<'c>(
    connection: &'c Connection,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let params = params.into_iter().map(storable).collect::<Result<Vec<_>, _>>()?;
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        // One that was not given is NULL.
        let Some(value) = params.get(number.unwrap_or(place).wrapping_sub(1)) else { continue };
        let value = match value {
            Value::Int(Some(value)) => ValueRef::Integer(*value),
            Value::Real(Some(value)) => ValueRef::Real(*value),
            Value::Text(Some(value)) => ValueRef::Text(value.as_bytes()),
            Value::Blob(Some(value)) => ValueRef::Blob(value),
            Value::Int(None) | Value::Real(None) | Value::Text(None) | Value::Blob(None) => ValueRef::Null,
        };
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(value))?;
    }
    Ok(statement)
}

fn value(column: usize, value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Text(None),
        ValueRef::Integer(value) => Value::Int(Some(value)),
        ValueRef::Real(value) => Value::Real(Some(value)),
        ValueRef::Blob(value) => Value::Blob(Some(value.to_vec())),
        ValueRef::Text(value) => {
            let text = std::str::from_utf8(value).map_err(|_| StoreError::Shape {
                column,
                wanted: "a text",
                found: "bytes that are no text",
            })?;
            Value::Text(Some(text.to_owned()))
        }
    })
}

fn stored_version(connection: &Connection) -> Result<u64, StoreError> {
    let version: i64 = connection.query_row("SELECT version FROM authz_version WHERE one = 1", [], |row| row.get(0))?;
    Ok(version.cast_unsigned())
}

/// Runs a statement whose answer does not matter.
fn execute(connection: &Connection, sql: &'static str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}
