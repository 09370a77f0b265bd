//! What the lake needs implemented elsewhere: an engine that plans queries, scans and writes Parquet, reads Delta logs; tables of
//! the catalog `system` that other components make.
//!
//! Everything that a query reads was resolved and permitted before it gets here ([`Relation`]), so an engine can reach no
//! table that its caller may not read. An engine never commits: it writes data files and gives their `add` actions back.

use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use crannog_security::actions::{tables, volumes};
use crannog_security::{Caller, Permit};
use crannog_storage::{FileMeta, Folder};
use crannog_types::{Micros, Result};
use futures::Stream;
use sqlparser::ast::Query;

use crate::model::actions::{Add, Metadata};
use crate::model::schema::StructType;
use crate::model::state::{Loaded, TableState};
use crate::service::statements::answer::Columns;

/// Rows as they come, a batch at a time. An error ends the stream.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// What a statement runs in.
#[derive(Clone, Debug)]
pub struct Session {
    /// `current_catalog()`, and the catalog of names of one or two parts.
    pub catalog: String,
    /// `current_schema()`, and the schema of names of one part.
    pub schema: String,
    /// `current_timezone()`: an IANA name or an offset such as `+01:00`.
    pub time_zone: String,
    /// `current_user()`; inside a view still the person who asks.
    pub user: String,
    /// The groups that `is_account_group_member` says yes to, nested ones included.
    pub groups: Vec<String>,
    /// `current_timestamp()`: one moment for the whole statement.
    pub now: Micros,
}

/// A table reference as the query wrote it, completed to three parts and folded to lower case:
/// `["main", "flights", "planes"]`; for a table function its name with `()` and its arguments as sqlparser writes them,
/// joined by `, `: `["read_files()", "'/Volumes/main/flights/raw', format => 'csv'"]`.
pub type RelationKey = Vec<String>;

/// What the names of a query stand for.
pub type Relations = HashMap<RelationKey, Relation>;

/// One thing that a query reads, resolved and permitted.
pub enum Relation {
    /// A Delta table at one version.
    Table(TableScan),
    /// A view: its query, with relations that were permitted with its owner's rights.
    View(Box<ViewScan>),
    /// Rows that the server made: `information_schema`, `SHOW` as a table.
    Rows(Vec<RecordBatch>, SchemaRef),
    /// Rows that are read while the query runs: `system` tables.
    Served(Arc<dyn Served>),
    /// Files of a volume, by `read_files` or a path.
    Files(FilesScan),
}

/// A table of the catalog `system`: its schema, its name, its columns.
pub type SystemTable = (&'static str, &'static str, Columns);

/// Tables of the catalog `system` that another component makes of what it keeps.
pub trait SystemTables: Send + Sync {
    /// All of them: everybody may know that they are there.
    fn tables(&self) -> Vec<SystemTable>;

    /// One of them, of which a query will see what this caller may see; `None` when there is no such table. Nothing is read
    /// yet. Names are folded.
    fn open(&self, caller: &Caller, schema: &str, table: &str) -> Option<Arc<dyn Served>>;
}

/// A table whose rows are read while a query runs, in constant memory, on whatever thread it runs.
pub trait Served: Debug + Send + Sync {
    /// Its columns.
    fn columns(&self) -> Columns;

    /// Its rows, as far as the caller may see them when each of them is read.
    fn rows(&self, wanted: Wanted) -> RowStream;
}

/// What a query wants of such a table.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The places of the columns that the rows are to have, in their order.
    pub columns: Vec<usize>,
    /// Columns, by their places, that must have one of some texts. Rows that have none may be given all the same: the query
    /// looks once more, as with the other conditions.
    pub only: Vec<(usize, Vec<String>)>,
    /// Columns of times or days, by their places, that must be at one of some moments, in microseconds since 1970.
    pub within: Vec<(usize, RangeInclusive<i64>)>,
    /// Maps, by their places, that must have a text as one of their values.
    pub holding: Vec<(usize, String)>,
}

/// A Delta table at one version.
pub struct TableScan {
    /// That the caller may read it.
    pub permit: Permit<tables::Select>,
    /// Where it is.
    pub folder: Folder,
    /// Its protocol, schema and live files.
    pub state: Arc<TableState>,
}

/// A view.
pub struct ViewScan {
    /// That the caller may read it.
    pub permit: Permit<tables::Select>,
    /// What it selects.
    pub query: Query,
    /// The names of its columns where the view renames them.
    pub columns: Option<Vec<String>>,
    /// The catalog and schema in which its short names are read.
    pub catalog: String,
    /// See [`ViewScan::catalog`].
    pub schema: String,
    /// What it reads.
    pub relations: Relations,
}

/// Files of a volume, read as rows.
#[derive(Debug)]
pub struct FilesScan {
    /// That the caller may read the volume.
    pub permit: Arc<Permit<volumes::Read>>,
    /// The volume's folder.
    pub folder: Folder,
    /// `/Volumes/main/flights/raw`: the prefix of paths in errors and in `_metadata.file_path`.
    pub shown_as: String,
    /// The files, in the order in which they are read.
    pub files: Vec<FileMeta>,
    /// How to read them.
    pub format: FileFormat,
    /// `header`, `nullValue`, `delimiter`, `mode` …, keys in lower case. Unknown ones are an error.
    pub options: Vec<(String, String)>,
    /// The schema to read them with; `None`: inferred.
    pub schema: Option<StructType>,
}

/// Formats that files are read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values and their relatives.
    Csv,
    /// One JSON object a line, or one array or object a file with `multiLine`.
    Json,
    /// Parquet.
    Parquet,
}

/// A query whose names are resolved and whose parameters are bound.
pub struct BoundQuery {
    /// The query, past the grammar's strict pass.
    pub query: Query,
    /// What its names stand for.
    pub relations: Relations,
    /// What it runs in.
    pub session: Session,
    /// The table whose rows it makes, when it is the source of an INSERT or a COPY: the engine casts to its columns
    /// (Spark's store assignment, ANSI) and checks NOT NULL.
    pub into: Option<InsertInto>,
}

/// The target of the rows of a query.
#[derive(Clone, Debug)]
pub struct InsertInto {
    /// The table's name, for errors.
    pub table: String,
    /// The table's schema.
    pub schema: StructType,
    /// The columns that the query gives, in its order; `None`: all of them by position.
    pub columns: Option<Vec<String>>,
    /// `BY NAME`: match the query's column names instead (COPY INTO does that too).
    pub by_name: bool,
}

/// How EXPLAIN shows a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainMode {
    /// The physical plan.
    Simple,
    /// The logical plans too.
    Extended,
}

/// A planned query.
#[async_trait]
pub trait Prepared: Send {
    /// The result's columns: Spark's names and types.
    fn schema(&self) -> SchemaRef;

    /// For each relation that is read (views included), the columns that are read of it.
    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)>;

    /// The plan as text. A scan of a table says how many of its files it opens.
    fn explain(&self, mode: ExplainMode) -> Result<String>;

    /// Runs it. Dropping the stream stops it.
    async fn run(self: Box<Self>) -> Result<RowStream>;
}

/// How rows become data files.
#[derive(Clone, Debug)]
pub struct WriteSpec {
    /// The table's schema, partition columns included. Rows come with exactly these columns.
    pub schema: StructType,
    /// The table's metadata: partition columns, properties that govern statistics and file sizes.
    pub metadata: Metadata,
    /// The value of `modificationTime` and of the files' names' clock.
    pub now: Micros,
}

/// A data file that is not stored yet.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// What a commit says of it.
    pub add: Add,
    /// Its content.
    pub bytes: Bytes,
}

/// The engine.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Plans a query.
    ///
    /// # Errors
    /// What Spark says, with Spark's error class in the problem's reason: `UNRESOLVED_COLUMN`, `DATATYPE_MISMATCH` …
    async fn prepare(&self, query: BoundQuery) -> Result<Box<dyn Prepared>>;

    /// The schema that reading these files would give: the given one, or the inferred one.
    async fn infer(&self, files: &FilesScan) -> Result<StructType>;

    /// Whether a session can have this time zone: `Europe/Berlin`, `+01:00`, `UTC`.
    fn knows_time_zone(&self, zone: &str) -> bool;

    /// Reads a table's log cold, by checkpoint and commits: its newest version; `None` where there is no table.
    async fn load(&self, folder: &Folder) -> Result<Option<(i64, Loaded)>>;

    /// Writes a checkpoint of one version, and `_last_checkpoint`.
    async fn checkpoint(&self, folder: &Folder, version: i64) -> Result<()>;

    /// Writes rows into new data files, durable when it returns, with statistics.
    ///
    /// When the rows fail, every file written so far is deleted again.
    async fn write(&self, folder: &Folder, spec: &WriteSpec, rows: RowStream) -> Result<Vec<Add>>;

    /// The data files of a few rows, in memory: whoever commits them stores them.
    ///
    /// # Errors
    /// `InvalidArgument` when it is the rows' fault.
    async fn encode(&self, spec: &WriteSpec, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>>;
}
