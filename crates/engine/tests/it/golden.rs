//! Spark's own answers against ours.
//!
//! `tests/golden/known_gaps.txt` names the statements whose answers still differ; the list may only shrink: a statement in
//! it that agrees fails the test, as does one outside of it that differs. `CRANNOG_GOLDEN=differences` prints what differs,
//! `CRANNOG_GOLDEN=update` writes the list anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use crannog_engine::{Planner, QueryLimits, render};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::ports::{BoundQuery, Relation, Relations, Session};
use crannog_types::Micros;
use futures::StreamExt;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    section: String,
    sql: String,
    timezone: Option<String>,
    schema: Option<Vec<(String, String)>>,
    rows: Option<Vec<Vec<Option<String>>>>,
    #[serde(default)]
    unordered: bool,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    schema: String,
    rows: Vec<Vec<Option<String>>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn session(zone: &str) -> Session {
    Session {
        catalog: "spark_catalog".into(),
        schema: "default".into(),
        time_zone: zone.into(),
        user: "root".into(),
        groups: Vec::new(),
        now: Micros(1_700_000_000_000_000),
    }
}

fn parse(sql: &str) -> Result<sqlparser_query::Query, String> {
    match grammar::parse(sql) {
        Ok(Statement::Query(query)) => Ok(*query),
        Ok(_) => Err("not a query".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// sqlparser's `Query` by way of the ports, so that this test needs no dependency on sqlparser.
mod sqlparser_query {
    pub(super) use datafusion::sql::sqlparser::ast::Query;
}

type Rows = Vec<Vec<Option<String>>>;

async fn run(
    planner: &Planner,
    sql: &str,
    relations: Relations,
    zone: &str,
) -> Result<(Vec<(String, String)>, Rows), (String, String)> {
    let query = match grammar::parse(sql) {
        Ok(Statement::Query(query)) => *query,
        Ok(_) => return Err(("NOT_A_QUERY".into(), "not a query".into())),
        Err(error) => {
            let text = error.to_string();
            let class = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or("").to_owned();
            return Err((class, text));
        }
    };
    let failed =
        |problem: crannog_types::Problem| (problem.vendor_reason().unwrap_or("NO_REASON").to_owned(), problem.chain());
    let bound = BoundQuery { query, relations, session: session(zone), into: None };
    let prepared = planner.prepare(bound).await.map_err(failed)?;
    let schema = prepared.schema();
    let shown = schema.fields().iter().map(|field| (field.name().clone(), render::type_text(field))).collect();
    let mut stream = prepared.run().await.map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        for row in 0..batch.num_rows() {
            rows.push(
                batch
                    .columns()
                    .iter()
                    .zip(schema.fields())
                    .map(|(column, field)| text(column, field, row, zone))
                    .collect(),
            );
        }
    }
    Ok((shown, rows))
}

/// As the answers' README says.
fn text(column: &ArrayRef, field: &Field, row: usize, zone: &str) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, with_zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let second = Micros(micros.div_euclid(1_000_000) * 1_000_000).to_string();
            let fraction = micros.rem_euclid(1_000_000);
            let fraction =
                if fraction % 1000 == 0 { format!("{:03}", fraction / 1000) } else { format!("{fraction:06}") };
            let end = if with_zone.is_some() { "Z" } else { "" };
            Some(format!("{}.{fraction}{end}", &second[..second.len() - 5]))
        }
        DataType::Binary | DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            let json = render::json_text(column, row, zone).expect("renders")?;
            Some(if matches!(column.data_type(), DataType::Binary) { json.trim_matches('"').to_owned() } else { json })
        }
        _ => render::value_text(column, field, row, zone).expect("renders"),
    }
}

fn near(ours: &Option<String>, wanted: &Option<String>) -> bool {
    if ours == wanted {
        return true;
    }
    let (Some(ours), Some(wanted)) = (ours, wanted) else { return false };
    match (ours.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(a), Ok(b)) if wanted.contains('.') => (a - b).abs() <= 1e-12 * b.abs().max(1e-300),
        _ => false,
    }
}

/// Columns and rows, or the error's class and SQLSTATE.
type Ours = Result<(Vec<(String, String)>, Rows), (String, String)>;

fn compare(answer: &Answer, ours: Ours) -> Result<(), String> {
    match (&answer.error, ours) {
        (Some(wanted), Err((class, text))) => {
            // A refusal without a class is a refusal; a fault of ours is not.
            if wanted == "UNCLASSIFIED" && class != "INTERNAL_ERROR" || *wanted == class {
                Ok(())
            } else {
                Err(format!("wanted {wanted}, got {class}: {text}"))
            }
        }
        (Some(wanted), Ok((_, rows))) => Err(format!("wanted {wanted}, got rows {rows:?}")),
        (None, Err((class, text))) => Err(format!("failed with {class}: {text}")),
        (None, Ok((schema, mut rows))) => {
            let wanted_schema = answer.schema.clone().unwrap_or_default();
            let mut wanted = answer.rows.clone().unwrap_or_default();
            if answer.unordered {
                rows.sort();
                wanted.sort();
            }
            let types = |schema: &[(String, String)]| schema.iter().map(|(_, ty)| ty.clone()).collect::<Vec<_>>();
            let names = |schema: &[(String, String)]| schema.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            if types(&schema) != types(&wanted_schema) {
                return Err(format!("types: wanted {:?}, got {:?}", types(&wanted_schema), types(&schema)));
            }
            let same = rows.len() == wanted.len()
                && rows
                    .iter()
                    .zip(&wanted)
                    .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b)));
            if !same {
                return Err(format!("rows: wanted {wanted:?}, got {rows:?}"));
            }
            let internal = |name: &String| {
                ["scalarsubquery", "namedlambdavariable", "lateralAliasReference", "listquery", "exists("]
                    .iter()
                    .any(|part| name.contains(part))
            };
            let different: Vec<_> =
                names(&schema).into_iter().zip(names(&wanted_schema)).filter(|(a, b)| a != b && !internal(b)).collect();
            if !different.is_empty() {
                return Err(format!("names (ours, Spark's): {different:?}"));
            }
            Ok(())
        }
    }
}

fn arrow_type(data_type: &grammar::DataType) -> DataType {
    use grammar::DataType as T;
    match data_type {
        T::Boolean => DataType::Boolean,
        T::TinyInt => DataType::Int8,
        T::SmallInt => DataType::Int16,
        T::Int => DataType::Int32,
        T::BigInt => DataType::Int64,
        T::Float => DataType::Float32,
        T::Double => DataType::Float64,
        T::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
        T::Binary => DataType::Binary,
        T::Date => DataType::Date32,
        T::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::TimestampNtz => DataType::Timestamp(TimeUnit::Microsecond, None),
        T::Array(element) => DataType::List(Arc::new(Field::new("element", arrow_type(element), true))),
        T::Map(key, value) => {
            let entries = vec![Field::new("key", arrow_type(key), false), Field::new("value", arrow_type(value), true)];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
        }
        T::Struct(fields) => DataType::Struct(
            fields.iter().map(|field| Field::new(&field.name, arrow_type(&field.data_type), true)).collect(),
        ),
        _ => DataType::Utf8,
    }
}

/// A table of `tables.json`: flat columns by our own casts, nested ones by Arrow's JSON reader.
async fn load(planner: &Planner, table: &Table) -> RecordBatch {
    let grammar::DataType::Struct(fields) =
        grammar::DataType::parse(&format!("struct<{}>", table.schema)).expect("a schema")
    else {
        panic!("{} is no struct", table.schema)
    };
    let raw_fields: Vec<Field> =
        (0..fields.len()).map(|at| Field::new(format!("c{at}"), DataType::Utf8, true)).collect();
    let raw_columns: Vec<ArrayRef> = (0..fields.len())
        .map(|at| Arc::new(table.rows.iter().map(|row| row[at].clone()).collect::<StringArray>()) as ArrayRef)
        .collect();
    let schema = Arc::new(Schema::new(raw_fields));
    let raw = RecordBatch::try_new(Arc::clone(&schema), raw_columns).expect("a batch");
    let nested = |ty: &DataType| matches!(ty, DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    let casts: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| {
            if nested(&arrow_type(&field.data_type)) {
                format!("c{at}")
            } else {
                format!("CAST(c{at} AS {})", field.data_type)
            }
        })
        .collect();
    let key = vec!["spark_catalog".to_owned(), "default".to_owned(), "raw".to_owned()];
    let relations = HashMap::from([(key, Relation::Rows(vec![raw.clone()], schema))]);
    let query = parse(&format!("SELECT {} FROM raw", casts.join(", "))).expect("parses");
    let bound = BoundQuery { query, relations, session: session("UTC"), into: None };
    let mut stream = planner.prepare(bound).await.expect("prepares").run().await.expect("runs");
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.expect("casts"));
    }
    let batch = match batches.first() {
        Some(first) => arrow::compute::concat_batches(&first.schema(), &batches).expect("one batch"),
        None => raw.slice(0, 0),
    };
    let mut columns = batch.columns().to_vec();
    for (at, field) in fields.iter().enumerate() {
        let ty = arrow_type(&field.data_type);
        if nested(&ty) {
            let one = Arc::new(Schema::new(vec![Field::new("c", ty, true)]));
            let mut decoder = arrow::json::ReaderBuilder::new(one).build_decoder().expect("a decoder");
            let lines: String =
                table.rows.iter().map(|row| format!("{{\"c\":{}}}\n", row[at].as_deref().unwrap_or("null"))).collect();
            decoder.decode(lines.as_bytes()).expect("JSON");
            columns[at] = Arc::clone(decoder.flush().expect("rows").expect("rows").column(0));
        }
    }
    let schema = Schema::new(
        fields.iter().map(|field| Field::new(&field.name, arrow_type(&field.data_type), true)).collect::<Vec<_>>(),
    );
    RecordBatch::try_new(Arc::new(schema), columns).expect("a batch")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_spark() {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let mode = std::env::var("CRANNOG_GOLDEN").unwrap_or_default();
    let planner = Planner::new(&QueryLimits::default()).expect("a planner");
    let tables: Vec<Table> =
        serde_json::from_str(&fs::read_to_string(folder().join("tables.json")).expect("tables")).expect("JSON");
    let mut batches = BTreeMap::new();
    for table in &tables {
        batches.insert(table.name.to_lowercase(), load(&planner, table).await);
    }
    let gaps_file = folder().join("known_gaps.txt");
    let known: BTreeSet<String> = fs::read_to_string(&gaps_file)
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let mut failed = BTreeSet::new();
    let mut sections: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in ["expressions", "queries"] {
        let answers: Vec<Answer> =
            serde_json::from_str(&fs::read_to_string(folder().join(format!("{file}.json"))).expect("answers"))
                .expect("JSON");
        let verdicts = futures::stream::iter(&answers)
            .map(|answer| {
                let (planner, batches) = (&planner, &batches);
                async move {
                    let zone = answer.timezone.clone().unwrap_or_else(|| "UTC".into());
                    let mut relations: Relations = HashMap::new();
                    for (name, batch) in batches {
                        let key = vec!["spark_catalog".to_owned(), "default".to_owned(), name.clone()];
                        relations.insert(key, Relation::Rows(vec![batch.clone()], batch.schema()));
                    }
                    let line = if zone == "UTC" { answer.sql.clone() } else { format!("{} -- {zone}", answer.sql) };
                    let ours = run(planner, &answer.sql, relations, &zone).await;
                    (answer, line, compare(answer, ours))
                }
            })
            .buffered(2);
        futures::pin_mut!(verdicts);
        while let Some((answer, line, verdict)) = verdicts.next().await {
            let count = sections.entry((file.to_owned(), answer.section.clone())).or_default();
            count.1 += 1;
            match verdict {
                Ok(()) => count.0 += 1,
                Err(why) => {
                    if mode == "differences" {
                        println!("DIFF [{}] {line}\n     {why}", answer.section);
                    } else if !known.contains(&line) {
                        println!("NEW GAP [{}] {line}\n     {why}", answer.section);
                    }
                    failed.insert(line.clone());
                }
            }
            seen.insert(line);
        }
    }
    let mut totals: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((file, section), (passed, all)) in &sections {
        println!("{file:12} {section:32} {passed:4} of {all:4}");
        let total = totals.entry(file).or_default();
        total.0 += passed;
        total.1 += all;
    }
    for (file, (passed, all)) in &totals {
        println!("{file:12} {:32} {passed:4} of {all:4}", "all");
    }
    if mode == "update" {
        let mut text =
            String::from("# Statements whose answers still differ from Spark's. This list may only shrink.\n");
        for line in &failed {
            text.push_str(line);
            text.push('\n');
        }
        fs::write(gaps_file, text).expect("writes the list");
        return;
    }
    let new: Vec<_> = failed.difference(&known).collect();
    let closed: Vec<_> = known.iter().filter(|line| !failed.contains(*line)).collect();
    assert!(new.is_empty(), "{} statements differ from Spark and are not in known_gaps.txt", new.len());
    assert!(closed.is_empty(), "these agree now or are gone: take them out of known_gaps.txt: {closed:#?}");
    assert!(known.is_subset(&seen));
}
