//! The catalog follows the logs: who committed what is in the audit, whoever commits, whatever breaks in between.

use std::sync::Arc;

use crannog_lake::model::actions::{Action, Add, CommitInfo};
use crannog_lake::model::commit_file::render_commit;
use crannog_lake::ports::WriteSpec;
use crannog_lake::service::arbiter::{Author, append_plan};
use crannog_lake::service::follow::Follower;
use crannog_lake::service::table_log::{commit_path, read_commit};
use crannog_security::{NameOf, actions::tables};
use crannog_storage::{Access, Folder, Location};
use crannog_store::testing::Kind;
use crannog_types::FullName;
use futures::stream;

use crate::world::{ADMIN, ANA, World, given_up_after};

/// The folder of a table, as somebody who may write it has it.
async fn folder(world: &World, table: &str) -> Folder {
    let name = FullName::of(["main", "flights", table]);
    let permit = world.caller(ADMIN).ask::<tables::Modify>(NameOf::named(name)).await.unwrap();
    let governance = &world.lake.governance;
    let found = crannog_governance::service::tables::get(&governance.db, &permit).await.unwrap();
    let location = Location::parse(&found.location.unwrap()).unwrap();
    governance.storage.open(&permit, &location, Access::ReadWrite).unwrap()
}

/// What the audit says of changes of a table: who, action, operation, version, rows, external.
async fn changes(world: &World, who: &str, table: &str) -> Vec<String> {
    let rows = world.run(who, "SELECT * FROM system.access.audit").await.unwrap();
    let at = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let (identity, action, params) = (at("user_identity"), at("action_name"), at("request_params"));
    let mut found: Vec<String> = rows[1..]
        .iter()
        .filter(|row| row[params].contains(&format!("full_name_arg=main.flights.{table}")))
        .filter(|row| ["modifyTable", "updateTable"].contains(&row[action].as_str()))
        .map(|row| {
            let of = |name: &str| {
                let pairs = row[params].trim_matches(['{', '}']);
                let found = pairs.split(',').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
                found.unwrap_or("-").to_owned()
            };
            let who = row[identity].trim_matches(['{', '}']).split(',').next().unwrap_or_default().to_owned();
            let rest = ["operation", "version", "num_rows", "external"].map(of).join("|");
            format!("{who}|{}|{rest}", row[action])
        })
        .collect();
    found.sort_by_key(|line| line.split('|').nth(3).and_then(|version| version.parse::<i64>().ok()));
    found
}

#[tokio::test]
async fn every_change_of_rows_is_in_the_audit_and_names_the_table_in_the_history() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.lines(ADMIN, "GRANT MODIFY ON TABLE main.flights.weather TO `ana@example.com`").await;
        world.lines(ANA, "INSERT INTO weather VALUES ('JFK'), ('LGA')").await;
        world.lines(ADMIN, "INSERT OVERWRITE weather VALUES ('EWR')").await;
        world.lines(ADMIN, "ALTER TABLE weather SET TBLPROPERTIES ('a' = 'b')").await;
        world.lines(ANA, "TRUNCATE TABLE weather").await;
        assert_eq!(
            changes(&world, ADMIN, "weather").await,
            [
                "ana@example.com|modifyTable|WRITE|1|2|-",
                "admin@example.com|modifyTable|WRITE|2|1|-",
                "admin@example.com|updateTable|SET TBLPROPERTIES|3|-|-",
                "ana@example.com|modifyTable|TRUNCATE|4|0|-",
            ],
            "{kind:?}"
        );
        // Whoever is no administrator sees what they did themselves.
        assert_eq!(changes(&world, ANA, "weather").await.len(), 2);
        let written = world.column(ADMIN, "system.query.history", "written_tables").await;
        assert_eq!(written.iter().filter(|tables| *tables == "[main.flights.weather]").count(), 5, "{written:?}");
        let rows = world.column(ANA, "system.query.history", "written_rows").await;
        assert!(rows.contains(&"2".to_owned()), "{rows:?}");
    }
}

#[tokio::test]
async fn many_small_appends_are_each_in_the_audit() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        let inserts = (0..12).map(|_| world.lines(ADMIN, "INSERT INTO weather VALUES ('JFK')"));
        futures::future::join_all(inserts).await;
        let lines = changes(&world, ADMIN, "weather").await;
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("admin@example.com|modifyTable|WRITE|")), "{lines:?}");
        let ids = world.column(ADMIN, "system.access.audit", "statement_id").await;
        let ids: std::collections::BTreeSet<_> = ids.iter().filter(|id| *id != "NULL").collect();
        assert!(ids.len() >= 12, "each row names its own statement: {ids:?}");
    }
}

/// A commit by another program: an append of a file.
async fn foreign(folder: &Folder, version: i64, info: CommitInfo) {
    let path = format!("foreign-{version}.parquet");
    let add = Add { path, size: 1, data_change: true, ..Add::default() };
    let commit = render_commit(&[Action::CommitInfo(info), Action::Add(add)]).unwrap();
    assert!(folder.put_if_absent(&commit_path(version), commit).await.unwrap());
}

#[tokio::test]
async fn commits_of_other_programs_are_recorded_once_and_name_nobody() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.lines(ADMIN, "INSERT INTO weather VALUES ('JFK')").await;
        let folder = folder(&world, "weather").await;
        // The forger copies a commit of ours, seal and all, to the next version.
        let ours = read_commit(&folder, 1).await.unwrap().unwrap();
        let Action::CommitInfo(copied) = ours[0].clone() else { panic!("{ours:?}") };
        assert!(copied.extra["tags"]["crannog.seal"].is_string(), "{copied:?}");
        foreign(&folder, 2, copied).await;
        let spark = CommitInfo {
            operation: Some("WRITE".into()),
            user_name: Some(ADMIN.into()),
            engine_info: Some("Apache-Spark/4.2.0".into()),
            ..CommitInfo::default()
        };
        foreign(&folder, 3, spark).await;
        // Looking at the table is enough for the catalog to follow.
        for _ in 0..2 {
            world.lines(ADMIN, "SELECT origin FROM weather").await;
        }
        assert_eq!(
            changes(&world, ADMIN, "weather").await,
            [
                "admin@example.com|modifyTable|WRITE|1|1|-",
                "System-User|modifyTable|WRITE|2|-|true",
                "System-User|modifyTable|WRITE|3|-|true",
            ],
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_after_the_commit_leaves_no_gap() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.lines(ADMIN, "INSERT INTO weather VALUES ('JFK')").await;
        assert_eq!(changes(&world, ADMIN, "weather").await.len(), 1);
        // What a process leaves that dies between the commit and the catalog: versions in the log that nobody took notice
        // of, and the table under watch.
        let governance = &world.lake.governance;
        let folder = folder(&world, "weather").await;
        let state = world.lake.arbiter.open(&folder).await.unwrap();
        let spec = WriteSpec {
            schema: (*state.schema).clone(),
            metadata: (*state.metadata).clone(),
            now: crannog_kit::clock::now(),
        };
        let adds = world.lake.engine.write(&folder, &spec, Box::pin(stream::empty())).await.unwrap();
        let author = Author { id: "2".into(), name: ANA.into(), statement: Some("lost".into()) };
        let plan = append_plan(state, adds);
        world.lake.arbiter.commit(&folder, plan, &author).await.unwrap();
        // The next start.
        let follower =
            Follower::start(governance.clone(), Arc::clone(&world.lake.arbiter), &world.tasks).await.unwrap();
        follower.flush().await;
        let lines = changes(&world, ADMIN, "weather").await;
        assert_eq!(lines[1..], ["ana@example.com|modifyTable|WRITE|2|0|-"], "{kind:?}");
    }
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_in_log_and_catalog_or_in_neither() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for at in 0..20 {
            let sql = format!("ALTER TABLE weather SET TBLPROPERTIES ('k{at}' = 'v')");
            // Before, in and after the commit.
            given_up_after(at * 3, world.run(ADMIN, &sql)).await;
        }
        world.lake.follower.flush().await;
        let folder = folder(&world, "weather").await;
        let state = world.lake.arbiter.open(&folder).await.unwrap();
        let in_catalog = world.lines(ADMIN, "SHOW TBLPROPERTIES weather").await;
        for key in state.metadata.configuration.keys().filter(|key| key.starts_with('k')) {
            assert!(
                in_catalog.iter().any(|line| line.starts_with(&format!("{key}|"))),
                "{kind:?} {key} {in_catalog:?}"
            );
        }
        let lines = changes(&world, ADMIN, "weather").await;
        assert_eq!(i64::try_from(lines.len()).unwrap(), state.version, "{kind:?} {lines:?}");
    }
}

#[tokio::test]
async fn what_a_view_reads_is_told_to_administrators_alone() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.lines(ADMIN, "GRANT SELECT ON TABLE main.flights.flights_public TO `ben@example.com`").await;
        for privilege in ["USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.flights"] {
            world.lines(ADMIN, &format!("GRANT {privilege} TO `ben@example.com`")).await;
        }
        world.lines("ben@example.com", "SELECT i FROM flights_public").await;
        let told = world.column("ben@example.com", "system.query.history", "read_tables").await;
        assert!(told.contains(&"[main.flights.flights_public]".to_owned()), "{told:?}");
        let params = world.column("ben@example.com", "system.access.audit", "request_params").await;
        assert!(params.iter().any(|row| row.contains("flights_public")), "{params:?}");
        for rows in [&told, &params] {
            assert!(!rows.iter().any(|row| row.contains("weather")), "{kind:?} {rows:?}");
        }
        let all = world.column(ADMIN, "system.query.history", "read_tables").await;
        assert!(all.contains(&"[main.flights.flights_public,main.flights.weather]".to_owned()), "{all:?}");
        let all = world.column(ADMIN, "system.access.audit", "request_params").await;
        let through = |row: &&String| row.contains("full_name_arg=main.flights.weather") && row.contains("via_view=");
        assert!(all.iter().any(|row| through(&row)), "{all:?}");
    }
}
