//! `IN (SELECT …)` and `EXISTS` as values. Spark gives false where SQL's three-valued logic gives NULL, so these answers are
//! not among the golden ones: they are those of the logic.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use crannog_engine::{Planner, QueryLimits};
use futures::StreamExt;

use crate::fixture::bound;

const LEFT: &str = "VALUES (1, 'a'), (2, 'b'), (9, 'c'), (NULL, 'd') AS l(k, v)";

/// The rows, each as its cells with blanks between them.
async fn run(sql: &str) -> Vec<String> {
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let prepared = planner.prepare(bound(sql)).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
    let mut stream = prepared.run().await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        let options = FormatOptions::default().with_null("NULL");
        let cells: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let shown: Vec<String> = cells.iter().map(|cells| cells.value(row).to_string()).collect();
            rows.push(shown.join(" "));
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_as_a_value_knows_three_truths() {
    for (list, wanted) in [
        ("SELECT 1 UNION ALL SELECT 2", ["a true false", "b true false", "c false true", "d NULL NULL"]),
        ("SELECT 1 UNION ALL SELECT NULL", ["a true false", "b NULL NULL", "c NULL NULL", "d NULL NULL"]),
        ("SELECT 1 WHERE false", ["a false true", "b false true", "c false true", "d false true"]),
        ("SELECT NULL", ["a NULL NULL", "b NULL NULL", "c NULL NULL", "d NULL NULL"]),
        (
            "SELECT x FROM VALUES (2, 'b'), (9, 'x') AS r(x, y) WHERE y = l.v",
            ["a false true", "b true false", "c false true", "d false true"],
        ),
    ] {
        let rows = run(&format!("SELECT v, k IN ({list}), k NOT IN ({list}) FROM {LEFT} ORDER BY v")).await;
        assert_eq!(rows, wanted, "{list}");
    }
    assert_eq!(run("SELECT 1 IN (SELECT 2), NULL IN (SELECT 1), 1 NOT IN (SELECT NULL)").await, ["false NULL NULL"]);
    assert_eq!(run("SELECT CASE WHEN 3 IN (SELECT 1 UNION ALL SELECT NULL) THEN 'in' ELSE 'not' END").await, ["not"]);
}

/// What is unknown is not true, whatever stands around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_in_below_other_conditions_knows_null() {
    let nulls = "SELECT 1 UNION ALL SELECT NULL";
    for (condition, wanted) in [
        (format!("k NOT IN ({nulls}) OR v = 'b'"), vec!["b"]),
        ("k NOT IN (SELECT 1) OR v = 'a'".to_owned(), vec!["a", "b", "c"]),
        ("k NOT IN (SELECT 1 WHERE false) OR v = 'x'".to_owned(), vec!["a", "b", "c", "d"]),
        (format!("NOT (k IN ({nulls}) AND v < 'c')"), vec!["c", "d"]),
        (format!("NOT (k IN ({nulls}) OR v = 'x')"), vec![]),
        (format!("(k IN ({nulls})) IS NULL"), vec!["b", "c", "d"]),
        (format!("CASE WHEN k NOT IN ({nulls}) THEN true ELSE v = 'd' END"), vec!["d"]),
        (format!("k IN ({nulls}) OR v = 'd'"), vec!["a", "d"]),
        (
            "k NOT IN (SELECT x FROM VALUES (2, 'b'), (NULL, 'c') AS r(x, y) WHERE y = v) OR v = 'x'".to_owned(),
            vec!["a", "d"],
        ),
        (format!("k NOT IN ({nulls}) AND v > 'a'"), vec![]),
        ("v > 'a' AND NOT k IN (SELECT 1)".to_owned(), vec!["b", "c"]),
    ] {
        assert_eq!(run(&format!("SELECT v FROM {LEFT} WHERE {condition} ORDER BY v")).await, wanted, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exists_as_a_value() {
    let sql = format!(
        "SELECT v, EXISTS (SELECT 1 FROM VALUES (2), (9) AS r(x) WHERE x = l.k), NOT EXISTS (SELECT 1 WHERE false) FROM {LEFT} ORDER BY v"
    );
    assert_eq!(run(&sql).await, ["a false true", "b true true", "c true true", "d false true"]);
}
