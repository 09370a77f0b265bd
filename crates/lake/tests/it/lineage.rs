//! `system.access.table_lineage`: what statements read and wrote, once an hour, for those who may see what a row names.

use crannog_store::testing::Kind;

use crate::world::{ADMIN, ANA, BEN, World};

/// `source → target` by type and name, of one person's view.
async fn flows(world: &World, who: &str) -> Vec<String> {
    let rows = world.run(who, "SELECT * FROM system.access.table_lineage").await.unwrap();
    let at = |name: &str| rows[0].iter().position(|found| found == name).unwrap();
    let end = |row: &[String], end: &str| {
        let [kind, name, path] = [format!("{end}_type"), format!("{end}_table_full_name"), format!("{end}_path")];
        let [kind, name, path] = [&kind, &name, &path].map(|column| row[at(column)].clone());
        match kind.as_str() {
            "NULL" => "-".to_owned(),
            "PATH" => format!("PATH {path}"),
            kind => format!("{kind} {name}"),
        }
    };
    let mut found: Vec<String> = rows[1..]
        .iter()
        .map(|row| format!("{}: {} → {}", row[at("created_by")], end(row, "source"), end(row, "target")))
        .collect();
    found.sort();
    found
}

fn of(who: &str, flows: &[&str]) -> Vec<String> {
    let mut flows: Vec<String> = flows.iter().map(|flow| format!("{who}: {flow}")).collect();
    flows.sort();
    flows
}

#[tokio::test]
async fn statements_leave_what_flowed_and_nothing_else() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let made = "TABLE main.flights.weather → VIEW main.flights.flights_public";
        assert_eq!(flows(&world, ADMIN).await, of(ADMIN, &[made]));
        for sql in [
            "INSERT INTO weather VALUES ('EWR')",
            "CREATE TABLE copy AS SELECT * FROM weather",
            "INSERT INTO copy SELECT * FROM weather",
            "CREATE OR REPLACE TABLE again AS SELECT * FROM flights_public",
            "SELECT * FROM weather",
            "SELECT * FROM weather",
            "CREATE TABLE empty (i INT)",
            "TRUNCATE TABLE empty",
            "SHOW TABLES",
        ] {
            world.lines(ADMIN, sql).await;
        }
        world.refusal(ADMIN, "INSERT INTO nothing SELECT * FROM copy").await;
        let all = [
            made,
            "- → TABLE main.flights.weather",
            "TABLE main.flights.weather → TABLE main.flights.copy",
            "VIEW main.flights.flights_public → TABLE main.flights.again",
            "TABLE main.flights.weather → -",
        ];
        assert_eq!(flows(&world, ADMIN).await, of(ADMIN, &all));
        // Who reads is in the row's statement, which the history has.
        let statements = world.column(ADMIN, "system.access.table_lineage", "statement_id").await;
        let known = world.column(ADMIN, "system.query.history", "statement_id").await;
        assert!(statements.iter().all(|id| known.contains(id)), "{statements:?}");
        world.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_row_is_seen_by_those_who_see_all_that_it_names() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.lines(ADMIN, "REVOKE BROWSE ON CATALOG main FROM `account users`").await;
        world.lines(ADMIN, "CREATE TABLE hidden AS SELECT * FROM weather").await;
        world.lines(ADMIN, "SELECT * FROM planes").await;
        world.lines(ANA, "SELECT * FROM weather").await;
        let read = "ana@example.com: TABLE main.flights.weather → -";
        assert_eq!(flows(&world, ANA).await, [read]);
        // A grant behind a gate that is shut shows nothing.
        assert_eq!(flows(&world, BEN).await, Vec::<String>::new());
        world.lines(ADMIN, "GRANT SELECT ON TABLE hidden TO `ana@example.com`").await;
        let into = "admin@example.com: TABLE main.flights.weather → TABLE main.flights.hidden";
        assert_eq!(flows(&world, ANA).await, [into, read]);
        // Rows name what is there by the name that it has; what is dropped is for administrators.
        world.lines(ADMIN, "ALTER TABLE hidden RENAME TO shown").await;
        assert_eq!(flows(&world, ANA).await, [into.replace("hidden", "shown").as_str(), read]);
        world.lines(ADMIN, "DROP TABLE shown").await;
        world.lines(ADMIN, "CREATE TABLE shown (i INT)").await;
        world.lines(ADMIN, "GRANT SELECT ON TABLE shown TO `ana@example.com`").await;
        assert_eq!(flows(&world, ANA).await, [read]);
        assert_eq!(flows(&world, ADMIN).await.len(), 4);
        world.lines(ADMIN, "REVOKE SELECT ON TABLE weather FROM `ana@example.com`").await;
        assert_eq!(flows(&world, ANA).await, Vec::<String>::new());
        world.tasks.stop().await;
    }
}
