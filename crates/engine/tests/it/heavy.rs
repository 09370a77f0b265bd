//! Queries that compute without an end, more of them than a query has threads: others answer beside them, and when they
//! are given up, nothing of them computes on.

use std::pin::Pin;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use crannog_engine::{LakeEngine, Limits, QueryLimits};
use crannog_lake::ports::Engine;
use crannog_types::Result;
use futures::StreamExt;

use crate::fixture::bound;

/// One of each kind of plan that multiplies: joins that give rows and joins that never do, lists, texts, groups.
const ENDLESS: &[&str] = &[
    "SELECT sum(a.id % 7 * b.id) FROM range(4000000) AS a CROSS JOIN range(4000000) AS b",
    "SELECT count(*) FROM range(4000000) AS a JOIN range(4000000) AS b ON a.id + b.id < -1",
    "SELECT count(*) FROM range(4000000) AS a LEFT JOIN range(4000000) AS b ON a.id > b.id AND a.id < b.id",
    "SELECT count(*) FROM (SELECT id % 1 AS k, id FROM range(300000)) AS a JOIN (SELECT id % 1 AS k, id FROM range(300000)) AS b
       ON a.k = b.k AND a.id + b.id < -1",
    "SELECT sum(x) FROM range(100000000000) LATERAL VIEW explode(sequence(1, 100000)) t AS x",
    "SELECT sum(aggregate(sequence(1, 200 + CAST(id % 2 AS INT)), 0L, (s, x) -> s + x)) FROM range(100000000000)",
    "SELECT sum(length(replace(repeat(CAST(id AS STRING), 100), '1', 'xyz'))) FROM range(100000000000)",
    "SELECT sum(n) FROM (SELECT id % 1000 AS k, count(DISTINCT id % 7) AS n FROM range(100000000000) GROUP BY 1)",
];

/// The first cell of a query.
async fn ask(engine: &LakeEngine, sql: &str) -> Result<Option<i32>> {
    let mut rows = engine.prepare(bound(sql)).await?.run().await?;
    let Some(batch) = rows.next().await else { return Ok(None) };
    let batch = batch?;
    Ok(batch.column(0).as_primitive_opt::<Int32Type>().map(|column| column.value(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_queries_keep_nobody_waiting_and_end_when_given_up() {
    let engine = LakeEngine::new(&QueryLimits::default(), Limits::default()).unwrap();
    let mut heavy: Vec<Pin<Box<dyn Future<Output = _> + Send + '_>>> = Vec::new();
    for sql in ENDLESS {
        let mut one = Box::pin(ask(&engine, sql));
        // Planned, and then begun: from there on it takes threads.
        let before = engine.busy();
        while engine.busy() == before {
            assert!(futures::poll!(&mut one).is_pending(), "{sql} ended");
            tokio::task::yield_now().await;
        }
        heavy.push(one);
    }
    assert_eq!(engine.busy(), ENDLESS.len());
    for number in 0..20 {
        assert_eq!(ask(&engine, &format!("SELECT {number}")).await.unwrap(), Some(number));
    }
    for (one, sql) in heavy.iter_mut().zip(ENDLESS) {
        let ended = futures::poll!(one);
        assert!(ended.is_pending(), "{sql} ended: {ended:?}");
    }
    drop(heavy);
    while engine.busy() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&engine, "SELECT 7").await.unwrap(), Some(7));
}
