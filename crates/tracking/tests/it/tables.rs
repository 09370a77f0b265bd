//! `system.ml.*` over both databases: everything that was logged is there at once, as the verbs tell it, and nobody sees more.

use std::sync::atomic::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use crannog_lake::ports::{SystemTables, Wanted};
use crannog_security::actions::{experiments, schemas};
use crannog_security::{Caller, NameOf, Permit};
use crannog_store::params;
use crannog_store::testing::Kind;
use crannog_tracking::model::experiments::{Lifecycle, Tag};
use crannog_tracking::model::runs::Metric;
use crannog_tracking::service::logged_models::{self, NewModel};
use crannog_tracking::service::logging::Batch;
use crannog_tracking::service::registry::BY_NAME;
use crannog_tracking::service::registry::aliases::{self, Terms};
use crannog_tracking::service::registry::models::{self as model_verbs, NewModel as NewRegistered};
use crannog_tracking::service::registry::versions::{self, NewVersion};
use crannog_tracking::service::runs as run_verbs;
use crannog_tracking::service::tables::Tables;
use crannog_types::FullName;
use futures::TryStreamExt;

use super::logging::Logged;
use super::searched::system;

fn point(key: &str, step: i64, value: f64) -> Metric {
    Metric { key: key.to_owned(), value, time_ms: 1000 + step, step }
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    if array.is_null(row) {
        return "-".to_owned();
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        other => panic!("{other}"),
    }
}

impl Logged {
    async fn batches(&self, who: &Caller, table: &str, columns: &[&str], only: &[(&str, &[&str])]) -> Vec<RecordBatch> {
        let served = Tables::new(self.db.clone()).open(who, "ml", table).unwrap();
        let place = |name: &str| served.columns().iter().position(|(known, _)| *known == name).unwrap();
        let only = only.iter().map(|(name, texts)| (place(name), texts.iter().map(ToString::to_string).collect()));
        let columns = columns.iter().map(|name| place(name)).collect();
        let wanted = Wanted { columns, only: only.collect(), ..Wanted::default() };
        served.rows(wanted).try_collect().await.unwrap()
    }

    /// The rows of a table, as texts.
    async fn rows(&self, who: &Caller, table: &str, columns: &[&str], only: &[(&str, &[&str])]) -> Vec<String> {
        let mut rows = Vec::new();
        for batch in self.batches(who, table, columns, only).await {
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = (0..columns.len()).map(|column| text(&batch, column, row)).collect();
                rows.push(cells.join("|"));
            }
        }
        rows
    }

    async fn count(&self, who: &Caller, table: &str) -> usize {
        self.batches(who, table, &[], &[]).await.iter().map(RecordBatch::num_rows).sum()
    }

    /// Lets somebody read the experiment, or no longer.
    async fn share(&self, with: &Caller, shared: bool) {
        let mut tx = self.db.write_unaudited(&system()).await.unwrap();
        let sql = if shared {
            "INSERT INTO securable_grant (securable, principal, privilege, granted_at, granted_by) \
             SELECT securable, $1, 'CAN_READ', 0, 'ana' FROM experiment WHERE id = $2"
        } else {
            "DELETE FROM securable_grant WHERE principal = $1 AND securable = (SELECT securable FROM experiment WHERE id = $2)"
        };
        tx.run(sql, params![with.who().id, self.experiment]).await.unwrap();
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Every table, and how many rows the world of [`nobody_sees_more_than_their_grants_show`] has in it.
const TABLES: [(&str, usize); 10] = [
    ("experiments", 1),
    ("runs", 2),
    ("metrics", 4),
    ("latest_metrics", 2),
    ("params", 1),
    ("tags", 2),
    ("logged_models", 1),
    ("registered_models", 0),
    ("model_versions", 0),
    ("model_aliases", 0),
];

#[tokio::test]
async fn nobody_sees_more_than_their_grants_show() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, gone) = (world.run().await, world.run().await);
        let metrics =
            vec![point("loss", 0, 0.5), point("loss", 1, 0.25), point("loss", 1, 0.25), point("auc", 0, 0.75)];
        let params = vec![Tag { key: "depth".to_owned(), value: "8".to_owned() }];
        let batch = Batch { metrics, params, tags: vec![Tag { key: "team".to_owned(), value: "ops".to_owned() }] };
        world.logger.batch(&world.edit(&run).await, batch.clone()).await.unwrap();
        world.logger.batch(&world.edit(&gone).await, batch).await.unwrap();
        world.logger.metrics(&world.edit(&run).await, vec![point("auc", 1, f64::NAN)]).await.unwrap();
        run_verbs::move_to(&world.db, &world.edit(&gone).await, Lifecycle::Deleted).await.unwrap();
        let name = FullName::of([world.experiment.to_string()]);
        let edit: Permit<experiments::Edit> = world.ana.ask(NameOf::named(name)).await.unwrap();
        logged_models::create(&world.db, &edit, NewModel::default()).await.unwrap();

        for (table, rows) in TABLES {
            assert_eq!(world.count(&world.ana, table).await, rows, "{kind:?}: {table}");
            assert_eq!(world.count(&world.stranger, table).await, 0, "{kind:?}: {table}");
        }
        world.share(&world.stranger, true).await;
        for (table, rows) in TABLES {
            assert_eq!(world.count(&world.stranger, table).await, rows, "{kind:?}: {table}");
        }
        world.share(&world.stranger, false).await;
        assert_eq!(world.count(&world.stranger, "metrics").await, 0, "{kind:?}");

        // Deleted runs are told of; what they logged is not, until they are restored.
        let mut runs = world.rows(&world.ana, "runs", &["lifecycle_stage", "run_id", "delete_time"], &[]).await;
        runs.sort();
        assert_eq!(runs, [format!("active|{run}|-"), format!("deleted|{gone}|0")], "{kind:?}");
        run_verbs::move_to(&world.db, &world.edit(&gone).await, Lifecycle::Active).await.unwrap();
        assert_eq!(world.count(&world.ana, "metrics").await, 7, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn what_was_logged_is_there_at_once_as_it_was_logged() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (run, other) = (world.run().await, world.run().await);
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.25, 0.1];
        let mut expected = Vec::new();
        for (step, value) in (0..).zip(values) {
            world.logger.metrics(&world.edit(&run).await, vec![point("größe", step, value)]).await.unwrap();
            let shown = if value.is_infinite() { f64::MAX.copysign(value) } else { value };
            expected.push(format!("{}|{run}|größe|{shown:?}|{step}|{}", world.experiment, (1000 + step) * 1000));
            let columns = ["experiment_id", "run_id", "metric_name", "metric_value", "metric_step", "metric_time"];
            assert_eq!(world.rows(&world.ana, "metrics", &columns, &[]).await, expected, "{kind:?}");
            let latest = world.rows(&world.ana, "latest_metrics", &columns, &[]).await;
            assert_eq!(latest, expected[expected.len() - 1..], "{kind:?}");
        }
        let late = Metric { key: "größe".to_owned(), value: 1.0, time_ms: i64::MAX, step: i64::MIN };
        world.logger.metrics(&world.edit(&other).await, vec![late, point("auc", 0, 0.5)]).await.unwrap();
        let columns = ["metric_time", "metric_step", "metric_name"];
        for table in ["metrics", "latest_metrics"] {
            let rows = |only: Vec<(&'static str, Vec<String>)>| {
                let world = &world;
                async move {
                    let only: Vec<(&str, Vec<&str>)> =
                        only.iter().map(|(name, texts)| (*name, texts.iter().map(String::as_str).collect())).collect();
                    let only: Vec<(&str, &[&str])> = only.iter().map(|(name, texts)| (*name, &texts[..])).collect();
                    world.rows(&world.ana, table, &columns, &only).await
                }
            };
            let of_other = vec!["1000000|0|auc".to_owned(), format!("{}|{}|größe", i64::MAX, i64::MIN)];
            assert_eq!(rows(vec![("run_id", vec![other.clone()])]).await, of_other, "{kind:?}");
            assert_eq!(rows(vec![("metric_name", vec!["auc".into(), "nope".into()])]).await, of_other[..1], "{kind:?}");
            let both = vec![("run_id", vec![run.clone()]), ("metric_name", vec!["auc".to_owned()])];
            assert!(rows(both).await.is_empty(), "{kind:?}");
            let here = rows(vec![("experiment_id", vec![world.experiment.to_string()])]).await;
            assert_eq!(here, rows(Vec::new()).await, "{kind:?}");
            for odd in ["999", "none", "\0"] {
                assert!(rows(vec![("experiment_id", vec![odd.into()])]).await.is_empty(), "{kind:?}");
                assert!(rows(vec![("run_id", vec![odd.into()])]).await.is_empty(), "{kind:?}");
            }
        }
        world.end().await;
    }
}

#[tokio::test]
async fn a_run_of_a_million_points_is_read_whole() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let (small, large) = (world.run().await, world.run().await);
        world.logger.metrics(&world.edit(&small).await, vec![point("c", 0, 1.0)]).await.unwrap();
        // More of one metric than is read together, of others less.
        let share = |at: i64| {
            if at % 10 < 6 {
                "a"
            } else if at % 10 < 9 {
                "b"
            } else {
                "c"
            }
        };
        for part in 0..50 {
            let points = (part * 20_000..(part + 1) * 20_000).map(|at| point(share(at), at, 1.0)).collect();
            world.logger.metrics(&world.edit(&large).await, points).await.unwrap();
        }
        // Sent again, as a client does that got no answer.
        let again = (0..1000).map(|at| point(share(at), at, 1.0)).collect();
        world.logger.metrics(&world.edit(&large).await, again).await.unwrap();
        assert_eq!(world.count(&world.ana, "metrics").await, 1_000_001, "{kind:?}");
        let (mut sums, mut largest) = (std::collections::BTreeMap::new(), 0);
        for batch in world.batches(&world.ana, "metrics", &["metric_step", "metric_name"], &[]).await {
            largest = largest.max(batch.num_rows());
            for row in 0..batch.num_rows() {
                let (count, sum) = sums.entry(text(&batch, 1, row)).or_insert((0, 0));
                *count += 1;
                *sum += batch.column(0).as_primitive::<Int64Type>().value(row);
            }
        }
        assert!(largest <= 8192, "{kind:?}: {largest}");
        let all: i64 = (0..1_000_000).sum();
        assert_eq!(sums.values().map(|(_, sum)| sum).sum::<i64>(), all, "{kind:?}");
        assert_eq!(sums.into_values().map(|(count, _)| count).collect::<Vec<_>>(), [600_000, 300_000, 100_001]);
        let only: &[(&str, &[&str])] = &[("metric_name", &["c"]), ("run_id", &[&large])];
        assert_eq!(world.rows(&world.ana, "metrics", &["metric_value"], only).await.len(), 100_000, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn there_are_as_many_pages_as_it_takes() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        let mut runs = Vec::new();
        for _ in 0..600 {
            runs.push(world.run().await);
        }
        // One that is read a page at a time, among small ones.
        let long = "x".repeat(5000);
        for part in 0..6 {
            let params = (part * 50..(part + 1) * 50).map(|at| Tag { key: format!("p{at:03}"), value: long.clone() });
            let batch = Batch { params: params.collect(), ..Batch::default() };
            world.logger.batch(&world.edit(&runs[300]).await, batch).await.unwrap();
        }
        for run in [&runs[0], &runs[599]] {
            let params = vec![Tag { key: "p".to_owned(), value: "1".to_owned() }];
            world.logger.batch(&world.edit(run).await, Batch { params, ..Batch::default() }).await.unwrap();
        }
        assert_eq!(world.rows(&world.ana, "runs", &["run_id"], &[]).await, runs, "{kind:?}");
        // Each has a name, which is a tag.
        let tagged = world.rows(&world.ana, "tags", &["run_id"], &[("key", &["mlflow.runName"])]).await;
        assert_eq!(tagged, runs, "{kind:?}");
        let params = world.rows(&world.ana, "params", &["run_id", "key"], &[]).await;
        let mut expected = vec![format!("{}|p", runs[0])];
        expected.extend((0..300).map(|at| format!("{}|p{at:03}", runs[300])));
        expected.push(format!("{}|p", runs[599]));
        assert_eq!(params, expected, "{kind:?}");
        assert_eq!(world.count(&world.ana, "params").await, 302, "{kind:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn models_of_the_registry_are_there() {
    for kind in Kind::ALL {
        let world = Logged::new(kind).await;
        world.catalog().await;
        world.clock.store(5, Ordering::Relaxed);
        let permit: Permit<schemas::CreateModel> =
            world.ana.ask(NameOf::named(FullName::of(["main", "flights"]))).await.unwrap();
        let new = NewRegistered { name: "late".to_owned(), comment: Some("of flights".to_owned()), tags: Vec::new() };
        model_verbs::create(&world.db, &permit, &new).await.unwrap();
        for _ in 0..2 {
            let new = NewVersion { source: "s3://bucket/model".to_owned(), ..NewVersion::default() };
            let permit = world.ana.ask(NameOf::found(&BY_NAME, "main.flights.late")).await.unwrap();
            versions::create(&world.artifacts, &permit, &new).await.unwrap();
        }
        let permit = world.ana.ask(NameOf::found(&BY_NAME, "main.flights.late")).await.unwrap();
        aliases::set(&world.db, &permit, "champion", 2, &Terms::default()).await.unwrap();
        for (table, columns, rows) in [
            (
                "registered_models",
                vec!["catalog_name", "schema_name", "model_name", "owner", "comment", "create_time"],
                vec!["main|flights|late|ana|of flights|5"],
            ),
            (
                "model_versions",
                vec!["model_name", "version", "source", "run_id"],
                vec!["late|1|s3://bucket/model|-", "late|2|s3://bucket/model|-"],
            ),
            (
                "model_aliases",
                vec!["catalog_name", "schema_name", "model_name", "alias", "version"],
                vec!["main|flights|late|champion|2"],
            ),
        ] {
            assert_eq!(world.rows(&world.ana, table, &columns, &[]).await, rows, "{kind:?}: {table}");
            assert_eq!(world.count(&world.stranger, table).await, 0, "{kind:?}: {table}");
        }
        world.grant("main", &["USE CATALOG"], 4).await;
        world.grant("main.flights", &["USE SCHEMA"], 4).await;
        world.grant("main.flights.late", &["EXECUTE"], 4).await;
        assert_eq!(world.count(&world.stranger, "model_versions").await, 2, "{kind:?}");
        world.end().await;
    }
}
