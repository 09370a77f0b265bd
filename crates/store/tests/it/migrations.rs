//! Migrations: by themselves, once, with a copy before, and never over a newer version's database.

use std::path::Path;

use crannog_store::testing::{Kind, new_postgres};
use crannog_store::{Db, StoreError, params};
use crannog_types::Micros;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::{count, names, put, sqlite_in, system};

const MIGRATIONS: &str = "SELECT cast(max(version) AS bigint) FROM _sqlx_migrations";

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = new_postgres().await.unwrap_or_else(|error| panic!("{error}"));
    for kind in Kind::ALL {
        let open = || async {
            match kind {
                Kind::Sqlite => sqlite_in(folder.path()).await,
                Kind::Postgres => Db::postgres(&url, || Micros(0)).await.unwrap(),
            }
        };
        let db = open().await;
        put(&db, "kept").await;
        let (newest, version) = (count(&db, MIGRATIONS).await, db.version().await.unwrap());
        db.close().await;
        let db = open().await;
        assert_eq!(names(&db).await, ["kept"]);
        assert_eq!((count(&db, MIGRATIONS).await, db.version().await.unwrap()), (newest, version));
        db.close().await;
    }
    assert_eq!(copies(folder.path()), Vec::<String>::new(), "nothing was migrated, so nothing was copied");
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = new_postgres().await.unwrap_or_else(|error| panic!("{error}"));
    for kind in Kind::ALL {
        let open = || async {
            match kind {
                Kind::Sqlite => Db::sqlite(&folder.path().join("meta.db"), || Micros(0)).await,
                Kind::Postgres => Db::postgres(&url, || Micros(0)).await,
            }
        };
        let db = open().await.unwrap();
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        let from_the_future = match kind {
            Kind::Sqlite => {
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                             VALUES (99, 'later', 1, x'00', 0)"
            }
            Kind::Postgres => {
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                             VALUES (99, 'later', true, '\\x00', 0)"
            }
        };
        tx.run(from_the_future, params![]).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        drop(db);
        let copy = folder.path().join("meta.db.before-99");
        std::fs::write(&copy, "").unwrap();
        let Err(error) = open().await else { panic!("a newer database was opened") };
        match &error {
            StoreError::Newer { found: 99, copy: found, .. } => {
                assert_eq!(*found, (kind == Kind::Sqlite).then(|| copy.clone()));
            }
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("migration 99"), "{error}");
    }
}

#[tokio::test]
async fn a_copy_is_made_before_migrating() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meta.db");
    let db = sqlite_in(folder.path()).await;
    put(&db, "old").await;
    let newest = count(&db, MIGRATIONS).await;
    let mut tx = db.write_unaudited(&system()).await.unwrap();
    for (id, name) in [(1_i64, "admins"), (2, "account users"), (3, "others")] {
        let sql =
            "INSERT INTO principal (id, kind, name, folded, created_at, updated_at) VALUES ($1, 'group', $2, $2, 0, 0)";
        tx.run(sql, params![id, name]).await.unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await;
    drop(db);
    step_back(&file, newest).await;
    // A crash in the middle of an earlier copy left this.
    std::fs::write(folder.path().join("meta.db.part"), "half").unwrap();

    let db = sqlite_in(folder.path()).await;
    assert_eq!(count(&db, MIGRATIONS).await, newest);
    // Who could use tokens and passwords before still can: everybody.
    assert_eq!(count(&db, "SELECT count(*) FROM authorization_grant WHERE principal IN (1, 2)").await, 4);
    assert_eq!(count(&db, "SELECT count(*) FROM authorization_grant").await, 4);
    put(&db, "new").await;
    db.close().await;
    let name = format!("meta.db.before-{newest}");
    assert_eq!(copies(folder.path()), [name.as_str()]);

    // The copy is a database of the older version, whole; opened, it is brought up to date like any other.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join(&name), elsewhere.path().join("meta.db")).unwrap();
    let db = sqlite_in(elsewhere.path()).await;
    assert_eq!(names(&db).await, ["old"]);
}

/// Undoes the newest migrations, as if the database had been written by a version before them: the one that tells what is
/// allowed, and those after it, which only make tables and their indexes.
async fn step_back(file: &Path, newest: i64) {
    assert!(newest == 11, "take the newest migration too");
    let texts = [
        include_str!("../../migrations/0010_lineage.sql"),
        include_str!("../../migrations/0009_registry.sql"),
        include_str!("../../migrations/0008_logged_models.sql"),
        include_str!("../../migrations/0007_tracking.sql"),
        include_str!("../../migrations/0006_authorization.sql"),
    ];
    let mut connection = SqliteConnectOptions::new().filename(file).foreign_keys(false).connect().await.unwrap();
    let tables: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("CREATE TABLE "))
        .filter_map(|rest| rest.split([' ', '(']).next())
        .collect();
    assert!(!tables.is_empty());
    for table in tables {
        sqlx::query(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(&mut connection).await.unwrap();
    }
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version > 5").execute(&mut connection).await.unwrap();
}

fn copies(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains("before"));
    names.sort();
    names
}
