//! What can fail runs only on rows that the conditions left of it let through, also below a scan of a Delta table, and the
//! conditions that cannot fail choose files all the same. Spark's own answers to such statements are in `tests/golden`.

use std::sync::Arc;

use crannog_engine::{Planner, QueryLimits, testing};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::model::schema::{DataType, StructField, StructType};
use crannog_lake::ports::ExplainMode;
use crannog_types::Problem;
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::StreamExt;

use crate::fixture::{Table, plain, session};

/// Two files: one whose `a` is 0, with texts, and one with divisors and numbers.
async fn table(name: &str) -> Table {
    let columns = [("a", DataType::Integer), ("b", DataType::Integer), ("s", DataType::String)];
    let fields = columns.iter().map(|(name, kind)| StructField::new(*name, kind.clone(), true)).collect();
    let schema = StructType::new(fields).unwrap();
    let mut table = Table::create(name, &schema, &[], plain()).await;
    let files: [(Vec<i32>, Vec<i32>, Vec<&str>); 2] = [
        (vec![0, 0], vec![1, 0], vec!["x", "y"]),
        (vec![-1, 0, 1, 2, 5], vec![1, 0, 3, 4, 5], vec!["1", "z", "3", "4", "5"]),
    ];
    for (a, b, s) in files {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(a)), Arc::new(Int32Array::from(b)), Arc::new(StringArray::from(s))];
        table.append(vec![RecordBatch::try_new(Arc::new(schema.to_arrow()), columns).unwrap()]).await;
    }
    table
}

/// The rows as text, and the plan.
async fn run(table: &Table, sql: &str) -> Result<(String, String), Problem> {
    let Ok(Statement::Query(query)) = grammar::parse(sql) else { panic!("{sql} is no query") };
    let provider = testing::table("main.default.t", table.folder.object_store(), table.state().await).unwrap();
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let prepared = testing::prepare(&planner, *query, session(), vec![("t", provider)]).await?;
    let plan = prepared.explain(ExplainMode::Simple).unwrap();
    let mut stream = prepared.run().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.push(batch?);
    }
    let shown = pretty_format_batches(&rows).unwrap().to_string();
    let cells = shown.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = cells.map(|line| {
        line.trim_matches('|').split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
    });
    Ok((cells.collect::<Vec<_>>().join("; "), plan))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_hold_below_a_scan() {
    let table = table("lazily_scan").await;
    for (sql, wanted) in [
        ("SELECT a FROM t WHERE a <> 0 AND 10 / a > 2 ORDER BY a", "1; 2"),
        ("SELECT a FROM t WHERE a > 0 AND CAST(s AS INT) > 3 AND 10 / (a - 1) > 3 ORDER BY a", "2"),
        ("SELECT a FROM t WHERE a > 1 AND 10 / (a - 1) > 3 AND CAST(s AS INT) > 3 ORDER BY a", "2"),
        ("SELECT a FROM t WHERE a = 0 OR 10 / a > 2 ORDER BY a", "0; 0; 0; 1; 2"),
        ("SELECT a FROM t WHERE s rlike '^[0-9]$' AND CAST(s AS INT) > 3 ORDER BY a", "2; 5"),
        ("SELECT a FROM (SELECT a, s FROM t WHERE a > 0) WHERE CAST(s AS INT) > 3 ORDER BY a", "2; 5"),
        ("SELECT 10 / (a + b) AS x, a FROM t WHERE a > 0 ORDER BY a", "2.5 1; 1.6666666666666667 2; 1.0 5"),
        ("SELECT a, a <> 0 AND 10 / a > 2 FROM t WHERE s IN ('x', '3') ORDER BY a", "0 false; 1 true"),
        ("SELECT count(*), sum(10 / a) FILTER (WHERE a <> 0) FROM t", "7 7.0"),
        ("SELECT l.b, r.a FROM t l LEFT JOIN t r ON r.a <> 0 AND l.b = 10 / r.a WHERE l.b > 4", "5 2"),
        (
            "SELECT l.a, r.b FROM t l LEFT JOIN t r ON l.a > 0 AND 10 / l.a = r.b ORDER BY l.a, l.b",
            "-1; 0; 0; 0; 1; 2 5; 5",
        ),
        ("SELECT count(l.a), count(r.b) FROM t l FULL JOIN t r ON l.a > 0 AND 10 / l.a = r.b AND r.a > 0", "7 7"),
        (
            "SELECT a FROM t l WHERE NOT EXISTS (SELECT 1 FROM t r WHERE l.a > 0 AND 10 / l.a = r.b) ORDER BY a",
            "-1; 0; 0; 0; 1; 5",
        ),
    ] {
        let ran = run(&table, sql).await.map(|(rows, _)| rows);
        let ran = ran.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        assert_eq!(ran, wanted, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_guarded_still_fails() {
    let table = table("lazily_fails").await;
    for (sql, wanted) in [
        ("SELECT a FROM t WHERE 10 / a > 2", "DIVIDE_BY_ZERO"),
        ("SELECT a FROM t WHERE b >= 0 AND 10 / a > 2", "DIVIDE_BY_ZERO"),
        ("SELECT a FROM t WHERE a > 0 AND 10 / (a - 1) > 2", "DIVIDE_BY_ZERO"),
        ("SELECT a, a <> 0 OR 10 / a > 2 FROM t", "DIVIDE_BY_ZERO"),
        ("SELECT a FROM t WHERE a < 1 AND CAST(s AS INT) > 0", "CAST_INVALID_INPUT"),
    ] {
        let problem = run(&table, sql).await.map(|(rows, _)| rows).expect_err(sql);
        assert_eq!(problem.vendor_reason(), Some(wanted), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_that_cannot_fail_choose_files() {
    let table = table("lazily_files").await;
    for sql in [
        "SELECT a FROM t WHERE a > 0 AND 10 / a > 2",
        "SELECT a FROM t WHERE CAST(s AS INT) > 3 AND a > 0",
        "SELECT a FROM t WHERE a > 0 AND CAST(s AS INT) > 3 AND b > 1",
    ] {
        let (_, plan) = run(&table, sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        assert!(plan.contains("files=1 of 2, pruned by=[a"), "{sql}: {plan}");
    }
    // Without anything that can fail the plan has none of this.
    let (_, plan) = run(&table, "SELECT a FROM t WHERE a > 0 AND (b > 1 OR s = 'x')").await.unwrap();
    assert!(!plan.contains("lazily"), "{plan}");
}
