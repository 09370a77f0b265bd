//! Tables of very many files, and checkpoints that the kernel does not write.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use crannog_lake::model::actions::{Action, Add, Protocol, Txn};
use crannog_lake::model::schema::{DataType, StructField, StructType};
use crannog_lake::model::state::{Loaded, TableState};
use crannog_lake::model::stats::FileStats;
use crannog_lake::model::values::Scalar;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::prelude::SessionContext;
use serde_json::Value;

use crate::fixture::{NOW, Table, metadata, plain, text};

fn schema() -> StructType {
    StructType::new(vec![StructField::new("n", DataType::Long, true), StructField::new("p", DataType::String, true)])
        .unwrap()
}

fn rows() -> RecordBatch {
    let values = Arc::new(Int64Array::from_iter_values(0..3));
    let p = Arc::new(datafusion::arrow::array::StringArray::from(vec!["same"; 3]));
    RecordBatch::try_new(Arc::new(schema().to_arrow()), vec![values, p]).unwrap()
}

fn bounds(number: i64) -> String {
    let mut stats = FileStats::of_rows(3);
    let (low, high) = (Scalar::Int(number * 10), Scalar::Int(number * 10 + 2));
    stats.set(&["n".to_owned()], &DataType::Long, Some(&low), Some(&high), Some(0));
    stats.render()
}

/// The path with some of its letters escaped: another file for the log, the same one in storage.
fn spelled(path: &str, number: usize) -> String {
    let escape = |(at, byte): (usize, u8)| match at < 16 && number >> at & 1 == 1 {
        true => format!("%{byte:02X}"),
        false => char::from(byte).to_string(),
    };
    let (folder, name) = path.split_once('/').unwrap_or(("", path));
    let name: String = name.bytes().enumerate().map(escape).collect();
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_planning_lists_are_all_read() {
    let mut table = Table::create("many", &schema(), &["p"], plain()).await;
    let add = table.write(vec![rows()]).await.unwrap().remove(0);
    let file = |number: usize| {
        let partition_values = [("p".to_owned(), Some(format!("p{}", number % 7)))].into();
        Action::Add(Add { path: spelled(&add.path, number), partition_values, stats: Some(bounds(0)), ..add.clone() })
    };
    table.commit((0..1_500).map(file).collect()).await;
    let all = table.query("select count(*), sum(n), count(distinct p) from t where n >= 0").await;
    assert_eq!(text(&all.rows), "4500|4500|7");
    assert_eq!((all.opened.files, all.opened.of), (1_500, 1_500));
    assert!(all.plan.contains("files=1500 of 1500"), "{}", all.plan);
    let some = table.query("select count(*), min(p) from t where p in ('p1', 'p2', 'p3') and n = 1").await;
    assert_eq!(text(&some.rows), format!("{}|p1", 215 + 214 + 214));
    assert_eq!((some.opened.files, some.opened.pruned_by), (215 + 214 + 214, vec!["p".to_owned()]));
    let ordered = table.query("select n, p from t order by n desc, p desc limit 1").await;
    assert_eq!(text(&ordered.rows), "2|p6");
    let limited = table.query("select n from t limit 2000").await;
    assert_eq!((limited.rows.num_rows(), limited.opened.files), (2_000, 667));
    assert_eq!(table.show("select count(*) from t a join t b on a.p = b.p where a.n = 5").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_files_are_chosen_from_without_being_listed() {
    let table = Table::new("hundred_thousand");
    let adds = (0..100_000).map(|number| Add {
        path: format!("part-{number:06}.parquet"),
        partition_values: [("p".to_owned(), Some("x".to_owned()))].into(),
        size: 10,
        stats: Some(bounds(number)),
        ..Add::default()
    });
    let loaded = Loaded {
        protocol: plain(),
        metadata: metadata(&schema(), &["p"]),
        txns: vec![],
        domains: vec![],
        adds: adds.collect(),
        timestamp: 0,
    };
    let state = Arc::new(TableState::new(7, loaded).unwrap());
    let context = SessionContext::new();
    let provider = crannog_engine::testing::table("t", table.folder.object_store(), state).unwrap();
    context.register_table("t", provider).unwrap();
    for (sql, files) in [
        ("select n from t where n between 4000 and 4029", 3),
        ("select n from t where n < 600000", 60_000),
        ("select n from t", 100_000),
        ("select n from t where p = 'y'", 0),
        ("select n from t limit 10", 4),
    ] {
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains(&format!("files={files} of 100000")), "{sql}: {shown}");
    }
    let counted = context.sql("select count(*) from t").await.unwrap().collect().await.unwrap();
    assert_eq!(text(&counted[0]), "300000", "counted in the log");
}

/// The rows of a checkpoint, without what its writers may differ in.
async fn checkpoint_rows(table: &Table, version: i64) -> BTreeSet<String> {
    let bytes: Bytes = table.folder.get(&format!("_delta_log/{version:020}.checkpoint.parquet")).await.unwrap();
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
        lines.write_batches(&[&batch.unwrap()]).unwrap();
    }
    lines.finish().unwrap();
    let plain = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for action in row.as_object_mut().unwrap().values_mut().filter_map(Value::as_object_mut) {
            action.remove("dataChange");
            action.remove("minWriterVersion");
            action.remove("deletionTimestamp");
        }
        row.to_string()
    };
    String::from_utf8(lines.into_inner()).unwrap().lines().map(plain).collect()
}

/// A log with something of everything that a checkpoint reconciles, over an older checkpoint.
async fn lively(name: &str, writer: i32) -> Table {
    let protocol = Protocol { min_writer_version: writer, ..plain() };
    let mut table = Table::create(name, &schema(), &["p"], protocol).await;
    let file = |number: i64| Add {
        path: format!("p=a%20b/part-{number}.parquet"),
        partition_values: [("p".to_owned(), (number % 2 == 0).then(|| "a b".to_owned()))].into(),
        size: 100 + number,
        modification_time: NOW.millis(),
        data_change: true,
        stats: Some(bounds(number)),
        tags: Some([("k".to_owned(), Some("v".to_owned()))].into()),
        ..Add::default()
    };
    let now = crannog_kit::clock::now().millis();
    let txn = |app: &str, version| Action::Txn(Txn { app_id: app.to_owned(), version, last_updated: Some(5) });
    table.commit((0..5).map(|number| Action::Add(file(number))).collect()).await;
    table.commit(vec![txn("stream", 1), txn("other", 9)]).await;
    // Long ago, and just now; the second comes back.
    table.commit(vec![Action::Remove(file(0).to_remove(NOW.millis(), true))]).await;
    table.commit(vec![Action::Remove(file(1).to_remove(now, true))]).await;
    table.engine.write_checkpoint(&table.folder, 4).await.unwrap();
    table.commit(vec![Action::Remove(file(2).to_remove(now, true)), txn("stream", 2)]).await;
    table.commit(vec![Action::Add(file(1))]).await;
    let mut renamed = metadata(&schema(), &["p"]);
    renamed.description = Some("two".to_owned());
    table.commit(vec![Action::Metadata(renamed), Action::Add(file(9))]).await;
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_old_writer_versions_hold_what_the_kernels_do() {
    let by_kernel = lively("checkpoint_2", 2).await;
    by_kernel.engine.write_checkpoint(&by_kernel.folder, 7).await.unwrap();
    let expected = checkpoint_rows(&by_kernel, 7).await;
    assert_eq!(expected.len(), 1 + 1 + 2 + 4 + 1, "protocol, metadata, txns, live files, a tombstone: {expected:#?}");
    for writer in 3..=6 {
        let table = lively(&format!("checkpoint_{writer}"), writer).await;
        let (_, before) = table.load().await;
        table.engine.write_checkpoint(&table.folder, 7).await.unwrap();
        assert_eq!(checkpoint_rows(&table, 7).await, expected, "writer version {writer}");
        assert_eq!(checkpoint_rows(&table, 4).await, checkpoint_rows(&by_kernel, 4).await);
        let hint: Value =
            serde_json::from_slice(&table.folder.get("_delta_log/_last_checkpoint").await.unwrap()).unwrap();
        let its: Value =
            serde_json::from_slice(&by_kernel.folder.get("_delta_log/_last_checkpoint").await.unwrap()).unwrap();
        assert_eq!(
            (&hint["version"], &hint["size"], &hint["numOfAddFiles"]),
            (&its["version"], &its["size"], &its["numOfAddFiles"])
        );
        for version in 0..7 {
            table.folder.delete(&format!("_delta_log/{version:020}.json")).await.unwrap();
        }
        let (version, after) = table.load().await;
        let files = |loaded: &Loaded| {
            loaded.adds.iter().map(|add| (add.path.clone(), add.stats.clone())).collect::<BTreeSet<_>>()
        };
        assert_eq!((version, files(&after)), (7, files(&before)));
        let apps =
            |loaded: &Loaded| loaded.txns.iter().map(|txn| (txn.app_id.clone(), txn.version)).collect::<BTreeSet<_>>();
        assert_eq!(
            (apps(&after), &after.metadata, &after.protocol),
            (apps(&before), &before.metadata, &before.protocol)
        );
    }
}
