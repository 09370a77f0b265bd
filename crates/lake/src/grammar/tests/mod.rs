//! The grammar's promises, by example.

mod names;
mod outcomes;
mod robustness;
mod statements;
mod trees;
mod types;

use super::{Name, Statement, SyntaxError, parse, parse_expr, parse_name, parse_query};

/// Lines of `outcome <tab> statement`; an outcome is the statement's kind, or `refused: ` and the error's message.
const STATEMENTS: &str = include_str!("../../../tests/statements.txt");

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
