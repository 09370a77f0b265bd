//! Queries that are built from parts: what they may take of the database.

use crannog_store::query::{Expr, ExprTrait, Query, SelectStatement};
use crannog_store::testing::Kind;
use crannog_store::{Db, params};
use crannog_types::{Code, Problem};
use futures::future::{join_all, select_all};
use futures::poll;

use crate::{count, database, system};

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
    let mut snapshot = db.snapshot(&system()).await.unwrap();
    snapshot.rows("SET LOCAL statement_timeout = 1", params![]).await.unwrap();
    let error = snapshot.rows("SELECT 1 WHERE pg_sleep(60) IS NULL", params![]).await.unwrap_err();
    assert_eq!(Problem::from(error).code(), Code::DeadlineExceeded);
}

/// A query that takes a while.
fn slow(kind: Kind) -> SelectStatement {
    let expression = match kind {
        Kind::Sqlite => {
            "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000000) SELECT count(*) FROM c)"
        }
        Kind::Postgres => "CASE WHEN pg_sleep(2) IS NULL THEN 1 ELSE 0 END",
    };
    Query::select().expr(Expr::cust(expression)).to_owned()
}

async fn read_slowly(db: Db, kind: Kind) {
    db.read(&system()).select(&slow(kind)).await.unwrap();
}

#[tokio::test]
async fn slow_queries_leave_connections_to_others() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let mut all = Vec::new();
        for _ in 0..if kind == Kind::Sqlite { 4 } else { 16 } {
            let mut query = Box::pin(read_slowly(db.clone(), kind));
            assert!(poll!(&mut query).is_pending());
            all.push(query);
        }
        let mut slow = select_all(all);
        let quick = count(&db, "SELECT count(*) FROM setting");
        let others = tokio::select! {
            biased;
            _ = &mut slow => panic!("{kind:?}: a slow query came first: all connections were taken"),
            found = quick => {
                assert_eq!(found, 0);
                slow.await.2
            }
        };
        join_all(others).await;
    }
}
