//! Values of every type in Delta tables: written, and read again as they were, in files and in the paths of partitions.

use std::sync::Arc;

use crannog_lake::model::actions::Action;
use crannog_lake::model::schema::{ArrayType, DataType, MapType, StructType};
use datafusion::arrow::array::*;
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{Field, Int32Type};
use serde_json::json;

use crate::fixture::{NOW, Table, features, plain, text};
use crate::tables::{batch, schema, stats};

fn every_type() -> (StructType, RecordBatch) {
    let decimal = |precision, scale| DataType::Decimal { precision, scale };
    let point = schema(&[("x", DataType::Integer), ("label", DataType::String)]);
    let array = DataType::Array(Box::new(ArrayType { element_type: DataType::Integer, contains_null: true }));
    let map = DataType::Map(Box::new(MapType {
        key_type: DataType::String,
        value_type: DataType::Long,
        value_contains_null: true,
    }));
    let all = schema(&[
        ("bool", DataType::Boolean),
        ("byte", DataType::Byte),
        ("short", DataType::Short),
        ("int", DataType::Integer),
        ("long", DataType::Long),
        ("float", DataType::Float),
        ("double", DataType::Double),
        ("small", decimal(9, 2)),
        ("middle", decimal(18, 4)),
        ("big", decimal(38, 10)),
        ("text", DataType::String),
        ("bytes", DataType::Binary),
        ("day", DataType::Date),
        ("moment", DataType::Timestamp),
        ("clock", DataType::TimestampNtz),
        ("point", DataType::Struct(point.clone())),
        ("list", array),
        ("map", map),
    ]);
    let arrow = all.to_arrow();
    let of = |name: &str| arrow.field_with_name(name).unwrap().data_type().clone();
    let decimals = |name: &str, values: Vec<Option<i128>>| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_data_type(of(name)))
    };
    let big = 12_345_678_901_234_567_890_123_456_789_012_345_678_i128;
    let points = StructArray::new(
        point.to_arrow().fields().clone(),
        vec![
            Arc::new(Int32Array::from(vec![Some(1), None, Some(99)])),
            Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("hidden")])),
        ],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    let lists = ListArray::new(
        Arc::new(Field::new("element", datafusion::arrow::datatypes::DataType::Int32, true)),
        lists.offsets().clone(),
        lists.values().clone(),
        lists.nulls().cloned(),
    );
    let datafusion::arrow::datatypes::DataType::Map(entry, _) = of("map") else { panic!() };
    let datafusion::arrow::datatypes::DataType::Struct(fields) = entry.data_type().clone() else { panic!() };
    let entries = StructArray::new(
        fields,
        vec![Arc::new(StringArray::from(vec!["k", "l"])), Arc::new(Int64Array::from(vec![Some(7), None]))],
        None,
    );
    let maps = MapArray::new(
        entry,
        OffsetBuffer::new(vec![0, 2, 2, 2].into()),
        entries,
        Some(NullBuffer::from(vec![true, true, false])),
        false,
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
        Arc::new(Float32Array::from(vec![Some(-0.1), Some(f32::MAX), None])),
        Arc::new(Float64Array::from(vec![Some(-0.1), Some(1e300), None])),
        decimals("small", vec![Some(-123_456_789), Some(5), None]),
        decimals("middle", vec![Some(-123_456_789_012_345_678), Some(5), None]),
        decimals("big", vec![Some(-big), Some(big), None]),
        Arc::new(StringArray::from(vec![Some(""), Some("żółć 🦀"), None])),
        Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), Some(b""), None])),
        Arc::new(Date32Array::from(vec![Some(-719_162), Some(19_782), None])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(-1), Some(1_700_000_000_123_456), None]).with_timezone("UTC"),
        ),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(1_700_000_000_123_456), None])),
        Arc::new(points),
        Arc::new(lists),
        Arc::new(maps),
    ];
    let rows = batch(&all, columns);
    (all, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_as_it_was_written() {
    let (schema, rows) = every_type();
    let mut table = Table::create("every_type", &schema, &[], features(&["timestampNtz"])).await;
    let adds = table.append(vec![rows.clone()]).await;
    assert_eq!(adds.len(), 1);
    assert!(
        adds[0].path.starts_with("part-00000-") && adds[0].path.ends_with("-c000.snappy.parquet"),
        "{}",
        adds[0].path
    );
    assert_eq!(adds[0].modification_time, NOW.millis());

    let read = table.query("select * from t").await.rows;
    assert_eq!(read.schema().fields(), rows.schema().fields());
    assert_eq!(text(&read), text(&rows));
    for (at, field) in rows.schema().fields().iter().enumerate() {
        assert_eq!(read.column(at), rows.column(at), "{}", field.name());
    }

    let found = stats(&adds);
    assert_eq!(found["numRecords"], 3);
    assert_eq!(found["minValues"]["byte"], -128);
    assert_eq!(found["maxValues"]["long"], i64::MAX);
    assert_eq!(found["minValues"]["small"], json!(-1_234_567.89));
    assert_eq!(found["minValues"]["text"], "");
    assert_eq!(found["maxValues"]["text"], "żółć 🦀");
    assert_eq!(found["minValues"]["day"], "0001-01-01");
    assert_eq!(found["minValues"]["moment"], "1969-12-31T23:59:59.999Z");
    assert_eq!(
        found["maxValues"]["moment"], "2023-11-14T22:13:20.124Z",
        "rounded up: readers that do not know of the cut"
    );
    assert_eq!(found["maxValues"]["clock"], "2023-11-14T22:13:20.124");
    assert_eq!(found["minValues"]["point"], json!({"x": 1, "label": "a"}));
    assert_eq!(found["maxValues"]["point"], json!({"x": 1, "label": "b"}), "what a null struct hides does not count");
    assert_eq!(found["nullCount"]["point"], json!({"x": 2, "label": 1}));
    assert_eq!(found["nullCount"]["list"], 1);
    for column in ["bool", "bytes", "list", "map"] {
        assert_eq!(found["minValues"].get(column), None, "{column}");
        assert_eq!(found["nullCount"][column], 1, "{column}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_values_of_any_text_and_type_come_back() {
    let schema = schema(&[
        ("s", DataType::String),
        ("n", DataType::Integer),
        ("d", DataType::Date),
        ("m", DataType::Decimal { precision: 10, scale: 3 }),
        ("at", DataType::Timestamp),
        ("v", DataType::Long),
    ]);
    let columns = ["s", "n", "d", "m", "at"];
    let mut table = Table::create("hostile_partitions", &schema, &columns, plain()).await;
    let texts = [Some("a/b=c %"), Some(""), None, Some("żółć 🦀 'x'\"\\:*?"), Some(".."), Some("%2F")];
    let count = texts.len() as i64;
    let rows = batch(
        &schema,
        vec![
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(Int32Array::from_iter((0..count as i32).map(|i| (i != 1).then_some(i - 3)))),
            Arc::new(Date32Array::from_iter((0..count as i32).map(|i| (i != 2).then_some(i * 1000 - 2000)))),
            Arc::new(
                Decimal128Array::from_iter((0..count).map(|i| (i != 3).then_some(i128::from(i) * 1001 - 2000)))
                    .with_precision_and_scale(10, 3)
                    .unwrap(),
            ),
            Arc::new(
                TimestampMicrosecondArray::from_iter((0..count).map(|i| (i != 4).then_some(i * 1_000_001 - 1)))
                    .with_timezone("UTC"),
            ),
            Arc::new(Int64Array::from_iter_values(0..count)),
        ],
    );
    let adds = table.append(vec![rows.clone()]).await;
    assert_eq!(adds.len(), texts.len());
    for add in &adds {
        assert!(add.path.is_ascii() && !add.path.contains(' '), "{}", add.path);
    }
    let read = table.query("select * from t order by v").await.rows;
    let expected: Vec<Option<&str>> = texts.iter().map(|t| t.filter(|t| !t.is_empty())).collect();
    assert_eq!(
        read.column(0).as_ref(),
        &StringArray::from(expected) as &dyn Array,
        "the empty string is null in Delta"
    );
    for at in 1..rows.num_columns() {
        assert_eq!(read.column(at), rows.column(at), "{}", rows.schema().field(at).name());
    }
    for (sql, value) in [
        ("s = 'a/b=c %'", "0"),
        ("s = '%2F'", "5"),
        ("s is null and n = -1", "2"),
        ("n = 0", "3"),
        ("n in (0, 77)", "3"),
        ("d = date '1967-04-07'", "1"),
        ("m = -2.0", "0"),
        ("at = timestamp '1970-01-01T00:00:01.000000Z'", "1"),
    ] {
        let answer = table.query(&format!("select v from t where {sql}")).await;
        assert_eq!(text(&answer.rows), value, "{sql}");
        assert_eq!(answer.opened.files, 1, "{sql}: {}", answer.plan);
    }
    assert_eq!(table.show("select count(*) from t where s not in ('..')").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn void_columns_are_null_and_in_no_file() {
    let schema = schema(&[("n", DataType::Long), ("nothing", DataType::Void)]);
    let mut table = Table::create("void", &schema, &[], plain()).await;
    let row = batch(&schema, vec![Arc::new(Int64Array::from(vec![1])), Arc::new(NullArray::new(1))]);
    table.append(vec![row]).await;
    assert_eq!(table.show("select n from t where nothing is null").await, "1");
    assert_eq!(table.query("select * from t").await.rows.column(1).logical_null_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_of_old_spark_are_moments_in_utc() {
    use parquet::data_type::{Int96, Int96Type};
    let schema = schema(&[("at", DataType::Timestamp)]);
    let mut table = Table::create("int96", &schema, &[], plain()).await;
    let message =
        Arc::new(parquet::schema::parser::parse_message_type("message spark_schema { optional int96 at; }").unwrap());
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), message, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Nanoseconds of the day, then the Julian day: 3000-01-01 is out of reach of nanoseconds in 64 bits.
    let int96 = |nanos: u64, day: u32| {
        let mut value = Int96::new();
        value.set_data(nanos as u32, (nanos >> 32) as u32, day);
        value
    };
    let values = [int96(1_000_001_000, 2_440_588), int96(0, 2_816_788)];
    column.typed::<Int96Type>().write_batch(&values, Some(&[1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let size = bytes.len() as i64;
    table.folder.put("old.parquet", bytes).await.unwrap();
    let add =
        crannog_lake::model::Add { path: "old.parquet".to_owned(), size, data_change: true, ..Default::default() };
    table.commit(vec![Action::Add(add)]).await;
    let read = table.query("select at from t").await.rows;
    let expected = TimestampMicrosecondArray::from(vec![1_000_001, 32_503_680_000_000_000]).with_timezone("UTC");
    assert_eq!(read.column(0).as_ref(), &expected as &dyn Array);
    assert_eq!(table.show("select count(*) from t where at > timestamp '2200-01-01T00:00:00Z'").await, "1");
    // A file without statistics is counted by reading it.
    assert_eq!(table.show("select count(*) from t").await, "2");
}
