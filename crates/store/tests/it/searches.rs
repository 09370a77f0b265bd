//! Queries that are built from parts: what they may take of the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crannog_store::query::{Expr, ExprTrait, Query, SelectStatement};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Db, params};
use crannog_types::{Code, Micros, Problem};
use futures::future::join_all;
use futures::poll;

use crate::{count, database, system, until};

fn named(names: usize) -> SelectStatement {
    let names = (0..names).map(|number| format!("n{number}"));
    Query::select().column("name").from("setting").and_where(Expr::col("name").is_in(names)).to_owned()
}

#[tokio::test]
async fn too_many_parameters_are_refused_alike() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        assert_eq!(db.read(&system()).select(&named(30_000)).await.unwrap().len(), 0);
        let error = db.read(&system()).select(&named(30_001)).await.unwrap_err();
        let problem = Problem::from(error);
        assert_eq!(problem.code(), Code::InvalidArgument, "{}", problem.chain());
        assert!(problem.message().contains("30001 values; at most 30000"), "{}", problem.message());
    }
}

/// The prepared statements of one connection are seen on PostgreSQL alone.
#[tokio::test]
async fn long_texts_are_not_kept_prepared() {
    let (db, _folder) = database(Kind::Postgres).await;
    let mut snapshot = db.snapshot(&system()).await.unwrap();
    for names in [3, 4, 2000, 2001] {
        snapshot.select(&named(names)).await.unwrap();
    }
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT \"name\"%'";
    assert_eq!(snapshot.row(sql, params![]).await.unwrap().unwrap().int(0).unwrap(), 2);
}

/// A query that ends when somebody lets go of [`HOLD`] (PostgreSQL) or never (SQLite).
fn endless(kind: Kind) -> SelectStatement {
    let expression = match kind {
        Kind::Sqlite => "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c)",
        Kind::Postgres => "CASE WHEN pg_advisory_xact_lock(7) IS NULL THEN 1 ELSE 0 END",
    };
    Query::select().expr(Expr::cust(expression)).to_owned()
}

const HOLD: &str = "SELECT 1 WHERE pg_advisory_xact_lock(7) IS NOT NULL";

async fn read_endlessly(db: Db, kind: Kind) -> Result<(), Problem> {
    Ok(db.read(&system()).select(&endless(kind)).await.map(|_| ())?)
}

#[tokio::test]
async fn reading_ends_in_time_and_changes_do_not() {
    let (db, _folder) = database(Kind::Postgres).await;
    let sql = "SHOW statement_timeout";
    for _ in 0..2 {
        assert_eq!(db.read(&system()).row(sql, params![]).await.unwrap().unwrap().text(0).unwrap(), "1min");
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        assert_eq!(tx.row(sql, params![]).await.unwrap().unwrap().text(0).unwrap(), "0");
        tx.commit().await.unwrap();
    }
    let mut holder = db.write_unaudited(&system()).await.unwrap();
    holder.rows(HOLD, params![]).await.unwrap();
    let mut snapshot = db.snapshot(&system()).await.unwrap();
    snapshot.rows("SET LOCAL statement_timeout = 1", params![]).await.unwrap();
    let error = snapshot.rows(HOLD, params![]).await.unwrap_err();
    assert_eq!(Problem::from(error).code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn slow_queries_leave_connections_to_others() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let mut holder = db.snapshot(&system()).await.unwrap();
        if kind == Kind::Postgres {
            holder.rows(HOLD, params![]).await.unwrap();
        }
        let mut slow: Vec<_> = (0..20).map(|_| Box::pin(read_endlessly(db.clone(), kind))).collect();
        for query in &mut slow {
            assert!(poll!(query).is_pending());
        }
        let mut slow = Box::pin(join_all(slow));
        tokio::select! {
            biased;
            _ = &mut slow => panic!("{kind:?}: the slow queries ended by themselves"),
            () = others_read(&db, kind) => {}
        }
        if kind == Kind::Postgres {
            drop(holder);
            for outcome in slow.await {
                outcome.unwrap();
            }
        }
    }
}

/// Reads while slow queries have what they get of the connections.
async fn others_read(db: &Db, kind: Kind) {
    if kind == Kind::Postgres {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        until(async || count(db, waiting).await == 6).await;
    }
    for _ in 0..10 {
        assert_eq!(count(db, "SELECT count(*) FROM setting").await, 0);
    }
}

/// A SQLite database with a clock of the test's, and how often it was looked at.
async fn clocked() -> (Db, tempfile::TempDir, Arc<AtomicI64>, Arc<AtomicI64>) {
    let folder = tempfile::tempdir().unwrap();
    let (now, looks) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let (time, counted) = (Arc::clone(&now), Arc::clone(&looks));
    let clock = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Micros(time.load(Ordering::Relaxed))
    };
    (fresh(Kind::Sqlite, folder.path(), clock).await.unwrap(), folder, now, looks)
}

/// Every connection that reads is there, and takes as long as it takes.
async fn all_read(db: &Db, looks: &AtomicI64) {
    let mut snapshots = Vec::new();
    for _ in 0..4 {
        snapshots.push(db.snapshot(&system()).await.unwrap());
    }
    let before = looks.load(Ordering::Relaxed);
    let sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) SELECT count(*) FROM c";
    for snapshot in &mut snapshots {
        assert_eq!(snapshot.row(sql, params![]).await.unwrap().unwrap().int(0).unwrap(), 20_000);
    }
    assert_eq!(looks.load(Ordering::Relaxed), before, "nobody looks at the clock for them");
}

#[tokio::test]
async fn an_endless_search_on_sqlite_is_ended() {
    let (db, _folder, now, looks) = clocked().await;
    let running = read_endlessly(db.clone(), Kind::Sqlite);
    let later = async {
        let begun = looks.load(Ordering::Relaxed) + 10;
        until(async || looks.load(Ordering::Relaxed) > begun).await;
        now.store(59_000_000, Ordering::Relaxed);
        let begun = looks.load(Ordering::Relaxed) + 10;
        until(async || looks.load(Ordering::Relaxed) > begun).await;
        now.store(60_000_000, Ordering::Relaxed);
    };
    let (outcome, ()) = tokio::join!(running, later);
    let problem = outcome.unwrap_err();
    assert_eq!(problem.code(), Code::DeadlineExceeded, "{}", problem.chain());
    all_read(&db, &looks).await;
}

#[tokio::test]
async fn a_search_on_sqlite_ends_with_whoever_asked() {
    let (db, _folder, _, looks) = clocked().await;
    let mut running: Vec<_> = (0..3).map(|_| Box::pin(read_endlessly(db.clone(), Kind::Sqlite))).collect();
    let begun = looks.load(Ordering::Relaxed) + 10;
    until(async || {
        for query in &mut running {
            assert!(poll!(query).is_pending());
        }
        looks.load(Ordering::Relaxed) > begun
    })
    .await;
    drop(running);
    all_read(&db, &looks).await;
}
