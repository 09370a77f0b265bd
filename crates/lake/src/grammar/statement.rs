//! Statements as plain data: what the user asked for, resolved to nothing yet.
//!
//! Queries and expressions stay sqlparser's trees, already checked by `strict` and rewritten by `normalize`. Every
//! clause that the grammar accepts has a field here; a clause without a field is refused while parsing.

use std::fmt;

use sqlparser::ast::{Expr, Query};

use super::types::DataType;

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

// ---------------------------------------------------------------------------------------------- rows

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

// ---------------------------------------------------------------------------------------------- definitions

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub name: Name,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub external: bool,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<TableConstraint>,
    /// USING format in lower case
    pub using: Option<String>,
    pub partitioned_by: Vec<String>,
    pub cluster_by: Option<ClusterBy>,
    pub location: Option<String>,
    pub comment: Option<String>,
    pub properties: Properties,
    /// OPTIONS of the format
    pub options: Properties,
    /// AS query
    pub query: Option<Box<Query>>,
    /// LIKE another table
    pub like: Option<Name>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    pub name: String,
    pub data_type: DataType,
    pub not_null: bool,
    pub comment: Option<String>,
    pub default: Option<SourceExpr>,
    pub generated: Option<Generated>,
    /// MASK function [USING COLUMNS (…)]
    pub mask: Option<ColumnMask>,
}

/// An expression that is stored: its tree and the text that the user wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceExpr {
    pub expr: Expr,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Generated {
    /// GENERATED ALWAYS AS (expression)
    Expression(SourceExpr),
    /// GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY [(START WITH n INCREMENT BY n)]; both default to 1
    Identity { always: bool, start: i64, increment: i64 },
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMask {
    pub function: Name,
    pub using_columns: Vec<MaskArgument>,
}

/// One further argument of a mask or row filter: a column, or a literal.
#[derive(Debug, Clone, PartialEq)]
pub enum MaskArgument {
    Column(String),
    Literal(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    pub function: Name,
    pub on: Vec<MaskArgument>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TableConstraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    Check(SourceExpr),
    /// Informational, like all keys in Unity Catalog; RELY allows the planner to trust it.
    PrimaryKey {
        columns: Vec<String>,
        rely: bool,
    },
    ForeignKey {
        columns: Vec<String>,
        references: Name,
        /// Empty means the primary key of the other table.
        referenced_columns: Vec<String>,
        rely: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterBy {
    /// Each column as its path of names (`address.city`).
    Columns(Vec<Vec<String>>),
    Auto,
    None,
}

/// CREATE TABLE … { SHALLOW | DEEP } CLONE source
#[derive(Debug, Clone, PartialEq)]
pub struct CloneTable {
    pub name: Name,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub shallow: bool,
    pub source: Name,
    pub location: Option<String>,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    pub name: Name,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub columns: Vec<ViewColumn>,
    pub comment: Option<String>,
    pub properties: Properties,
    pub query: Box<Query>,
    /// The query exactly as the user wrote it: what is stored, and parsed anew on every use.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    pub name: String,
    pub comment: Option<String>,
}

/// CREATE FUNCTION … RETURN expression: a scalar SQL function.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateFunction {
    pub name: Name,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub parameters: Vec<FunctionParameter>,
    pub returns: Option<DataType>,
    pub comment: Option<String>,
    pub deterministic: Option<bool>,
    pub body: SourceExpr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParameter {
    pub name: String,
    pub data_type: DataType,
    pub default: Option<SourceExpr>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSchema {
    pub name: Name,
    pub if_not_exists: bool,
    pub comment: Option<String>,
    pub managed_location: Option<String>,
    /// WITH DBPROPERTIES
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCatalog {
    pub name: Name,
    pub if_not_exists: bool,
    pub comment: Option<String>,
    pub managed_location: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateVolume {
    pub name: Name,
    pub if_not_exists: bool,
    /// Set exactly for CREATE EXTERNAL VOLUME.
    pub external_location: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    Catalog,
    Schema,
    Table,
    View,
    Volume,
    Function,
}

impl ObjectKind {
    /// The word in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalog => "CATALOG",
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::Volume => "VOLUME",
            Self::Function => "FUNCTION",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    pub kind: ObjectKind,
    pub name: Name,
    pub if_exists: bool,
    /// CASCADE; RESTRICT is the default and leaves this false.
    pub cascade: bool,
}

/// ALTER <kind> name change. The grammar admits only changes that the kind can have.
#[derive(Debug, Clone, PartialEq)]
pub struct Alter {
    pub kind: ObjectKind,
    pub name: Name,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    RenameTo(Name),
    SetOwner(String),
    SetProperties(Properties),
    UnsetProperties {
        keys: Vec<String>,
        if_exists: bool,
    },
    SetTags(Properties),
    UnsetTags(Vec<String>),
    SetManagedLocation(String),
    AddColumns {
        columns: Vec<AddColumn>,
        if_not_exists: bool,
    },
    DropColumns {
        columns: Vec<Vec<String>>,
        if_exists: bool,
    },
    RenameColumn {
        column: Vec<String>,
        to: String,
    },
    AlterColumn {
        column: Vec<String>,
        change: ColumnChange,
    },
    ClusterBy(ClusterBy),
    AddConstraint(TableConstraint),
    /// DROP CONSTRAINT name; the keys go by `DROP PRIMARY KEY`.
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    DropPrimaryKey {
        if_exists: bool,
        cascade: bool,
    },
    SetRowFilter(RowFilter),
    DropRowFilter,
    /// ALTER VIEW … AS query, and its text
    ViewQuery {
        query: Box<Query>,
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct AddColumn {
    /// The last part is the new column; parts before it lead to the struct that gets the field.
    pub path: Vec<String>,
    pub definition: ColumnDefinition,
    pub position: Option<ColumnPosition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    First,
    After(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum ColumnChange {
    SetType(DataType),
    SetNotNull,
    DropNotNull,
    SetComment(String),
    SetDefault(SourceExpr),
    DropDefault,
    Move(ColumnPosition),
    SetMask(ColumnMask),
    DropMask,
    SetTags(Properties),
    UnsetTags(Vec<String>),
    /// SYNC IDENTITY
    SyncIdentity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentOn {
    pub target: CommentTarget,
    /// `None` for IS NULL, which removes the comment.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommentTarget {
    Object(ObjectKind, Name),
    /// The table's name, then the column's.
    Column(Name, String),
}

// ---------------------------------------------------------------------------------------------- access

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurableKind {
    Metastore,
    Catalog,
    Schema,
    Table,
    View,
    Volume,
    Function,
    Model,
    ExternalLocation,
    StorageCredential,
    Connection,
    Share,
}

/// What a privilege is about. `name` is absent for the metastore only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurableName {
    pub kind: SecurableKind,
    pub name: Option<Name>,
}

/// GRANT or REVOKE. Privileges are upper case with single spaces (`USE CATALOG`, `ALL PRIVILEGES`), as written: whether
/// they exist for this kind is governance's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub privileges: Vec<String>,
    pub on: SecurableName,
    pub principals: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowGrants {
    pub principal: Option<String>,
    pub on: SecurableName,
}

// ---------------------------------------------------------------------------------------------- looking around

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

// ---------------------------------------------------------------------------------------------- maintenance

#[derive(Debug, Clone, PartialEq)]
pub struct Vacuum {
    pub table: Name,
    /// RETAIN n HOURS
    pub retain_hours: Option<f64>,
    pub dry_run: bool,
    /// LITE
    pub lite: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Optimize {
    pub table: Name,
    pub full: bool,
    pub condition: Option<Expr>,
    pub zorder_by: Vec<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restore {
    pub table: Name,
    pub to: TableVersion,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TableVersion {
    Version(u64),
    Timestamp(Expr),
}

/// ANALYZE TABLE … COMPUTE STATISTICS
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analyze {
    pub table: Name,
    pub columns: AnalyzeColumns,
    /// NOSCAN
    pub no_scan: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalyzeColumns {
    /// Row count and size only.
    None,
    All,
    These(Vec<String>),
    /// COMPUTE DELTA STATISTICS: the statistics in the log that skip files.
    Delta,
}
