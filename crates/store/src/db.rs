//! The database: reading, writing, and the version that decisions are stamped with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crannog_security::{Evidence, Origin, Who};
use crannog_types::Micros;
use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Column, ConnectOptions, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, TypeInfo, ValueRef};

use crate::audit::{self, Audit, AuditEvent};
use crate::migrate::{self, Dialect};
use crate::sqlite::{SqliteTx, Writer};
use crate::value::{Row, Value};
use crate::{StoreError, params};

/// Gives the time; kit's clock in the program, a fixed one in tests.
type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// The metadata database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pools: Pools,
    /// SQLite: the version itself, as this process is the only writer. PostgreSQL: unused.
    version: AtomicU64,
    clock: Clock,
}

enum Pools {
    Sqlite { readers: SqlitePool, writer: Writer },
    Postgres(PgPool),
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
            .statement_cache_capacity(512);
        let mut connection = options.connect().await?;
        snapshot_before_migrating(&mut connection, file).await?;
        migrate::migrator(Dialect::Sqlite).run(&mut connection).await.map_err(migrate::failed)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(4)
            .connect_with(options.read_only(true))
            .await?;
        let pools = Pools::Sqlite { readers, writer: Writer::start(connection) };
        Ok(Db(Arc::new(Inner { pools, version: AtomicU64::new(1), clock: Arc::new(clock) })))
    }

    /// Connects to PostgreSQL 15 or later and migrates it.
    pub async fn postgres(url: &str, clock: impl Fn() -> Micros + Send + Sync + 'static) -> Result<Self, StoreError> {
        let pool =
            PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10)).connect(url).await?;
        migrate::migrator(Dialect::Postgres).run(&pool).await.map_err(migrate::failed)?;
        Ok(Db(Arc::new(Inner { pools: Pools::Postgres(pool), version: AtomicU64::new(1), clock: Arc::new(clock) })))
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
        Reader { pools: &self.0.pools }
    }

    /// Begins a change. Nothing of it is seen before [`Tx::commit`], which writes the audit row with it; dropped, it
    /// leaves nothing.
    pub async fn write(&self, evidence: &dyn Evidence, audit: Audit) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        tx.who = evidence.principal().cloned();
        tx.origin = evidence.origin().cloned();
        tx.audits.push(audit);
        Ok(tx)
    }

    /// Begins a change that the program makes by itself and that nobody audits: bookkeeping.
    pub async fn write_unaudited(&self, _evidence: &crannog_security::System) -> Result<Tx, StoreError> {
        self.begin().await
    }

    /// The version of everything that decisions depend on. It moves before a change that moved it is acknowledged.
    pub async fn version(&self) -> Result<u64, StoreError> {
        match &self.0.pools {
            Pools::Sqlite { .. } => Ok(self.0.version.load(Ordering::Acquire)),
            Pools::Postgres(pool) => {
                let row = sqlx::query("SELECT version FROM authz_version WHERE one = 1").fetch_one(pool).await?;
                Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
            }
        }
    }

    /// Finishes what is under way and closes.
    pub async fn close(&self) {
        match &self.0.pools {
            Pools::Sqlite { readers, writer } => {
                writer.close().await;
                readers.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.0.pools {
            Pools::Sqlite { writer, .. } => TxInner::Sqlite(Box::new(writer.begin().await?)),
            Pools::Postgres(pool) => TxInner::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?),
        };
        Ok(Tx { db: self.clone(), inner, bumped: false, audits: Vec::new(), who: None, origin: None })
    }
}

/// What a permit opens for reading.
pub struct Reader<'a> {
    pools: &'a Pools,
}

impl Reader<'_> {
    /// Every row of an answer.
    pub async fn rows(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match self.pools {
            Pools::Sqlite { readers, .. } => {
                bind_sqlite(sql, params).fetch_all(readers).await?.iter().map(sqlite_row).collect()
            }
            Pools::Postgres(pool) => {
                bind_postgres(sql, params).fetch_all(pool).await?.iter().map(postgres_row).collect()
            }
        }
    }

    /// The first row of an answer, if there is one.
    pub async fn row(&self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>, StoreError> {
        match self.pools {
            Pools::Sqlite { readers, .. } => {
                bind_sqlite(sql, params).fetch_optional(readers).await?.as_ref().map(sqlite_row).transpose()
            }
            Pools::Postgres(pool) => {
                bind_postgres(sql, params).fetch_optional(pool).await?.as_ref().map(postgres_row).transpose()
            }
        }
    }
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
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
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
            TxInner::Sqlite(tx) => bind_sqlite(sql, params).execute(tx.connection()?).await?.rows_affected(),
            TxInner::Postgres(tx) => bind_postgres(sql, params).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Every row of an answer, as this transaction sees it.
    pub async fn rows(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => {
                bind_sqlite(sql, params).fetch_all(tx.connection()?).await?.iter().map(sqlite_row).collect()
            }
            TxInner::Postgres(tx) => {
                bind_postgres(sql, params).fetch_all(&mut **tx).await?.iter().map(postgres_row).collect()
            }
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
            TxInner::Sqlite(tx) => tx.commit().await?,
            TxInner::Postgres(tx) => tx.commit().await?,
        }
        if self.bumped {
            self.db.0.version.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }
}

/// A copy of a database that a newer version is about to change: `meta.db.before-4`. Downgrading means going back to it.
async fn snapshot_before_migrating(connection: &mut sqlx::SqliteConnection, file: &Path) -> Result<(), StoreError> {
    let known = sqlx::query("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known.try_get::<i64, _>(0)? == 0 {
        return Ok(());
    }
    let at = sqlx::query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    let at: i64 = at.try_get(0)?;
    let copy = file.with_extension(format!("db.before-{}", migrate::NEWEST));
    if at < migrate::NEWEST && !copy.exists() {
        sqlx::query("VACUUM INTO $1").bind(copy.to_string_lossy().into_owned()).execute(connection).await?;
        tracing::info!(copy = %copy.display(), "copied the metadata database before migrating it");
    }
    Ok(())
}

fn bind_sqlite(sql: &'static str, params: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Blob(value) => query.bind(value),
    })
}

fn bind_postgres(sql: &'static str, params: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Blob(value) => query.bind(value),
    })
}

fn sqlite_row(row: &SqliteRow) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, StoreError> {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Text(None));
        }
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" | "BOOLEAN" => Value::Int(row.try_get_unchecked(column)?),
            "REAL" => Value::Real(row.try_get_unchecked(column)?),
            "BLOB" => Value::Blob(row.try_get_unchecked(column)?),
            _ => Value::Text(row.try_get_unchecked(column)?),
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

fn postgres_row(row: &PgRow) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, StoreError> {
        Ok(match row.column(column).type_info().name() {
            "INT8" => Value::Int(row.try_get(column)?),
            "INT4" => Value::Int(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            "BOOL" => Value::Int(row.try_get::<Option<bool>, _>(column)?.map(i64::from)),
            "FLOAT8" => Value::Real(row.try_get(column)?),
            "BYTEA" => Value::Blob(row.try_get(column)?),
            _ => Value::Text(row.try_get_unchecked(column)?),
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}
