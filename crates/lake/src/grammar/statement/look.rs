//! Statements that look around and set the session: SHOW, DESCRIBE, USE, SET.

use sqlparser::ast::{Expr, Query};

use super::Name;

/// `like` is SHOW's pattern: `*` for anything, `|` between alternatives, case-insensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    Catalogs { like: Option<String> },
    Schemas { catalog: Option<Name>, like: Option<String> },
    Tables { schema: Option<Name>, like: Option<String> },
    TableExtended { schema: Option<Name>, like: String },
    Views { schema: Option<Name>, like: Option<String> },
    Volumes { schema: Option<Name>, like: Option<String> },
    Functions { scope: FunctionScope, schema: Option<Name>, like: Option<String> },
    Columns { table: Name },
    TableProperties { table: Name, key: Option<String> },
    CreateTable { table: Name },
    Partitions { table: Name },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionScope {
    All,
    System,
    User,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Describe {
    Table {
        table: Name,
        extended: bool,
        as_json: bool,
    },
    /// One column of a table.
    Column {
        table: Name,
        column: Vec<String>,
        extended: bool,
    },
    History {
        table: Name,
        limit: Option<u64>,
    },
    Detail {
        table: Name,
    },
    Catalog {
        catalog: Name,
        extended: bool,
    },
    Schema {
        schema: Name,
        extended: bool,
    },
    Volume {
        volume: Name,
    },
    Function {
        function: Name,
        extended: bool,
    },
    Query(Box<Query>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    Catalog(String),
    /// One part: a schema of the current catalog; two: catalog and schema. `USE x` is `Schema([x])`.
    Schema(Name),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Set {
    /// Bare SET: lists the session's settings.
    ShowAll,
    /// SET key
    Show(String),
    /// SET key = value; a quoted value without its quotes, otherwise the text to the end.
    Value { key: String, value: String },
    /// SET TIME ZONE
    TimeZone(TimeZone),
}

#[derive(Debug, Clone, PartialEq)]
pub enum TimeZone {
    /// The server's own zone.
    Local,
    Named(String),
    /// An offset from UTC, as an INTERVAL expression.
    Offset(Box<Expr>),
}
