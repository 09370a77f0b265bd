//! The 22 queries of TPC-H: each is planned and run, and gives what DataFusion's own SQL gives for the same rows.
//!
//! The tables are small and made here, by chance from a fixed seed, with the words of the specification, so that nearly
//! every query has rows to give. DataFusion plans the text by itself and multiplies decimals by other rules, so numbers are
//! compared as doubles. Against DuckDB over generated files of any scale: `make bench`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use crannog_engine::{Planner, QueryLimits};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::ports::{BoundQuery, Relation, Relations, Session};
use crannog_types::Micros;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

/// Numbers of chance, the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 20).unwrap() % bound
    }

    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[usize::try_from(self.below(i64::try_from(words.len()).unwrap())).unwrap()]
    }
}

const NATIONS: [(&str, i64); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
const SUPPLIERS: i64 = 40;
const CUSTOMERS: i64 = 150;
const PARTS: i64 = 400;
const ORDERS: i64 = 1_500;
/// 1992-01-01, in days since 1970.
const FIRST_DAY: i64 = 8_035;

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values.into_iter().map(|value| i32::try_from(value).unwrap())))
}

fn days(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(values.into_iter().map(|value| i32::try_from(value).unwrap())))
}

/// DECIMAL(15, 2) of hundredths.
fn money(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    let hundredths = Decimal128Array::from_iter_values(values.into_iter().map(i128::from));
    Arc::new(hundredths.with_precision_and_scale(15, 2).unwrap())
}

fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(crate) fn tables() -> Vec<(&'static str, RecordBatch)> {
    let mut c = Chance(42);
    let mut all = Vec::new();
    let regions = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
    all.push((
        "region",
        table(vec![
            ("r_regionkey", longs(0..5)),
            ("r_name", texts(regions.map(str::to_owned))),
            ("r_comment", texts(regions.map(str::to_lowercase))),
        ]),
    ));
    all.push((
        "nation",
        table(vec![
            ("n_nationkey", longs(0..25)),
            ("n_name", texts(NATIONS.map(|(name, _)| name.to_owned()))),
            ("n_regionkey", longs(NATIONS.map(|(_, region)| region))),
            ("n_comment", texts(NATIONS.map(|(name, _)| name.to_lowercase()))),
        ]),
    ));
    let complaint = |at: i64| if at % 9 == 0 { "Customer of old Complaints" } else { "quick deposits" }.to_owned();
    all.push((
        "supplier",
        table(vec![
            ("s_suppkey", longs(1..=SUPPLIERS)),
            ("s_name", texts((1..=SUPPLIERS).map(|at| format!("Supplier#{at:09}")))),
            ("s_address", texts((1..=SUPPLIERS).map(|at| format!("street {at}")))),
            ("s_nationkey", longs((1..=SUPPLIERS).map(|at| at % 25))),
            ("s_phone", texts((1..=SUPPLIERS).map(|at| format!("{}-555", 10 + at % 25)))),
            ("s_acctbal", money((1..=SUPPLIERS).map(|_| c.below(1_000_000) - 100_000))),
            ("s_comment", texts((1..=SUPPLIERS).map(complaint))),
        ]),
    ));
    let segments = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
    all.push((
        "customer",
        table(vec![
            ("c_custkey", longs(1..=CUSTOMERS)),
            ("c_name", texts((1..=CUSTOMERS).map(|at| format!("Customer#{at:09}")))),
            ("c_address", texts((1..=CUSTOMERS).map(|at| format!("road {at}")))),
            ("c_nationkey", longs((1..=CUSTOMERS).map(|at| at % 25))),
            ("c_phone", texts((1..=CUSTOMERS).map(|at| format!("{}-555-{at}", 10 + at % 25)))),
            ("c_acctbal", money((1..=CUSTOMERS).map(|_| c.below(1_000_000) - 100_000))),
            ("c_mktsegment", texts((1..=CUSTOMERS).map(|_| c.of(&segments).to_owned()))),
            ("c_comment", texts((1..=CUSTOMERS).map(|at| format!("note {at}")))),
        ]),
    ));
    let kinds = |c: &mut Chance| {
        let first = c.of(&["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"]);
        let second = c.of(&["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"]);
        format!("{first} {second} {}", c.of(&["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"]))
    };
    let boxes = |c: &mut Chance| {
        let size = c.of(&["SM", "LG", "MED", "JUMBO", "WRAP"]);
        format!("{size} {}", c.of(&["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"]))
    };
    let colours = ["green", "forest", "almond", "azure", "blush"];
    all.push((
        "part",
        table(vec![
            ("p_partkey", longs(1..=PARTS)),
            ("p_name", texts((1..=PARTS).map(|_| format!("{} {}", c.of(&colours), c.of(&colours))))),
            ("p_mfgr", texts((1..=PARTS).map(|_| format!("Manufacturer#{}", 1 + c.below(5))))),
            ("p_brand", texts((1..=PARTS).map(|_| format!("Brand#{}{}", 1 + c.below(4), 2 + c.below(4))))),
            ("p_type", texts((1..=PARTS).map(|_| kinds(&mut c)))),
            ("p_size", ints((1..=PARTS).map(|_| 1 + c.below(50)))),
            ("p_container", texts((1..=PARTS).map(|_| boxes(&mut c)))),
            ("p_retailprice", money((1..=PARTS).map(|at| 90_000 + at * 10))),
            ("p_comment", texts((1..=PARTS).map(|at| format!("part {at}")))),
        ]),
    ));
    let pairs: Vec<(i64, i64)> =
        (1..=PARTS).flat_map(|part| (0..4).map(move |at| (part, (part + at * 11) % SUPPLIERS + 1))).collect();
    all.push((
        "partsupp",
        table(vec![
            ("ps_partkey", longs(pairs.iter().map(|(part, _)| *part))),
            ("ps_suppkey", longs(pairs.iter().map(|(_, supplier)| *supplier))),
            ("ps_availqty", ints(pairs.iter().map(|_| 1 + c.below(9_999)))),
            ("ps_supplycost", money(pairs.iter().map(|_| 100 + c.below(100_000)))),
            ("ps_comment", texts(pairs.iter().map(|(part, _)| format!("offer {part}")))),
        ]),
    ));
    let mut orders: Vec<[i64; 3]> = Vec::new();
    let mut lines: Vec<[i64; 11]> = Vec::new();
    for order in 1..=ORDERS {
        // A third of the customers never order.
        let customer = loop {
            let customer = 1 + c.below(CUSTOMERS);
            if customer % 3 != 0 {
                break customer;
            }
        };
        let day = FIRST_DAY + c.below(2_400);
        let big = order % 100 == 0;
        for line in 1..=(if big { 7 } else { 1 + c.below(7) }) {
            let part = 1 + c.below(PARTS);
            let supplier = (part + c.below(4) * 11) % SUPPLIERS + 1;
            let quantity = if big { 48 } else { 1 + c.below(50) };
            let shipped = day + 1 + c.below(120);
            let committed = day + 30 + c.below(60);
            let received = shipped + 1 + c.below(30);
            let price = quantity * (90_000 + part * 10);
            let (discount, tax) = (c.below(11), c.below(9));
            lines.push([order, part, supplier, line, quantity, price, discount, tax, shipped, committed, received]);
        }
        orders.push([order, customer, day]);
    }
    let priorities = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
    all.push((
        "orders",
        table(vec![
            ("o_orderkey", longs(orders.iter().map(|order| order[0]))),
            ("o_custkey", longs(orders.iter().map(|order| order[1]))),
            ("o_orderstatus", texts(orders.iter().map(|_| c.of(&["F", "O", "P"]).to_owned()))),
            ("o_totalprice", money(orders.iter().map(|_| 100_000 + c.below(50_000_000)))),
            ("o_orderdate", days(orders.iter().map(|order| order[2]))),
            ("o_orderpriority", texts(orders.iter().map(|_| c.of(&priorities).to_owned()))),
            ("o_clerk", texts(orders.iter().map(|_| format!("Clerk#{}", c.below(9))))),
            ("o_shippriority", ints(orders.iter().map(|_| 0))),
            ("o_comment", texts(orders.iter().map(|_| c.of(&["special big requests", "plain", "none"]).to_owned()))),
        ]),
    ));
    let at = |column: usize| lines.iter().map(move |line| line[column]);
    let modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
    let orders_given = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
    all.push((
        "lineitem",
        table(vec![
            ("l_orderkey", longs(at(0))),
            ("l_partkey", longs(at(1))),
            ("l_suppkey", longs(at(2))),
            ("l_linenumber", ints(at(3))),
            ("l_quantity", money(at(4).map(|quantity| quantity * 100))),
            ("l_extendedprice", money(at(5))),
            ("l_discount", money(at(6))),
            ("l_tax", money(at(7))),
            ("l_returnflag", texts(lines.iter().map(|_| c.of(&["R", "A", "N"]).to_owned()))),
            ("l_linestatus", texts(lines.iter().map(|_| c.of(&["F", "O"]).to_owned()))),
            ("l_shipdate", days(at(8))),
            ("l_commitdate", days(at(9))),
            ("l_receiptdate", days(at(10))),
            ("l_shipinstruct", texts(lines.iter().map(|_| c.of(&orders_given).to_owned()))),
            ("l_shipmode", texts(lines.iter().map(|_| c.of(&modes).to_owned()))),
            ("l_comment", texts(lines.iter().map(|line| format!("line {}", line[3])))),
        ]),
    ));
    all
}

pub(crate) fn queries() -> Vec<&'static str> {
    let text = include_str!("../../../../tests/bench/tpch.sql");
    let queries: Vec<&str> = text.split("\n-- q").skip(1).map(|part| part.split_once('\n').unwrap().1).collect();
    assert_eq!(queries.len(), 22);
    queries
}

/// A row with numbers as doubles and the rest as text.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Cell {
    Null,
    Number(f64),
    Text(String),
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<Cell>> {
    let mut all = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<Cell>> = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                ty if ty.is_numeric() => {
                    let doubles = cast(column, &DataType::Float64).unwrap();
                    doubles.as_primitive::<Float64Type>().iter().map(|v| v.map_or(Cell::Null, Cell::Number)).collect()
                }
                _ => {
                    let texts = cast(column, &DataType::Utf8).unwrap();
                    let texts = texts.as_string::<i32>();
                    texts.iter().map(|v| v.map_or(Cell::Null, |text| Cell::Text(text.to_owned()))).collect()
                }
            })
            .collect();
        all.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    all.sort_by(|a: &Vec<Cell>, b| a.partial_cmp(b).unwrap());
    all
}

fn same(ours: &[Vec<Cell>], theirs: &[Vec<Cell>]) -> bool {
    let near = |pair: (&Cell, &Cell)| match pair {
        (Cell::Number(a), Cell::Number(b)) => (a - b).abs() <= 1e-5 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(near))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_tpch_give_what_datafusion_gives() {
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let bare = SessionContext::new();
    let tables = tables();
    for (name, rows) in &tables {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).unwrap();
        bare.register_table(*name, Arc::new(table)).unwrap();
    }
    let queries = queries();
    let mut empty = Vec::new();
    for (at, sql) in queries.iter().enumerate() {
        let relations: Relations = tables
            .iter()
            .map(|(name, rows)| {
                let key = vec!["main".to_owned(), "tpch".to_owned(), (*name).to_owned()];
                (key, Relation::Rows(vec![rows.clone()], rows.schema()))
            })
            .collect::<HashMap<_, _>>();
        let Ok(Statement::Query(query)) = grammar::parse(sql) else { panic!("q{} does not parse", at + 1) };
        let session = Session {
            catalog: "main".into(),
            schema: "tpch".into(),
            time_zone: "UTC".into(),
            user: "root".into(),
            groups: Vec::new(),
            now: Micros(0),
        };
        let bound = BoundQuery { query: *query, relations, session, into: None };
        let stream = planner.prepare(bound).await.unwrap().run().await.unwrap();
        let ours: Vec<RecordBatch> = stream.map(Result::unwrap).collect().await;
        let theirs = bare.sql(sql).await.unwrap().collect().await.unwrap();
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        assert!(same(&ours, &theirs), "q{} differs:\n{ours:?}\nfrom\n{theirs:?}", at + 1);
        if ours.is_empty() || ours == [vec![Cell::Null]] {
            empty.push(at + 1);
        }
    }
    assert!(empty.len() <= 3, "these queries have no rows to compare: {empty:?}");
}
