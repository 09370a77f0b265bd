//! What of a query's conditions reaches the Parquet reader, so that it decodes the other columns only of the rows that are
//! left: all of TPC-H's, though some of its functions and operators can fail with other arguments.

use crannog_engine::{Planner, QueryLimits, testing};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::model::schema::StructType;
use crannog_lake::ports::ExplainMode;

use crate::fixture::{Table, plain, session};
use crate::tpch;

/// Conditions of filters that stand right above a scan.
fn left_above_scans(plan: &str) -> Vec<String> {
    let lines: Vec<(usize, &str)> =
        plan.lines().map(|line| (line.len() - line.trim_start().len(), line.trim())).collect();
    let passes = |line: &str| {
        ["Repartition", "Coalesce", "Cooperative", "Projection", "Buffer"].iter().any(|name| line.starts_with(name))
    };
    let over_scan = |at: usize| {
        let below = lines[at + 1..].iter().take_while(|(indent, _)| *indent > lines[at].0);
        below.map(|(_, line)| *line).find(|line| !passes(line)).is_some_and(|line| line.starts_with("DataSourceExec"))
    };
    let filters = lines.iter().enumerate().filter(|(at, (_, line))| line.starts_with("FilterExec") && over_scan(*at));
    filters.map(|(_, (_, line))| (*line).to_owned()).collect()
}

async fn tables(folder: &str) -> Vec<(&'static str, Table)> {
    let mut all = Vec::new();
    for (name, rows) in tpch::tables() {
        let schema = StructType::from_arrow(&rows.schema()).unwrap();
        let mut table = Table::create(&format!("{folder}_{name}"), &schema, &[], plain()).await;
        table.append(vec![rows]).await;
        all.push((name, table));
    }
    all
}

async fn plan(tables: &[(&'static str, Table)], sql: &str) -> String {
    let mut providers = Vec::new();
    for (name, table) in tables {
        let store = table.folder.object_store();
        providers.push((*name, testing::table(&format!("main.default.{name}"), store, table.state().await).unwrap()));
    }
    let Ok(Statement::Query(query)) = grammar::parse(sql) else { panic!("{sql} is no query") };
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let prepared = testing::prepare(&planner, *query, session(), providers).await;
    prepared.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain())).explain(ExplainMode::Simple).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_condition_of_tpch_reaches_its_scan() {
    let tables = tables("pushdown").await;
    for (at, sql) in tpch::queries().into_iter().enumerate() {
        let plan = plan(&tables, sql).await;
        assert_eq!(left_above_scans(&plan), Vec::<String>::new(), "q{}: {plan}", at + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_can_fail_is_held_back() {
    let tables = tables("held_back").await;
    for reaches in [
        "l_discount BETWEEN 0.05 AND 0.07",
        "l_extendedprice * (1 - l_discount) > 1000",
        "extract(year FROM l_shipdate) = 1995",
        "year(l_shipdate) = 1995 AND month(l_shipdate) IN (1, 2)",
        "l_orderkey % 7 = 3",
        "l_linenumber / 2 > 1",
        "l_quantity / 2 > 1",
        "CAST(l_orderkey AS STRING) LIKE '1%'",
        "CAST(l_linenumber AS BIGINT) = 3",
        "try_cast(l_comment AS INT) = 3",
        "l_comment LIKE 'li\\_ne%' OR l_comment RLIKE '^line [0-9]$'",
        "concat(l_shipmode, '-', upper(l_comment)) <> 'AIR-LINE 1'",
        "coalesce(nullif(l_shipmode, 'AIR'), 'none') = 'none'",
        "l_shipdate > DATE '1998-12-01' - INTERVAL 90 DAYS",
    ] {
        let plan = plan(&tables, &format!("SELECT l_tax FROM lineitem WHERE {reaches}")).await;
        assert_eq!(left_above_scans(&plan), Vec::<String>::new(), "{reaches}: {plan}");
        assert!(plan.contains("predicate="), "{reaches}: {plan}");
    }
    for fails in [
        "10 / (l_linenumber - 1) > 2",
        "l_orderkey % l_linenumber = 0",
        "CAST(l_comment AS INT) = 3",
        "l_orderkey + 1 > 3",
        "CAST(l_orderkey AS INT) = 3",
        "to_date(l_comment, 'yyyy') > l_shipdate",
        "split(l_comment, ' ')[3] = 'a'",
        "l_comment RLIKE l_shipmode",
    ] {
        let plan = plan(&tables, &format!("SELECT l_tax FROM lineitem WHERE {fails}")).await;
        assert_eq!(left_above_scans(&plan).len(), 1, "{fails}: {plan}");
    }
}
