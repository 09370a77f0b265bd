//! New databases for tests, of this crate and those above it: one for each test, of either kind.
//!
//! Not part of the interface: a program that called these would make databases that nobody asked for.

use std::path::Path;

use crannog_types::Micros;
use rusqlite::Connection as Raw;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{Db, StoreError};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a folder of the test's.
    Sqlite,
    /// A database of the server that `scripts/postgres run` started.
    Postgres,
}

impl Kind {
    /// Both: a test runs over each.
    pub const ALL: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];
}

/// A new database, migrated. SQLite's is `meta.db` in the folder.
///
/// # Errors
/// [`StoreError::NoTestServer`] for PostgreSQL outside `scripts/postgres run`.
pub async fn fresh(
    kind: Kind,
    folder: &Path,
    clock: impl Fn() -> Micros + Send + Sync + 'static,
) -> Result<Db, StoreError> {
    match kind {
        Kind::Sqlite => Db::sqlite(&folder.join("meta.db"), clock).await,
        Kind::Postgres => Db::postgres(&new_postgres().await?, clock).await,
    }
}

/// The address of a new, empty database on the test's PostgreSQL server. It goes when the server goes.
///
/// # Errors
/// [`StoreError::NoTestServer`] outside `scripts/postgres run`.
#[expect(clippy::disallowed_methods, reason = "tests are told by their environment where PostgreSQL is")]
pub async fn new_postgres() -> Result<String, StoreError> {
    let server = std::env::var("CRANNOG_TEST_POSTGRES_URL").map_err(|_| StoreError::NoTestServer)?;
    let (before, _) = server.rsplit_once('/').ok_or(StoreError::NoTestServer)?;
    let name = format!("t_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
    connection.close().await?;
    Ok(format!("{before}/{name}"))
}

/// Keeps whoever begins a change on SQLite, with the thread that it runs on, until this is dropped.
pub struct Hung {
    _lock: Raw,
}

/// Hangs a SQLite database: a disk that takes nothing and refuses nothing keeps whoever runs a statement in the same way.
///
/// # Errors
/// What the database says.
pub async fn hang(db: &Db, file: &Path) -> Result<Hung, StoreError> {
    db.keep_threads().await?;
    let lock = Raw::open(file)?;
    lock.execute_batch("BEGIN IMMEDIATE")?;
    Ok(Hung { _lock: lock })
}
