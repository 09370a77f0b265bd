//! Files of a volume as rows: CSV, JSON and Parquet, for `read_files`, paths in queries and COPY INTO.
//!
//! A file is streamed in batches of 8,192 rows, so that memory does not grow with it; CSV and JSON are read on a blocking
//! thread. Reading fails at the first value that its column cannot take, and says file, line, column and value, unless
//! `mode` says otherwise: no row is changed or lost in silence. Every column that files give is nullable.

mod csv;
mod csv_rows;
mod infer;
mod json;
pub(crate) mod metadata;
mod options;
mod parquet;
mod patterns;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod values;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use crannog_lake::model::{DataType, StructType};
use crannog_lake::ports::{FileFormat, FilesScan, RowStream};
use crannog_storage::{FileMeta, Folder};
use crannog_types::{Problem, Result};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use options::{Mode, Options};
pub(crate) use table::FilesTable;
use values::Bad;

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// A batch ends earlier when its text is longer than this.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Batches that wait for who reads them.
const BATCHES_AHEAD: usize = 2;

/// What to read and how: a [`FilesScan`] with its options understood.
#[derive(Clone)]
pub(crate) struct Source {
    folder: Folder,
    shown_as: String,
    files: Vec<FileMeta>,
    format: FileFormat,
    options: Options,
    /// The schema to read with, when it was given.
    schema: Option<StructType>,
    /// Columns of a file that the schema lacks are an error.
    only_known_columns: bool,
    /// Keeps the permit for as long as anything reads.
    _permit: Option<Arc<dyn Send + Sync>>,
}

impl Source {
    /// Understands a scan's options.
    ///
    /// # Errors
    /// For options that are unknown, given twice or have impossible values.
    pub(crate) fn of(scan: &FilesScan) -> Result<Self> {
        let mut source =
            Self::new(scan.folder.clone(), &scan.shown_as, scan.files.clone(), scan.format, &scan.options)?;
        if let Some(schema) = &scan.schema {
            // Somebody who names the columns in the options picks some; a table's columns must take all there is.
            source.only_known_columns = source.schema.is_none() && !source.options.merge_schema;
            source.schema = Some(schema.clone());
        }
        source._permit = Some(scan.permit.clone());
        Ok(source)
    }

    /// The same without a permit, for the tests of this module.
    fn new(
        folder: Folder,
        shown_as: &str,
        files: Vec<FileMeta>,
        format: FileFormat,
        options: &[(String, String)],
    ) -> Result<Self> {
        let options = Options::read(format, options)?;
        let (shown_as, schema) = (shown_as.trim_end_matches('/').to_owned(), options.schema.clone());
        Ok(Self { folder, shown_as, files, format, options, schema, only_known_columns: false, _permit: None })
    }

    /// A file's name in messages.
    fn shown(&self, file: &FileMeta) -> String {
        format!("{}/{}", self.shown_as, file.path)
    }

    /// The schema that reading gives: the given one, or the inferred one with the hints put over it. Columns are
    /// nullable.
    async fn infer(&self) -> Result<StructType> {
        if let Some(schema) = &self.schema {
            return Ok(nullable(schema));
        }
        let source = self.clone();
        let handle = Handle::current();
        let inferred = tokio::task::spawn_blocking(move || infer::schema(&source, &handle)).await;
        let mut inferred = inferred.map_err(|error| Problem::internal("inferring a schema failed", error))??;
        for hint in self.options.schema_hints.iter().flat_map(|hints| &hints.fields) {
            match inferred.fields.iter_mut().find(|field| same_name(&field.name, &hint.name)) {
                Some(field) => field.data_type = hint.data_type.clone(),
                None => inferred.fields.push(hint.clone()),
            }
        }
        if inferred.fields.is_empty() {
            let what = if self.files.is_empty() { "there are no files" } else { "the files are empty" };
            return Err(Problem::invalid(format!("the schema of {} cannot be inferred: {what}", self.shown_as))
                .reason("UNABLE_TO_INFER_SCHEMA")
                .sql_state("42KD9")
                .hint("give the columns, as in schema => 'id BIGINT, name STRING'"));
        }
        Ok(nullable(&inferred))
    }

    /// The rows, with the columns `projection` of `schema` (all of them without one). The place behind the last column
    /// stands for `_metadata`.
    fn rows(self, schema: &StructType, projection: Option<&[usize]>) -> RowStream {
        let full = nullable(schema);
        let mut projection = projection.map_or_else(|| (0..full.fields.len()).collect(), <[usize]>::to_vec);
        let metadata = projection.iter().position(|index| *index == full.fields.len());
        projection.retain(|index| *index < full.fields.len());
        let columns = projection.iter().filter_map(|index| full.fields.get(*index).cloned()).collect();
        let mut fields = StructType { fields: columns }.to_arrow().fields().to_vec();
        if let Some(at) = metadata {
            fields.insert(at, Arc::new(metadata::field()));
        }
        let arrow = Arc::new(Schema::new(fields));
        let (send, batches) = mpsc::channel(BATCHES_AHEAD);
        let start = async move {
            let job = Job { source: self, full, projection, metadata, arrow, handle: Handle::current() };
            let work = tokio::task::spawn_blocking(move || {
                let emit = |batch| send.blocking_send(Ok(batch)).is_ok();
                if let Err(problem) = job.run(&emit) {
                    // Nobody listens any more: nobody is told.
                    let _ = send.blocking_send(Err(problem));
                }
            });
            received(batches, work)
        };
        Box::pin(futures::stream::once(start).flatten())
    }
}

/// What the reading thread sends; a thread that dies is an error, not the end of the rows.
fn received(
    batches: mpsc::Receiver<Result<RecordBatch>>,
    work: tokio::task::JoinHandle<()>,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    futures::stream::unfold((batches, Some(work)), |(mut batches, mut work)| async move {
        if let Some(batch) = batches.recv().await {
            return Some((batch, (batches, work)));
        }
        match work.take()?.await {
            Ok(()) => None,
            Err(error) => Some((Err(Problem::internal("reading the files failed", error)), (batches, None))),
        }
    })
}

/// The schema that reading these files gives: the given one, or the inferred one. Columns are nullable.
///
/// # Errors
/// For options that are not understood, files that cannot be read, and `UNABLE_TO_INFER_SCHEMA` where nothing says it.
pub(crate) async fn infer(scan: &FilesScan) -> Result<StructType> {
    Source::of(scan)?.infer().await
}

/// The Arrow schema of the rows.
pub(crate) fn arrow_schema(schema: &StructType) -> SchemaRef {
    Arc::new(nullable(schema).to_arrow())
}

/// One reading, on its blocking thread.
struct Job {
    source: Source,
    /// Every column of the schema.
    full: StructType,
    /// Those that are wanted.
    projection: Vec<usize>,
    /// Where among them the file's own facts stand, when they are wanted.
    metadata: Option<usize>,
    /// The Arrow schema of those.
    arrow: SchemaRef,
    handle: Handle,
}

/// Takes a batch; false: nobody wants more.
type Emit<'e> = &'e dyn Fn(RecordBatch) -> bool;

impl Job {
    fn run(&self, emit: Emit<'_>) -> Result<()> {
        for file in &self.source.files {
            let more = match self.source.format {
                FileFormat::Csv => csv_rows::read(self, file, emit),
                FileFormat::Json => json::read(self, file, emit),
                FileFormat::Parquet => parquet::read(self, file, emit),
            }?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// A batch of columns of one file.
    fn made(&self, mut columns: Vec<arrow::array::ArrayRef>, rows: usize, file: &FileMeta) -> Result<RecordBatch> {
        if let Some(at) = self.metadata {
            columns.insert(at, metadata::column(&self.source.shown(file), file, rows)?);
        }
        let sized = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.arrow.clone(), columns, &sized)
            .map_err(|error| Problem::internal("a batch of rows is malformed", error))
    }

    /// A batch of columns, with the mode's answer to what is bad in it: by row, ordered. `place` names a row.
    fn batch(
        &self,
        columns: Vec<arrow::array::ArrayRef>,
        rows: usize,
        faulty: &[usize],
        bad: &[Bad],
        file: &FileMeta,
        place: &dyn Fn(usize) -> String,
    ) -> Result<RecordBatch> {
        if self.source.options.mode == Mode::FailFast
            && let Some(first) = bad.iter().min_by_key(|bad| bad.row)
        {
            return Err(first.problem(&self.source.shown(file), &place(first.row)));
        }
        let batch = self.made(columns, rows, file)?;
        if self.source.options.mode != Mode::DropMalformed || (faulty.is_empty() && bad.is_empty()) {
            return Ok(batch);
        }
        let mut keep = vec![true; rows];
        for row in faulty.iter().copied().chain(bad.iter().map(|bad| bad.row)) {
            if let Some(kept) = keep.get_mut(row) {
                *kept = false;
            }
        }
        arrow::compute::filter_record_batch(&batch, &BooleanArray::from(keep))
            .map_err(|error| Problem::internal("a batch of rows cannot be filtered", error))
    }
}

/// A failure of a whole record.
fn malformed(file: &str, place: &str, why: &str) -> Problem {
    Problem::invalid(format!("{file}, {place}: {why}"))
        .reason("MALFORMED_RECORD_IN_PARSING")
        .sql_state("22023")
        .fact("file", file)
        .fact("place", place)
        .hint("mend the file, or set mode => 'PERMISSIVE' or 'DROPMALFORMED'")
}

/// Columns of a file that the schema does not have.
fn unknown_column(file: &str, column: &str, full: &StructType) -> Problem {
    let known: Vec<&str> = full.fields.iter().map(|field| field.name.as_str()).collect();
    Problem::invalid(format!("{file} has a column '{}' that the table lacks", printable(column)))
        .fact("file", file)
        .fact("column", column)
        .hint(format!("the columns are {}; add it with mergeSchema => 'true', or select the others", known.join(", ")))
}

/// Spark's case-insensitive names.
fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The schema with every column nullable, nested ones too: files promise nothing.
fn nullable(schema: &StructType) -> StructType {
    let mut schema = schema.clone();
    for field in &mut schema.fields {
        field.nullable = true;
        loosen(&mut field.data_type);
    }
    schema
}

fn loosen(data_type: &mut DataType) {
    match data_type {
        DataType::Struct(inner) => *inner = nullable(inner),
        DataType::Array(array) => {
            array.contains_null = true;
            loosen(&mut array.element_type);
        }
        DataType::Map(map) => {
            map.value_contains_null = true;
            loosen(&mut map.key_type);
            loosen(&mut map.value_type);
        }
        _ => {}
    }
}

/// Text of a file as an error shows it: at most 100 characters, control characters escaped.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(100) {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// `200,001`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
