//! Statements about rows: INSERT, COPY INTO, DELETE, UPDATE, MERGE, TRUNCATE.

use sqlparser::ast::{Expr, Query};

use super::{Name, Properties};

/// INSERT INTO | OVERWRITE. At most one of `overwrite` and `replace_where` is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    pub table: Name,
    /// Target columns; empty when none were written.
    pub columns: Vec<String>,
    pub overwrite: bool,
    pub by_name: bool,
    /// REPLACE WHERE condition
    pub replace_where: Option<Expr>,
    /// PARTITION (p = value, q): a column without a value is dynamic.
    pub partition: Vec<(String, Option<Expr>)>,
    pub source: Box<Query>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CopyInto {
    pub table: Name,
    pub columns: Vec<String>,
    pub source: CopySource,
    /// FILEFORMAT in upper case: CSV, JSON, PARQUET, AVRO, ORC, TEXT, BINARYFILE
    pub file_format: String,
    pub files: Vec<String>,
    /// PATTERN, a glob
    pub pattern: Option<String>,
    pub format_options: Properties,
    pub copy_options: Properties,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CopySource {
    /// FROM 'path'
    Path(String),
    /// FROM (SELECT items FROM 'path'); the query's one relation is the path: `` path.`…` ``
    Query { query: Box<Query>, path: String },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    pub table: Name,
    pub alias: Option<String>,
    pub condition: Option<Expr>,
}

/// `column = value`; the column may be a field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub column: Vec<String>,
    pub value: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub table: Name,
    pub alias: Option<String>,
    pub assignments: Vec<Assignment>,
    pub condition: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    pub target: Name,
    pub target_alias: Option<String>,
    /// `SELECT * FROM <source as written>`, so that it is walked and planned like any query.
    pub source: Box<Query>,
    /// The name under which the conditions see the source: its alias, or the table's last part.
    pub source_alias: String,
    pub condition: Expr,
    pub clauses: Vec<MergeClause>,
    /// WITH SCHEMA EVOLUTION
    pub schema_evolution: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMatch {
    Matched,
    NotMatchedByTarget,
    NotMatchedBySource,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeClause {
    pub when: MergeMatch,
    pub condition: Option<Expr>,
    pub action: MergeAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MergeAction {
    Delete,
    /// UPDATE SET *
    UpdateAll,
    Update(Vec<Assignment>),
    /// INSERT *
    InsertAll,
    /// INSERT (columns) VALUES (values), of equal number
    Insert {
        columns: Vec<Vec<String>>,
        values: Vec<Expr>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Truncate {
    pub table: Name,
}
