//! Texts that mean the same become one tree, and operators bind as in Spark.

use super::{expr, query};
use crate::grammar::{parse_expr, split};

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
        ("FROM t SELECT a WHERE b", "SELECT a FROM t WHERE b"),
        ("VALUES 1, f(2, 3) UNION VALUES (4)", "VALUES (1), (f(2, 3)) UNION VALUES (4)"),
        ("SELECT * FROM (VALUES NULL, -1) AS t(a)", "SELECT * FROM (VALUES (NULL), (-1)) AS t (a)"),
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
        ("a & b >>> c + 1 >>> d", "(a & ((b >>> (c + 1)) >>> d))"),
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
