//! Values, and where the two databases would differ under one text (DESIGN: metadata).

use crannog_store::testing::Kind;
use crannog_store::{StoreError, Value, params};
use crannog_types::{Code, Problem};

use crate::{database, system};

fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "CREATE TABLE v (n BIGINT PRIMARY KEY, i BIGINT, d DOUBLE, t TEXT, b BLOB)",
        Kind::Postgres => {
            "CREATE TABLE v (n BIGINT PRIMARY KEY, i BIGINT, d DOUBLE PRECISION, t TEXT COLLATE \"C\", b BYTEA)"
        }
    }
}

const INSERT: &str = "INSERT INTO v (n, i, d, t, b) VALUES ($1, $2, $3, $4, $5)";

#[tokio::test]
async fn values_come_back_as_they_went() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let big = [0_u8, 255, 10, 13, 0].repeat(300_000);
        let rows: Vec<(i64, Option<i64>, Option<f64>, Option<String>, Option<Vec<u8>>)> = vec![
            (1, None, None, None, None),
            (2, Some(0), Some(0.0), Some(String::new()), Some(Vec::new())),
            (3, Some(i64::MAX), Some(f64::MAX), Some("🦫 שלום e\u{301} ' \" \\ %_".to_owned()), Some(big)),
            (4, Some(i64::MIN), Some(f64::MIN_POSITIVE), Some("x".repeat(1_000_000)), Some(vec![0])),
            (5, Some(-1), Some(-0.1), Some("a\nb\tc".to_owned()), Some(b"text".to_vec())),
            // A double without a fraction stays a double; a text of digits stays a text.
            (6, Some(7), Some(3.0), Some("0123".to_owned()), Some(b"0123".to_vec())),
        ];
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.run(table(kind), params![]).await.unwrap();
        for (n, i, d, t, b) in rows.clone() {
            assert_eq!(tx.run(INSERT, params![n, i, d, t, b]).await.unwrap(), 1);
        }
        tx.commit().await.unwrap();
        let found = db.read(&system()).rows("SELECT n, i, d, t, b FROM v ORDER BY n", params![]).await.unwrap();
        assert_eq!(found.len(), rows.len());
        for (row, (n, i, d, t, b)) in found.iter().zip(&rows) {
            assert_eq!(row.int(0).unwrap(), *n);
            assert_eq!(row.opt_int(1).unwrap(), *i);
            assert_eq!(row.opt_real(2).unwrap(), *d);
            assert_eq!(row.opt_text(3).unwrap(), *t);
            match b {
                Some(bytes) => assert_eq!(row.blob(4).unwrap(), *bytes),
                None => assert!(matches!(row.blob(4), Err(StoreError::Shape { found: "NULL", .. }))),
            }
        }
        assert!(matches!(found[1].text(1), Err(StoreError::Shape { found: "a number", .. })), "no silent conversion");
        assert!(matches!(found[1].int(9), Err(StoreError::Shape { found: "not there", .. })));
    }
}

#[tokio::test]
async fn what_one_database_cannot_keep_neither_takes() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.run(table(kind), params![]).await.unwrap();
        for bad in [Value::from("a\0b"), Value::from(f64::NAN), Value::from(f64::INFINITY)] {
            let (d, t) = match bad {
                Value::Real(_) => (bad, Value::Text(None)),
                _ => (Value::Real(None), bad),
            };
            let refused = tx.run(INSERT, vec![Value::from(1), Value::Int(None), d, t, Value::Blob(None)]).await;
            assert_eq!(Problem::from(refused.unwrap_err()).code(), Code::InvalidArgument);
        }
        // It was refused before the database saw it: the transaction goes on, on PostgreSQL too.
        tx.run(INSERT, params![1, 1, 1.5, "t", b"b".as_slice()]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn order_case_and_sums_are_the_same() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        tx.run(table(kind), params![]).await.unwrap();
        for (n, text) in
            [Some("b"), Some("B"), Some("a_c"), Some("é"), None, Some("abc"), Some("a%c")].iter().enumerate()
        {
            let n = i64::try_from(n).unwrap();
            tx.run(INSERT, params![n, n, Option::<f64>::None, *text, Option::<Vec<u8>>::None]).await.unwrap();
        }
        tx.commit().await.unwrap();
        let list = async |sql: &'static str, params| {
            let rows = db.read(&system()).rows(sql, params).await.unwrap();
            rows.iter().map(|row| row.opt_text(0).unwrap().unwrap_or("NULL".to_owned())).collect::<Vec<_>>().join(" ")
        };
        // Bytes, not a locale; NULLs where the text says.
        assert_eq!(list("SELECT t FROM v ORDER BY t NULLS FIRST", params![]).await, "NULL B a%c a_c abc b é");
        assert_eq!(list("SELECT t FROM v ORDER BY t DESC NULLS LAST", params![]).await, "é b abc a_c a%c B NULL");
        assert_eq!(list("SELECT t FROM v WHERE t < 'a' ORDER BY t", params![]).await, "B");
        // LIKE alone ignores case on SQLite only; with lower() on both sides both ignore it. The escape is written out.
        let like = "SELECT t FROM v WHERE lower(t) LIKE lower($1) ESCAPE '\\' ORDER BY t";
        assert_eq!(list(like, params!["B"]).await, "B b");
        assert_eq!(list(like, params!["a\\_c"]).await, "a_c");
        assert_eq!(list(like, params!["A_C"]).await, "a%c a_c abc");
        let row = async |sql: &'static str| db.read(&system()).row(sql, params![]).await.map(|row| row.unwrap());
        assert_eq!(row("SELECT cast(sum(i) AS bigint) FROM v").await.unwrap().int(0).unwrap(), 21);
        assert_eq!(row("SELECT cast(sum(i) AS bigint) FROM v WHERE i > 99").await.unwrap().opt_int(0).unwrap(), None);
        let flag = row("SELECT CASE WHEN count(*) > 3 THEN 1 ELSE 0 END FROM v").await.unwrap();
        assert!(flag.flag(0).unwrap());
        if kind == Kind::Postgres {
            let error = row("SELECT sum(i) FROM v").await.unwrap_err();
            assert!(
                matches!(error, StoreError::Shape { found: "of another type", .. }),
                "an uncast sum is told: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_no_error_in_the_transaction() {
    for kind in Kind::ALL {
        let (db, _folder) = database(kind).await;
        crate::put(&db, "taken").await;
        let insert = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING name";
        let mut tx = db.write_unaudited(&system()).await.unwrap();
        assert!(tx.row(insert, params!["taken", "mine"]).await.unwrap().is_none());
        assert!(tx.row(insert, params!["free", "mine"]).await.unwrap().is_some());
        let update = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value \
                      RETURNING value";
        assert_eq!(tx.row(update, params!["taken", "new"]).await.unwrap().unwrap().text(0).unwrap(), "new");
        tx.commit().await.unwrap();
        assert_eq!(crate::names(&db).await, ["free", "taken"]);
    }
}
