//! Databricks SQL: from text to a [`Statement`], with no look at the catalog and no input or output.
//!
//! The way of a text: `tokens` (Spark's lexical rules) → `rewrite` (what sqlparser could not read) →
//! `parse_statement` and its `parse_*` files (our grammar; queries and expressions are sqlparser's) → `strict` (what
//! Crannog does not execute is refused by name) with `normalize` (one spelling for each meaning).
//!
//! **Invariant: nothing is accepted and then ignored.** A clause has a field in [`Statement`], or is refused with a
//! hint; every tree node is destructured in full. Must never panic, whatever the text: depth is bounded at the tokens,
//! in the parser and in the walk.

mod cursor;
mod dialect;
mod error;
mod normalize;
mod parameters;
mod parse_access;
mod parse_alter;
mod parse_columns;
mod parse_create;
mod parse_look;
mod parse_maintenance;
mod parse_rows;
mod parse_statement;
mod refusals;
mod relations;
mod rewrite;
pub mod statement;
mod strict;
mod strict_expr;
mod strict_statement;
#[cfg(test)]
mod tests;
mod tokens;
mod types;

pub use cursor::parse_name;
pub use error::{SyntaxError, SyntaxErrorKind};
pub use parameters::{Marker, Parameter, Parameters, bind, parameters};
pub use relations::{Relation, name_of, relations, statement_relations};
pub use statement::{Name, Statement, quote_if_needed};
pub use tokens::split;
pub use types::{DataType, StructField};

use sqlparser::ast::{Expr, Query};

/// The first part of the name that a path in COPY INTO's query gets: `` path.`/Volumes/…` ``.
pub const PATH_SCHEME: &str = "path";

/// Reads one statement; one final semicolon is allowed.
///
/// # Errors
/// See [`SyntaxErrorKind`]; the error names the place, and usually what to write instead.
pub fn parse(sql: &str) -> Result<Statement, SyntaxError> {
    let mut cursor = cursor(sql)?;
    let mut statement = parse_statement::whole_statement(&mut cursor)?;
    strict::Strict::new(&mut normalize::Normalize::default())
        .statement(&mut statement)
        .map_err(|error| located(error, &cursor))?;
    Ok(statement)
}

/// Reads one query, as a view's stored text.
///
/// # Errors
/// As [`parse`]; a statement that is no query.
pub fn parse_query(sql: &str) -> Result<Box<Query>, SyntaxError> {
    match parse(sql)? {
        Statement::Query(query) => Ok(query),
        other => Err(SyntaxError::syntax(format!("expected a query, found {}", other.kind()))),
    }
}

/// Reads one expression, as a stored default, generated column, constraint or function body.
///
/// # Errors
/// As [`parse`]; text behind the expression.
pub fn parse_expr(sql: &str) -> Result<Expr, SyntaxError> {
    let mut cursor = cursor(sql)?;
    let mut expr = cursor.expr()?;
    if !cursor.at_end() {
        return Err(cursor.error("the end of the expression"));
    }
    strict::Strict::new(&mut normalize::Normalize::default())
        .expr(&mut expr)
        .map_err(|error| located(error, &cursor))?;
    Ok(expr)
}

fn cursor(sql: &str) -> Result<cursor::Cursor<'_>, SyntaxError> {
    let tokens = tokens::tokenize(sql)?;
    tokens::check_chains(&tokens.tokens)?;
    Ok(cursor::Cursor::new(sql, rewrite::rewrite(tokens)?))
}

/// The strict walk knows an expression's place, but a clause's name only: this points at the first words of that name
/// in the text.
fn located(error: SyntaxError, cursor: &cursor::Cursor<'_>) -> SyntaxError {
    let is_keyword = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let keywords: Vec<&str> = error.message.split(' ').take_while(is_keyword).collect();
    let find = |count| refusals::find(cursor.tokens(), &keywords[..count].join(" "));
    match (1..=keywords.len()).rev().find_map(find) {
        Some(position) => cursor.place(error.at(0, 0), position),
        None => cursor.place(error, 0),
    }
}
