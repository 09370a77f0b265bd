//! Generators that make very many rows of one do so in bounded memory.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use crannog_engine::{Planner, QueryLimits};
use crannog_types::Problem;
use futures::StreamExt;

use crate::fixture::bound;

/// Less than what the lists of a batch of rows would take.
const MEMORY: usize = 48 << 20;

struct Ran {
    rows: usize,
    /// The first cell, if it is a BIGINT.
    first: Option<i64>,
    /// The most rows that one batch had.
    most_rows: usize,
}

async fn run(sql: &str) -> Result<Ran, Problem> {
    let planner = Planner::new(&QueryLimits { memory: MEMORY, ..QueryLimits::default() }).unwrap();
    let mut stream = planner.prepare(bound(sql)).await?.run().await?;
    let mut ran = Ran { rows: 0, first: None, most_rows: 0 };
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if let Some(column) = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>())
            && ran.first.is_none()
            && batch.num_rows() > 0
        {
            ran.first = Some(column.value(0));
        }
        ran.rows += batch.num_rows();
        ran.most_rows = ran.most_rows.max(batch.num_rows());
    }
    Ok(ran)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_of_many_rows_are_streamed() {
    for (sql, rows) in [
        ("SELECT explode(sequence(1, 1000000)) FROM range(10000) LIMIT 200000", 200_000),
        ("SELECT explode(sequence(id, id + 1000000)) FROM range(10000) LIMIT 200000", 200_000),
        (
            "SELECT id, p, x FROM range(10000) LATERAL VIEW posexplode(sequence(1, 1000000)) t AS p, x LIMIT 100000",
            100_000,
        ),
        (
            "SELECT id, x FROM range(10000) LATERAL VIEW OUTER explode(sequence(id, id + 500000)) t AS x LIMIT 100000",
            100_000,
        ),
        (
            "SELECT inline(transform(sequence(1, 100000), x -> named_struct('a', x, 'b', x * 2))) FROM range(10000) LIMIT 300000",
            300_000,
        ),
        ("SELECT stack(3, id, id + 1, id + 2) FROM range(100000)", 300_000),
        (
            "SELECT id, x FROM range(2000) LATERAL VIEW explode(sequence(1, CASE WHEN id % 1000 = 999 THEN 1000000 ELSE 1 END)) t AS x",
            2_001_998,
        ),
    ] {
        let ran = run(sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        assert_eq!(ran.rows, rows, "{sql}");
        assert!(ran.most_rows <= 8192, "{sql}: a batch of {} rows", ran.most_rows);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_them_needs_no_more_memory() {
    let ran =
        run("SELECT count(*), sum(x) FROM (SELECT explode(sequence(1, 1000000)) AS x FROM range(20))").await.unwrap();
    assert_eq!(ran.first, Some(20_000_000));
    let ran = run("SELECT count(*) FROM range(100) LATERAL VIEW explode(sequence(1, 1000)) a AS x LATERAL VIEW explode(sequence(1, 100)) b AS y").await;
    assert_eq!(ran.unwrap().first, Some(10_000_000));
}

/// The other columns are repeated for each element: 8192 of these would have 8 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_beside_long_lists_make_small_batches() {
    let texts = "SELECT repeat('x', 1000000 + CAST(id AS INT)) AS s FROM range(100)";
    let ran =
        run(&format!("SELECT s, x FROM ({texts}) LATERAL VIEW explode(sequence(1, 1000)) t AS x LIMIT 300")).await;
    let ran = ran.unwrap_or_else(|problem| panic!("{}", problem.chain()));
    assert_eq!(ran.rows, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_that_does_not_fit_is_refused() {
    let problem = run("SELECT explode(sequence(1, 100000000 + id)) FROM range(10)").await.map(|_| ()).unwrap_err();
    let reason = problem.vendor_reason().unwrap_or_default();
    assert!(reason.starts_with("COLLECTION_SIZE_LIMIT_EXCEEDED") || reason == "OUT_OF_MEMORY", "{}", problem.chain());
}
