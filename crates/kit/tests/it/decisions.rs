//! Decisions over the wire: at once, never from an older state, and audited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crannog_security::{NameOf, Origin, Who, actions::catalogs};
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_types::FullName;

use crate::world::{ANA, BEN, CATALOG, World, system};

const MAIN: &str = "/api/2.1/unity-catalog/catalogs/main";

#[tokio::test]
async fn a_grant_and_its_end_hold_at_the_next_request() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for _ in 0..5 {
            assert_eq!(world.get(MAIN, "ana").await.status, 404);
            world.grant("USE CATALOG", ANA).await;
            let answer = world.get("/api/2.1/unity-catalog/catalogs/MAIN", "ana").await;
            assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some("Main")));
            assert_eq!(world.get(MAIN, "ben").await.status, 404, "{BEN}: not somebody else's");
            world.revoke("USE CATALOG", ANA).await;
        }
        // A denial that may be told names the grant.
        world.grant("USE CATALOG", ANA).await;
        let denied = world.send("POST /api/2.1/unity-catalog/schemas/main", "ana", &[], "").await;
        assert_eq!((denied.status, denied.error_code().as_str()), (403, "PERMISSION_DENIED"));
        let grant = &denied.json()["details"][0]["metadata"]["missing_grant"];
        assert_eq!(grant, "GRANT CREATE SCHEMA ON CATALOG Main TO `ana@example.com`");
        // Renamed: the old name is gone, the new one is there, for those who had it.
        let rename = "UPDATE securable SET name = $1, folded = lower($1), path = lower($1) WHERE id = $2";
        world.change(rename, params!["Other", CATALOG]).await;
        assert_eq!(world.get(MAIN, "ana").await.status, 404);
        assert_eq!(world.get("/api/2.1/unity-catalog/catalogs/other", "ana").await.json()["name"], "Other");
    }
}

#[tokio::test]
async fn invisible_is_missing_to_the_byte_and_audited() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let plain = |answer: crate::world::Answer, name: &str| {
            let id = answer.header("x-request-id").unwrap().to_owned();
            let kept = answer.head.lines().filter(|line| !line.starts_with("date: "));
            let text = format!("{}\n{}", kept.collect::<Vec<_>>().join("\n"), answer.body);
            text.replace(&id, "ID").replace(name, "NAME")
        };
        let hidden = plain(world.get(MAIN, "ben").await, "main");
        let missing = plain(world.get("/api/2.1/unity-catalog/catalogs/gone", "ben").await, "gone");
        assert_eq!(hidden, missing);

        world.recorder.flush().await;
        let sql = "SELECT principal_name, action_name, status_code, source_ip, request_params FROM audit_event \
                   WHERE principal = 3 ORDER BY event_time, event_id";
        let rows = world.db.read(&system()).rows(sql, params![]).await.unwrap();
        assert_eq!(rows.len(), 2, "both denials, readable after a flush");
        for (row, name) in rows.iter().zip(["main", "gone"]) {
            assert_eq!(row.text(0).unwrap(), "ben@example.com");
            assert_eq!((row.text(1).unwrap().as_str(), row.int(2).unwrap()), ("getCatalog", 404));
            assert_eq!(row.text(3).unwrap(), "127.0.0.1");
            assert!(row.text(4).unwrap().contains(name));
        }
        // What still waits is written when the server stops.
        world.get(MAIN, "ben").await;
        world.tasks.stop().await;
        assert_eq!(world.db.read(&system()).rows(sql, params![]).await.unwrap().len(), 3);
    }
}

/// One task grants and revokes; many decide all the time. A decision that began after the acknowledgement of a change, and
/// ended before the next change began, must be that change's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_is_older_than_what_was_acknowledged() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        // Even: nothing under way, `state / 2` odd means granted. Odd: a change is under way.
        let (state, held, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let who = Who { id: ANA, name: "ana@example.com".into() };
        let changes = async {
            for _ in 0..60 {
                for granted in [true, false] {
                    state.fetch_add(1, Ordering::SeqCst);
                    if granted {
                        world.grant("USE CATALOG", ANA).await;
                    } else {
                        world.revoke("USE CATALOG", ANA).await;
                    }
                    state.fetch_add(1, Ordering::SeqCst);
                    let enough = held.load(Ordering::SeqCst) + 8;
                    while held.load(Ordering::SeqCst) < enough {
                        tokio::task::yield_now().await;
                    }
                }
            }
            over.store(true, Ordering::SeqCst);
        };
        let decide = async || {
            let caller = world.authority.caller(who.clone(), Arc::new(Origin::default()));
            while !over.load(Ordering::SeqCst) {
                let before = state.load(Ordering::SeqCst);
                let name = NameOf::<catalogs::ReadMetadata>::named(FullName::of(["main"]));
                let allowed = caller.ask(name).await.is_ok();
                if before % 2 == 0 && before == state.load(Ordering::SeqCst) {
                    assert_eq!(allowed, before / 2 % 2 == 1, "{kind:?}: a stale decision at {before}");
                    held.fetch_add(1, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
            }
        };
        let deciders = futures::future::join_all((0..32).map(|_| decide()));
        tokio::join!(changes, deciders);
    }
}
