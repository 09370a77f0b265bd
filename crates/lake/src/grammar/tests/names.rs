//! Names that a query reads, and values for its markers.

use super::{accepted, name, query};
use crate::grammar::{
    DataType, Marker, Parameter, Parameters, Relation, Statement, bind, parameters, relations, statement_relations,
};

#[test]
fn relations_are_the_names_that_are_not_ctes() {
    let tables = |sql: &str| {
        let found = relations(&query(sql)).into_iter().map(|relation| match relation {
            Relation::Table(name) => name.to_string(),
            Relation::Function { name, arguments } => format!("{name}/{}", arguments.len()),
        });
        found.collect::<Vec<_>>()
    };
    for (sql, expected) in [
        ("SELECT 1", vec![]),
        ("SELECT * FROM a, c.s.b JOIN A ON true JOIN a x", vec!["a", "c.s.b", "A"]),
        (
            "SELECT (SELECT 1 FROM b) FROM a WHERE EXISTS (SELECT 1 FROM c) AND x IN (SELECT y FROM d) ORDER BY (SELECT 1 FROM e)",
            vec!["a", "b", "c", "d", "e"],
        ),
        ("WITH q AS (SELECT * FROM a) SELECT * FROM Q JOIN s.q", vec!["a", "s.q"]),
        // Not recursive: inside of itself the name is the table.
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", vec!["a"]),
        ("WITH RECURSIVE a AS (SELECT * FROM b UNION ALL SELECT * FROM a) SELECT * FROM a", vec!["b"]),
        // A later CTE is not visible in an earlier one.
        ("WITH x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM y", vec!["y"]),
        // An inner CTE ends with its query.
        ("SELECT * FROM (WITH q AS (SELECT 1) SELECT * FROM q) JOIN q", vec!["q"]),
        ("WITH q AS (SELECT 1) SELECT * FROM (WITH r AS (SELECT * FROM q) SELECT * FROM r, t)", vec!["t"]),
        ("SELECT * FROM range(10), read_files('/x', format => 'csv') r", vec!["range/1", "read_files/2"]),
        ("SELECT * FROM delta.`/x/y` UNION SELECT * FROM csv.`/z`", vec!["delta.`/x/y`", "csv.`/z`"]),
        ("SELECT sum(x) OVER (ORDER BY (SELECT 1 FROM w)) FROM VALUES ((SELECT 1 FROM v)) t(x)", vec!["v", "w"]),
    ] {
        assert_eq!(tables(sql), expected, "{sql}");
    }
    let update = accepted("UPDATE t SET a = (SELECT max(x) FROM u) WHERE b IN (SELECT b FROM v)");
    assert_eq!(statement_relations(&update), [Relation::Table(name("u")), Relation::Table(name("v"))]);
}

fn value(data_type: DataType, text: &str) -> Parameter {
    Parameter { data_type, value: Some(text.to_owned()) }
}

fn named(values: &[(&str, Parameter)]) -> Parameters {
    let named = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Parameters { named, positional: Vec::new() }
}

#[test]
fn values_take_the_place_of_their_markers() {
    let mut statement = accepted("SELECT :a, :b, :a FROM IDENTIFIER(:t || '.x') WHERE c = :n LIMIT :l");
    let markers = ["t", "a", "b", "n", "l"].map(|name| Marker::Named(name.to_owned()));
    assert_eq!(parameters(&statement), markers);
    let values = named(&[
        ("a", value(DataType::String, "it's; DROP TABLE t --")),
        ("b", value(DataType::Date, "2024-01-01")),
        ("t", value(DataType::String, "c.`my s`")),
        ("n", Parameter { data_type: DataType::Int, value: None }),
        ("l", value(DataType::Int, "5")),
    ]);
    bind(&mut statement, &values).unwrap();
    let Statement::Query(query) = &statement else { panic!() };
    assert_eq!(
        query.to_string(),
        "SELECT 'it''s; DROP TABLE t --', CAST('2024-01-01' AS DATE), 'it''s; DROP TABLE t --' FROM `c`.`my s`.`x` \
         WHERE c = CAST(NULL AS INT) LIMIT CAST(5 AS INT)"
    );
    assert_eq!(relations(query), [Relation::Table(name("c.`my s`.x"))]);

    let mut statement = accepted("UPDATE t SET a = ? WHERE b > ?");
    let positional = vec![value(DataType::Double, "1.5"), value(DataType::BigInt, "-7")];
    bind(&mut statement, &Parameters { named: Vec::new(), positional }).unwrap();
    let Statement::Update(update) = statement else { panic!() };
    assert_eq!(update.assignments[0].value.to_string(), "CAST('1.5' AS DOUBLE)");
    assert_eq!(update.condition.unwrap().to_string(), "b > CAST('-7' AS BIGINT)");
}

#[test]
fn missing_and_surplus_values_are_errors() {
    let error = |sql: &str, values: &Parameters| {
        let mut statement = accepted(sql);
        let before = statement.clone();
        let error = bind(&mut statement, values).unwrap_err();
        assert_eq!(statement, before, "{sql}");
        assert_eq!(error.sqlstate(), "42P02");
        error.message
    };
    let one = value(DataType::Int, "1");
    assert_eq!(error("SELECT :a", &Parameters::default()), "parameter :a has no value");
    assert_eq!(
        error("SELECT :a", &named(&[("a", one.clone()), ("b", one.clone())])),
        "parameter :b is given but not in the statement"
    );
    assert_eq!(error("SELECT :a", &named(&[("a", one.clone()), ("a", one.clone())])), "parameter :a is given twice");
    assert_eq!(
        error("SELECT ?, ?", &Parameters { named: vec![], positional: vec![one.clone()] }),
        "parameter ? number 2 has no value"
    );
    assert_eq!(
        error("SELECT ?", &Parameters { named: vec![], positional: vec![one.clone(), one] }),
        "2 values are given for 1 markers ?"
    );
    let mut statement = accepted("SELECT * FROM IDENTIFIER(:t)");
    let injection = named(&[("t", value(DataType::String, "t; DROP TABLE u"))]);
    assert!(bind(&mut statement, &injection).is_err());
}
