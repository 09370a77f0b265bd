//! Statements as plain data: what the user asked for, resolved to nothing yet.
//!
//! Queries and expressions stay sqlparser's trees, already checked by `strict` and rewritten by `normalize`. Every
//! clause that the grammar accepts has a field here; a clause without a field is refused while parsing.

mod access;
mod definitions;
mod look;
mod maintenance;
mod rows;

use std::fmt;

use sqlparser::ast::Query;

pub use self::access::{Grant, SecurableKind, SecurableName, ShowGrants};
pub use self::definitions::{
    AddColumn, Alter, Change, CloneTable, ClusterBy, ColumnChange, ColumnDefinition, ColumnMask, ColumnPosition,
    CommentOn, CommentTarget, ConstraintKind, CreateCatalog, CreateFunction, CreateSchema, CreateTable, CreateView,
    CreateVolume, Drop, FunctionParameter, Generated, MaskArgument, ObjectKind, RowFilter, SourceExpr, TableConstraint,
    ViewColumn,
};
pub use self::look::{Describe, FunctionScope, Set, Show, TimeZone, Use};
pub use self::maintenance::{Analyze, AnalyzeColumns, Optimize, Restore, TableVersion, Vacuum};
pub use self::rows::{
    Assignment, CopyInto, CopySource, Delete, Insert, Merge, MergeAction, MergeClause, MergeMatch, Truncate, Update,
};

/// A name of one to four parts as it was written, without its backticks; case is kept, comparing is the reader's task.
/// ``delta.`/path` `` is the two parts `delta` and `/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub Vec<String>);

impl Name {
    pub fn parts(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&quote_if_needed(part))?;
        }
        Ok(())
    }
}

/// A name's part as it can stand in SQL: bare when it is a plain word, else between backticks.
pub fn quote_if_needed(part: &str) -> String {
    let plain = part.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && part.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if plain { part.to_owned() } else { format!("`{}`", part.replace('`', "``")) }
}

/// Keys and values of TBLPROPERTIES, OPTIONS, tags and their like, in the order written.
pub type Properties = Vec<(String, String)>;

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Query(Box<Query>),
    Explain(Explain),

    Insert(Insert),
    CopyInto(CopyInto),
    Delete(Delete),
    Update(Update),
    Merge(Box<Merge>),
    Truncate(Truncate),

    CreateTable(Box<CreateTable>),
    CloneTable(CloneTable),
    CreateView(Box<CreateView>),
    CreateFunction(Box<CreateFunction>),
    CreateSchema(CreateSchema),
    CreateCatalog(CreateCatalog),
    CreateVolume(CreateVolume),
    Drop(Drop),
    Alter(Alter),
    CommentOn(CommentOn),

    Grant(Grant),
    Revoke(Grant),
    ShowGrants(ShowGrants),

    Show(Show),
    Describe(Describe),
    Use(Use),
    Set(Set),
    /// RESET [key]
    Reset(Option<String>),

    Vacuum(Vacuum),
    Optimize(Optimize),
    Restore(Restore),
    Analyze(Analyze),
    RefreshTable(Name),
}

impl Statement {
    /// The variant's name, for logs, audit and tests (`Query`, `CreateTable`, …).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Query(_) => "Query",
            Self::Explain(_) => "Explain",
            Self::Insert(_) => "Insert",
            Self::CopyInto(_) => "CopyInto",
            Self::Delete(_) => "Delete",
            Self::Update(_) => "Update",
            Self::Merge(_) => "Merge",
            Self::Truncate(_) => "Truncate",
            Self::CreateTable(_) => "CreateTable",
            Self::CloneTable(_) => "CloneTable",
            Self::CreateView(_) => "CreateView",
            Self::CreateFunction(_) => "CreateFunction",
            Self::CreateSchema(_) => "CreateSchema",
            Self::CreateCatalog(_) => "CreateCatalog",
            Self::CreateVolume(_) => "CreateVolume",
            Self::Drop(_) => "Drop",
            Self::Alter(_) => "Alter",
            Self::CommentOn(_) => "CommentOn",
            Self::Grant(_) => "Grant",
            Self::Revoke(_) => "Revoke",
            Self::ShowGrants(_) => "ShowGrants",
            Self::Show(_) => "Show",
            Self::Describe(_) => "Describe",
            Self::Use(_) => "Use",
            Self::Set(_) => "Set",
            Self::Reset(_) => "Reset",
            Self::Vacuum(_) => "Vacuum",
            Self::Optimize(_) => "Optimize",
            Self::Restore(_) => "Restore",
            Self::Analyze(_) => "Analyze",
            Self::RefreshTable(_) => "RefreshTable",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainMode {
    Simple,
    Extended,
    Formatted,
    Cost,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    pub mode: ExplainMode,
    pub statement: Box<Statement>,
}
