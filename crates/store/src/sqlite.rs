//! SQLite's one writer, with group commit.
//!
//! A transaction is a savepoint inside an outer transaction of the one writing connection. Its commit releases the
//! savepoint and then waits for the flusher, which takes the connection after everybody who was already waiting for it
//! and commits the outer transaction: one fsync for the whole group. A lone transaction finds nobody waiting, so the
//! flusher runs at once.
//!
//! Only the flusher commits, in its own task: a request that is cancelled half-way cannot leave the connection in a state
//! that nobody knows. What it began is rolled back by whoever comes next ([`State::tidy`]).

use std::sync::Arc;

use sqlx::SqliteConnection;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use crate::StoreError;

/// The writing connection and who waits for it.
pub(crate) struct Writer {
    state: Arc<Mutex<State>>,
    flush: Arc<Notify>,
}

struct State {
    connection: SqliteConnection,
    /// An outer transaction is open.
    open: bool,
    /// A savepoint is open that nobody released: its transaction was dropped.
    dirty: bool,
    /// Released transactions that wait for the outer commit.
    pending: Vec<oneshot::Sender<Result<(), String>>>,
}

/// One transaction. Dropped without [`SqliteTx::commit`], it leaves nothing.
pub(crate) struct SqliteTx {
    state: Option<OwnedMutexGuard<State>>,
    flush: Arc<Notify>,
}

impl Writer {
    /// Takes the connection over and starts the flusher; it ends when the writer is dropped.
    pub(crate) fn start(connection: SqliteConnection) -> Self {
        let state = Arc::new(Mutex::new(State { connection, open: false, dirty: false, pending: Vec::new() }));
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
        Writer { state, flush }
    }

    pub(crate) async fn begin(&self) -> Result<SqliteTx, StoreError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        state.tidy().await;
        if !state.open {
            state.open = true;
            if let Err(error) = execute(&mut state.connection, "BEGIN IMMEDIATE").await {
                state.open = false;
                return Err(error);
            }
        }
        state.dirty = true;
        execute(&mut state.connection, "SAVEPOINT request").await?;
        Ok(SqliteTx { state: Some(state), flush: Arc::clone(&self.flush) })
    }

    /// Waits for what is under way and refuses everything after it.
    pub(crate) async fn close(&self) {
        self.state.lock().await.commit_group().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush.notify_one();
    }
}

impl State {
    /// Undoes what a dropped transaction left. Errors mean that there was nothing left.
    async fn tidy(&mut self) {
        if self.dirty {
            let _ = execute(&mut self.connection, "ROLLBACK TO request").await;
            let _ = execute(&mut self.connection, "RELEASE request").await;
            self.dirty = false;
        }
    }

    async fn commit_group(&mut self) {
        self.tidy().await;
        if !self.open {
            return;
        }
        let outcome = execute(&mut self.connection, "COMMIT").await.map_err(|error| {
            tracing::error!(error = ?error, "a group of transactions could not be committed");
            format!("{error:?}")
        });
        if outcome.is_err() {
            let _ = execute(&mut self.connection, "ROLLBACK").await;
        }
        self.open = false;
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

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let mut state = self.state.take().ok_or_else(finished)?;
        execute(&mut state.connection, "RELEASE request").await?;
        state.dirty = false;
        let (done, committed) = oneshot::channel();
        state.pending.push(done);
        drop(state);
        self.flush.notify_one();
        match committed.await {
            Ok(outcome) => outcome.map_err(StoreError::NotCommitted),
            Err(_) => Err(StoreError::NotCommitted("the server is stopping".to_owned())),
        }
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        if self.state.take().is_some() {
            self.flush.notify_one();
        }
    }
}

fn finished() -> StoreError {
    StoreError::NotCommitted("the transaction is over".to_owned())
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(connection).await.map(|_| ()).map_err(StoreError::from)
}
