//! The grammar's promises, by example: outcomes of the committed list, refusals that help, trees that mean the same,
//! names, parameters, types, and no panic whatever the text.

use std::collections::BTreeSet;

use super::{
    statement::{
        Change, ColumnDefinition, ConstraintKind, CopySource, Describe, Generated, MaskArgument, MergeAction,
        MergeMatch, ObjectKind, SecurableKind, Set, Show, TableVersion, TimeZone, Use,
    },
    *,
};

/// Lines of `outcome <tab> statement`; an outcome is the statement's kind, or `refused: ` and the error's message.
const STATEMENTS: &str = include_str!("../../tests/statements.txt");

fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    STATEMENTS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("outcome, tab, statement"))
}

fn outcome(sql: &str) -> String {
    match parse(sql) {
        Ok(statement) => statement.kind().to_owned(),
        Err(error) => format!("refused: {}", error.message),
    }
}

fn refusal(sql: &str) -> SyntaxError {
    match parse(sql) {
        Ok(statement) => panic!("{sql} was accepted as {statement:?}"),
        Err(error) => error,
    }
}

fn accepted(sql: &str) -> Statement {
    parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn query(sql: &str) -> Box<sqlparser::ast::Query> {
    parse_query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The tree of an expression, written as SQL.
fn expr(sql: &str) -> String {
    parse_expr(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).to_string()
}

fn name(text: &str) -> Name {
    parse_name(text).expect("a name")
}

// ---------------------------------------------------------------------------------------------- the list

#[test]
fn statements_have_their_committed_outcomes() {
    let wrong: Vec<String> = listed()
        .filter(|(expected, sql)| outcome(sql) != *expected)
        .map(|(expected, sql)| format!("{sql}\n  expected {expected}\n  found    {}", outcome(sql)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_list_is_broad_and_without_repetition() {
    let statements: BTreeSet<_> = listed().map(|(_, sql)| sql).collect();
    assert_eq!(statements.len(), listed().count());
    let kinds: BTreeSet<_> =
        listed().map(|(outcome, _)| outcome).filter(|outcome| !outcome.starts_with("refused")).collect();
    assert_eq!(kinds.len(), 31, "every variant of Statement has an example: {kinds:?}");
}

// ---------------------------------------------------------------------------------------------- refusals

#[test]
fn every_refused_feature_in_the_list_says_what_to_do_and_where_it_stands() {
    for (_, sql) in listed() {
        let Err(error) = parse(sql) else { continue };
        assert!(error.line >= 1 && error.column >= 1, "{sql}: {error}");
        let code = match error.kind {
            SyntaxErrorKind::Unsupported | SyntaxErrorKind::DataType => "0A000",
            SyntaxErrorKind::NumberRange => "22003",
            _ => "42601",
        };
        assert_eq!(error.sqlstate(), code, "{sql}: {error}");
        if error.kind == SyntaxErrorKind::Unsupported {
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{sql}");
        }
    }
}

#[test]
fn every_refused_statement_is_named() {
    for (words, _) in refusals::STATEMENTS {
        let error = refusal(&format!("{words} x"));
        assert_eq!(error.message, format!("{words} is not supported"));
        assert!(error.hint.is_some());
    }
}

/// A clause of which the grammar knows nothing must never vanish: each is put behind a query and behind a table.
#[test]
fn every_refused_clause_is_named() {
    for (words, _) in refusals::CLAUSES {
        refusal(&format!("SELECT * FROM t AS a {words}"));
        refusal(&format!("SELECT * FROM t AS a {words} (b)"));
        let error = refusals::clause_at(&tokens::tokenize(words).unwrap().tokens, 0).unwrap();
        assert_eq!(error.message, format!("{words} is not supported"));
        assert!(error.hint.is_some());
    }
    for clause in [
        "FOR UPDATE",
        "FOR SHARE",
        "FETCH",
        "SORT BY",
        "DISTRIBUTE BY",
        "CLUSTER BY",
        "TABLESAMPLE",
        "PIVOT",
        "VERSION AS OF",
        "TIMESTAMP AS OF",
        "MATCH_RECOGNIZE",
        "TOP",
        "DISTINCT ON",
        "INTO",
        "WITH TOTALS",
        "MATERIALIZED",
    ] {
        let named = listed().any(|(outcome, _)| outcome.starts_with("refused: ") && outcome.contains(clause));
        assert!(named, "no statement in the list is refused for {clause}");
    }
}

/// The invariant itself: blank out one word of an accepted statement, and it is refused or means something else. The
/// words that may go are those that Databricks SQL itself has as optional or as the default.
#[test]
fn no_word_is_ignored() {
    let mut ignored = BTreeSet::new();
    for (_, sql) in listed() {
        let Ok(statement) = parse(sql) else { continue };
        let mut start = 0;
        for word in sql.split(' ') {
            let end = start + word.len();
            // As many blanks, so that all positions stay.
            let without = format!("{}{}{}", &sql[..start], " ".repeat(word.chars().count()), &sql[end..]);
            if parse(&without).is_ok_and(|other| other == statement) {
                ignored.insert(word.to_uppercase());
            }
            start = end + 1;
        }
    }
    let optional: BTreeSet<String> = OPTIONAL_WORDS.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(ignored, optional);
}

const OPTIONAL_WORDS: &[&str] = &[
    "AS",
    "COLUMN",   // ALTER [COLUMN]
    "DATABASE", // USE [DATABASE]
    "DEEP",     // [DEEP] CLONE
    "IS",       // a [IS] NOT NULL
    "LEFT",     // [LEFT] SEMI JOIN
    "LIKE",     // SHOW … [LIKE] 'pattern'
    "OUTER",    // FULL [OUTER] JOIN
    "QUERY",    // DESCRIBE [QUERY] SELECT
    "RESTRICT", // the default
    "SCHEMA",   // USE [SCHEMA]
    "SET",      // ALTER … [SET] OWNER TO
    "TABLE",    // INSERT INTO [TABLE]
    "TO",       // RESTORE t [TO] VERSION
    // Words inside comments and hints.
    "BROADCAST(T),",
    "COALESCE(3)",
    "COMMENT",
    "HERE",
    "NESTED",
];

#[test]
fn errors_read_like_sparks() {
    assert_eq!(
        refusal("SELECT a\n  FRO t WHERE").to_string(),
        "[PARSE_SYNTAX_ERROR] syntax error at or near 't': expected the end of the statement (line 2, column 7)"
    );
    assert_eq!(
        refusal("SELECT a FROM t SORT BY a").to_string(),
        "[UNSUPPORTED_FEATURE] SORT BY is not supported (line 1, column 17); sort with ORDER BY"
    );
    assert_eq!((refusal("SELECT 1,\n arr[1:2]").line, refusal("SELECT 1,\n arr[1:2]").column), (2, 2));
}

// ---------------------------------------------------------------------------------------------- tokens and trees

#[test]
fn strings_are_sparks() {
    for (written, text) in [
        (r"'a\'b'", "a'b"),
        (r"'a''b'", "a'b"),
        (r#""a'b""#, "a'b"),
        (r"'tab\tnew\nback\\'", "tab\tnew\nback\\"),
        (r"'\u0041\U0001F600\101\0'", "A😀A\0"),
        (r"'100\%\_'", r"100\%\_"),
        (r"r'\d\n'", r"\d\n"),
        (r#"R"a\""#, r"a\"),
        ("'a' 'b'\n\"c\"", "abc"),
        (r"'\q'", "q"),
        ("'-- /* ; '", "-- /* ; "),
    ] {
        let sqlparser::ast::Expr::Value(value) = parse_expr(written).unwrap() else { panic!("{written}") };
        assert_eq!(value.value, sqlparser::ast::Value::SingleQuotedString(text.to_owned()), "{written}");
    }
}

#[test]
fn spellings_become_one_tree() {
    for (written, tree) in [
        ("1L", "CAST(1 AS BIGINT)"),
        ("-128Y", "CAST(-128 AS TINYINT)"),
        ("-9223372036854775808L", "CAST(-9223372036854775808 AS BIGINT)"),
        ("1 - 2S", "1 - CAST(2 AS SMALLINT)"),
        ("1.5D", "CAST('1.5' AS DOUBLE)"),
        ("2F", "CAST('2' AS FLOAT)"),
        ("1.50BD", "CAST('1.50' AS DECIMAL(3,2))"),
        ("0.05BD", "CAST('0.05' AS DECIMAL(2,2))"),
        ("1.5e3BD", "CAST('1.5e3' AS DECIMAL(4,0))"),
        ("X'F'", "X'0F'"),
        ("a == b", "a = b"),
        ("a <=> b", "a <=> b"),
        ("a !< b", "a >= b"),
        ("a !> b", "a <= b"),
        ("! a = b", "NOT a = b"),
        ("a DIV b DIV c", "div(div(a, b), c)"),
        ("1 + a DIV b", "1 + div(a, b)"),
        ("a RLIKE b", "rlike(a, b)"),
        ("a NOT REGEXP b", "NOT rlike(a, b)"),
        ("a LIKE ANY ('x', 'y')", "(a LIKE 'x' OR a LIKE 'y')"),
        ("CAST(a AS LONG)", "CAST(a AS BIGINT)"),
        ("a::struct<x: int, y: map<string, array<long>>>", "a::STRUCT<`x` INT, `y` Map(STRING, ARRAY<BIGINT>)>"),
        ("CAST(a AS DEC)", "CAST(a AS DECIMAL(10,0))"),
        ("substring(s FROM 2 FOR 3)", "substring(s, 2, 3)"),
        ("substr(s, 2)", "substr(s, 2)"),
        ("position('a' IN s)", "locate('a', s)"),
        ("ceil(x)", "ceil(x)"),
        ("floor(x, 2)", "floor(x, 2)"),
        ("INTERVAL 1 DAY", "INTERVAL 1 DAY"),
        ("INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '1 years 2 months'"),
        ("INTERVAL '-1 02:03:04.5' DAY TO SECOND", "INTERVAL '-1 days -02 hours -03 minutes -04.5 seconds'"),
        ("INTERVAL '02:03' HOUR TO MINUTE", "INTERVAL '02 hours 03 minutes'"),
        ("INTERVAL 1 DAY -2 HOURS", "INTERVAL '1 DAY -2 HOURS'"),
        ("d + INTERVAL 1 MONTH - INTERVAL 2 DAYS", "d + INTERVAL 1 MONTH - INTERVAL 2 DAYS"),
        ("TIMESTAMP_LTZ '2024-01-01'", "TIMESTAMP '2024-01-01'"),
        ("f(a IGNORE NULLS)", "f(a) IGNORE NULLS"),
        ("IDENTIFIER('t.c') + 1", "`t`.`c` + 1"),
    ] {
        assert_eq!(expr(written), tree, "{written}");
    }
    for (written, tree) in [
        ("SELECT a, b FROM t GROUP BY a, b WITH ROLLUP", "SELECT a, b FROM t GROUP BY ROLLUP (a, b)"),
        ("SELECT a FROM t GROUP BY a WITH CUBE", "SELECT a FROM t GROUP BY CUBE (a)"),
        ("SELECT 1 MINUS SELECT 2", "SELECT 1 EXCEPT SELECT 2"),
        ("SELECT * FROM a SEMI JOIN b USING (x)", "SELECT * FROM a LEFT SEMI JOIN b USING(x)"),
        ("SELECT * FROM IDENTIFIER('c.' || 's.t') x", "SELECT * FROM `c`.`s`.`t` x"),
    ] {
        assert_eq!(query(written).to_string(), tree, "{written}");
    }
}

/// Parentheses that Spark's order of operators implies change nothing.
#[test]
fn operators_bind_as_in_spark() {
    for (bare, explicit) in [
        ("a OR b AND NOT c = d", "(a OR (b AND (NOT (c = d))))"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a || b + c", "((a || b) + c)"),
        ("a | b ^ c & d << 1 + 2", "(a | (b ^ (c & (d << (1 + 2)))))"),
        ("a = b IS NULL", "((a = b) IS NULL)"),
        ("- a::int", "(- (a::int))"),
        ("a + b BETWEEN c AND d AND e", "(((a + b) BETWEEN c AND d) AND e)"),
        ("a % b DIV c", "(div((a % b), c))"),
        ("arr[i + 1].name || 'x'", "((arr[(i + 1)].name) || 'x')"),
    ] {
        let without = |text: &str| expr(text).replace(['(', ')'], "");
        assert_eq!(without(bare), without(explicit), "{bare}");
        assert_eq!(shape(bare), shape(explicit), "{bare}");
    }
}

/// The tree with every operator's operands in parentheses, and none besides.
fn shape(sql: &str) -> String {
    use sqlparser::ast::Expr;
    fn of(expr: &Expr) -> String {
        match expr {
            Expr::Nested(inner) => of(inner),
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", of(left), of(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", of(expr)),
            Expr::IsNull(expr) => format!("({} IS NULL)", of(expr)),
            Expr::Between { expr, negated: _, low, high } => {
                format!("({} BETWEEN {} AND {})", of(expr), of(low), of(high))
            }
            other => other.to_string().replace(['(', ')'], ""),
        }
    }
    of(&parse_expr(sql).unwrap())
}

#[test]
fn a_script_is_split_at_its_own_semicolons() {
    let script = "SELECT ';' -- ; \n ; /* ; */ SELECT `a;b`;;\n SELECT r'\\';  ";
    let parts = split(script);
    let texts: Vec<_> = parts.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts, ["SELECT ';' -- ;", "SELECT `a;b`", "SELECT r'\\'"]);
    assert!(parts.iter().all(|(range, text)| script[range.clone()] == **text));
    assert_eq!(split("SELECT 1; SELECT 'open").last().unwrap().1, "SELECT 'open");
    assert!(split(" ; -- nothing\n").is_empty());
}

// ---------------------------------------------------------------------------------------------- statements

#[test]
fn a_table_keeps_every_clause() {
    let Statement::CreateTable(table) = accepted(
        "CREATE TABLE IF NOT EXISTS c.s.`T t` (id BIGINT GENERATED BY DEFAULT AS IDENTITY (START WITH 5 INCREMENT BY -2), \
         a INT NOT NULL COMMENT 'key' PRIMARY KEY, b STRING DEFAULT concat('x', 'y') MASK m USING COLUMNS (a, 'z'), \
         d DATE GENERATED ALWAYS AS (CAST(ts AS DATE)), CONSTRAINT pos CHECK (a > 0)) USING DELTA \
         CLUSTER BY (a, s.f) COMMENT 'about' TBLPROPERTIES (delta.appendOnly = true, 'n' = 1) LOCATION 's3://b/x'",
    ) else {
        panic!()
    };
    assert_eq!(table.name, Name(["c", "s", "T t"].map(str::to_owned).to_vec()));
    assert!(table.if_not_exists && !table.or_replace && !table.external);
    assert_eq!(table.using.as_deref(), Some("delta"));
    assert_eq!(
        table.cluster_by,
        Some(statement::ClusterBy::Columns(vec![vec!["a".into()], vec!["s".into(), "f".into()]]))
    );
    assert_eq!(table.properties, [("delta.appendOnly".into(), "true".into()), ("n".into(), "1".into())]);
    assert_eq!((table.location.as_deref(), table.comment.as_deref()), (Some("s3://b/x"), Some("about")));
    let [id, a, b, d] = table.columns.as_slice() else { panic!() };
    assert_eq!(id.generated, Some(Generated::Identity { always: false, start: 5, increment: -2 }));
    assert!(a.not_null && a.comment.as_deref() == Some("key"));
    assert_eq!(b.default.as_ref().unwrap().text, "concat('x', 'y')");
    let mask = b.mask.as_ref().unwrap();
    assert!(matches!(mask.using_columns.as_slice(), [MaskArgument::Column(_), MaskArgument::Literal(_)]));
    assert!(matches!(&d.generated, Some(Generated::Expression(source)) if source.text == "CAST(ts AS DATE)"));
    let kinds: Vec<_> = table.constraints.iter().map(|constraint| &constraint.kind).collect();
    assert!(
        matches!(kinds.as_slice(), [ConstraintKind::PrimaryKey { columns, rely: false }, ConstraintKind::Check(check)]
        if columns == &["a"] && check.text == "a > 0")
    );
}

#[test]
fn a_view_keeps_the_text_of_its_query() {
    let sql = "create or replace view v (id comment 'the id', n) comment 'c' as\n  select a /* why */ , 'x''y' from t -- end\n;";
    let Statement::CreateView(view) = accepted(sql) else { panic!() };
    assert_eq!(view.text, "select a /* why */ , 'x''y' from t");
    assert_eq!(view.columns.len(), 2);
    assert_eq!(query(&view.text), view.query);
}

#[test]
fn merges_are_read_in_full() {
    let Statement::Merge(merge) = accepted(
        "MERGE INTO c.s.t AS d USING (SELECT * FROM u WHERE x) AS s ON d.id <=> s.id \
         WHEN MATCHED AND s.del THEN DELETE WHEN MATCHED THEN UPDATE SET * \
         WHEN NOT MATCHED THEN INSERT (id, s.f) VALUES (s.id, 1L) WHEN NOT MATCHED BY SOURCE THEN UPDATE SET gone = true",
    ) else {
        panic!()
    };
    assert_eq!((merge.target_alias.as_deref(), merge.source_alias.as_str()), (Some("d"), "s"));
    assert_eq!(relations(&merge.source), [Relation::Table(name("u"))]);
    let when: Vec<_> = merge.clauses.iter().map(|clause| clause.when).collect();
    assert_eq!(
        when,
        [MergeMatch::Matched, MergeMatch::Matched, MergeMatch::NotMatchedByTarget, MergeMatch::NotMatchedBySource]
    );
    assert_eq!(merge.clauses[1].action, MergeAction::UpdateAll);
    assert!(matches!(&merge.clauses[2].action, MergeAction::Insert { columns, values }
        if columns.len() == 2 && values[1].to_string() == "CAST(1 AS BIGINT)"));
}

#[test]
fn inserts_and_copies_keep_their_targets() {
    let Statement::Insert(insert) = accepted("INSERT OVERWRITE t PARTITION (d = '1', e) SELECT 1") else { panic!() };
    assert!(insert.overwrite && insert.partition[0].1.is_some() && insert.partition[1] == ("e".into(), None));
    let Statement::Insert(insert) = accepted("INSERT INTO t REPLACE WHERE a > 1 SELECT 1") else { panic!() };
    assert_eq!(insert.replace_where.unwrap().to_string(), "a > 1");
    let Statement::CopyInto(copy) = accepted("COPY INTO t FROM (SELECT a::int FROM '/V/x.csv') FILEFORMAT = csv")
    else {
        panic!()
    };
    let CopySource::Query { query, path } = copy.source else { panic!() };
    assert_eq!((path.as_str(), copy.file_format.as_str()), ("/V/x.csv", "CSV"));
    assert_eq!(relations(&query), [Relation::Table(Name(vec![PATH_SCHEME.into(), "/V/x.csv".into()]))]);
}

#[test]
fn grants_are_read() {
    let Statement::Grant(grant) = accepted("GRANT use catalog, ALL PRIVILEGES ON CATALOG `c-1` TO `a@b.c`, users")
    else {
        panic!()
    };
    assert_eq!(grant.privileges, ["USE CATALOG", "ALL PRIVILEGES"]);
    assert_eq!((grant.on.kind, grant.on.name.unwrap().0), (SecurableKind::Catalog, vec!["c-1".to_owned()]));
    assert_eq!(grant.principals, ["a@b.c", "users"]);
    let Statement::Revoke(revoke) = accepted("REVOKE CREATE CATALOG ON METASTORE FROM x") else { panic!() };
    assert_eq!((revoke.on.kind, revoke.on.name), (SecurableKind::Metastore, None));
    let Statement::Grant(grant) = accepted("GRANT SELECT ON share.t TO x") else { panic!() };
    assert_eq!((grant.on.kind, grant.on.name), (SecurableKind::Table, Some(name("share.t"))));
}

#[test]
fn small_statements_mean_what_they_say() {
    for (sql, expected) in [
        ("USE c.s", Statement::Use(Use::Schema(name("c.s")))),
        ("USE CATALOG c", Statement::Use(Use::Catalog("c".into()))),
        ("USE catalog", Statement::Use(Use::Schema(name("catalog")))),
        ("SET CATALOG c", Statement::Use(Use::Catalog("c".into()))),
        ("SET a.b = some text, 1 ;", Statement::Set(Set::Value { key: "a.b".into(), value: "some text, 1".into() })),
        ("SET a.b = 'x'", Statement::Set(Set::Value { key: "a.b".into(), value: "x".into() })),
        ("SET TIME ZONE LOCAL", Statement::Set(Set::TimeZone(TimeZone::Local))),
        ("SHOW COLUMNS IN t FROM c.s", Statement::Show(Show::Columns { table: name("c.s.t") })),
        (
            "SHOW TABLE EXTENDED IN c.s LIKE 'a|b'",
            Statement::Show(Show::TableExtended { schema: Some(name("c.s")), like: "a|b".into() }),
        ),
        (
            "DESCRIBE TABLE EXTENDED c.s.t AS JSON",
            Statement::Describe(Describe::Table { table: name("c.s.t"), extended: true, as_json: true }),
        ),
        (
            "DESCRIBE history",
            Statement::Describe(Describe::Table { table: name("history"), extended: false, as_json: false }),
        ),
        ("DESC HISTORY t LIMIT 2", Statement::Describe(Describe::History { table: name("t"), limit: Some(2) })),
        ("REFRESH TABLE t", Statement::RefreshTable(name("t"))),
    ] {
        assert_eq!(accepted(sql), expected, "{sql}");
    }
    let Statement::Restore(restore) = accepted("RESTORE t TO VERSION AS OF 3") else { panic!() };
    assert_eq!(restore.to, TableVersion::Version(3));
    let Statement::Alter(alter) = accepted("ALTER TABLE t ADD COLUMNS (s.b STRING COMMENT 'x' AFTER c)") else {
        panic!()
    };
    assert_eq!(alter.kind, ObjectKind::Table);
    let Change::AddColumns { columns, if_not_exists: false } = alter.change else { panic!() };
    let ColumnDefinition { name, data_type, comment, .. } = &columns[0].definition;
    assert_eq!((name.as_str(), data_type, comment.as_deref()), ("b", &DataType::String, Some("x")));
    assert_eq!(columns[0].path, ["s", "b"]);
}

// ---------------------------------------------------------------------------------------------- names

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

// ---------------------------------------------------------------------------------------------- parameters

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

// ---------------------------------------------------------------------------------------------- types

#[test]
fn types_are_read_and_written_in_sparks_spelling() {
    for (written, shown) in [
        ("BYTE", "tinyint"),
        ("Short", "smallint"),
        ("INTEGER", "int"),
        ("LONG", "bigint"),
        ("REAL", "float"),
        ("NUMERIC", "decimal(10,0)"),
        ("DEC(5)", "decimal(5,0)"),
        ("DECIMAL(38, 18)", "decimal(38,18)"),
        ("CHAR(3)", "char(3)"),
        ("VARCHAR(10)", "varchar(10)"),
        ("TIMESTAMP_LTZ", "timestamp"),
        ("TIMESTAMP_NTZ", "timestamp_ntz"),
        ("INTERVAL YEAR TO MONTH", "interval year to month"),
        ("INTERVAL SECOND", "interval second"),
        ("ARRAY<ARRAY<MAP<STRING, STRUCT<>>>>", "array<array<map<string,struct<>>>>"),
        (
            "STRUCT<a: INT NOT NULL COMMENT 'it\\'s', `b-c` STRING>",
            "struct<a:int NOT NULL COMMENT 'it\\'s',`b-c`:string>",
        ),
        ("VARIANT", "variant"),
    ] {
        let data_type = DataType::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(data_type.to_string(), shown);
        assert_eq!(DataType::parse(shown).unwrap(), data_type, "{shown}");
        if !written.contains("COMMENT") {
            assert_eq!(DataType::from_ast(&data_type.to_ast().unwrap()).unwrap(), data_type, "{shown}");
        }
    }
    for wrong in [
        "",
        "MONEY",
        "DECIMAL(39,0)",
        "DECIMAL(5,6)",
        "DECIMAL(0)",
        "VARCHAR",
        "CHAR(0)",
        "ARRAY",
        "ARRAY<INT",
        "ARRAY<INT>>",
        "MAP<STRING>",
        "STRUCT<a>",
        "INT INT",
        "INTERVAL",
        "INTERVAL MONTH TO YEAR",
        "INTERVAL YEAR TO DAY",
        "INT(5)",
        "STRUCT<a INT NOT>",
    ] {
        assert!(DataType::parse(wrong).is_err(), "{wrong}");
    }
}

// ---------------------------------------------------------------------------------------------- robustness

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
