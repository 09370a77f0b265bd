//! Migrations: forward only, by themselves at start.
//!
//! One text serves both databases. What differs is a few words, and those are put in here: PostgreSQL compares text by bytes
//! only with `COLLATE "C"`, as SQLite always does; a key that the database counts up itself (`ROWID_KEY`) is SQLite's rowid and
//! PostgreSQL's identity; and SQLite keeps the rows of a table that is `KEYED` in the order of its primary key, in one tree
//! instead of two, which reads and writes what belongs to one run several times faster. `NULLS_LAST` in a descending index
//! is SQLite's order anyway, and not to be said there.

use std::borrow::Cow;
use std::path::Path;

use sqlx::Row as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::StoreError;

/// Every migration, in order. A released one is never changed: its checksum is in every database.
const MIGRATIONS: &[(&str, &str)] = &[
    ("ground", include_str!("../migrations/0001_ground.sql")),
    ("identity", include_str!("../migrations/0002_identity.sql")),
    ("governance", include_str!("../migrations/0003_governance.sql")),
    ("lake", include_str!("../migrations/0004_lake.sql")),
    ("written", include_str!("../migrations/0005_written.sql")),
    ("authorization", include_str!("../migrations/0006_authorization.sql")),
    ("tracking", include_str!("../migrations/0007_tracking.sql")),
    ("logged_models", include_str!("../migrations/0008_logged_models.sql")),
    ("registry", include_str!("../migrations/0009_registry.sql")),
    ("lineage", include_str!("../migrations/0010_lineage.sql")),
    ("lineage_by_run", include_str!("../migrations/0011_lineage_by_run.sql")),
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
            Dialect::Sqlite => with_words(text, |word| match word {
                "ROWID_KEY" => "INTEGER PRIMARY KEY AUTOINCREMENT",
                "KEYED" => "WITHOUT ROWID",
                "NULLS_LAST" => "",
                other => other,
            }),
            Dialect::Postgres => with_words(text, |word| match word {
                "TEXT" => "TEXT COLLATE \"C\"",
                "BLOB" => "BYTEA",
                "DOUBLE" => "DOUBLE PRECISION",
                "ROWID_KEY" => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "KEYED" => "",
                "NULLS_LAST" => "NULLS LAST",
                other => other,
            }),
        };
        Migration::new(number, Cow::Borrowed(*name), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    Migrator { migrations: Cow::Owned(migrations.collect()), ..Migrator::DEFAULT }
}

/// A text with other words in the places of some.
fn with_words(text: &str, word: impl Fn(&str) -> &str) -> String {
    let (mut out, mut current) = (String::with_capacity(text.len() * 2), String::new());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            current.push(c);
        } else {
            out.push_str(word(&current));
            current.clear();
            out.push(c);
        }
    }
    out.push_str(word(&current));
    out
}

/// A copy of a database that a newer version is about to change: `meta.db.before-4`. Downgrading means going back to it.
///
/// # Errors
/// [`StoreError::Newer`], with that copy, when the database is a newer version's; nothing was changed then.
pub(crate) async fn snapshot_before(connection: &mut sqlx::SqliteConnection, file: &Path) -> Result<(), StoreError> {
    let known = sqlx::query("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known.try_get::<i64, _>(0)? == 0 {
        return Ok(());
    }
    let at = sqlx::query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    let at: i64 = at.try_get(0)?;
    let before = |number: i64| file.with_extension(format!("db.before-{number}"));
    if at > NEWEST {
        let copy = (NEWEST + 1..=at).map(before).find(|copy| copy.exists());
        return Err(StoreError::Newer { found: at, known: NEWEST, copy });
    }
    let copy = before(NEWEST);
    if at < NEWEST && !copy.exists() {
        // Under another name until it is whole: a crash must not leave half of a copy that counts as one.
        let part = copy.with_extension("part");
        let failed = |error| StoreError::Copy { copy: copy.clone(), source: error };
        match tokio::fs::remove_file(&part).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        sqlx::query("VACUUM INTO $1").bind(part.to_string_lossy().into_owned()).execute(connection).await?;
        publish(&part, &copy).await.map_err(failed)?;
        tracing::info!(copy = %copy.display(), "copied the metadata database before migrating it");
    }
    Ok(())
}

/// Gives a file its name, durably.
async fn publish(part: &Path, name: &Path) -> std::io::Result<()> {
    tokio::fs::File::open(part).await?.sync_all().await?;
    tokio::fs::rename(part, name).await?;
    let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tokio::fs::File::open(folder).await?.sync_all().await
}

/// What a failed migration means.
pub(crate) fn failed(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::VersionMissing(found) => StoreError::Newer { found, known: NEWEST, copy: None },
        other => StoreError::Migrate(other),
    }
}
