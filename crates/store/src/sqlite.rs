//! SQLite's one writer, with group commit.
//!
//! A transaction is a savepoint inside an outer transaction of the one writing connection. Its commit releases the
//! savepoint and then waits for the flusher, which takes the connection after everybody who was already waiting for it
//! and commits the outer transaction: one fsync for the whole group. A lone transaction finds nobody waiting, so the
//! flusher runs at once.
//!
//! Only the flusher commits, and only it moves the version, in its own task: a request that is cancelled half-way cannot
//! leave the connection in a state that nobody knows, nor a committed change under an old version. What it began is
//! rolled back by whoever comes next ([`State::tidy`]). No transaction is ever acknowledged that was not committed: when
//! SQLite gave the outer transaction up by itself (disk full, I/O error), everybody who waits for it is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use crate::StoreError;

/// The writing connection and who waits for it.
pub(crate) struct Writer {
    state: Arc<Mutex<State>>,
    flush: Arc<Notify>,
    version: Arc<AtomicU64>,
}

struct State {
    connection: SqliteConnection,
    outer: Outer,
    /// A savepoint is open that nobody released: its transaction was dropped.
    dirty: bool,
    /// A transaction of this group moves the version.
    bumped: bool,
    /// Released transactions that wait for the outer commit.
    pending: Vec<oneshot::Sender<Result<(), String>>>,
    version: Arc<AtomicU64>,
    closed: bool,
}

/// The outer transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outer {
    None,
    Open,
    /// Whoever was finding out, or opening it, was cancelled.
    Unknown,
}

/// One transaction. Dropped without [`SqliteTx::commit`], it leaves nothing.
pub(crate) struct SqliteTx {
    state: Option<OwnedMutexGuard<State>>,
    flush: Arc<Notify>,
    /// The flusher was told.
    told: bool,
}

impl Writer {
    /// Takes the connection over and starts the flusher; it ends when the writer is dropped.
    pub(crate) async fn start(mut connection: SqliteConnection) -> Result<Self, StoreError> {
        let version = Arc::new(AtomicU64::new(stored_version(&mut connection).await?));
        let state = Arc::new(Mutex::new(State {
            connection,
            outer: Outer::None,
            dirty: false,
            bumped: false,
            pending: Vec::new(),
            version: Arc::clone(&version),
            closed: false,
        }));
        let flush = Arc::new(Notify::new());
        let (weak, notified) = (Arc::downgrade(&state), Arc::clone(&flush));
        #[expect(
            clippy::disallowed_methods,
            reason = "the flusher lives as long as its connection, below kit's tasks"
        )]
        tokio::spawn(async move {
            loop {
                notified.notified().await;
                let Some(state) = weak.upgrade() else { return };
                state.lock().await.commit_group().await;
            }
        });
        Ok(Writer { state, flush, version })
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
        state.tidy().await;
        if state.outer != Outer::Open {
            state.outer = Outer::Unknown;
            let begun = execute(&mut state.connection, "BEGIN IMMEDIATE").await;
            state.outer = if begun.is_ok() { Outer::Open } else { Outer::None };
            begun?;
        }
        state.dirty = true;
        // Whatever ends this early, a failure or a cancelled request, the drop of the transaction tells the flusher.
        let mut tx = SqliteTx { state: Some(state), flush: Arc::clone(&self.flush), told: false };
        execute(tx.connection()?, "SAVEPOINT request").await?;
        Ok(tx)
    }

    /// Writes what the log holds into the file, which then ends behind its last page, as far as no reader is in the way. Nobody
    /// waits for a reader.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        if state.closed {
            return Ok(());
        }
        state.commit_group().await;
        execute(&mut state.connection, "PRAGMA wal_checkpoint(PASSIVE)").await
    }

    /// Waits for what is under way and refuses everything after it. Then the database is whole in its one file, so that
    /// whoever copies that alone has all of it; readers that are still open would prevent it.
    pub(crate) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.commit_group().await;
        state.closed = true;
        if let Err(error) = execute(&mut state.connection, "PRAGMA wal_checkpoint(TRUNCATE)").await {
            tracing::warn!(%error, "the write-ahead log stays beside the database; the next start reads it");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush.notify_one();
    }
}

impl State {
    /// Undoes what a dropped transaction left, and finds out whether the outer transaction is still there.
    async fn tidy(&mut self) {
        if self.outer == Outer::Unknown {
            let _ = execute(&mut self.connection, "ROLLBACK").await;
            self.dirty = false;
            self.end_group(Err("the database gave the group of transactions up".to_owned()));
        }
        if !self.dirty {
            return;
        }
        if execute(&mut self.connection, "ROLLBACK TO request").await.is_ok() {
            let _ = execute(&mut self.connection, "RELEASE request").await;
        } else if self.outer == Outer::Open {
            // No such savepoint. Either its transaction was cancelled while it was released, and is part of the group;
            // or SQLite rolled everything back: then, and only then, a new transaction can be begun.
            self.outer = Outer::Unknown;
            if execute(&mut self.connection, "BEGIN").await.is_ok() {
                let _ = execute(&mut self.connection, "ROLLBACK").await;
                self.end_group(Err("the database gave the group of transactions up".to_owned()));
            } else {
                self.outer = Outer::Open;
            }
        }
        self.dirty = false;
    }

    async fn commit_group(&mut self) {
        self.tidy().await;
        if self.outer != Outer::Open {
            return;
        }
        let outcome = execute(&mut self.connection, "COMMIT").await.map_err(|error| {
            tracing::error!(error = ?error, "a group of transactions could not be committed");
            format!("{error:?}")
        });
        if outcome.is_err() {
            let _ = execute(&mut self.connection, "ROLLBACK").await;
        } else if self.bumped {
            match stored_version(&mut self.connection).await {
                Ok(version) => self.version.store(version, Ordering::Release),
                Err(_) => _ = self.version.fetch_add(1, Ordering::AcqRel),
            }
        }
        self.end_group(outcome);
    }

    fn end_group(&mut self, outcome: Result<(), String>) {
        self.outer = Outer::None;
        self.bumped = false;
        for waiting in self.pending.drain(..) {
            // Whoever no longer waits was cancelled; the transaction stands all the same.
            let _ = waiting.send(outcome.clone());
        }
    }
}

impl SqliteTx {
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.state.as_mut().map(|state| &mut state.connection).ok_or_else(finished)
    }

    /// Waits until the transaction is durable; `bumped`: it moves the version.
    pub(crate) async fn commit(mut self, bumped: bool) -> Result<(), StoreError> {
        let committed = {
            let state = self.state.as_mut().ok_or_else(finished)?;
            // Before the release: cancelled there, the transaction may still become part of the group.
            state.bumped |= bumped;
            execute(&mut state.connection, "RELEASE request").await?;
            state.dirty = false;
            let (done, committed) = oneshot::channel();
            state.pending.push(done);
            committed
        };
        self.finish();
        match committed.await {
            Ok(outcome) => outcome.map_err(StoreError::NotCommitted),
            Err(_) => Err(StoreError::NotCommitted("the server is stopping".to_owned())),
        }
    }

    /// Gives the connection back and tells the flusher, once.
    fn finish(&mut self) {
        self.state = None;
        if !self.told {
            self.told = true;
            self.flush.notify_one();
        }
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        self.finish();
    }
}

fn finished() -> StoreError {
    StoreError::NotCommitted("the transaction is over".to_owned())
}

async fn stored_version(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT version FROM authz_version WHERE one = 1").fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(connection).await.map(|_| ()).map_err(StoreError::from)
}
