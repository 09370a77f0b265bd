//! Delta tables written, committed by hand, loaded by the kernel and read again.

use std::sync::Arc;

use crannog_engine::Limits;
use crannog_lake::model::actions::{Action, DeletionVector, DomainMetadata, Protocol, Txn};
use crannog_lake::model::schema::{ArrayType, DataType, StructField, StructType};
use crannog_lake::model::stats::FileStats;
use crannog_types::{Code, Problem};
use datafusion::arrow::array::*;
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use delta_kernel::actions::deletion_vector_writer::{KernelDeletionVector, StreamingDeletionVectorWriter};
use serde_json::{Value, json};

use crate::fixture::{NOW, Table, features, metadata, plain, rows, text};

pub(crate) fn schema(columns: &[(&str, DataType)]) -> StructType {
    StructType::new(columns.iter().map(|(name, t)| StructField::new(*name, t.clone(), true)).collect()).unwrap()
}

pub(crate) fn batch(schema: &StructType, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(Arc::new(schema.to_arrow()), columns).unwrap()
}

fn longs(name: &str, values: impl IntoIterator<Item = i64>) -> RecordBatch {
    batch(&schema(&[(name, DataType::Long)]), vec![Arc::new(Int64Array::from_iter_values(values))])
}

pub(crate) fn stats(adds: &[crannog_lake::model::Add]) -> Value {
    serde_json::from_str(adds[0].stats.as_deref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_opens_only_the_files_that_can_have_its_rows() {
    let schema = schema(&[("day", DataType::Date), ("n", DataType::Long), ("s", DataType::String)]);
    let day = |day: i32| {
        let from = i64::from(day) * 10;
        batch(
            &schema,
            vec![
                Arc::new(Date32Array::from_iter_values(std::iter::repeat_n(19_000 + day, 10))),
                Arc::new(Int64Array::from_iter_values(from..from + 10)),
                Arc::new(StringArray::from_iter_values((from..from + 10).map(|i| format!("{}{i:06}", "x".repeat(40))))),
            ],
        )
    };
    let mut table = Table::create("pruned", &schema, &["day"], plain()).await;
    table.append((0..365).map(day).collect()).await;

    let by_partition = table.query("select sum(n) from t where day = date '2022-01-08'").await;
    assert_eq!(text(&by_partition.rows), "45");
    assert_eq!((by_partition.opened.files, by_partition.opened.of), (1, 365));
    assert_eq!(by_partition.opened.pruned_by, ["day"]);
    assert!(by_partition.plan.contains("predicate=day@2 = 2022-01-08"), "{}", by_partition.plan);
    assert!(by_partition.plan.contains("table=main.test.t, files=1 of 365, pruned by=[day]"), "{}", by_partition.plan);

    let by_statistics = table.query("select day from t where n = 1234").await;
    assert_eq!(text(&by_statistics.rows), "2022-05-11");
    assert_eq!(by_statistics.opened.files, 1);
    assert_eq!(by_statistics.opened.pruned_by, ["n"]);

    let both = table.query("select count(*) from t x where x.n between 100 and 129 and x.day < '2022-01-19'").await;
    assert_eq!(text(&both.rows), "10");
    assert_eq!(both.opened.files, 1, "{}", both.plan);

    // Long strings are cut off in statistics: all files look alike, and none may be lost.
    let long = table.query(&format!("select n from t where s = '{}000777'", "x".repeat(40))).await;
    assert_eq!(text(&long.rows), "777");
    assert_eq!(table.query("select count(*) from t where s > 'y'").await.opened.files, 0);

    let nothing = table.query("select n from t where day = '1999-01-01'").await;
    assert_eq!((nothing.rows.num_rows(), nothing.opened.files), (0, 0));
    let unknown = table.query("select count(*) from t where n % 1000 = 7").await;
    assert_eq!((text(&unknown.rows).as_str(), unknown.opened.files), ("4", 365));
    assert_eq!(table.show("select count(distinct day), max(day) from t").await, "365|2023-01-07");
    let limited = table.query("select n from t limit 15").await;
    assert_eq!((limited.rows.num_rows(), limited.opened.files), (15, 2));
    assert_eq!(table.show("select count(*) from (select n from t limit 15)").await, "15");
    assert_eq!(table.show("select n, day from t order by n desc limit 2").await, "3649|2023-01-07\n3648|2023-01-07");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_rows_needs_no_file() {
    let mut table = Table::create("counted", &schema(&[("n", DataType::Long)]), &[], plain()).await;
    table.append(vec![longs("n", 0..100)]).await;
    table.append(vec![longs("n", 0..11)]).await;
    let answer = table.query("select count(*) from t").await;
    assert_eq!(text(&answer.rows), "111");
    assert_eq!(answer.opened.of, 0, "no scan: {}", answer.plan);
    assert_eq!(table.show("select count(*) from t where n < 5").await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_stay_away() {
    let mut table =
        Table::create("deletion_vector", &schema(&[("n", DataType::Long)]), &[], features(&["deletionVectors"])).await;
    let mut add = table.append(vec![longs("n", 0..1000)]).await.remove(0);
    let old = add.clone();
    let mut vector = KernelDeletionVector::new();
    vector.add_deleted_row_indexes([0_u64, 1, 500, 999]);
    let mut bytes = Vec::new();
    let mut writer = StreamingDeletionVectorWriter::new(&mut bytes);
    let written = writer.write_deletion_vector(vector).unwrap();
    writer.finalize().unwrap();
    let id = uuid::Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788);
    table.folder.put(&format!("ab/deletion_vector_{id}.bin"), bytes.clone()).await.unwrap();
    add.deletion_vector = Some(DeletionVector {
        storage_type: "u".to_owned(),
        path_or_inline_dv: format!("ab{}", z85(id.as_bytes())),
        offset: Some(written.offset),
        size_in_bytes: written.size_in_bytes,
        cardinality: written.cardinality,
    });
    table.commit(vec![Action::Remove(old.to_remove(NOW.millis(), true)), Action::Add(add.clone())]).await;

    let state = table.state().await;
    assert_eq!(state.files.get(&add.path).unwrap().as_ref(), &add, "the kernel gives the action as it was committed");
    let expected: i64 = (0..1000).filter(|n| ![0, 1, 500, 999].contains(n)).sum();
    let answer = table.query("select count(n), sum(n), min(n), max(n) from t").await;
    assert_eq!(text(&answer.rows), format!("996|{expected}|2|998"));
    assert_eq!(answer.opened.deletion_vectors, 1);
    assert_eq!(table.show("select count(*) from t").await, "996");
    assert_eq!(table.show("select count(*) from t where n in (500, 501)").await, "1");

    // A row count that the log does not have comes from the file.
    let mut unknown = add.clone();
    unknown.stats = None;
    table.commit(vec![Action::Remove(add.to_remove(NOW.millis(), true))]).await;
    table.commit(vec![Action::Add(unknown.clone())]).await;
    assert_eq!(table.show("select count(*), sum(n) from t").await, format!("996|{expected}"));

    // A damaged vector is an error, never rows.
    let at = bytes.len() / 2;
    bytes[at] ^= 0xff;
    table.folder.put(&format!("ab/deletion_vector_{id}.bin"), bytes).await.unwrap();
    let store = table.folder.object_store();
    let provider = crannog_engine::testing::table("t", store, table.state().await).unwrap();
    let context = datafusion::prelude::SessionContext::new();
    let error = provider.scan(&context.state(), None, &[], None).await.unwrap_err();
    assert!(error.to_string().contains("deletion vector"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_stay_away_when_partitions_share_a_file() {
    let schema = schema(&[("n", DataType::Long)]);
    let mut table = Table::create("shared_file", &schema, &[], features(&["deletionVectors"])).await;
    // A row group for each 8192 rows.
    let groups = Limits { row_group: 1, ..Limits::default() };
    let batches = std::iter::once(Ok(longs("n", 0..60_000)));
    let store = table.folder.object_store();
    let mut adds = crannog_engine::testing::write(store, &table.spec().await, groups, rows(batches)).await.unwrap();
    assert_eq!(adds.len(), 1);
    let deleted: Vec<u64> = (0..60_000).filter(|n| n % 7 == 0 || (20_000..45_000).contains(n)).collect();
    let mut vector = KernelDeletionVector::new();
    vector.add_deleted_row_indexes(deleted.iter().copied());
    let mut bytes = Vec::new();
    let mut writer = StreamingDeletionVectorWriter::new(&mut bytes);
    let written = writer.write_deletion_vector(vector).unwrap();
    writer.finalize().unwrap();
    let id = uuid::Uuid::from_u128(7);
    table.folder.put(&format!("deletion_vector_{id}.bin"), bytes).await.unwrap();
    adds[0].deletion_vector = Some(DeletionVector {
        storage_type: "u".to_owned(),
        path_or_inline_dv: z85(id.as_bytes()),
        offset: Some(written.offset),
        size_in_bytes: written.size_in_bytes,
        cardinality: written.cardinality,
    });
    table.commit(adds.into_iter().map(Action::Add).collect()).await;
    let left: Vec<i64> = (0..60_000).filter(|n| n % 7 != 0 && !(20_000..45_000).contains(n)).collect();
    let answer = table.query("select count(n), count(distinct n), sum(n) from t").await;
    assert!(answer.plan.contains("partitions=4"), "{}", answer.plan);
    let (count, sum) = (left.len(), left.iter().sum::<i64>());
    assert_eq!(text(&answer.rows), format!("{count}|{count}|{sum}"));
    let edges: Vec<_> = left.iter().filter(|n| (19_990..=45_003).contains(*n)).map(i64::to_string).collect();
    assert_eq!(table.show("select n from t where n between 19990 and 45003 order by n").await, edges.join("\n"));
}

/// Spark wrote (and in many places still writes) timestamps as INT96.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_changes_nothing_but_the_way_to_load() {
    let schema = schema(&[("n", DataType::Long), ("p", DataType::String)]);
    let writer =
        Protocol { writer_features: Some(vec!["domainMetadata".to_owned(), "appendOnly".to_owned()]), ..features(&[]) };
    let mut table = Table::create("checkpoint", &schema, &["p"], writer).await;
    let rows = |from: i64| {
        batch(
            &schema,
            vec![
                Arc::new(Int64Array::from_iter_values(from..from + 3)),
                Arc::new(StringArray::from(vec![Some("a b"), None, Some("c%")])),
            ],
        )
    };
    let mut first = table.append(vec![rows(0)]).await;
    table.append(vec![rows(3)]).await;
    let domain = |domain: &str, configuration: &str, removed| {
        let (domain, configuration) = (domain.to_owned(), configuration.to_owned());
        Action::DomainMetadata(DomainMetadata { domain, configuration, removed })
    };
    let txn = |version| Action::Txn(Txn { app_id: "import".to_owned(), version, last_updated: Some(5) });
    table.commit(vec![txn(6), domain("d", "old", false), domain("gone", "x", false)]).await;
    table.commit(vec![txn(7), domain("d", "{\"a\":1}", false), domain("gone", "", true)]).await;
    table.commit(vec![Action::Remove(first.remove(0).to_remove(NOW.millis(), true))]).await;

    let sorted = |(version, mut loaded): (i64, crannog_lake::model::Loaded)| {
        loaded.adds.sort_by(|a, b| a.path.cmp(&b.path));
        (version, loaded)
    };
    let (version, before) = sorted(table.load().await);
    assert_eq!((version, before.adds.len()), (5, 5));
    assert_eq!(before.txns, [Txn { app_id: "import".to_owned(), version: 7, last_updated: Some(5) }]);
    assert_eq!(before.domains.len(), 1);
    assert_eq!(before.domains[0].configuration, "{\"a\":1}");
    assert_eq!(before.metadata, metadata(&schema, &["p"]));
    assert!(before.adds.iter().all(|add| add.stats.is_some()));

    table.engine.write_checkpoint(&table.folder, 5).await.unwrap();
    let last = table.folder.get("_delta_log/_last_checkpoint").await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&last).unwrap()["version"], 5);
    table.engine.write_checkpoint(&table.folder, 5).await.unwrap();
    for version in 0..5 {
        table.folder.delete(&format!("_delta_log/{version:020}.json")).await.unwrap();
    }
    let (version, after) = sorted(table.load().await);
    assert_eq!(version, 5);
    assert_eq!(after.protocol, before.protocol);
    assert_eq!(after.metadata, before.metadata);
    assert_eq!(after.txns, before.txns);
    assert_eq!(after.domains, before.domains);
    assert_eq!(after.adds, before.adds);
    assert_eq!(after.timestamp, before.timestamp);
    assert_eq!(table.show("select count(*), sum(n) from t").await, "5|15");
    let older = table.engine.load_version(&table.folder, Some(3)).await;
    assert!(older.is_err(), "its commits are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_load_and_missing_tables_do_not() {
    let mut table = Table::create("versions", &schema(&[("n", DataType::Long)]), &[], plain()).await;
    table.append(vec![longs("n", 0..3)]).await;
    let (version, loaded) = table.engine.load_version(&table.folder, Some(0)).await.unwrap().unwrap();
    assert_eq!((version, loaded.adds.len()), (0, 0));
    assert_eq!(table.load().await.0, 1);
    let later = table.engine.load_version(&table.folder, Some(9)).await.unwrap_err();
    assert_eq!(later.code(), Code::NotFound, "{later}");

    let nothing = Table::new("no_table");
    assert!(nothing.engine.load_version(&nothing.folder, None).await.unwrap().is_none());
    nothing.folder.put("_delta_log/readme.txt", "not a commit").await.unwrap();
    assert!(nothing.engine.load_version(&nothing.folder, None).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_from_before_a_column_was_added_give_null() {
    let point =
        |names: &[&str]| DataType::Struct(schema(&names.iter().map(|n| (*n, DataType::Long)).collect::<Vec<_>>()));
    let old = schema(&[("n", DataType::Long), ("point", point(&["x"]))]);
    let new = schema(&[("added", DataType::String), ("n", DataType::Long), ("point", point(&["x", "y"]))]);
    let mut table = Table::create("evolved", &old, &[], plain()).await;
    let points = |t: &StructType, columns: Vec<i64>| -> ArrayRef {
        let field = t.to_arrow();
        let datafusion::arrow::datatypes::DataType::Struct(fields) =
            field.field_with_name("point").unwrap().data_type().clone()
        else {
            panic!()
        };
        let columns = columns.into_iter().map(|v| Arc::new(Int64Array::from(vec![v])) as ArrayRef).collect();
        Arc::new(StructArray::new(fields, columns, None))
    };
    table.append(vec![batch(&old, vec![Arc::new(Int64Array::from(vec![1])), points(&old, vec![10])])]).await;
    table.commit(vec![Action::Metadata(metadata(&new, &[]))]).await;
    let row = vec![
        Arc::new(StringArray::from(vec!["new"])) as ArrayRef,
        Arc::new(Int64Array::from(vec![2])),
        points(&new, vec![20, 21]),
    ];
    table.append(vec![batch(&new, row)]).await;
    assert_eq!(table.show("select added, n, point['x'], point['y'] from t order by n").await, "|1|10|\nnew|2|20|21",);
    assert_eq!(table.show("select n from t where added is null").await, "1");
    assert_eq!(table.show("select n from t where added = 'new'").await, "2");
    assert_eq!(table.show("select count(*) from t where added <> 'x'").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_leaves_no_file() {
    let schema = schema(&[("n", DataType::Long), ("p", DataType::Long)]);
    let table = Table::create("failed", &schema, &["p"], plain()).await;
    let some = |p: i64| {
        batch(
            &schema,
            vec![
                Arc::new(Int64Array::from_iter_values(0..100)),
                Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(p, 100))),
            ],
        )
    };
    let tiny = Limits { open: 1, ..Limits::default() };
    let mut batches: Vec<_> = (0..5).map(|p| Ok(some(p))).collect();
    batches.push(Err(Problem::invalid("division by zero").reason("DIVIDE_BY_ZERO")));
    let spec = table.spec().await;
    let store = table.folder.object_store();
    let failed = crannog_engine::testing::write(store, &spec, tiny, rows(batches.into_iter())).await.unwrap_err();
    assert_eq!(failed.vendor_reason(), Some("DIVIDE_BY_ZERO"));
    assert_eq!(table.data_files().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_by_closing_files_early() {
    let schema = schema(&[("n", DataType::Long), ("p", DataType::Long)]);
    let mut table = Table::create("bounded", &schema, &["p"], plain()).await;
    let mixed = |from: i64| {
        let numbers = from..from + 1000;
        batch(
            &schema,
            vec![
                Arc::new(Int64Array::from_iter_values(numbers.clone())),
                Arc::new(Int64Array::from_iter_values(numbers.map(|n| n % 10))),
            ],
        )
    };
    let tight = Limits { file: 4 << 10, row_group: 2 << 10, buffered: 1 << 20, open: 3 };
    let spec = table.spec().await;
    let batches = (0..5).map(|i| Ok(mixed(i * 1000)));
    let adds = crannog_engine::testing::write(table.folder.object_store(), &spec, tight, rows(batches)).await.unwrap();
    assert!(adds.len() > 10, "{}", adds.len());
    table.commit(adds.into_iter().map(Action::Add).collect()).await;
    assert_eq!(table.show("select count(*), count(distinct n), sum(n) from t").await, "5000|5000|12497500");
    assert_eq!(table.show("select count(*) from t where p = 3 and n % 10 <> 3").await, "0");
    // Nothing to write is no file.
    assert_eq!(table.write(vec![]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nan_takes_the_bounds_away() {
    let schema = schema(&[("x", DataType::Double)]);
    let mut table = Table::create("nan", &schema, &[], plain()).await;
    let values = |values: Vec<f64>| batch(&schema, vec![Arc::new(Float64Array::from(values))]);
    let adds = table.append(vec![values(vec![1.0, f64::NAN]), values(vec![2.0])]).await;
    let stats = FileStats::parse(adds[0].stats.as_deref().unwrap()).unwrap();
    assert!(stats.min_values.is_empty() && stats.max_values.is_empty());
    table.append(vec![values(vec![f64::INFINITY, -0.0])]).await;
    table.append(vec![values(vec![1.5, 2.5])]).await;
    assert_eq!(table.query("select x from t where x = 2.5").await.opened.files, 3);
    assert_eq!(table.show("select count(*) from t where x > 100").await, "2", "NaN is above all numbers");
    assert_eq!(table.show("select count(*) from t where x = 0.0").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_null_holds_to_the_last() {
    let mut schema = schema(&[("n", DataType::Long)]);
    schema.fields[0].nullable = false;
    let table = Table::create("not_null", &schema, &[], plain()).await;
    let nulls =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef)]).unwrap();
    let refused = table.write(vec![nulls]).await.unwrap_err();
    assert_eq!(refused.vendor_reason(), Some("DELTA_NOT_NULL_CONSTRAINT_VIOLATED"));
    assert_eq!(table.data_files().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said() {
    let schema = schema(&[("n", DataType::Long)]);
    let mut mapped = metadata(&schema, &[]);
    mapped.configuration.insert("delta.columnMapping.mode".to_owned(), "id".to_owned());
    mapped.schema_string = StructType::new(vec![mapped_to(&schema.fields[0], 1, "col-1")]).unwrap().to_schema_string();
    let mut table = Table::new("mapped");
    let protocol = Protocol { min_reader_version: 2, min_writer_version: 5, ..plain() };
    table.commit(vec![Action::Protocol(protocol), Action::Metadata(mapped)]).await;
    let state = table.state().await;
    let refused = crannog_engine::testing::table("t", table.folder.object_store(), state).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("mapped by id"), "{refused}");
    assert_eq!(table.write(vec![longs("n", 0..1)]).await.unwrap_err().code(), Code::Unimplemented);

    let strange = Table::create("strange", &schema, &[], features(&["fromTheFuture"])).await;
    let refused = strange.engine.load_version(&strange.folder, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{}", refused.chain());
    assert!(refused.message().contains("fromTheFuture"), "{refused}");

    let mut lost = Table::create("lost_file", &schema, &[], plain()).await;
    let adds = lost.append(vec![longs("n", 0..1)]).await;
    lost.folder.delete(&adds[0].path).await.unwrap();
    let provider = crannog_engine::testing::table("t", lost.folder.object_store(), lost.state().await).unwrap();
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("t", provider).unwrap();
    assert!(context.sql("select n from t").await.unwrap().collect().await.is_err());
}

/// The field with a physical name.
fn mapped_to(field: &StructField, id: i64, physical: &str) -> StructField {
    let mut mapped = field.clone();
    mapped.metadata.insert("delta.columnMapping.id".to_owned(), json!(id));
    mapped.metadata.insert("delta.columnMapping.physicalName".to_owned(), json!(physical));
    mapped
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_mapped_by_name_are_found_by_their_physical_names() {
    let inner = |x: &str, label: &str| schema(&[(x, DataType::Integer), (label, DataType::String)]);
    let list = |of: StructType| {
        DataType::Array(Box::new(ArrayType { element_type: DataType::Struct(of), contains_null: true }))
    };
    let in_files = schema(&[
        ("col-n", DataType::Long),
        ("col-p", DataType::String),
        ("n", DataType::String),
        ("col-s", DataType::Struct(inner("in-x", "in-l"))),
        ("col-a", list(inner("in-x", "in-l"))),
    ]);
    // Files as another engine writes them: the logical `n` is `col-n` there, and what is called `n` there is `text`.
    let mut table = Table::create("mapped_by_name", &in_files, &["col-p"], plain()).await;
    let arrow = in_files.to_arrow();
    let of = |at: usize| arrow.field(at).data_type().clone();
    let rows = |from: i64, p: &str| {
        let datafusion::arrow::datatypes::DataType::Struct(fields) = of(3) else { panic!() };
        let points = StructArray::new(
            fields,
            vec![
                Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
                Arc::new(StringArray::from(vec!["a", "b", "c"])),
            ],
            Some(NullBuffer::from(vec![true, true, false])),
        );
        let datafusion::arrow::datatypes::DataType::List(element) = of(4) else { panic!() };
        let lists = ListArray::new(element, OffsetBuffer::new(vec![0, 2, 2, 3].into()), Arc::new(points.clone()), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(from..from + 3)),
            Arc::new(StringArray::from(vec![p; 3])),
            Arc::new(StringArray::from(vec!["t0", "t1", "t2"])),
            Arc::new(points),
            Arc::new(lists),
        ];
        batch(&in_files, columns)
    };
    table.append(vec![rows(0, "one")]).await;
    table.append(vec![rows(10, "two")]).await;

    let nested = |id: i64| {
        let x = mapped_to(&StructField::new("x", DataType::Integer, true), id, "in-x");
        let label = mapped_to(&StructField::new("label", DataType::String, true), id + 1, "in-l");
        StructType::new(vec![x, label]).unwrap()
    };
    let fields = [
        ("n", DataType::Long, "col-n"),
        ("p", DataType::String, "col-p"),
        ("text", DataType::String, "n"),
        ("s", DataType::Struct(nested(20)), "col-s"),
        ("a", list(nested(30)), "col-a"),
        ("later", DataType::Double, "col-later"),
    ];
    let fields = fields.into_iter().enumerate();
    let fields =
        fields.map(|(id, (name, t, physical))| mapped_to(&StructField::new(name, t, true), id as i64, physical));
    let logical = StructType::new(fields.collect()).unwrap();
    let mut mapped = metadata(&logical, &["p"]);
    mapped.configuration.insert("delta.columnMapping.mode".to_owned(), "name".to_owned());
    let protocol = Protocol { min_reader_version: 2, min_writer_version: 5, ..plain() };
    table.commit(vec![Action::Protocol(protocol), Action::Metadata(mapped)]).await;

    assert_eq!(
        table.show("select n, p, text, later from t order by n").await,
        "0|one|t0|\n1|one|t1|\n2|one|t2|\n10|two|t0|\n11|two|t1|\n12|two|t2|"
    );
    assert_eq!(table.show("select s['x'], s['label'] from t where n < 10 order by n").await, "1|a\n|b\n|");
    assert_eq!(table.show("select a[2]['label'] from t where n = 0").await, "b");
    let pruned = table.query("select text from t where n = 11").await;
    assert_eq!(
        (text(&pruned.rows).as_str(), pruned.opened.files, pruned.opened.pruned_by),
        ("t1", 1, vec!["n".to_owned()])
    );
    let pruned = table.query("select sum(n) from t where p = 'two'").await;
    assert_eq!((text(&pruned.rows).as_str(), pruned.opened.files), ("33", 1));
    assert_eq!(table.show("select count(*) from t").await, "6");
    assert_eq!(table.write(vec![longs("n", 0..1)]).await.unwrap_err().code(), Code::Unimplemented);
}

/// ZeroMQ's base 85, in which deletion vectors name their files.
fn z85(bytes: &[u8; 16]) -> String {
    const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let word = |four: &[u8]| u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize;
    let digits = |word: usize| (0..5).rev().map(move |place| char::from(DIGITS[word / 85_usize.pow(place) % 85]));
    bytes.chunks(4).flat_map(|four| digits(word(four))).collect()
}
