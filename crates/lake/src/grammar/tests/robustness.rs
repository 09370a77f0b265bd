//! No text makes the grammar panic or overflow its stack, however deep, long or broken.

use super::{accepted, listed, refusal};
use crate::grammar::{Statement, parameters, parse, split};

/// Runs on a thread with the stack of a server's worker.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn deep_texts_are_errors_and_not_crashes() {
    on_a_small_stack(|| {
        let around = |open: &str, middle: &str, close: &str| {
            format!("SELECT {}{middle}{}", open.repeat(10_000), close.repeat(10_000))
        };
        for sql in [
            around("(", "1", ")"),
            around("(", "1", ""),
            around("NOT ", "a", ""),
            around("- ", "a", ""),
            around("CASE WHEN a THEN ", "b", " END"),
            around("f(", "a", ")"),
            around("a[", "1", "]"),
            around("(SELECT ", "1", ")"),
            around("a IN (", "1", ")"),
            around("x -> ", "1", ""),
            around("a + ", "1", ""),
            around("a AND ", "b", ""),
            around("a::", "int", ""),
            around("a.", "b", ""),
            around("1 UNION SELECT ", "1", ""),
            around("INTERVAL ", "1", ""),
            around("INTERVAL - ", "1", ""),
            around("ARRAY<", "INT", ">"),
            around("STRUCT<a: ", "INT", ">"),
            around("MAP<INT, ", "INT", ">"),
            around("f(x => ", "1", ")"),
            around("DATE ", "'x'", ""),
            around("a LIKE ANY (", "1", ")"),
            around("EXISTS (SELECT ", "1", ")"),
            around("PRIOR ", "1", ""),
            around("a BETWEEN ", "1", ""),
            around("LATERAL ", "1", ""),
            around("{", "1", "}"),
            around("[", "1", "]"),
            around("TRIM(", "a", ")"),
            format!("SELECT * FROM {}t{}", "t JOIN (".repeat(10_000), ")".repeat(10_000)),
            format!("SELECT 1 GROUP BY {}a{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("SELECT 1 GROUP BY {}a{}", "ROLLUP(".repeat(10_000), ")".repeat(10_000)),
            format!("VALUES {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("ALTER TABLE t ADD CONSTRAINT c CHECK {}", "(".repeat(10_000)),
            format!("SELECT CAST(a AS {}INT{})", "ARRAY<".repeat(10_000), ">".repeat(10_000)),
            format!("SELECT * FROM {}t{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("SELECT * FROM {}SELECT 1{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("{}SELECT 1", "EXPLAIN ".repeat(10_000)),
            format!("CREATE TABLE t (a {}INT", "STRUCT<a:".repeat(10_000)),
            format!("{}SELECT 1{}", "WITH a AS (".repeat(10_000), ") SELECT 1".repeat(10_000)),
            "/*".repeat(10_000),
        ] {
            let error = refusal(&sql);
            assert!(error.to_string().len() < 1_000, "{error}");
        }
    });
}

#[test]
fn long_texts_within_the_limits_are_fine() {
    on_a_small_stack(|| {
        let chain = |length: usize, operator: &str| format!("SELECT {}", vec!["a = 1"; length].join(operator));
        let mut statements = vec![
            chain(1_000, " OR "),
            chain(1_000, " AND "),
            chain(100, " + "),
            format!("SELECT {}1{}", "(".repeat(50), ")".repeat(50)),
            format!("SELECT a IN ({})", vec!["1"; 20_000].join(",")),
            format!("VALUES {}", vec!["(1, 'a', -2.5)"; 5_000].join(",")),
            vec!["SELECT 1"; 60].join(" UNION ALL "),
        ];
        statements.push(format!(
            "CREATE TABLE t ({})",
            (0..2_000).map(|n| format!("c{n} INT")).collect::<Vec<_>>().join(",")
        ));
        for sql in statements {
            let statement = accepted(&sql);
            assert!(parameters(&statement).is_empty());
            assert_eq!(statement.clone(), statement);
            if let Statement::Query(query) = &statement {
                assert!(!query.to_string().is_empty());
            }
        }
    });
}

/// Every prefix of the listed statements, and each with one token removed, doubled or replaced.
#[test]
fn no_text_panics() {
    let replacements =
        ["(", ")", ",", "'", "`", ";", "SELECT", "AS", "<", ">>", "::", "1L", ":p", "?", "INTERVAL", "FROM", "-", "."];
    for (index, (_, sql)) in listed().enumerate() {
        for (end, _) in sql.char_indices() {
            let _ = parse(&sql[..end]);
            let _ = split(&sql[..end]);
        }
        let words: Vec<&str> = sql.split(' ').collect();
        for position in 0..words.len() {
            let mut removed = words.clone();
            let word = removed.remove(position);
            let _ = parse(&removed.join(" "));
            let mut doubled = words.clone();
            doubled.insert(position, word);
            let _ = parse(&doubled.join(" "));
            let mut replaced = words.clone();
            replaced[position] = replacements[(index + position) % replacements.len()];
            let _ = parse(&replaced.join(" "));
        }
    }
}
