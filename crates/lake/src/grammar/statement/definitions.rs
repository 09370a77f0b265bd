//! Statements about objects: CREATE, DROP, ALTER, COMMENT ON, and what tables, columns and views are made of.

use sqlparser::ast::{Expr, Query};

use super::{Name, Properties};
use crate::grammar::types::DataType;

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
