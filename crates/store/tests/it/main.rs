//! The store on both databases: what one promises, the other keeps.
//!
//! Every test makes databases of its own. PostgreSQL is the server of `scripts/postgres run`; without one the tests fail.

#![expect(clippy::unwrap_used, clippy::panic, clippy::type_complexity, reason = "a test that cannot go on fails")]

mod killed;
mod migrations;
mod races;
mod searches;
mod transactions;
mod values;

use std::path::Path;
use std::time::Duration;

use crannog_security::{System, Task};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Audit, Db, StoreError, params, until_won};
use crannog_types::{Micros, Problem};
use tempfile::TempDir;

/// A new database; the folder goes when it is dropped.
pub(crate) async fn database(kind: Kind) -> (Db, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db =
        fresh(kind, folder.path(), || Micros(1_700_000_000_000_000)).await.unwrap_or_else(|error| panic!("{error}"));
    (db, folder)
}

pub(crate) async fn sqlite_in(folder: &Path) -> Db {
    fresh(Kind::Sqlite, folder, || Micros(1_700_000_000_000_000)).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the tests stand where the program itself does")]
pub(crate) fn system() -> System {
    System::task(Task::Bootstrap)
}

pub(crate) fn audit() -> Audit {
    Audit::of("unityCatalog", "createSchema").with("name", "main.s")
}

/// Adds one row, in a transaction of its own, as often as PostgreSQL wants it.
pub(crate) async fn put(db: &Db, name: &str) {
    let put = async || {
        let mut tx = db.write_unaudited(&system()).await?;
        tx.run(INSERT, params![name, "there"]).await?;
        tx.commit().await
    };
    until_won(put).await.unwrap_or_else(|error: StoreError| panic!("{}", Problem::from(error).chain()));
}

/// Waits until something holds, which it asks the database again and again; fails when it does not come to that in a minute.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), held).await;
    assert!(in_time.is_ok(), "what was waited for did not come");
}

pub(crate) const INSERT: &str = "INSERT INTO setting (name, value) VALUES ($1, $2)";

pub(crate) async fn names(db: &Db) -> Vec<String> {
    let rows = db.read(&system()).rows("SELECT name FROM setting ORDER BY name", params![]).await.unwrap();
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

pub(crate) async fn count(db: &Db, sql: &'static str) -> i64 {
    db.read(&system()).row(sql, params![]).await.unwrap().unwrap().int(0).unwrap()
}
