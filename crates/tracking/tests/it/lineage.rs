//! Lineage of runs and of versions of models over both databases: what is there and may be read is recorded, nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_governance::service::lineage::{self, Asked, Which};
use crannog_security::Caller;
use crannog_security::actions::models;
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::runs::DatasetInput;
use crannog_tracking::service::inputs;
use crannog_tracking::service::lineage::{Whence, of_datasets};
use crannog_tracking::service::registry::versions::{self, NewVersion};
use crannog_types::SecurableId;
use serde_json::json;

use super::logging::Logged;
use super::searched::system;

impl Logged {
    /// A table and a view of ana's, and a table in a catalog of the stranger's. Gives the first one's id.
    async fn tables(&self) -> SecurableId {
        self.catalog().await;
        let mut tx = self.db.write_unaudited(&system()).await.unwrap();
        let flights = SecurableId::new();
        let (theirs, schema) = (SecurableId::new(), SecurableId::new());
        let parent = tx.row("SELECT id FROM securable WHERE path = 'main.flights'", params![]).await.unwrap().unwrap();
        let parent = parent.securable(0).unwrap();
        for (id, kind, parent, name, path, owner, table_type) in [
            (flights, "table", parent, "flights", "main.flights.flights", 2, "MANAGED"),
            (SecurableId::new(), "table", parent, "public", "main.flights.public", 2, "VIEW"),
            (theirs, "catalog", SecurableId::METASTORE, "theirs", "theirs", 4, ""),
            (schema, "schema", theirs, "own", "theirs.own", 4, ""),
            (SecurableId::new(), "table", schema, "secret", "theirs.own.secret", 4, "MANAGED"),
        ] {
            tx.run(
                "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, \
                 updated_by) VALUES ($1, $2, $3, $4, $4, $5, $6, 0, 'ana', 0, 'ana')",
                params![id, kind, parent, name, path, owner],
            )
            .await
            .unwrap();
            if kind == "table" {
                tx.run(
                    "INSERT INTO table_info (id, table_type, columns, partition_columns, properties) \
                     VALUES ($1, $2, '{}', '[]', '{}')",
                    params![id, table_type],
                )
                .await
                .unwrap();
            }
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
        flights
    }

    /// `table@version type context → run or model@version`, of one person's sight, a row a page.
    async fn sees(&self, who: &Caller, which: Which) -> Vec<String> {
        let mut asked = Asked { which, within: i64::MIN..=i64::MAX, behind: None, most: 1 };
        let mut found = Vec::new();
        loop {
            let page = lineage::page(&self.db, who, &asked).await.unwrap();
            asked.behind = asked.next(&page);
            found.extend(page);
            if asked.behind.is_none() {
                break;
            }
        }
        let mut lines: Vec<String> = found
            .iter()
            .map(|recorded| {
                let flow = &recorded.flow;
                let source = flow.source.as_ref().map_or("-".to_owned(), |source| {
                    format!("{} {}@{:?}", source.node_type.word(), source.name, source.version)
                });
                let target = flow.target.as_ref().map(|target| format!("{}@{:?}", target.name, target.version));
                format!("{source} {:?} → {target:?} by {:?} of {:?}", flow.context, recorded.run_id, recorded.model_id)
            })
            .collect();
        lines.sort();
        lines
    }
}

fn dataset(name: &str, source: &serde_json::Value) -> DatasetInput {
    DatasetInput {
        name: name.to_owned(),
        digest: "0a1b".to_owned(),
        source_type: "delta_table".to_owned(),
        source: source.to_string(),
        tags: vec![Tag { key: "mlflow.data.context".to_owned(), value: "training".to_owned() }],
        ..DatasetInput::default()
    }
}

#[tokio::test]
async fn what_runs_and_versions_come_from_is_recorded_as_far_as_it_may_be_read() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let flights = world.tables().await;
        let run = world.run().await;
        let permit = world.edit(&run).await;
        let datasets = [
            dataset("flights", &json!({ "delta_table_name": "main.flights.Flights", "delta_table_version": 3 })),
            dataset(
                "with its id",
                &json!({
                    "delta_table_name": "main.flights.flights", "delta_table_id": flights.to_string(), "delta_table_version": 4,
                }),
            ),
            dataset("view", &json!({ "delta_table_name": "main.flights.public", "delta_table_version": 4 })),
            dataset(
                "another's id",
                &json!({
                    "delta_table_name": "main.flights.flights", "delta_table_id": SecurableId::new().to_string(),
                }),
            ),
            dataset("not hers", &json!({ "delta_table_name": "theirs.own.secret", "delta_table_version": 1 })),
            dataset("not there", &json!({ "delta_table_name": "main.flights.nothing" })),
            dataset("no name", &json!({ "delta_table_name": "flights" })),
            dataset("a path", &json!({ "path": "/tmp/flights" })),
            DatasetInput { source: "no JSON".to_owned(), ..dataset("x", &json!({})) },
            DatasetInput {
                source_type: "local".to_owned(),
                ..dataset("local", &json!({ "delta_table_name": "main.flights.flights", "delta_table_version": 9 }))
            },
        ];
        let denied = world.audited("tables.select").await;
        for _ in 0..2 {
            let sources = of_datasets(&world.db, &world.ana, &permit, &datasets).await.unwrap();
            inputs::log(&world.db, &permit, &datasets, &sources, &[]).await.unwrap();
        }
        let read = |source: &str| format!("{source} Some(\"training\") → None by Some({run:?}) of None");
        let read = [
            read("TABLE main.flights.flights@Some(3)"),
            read("TABLE main.flights.flights@Some(4)"),
            read("VIEW main.flights.public@None"),
        ];
        assert_eq!(world.sees(&world.ana, Which::OfTables).await, read);
        assert_eq!(world.audited("tables.select").await, denied);

        world.register("flights", "late").await;
        let header = json!({ "lineages": [{ "source_securables": [
            { "table": { "name": "main.flights.flights", "table_id": flights.to_string() } },
            { "table": { "name": "theirs.own.secret", "table_id": "" } },
        ] }] });
        let header = STANDARD.encode(header.to_string());
        let permit = world.on_model::<models::CreateVersion>("main.flights.late").await;
        let asked = (Some(run.as_str()), Some("m-nothing"));
        let whence = Whence::of(&world.db, &world.ana, &permit, asked, Some(&header)).await.unwrap();
        // Who may not read the run and the tables says nothing by naming them.
        let theirs = Whence::of(&world.db, &world.stranger, &permit, asked, Some(&header)).await.unwrap();
        assert_eq!((theirs.part, theirs.sources.len()), (None, 1));
        let new = NewVersion { source: "here".to_owned(), whence, ..NewVersion::default() };
        let version = versions::create(&world.artifacts, &permit, &new).await.unwrap();
        let made =
            |source: &str| format!("{source} None → Some(\"main.flights.late@Some(1)\") by Some({run:?}) of None");
        let made = [made("-"), made("TABLE main.flights.flights@None")];
        assert_eq!(world.sees(&world.ana, Which::OfVersions).await, made);
        assert_eq!(world.sees(&world.ana, Which::OfTables).await, read);
        let of_run = || Which::OfRuns(vec![run.clone(), "another".to_owned()]);
        assert_eq!(world.sees(&world.ana, of_run()).await, read);

        // A grant on the model alone shows no run and no table.
        world.grant("main", &["USE CATALOG"], 4).await;
        world.grant("main.flights", &["USE SCHEMA"], 4).await;
        world.grant("main.flights.late", &["EXECUTE"], 4).await;
        for which in [Which::OfTables, Which::OfVersions, of_run()] {
            assert_eq!(world.sees(&world.stranger, which).await, Vec::<String>::new());
        }
        let permit = world.on_model::<models::Manage>("main.flights.late").await;
        versions::delete(&world.db, &permit, version.number).await.unwrap();
        assert_eq!(world.sees(&world.ana, Which::OfVersions).await, Vec::<String>::new());
        assert_eq!(world.sees(&world.ana, of_run()).await, read);
        world.end().await;
    }
}
