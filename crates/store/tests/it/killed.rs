//! `kill -9` at random moments: what was acknowledged is there, and nothing is half there.
//!
//! The writer is this same test binary, started again with [`FOLDER`] in its environment. It prints a line for each
//! transaction that the store acknowledged; the parent reads them until the pipe ends, after it has killed the writer.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crannog_store::params;
use uuid::Uuid;

use crate::{audit, sqlite_in, system};

const FOLDER: &str = "CRANNOG_STORE_TEST_KILLED_FOLDER";
const ROUNDS: usize = 20;

/// The child's part; as a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the parent says so by the environment")]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let db = sqlite_in(&PathBuf::from(folder)).await;
    let writers = (0..8).map(|_| {
        let db = db.clone();
        async move {
            loop {
                let id = Uuid::new_v4().to_string();
                let mut tx = db.write(&system(), audit().with("id", id.clone())).await.unwrap();
                tx.run(crate::INSERT, params![format!("a {id}"), "x".repeat(300)]).await.unwrap();
                tx.run(crate::INSERT, params![format!("b {id}"), "x"]).await.unwrap();
                tx.bump().await.unwrap();
                tx.commit().await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {id}").unwrap();
                out.flush().unwrap();
            }
        }
    });
    let _: Vec<()> = futures::future::join_all(writers).await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a process that can be killed")]
async fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    drop(sqlite_in(folder.path()).await);
    let (mut acknowledged, mut bumps) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_that_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let after = Uuid::new_v4().as_u128() % 200 + 1;
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            // A line that the kill cut off was not acknowledged to anybody.
            let id = line.strip_prefix("acknowledged ").filter(|id| id.len() == 36);
            seen += u128::from(id.is_some_and(|id| acknowledged.insert(id.to_owned())));
            if seen == after {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(seen >= after, "round {round}: the writer ended by itself after {seen}");

        let db = sqlite_in(folder.path()).await;
        let check = db.read(&system()).row("PRAGMA integrity_check", params![]).await.unwrap().unwrap();
        assert_eq!(check.text(0).unwrap(), "ok", "round {round}");
        let names: BTreeSet<String> = crate::names(&db).await.into_iter().collect();
        for id in &acknowledged {
            assert!(names.contains(&format!("a {id}")), "round {round}: {id} was acknowledged and is lost");
        }
        // Whole transactions only: both rows, the audit row, and the version.
        let whole = names.iter().filter_map(|name| name.strip_prefix("a ")).collect::<Vec<_>>();
        assert!(whole.iter().all(|id| names.contains(&format!("b {id}"))) && names.len() == whole.len() * 2);
        let audits = crate::count(&db, "SELECT count(*) FROM audit_event").await;
        assert_eq!(audits, i64::try_from(whole.len()).unwrap(), "round {round}");
        let version = db.version().await.unwrap();
        assert_eq!(version, u64::try_from(whole.len()).unwrap() + 1, "round {round}");
        assert!(version > bumps);
        bumps = version;
        db.close().await;
    }
}
