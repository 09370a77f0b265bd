//! System tables over both databases: all of their rows are read, however many pages that takes, and conditions that a query tells
//! leave out no row that has them.

use std::collections::{BTreeMap, BTreeSet};

use crannog_lake::ports::Wanted;
use crannog_store::testing::Kind;

use crate::world::{ADMIN, ANA, World};

/// Rows by the names of their columns.
async fn rows(world: &World, who: &str, table: &str) -> Vec<BTreeMap<String, String>> {
    let rows = world.run(who, &format!("SELECT * FROM {table}")).await.unwrap();
    rows[1..].iter().map(|row| rows[0].iter().cloned().zip(row.iter().cloned()).collect()).collect()
}

const AUDITED: &str = "INSERT INTO audit_event (event_id, event_time, principal, principal_name, service_name, action_name, \
     request_params, status_code) \
     WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2499) \
     SELECT 'e' || i, 1000000 * (i / 100), 2, 'ana@example.com', 'test', 'action' || (i % 7), \
     '{\"name\":\"n' || (i % 50) || '_%\",\"many\":[1,' || (i % 3) || ']}', 200 FROM n";

#[tokio::test]
async fn conditions_on_the_audit_leave_out_no_row_that_has_them() {
    const DAY: i64 = 86_400_000_000;
    // The columns by their places.
    let [time, date, action, params] = [1, 2, 10, 12];
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let action_of = |i: u32, wanted: &[u32]| wanted.contains(&(i % 7));
    type Has = Box<dyn Fn(u32) -> bool>;
    let cases: Vec<(Wanted, Has)> = vec![
        (Wanted::default(), Box::new(|_| true)),
        (
            Wanted { only: vec![(action, texts(&["action1", "action3", "none\0"]))], ..Wanted::default() },
            Box::new(move |i| action_of(i, &[1, 3])),
        ),
        (
            Wanted { within: vec![(time, 5_000_000..=7_000_000)], ..Wanted::default() },
            Box::new(|i| i / 100 >= 5 && i / 100 <= 7),
        ),
        (Wanted { within: vec![(date, 0..=DAY - 1)], ..Wanted::default() }, Box::new(|_| true)),
        (Wanted { within: vec![(date, DAY..=2 * DAY - 1)], ..Wanted::default() }, Box::new(|_| false)),
        (Wanted { holding: vec![(params, "n7_%".to_owned())], ..Wanted::default() }, Box::new(|i| i % 50 == 7)),
        (Wanted { holding: vec![(params, "[1,2]".to_owned())], ..Wanted::default() }, Box::new(|i| i % 3 == 2)),
        (
            Wanted {
                only: vec![(action, texts(&["action2"]))],
                within: vec![(time, i64::MIN..=9_000_000), (date, 0..=i64::MAX)],
                holding: vec![(params, "n7_%".to_owned())],
                ..Wanted::default()
            },
            Box::new(move |i| action_of(i, &[2]) && i / 100 <= 9 && i % 50 == 7),
        ),
        // What does not stand in JSON as it is, is left to the query.
        (Wanted { holding: vec![(params, "\"".to_owned())], ..Wanted::default() }, Box::new(|_| true)),
        (Wanted { holding: vec![(params, "x".repeat(60_000))], ..Wanted::default() }, Box::new(|_| true)),
    ];
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.insert(&[AUDITED]).await;
        for (told, has) in &cases {
            *world.told.lock().unwrap() = told.clone();
            let expected: BTreeSet<u32> = (0..2500).filter(|i| has(*i)).collect();
            for who in [ADMIN, ANA] {
                let found = rows(&world, who, "system.access.audit").await;
                let ours = found.iter().filter(|row| row["service_name"] == "test");
                let found: Vec<u32> = ours.map(|row| row["event_id"][1..].parse().unwrap()).collect();
                assert!(found.is_sorted_by_key(|i| std::cmp::Reverse(i / 100)), "{kind:?}: the newest first");
                assert_eq!(found.len(), expected.len(), "{kind:?} {told:?}");
                assert_eq!(BTreeSet::from_iter(found), expected, "{kind:?} {told:?}");
            }
        }
        world.tasks.stop().await;
    }
}

#[tokio::test]
async fn conditions_on_the_history_leave_out_no_row_that_has_them() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for _ in 0..3 {
            world.lines(ANA, "SELECT * FROM weather").await;
            world.refusal(ANA, "SELECT * FROM planes").await;
        }
        let count = async |only: Vec<(usize, &str)>| {
            let only = only.into_iter().map(|(at, text)| (at, vec![text.to_owned()])).collect();
            *world.told.lock().unwrap() = Wanted { only, ..Wanted::default() };
            let found = rows(&world, ADMIN, "system.query.history").await;
            *world.told.lock().unwrap() = Wanted::default();
            found
        };
        let all = count(Vec::new()).await;
        let [status, who] = [4, 7];
        for (only, column, text) in
            [(vec![(status, "FAILED")], "execution_status", "FAILED"), (vec![(who, ANA)], "executed_by", ANA)]
        {
            let found = count(only).await;
            let expected = all.iter().filter(|row| row[column] == text);
            assert!(expected.clone().count() >= 3);
            assert!(found.iter().eq(expected), "{kind:?} {column}");
        }
        world.tasks.stop().await;
    }
}

/// 600 versions of a model, each of a run: what the last one read takes pages, and of the 300th nothing is known.
const VERSIONS: [&str; 6] = [
    "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, updated_by) \
     SELECT '00000000-0000-0000-0000-00000000000a', 'registered_model', id, 'late', 'late', 'main.flights.late', 1, 0, 'x', 0, 'x' \
     FROM securable WHERE kind = 'schema' AND path = 'main.flights'",
    "INSERT INTO registered_model (id, last_version) VALUES ('00000000-0000-0000-0000-00000000000a', 600)",
    "INSERT INTO model_version (model, version, status, stage, source, created_at, created_by, updated_at, updated_by) \
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
     SELECT '00000000-0000-0000-0000-00000000000a', i, 'READY', 'None', 'here', 0, 'x', 0, 'x' FROM n",
    "INSERT INTO lineage (record_id, event_id, event_time, principal, principal_name, run_id, target, target_type, target_name, \
     target_version) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
     SELECT 'v' || i, 'e', i / 10, 1, 'x', 'r' || i, '00000000-0000-0000-0000-00000000000a', 'MODEL_VERSION', 'main.flights.late', i \
     FROM n",
    "INSERT INTO lineage (record_id, event_id, event_time, principal, principal_name, run_id, source, source_type, source_name, \
     source_version) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1199) \
     SELECT 'a' || i, 'e', 1000 + i / 50, 1, 'x', 'r' || (1 + i / 2), s.id, 'TABLE', 'main.flights.weather', i % 2 \
     FROM n CROSS JOIN securable s WHERE s.path = 'main.flights.weather' AND i / 2 <> 299 AND i / 2 <> 599",
    "INSERT INTO lineage (record_id, event_id, event_time, principal, principal_name, run_id, source, source_type, source_name, \
     source_version) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 699) \
     SELECT 'b' || i, 'e', 5, 1, 'x', 'r600', s.id, 'TABLE', 'main.flights.weather', i \
     FROM n CROSS JOIN securable s WHERE s.path = 'main.flights.weather'",
];

#[tokio::test]
async fn no_version_loses_what_it_was_made_of_to_the_end_of_a_page() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.insert(&VERSIONS).await;
        let reads = rows(&world, ADMIN, "system.access.table_lineage").await;
        let ids: BTreeSet<&str> = reads.iter().map(|row| row["record_id"].as_str()).collect();
        // One is of the view of this world.
        assert_eq!((reads.len(), ids.len()), (598 * 2 + 700 + 1, 598 * 2 + 700 + 1), "{kind:?}");
        let mut of_versions: BTreeMap<i64, BTreeSet<(String, String)>> = BTreeMap::new();
        let found = rows(&world, ADMIN, "system.access.model_lineage").await;
        for row in &found {
            assert_eq!(row["run_id"], format!("r{}", row["model_version"]));
            let source = (row["source_table_full_name"].clone(), row["source_version"].clone());
            assert!(of_versions.entry(row["model_version"].parse().unwrap()).or_default().insert(source), "{row:?}");
        }
        assert_eq!(found.len(), 598 * 2 + 700 + 1, "{kind:?}");
        let weather = |versions: i64| {
            BTreeSet::from_iter((0..versions).map(|version| ("main.flights.weather".to_owned(), version.to_string())))
        };
        for version in 1..=600 {
            let expected = match version {
                300 => BTreeSet::from([("NULL".to_owned(), "NULL".to_owned())]),
                600 => weather(700),
                _ => weather(2),
            };
            assert_eq!(of_versions[&version], expected, "{kind:?} {version}");
        }
        world.tasks.stop().await;
    }
}
