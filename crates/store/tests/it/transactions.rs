//! Transactions: all or nothing, whatever happens to the request; and the version that decisions are stamped with.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use crannog_store::testing::Kind;
use crannog_store::{Db, StoreError, params};
use crannog_types::{Code, Problem};
use futures::future::join_all;
use futures::poll;

use crate::{INSERT, audit, count, database, names, put, system};

const AUDITS: &str =
    "SELECT count(*) FROM audit_event WHERE action_name = 'createSchema' AND request_params LIKE '%main.s%'";

#[tokio::test]
async fn dropped_leaves_nothing_and_commit_is_seen() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let mut tx = db.write(&system(), audit()).await.unwrap();
        tx.run(INSERT, params!["dropped", ""]).await.unwrap();
        assert!(tx.row("SELECT name FROM setting", params![]).await.unwrap().is_some(), "it sees its own rows");
        drop(tx);
        assert_eq!((names(&db).await.len(), count(&db, AUDITS).await), (0, 0));

        let mut tx = db.write(&system(), audit()).await.unwrap();
        tx.run(INSERT, params!["kept", ""]).await.unwrap();
        assert_eq!((names(&db).await.len(), count(&db, AUDITS).await), (0, 0), "nothing is seen before the commit");
        tx.also(audit().with("second", true));
        tx.commit().await.unwrap();
        assert_eq!((names(&db).await, count(&db, AUDITS).await), (vec!["kept".to_owned()], 2));
    }
}

#[tokio::test]
async fn an_error_costs_its_own_transaction_alone() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        put(&db, "taken").await;
        let mut tx = db.write(&system(), audit()).await.unwrap();
        tx.run(INSERT, params!["mine", ""]).await.unwrap();
        let error = tx.run(INSERT, params!["taken", ""]).await.unwrap_err();
        assert_eq!(
            Problem::from(error).code(),
            Code::Internal,
            "a unique error is a bug of ours: ON CONFLICT is written"
        );
        drop(tx);
        put(&db, "next").await;
        assert_eq!((names(&db).await, count(&db, AUDITS).await), (vec!["next".to_owned(), "taken".to_owned()], 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_all_get_through() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let writers = (0..64).map(|writer| {
            let db = db.clone();
            #[expect(clippy::disallowed_methods, reason = "writers on all threads")]
            tokio::spawn(async move {
                for row in 0..50 {
                    put(&db, &format!("{writer:02} {row:02}")).await;
                }
            })
        });
        for done in join_all(writers).await {
            done.unwrap();
        }
        assert_eq!(count(&db, "SELECT count(*) FROM setting").await, 64 * 50);
    }
}

/// Drops a change after 0, 1, 2… polls, that is at every place where a request can be cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_request_is_done_or_not_done() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        for polls in 0..120 {
            let mut change: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> = {
                let db = db.clone();
                Box::pin(async move {
                    let mut tx = db.write(&system(), audit()).await?;
                    tx.run(INSERT, params![format!("a {polls}"), ""]).await?;
                    tx.run(INSERT, params![format!("b {polls}"), ""]).await?;
                    tx.bump().await?;
                    tx.commit().await
                })
            };
            for _ in 0..polls {
                // Between two polls the database may answer or not: both are places to be cancelled at.
                if let Poll::Ready(outcome) = poll!(&mut change) {
                    outcome.unwrap();
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(change);
            // Others go on at once.
            put(&db, &format!("c {polls}")).await;
        }
        let names = names(&db).await;
        let with = |letter: &str| names.iter().filter_map(|name| name.strip_prefix(letter)).collect::<Vec<_>>();
        assert_eq!(with("c ").len(), 120);
        assert_eq!(with("a "), with("b "), "no half of a transaction");
        let done = i64::try_from(with("a ").len()).unwrap();
        assert_eq!(count(&db, AUDITS).await, done);
        let stored = count(&db, "SELECT version FROM authz_version").await;
        assert_eq!(
            (db.version().await.unwrap(), stored),
            (stored.cast_unsigned(), done + 1),
            "the version moved with each"
        );
    }
}

#[tokio::test]
async fn the_version_moves_with_the_commit_and_only_then() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let before = db.version().await.unwrap();
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.bump().await.unwrap();
        tx.bump().await.unwrap();
        assert_eq!(db.version().await.unwrap(), before);
        tx.commit().await.unwrap();
        assert_eq!(db.version().await.unwrap(), before + 1);
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.bump().await.unwrap();
        drop(tx);
        put(&db, "without").await;
        assert_eq!(db.version().await.unwrap(), before + 1);

        let mut then = db.snapshot(&system()).await.unwrap();
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.run(INSERT, params!["later", ""]).await.unwrap();
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(then.version(), before + 1);
        assert_eq!(then.rows("SELECT name FROM setting", params![]).await.unwrap().len(), 1, "as it was then");
        drop(then);
        assert_eq!(db.snapshot(&system()).await.unwrap().version(), before + 2);
    }
}

#[tokio::test]
async fn waiting_writers_share_one_commit() {
    let (db, folder) = database(Kind::Sqlite).await;
    put(&db, "first").await;
    let before = commits(folder.path());
    put(&db, "alone").await;
    assert_eq!(commits(folder.path()), before + 1, "a lone transaction is committed at once");

    let mut held = db.write_unaudited(&system()).await.unwrap();
    held.run(INSERT, params!["held", ""]).await.unwrap();
    let names_of: Vec<String> = (0..64).map(|writer| format!("writer {writer}")).collect();
    let mut writers: Vec<_> = names_of.iter().map(|name| Box::pin(put(&db, name))).collect();
    for writer in &mut writers {
        assert!(poll!(writer).is_pending(), "it waits for the one that holds the connection");
    }
    let (held, _) = tokio::join!(held.commit(), join_all(writers));
    held.unwrap();
    assert_eq!(names(&db).await.len(), 67);
    let groups = commits(folder.path()) - before - 1;
    assert_eq!(groups, 1, "65 transactions, one commit");
}

/// How many commits the write-ahead log holds: the frames that end one, of the log's current generation.
fn commits(folder: &Path) -> usize {
    let log = std::fs::read(folder.join("meta.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = 24 + usize::try_from(number(8)).unwrap();
    let salts = (number(16), number(20));
    let frames = (32..log.len().saturating_sub(frame - 1)).step_by(frame);
    frames.filter(|at| (number(at + 8), number(at + 12)) == salts && number(at + 4) != 0).count()
}

/// Where SQLite cannot go on it rolls everything back by itself, as `OR ROLLBACK` has it do here.
#[tokio::test]
async fn nothing_follows_in_a_transaction_that_was_given_up() {
    let (db, _folder) = database(Kind::Sqlite).await;
    put(&db, "there").await;
    let mut tx = db.write_unaudited(&system()).await.unwrap();
    tx.run(INSERT, params!["before", ""]).await.unwrap();
    let twice = "INSERT OR ROLLBACK INTO setting (name, value) VALUES ($1, $2)";
    tx.run(twice, params!["there", ""]).await.unwrap_err();
    let refused = tx.run(INSERT, params!["after", ""]).await.unwrap_err();
    assert_eq!(Problem::from(refused).code(), Code::Unavailable);
    tx.rows("SELECT name FROM setting", params![]).await.unwrap_err();
    tx.commit().await.unwrap_err();
    assert_eq!(names(&db).await, ["there"]);
    put(&db, "next").await;
    assert_eq!(names(&db).await.len(), 2);
}

#[tokio::test]
async fn a_closed_database_refuses() {
    let (db, _folder) = database(Kind::Sqlite).await;
    let waiting = db.write_unaudited(&system()).await.unwrap();
    let closing = {
        let db = db.clone();
        async move { db.close().await }
    };
    let mut closing = Box::pin(closing);
    assert!(poll!(&mut closing).is_pending(), "it waits for what is under way");
    let (_, committed) = tokio::join!(closing, waiting.commit());
    committed.unwrap();
    let Err(error) = db.write_unaudited(&system()).await else { panic!("written after the end") };
    assert_eq!(Problem::from(error).code(), Code::Unavailable);
}

#[tokio::test]
async fn a_lost_race_says_so() {
    let (db, _folder) = database(Kind::Postgres).await;
    let change = async |mine: &'static str| {
        let mut tx = db.write_unaudited(&system()).await?;
        let seen = tx.rows("SELECT name FROM setting", params![]).await?.len();
        Ok::<_, StoreError>((tx, format!("{mine} after {seen}")))
    };
    let ((mut one, first), (mut two, second)) = (change("one").await.unwrap(), change("two").await.unwrap());
    let outcomes = async {
        one.run(INSERT, params![first, ""]).await?;
        two.run(INSERT, params![second, ""]).await?;
        one.commit().await?;
        two.commit().await
    };
    let problem = Problem::from(outcomes.await.unwrap_err());
    assert_eq!((problem.code(), problem.vendor_reason()), (Code::Aborted, Some("SERIALIZATION_FAILURE")));
    assert!(problem.retry().is_some());
    assert_eq!(names(&db).await.len(), 1);
}

#[tokio::test]
async fn a_database_that_went_away_is_unavailable() {
    let (db, folder) = database(Kind::Sqlite).await;
    drop(folder);
    let read_only = Db::sqlite(Path::new("/proc/meta.db"), || crannog_types::Micros(0)).await;
    let Err(error) = read_only else { panic!("a database in /proc") };
    assert_eq!(Problem::from(error).code(), Code::Unavailable);
    db.close().await;
}
