//! Every function and operator with extreme arguments: whatever the values, a statement answers or is refused with a
//! condition; it never panics, never fails by a fault of the engine, and never makes a result without bounds.
//!
//! The names are read off the engine's own sources (each string literal that could be a name is tried), so a function that
//! is added is tried from then on. The choice of arguments is by chance from a fixed seed. `CRANNOG_EXTREMES=name` tries
//! one function only and prints its statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use crannog_engine::{Planner, QueryLimits};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::ports::{BoundQuery, Relation, Relations, Session};
use crannog_types::{Code, Micros};
use futures::{FutureExt, StreamExt};

/// Values of each type at which arithmetic, allocation and parsing break.
const VALUES: &[&str] = &[
    "NULL",
    "true",
    "false",
    "CAST(-128 AS TINYINT)",
    "CAST(127 AS TINYINT)",
    "CAST(-32768 AS SMALLINT)",
    "CAST(NULL AS SMALLINT)",
    "0",
    "1",
    "-1",
    "2",
    "2147483647",
    "-2147483648",
    "CAST(NULL AS INT)",
    "0L",
    "9223372036854775807L",
    "-9223372036854775808L",
    "CAST('NaN' AS FLOAT)",
    "CAST(3.4028235E38 AS FLOAT)",
    "CAST('NaN' AS DOUBLE)",
    "CAST('Infinity' AS DOUBLE)",
    "CAST('-Infinity' AS DOUBLE)",
    "-0.0D",
    "1.5D",
    "1.7976931348623157E308D",
    "4.9E-324D",
    "1.5",
    "99999999999999999999999999999999999999",
    "-99999999999999999999999999999999999999",
    "0.00000000000000000000000000000000000001",
    "CAST(NULL AS DECIMAL(38, 38))",
    "''",
    "'a'",
    "repeat('ab', 3000)",
    "'é𝄞 ß'",
    "r'\\'",
    "r'('",
    "'%s%2147483647d%1$s'",
    "'9223372036854775808'",
    "'-1e400'",
    "'2024-02-30'",
    "'2024-02-29 23:59:60'",
    "'yyyy-MM-dd HH:mm:ss'",
    "'America/New_York'",
    "'DAY'",
    "'$.a[2147483648]'",
    "'{\"a\":[1e999,null,{\"b\":\"x\"}]}'",
    "'a INT, b STRING'",
    "'http://user@host:99999999/p?q=%zz#f'",
    "CAST(NULL AS STRING)",
    "X''",
    "X'ff00fe'",
    "DATE'0001-01-01'",
    "DATE'2024-02-29'",
    "date_add(DATE'1970-01-01', 2147483647)",
    "date_add(DATE'1970-01-01', -2147483648)",
    "TIMESTAMP'2024-03-10 02:30:00'",
    "timestamp_micros(9223372036854775807)",
    "timestamp_micros(-9223372036854775808)",
    "TIMESTAMP_NTZ'9999-12-31 23:59:59.999999'",
    "CAST(NULL AS TIMESTAMP)",
    "INTERVAL '106751991 04:00:54.775807' DAY TO SECOND",
    "INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND",
    "INTERVAL '178956970-7' YEAR TO MONTH",
    "INTERVAL '-178956970-8' YEAR TO MONTH",
    "INTERVAL '0' SECOND",
    "array()",
    "array(1, NULL, -2147483648)",
    "array('a', NULL, '')",
    "array(array(1), NULL)",
    "array(CAST('NaN' AS DOUBLE), -0.0D, NULL)",
    "CAST(NULL AS ARRAY<INT>)",
    "sequence(1, 1000)",
    "map()",
    "map('a', 1, 'b', NULL)",
    "map(1, array(1))",
    "named_struct('a', 1, 'b', 'x')",
    "CAST(NULL AS STRUCT<a: INT>)",
    "array(named_struct('a', 1, 'b', NULL))",
];

/// What is no call but computes.
const FORMS: &[&str] = &[
    "{0} + {1}",
    "{0} - {1}",
    "{0} * {1}",
    "{0} / {1}",
    "{0} % {1}",
    "{0} DIV {1}",
    "{0} & {1}",
    "{0} | {1}",
    "{0} ^ {1}",
    "{0} << {1}",
    "{0} >> {1}",
    "{0} || {1}",
    "{0} = {1}",
    "{0} <=> {1}",
    "{0} < {1}",
    "{0} LIKE {1}",
    "{0} RLIKE {1}",
    "{0} IN ({1}, {2})",
    "{0} BETWEEN {1} AND {2}",
    "{0}[{1}]",
    "{0}.a",
    "- {0}",
    "~ {0}",
    "NOT {0}",
    "{0} IS TRUE",
    "CASE WHEN {0} THEN {1} ELSE {2} END",
    "CAST({0} AS TINYINT)",
    "CAST({0} AS INT)",
    "CAST({0} AS BIGINT)",
    "CAST({0} AS FLOAT)",
    "CAST({0} AS DOUBLE)",
    "CAST({0} AS DECIMAL(38, 0))",
    "CAST({0} AS DECIMAL(5, 5))",
    "CAST({0} AS STRING)",
    "CAST({0} AS BINARY)",
    "CAST({0} AS BOOLEAN)",
    "CAST({0} AS DATE)",
    "CAST({0} AS TIMESTAMP)",
    "CAST({0} AS TIMESTAMP_NTZ)",
    "CAST({0} AS INTERVAL DAY TO SECOND)",
    "CAST({0} AS INTERVAL YEAR TO MONTH)",
    "CAST({0} AS ARRAY<STRING>)",
    "CAST({0} AS MAP<STRING, STRING>)",
    "TRY_CAST({0} AS INT)",
    "TRY_CAST({0} AS DECIMAL(38, 38))",
    "TRY_CAST({0} AS TIMESTAMP)",
    "extract(SECOND FROM {0})",
    "extract(WEEK FROM {0})",
    "sum({0}) OVER (ORDER BY {1} RANGE BETWEEN {2} PRECEDING AND CURRENT ROW)",
    "sum({0}) OVER (ORDER BY 1 ROWS BETWEEN {1} PRECEDING AND {2} FOLLOWING)",
    "count(DISTINCT {0}, {1})",
    "listagg({0}, {1}) WITHIN GROUP (ORDER BY {2})",
    "percentile_cont({0}) WITHIN GROUP (ORDER BY {1})",
    "percentile_disc({0}) WITHIN GROUP (ORDER BY {1} DESC)",
    "transform({0}, x -> x + {1})",
    "transform({0}, (x, i) -> array_repeat(x, {1}))",
    "filter({0}, x -> x > {1})",
    "exists({0}, x -> x = {1})",
    "forall({0}, x -> x IS NULL)",
    "aggregate({0}, {1}, (acc, x) -> acc + x)",
    "reduce({0}, {1}, (acc, x) -> concat(acc, x), acc -> acc)",
    "zip_with({0}, {1}, (x, y) -> x)",
    "map_filter({0}, (k, v) -> v > {1})",
    "map_zip_with({0}, {1}, (k, a, b) -> a)",
    "transform_keys({0}, (k, v) -> {1})",
    "transform_values({0}, (k, v) -> {1})",
    "array_sort({0}, (l, r) -> {1})",
    "make_timestamp({0}, {1}, {2}, {0}, {1}, {2})",
    "try_make_timestamp({0}, 1, 1, {1}, 0, {2})",
    "width_bucket({0}, {1}, 10.5D, {2})",
    "json_tuple({0}, {1}, {2})",
    "stack({0}, {1}, {2})",
];

/// A generator of chance that gives the same numbers each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

fn session() -> Session {
    Session {
        catalog: "main".into(),
        schema: "default".into(),
        time_zone: "America/New_York".into(),
        user: "root".into(),
        groups: vec!["everyone".into()],
        now: Micros(1_700_000_000_000_000),
    }
}

/// Every string literal of the engine's binder and functions that could be a function's name.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.join("bind"), source.join("spark")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let word = |text: &&str| {
                text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            names.extend(text.split('"').filter(word).map(str::to_owned));
        }
    }
    names
}

/// How a statement ended.
#[derive(Debug, PartialEq)]
enum End {
    Answer,
    /// Refused with this condition.
    Refused(String),
    /// A panic or a fault of the engine.
    Fault(String),
}

async fn attempt(planner: &Planner, sql: &str, relations: Relations) -> End {
    let query = match grammar::parse(sql) {
        Ok(Statement::Query(query)) => *query,
        Ok(_) => return End::Refused("NOT_A_QUERY".into()),
        Err(error) => return End::Refused(error.to_string()),
    };
    let bound = BoundQuery { query, relations, session: session(), into: None };
    let work = async {
        let mut stream = planner.prepare(bound).await?.run().await?;
        while let Some(batch) = stream.next().await {
            batch?;
        }
        Ok::<(), crannog_types::Problem>(())
    };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(())) => End::Answer,
        Ok(Err(problem)) if problem.code() == Code::Internal => End::Fault(problem.chain()),
        Ok(Err(problem)) => End::Refused(problem.vendor_reason().unwrap_or("NO_REASON").to_owned()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            End::Fault(format!(
                "panic: {}",
                text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
            ))
        }
    }
}

fn filled(form: &str, arguments: &[String]) -> String {
    arguments.iter().enumerate().fold(form.to_owned(), |text, (at, value)| text.replace(&format!("{{{at}}}"), value))
}

/// The form of a call of so many arguments.
fn call(name: &str, arity: usize) -> String {
    let places: Vec<String> = (0..arity).map(|at| format!("{{{at}}}")).collect();
    format!("{name}({})", places.join(", "))
}

struct Trial<'a> {
    planner: &'a Planner,
    values: &'a RecordBatch,
    /// The places of the values of each type.
    kinds: Vec<Vec<usize>>,
}

impl Trial<'_> {
    /// Tries a form with the values at these places: as literals, which planning folds, or as columns.
    async fn run(&self, form: &str, places: &[usize], literal: bool) -> (String, End) {
        if literal {
            let arguments: Vec<String> = places.iter().map(|at| VALUES[*at].to_owned()).collect();
            let sql = format!("SELECT {}", filled(form, &arguments));
            let end = attempt(self.planner, &sql, HashMap::new()).await;
            return (sql, end);
        }
        let arguments: Vec<String> = (0..places.len()).map(|at| format!("c{at}")).collect();
        let sql = format!("SELECT {} FROM t", filled(form, &arguments));
        let fields: Vec<Field> = places
            .iter()
            .enumerate()
            .map(|(at, place)| Field::new(format!("c{at}"), self.values.column(*place).data_type().clone(), true))
            .chain([Field::new("none", arrow::datatypes::DataType::Int32, true)])
            .collect();
        // Three rows: the values, NULLs, the values again.
        let rows = arrow::array::UInt32Array::from(vec![Some(0), None, Some(0)]);
        let columns = places
            .iter()
            .map(|place| arrow::compute::take(self.values.column(*place), &rows, None).unwrap())
            .chain([arrow::array::new_null_array(&arrow::datatypes::DataType::Int32, 3)])
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let key = vec!["main".to_owned(), "default".to_owned(), "t".to_owned()];
        let schema = batch.schema();
        let relations = HashMap::from([(key, Relation::Rows(vec![batch], schema))]);
        let end = attempt(self.planner, &sql, relations).await;
        let shown: Vec<&str> = places.iter().map(|at| VALUES[*at]).collect();
        (format!("{sql} with [{}]", shown.join(" | ")), end)
    }

    /// Tries a form many times. Gives the faults, and whether anything but a refusal to plan came back.
    async fn form(&self, form: &str, arity: usize, tries: usize, print: bool) -> (Vec<String>, bool) {
        // The seed hangs on the form, so that another function does not change this one's arguments.
        let mut chance = Chance(
            form.bytes()
                .fold(0x9e37_79b9_7f4a_7c15, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) | 1),
        );
        let (mut faults, mut works) = (Vec::new(), false);
        let mut good: Vec<Vec<usize>> = Vec::new();
        for attempt in 0..tries {
            if attempt >= tries / 2 && !works {
                break;
            }
            let same = chance.below(3) == 0;
            let mut kind = &self.kinds[chance.below(self.kinds.len())];
            let mut places = Vec::new();
            for at in 0..arity {
                if at > 0 && !same {
                    kind = &self.kinds[chance.below(self.kinds.len())];
                }
                places.push(kind[chance.below(kind.len())]);
            }
            // A tuple that could be planned is tried again with one other value.
            if attempt % 2 == 1 && !good.is_empty() {
                places.clone_from(&good[chance.below(good.len())]);
                if let Some(at) = arity.checked_sub(1).map(|last| chance.below(last + 1)) {
                    places[at] = chance.below(VALUES.len());
                }
            }
            let (sql, end) = self.run(form, &places, attempt % 3 == 0).await;
            if print {
                println!("{end:?}: {sql}");
            }
            match end {
                End::Fault(why) => faults.push(format!("{sql}\n    {why}")),
                End::Refused(why)
                    if why.starts_with("WRONG_NUM_ARGS")
                        || why.starts_with("UNRESOLVED_ROUTINE")
                        || why.starts_with("DATATYPE_MISMATCH")
                        || why.starts_with("UNSUPPORTED") => {}
                End::Refused(_) => works |= attempt > 0,
                End::Answer => {
                    works = true;
                    good.push(places);
                }
            }
            if arity == 0 && attempt == 1 {
                break;
            }
        }
        (faults, works)
    }
}

/// One row with each of the values.
async fn values(planner: &Planner) -> RecordBatch {
    let columns: Vec<String> = VALUES.iter().enumerate().map(|(at, value)| format!("{value} AS v{at}")).collect();
    let Ok(Statement::Query(query)) = grammar::parse(&format!("SELECT {}", columns.join(", "))) else {
        panic!("the values do not parse")
    };
    let bound = BoundQuery { query: *query, relations: HashMap::new(), session: session(), into: None };
    let mut stream = planner.prepare(bound).await.unwrap().run().await.unwrap();
    stream.next().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_argument_is_too_extreme() {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let only = std::env::var("CRANNOG_EXTREMES").ok();
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let values = values(&planner).await;
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, column) in values.columns().iter().enumerate() {
        kinds.entry(column.data_type().to_string()).or_default().push(at);
    }
    let trial = Trial { planner: &planner, values: &values, kinds: kinds.into_values().collect() };
    let mut forms: Vec<(String, String, usize)> = Vec::new();
    for name in names() {
        let (sql, end) = trial.run(&format!("{name}()"), &[], true).await;
        let End::Refused(why) = &end else {
            assert_eq!(end, End::Answer, "{sql}");
            forms.push((name.clone(), call(&name, 0), 0));
            continue;
        };
        if why.starts_with("UNRESOLVED_ROUTINE") || why.contains("PARSE_SYNTAX_ERROR") {
            continue;
        }
        let over = if why.starts_with("WINDOW_FUNCTION_WITHOUT") { " OVER (ORDER BY none)" } else { "" };
        for arity in 0..=4 {
            forms.push((name.clone(), format!("{}{over}", call(&name, arity)), arity));
        }
    }
    let functions: BTreeSet<&str> = forms.iter().map(|(name, ..)| name.as_str()).collect();
    assert!(functions.len() > 380, "only {} functions were found", functions.len());
    forms.extend(FORMS.iter().map(|form| ((*form).to_owned(), (*form).to_owned(), 3)));
    let trials = forms.iter().filter(|(name, ..)| only.as_ref().is_none_or(|only| only == name));
    let trial = &trial;
    let results = futures::stream::iter(trials)
        .map(|(name, form, arity)| async move {
            let (faults, works) = trial.form(form, *arity, if *arity == 1 { 36 } else { 24 }, only_one()).await;
            (name.as_str(), faults, works)
        })
        .buffer_unordered(3)
        .collect::<Vec<_>>()
        .await;
    let faults: Vec<&String> = results.iter().flat_map(|(_, faults, _)| faults).collect();
    for fault in &faults {
        println!("FAULT {fault}");
    }
    let mut working: BTreeMap<&str, bool> = BTreeMap::new();
    for (name, _, works) in &results {
        *working.entry(name).or_default() |= works;
    }
    let idle: Vec<&&str> = working.iter().filter(|(_, works)| !**works).map(|(name, _)| name).collect();
    println!("{} of {} functions and forms ran; these did not: {idle:?}", working.len() - idle.len(), working.len());
    assert!(faults.is_empty(), "{} statements ended in a fault of the engine", faults.len());
}

#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn only_one() -> bool {
    std::env::var("CRANNOG_EXTREMES").is_ok()
}
