//! Rows into new data files of a table, with the statistics that Delta wants.
//!
//! Files are put together in memory and stored whole and durable, so no reader ever meets half of one. Memory is bounded:
//! a file closes when it has its target size, and when too many partitions are open or too much is buffered in all, the
//! biggest open file closes early. Whatever was stored is deleted again when the rows fail.
//!
//! Partition columns are not in the files; their values are in the `add` action and, escaped as Hive does, in the folder's
//! name, which is for people: readers take the value from the action. Names escape more than Hive asks for, so that a value
//! of any bytes gives a path of plain ASCII.
//!
//! Chunk statistics of float columns are left out of the Parquet footers: they pass over NaN, which Spark and DataFusion
//! order above all numbers, and a reader that trusts them loses rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast_with_options, concat_batches, nullif, take_record_batch};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use bytes::Bytes;
use crannog_lake::model::actions::{Add, PartitionValues};
use crannog_lake::model::schema::{DataType, StructType};
use crannog_lake::model::stats::{Leaf, indexed_leaves};
use crannog_lake::model::values::Scalar;
use crannog_lake::ports::{DataFile, RowStream, WriteSpec};
use crannog_types::{Code, Problem, Result};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::bounds::Collector;
use crate::errors::{from_arrow, from_log, from_object_store, from_parquet};

/// What stays as it is in a folder's name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// What stays as it is in `add.path`: the characters that names of our files have, but for the percent sign.
const IN_LOG: &AsciiSet = &PLAIN.remove(b'=').remove(b'/');
/// Hive's folder for null.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";
/// Longer names of folders are cut: file systems take 255 bytes.
const LONGEST_NAME: usize = 200;
/// Rows that are encoded between two looks at the limits.
const SLICE: usize = 8 * 1024;

/// Bounds on files and memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A file closes at this size, roughly.
    pub file: usize,
    /// A row group closes at this size, roughly.
    pub row_group: usize,
    /// Buffered in all.
    pub buffered: usize,
    /// Open files.
    pub open: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: 128 << 20, row_group: 64 << 20, buffered: 256 << 20, open: 64 }
    }
}

/// Writes all rows into new files of the folder behind `store`.
///
/// # Errors
/// The rows' own failure; `Unimplemented` for tables with column mapping or variants; `Unavailable` when a file cannot be
/// stored. No file of this call is left then, unless deleting fails, too; VACUUM finds such a file.
pub(crate) async fn write(
    store: Arc<dyn ObjectStore>,
    spec: &WriteSpec,
    limits: Limits,
    rows: RowStream,
) -> Result<Vec<Add>> {
    let mut writer = Writer::new(Sink::Store(Arc::clone(&store)), spec, limits)?;
    match writer.all(rows).await {
        Ok(()) => Ok(writer.written),
        Err(problem) => {
            for add in &writer.written {
                let Ok(path) = Path::parse(decoded(&add.path)) else { continue };
                if let Err(error) = store.delete(&path).await {
                    tracing::warn!(path = %path, %error, "a data file of a failed write is left behind");
                }
            }
            Err(problem)
        }
    }
}

/// The files of rows that are in memory, without storing them.
///
/// # Errors
/// As [`write`], but for storing.
pub(crate) async fn encode(spec: &WriteSpec, limits: Limits, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
    let mut writer = Writer::new(Sink::Memory(Vec::new()), spec, limits)?;
    // Rows of many statements: one by one they would cost the writer's overhead each time.
    let rows = rows.iter().map(|batch| writer.conformed(batch)).collect::<Result<Vec<_>>>()?;
    let all = concat_batches(&writer.columns, &rows).map_err(from_arrow)?;
    writer.all(Box::pin(futures::stream::iter([Ok(all)]))).await?;
    let Sink::Memory(contents) = writer.sink else { return Ok(Vec::new()) };
    Ok(writer.written.into_iter().zip(contents).map(|(add, bytes)| DataFile { add, bytes }).collect())
}

/// Where the content of files goes.
enum Sink {
    Store(Arc<dyn ObjectStore>),
    /// Kept, in the order of the files.
    Memory(Vec<Bytes>),
}

/// A partition column: its place among the rows' columns.
struct PartitionColumn {
    at: usize,
    name: String,
    data_type: DataType,
}

struct Writer {
    sink: Sink,
    limits: Limits,
    /// Of the rows, as they must come.
    columns: SchemaRef,
    /// The columns that are in the files, by place.
    in_files: Vec<usize>,
    file_schema: SchemaRef,
    partitions: Vec<PartitionColumn>,
    keys: RowConverter,
    leaves: Vec<Leaf>,
    properties: WriterProperties,
    modification_time: i64,
    open: HashMap<Option<OwnedRow>, OpenFile>,
    opened: usize,
    written: Vec<Add>,
}

struct OpenFile {
    /// Of the call's files, which are closed in the order in which they were opened.
    number: usize,
    writer: ArrowWriter<Vec<u8>>,
    statistics: Collector,
    values: PartitionValues,
    folder: String,
}

impl OpenFile {
    /// Bytes of the file if it closed now, roughly.
    fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Bytes that it holds in memory.
    fn buffered(&self) -> usize {
        self.writer.bytes_written() + self.writer.memory_size()
    }
}

impl Writer {
    fn new(sink: Sink, spec: &WriteSpec, mut limits: Limits) -> Result<Self> {
        writable(spec)?;
        if let Some(size) = spec.metadata.configuration.get("delta.targetFileSize") {
            limits.file = bytes_of(size).ok_or_else(|| {
                Problem::invalid(format!("the property delta.targetFileSize is '{size}', which is no size"))
                    .hint("set it to a number of bytes, or to text such as '128mb'")
            })?;
            limits.row_group = limits.row_group.min(limits.file);
        }
        let columns = Arc::new(spec.schema.to_arrow());
        let mut partitions = Vec::new();
        for name in &spec.metadata.partition_columns {
            let at = spec.schema.fields.iter().position(|field| field.name == *name).ok_or_else(|| {
                Problem::new(Code::DataLoss, format!("the partition column '{name}' is not in the table's schema"))
            })?;
            partitions.push(PartitionColumn {
                at,
                name: name.clone(),
                data_type: spec.schema.fields[at].data_type.clone(),
            });
        }
        let in_files: Vec<usize> = (0..columns.fields().len())
            .filter(|at| {
                partitions.iter().all(|p| p.at != *at) && !matches!(columns.field(*at).data_type(), ArrowType::Null)
            })
            .collect();
        if in_files.is_empty() {
            return Err(Problem::invalid("a table needs at least one column that it is not partitioned by")
                .reason("ALL_PARTITION_COLUMNS_NOT_ALLOWED"));
        }
        let file_schema = Arc::new(columns.project(&in_files).map_err(from_arrow)?);
        let sort_fields = partitions.iter().map(|p| SortField::new(p.data_type.to_arrow())).collect();
        let leaves = indexed_leaves(&spec.schema, &spec.metadata).map_err(|e| Problem::invalid(e.to_string()))?;
        Ok(Self {
            sink,
            limits,
            properties: properties(&file_schema),
            in_files,
            file_schema,
            keys: RowConverter::new(sort_fields).map_err(from_arrow)?,
            partitions,
            leaves: leaves.into_iter().filter(|leaf| !matches!(leaf.data_type, DataType::Void)).collect(),
            columns,
            modification_time: spec.now.millis(),
            open: HashMap::new(),
            opened: 0,
            written: Vec::new(),
        })
    }

    async fn all(&mut self, mut rows: RowStream) -> Result<()> {
        while let Some(batch) = rows.next().await {
            let batch = self.conformed(&batch?)?;
            for from in (0..batch.num_rows()).step_by(SLICE) {
                self.slice(&batch.slice(from, SLICE.min(batch.num_rows() - from))).await?;
            }
        }
        let mut left: Vec<_> = self.open.iter().map(|(key, file)| (file.number, key.clone())).collect();
        left.sort_unstable_by_key(|(number, _)| *number);
        for (_, key) in left {
            self.close(&key).await?;
        }
        Ok(())
    }

    /// The batch with exactly the table's types; nulls in columns that have none are refused.
    fn conformed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.num_columns() != self.columns.fields().len() {
            let (found, wanted) = (batch.num_columns(), self.columns.fields().len());
            return Err(Problem::new(Code::Internal, format!("rows have {found} columns, the table has {wanted}")));
        }
        let column = |(field, column): (&FieldRef, &ArrayRef)| {
            if !field.is_nullable() && column.logical_null_count() > 0 {
                return Err(Problem::invalid(format!(
                    "the column '{}' is NOT NULL, and a row has null in it",
                    field.name()
                ))
                .reason("DELTA_NOT_NULL_CONSTRAINT_VIOLATED")
                .sql_state("23502")
                .hint("filter such rows out, or give them a value with coalesce"));
            }
            match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => cast_with_options(column, field.data_type(), &STRICT).map_err(from_arrow),
            }
        };
        let columns = self.columns.fields().iter().zip(batch.columns()).map(column).collect::<Result<_>>()?;
        RecordBatch::try_new(Arc::clone(&self.columns), columns).map_err(from_arrow)
    }

    async fn slice(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.partitions.is_empty() {
            return self.append(None, batch).await;
        }
        let mut keys = Vec::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            keys.push(empty_as_null(batch.column(partition.at), partition, &self.columns)?);
        }
        let rows = self.keys.convert_columns(&keys).map_err(from_arrow)?;
        let mut groups: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        let mut order = Vec::new();
        for (index, row) in (0_u32..).zip(rows.iter()) {
            let group = groups.entry(row.owned()).or_default();
            if group.is_empty() {
                order.push(row.owned());
            }
            group.push(index);
        }
        for key in order {
            let Some(indices) = groups.remove(&key) else { continue };
            let group = take_record_batch(batch, &UInt32Array::from(indices)).map_err(from_arrow)?;
            self.append(Some(key), &group).await?;
        }
        Ok(())
    }

    /// Adds rows of one partition to its file.
    async fn append(&mut self, key: Option<OwnedRow>, batch: &RecordBatch) -> Result<()> {
        let data = batch.project(&self.in_files).map_err(from_arrow)?;
        if !self.open.contains_key(&key) {
            while self.open.len() >= self.limits.open {
                self.close_biggest().await?;
            }
            let file = self.opened(batch)?;
            self.open.insert(key.clone(), file);
        }
        let Some(file) = self.open.get_mut(&key) else { return Ok(()) };
        file.statistics.add(&data)?;
        file.writer.write(&data).map_err(from_parquet)?;
        if file.writer.in_progress_size() >= self.limits.row_group {
            file.writer.flush().map_err(from_parquet)?;
        }
        if file.size() >= self.limits.file {
            self.close(&key).await?;
        }
        while self.open.values().map(OpenFile::buffered).sum::<usize>() > self.limits.buffered {
            self.close_biggest().await?;
        }
        Ok(())
    }

    /// A new file for the partition of the batch's first row.
    fn opened(&mut self, batch: &RecordBatch) -> Result<OpenFile> {
        let mut values = PartitionValues::new();
        let mut folder = String::new();
        for partition in &self.partitions {
            let value = Scalar::at(batch.column(partition.at).as_ref(), 0, &partition.data_type).map_err(from_log)?;
            let text = value.map(|v| v.to_text(&partition.data_type)).transpose();
            let text = text.map_err(|e| Problem::invalid(e.to_string()))?.filter(|text| !text.is_empty());
            folder.push_str(&folder_name(&partition.name, text.as_deref()));
            folder.push('/');
            values.insert(partition.name.clone(), text);
        }
        let options = ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&self.file_schema), options);
        self.opened += 1;
        Ok(OpenFile {
            number: self.opened,
            writer: writer.map_err(from_parquet)?,
            statistics: Collector::new(&self.leaves),
            values,
            folder,
        })
    }

    async fn close_biggest(&mut self) -> Result<()> {
        let biggest =
            self.open.iter().max_by_key(|(_, file)| (file.buffered(), file.number)).map(|(key, _)| key.clone());
        match biggest {
            Some(key) => self.close(&key).await,
            None => Ok(()),
        }
    }

    /// Stores a file, and notes it as written.
    async fn close(&mut self, key: &Option<OwnedRow>) -> Result<()> {
        let Some(file) = self.open.remove(key) else { return Ok(()) };
        let bytes = Bytes::from(file.writer.into_inner().map_err(from_parquet)?);
        let number = self.written.len();
        let path = format!("{}part-{number:05}-{}-c000.snappy.parquet", file.folder, Uuid::new_v4());
        let location =
            Path::parse(&path).map_err(|e| Problem::internal("the path of a new data file is refused", e))?;
        let size = i64::try_from(bytes.len()).map_err(|e| Problem::internal("a data file is too big", e))?;
        // Noted first: a store that fails may have stored it all the same.
        self.written.push(Add {
            path: utf8_percent_encode(&path, IN_LOG).to_string(),
            partition_values: file.values,
            size,
            modification_time: self.modification_time,
            data_change: true,
            stats: Some(file.statistics.finish().render()),
            ..Add::default()
        });
        match &mut self.sink {
            Sink::Store(store) => store.put(&location, bytes.into()).await.map(|_| ()).map_err(from_object_store),
            Sink::Memory(contents) => {
                contents.push(bytes);
                Ok(())
            }
        }
    }
}

const STRICT: arrow::compute::CastOptions<'static> =
    arrow::compute::CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// Delta has no empty strings in partition columns: they are null.
fn empty_as_null(column: &ArrayRef, partition: &PartitionColumn, columns: &Schema) -> Result<ArrayRef> {
    let Some(texts) = column.as_any().downcast_ref::<StringArray>() else { return Ok(Arc::clone(column)) };
    let empty: BooleanArray = texts.iter().map(|text| Some(text.is_some_and(str::is_empty))).collect();
    if empty.true_count() == 0 {
        return Ok(Arc::clone(column));
    }
    if !columns.field(partition.at).is_nullable() {
        let message =
            format!("the partition column '{}' is NOT NULL, and the empty string counts as null there", partition.name);
        return Err(Problem::invalid(message).reason("DELTA_NOT_NULL_CONSTRAINT_VIOLATED").sql_state("23502"));
    }
    nullif(texts, &empty).map_err(from_arrow)
}

fn folder_name(column: &str, value: Option<&str>) -> String {
    let name = utf8_percent_encode(column, PLAIN);
    let mut folder = match value {
        Some(value) => format!("{name}={}", utf8_percent_encode(value, PLAIN)),
        None => format!("{name}={NULL_FOLDER}"),
    };
    folder.truncate(LONGEST_NAME);
    folder
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn properties(schema: &Schema) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("crannog version ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut floats = Vec::new();
    for field in schema.fields() {
        float_columns(field, &mut Vec::new(), &mut floats);
    }
    for path in floats {
        builder = builder.set_column_statistics_enabled(ColumnPath::new(path), EnabledStatistics::None);
    }
    builder.build()
}

/// The paths of float columns in a Parquet schema.
fn float_columns(field: &FieldRef, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    path.push(field.name().clone());
    match field.data_type() {
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => found.push(path.clone()),
        ArrowType::Struct(fields) => fields.iter().for_each(|field| float_columns(field, path, found)),
        ArrowType::List(element) => {
            path.push("list".to_owned());
            float_columns(element, path, found);
            path.pop();
        }
        ArrowType::Map(entries, _) => float_columns_of_map(entries, path, found),
        _ => {}
    }
    path.pop();
}

fn float_columns_of_map(entries: &FieldRef, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if let ArrowType::Struct(fields) = entries.data_type() {
        path.push(entries.name().clone());
        fields.iter().for_each(|field| float_columns(field, path, found));
        path.pop();
    }
}

/// Refuses tables that would be written wrongly.
fn writable(spec: &WriteSpec) -> Result<()> {
    let refuse = |what: &str| {
        Problem::new(Code::Unimplemented, format!("the table cannot be written: {what}"))
            .reason("DELTA_UNSUPPORTED_FEATURES_FOR_WRITE")
            .hint("write it with Spark")
    };
    let mode = spec.metadata.configuration.get("delta.columnMapping.mode").map_or("none", String::as_str);
    if !mode.eq_ignore_ascii_case("none") {
        return Err(refuse(&format!("its columns are mapped by {mode}, which is not supported")));
    }
    if spec.schema.any_type(|t| matches!(t, DataType::Variant)) {
        return Err(refuse("it has a column of type variant, which is not supported"));
    }
    if spec.schema.fields.iter().any(|field| hides_void(&field.data_type)) {
        return Err(refuse("it has a nested column of type void, which Parquet cannot hold"));
    }
    Ok(())
}

/// Void inside of a nested type.
fn hides_void(data_type: &DataType) -> bool {
    let is = |t: &DataType| matches!(t, DataType::Void) || hides_void(t);
    match data_type {
        DataType::Struct(StructType { fields }) => fields.iter().any(|field| is(&field.data_type)),
        DataType::Array(array) => is(&array.element_type),
        DataType::Map(map) => is(&map.key_type) || is(&map.value_type),
        _ => false,
    }
}

/// `104857600`, `100mb`, `1g`: Spark's spelling of sizes, in powers of 1024.
fn bytes_of(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n > 0)
}
