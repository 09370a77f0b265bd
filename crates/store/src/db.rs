//! The database: reading, writing, and the version that decisions are stamped with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crannog_security::{Evidence, Origin, Who};
use crannog_types::Micros;
use sea_query::SelectStatement;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::Semaphore;

use crate::again::is_again;
use crate::audit::{self, Audit, AuditEvent};
use crate::bounded::Bounded;
use crate::migrate::{self, Dialect};
use crate::postgres::{Beside, Changers, PostgresTx, SELECTS};
use crate::rows::{bind_postgres, postgres_rows, postgres_select, sqlite_rows, sqlite_select};
use crate::sqlite::{SqliteTx, Writer};
use crate::value::{Row, Value};
use crate::{StoreError, params};

/// Gives the time; kit's clock in the program, a fixed one in tests.
pub(crate) type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// The metadata database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pools: Pools,
    clock: Clock,
    /// Of queries that were built from parts, which may take long: they never hold every connection.
    selects: Semaphore,
}

impl Inner {
    fn new(pools: Pools, clock: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        let most = match pools {
            Pools::Sqlite { .. } => SQLITE_SELECTS,
            Pools::Postgres(_) => SELECTS,
        };
        Inner { pools, clock: Arc::new(clock), selects: Semaphore::new(most) }
    }
}

enum Pools {
    Sqlite { readers: SqlitePool, writer: Writer },
    Postgres(Changers),
}

impl Db {
    /// Opens a SQLite file, making it when it is not there, and migrates it.
    pub async fn sqlite(file: &Path, clock: impl Fn() -> Micros + Send + Sync + 'static) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(512)
            // As on PostgreSQL: LIKE tells upper from lower case.
            .pragma("case_sensitive_like", "on");
        // Said before the first page is written: space is given back by [`Db::reclaim`], and by nothing else.
        let mut connection = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental).connect().await?;
        migrate::snapshot_before(&mut connection, file).await?;
        migrate::migrator(Dialect::Sqlite).run(&mut connection).await.map_err(migrate::failed)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(SQLITE_READERS)
            .connect_with(options.read_only(true))
            .await?;
        connection.close().await?;
        let pools = Pools::Sqlite { readers, writer: Writer::start(file)? };
        Ok(Db(Arc::new(Inner::new(pools, clock))))
    }

    /// Connects to PostgreSQL 15 or later and migrates it. No copy is made before: that is `pg_dump`'s work.
    pub async fn postgres(url: &str, clock: impl Fn() -> Micros + Send + Sync + 'static) -> Result<Self, StoreError> {
        let changers = Changers::new(url.parse()?);
        changers.migrate(migrate::migrator(Dialect::Postgres)).await?;
        Ok(Db(Arc::new(Inner::new(Pools::Postgres(changers), clock))))
    }

    /// `sqlite` or `postgres`, for status pages.
    pub fn name(&self) -> &'static str {
        match self.0.pools {
            Pools::Sqlite { .. } => "sqlite",
            Pools::Postgres(_) => "postgres",
        }
    }

    /// The time by the database's clock.
    pub fn now(&self) -> Micros {
        (self.0.clock)()
    }

    /// Reads on behalf of whoever holds the permit.
    pub fn read(&self, _evidence: &dyn Evidence) -> Reader<'_> {
        Reader { inner: &self.0 }
    }

    /// Begins a change. Nothing of it is seen before [`Tx::commit`], which writes the audit row with it; dropped, it
    /// leaves nothing.
    pub async fn write(&self, evidence: &dyn Evidence, audit: Audit) -> Result<Tx, StoreError> {
        let mut tx = self.begin(Beside::Others).await?.by(evidence);
        tx.audits.push(audit);
        Ok(tx)
    }

    /// As [`Db::write`], a change that moves the version ([`Tx::bump`]): such changes are made one after the other, where they
    /// would only come in each other's way.
    pub async fn write_moving(&self, evidence: &dyn Evidence, audit: Audit) -> Result<Tx, StoreError> {
        let mut tx = self.begin(Beside::NoneThatMoves).await?.by(evidence);
        tx.audits.push(audit);
        Ok(tx)
    }

    /// Begins one of many small changes of a kind, of which an audit row of the same person tells already.
    pub async fn write_further(&self, evidence: &dyn Evidence) -> Result<Tx, StoreError> {
        Ok(self.begin(Beside::Others).await?.by(evidence))
    }

    /// Begins a change that the program makes by itself and that nobody audits: bookkeeping.
    pub async fn write_unaudited(&self, _evidence: &crannog_security::System) -> Result<Tx, StoreError> {
        self.begin(Beside::Others).await
    }

    /// Begins a change of nothing and ends it. It comes back when changes get through, and when the database refuses them:
    /// an error is an answer. It does not come back while the way to the database is stuck in this process, nor while a
    /// database that takes connections does not answer on them.
    pub async fn progress(&self, evidence: &crannog_security::System) {
        let change = async { self.write_unaudited(evidence).await?.commit().await };
        match &self.0.pools {
            Pools::Sqlite { .. } => _ = change.await,
            Pools::Postgres(changers) => {
                // That the pool gave up is no answer of the database's. It does so when the database hangs, too.
                let answer = async {
                    if let Err(StoreError::NoTurn(_) | StoreError::Sql(sqlx::Error::PoolTimedOut)) = change.await {
                        std::future::pending::<()>().await;
                    }
                };
                // A database that is away keeps the pool waiting too, and that is nothing that is stuck here.
                let away = async {
                    tokio::time::sleep(POOL_PATIENCE).await;
                    if changers.pool.connect_options().connect().await.is_ok() {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = answer => {}
                    () = away => {}
                }
            }
        }
    }

    /// Reads several things as they were at one moment, together with the version of that moment.
    pub async fn snapshot(&self, _evidence: &dyn Evidence) -> Result<Snapshot, StoreError> {
        let inner = match &self.0.pools {
            Pools::Sqlite { readers, .. } => SnapshotInner::Sqlite(readers.begin().await?),
            Pools::Postgres(changers) => SnapshotInner::Postgres(changers.read_together().await?),
        };
        // The first statement is what fixes the moment.
        let mut snapshot = Snapshot { inner, version: 0 };
        let row = snapshot.row(VERSION, params![]).await?;
        snapshot.version = version_of(row)?;
        Ok(snapshot)
    }

    /// The version of everything that decisions depend on. It moves before a change that moved it is acknowledged.
    pub async fn version(&self) -> Result<u64, StoreError> {
        match &self.0.pools {
            Pools::Sqlite { writer, .. } => Ok(writer.version()),
            Pools::Postgres(changers) => {
                let mut connection = changers.connection().await?;
                version_of(postgres_rows(&mut *connection, VERSION, params![]).await?.into_iter().next())
            }
        }
    }

    /// How many connections to the database are open, and how many of them wait for work.
    pub fn connections(&self) -> (u32, usize) {
        match &self.0.pools {
            Pools::Sqlite { readers, .. } => (readers.size() + 1, readers.num_idle()),
            Pools::Postgres(changers) => (changers.pool.size(), changers.pool.num_idle()),
        }
    }

    /// Gives the space of rows that were deleted back to the disk: on SQLite a few megabytes a transaction, on PostgreSQL by
    /// VACUUM of the tables of what runs log, which gives back what is behind the last row.
    pub async fn reclaim(&self, _evidence: &crannog_security::System) -> Result<(), StoreError> {
        match &self.0.pools {
            Pools::Sqlite { writer, .. } => {
                let mut before = i64::MAX;
                loop {
                    let mut tx = self.begin(Beside::Others).await?;
                    let free = match tx.row("PRAGMA freelist_count", params![]).await? {
                        Some(row) => row.int(0)?,
                        None => 0,
                    };
                    // A file that was made before it could give anything back stays as large as it is.
                    if free == 0 || free >= before {
                        drop(tx);
                        return writer.checkpoint().await;
                    }
                    before = free;
                    tx.rows("PRAGMA incremental_vacuum(1000)", params![]).await?;
                    tx.commit().await?;
                }
            }
            Pools::Postgres(changers) => {
                changers
                    .unbounded("VACUUM (TRUNCATE TRUE) metric_log, metric_latest, run_param, run_tag, run, artifact")
                    .await
            }
        }
    }

    /// Finishes what is under way and closes.
    pub async fn close(&self) {
        match &self.0.pools {
            Pools::Sqlite { readers, writer } => {
                // What the writer does last needs the file for itself.
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(changers) => changers.pool.close().await,
        }
    }

    /// As [`Writer::keep_threads`].
    pub(crate) async fn keep_threads(&self) -> Result<(), StoreError> {
        match &self.0.pools {
            Pools::Sqlite { writer, .. } => writer.keep_threads().await,
            Pools::Postgres(_) => Ok(()),
        }
    }

    async fn begin(&self, beside: Beside) -> Result<Tx, StoreError> {
        let beside = if is_again() { Beside::Nobody } else { beside };
        let inner = match &self.0.pools {
            Pools::Sqlite { writer, .. } => TxInner::Sqlite(Box::new(writer.begin().await?)),
            Pools::Postgres(changers) => TxInner::Postgres(changers.begin(beside).await?),
        };
        Ok(Tx { db: self.clone(), inner, bumped: false, audits: Vec::new(), who: None, origin: None })
    }
}

/// What a permit opens for reading.
pub struct Reader<'a> {
    inner: &'a Inner,
}

impl Reader<'_> {
    /// Every row of an answer.
    pub async fn rows(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &self.inner.pools {
            Pools::Sqlite { readers, .. } => sqlite_rows(readers, sql, params).await,
            Pools::Postgres(changers) => postgres_rows(&mut *changers.connection().await?, sql, params).await,
        }
    }

    /// The first row of an answer, if there is one.
    pub async fn row(&self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Every row of a query that was built from parts. A part of the connections runs such queries, the rest is for others;
    /// after a minute it is ended.
    pub async fn select(&self, select: &SelectStatement) -> Result<Vec<Row>, StoreError> {
        let turn = tokio::time::timeout(TURN, self.inner.selects.acquire()).await;
        let _turn = turn.map_err(|_| StoreError::NoTurn(TURN.as_secs()))?.map_err(|_| sqlx::Error::PoolClosed)?;
        match &self.inner.pools {
            Pools::Sqlite { readers, .. } => {
                let mut reader = Bounded::on(readers, Arc::clone(&self.inner.clock)).await?;
                let found = sqlite_select(reader.connection()?, select).await;
                reader.finish().await?;
                found
            }
            Pools::Postgres(changers) => postgres_select(&mut *changers.connection().await?, select).await,
        }
    }
}

/// Reads of one moment: changes that are committed meanwhile are not seen.
pub struct Snapshot {
    inner: SnapshotInner,
    version: u64,
}

enum SnapshotInner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(PostgresTx),
}

impl Snapshot {
    /// What [`Db::version`] was at that moment.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every row of an answer.
    pub async fn rows(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            SnapshotInner::Sqlite(tx) => sqlite_rows(&mut **tx, sql, params).await,
            SnapshotInner::Postgres(tx) => postgres_rows(tx.connection()?, sql, params).await,
        }
    }

    /// The first row of an answer, if there is one.
    pub async fn row(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Every row of a query that was built from parts.
    pub async fn select(&mut self, select: &SelectStatement) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            SnapshotInner::Sqlite(tx) => sqlite_select(&mut **tx, select).await,
            SnapshotInner::Postgres(tx) => postgres_select(tx.connection()?, select).await,
        }
    }
}

/// How long a healthy pool may let a change wait before the database itself is asked.
const POOL_PATIENCE: Duration = Duration::from_secs(2);

const VERSION: &str = "SELECT version FROM authz_version WHERE one = 1";
/// SQLite's connections that read, and how many of them run built queries.
const SQLITE_READERS: u32 = 4;
const SQLITE_SELECTS: usize = 2;

/// How long a built query waits for its turn.
const TURN: Duration = Duration::from_secs(30);

fn version_of(row: Option<Row>) -> Result<u64, StoreError> {
    let gone = StoreError::Shape { column: 0, wanted: "the version of decisions", found: "not there" };
    Ok(row.ok_or(gone)?.int(0)?.cast_unsigned())
}

/// A change under way.
pub struct Tx {
    db: Db,
    inner: TxInner,
    bumped: bool,
    audits: Vec<Audit>,
    who: Option<Who>,
    origin: Option<Arc<Origin>>,
}

enum TxInner {
    Sqlite(Box<SqliteTx>),
    Postgres(PostgresTx),
}

impl Tx {
    fn by(mut self, evidence: &dyn Evidence) -> Self {
        self.who = evidence.principal().cloned();
        self.origin = evidence.origin().cloned();
        self
    }

    /// The time of the change.
    pub fn now(&self) -> Micros {
        self.db.now()
    }

    /// Who makes the change: a principal's name, or `System user`.
    pub fn author(&self) -> String {
        self.who.as_ref().map_or_else(|| "System user".to_owned(), |who| who.name.to_string())
    }

    /// Runs a statement; gives the number of rows that it changed.
    pub async fn run(&mut self, sql: &'static str, params: Vec<Value>) -> Result<u64, StoreError> {
        Ok(match &mut self.inner {
            TxInner::Sqlite(tx) => tx.run(sql, params)?,
            TxInner::Postgres(tx) => bind_postgres(sql, params)?.execute(tx.connection()?).await?.rows_affected(),
        })
    }

    /// Every row of an answer, as this transaction sees it.
    pub async fn rows(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => tx.rows(sql, params),
            TxInner::Postgres(tx) => postgres_rows(tx.connection()?, sql, params).await,
        }
    }

    /// The first row of an answer, as this transaction sees it.
    pub async fn row(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Says that decisions made before this change may no longer hold: principals, groups, tokens, names, owners, grants.
    pub async fn bump(&mut self) -> Result<(), StoreError> {
        if !self.bumped {
            self.bumped = true;
            self.run("UPDATE authz_version SET version = version + 1 WHERE one = 1", params![]).await?;
        }
        Ok(())
    }

    /// One audit row more, where one request changes several things.
    pub fn also(&mut self, audit: Audit) {
        self.audits.push(audit);
    }

    /// An audit row about somebody else, for writers of batches.
    pub async fn record(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.run(audit::INSERT, event.values()).await.map(|_| ())
    }

    /// Makes it durable, with its audit rows.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let at = self.db.now();
        for what in std::mem::take(&mut self.audits) {
            let (who, origin) = (self.who.clone(), self.origin.clone());
            self.record(&AuditEvent { at, who, origin, what, status: 200, error: None }).await?;
        }
        match self.inner {
            TxInner::Sqlite(tx) => tx.commit(self.bumped).await,
            TxInner::Postgres(tx) => tx.commit().await,
        }
    }
}
