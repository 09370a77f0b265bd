//! Statements under way: their turn, their leases, their results' room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crannog_lake::service::executions::{Execution, Executions, Request, State};
use crannog_lake::service::limits::Limits;
use crannog_lake::service::warehouses;
use crannog_security::actions::warehouses::Use;
use crannog_security::caller::Ready;
use crannog_security::{Caller, NameOf, Standing, System, Task};
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_types::{Code, FullName, PrincipalId, Problem, Result};

use crate::world::{ADMIN, ANA, World};

const PATIENCE: Duration = Duration::from_secs(60);

struct Rig {
    world: World,
    executions: Arc<Executions>,
    warehouse: String,
}

/// A credential that can be revoked.
#[derive(Default)]
struct Token(AtomicBool);

impl Standing for Token {
    fn check(&self) -> Ready<'_, Result<()>> {
        let revoked = self.0.load(Ordering::Relaxed);
        let outcome = if revoked { Err(Problem::new(Code::Unauthenticated, "the token was revoked")) } else { Ok(()) };
        Box::pin(async move { outcome })
    }
}

impl Rig {
    async fn new(kind: Kind, limits: Limits) -> Self {
        let world = World::new(kind).await;
        let db = &world.lake.governance.db;
        let warehouse = warehouses::bootstrap(db, PrincipalId(1), PrincipalId(10)).await.unwrap().unwrap();
        let executions = Executions::new(world.lake.clone(), world.tasks.clone(), limits);
        Rig { world, executions, warehouse }
    }

    async fn begin(&self, caller: &Caller, sql: &str) -> Result<Arc<Execution>> {
        let permit = caller.ask::<Use>(NameOf::named(FullName::of([self.warehouse.as_str()]))).await?;
        let mut request = Request { text: sql.to_owned(), ..Request::default() };
        request.context.schema = "flights".to_owned();
        self.executions.begin(&permit, caller, request.parse()).await
    }

    /// A statement of Ana's that has begun and never ends by itself.
    async fn for_ever(&self, caller: &Caller) -> Arc<Execution> {
        let execution = self.begin(caller, "SELECT 'for ever' FROM weather").await.unwrap();
        while matches!(execution.state(), State::Pending) {
            tokio::task::yield_now().await;
        }
        execution
    }
}

fn quick() -> Limits {
    Limits { lease: Duration::from_millis(5), ..Limits::default() }
}

fn failure(state: &State) -> &Problem {
    match state {
        State::Failed(problem) => problem,
        State::Canceled => panic!("it was cancelled"),
        _ => panic!("it did not fail"),
    }
}

#[tokio::test]
async fn a_statement_ends_when_a_grant_that_it_uses_is_revoked() {
    for kind in Kind::ALL {
        for revoke in [
            "REVOKE SELECT ON TABLE main.flights.weather FROM `ana@example.com`",
            "REVOKE USE SCHEMA ON SCHEMA main.flights FROM `ana@example.com`",
        ] {
            let rig = Rig::new(kind, quick()).await;
            let execution = rig.for_ever(&rig.world.caller(ANA)).await;
            rig.world.lines(ADMIN, revoke).await;
            let state = execution.wait(PATIENCE).await;
            assert_eq!(failure(&state).code(), Code::PermissionDenied, "{kind:?} {revoke}");
        }
    }
}

#[tokio::test]
async fn a_statement_ends_when_its_token_is_revoked() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, quick()).await;
        let token = Arc::new(Token::default());
        let caller = rig.world.caller(ANA).standing_by(Arc::clone(&token) as Arc<dyn Standing>);
        let execution = rig.for_ever(&caller).await;
        token.0.store(true, Ordering::Relaxed);
        let state = execution.wait(PATIENCE).await;
        assert_eq!(failure(&state).code(), Code::Unauthenticated, "{kind:?}");
    }
}

#[tokio::test]
async fn a_result_is_handed_out_while_its_statement_would_be_allowed() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, quick()).await;
        let caller = rig.world.caller(ANA);
        let execution = rig.begin(&caller, "SELECT origin FROM weather").await.unwrap();
        assert!(matches!(execution.wait(PATIENCE).await, State::Succeeded(_)));
        execution.renew().await.unwrap();
        let (expires, other) = (1_000, 1_001);
        let proof = execution.link_proof(0, expires);
        assert!(rig.executions.by_link(&execution.id, 0, expires, &proof).is_ok());
        assert!(
            rig.executions.by_link(&execution.id, 0, other, &proof).is_err(),
            "a link cannot be made to last longer"
        );
        assert!(rig.executions.by_link(&execution.id, 1, expires, &proof).is_err());
        rig.world.lines(ADMIN, "REVOKE SELECT ON TABLE main.flights.weather FROM `ana@example.com`").await;
        assert_eq!(execution.renew().await.unwrap_err().code(), Code::PermissionDenied, "{kind:?}");
        rig.world.lines(ADMIN, "DROP TABLE weather").await;
        execution.renew().await.expect("a table that is not there is nobody's to revoke");
    }
}

#[tokio::test]
async fn what_is_behind_a_view_is_not_told_when_its_owner_loses_it() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, quick()).await;
        for sql in [
            "ALTER VIEW flights_public OWNER TO `ben@example.com`",
            "GRANT SELECT ON TABLE weather TO `ben@example.com`",
            "GRANT USE CATALOG ON CATALOG main TO `ben@example.com`",
            "GRANT USE SCHEMA ON SCHEMA main.flights TO `ben@example.com`",
            "GRANT SELECT ON TABLE flights_public TO `ana@example.com`",
        ] {
            rig.world.lines(ADMIN, sql).await;
        }
        let caller = rig.world.caller(ANA);
        let execution = rig.begin(&caller, "SELECT 'for ever' FROM flights_public").await.unwrap();
        while matches!(execution.state(), State::Pending) {
            tokio::task::yield_now().await;
        }
        rig.world.lines(ADMIN, "REVOKE SELECT ON TABLE weather FROM `ben@example.com`").await;
        let state = execution.wait(PATIENCE).await;
        let text = failure(&state).full_message();
        assert!(text.contains("main.flights.flights_public") && !text.contains("weather"), "{kind:?} {text}");
    }
}

#[tokio::test]
async fn more_statements_than_one_person_may_have_are_refused_and_others_go_on() {
    for kind in Kind::ALL {
        let limits = Limits { running: 2, per_person: 3, ..quick() };
        let rig = Rig::new(kind, limits).await;
        let ana = rig.world.caller(ANA);
        let first = rig.for_ever(&ana).await;
        let waiting = rig.begin(&ana, "SELECT 'for ever' FROM weather").await.unwrap();
        let third = rig.begin(&ana, "SELECT 1").await.unwrap();
        let refused = rig.begin(&ana, "SELECT 1").await.err().unwrap();
        assert_eq!((refused.code(), refused.retry().is_some()), (Code::ResourceExhausted, true));
        let others = rig.begin(&rig.world.caller(ADMIN), "SELECT 1").await.unwrap();
        assert!(matches!(others.wait(PATIENCE).await, State::Succeeded(_)), "{kind:?}");
        assert!(matches!(waiting.state(), State::Pending) && matches!(third.state(), State::Pending));
        // One that waits can be cancelled, and one that ends makes place for the next.
        waiting.cancel();
        assert!(matches!(waiting.wait(PATIENCE).await, State::Canceled));
        first.cancel();
        assert!(matches!(third.wait(PATIENCE).await, State::Succeeded(_)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_cancelled_leaves_no_data_file() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, quick()).await;
        let detail = rig.world.lines(ADMIN, "DESCRIBE DETAIL weather").await;
        let location = detail[0].split('|').nth(4).unwrap().to_owned();
        let data_files = || {
            let names = std::fs::read_dir(location.strip_prefix("file://").unwrap()).unwrap();
            names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("part-")).count()
        };
        assert_eq!(data_files(), 0);
        let sql = "INSERT OVERWRITE weather SELECT 'for ever' FROM weather";
        let execution = rig.begin(&rig.world.caller(ADMIN), sql).await.unwrap();
        let begun = async {
            while data_files() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, begun).await.expect("it writes");
        execution.cancel();
        assert!(matches!(execution.wait(PATIENCE).await, State::Canceled));
        rig.world.tasks.stop().await;
        assert_eq!(data_files(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_table_whose_making_is_cancelled_is_taken_back_at_once() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, quick()).await;
        let db = &rig.world.lake.governance.db;
        let begun = async || {
            let rows = db.read(&system()).rows("SELECT location FROM intent", params![]).await.unwrap();
            rows.first().map(|row| row.text(0).unwrap())
        };
        assert_eq!(begun().await, None);
        let sql = "CREATE TABLE storms AS SELECT 'for ever' FROM weather";
        let execution = rig.begin(&rig.world.caller(ADMIN), sql).await.unwrap();
        let writing = async {
            loop {
                let folder = begun().await.map(|location| location.strip_prefix("file://").unwrap().to_owned());
                if let Some(folder) = folder.filter(|folder| files_in(folder) > 0) {
                    break folder;
                }
                tokio::task::yield_now().await;
            }
        };
        let folder = tokio::time::timeout(PATIENCE, writing).await.expect("it writes");
        execution.cancel();
        assert!(matches!(execution.wait(PATIENCE).await, State::Canceled));
        rig.world.tasks.stop().await;
        assert_eq!(begun().await, None, "{kind:?}: the intent is still open");
        assert_eq!(files_in(&folder), 0, "{kind:?}");
    }
}

/// How many files a folder has, none if it is not there.
fn files_in(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| entries.filter_map(std::result::Result::ok).count())
}

#[expect(clippy::disallowed_methods, reason = "a test looks for itself")]
fn system() -> System {
    System::task(Task::Probe)
}

#[tokio::test]
async fn the_oldest_results_make_room_for_new_ones() {
    for kind in Kind::ALL {
        let rig = Rig::new(kind, Limits { result_bytes: 6_000, ..quick() }).await;
        let admin = rig.world.caller(ADMIN);
        let sql = "SELECT * FROM main.information_schema.tables";
        let mut kept = Vec::new();
        for _ in 0..30 {
            let execution = rig.begin(&admin, sql).await.unwrap();
            let State::Succeeded(set) = execution.wait(PATIENCE).await else { panic!("{kind:?}: no result") };
            assert!(set.bytes() > 0);
            drop(set);
            kept.push(execution);
        }
        assert!(matches!(kept[0].state(), State::Closed), "{kind:?}: the oldest result is there");
        assert!(matches!(kept[29].state(), State::Succeeded(_)));
        let small = Rig::new(kind, Limits { result_bytes: 10, ..quick() }).await;
        let execution = small.begin(&small.world.caller(ADMIN), sql).await.unwrap();
        assert_eq!(failure(&execution.wait(PATIENCE).await).code(), Code::ResourceExhausted);
    }
}
