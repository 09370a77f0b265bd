//! SHOW, DESCRIBE, `information_schema` and the system tables, by an administrator and by somebody with few grants.

use crannog_store::testing::Kind;

use crate::world::{ADMIN, ANA, BEN, World};

#[tokio::test]
async fn lists_have_databricks_columns_and_follow_patterns() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for (sql, header, rows) in [
            ("SHOW CATALOGS", "catalog", vec!["main", "system"]),
            ("SHOW SCHEMAS IN `main`", "databaseName", vec!["flights", "information_schema"]),
            ("SHOW SCHEMAS IN system LIKE 'acc*|q*'", "databaseName", vec!["access", "query"]),
            (
                "SHOW TABLES IN main.flights LIKE 'pl*|W*'",
                "database|tableName|isTemporary",
                vec!["flights|planes|false", "flights|weather|false"],
            ),
            ("SHOW TABLES IN system.query", "database|tableName|isTemporary", vec!["query|history|false"]),
            ("SHOW VIEWS", "namespace|viewName|isTemporary|isMaterialized", vec!["flights|flights_public|false|false"]),
            ("SHOW VOLUMES", "database|volume_name", vec!["flights|raw"]),
            ("SHOW COLUMNS IN planes", "col_name", vec!["tailnum", "year", "parts", "price", "m"]),
            ("SHOW TBLPROPERTIES planes ('delta.minReaderVersion')", "key|value", vec!["delta.minReaderVersion|1"]),
            ("SHOW TBLPROPERTIES flights_public", "key|value", vec![]),
            ("SHOW USER FUNCTIONS", "function", vec![]),
            ("SHOW PARTITIONS planes", "partition", vec![]),
        ] {
            let found = world.run(ADMIN, sql).await.unwrap();
            assert_eq!(found[0].join("|"), header, "{sql}");
            assert_eq!(found[1..].iter().map(|row| row.join("|")).collect::<Vec<_>>(), rows, "{sql}");
        }
        assert!(world.refusal(ADMIN, "SHOW FUNCTIONS").await.contains("SHOW USER FUNCTIONS"));
        assert!(world.refusal(ADMIN, "SHOW PARTITIONS weather").await.contains("not partitioned"));
        assert!(world.refusal(ADMIN, "SHOW TABLES IN nope.information_schema").await.contains("does not exist"));
        let extended = world.lines(ADMIN, "SHOW TABLE EXTENDED IN main.flights LIKE 'planes'").await;
        assert!(extended[0].contains("Comment: all planes\nLocation: "), "{extended:?}");
        assert!(extended[0].contains(" |-- tailnum: string (nullable = false)\n"), "{extended:?}");
        assert!(extended[0].contains(" |    |-- element: struct (containsNull = true)\n"), "{extended:?}");
    }
}

#[tokio::test]
async fn what_makes_a_table_again_makes_the_same_table() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        for name in ["planes", "flights_public"] {
            let show = format!("SHOW CREATE TABLE {name}");
            let before = world.run(ADMIN, &show).await.unwrap();
            let described = world.lines(ADMIN, &format!("DESCRIBE {name}")).await;
            let kind = if name == "planes" { "TABLE" } else { "VIEW" };
            world.run(ADMIN, &format!("DROP {kind} {name}")).await.unwrap();
            world.run(ADMIN, &before[1][0]).await.unwrap();
            assert_eq!(world.run(ADMIN, &show).await.unwrap(), before);
            assert_eq!(world.lines(ADMIN, &format!("DESCRIBE {name}")).await, described);
        }
    }
}

#[tokio::test]
async fn tables_are_described_as_clients_read_them() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let plain = world.lines(ADMIN, "DESCRIBE planes").await;
        assert_eq!(plain[0], "tailnum|string|it's the key");
        assert_eq!(plain[5..], ["# Partition Information||", "# col_name|data_type|comment", "year|int|NULL"]);
        let extended = world.lines(ADMIN, "DESCRIBE EXTENDED planes").await;
        for line in
            ["||", "# Detailed Table Information||", "Type|MANAGED|", "Provider|delta|", "Owner|admin@example.com|"]
        {
            assert!(extended.iter().any(|found| found == line), "{line}: {extended:?}");
        }
        let json = world.lines(ADMIN, "DESCRIBE TABLE EXTENDED planes AS JSON").await;
        let json: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
        assert_eq!((&json["type"], &json["provider"]), (&"MANAGED".into(), &"delta".into()));
        assert_eq!(json["columns"][3]["type"], serde_json::json!({ "name": "decimal", "precision": 10, "scale": 2 }));
        assert_eq!(json["table_properties"]["owner.team"], "fleet");
        let view = world.lines(ADMIN, "DESCRIBE TABLE EXTENDED flights_public AS JSON").await;
        assert!(view[0].contains(r#""view_text":"SELECT id, d FROM weather""#), "{view:?}");

        world.run(ADMIN, "ALTER TABLE planes SET TBLPROPERTIES ('a' = 'b')").await.unwrap();
        let history = world.run(ADMIN, "DESCRIBE HISTORY planes").await.unwrap();
        let of =
            |row: usize, name: &str| history[row][history[0].iter().position(|found| found == name).unwrap()].clone();
        assert_eq!((of(1, "version"), of(1, "operation")), ("1".to_owned(), "SET TBLPROPERTIES".to_owned()));
        assert_eq!((of(2, "version"), of(2, "userName")), ("0".to_owned(), ADMIN.to_owned()));
        assert_eq!(world.lines(ADMIN, "DESCRIBE HISTORY planes LIMIT 1").await.len(), 1);
        let detail = world.run(ADMIN, "DESCRIBE DETAIL planes").await.unwrap();
        assert_eq!((&*detail[1][0], &*detail[1][2], &*detail[1][7]), ("delta", "main.flights.planes", "[year]"));
        assert!(world.refusal(ADMIN, "DESCRIBE DETAIL flights_public").await.contains("is a view"));
        assert!(world.refusal(ADMIN, "DESCRIBE planes nope").await.contains("tailnum"));
        assert!(world.refusal(ADMIN, "DESCRIBE FUNCTION abs").await.contains("reference"));

        assert_eq!(world.lines(ADMIN, "DESCRIBE CATALOG main").await[0], "Catalog Name|main");
        assert!(
            world.lines(ADMIN, "DESCRIBE SCHEMA EXTENDED main.flights").await.contains(&"Properties|[a=b]".to_owned())
        );
        assert!(
            world.lines(ADMIN, "DESCRIBE VOLUME raw").await[0]
                .starts_with("raw|main|flights|admin@example.com|file://")
        );
        assert_eq!(world.lines(ADMIN, "DESCRIBE QUERY SELECT 1").await, ["id|bigint|NULL", "d|date|NULL"]);
        assert!(
            world.lines(ADMIN, "DESCRIBE system.access.audit").await.contains(&"event_time|timestamp|NULL".to_owned())
        );
    }
}

#[tokio::test]
async fn nobody_sees_more_than_their_grants_show() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.run(ADMIN, "REVOKE BROWSE ON CATALOG main FROM `account users`").await.unwrap();
        assert_eq!(world.column(ANA, "main.information_schema.tables", "table_name").await, ["weather"]);
        assert_eq!(world.column(ANA, "system.information_schema.columns", "column_name").await, ["origin"]);
        assert_eq!(world.lines(ANA, "SHOW TABLES").await, ["flights|weather|false"]);
        // Ben has a grant, but not the gates above it.
        assert!(world.column(BEN, "system.information_schema.tables", "table_name").await.is_empty());
        assert!(world.refusal(BEN, "SELECT * FROM main.information_schema.tables").await.contains("does not exist"));
        assert_eq!(world.lines(BEN, "SHOW CATALOGS").await, ["system"]);

        let grantees = |who| world.column(who, "main.information_schema.table_privileges", "grantee");
        assert_eq!(grantees(ADMIN).await, [BEN, ANA]);
        assert_eq!(grantees(ANA).await, [ANA]);
        world.run(ADMIN, "GRANT MANAGE ON SCHEMA main.flights TO `ana@example.com`").await.unwrap();
        assert!(grantees(ANA).await.contains(&BEN.to_owned()), "who manages an object sees its grants");
        let inherited = world.column(ANA, "main.information_schema.table_privileges", "inherited_from").await;
        assert!(inherited.contains(&"SCHEMA".to_owned()) && inherited.contains(&"NONE".to_owned()), "{inherited:?}");

        for view in
            ["row_filters", "column_masks", "table_tags", "key_column_usage", "referential_constraints", "routines"]
        {
            assert!(world.lines(ADMIN, &format!("SELECT * FROM main.information_schema.{view}")).await.is_empty());
        }
    }
}

#[tokio::test]
async fn the_audit_shows_everything_to_administrators_and_everybody_their_own() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        world.run(ANA, "SELECT * FROM weather").await.unwrap();
        let refusal = world.refusal(ANA, "SELECT * FROM planes").await;
        assert!(refusal.contains("SELECT on main.flights.planes"), "{refusal}");
        assert!(world.refusal(ANA, "DESCRIBE HISTORY planes").await.contains("SELECT on"), "histories hold values");
        world.run(ANA, "DESCRIBE planes").await.unwrap();

        let people = |who| world.column(who, "system.access.audit", "user_identity");
        assert!(people(ANA).await.iter().all(|who| who == "{ana@example.com,NULL}"));
        assert!(people(ADMIN).await.iter().any(|who| who == "{ana@example.com,NULL}"));
        assert!(people(ADMIN).await.iter().any(|who| who == "{admin@example.com,NULL}"));
        let params = world.column(ANA, "system.access.audit", "request_params").await;
        assert!(params.contains(&"{full_name_arg=main.flights.weather}".to_owned()), "{params:?}");
        let responses = world.column(ANA, "system.access.audit", "response").await;
        assert!(responses.iter().any(|response| response.starts_with("{403,missing SELECT")), "{responses:?}");
        assert!(
            !responses.iter().any(|response| response.contains("ownership")),
            "looking at one's own rows is no refusal"
        );

        assert!(world.column(ANA, "system.query.history", "executed_by").await.iter().all(|who| who == ANA));
        let texts = world.column(ADMIN, "system.query.history", "statement_text").await;
        assert!(texts.contains(&"SELECT * FROM weather".to_owned()));
        let reads = world.column(ADMIN, "system.query.history", "read_tables").await;
        assert!(reads.contains(&"[main.flights.weather]".to_owned()), "{reads:?}");
        let states = world.column(ANA, "system.query.history", "execution_status").await;
        assert!(states.contains(&"FINISHED".to_owned()) && states.contains(&"FAILED".to_owned()));
    }
}

#[tokio::test]
async fn whoever_reads_files_of_a_volume_by_sql_is_in_the_audit() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let location = world.lines(ADMIN, "DESCRIBE VOLUME raw").await[0].split('|').nth(4).unwrap().to_owned();
        let folder = location.strip_prefix("file://").unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(format!("{folder}/in.csv"), "origin\nJFK\n").unwrap();
        let path = "/Volumes/main/flights/raw/in.csv";
        for sql in [
            format!("CREATE VIEW main.flights.arrivals AS SELECT * FROM csv.`{path}`"),
            "GRANT SELECT ON VIEW main.flights.arrivals TO `ana@example.com`".to_owned(),
            "GRANT MODIFY ON TABLE main.flights.weather TO `ana@example.com`".to_owned(),
        ] {
            world.run(ADMIN, &sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        }
        let rows = async |who| {
            let params = world.column(who, "system.access.audit", "request_params").await;
            let names = world.column(who, "system.access.audit", "action_name").await;
            let people = world.column(who, "system.access.audit", "user_identity").await;
            let all = people.into_iter().zip(names).zip(params);
            all.filter(|((person, name), _)| name == "getVolume" && person.contains(ANA))
                .map(|(_, params)| params)
                .collect::<Vec<_>>()
        };
        world.run(ANA, "SELECT * FROM main.flights.arrivals").await.unwrap();
        assert_eq!(rows(ANA).await, Vec::<String>::new(), "the view alone was read, as far as she is told");
        let through = rows(ADMIN).await;
        assert!(matches!(through.as_slice(), [one] if one.contains("via_view=main.flights.arrivals")), "{through:?}");

        let refused = world.refusal(ANA, &format!("SELECT * FROM csv.`{path}`")).await;
        assert!(refused.contains("READ VOLUME"), "{refused}");
        assert_eq!(rows(ADMIN).await.len(), 1, "what was refused was not read");
        world.run(ADMIN, "GRANT READ VOLUME ON VOLUME main.flights.raw TO `ana@example.com`").await.unwrap();
        for sql in [
            format!("SELECT * FROM csv.`{path}`"),
            format!("SELECT * FROM read_files('{path}') AS a, read_files('{path}') AS b"),
            format!("COPY INTO main.flights.weather FROM '{path}' FILEFORMAT = CSV"),
        ] {
            let before = rows(ANA).await.len();
            world.run(ANA, &sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
            let found = rows(ANA).await;
            assert_eq!(found.len(), before + 1, "{sql}: {found:?}");
            let told = |text: &str| found.iter().all(|row| row.contains(text));
            assert!(told("volume_full_name=main.flights.raw") && told(&format!("path={path}")), "{found:?}");
        }
    }
}

#[tokio::test]
async fn where_a_volume_lies_is_told_to_those_who_may_open_it() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let place = |lines: Vec<String>| lines[0].split('|').nth(4).unwrap().to_owned();
        assert!(place(world.lines(ADMIN, "DESCRIBE VOLUME raw").await).starts_with("file://"));
        let volumes = "main.information_schema.volumes";
        assert!(world.column(ADMIN, volumes, "storage_location").await[0].starts_with("file://"));
        assert_eq!(place(world.lines(ANA, "DESCRIBE VOLUME raw").await), "NULL");
        assert_eq!(world.column(ANA, volumes, "storage_location").await, ["NULL"]);
        world.lines(ADMIN, "GRANT READ VOLUME ON VOLUME main.flights.raw TO `ana@example.com`").await;
        assert!(place(world.lines(ANA, "DESCRIBE VOLUME raw").await).starts_with("file://"));
    }
}

#[tokio::test]
async fn a_path_in_the_place_of_a_table_is_refused_whether_or_not_a_table_is_there() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let location = world.lines(ADMIN, "DESCRIBE DETAIL weather").await[0].split('|').nth(4).unwrap().to_owned();
        let nowhere = world.outside("nothing");
        let mut answers = Vec::new();
        for path in [location.as_str(), nowhere.as_str(), "/nothing"] {
            for statement in ["DESCRIBE DETAIL", "DESCRIBE HISTORY", "DESCRIBE EXTENDED", "TRUNCATE TABLE"] {
                for who in [ADMIN, BEN] {
                    let refused = world.refusal(who, &format!("{statement} delta.`{path}`")).await;
                    assert!(refused.contains("is a path, not a name") && refused.contains("CREATE TABLE"), "{refused}");
                    answers.push(refused.replace(path, "…"));
                }
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{kind:?} {answers:?}");
    }
}
