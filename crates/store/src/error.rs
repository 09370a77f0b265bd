//! Failures of the database, and what they mean to a caller.

use std::path::PathBuf;
use std::time::Duration;

use crannog_types::{Code, Problem};
use thiserror::Error;

use crate::again::LOST_RACE;

/// A failure of the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database refused or failed a statement.
    #[error("the metadata database failed")]
    Sql(#[source] sqlx::Error),
    /// SQLite's writer did.
    #[error("the metadata database failed")]
    Sqlite(#[source] SqliteError),
    /// A migration failed.
    #[error("the metadata database could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database was written by a newer version of the program.
    #[error("the metadata database was changed by a newer version (migration {found}, this one knows {known}); {}", way_back(.copy.as_ref()))]
    Newer {
        /// The migration that the database is at.
        found: i64,
        /// The newest migration of this program.
        known: i64,
        /// The copy that was made before the newer version changed it.
        copy: Option<PathBuf>,
    },
    /// The copy before a migration could not be made.
    #[error("the copy {} of the metadata database could not be made before migrating it", .copy.display())]
    Copy {
        /// Where.
        copy: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The copy of another program's database, which is read in its place, could not be made.
    #[error("the copy {} of the database that is to be read could not be made", .copy.display())]
    ForeignCopy {
        /// Where.
        copy: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A parameter that not both databases can keep.
    #[error("{0} cannot be stored")]
    Unstorable(&'static str),
    /// A query that was built from parts has more parameters than SQLite takes (32,766), whichever database is configured.
    #[error("the search compares with {found} values; at most {most} can be compared with at once")]
    TooManyParameters {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
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
    /// Others were before it for too long.
    #[error("it did not have its turn within {0} s; others are before it")]
    NoTurn(u64),
    /// Tests that need PostgreSQL were run without one.
    #[error("CRANNOG_TEST_POSTGRES_URL is not set; run the tests under `scripts/postgres run`")]
    NoTestServer,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Sql(error)
    }
}

/// A failure of SQLite's, in the words in which those of its readers come.
#[derive(Debug, Error)]
#[error("error returned from database: (code: {code}) {message}")]
pub struct SqliteError {
    /// SQLite's extended result code.
    code: i32,
    message: String,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => failure.extended_code,
            // Misuse: what is left are mistakes of ours.
            _ => 21,
        };
        StoreError::Sqlite(SqliteError { code, message: error.to_string() })
    }
}

impl StoreError {
    /// Whether another process has SQLite's lock.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, StoreError::Sqlite(error) if error.code & 0xff == 5)
    }

    /// Whether another change came first: nothing was done, and it may be done again.
    pub(crate) fn is_lost_race(&self) -> bool {
        matches!(kind(self), Kind::Race)
    }

    /// Whether a lock was waited for in vain.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.sql_state().as_deref() == Some(LOCK_TIMEOUT)
    }

    fn sql_state(&self) -> Option<String> {
        match self {
            StoreError::Sql(sqlx::Error::Database(error)) => error.code().map(|code| code.into_owned()),
            StoreError::Sqlite(error) => Some(error.code.to_string()),
            _ => None,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match kind(&error) {
            // It is run again by `until_won`.
            Kind::Race => Problem::new(Code::Aborted, "another change came first")
                .reason(LOST_RACE)
                .retry_after(Duration::from_millis(10))
                .caused_by(error),
            Kind::Unavailable => unavailable(error),
            Kind::Damaged => Problem::new(Code::DataLoss, "the metadata database is damaged").caused_by(error),
            Kind::TooLong => {
                Problem::new(Code::DeadlineExceeded, "the metadata database took more than a minute to answer")
                    .hint("ask for less: fewer experiments, fewer or simpler conditions")
                    .caused_by(error)
            }
            Kind::Caller => Problem::invalid(error.to_string()).caused_by(error),
            Kind::Bug => Problem::internal("the metadata database failed", error),
        }
    }
}

/// PostgreSQL's state for a lock that was not to be had in time.
const LOCK_TIMEOUT: &str = "55P03";

enum Kind {
    Race,
    Unavailable,
    Damaged,
    TooLong,
    Caller,
    Bug,
}

fn kind(error: &StoreError) -> Kind {
    match error {
        StoreError::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        | StoreError::NotCommitted(_)
        | StoreError::NoTurn(_) => return Kind::Unavailable,
        StoreError::Unstorable(_) | StoreError::TooManyParameters { .. } => return Kind::Caller,
        _ => {}
    }
    let Some(state) = error.sql_state() else { return Kind::Bug };
    // PostgreSQL's states have five characters. SQLite's are numbers of up to four digits: the lowest byte is the kind, the
    // rest (an I/O error while reading, writing, syncing…) its detail.
    if let (true, Ok(code)) = (state.len() < 5, state.parse::<u32>()) {
        return match code & 0xff {
            // Busy, locked (another process), read-only, I/O error, full, cannot open.
            5 | 6 | 8 | 10 | 13 | 14 => Kind::Unavailable,
            // Interrupted, by `crate::bounded` alone.
            9 => Kind::TooLong,
            // Corrupt, not a database.
            11 | 26 => Kind::Damaged,
            _ => Kind::Bug,
        };
    }
    match state.as_str() {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Kind::Race,
        // A statement's time is over.
        "57014" => Kind::TooLong,
        // Read-only (a standby), a change that stood still, a lock that somebody else keeps.
        "25006" | "25P03" | LOCK_TIMEOUT => Kind::Unavailable,
        // Connection lost, out of resources, stopping or starting, I/O error.
        state if ["08", "53", "57P", "58"].iter().any(|class| state.starts_with(class)) => Kind::Unavailable,
        "XX001" | "XX002" => Kind::Damaged,
        _ => Kind::Bug,
    }
}

fn way_back(copy: Option<&PathBuf>) -> String {
    match copy {
        Some(copy) => format!("install that version again, or go back to the copy from before it: {}", copy.display()),
        None => "install that version again, or restore a backup from before it".to_owned(),
    }
}

fn unavailable(error: StoreError) -> Problem {
    Problem::new(Code::Unavailable, "the metadata database cannot be written or reached")
        .reason("TEMPORARILY_UNAVAILABLE")
        .hint("an administrator sees the cause at /readyz and in the log")
        .retry_after(Duration::from_secs(2))
        .caused_by(error)
}
