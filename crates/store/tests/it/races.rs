//! Changes that meet on PostgreSQL: who waits, who loses a race, and that nobody loses in the end.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use crannog_store::testing::Kind;
use crannog_store::{Db, StoreError, params, until_won};
use crannog_types::Problem;
use futures::future::join_all;
use futures::poll;

use crate::{INSERT, audit, count, database, put, system, until};

const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
     AND state LIKE 'idle in transaction%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_move_the_version_lose_no_race() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let before = db.version().await.unwrap();
        let changes = (0..24).map(|one| {
            let db = db.clone();
            #[expect(clippy::disallowed_methods, reason = "changes on all threads")]
            tokio::spawn(async move {
                for row in 0..10 {
                    let mut tx = db.write_moving(&system(), audit()).await?;
                    tx.rows("SELECT name FROM setting", params![]).await?;
                    tx.run(INSERT, params![format!("{one} {row}"), ""]).await?;
                    tx.bump().await?;
                    tx.commit().await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        for done in join_all(changes).await {
            done.unwrap().unwrap_or_else(|error| panic!("{}", Problem::from(error).chain()));
        }
        assert_eq!(count(&db, "SELECT count(*) FROM setting").await, 240);
        assert_eq!(db.version().await.unwrap(), before + 240);
    }
}

/// Who meets: more than may be under way, and not so many that the last of them has no turn within 30 s when the machine has hardly time
/// for this: each that lost a race may wait for 2 s for those under way.
const MEET: u32 = 12;
const ROUNDS: u32 = 16;

/// Each reads what all others write: beside each other hardly one would get through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lost_a_race_wins_when_it_runs_again() {
    let (db, _folder) = database(Kind::Postgres).await;
    let runs = AtomicU32::new(0);
    let change = async |one: u32, round: u32| {
        runs.fetch_add(1, Ordering::Relaxed);
        let mut tx = db.write_unaudited(&system()).await?;
        let seen = tx.rows("SELECT name FROM setting", params![]).await?.len();
        tx.run(INSERT, params![format!("{one} {round}"), format!("{seen}")]).await?;
        if round % 2 == 1 {
            tx.bump().await?;
        }
        tx.commit().await
    };
    let changes = (0..MEET).map(|one| {
        let change = &change;
        async move {
            for round in 0..ROUNDS {
                until_won(|| change(one, round)).await?;
            }
            Ok::<_, StoreError>(())
        }
    });
    for done in join_all(changes).await {
        done.unwrap_or_else(|error| panic!("{}", Problem::from(error).chain()));
    }
    let all = MEET * ROUNDS;
    assert_eq!(count(&db, "SELECT count(*) FROM setting").await, i64::from(all));
    assert_eq!(
        count(&db, "SELECT count(DISTINCT value) FROM setting").await,
        i64::from(all),
        "each saw those before it"
    );
    assert!(runs.load(Ordering::Relaxed) > all, "some lost a race");
}

#[tokio::test]
async fn writers_wait_and_leave_connections_to_readers() {
    let (db, _folder) = database(Kind::Postgres).await;
    let mut under_way = Vec::new();
    for writer in 0..8 {
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.run(INSERT, params![format!("{writer}"), ""]).await.unwrap();
        under_way.push(tx);
    }
    let mut waiting: Vec<_> = (0..40)
        .map(|writer| {
            let db = &db;
            Box::pin(async move { put(db, &format!("later {writer}")).await })
        })
        .collect();
    for writer in &mut waiting {
        assert!(poll!(writer).is_pending());
    }
    let mut waiting = Box::pin(join_all(waiting));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("writers did not wait"),
        () = until(async || count(&db, OPEN).await == 8) => {}
    }
    for tx in under_way {
        tx.commit().await.unwrap();
    }
    waiting.await;
    assert_eq!(count(&db, "SELECT count(*) FROM setting").await, 48);
}

/// Somebody who takes long keeps one who lost a race from running alone, but not from running.
#[tokio::test]
async fn one_that_takes_long_does_not_stop_the_others() {
    let (db, _folder) = database(Kind::Postgres).await;
    let mut long = db.write_unaudited(&system()).await.unwrap();
    long.run(INSERT, params!["long", ""]).await.unwrap();
    let runs = AtomicU32::new(0);
    let lost = || async {
        let (mut tx, first) = (db.write_unaudited(&system()).await?, runs.fetch_add(1, Ordering::Relaxed) == 0);
        tx.rows("SELECT name FROM setting WHERE name = 'mine'", params![]).await?;
        if first {
            // It did not see this, and writes the same row.
            put(&db, "mine").await;
        }
        tx.run(
            "INSERT INTO setting (name, value) VALUES ('mine', '') ON CONFLICT (name) DO UPDATE SET value = 'again'",
            params![],
        )
        .await?;
        tx.commit().await
    };
    until_won(lost).await.unwrap_or_else(|error: StoreError| panic!("{}", Problem::from(error).chain()));
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    long.commit().await.unwrap();
    assert_eq!(count(&db, "SELECT count(*) FROM setting WHERE value = 'again'").await, 1);
}

/// Drops what begins a transaction after 0, 1, 2… polls: whoever reads next must see the present.
#[tokio::test]
async fn a_cancelled_beginning_leaves_no_transaction_open() {
    type Begin = for<'a> fn(&'a Db) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    let begins: [Begin; 3] = [
        |db| Box::pin(async move { drop(db.snapshot(&system()).await.unwrap()) }),
        |db| Box::pin(async move { drop(db.write_unaudited(&system()).await.unwrap()) }),
        |db| Box::pin(async move { drop(db.write_moving(&system(), audit()).await.unwrap()) }),
    ];
    let (db, _folder) = database(Kind::Postgres).await;
    for (number, begin) in begins.iter().enumerate() {
        for polls in 0..60 {
            let mut beginning = begin(&db);
            for _ in 0..polls {
                if poll!(&mut beginning).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(beginning);
            put(&db, &format!("{number} {polls}")).await;
        }
        until(async || count(&db, OPEN).await == 0).await;
        let mut readers = Vec::new();
        for _ in 0..8 {
            readers.push(count(&db, "SELECT count(*) FROM setting"));
        }
        let expected = i64::try_from((number + 1) * 60).unwrap();
        assert_eq!(join_all(readers).await, [expected; 8], "every connection sees the present");
    }
}
