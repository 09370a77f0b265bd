//! Databases of other programs, read as they were at one moment: what is imported comes from there. Nothing is ever written to one.
//!
//! PostgreSQL keeps the moment in a transaction that reads only, and so does SQLite with a write-ahead log. SQLite without one would
//! keep everybody else from writing for as long as it reads, so that such a file is copied first, which takes seconds, and the copy
//! read; it has no name by then, and is gone with the process.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use futures::stream::BoxStream;
use sea_query::SelectStatement;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::rows::{postgres_built, postgres_row, postgres_rows, sqlite_built, sqlite_row, sqlite_rows};
use crate::value::Row;
use crate::{StoreError, params};

/// A database of another program.
pub struct Foreign(Inner);

enum Inner {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// An answer, row by row: it is never in memory as a whole.
pub struct ForeignRows<'a>(BoxStream<'a, Result<Row, StoreError>>);

impl ForeignRows<'_> {
    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        self.0.try_next().await
    }
}

/// A read takes as long as it takes, and so does whoever reads between two of them.
const MOMENT: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                      BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Foreign {
    /// Opens a SQLite file.
    pub async fn sqlite(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).create_if_missing(false);
        let mut connection = options.connect().await?;
        let mode = sqlite_rows(&mut connection, "PRAGMA journal_mode", params![]).await?;
        let logged = mode.first().map(|row| row.text(0)).transpose()?.is_some_and(|mode| mode == "wal");
        connection.execute("BEGIN").await?;
        // The first read is what fixes the moment.
        connection.execute("SELECT count(*) FROM sqlite_master").await?;
        if !logged {
            let copy = copied(file).await;
            connection.close().await?;
            connection = copy?;
        }
        Ok(Foreign(Inner::Sqlite(connection)))
    }

    /// Connects to PostgreSQL.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let mut connection = options.connect().await?;
        connection.execute(MOMENT).await?;
        Ok(Foreign(Inner::Postgres(connection)))
    }

    /// The columns of a table; none when there is no such table.
    pub async fn columns(&mut self, table: &str) -> Result<BTreeSet<String>, StoreError> {
        let rows = match &mut self.0 {
            Inner::Sqlite(connection) => {
                sqlite_rows(connection, "SELECT name FROM pragma_table_info($1)", params![table]).await?
            }
            Inner::Postgres(connection) => {
                let sql = "SELECT column_name::text FROM information_schema.columns \
                           WHERE table_name = $1 AND table_schema = current_schema()";
                postgres_rows(connection, sql, params![table]).await?
            }
        };
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// Every row of an answer that is known to be small.
    pub async fn rows(&mut self, select: &SelectStatement) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.stream(select)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().await? {
            all.push(row);
        }
        Ok(all)
    }

    /// An answer of any size.
    pub fn stream(&mut self, select: &SelectStatement) -> Result<ForeignRows<'_>, StoreError> {
        Ok(ForeignRows(match &mut self.0 {
            Inner::Sqlite(connection) => Box::pin(
                sqlite_built(select)?
                    .fetch(connection)
                    .map_err(StoreError::from)
                    .and_then(|row| std::future::ready(sqlite_row(&row))),
            ),
            Inner::Postgres(connection) => Box::pin(
                postgres_built(select)?
                    .fetch(connection)
                    .map_err(StoreError::from)
                    .and_then(|row| std::future::ready(postgres_row(&row))),
            ),
        }))
    }
}

/// A copy of a file that nobody writes meanwhile, opened, and without a name.
async fn copied(file: &Path) -> Result<SqliteConnection, StoreError> {
    let folder = std::env::temp_dir().join(format!("crannog-import-{}", Uuid::new_v4().simple()));
    let copy = folder.join("source.db");
    let failed = |source| StoreError::ForeignCopy { copy: copy.clone(), source };
    let mut made = tokio::fs::DirBuilder::new();
    made.mode(0o700).create(&folder).await.map_err(failed)?;
    let opened = async {
        tokio::fs::copy(file, &copy).await.map_err(failed)?;
        let options = SqliteConnectOptions::new().filename(&copy).read_only(true).immutable(true);
        let mut connection = options.connect().await?;
        connection.execute("SELECT count(*) FROM sqlite_master").await?;
        Ok(connection)
    };
    let opened = opened.await;
    tokio::fs::remove_dir_all(&folder).await.map_err(failed)?;
    opened
}
