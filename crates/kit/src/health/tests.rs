//! What is probed, when it is well, slow, stuck or gone, and what is said of it.

use std::path::Path;

use super::*;
use crate::disk::Limits;

fn status(checks: &[Check]) -> (StatusCode, Value) {
    let reply = answer(checks);
    let ReplyBody::Json(body) = reply.body else { panic!("no JSON") };
    (reply.status, body)
}

async fn asked(health: &Health, matters: Matters) -> (StatusCode, Value) {
    *health.live.lock().await = None;
    *health.ready.lock().await = None;
    status(&health.report(matters).await)
}

async fn database() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::sqlite(&folder.path().join("meta.db"), crate::clock::now).await.unwrap();
    (folder, db)
}

const SOON: Duration = Duration::from_millis(200);

fn no_limits() -> Limits {
    Limits { warn_below: 0, refuse_below: 0 }
}

#[tokio::test]
async fn a_stuck_writer_is_told_and_recovers() {
    assert!(PATIENCE + FRESH < Duration::from_secs(10));
    let (folder, db) = database().await;
    let health = Health::with_patience(Disk::of(folder.path(), no_limits()), SOON);
    health.watch_database(&db);
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK);
    assert_eq!(asked(&health, Matters::Ready).await.0, StatusCode::OK);
    let held = db.write_unaudited(&system()).await.unwrap();
    let (code, body) = asked(&health, Matters::Live).await;
    assert_eq!((code, &body["checks"][0]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("STUCK")));
    drop(held);
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK);
}

/// Whoever runs a statement hangs with its thread, be it a request or a probe; all others wait.
#[test]
fn a_statement_that_hangs_is_told_however_many_wait_for_it() {
    let threads = crate::EventLoop::start(1 << 20).unwrap();
    for requests in [0, 1, 100] {
        let (folder, db) = threads.block_on(database());
        let health = Health::with_patience(Disk::of(folder.path(), no_limits()), SOON);
        health.watch_database(&db);
        assert_eq!(threads.block_on(asked(&health, Matters::Live)).0, StatusCode::OK);
        let file = folder.path().join("meta.db");
        let hung = threads.block_on(crannog_store::testing::hang(&db, &file)).unwrap();
        let mut waiting = JoinSet::new();
        threads.block_on(async {
            for _ in 0..requests {
                let db = db.clone();
                waiting.spawn(async move { try_write(&db).await });
            }
        });
        for matters in [Matters::Live, Matters::Ready, Matters::Live] {
            let (code, body) = threads.block_on(asked(&health, matters));
            assert_eq!((code, &body["checks"][0]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("STUCK")));
        }
        drop(hung);
        for written in threads.block_on(waiting.join_all()) {
            written.unwrap();
        }
        let goes_on = threads.block_on(async {
            while asked(&health, Matters::Live).await.0 != StatusCode::OK {}
            asked(&health, Matters::Ready).await.0
        });
        assert_eq!(goes_on, StatusCode::OK);
    }
    threads.shutdown();
}

#[tokio::test]
async fn a_task_that_stays_away_is_stuck() {
    let health = Health::with_patience(Disk::of(Path::new("/"), no_limits()), SOON);
    let pulse = health.pulse("keeper", SOON);
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK);
    let (code, body) = loop {
        let found = asked(&health, Matters::Live).await;
        if found.0 != StatusCode::OK {
            break found;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((code, &body["checks"][0]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("TASK_STUCK")));
    pulse.beat();
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_task_that_is_gone_is_named() {
    let health = Health::with_patience(Disk::of(Path::new("/"), no_limits()), SOON);
    let tasks = Tasks::new();
    health.watch_tasks(&tasks);
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK);
    tasks.spawn("sweeper", async { panic!("a fault of the test") });
    let body = loop {
        let (code, body) = asked(&health, Matters::Live).await;
        if code != StatusCode::OK {
            break body;
        }
        tokio::task::yield_now().await;
    };
    let check = &body["checks"][0];
    assert_eq!(check["code"], "TASK_ENDED");
    assert!(check["message"].as_str().unwrap().contains("sweeper"), "{check}");
}

#[tokio::test]
async fn a_writer_that_hangs_on_rows_is_told() {
    struct Hangs;
    impl crate::batches::Sink for Hangs {
        type Row = u8;
        async fn write(&self, _: &[u8]) -> Result<(), crannog_store::StoreError> {
            std::future::pending().await
        }
    }
    let health = Health::with_patience(Disk::of(Path::new("/"), no_limits()), SOON);
    let rows = Arc::new(crate::batches::Batches::start("rows", Hangs, &Tasks::new()));
    let probed = Arc::clone(&rows);
    health.watch_steps("rows", "a batch of rows", move || probed.stuck(SOON));
    assert_eq!(asked(&health, Matters::Live).await.0, StatusCode::OK, "nothing waits");
    rows.add(1);
    let body = loop {
        let (code, body) = asked(&health, Matters::Live).await;
        if code != StatusCode::OK {
            break body;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(body["checks"][0]["code"], "STUCK");
}

#[tokio::test]
async fn a_disk_is_fine_low_or_full() {
    let folder = tempfile::tempdir().unwrap();
    for (limits, code, state, writable) in [
        (no_limits(), StatusCode::OK, "ok", true),
        (Limits { warn_below: u64::MAX, refuse_below: 0 }, StatusCode::OK, "warning", true),
        (Limits { warn_below: u64::MAX, refuse_below: u64::MAX }, StatusCode::SERVICE_UNAVAILABLE, "failing", false),
    ] {
        let disk = Disk::of(folder.path(), limits);
        assert_eq!(disk.writable().is_ok(), writable);
        let (found, body) = asked(&Health::new(disk), Matters::Ready).await;
        assert_eq!((found, body["status"].as_str().unwrap()), (code, state));
    }
}

#[tokio::test]
async fn a_database_that_takes_no_changes_says_why() {
    let cause = |text: &str| database_failure(&Problem::internal("x", text.to_owned())).code;
    assert_eq!(cause("(code: 8) attempt to write a readonly database"), "DATABASE_READ_ONLY");
    assert_eq!(cause("(code: 13) database or disk is full"), "DATABASE_FULL");
    assert_eq!(cause("(code: 778) disk I/O error"), "DATABASE_IO_ERROR");
    assert_eq!(cause("connection refused"), "DATABASE_DOWN");
}
