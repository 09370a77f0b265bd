//! Failures of the database, and what they mean to a caller.

use std::time::Duration;

use crannog_types::{Code, Problem};
use thiserror::Error;

/// A failure of the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database refused or failed a statement.
    #[error("the metadata database failed")]
    Sql(#[source] sqlx::Error),
    /// A migration failed, or the folder was written by a newer version.
    #[error("the metadata database could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A row is not of the shape that the code expects.
    #[error("column {column} of a row is {found}, not {wanted}")]
    Shape {
        /// Its position.
        column: usize,
        /// What was asked for.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The group of transactions that this one was committed with failed.
    #[error("the transaction was not committed: {0}")]
    NotCommitted(String),
    /// The address of a database is not one of ours.
    #[error("the database address {0:?} is neither sqlite: nor postgres:")]
    Address(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Sql(error)
    }
}

impl StoreError {
    fn sql_state(&self) -> Option<String> {
        match self {
            StoreError::Sql(sqlx::Error::Database(error)) => error.code().map(|code| code.into_owned()),
            _ => None,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let state = error.sql_state();
        match state.as_deref() {
            // PostgreSQL: serialization failure, deadlock. The request is run again by kit.
            Some("40001" | "40P01") => Problem::new(Code::Aborted, "another change came first")
                .reason("SERIALIZATION_FAILURE")
                .retry_after(Duration::from_millis(10))
                .caused_by(error),
            // SQLite: disk full, I/O error, read-only; PostgreSQL: disk full, shutting down.
            Some("13" | "10" | "778" | "8" | "53100" | "57P01" | "57P03") => unavailable(error),
            _ => match error {
                StoreError::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
                | StoreError::NotCommitted(_) => unavailable(error),
                other => Problem::internal("the metadata database failed", other),
            },
        }
    }
}

fn unavailable(error: StoreError) -> Problem {
    Problem::new(Code::Unavailable, "the metadata database cannot be written or reached")
        .reason("TEMPORARILY_UNAVAILABLE")
        .hint("an administrator sees the cause at /readyz and in the log")
        .retry_after(Duration::from_secs(2))
        .caused_by(error)
}
