//! Changes on PostgreSQL: who makes one when, and how one ends.
//!
//! Changes run SERIALIZABLE beside each other, and of those that meet the database may refuse one: it lost a race. Three things
//! keep that rare, and bounded:
//!
//! - At most [`CHANGES`] are under way in a process; the others wait in a queue, for far longer than one waits for a connection,
//!   and whoever reads finds one.
//! - Changes that move the version all write one row, so that of those that meet all but one would fail. They come one
//!   after the other instead ([`Beside::NoneThatMoves`]).
//! - What lost a race runs again beside no other change ([`Beside::Nobody`], see [`crate::again`]): there is nobody to lose to.
//!
//! The latter two are locks of that row's table, so they hold among all replicas. They are taken at the beginning, because a
//! change sees the database as it was at its first statement: LOCK and SET are none.
//!
//! However a change ends, its connection goes back to the pool without a transaction. sqlx's own would not do: it knows of none
//! before BEGIN was answered, so that whoever is cancelled there leaves one open for the next who reads.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgConnection, PgPool, Postgres};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::StoreError;
use crate::migrate;

/// Connections of a process. With those of changes ([`CHANGES`]) and of built queries ([`SELECTS`]) not all are taken.
const CONNECTIONS: u32 = 16;

/// Built queries under way in a process, at most.
pub(crate) const SELECTS: usize = 6;

/// Changes under way in a process, at most.
const CHANGES: usize = 8;

/// How long a change waits for its turn in this process, and then whoever wants a connection for one.
const TURN: Duration = Duration::from_secs(30);
const CONNECTION: Duration = Duration::from_secs(30);

/// Whoever has waited for so long looks whether the database takes connections at all. Shorter than the patience of who asks
/// whether it is there (kit's health).
const LOOK: Duration = Duration::from_secs(4);
/// A look is good for so long, however many wait.
const SEEN: Duration = Duration::from_secs(1);

/// What every connection begins with. Reading is ended after a minute: nobody waits for it any more. A lock is waited for half
/// as long, and whoever holds one and does nothing (a host that is gone) is ended, too.
const BOUNDS: &str =
    "SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";
/// A migration takes as long as it takes.
const NO_BOUNDS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

const BESIDE_OTHERS: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout = 0; \
     LOCK TABLE authz_version IN ROW SHARE MODE";
const BESIDE_NONE_THAT_MOVES: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout = 0; \
     LOCK TABLE authz_version IN SHARE ROW EXCLUSIVE MODE";
/// All others wait while this waits for those under way: it does not wait for long.
const BESIDE_NOBODY: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout = 0; \
     SET LOCAL lock_timeout = '2s'; LOCK TABLE authz_version IN EXCLUSIVE MODE; SET LOCAL lock_timeout = '30s'";
const READ_TOGETHER: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Beside whom a change is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Others,
    NoneThatMoves,
    Nobody,
}

/// The pool and who waits to change something.
pub(crate) struct Changers {
    pub(crate) pool: PgPool,
    seen: Mutex<Option<Instant>>,
    places: Arc<Semaphore>,
    moving: Arc<Mutex<()>>,
}

/// A place among the changes under way.
struct Turn {
    _first: Option<OwnedMutexGuard<()>>,
    _place: OwnedSemaphorePermit,
}

/// One transaction. Dropped without [`PostgresTx::commit`], it leaves nothing.
pub(crate) struct PostgresTx {
    connection: Option<PoolConnection<Postgres>>,
    turn: Option<Turn>,
}

impl Changers {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTION)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(BOUNDS).await.map(|_| ()) }))
            .connect_lazy_with(options);
        Changers { pool, seen: Mutex::default(), places: Arc::new(Semaphore::new(CHANGES)), moving: Arc::default() }
    }

    /// A connection. When all are taken, or the database is slow to give one, that is waited for; not when it is away.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        tokio::select! {
            biased;
            connection = self.pool.acquire() => Ok(connection?),
            away = self.away() => Err(away),
        }
    }

    /// Comes back when the database takes no connections.
    async fn away(&self) -> StoreError {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = self.look().await {
                return sqlx::Error::Io(error).into();
            }
        }
    }

    async fn look(&self) -> std::io::Result<()> {
        let options = self.pool.connect_options();
        if options.get_socket().is_some() || options.get_host().starts_with('/') {
            return Ok(());
        }
        let mut seen = self.seen.lock().await;
        if seen.is_none_or(|at| at.elapsed() >= SEEN) {
            TcpStream::connect((options.get_host(), options.get_port())).await?;
            *seen = Some(Instant::now());
        }
        Ok(())
    }

    /// Runs the migrations.
    pub(crate) async fn migrate(&self, migrator: Migrator) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        connection.execute(NO_BOUNDS).await?;
        migrator.run(&mut *connection).await.map_err(migrate::failed)?;
        connection.execute(BOUNDS).await?;
        Ok(())
    }

    /// Runs a statement that takes as long as it takes, outside transactions.
    pub(crate) async fn unbounded(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        // However this ends, nobody else gets a connection without bounds.
        connection.close_on_drop();
        connection.execute(NO_BOUNDS).await?;
        connection.execute(sql).await?;
        Ok(())
    }

    /// Begins a change when it is its turn. While the database is away nobody waits for one.
    pub(crate) async fn begin(&self, beside: Beside) -> Result<PostgresTx, StoreError> {
        tokio::select! {
            biased;
            tx = self.begin_in_turn(beside) => tx,
            away = self.away() => Err(away),
        }
    }

    async fn begin_in_turn(&self, beside: Beside) -> Result<PostgresTx, StoreError> {
        let turn =
            tokio::time::timeout(TURN, self.turn(beside)).await.map_err(|_| StoreError::NoTurn(TURN.as_secs()))??;
        let mut tx = PostgresTx { connection: None, turn: Some(turn) };
        match beside {
            Beside::Others => tx.open(&self.pool, BESIDE_OTHERS).await?,
            Beside::NoneThatMoves => tx.open(&self.pool, BESIDE_NONE_THAT_MOVES).await?,
            Beside::Nobody => match tx.open(&self.pool, BESIDE_NOBODY).await {
                // Somebody takes long; they are not to keep all others waiting.
                Err(error) if error.is_lock_timeout() => {
                    tx.connection()?.execute("ROLLBACK").await?;
                    tx.connection()?.execute(BESIDE_NONE_THAT_MOVES).await?;
                }
                opened => opened?,
            },
        }
        Ok(tx)
    }

    /// Begins to read several things as they are at one moment.
    pub(crate) async fn read_together(&self) -> Result<PostgresTx, StoreError> {
        let mut tx = PostgresTx { connection: Some(self.connection().await?), turn: None };
        tx.connection()?.execute(READ_TOGETHER).await?;
        Ok(tx)
    }

    async fn turn(&self, beside: Beside) -> Result<Turn, StoreError> {
        let first = match beside {
            Beside::Others => None,
            Beside::NoneThatMoves | Beside::Nobody => Some(Arc::clone(&self.moving).lock_owned().await),
        };
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Turn { _first: first, _place: place })
    }
}

impl PostgresTx {
    async fn open(&mut self, pool: &PgPool, begin: &'static str) -> Result<(), StoreError> {
        self.connection = Some(pool.acquire().await?);
        self.connection()?.execute(begin).await?;
        Ok(())
    }

    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let over = || StoreError::NotCommitted("the transaction is over".to_owned());
        Ok(&mut *self.connection.as_mut().ok_or_else(over)?)
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = self.connection()?.execute("COMMIT").await;
        // Whatever it says, there is nothing left to roll back.
        self.connection = None;
        Ok(committed.map(|_| ())?)
    }
}

impl Drop for PostgresTx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return connection.close_on_drop() };
        let turn = self.turn.take();
        // As short as what the pool itself does with a connection that is given back.
        runtime.spawn(async move {
            if connection.execute("ROLLBACK").await.is_err() {
                connection.close_on_drop();
            }
            drop(connection);
            drop(turn);
        });
    }
}
