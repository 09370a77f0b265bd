//! Migrations: forward only, by themselves at start.
//!
//! One text serves both databases. What differs is three words of the type system, and those are put in here: PostgreSQL
//! compares text by bytes only with `COLLATE "C"`, as SQLite always does.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::StoreError;

/// Every migration, in order. A released one is never changed: its checksum is in every database.
const MIGRATIONS: &[(&str, &str)] = &[
    ("ground", include_str!("../migrations/0001_ground.sql")),
    ("identity", include_str!("../migrations/0002_identity.sql")),
    ("governance", include_str!("../migrations/0003_governance.sql")),
    ("lake", include_str!("../migrations/0004_lake.sql")),
];

/// The newest migration's number: what a database of this version is at.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

pub(crate) fn migrator(dialect: Dialect) -> Migrator {
    let migrations = MIGRATIONS.iter().zip(1_i64..).map(|((name, text), number)| {
        let sql = match dialect {
            Dialect::Sqlite => (*text).to_owned(),
            Dialect::Postgres => for_postgres(text),
        };
        Migration::new(number, Cow::Borrowed(*name), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    Migrator { migrations: Cow::Owned(migrations.collect()), ..Migrator::DEFAULT }
}

fn for_postgres(text: &str) -> String {
    let word = |word: &str| match word {
        "TEXT" => "TEXT COLLATE \"C\"".to_owned(),
        "BLOB" => "BYTEA".to_owned(),
        "DOUBLE" => "DOUBLE PRECISION".to_owned(),
        other => other.to_owned(),
    };
    let (mut out, mut current) = (String::with_capacity(text.len() * 2), String::new());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            current.push(c);
        } else {
            out.push_str(&word(&current));
            current.clear();
            out.push(c);
        }
    }
    out.push_str(&word(&current));
    out
}

/// What a failed migration means.
pub(crate) fn failed(error: sqlx::migrate::MigrateError) -> StoreError {
    StoreError::Migrate(error)
}
