//! Parquet files as batches, their columns matched by name and widened without loss.

use std::ops::Range;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ArrowReaderOptions;
use ::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use bytes::Bytes;
use crannog_lake::model::{DataType, StructType};
use crannog_storage::{FileMeta, Folder};
use crannog_types::{Code, Problem, Result};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;

use super::{BATCH_ROWS, Emit, Job, Source, nullable, same_name, unknown_column};

type Builder = ParquetRecordBatchStreamBuilder<Ranges>;

/// A file of the folder as the Parquet reader asks for it.
struct Ranges {
    folder: Folder,
    file: FileMeta,
}

impl AsyncFileReader for Ranges {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            self.folder.get_range(&self.file.path, range).await.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let read = self.folder.get_ranges(&self.file.path, ranges).await;
            read.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let size = self.file.size;
            Ok(Arc::new(ParquetMetaDataReader::new().load_and_finish(self, size).await?))
        }
        .boxed()
    }
}

fn open(source: &Source, file: &FileMeta, handle: &Handle) -> Result<Builder> {
    let shown = source.shown(file);
    let reader = Ranges { folder: source.folder.clone(), file: file.clone() };
    handle.block_on(Builder::new(reader)).map_err(|error| failed(&shown, error))
}

fn failed(shown: &str, error: ParquetError) -> Problem {
    let code = match &error {
        ParquetError::External(_) => Code::Unavailable,
        _ => Code::InvalidArgument,
    };
    Problem::new(code, format!("{shown} cannot be read as a Parquet file: {error}"))
        .fact("file", shown)
        .hint("replace the file, or read it in its own format")
        .caused_by(error)
}

/// The columns of the first file, or with `mergeSchema` of all.
pub(super) fn schema(source: &Source, handle: &Handle) -> Result<StructType> {
    let mut found = StructType::default();
    for file in &source.files {
        let columns = columns(&open(source, file, handle)?, &source.shown(file))?;
        if !source.options.merge_schema {
            return Ok(columns);
        }
        for column in columns.fields {
            match found.fields.iter_mut().find(|known| same_name(&known.name, &column.name)) {
                None => found.fields.push(column),
                Some(known) if widens(&column.data_type, &known.data_type) => {}
                Some(known) if widens(&known.data_type, &column.data_type) => known.data_type = column.data_type,
                Some(known) => {
                    return Err(mismatch(&source.shown(file), &column.name, &column.data_type, &known.data_type));
                }
            }
        }
    }
    Ok(found)
}

fn columns(builder: &Builder, shown: &str) -> Result<StructType> {
    StructType::from_arrow(builder.schema())
        .map(|columns| nullable(&columns))
        .map_err(|error| Problem::invalid(format!("{shown}: {error}")).fact("file", shown))
}

/// Reads a file; false: nobody wants more.
pub(super) fn read(job: &Job, file: &FileMeta, emit: Emit<'_>) -> Result<bool> {
    let shown = job.source.shown(file);
    let builder = open(&job.source, file, &job.handle)?;
    let has = columns(&builder, &shown)?;
    if job.source.only_known_columns
        && let Some(unknown) =
            has.fields.iter().find(|has| !job.full.fields.iter().any(|field| same_name(&field.name, &has.name)))
    {
        return Err(unknown_column(&shown, &unknown.name, &job.full));
    }
    let wanted: Vec<_> = job.projection.iter().filter_map(|column| job.full.fields.get(*column)).collect();
    let mut roots = Vec::new();
    let mut sources = Vec::new();
    for field in &wanted {
        let root = has.fields.iter().position(|has| same_name(&has.name, &field.name));
        if let Some(root) = root {
            let from = &has.fields[root].data_type;
            if !widens(from, &field.data_type) {
                return Err(mismatch(&shown, &field.name, from, &field.data_type));
            }
            roots.push(root);
        }
        sources.push(root);
    }
    roots.sort_unstable();
    roots.dedup();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    let stream =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| failed(&shown, error))?;
    let mut stream = std::pin::pin!(stream);
    while let Some(batch) = job.handle.block_on(stream.next()) {
        let batch = batch.map_err(|error| failed(&shown, error))?;
        let mut arrays = Vec::with_capacity(wanted.len());
        for (field, root) in wanted.iter().zip(&sources) {
            let read = root.and_then(|root| roots.binary_search(&root).ok());
            arrays.push(match read {
                Some(index) => convert(batch.column(index), &field.data_type, &shown, &field.name)?,
                None => new_null_array(&field.data_type.to_arrow(), batch.num_rows()),
            });
        }
        if !emit(job.made(arrays, batch.num_rows(), file)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn convert(array: &ArrayRef, to: &DataType, shown: &str, name: &str) -> Result<ArrayRef> {
    let to = to.to_arrow();
    if *array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &to, &strict).map_err(|error| {
        Problem::invalid(format!("{shown}, column '{name}': a value does not fit {to}"))
            .fact("file", shown)
            .fact("column", name)
            .caused_by(error)
    })
}

fn mismatch(shown: &str, column: &str, from: &DataType, to: &DataType) -> Problem {
    let (from, to) = (from.to_type_text().to_uppercase(), to.to_type_text().to_uppercase());
    Problem::invalid(format!("{shown}, column '{column}': the file has {from}, which cannot be read as {to}"))
        .reason("FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH")
        .fact("file", shown)
        .fact("column", column)
        .hint(format!("read it as {from} and cast it in the query"))
}

/// Whether every value of one type is a value of another. A Parquet time without zone counts as UTC (INT96 has none).
fn widens(from: &DataType, to: &DataType) -> bool {
    let whole_digits = |whole: &DataType| match whole {
        DataType::Byte => Some(3),
        DataType::Short => Some(5),
        DataType::Integer => Some(10),
        DataType::Long => Some(19),
        _ => None,
    };
    match (from, to) {
        _ if from == to => true,
        (DataType::Void, _) => true,
        (DataType::TimestampNtz, DataType::Timestamp) | (DataType::Date, DataType::TimestampNtz) => true,
        (DataType::Float, DataType::Double) => true,
        (DataType::Byte | DataType::Short, DataType::Float) => true,
        (DataType::Byte | DataType::Short | DataType::Integer, DataType::Double) => true,
        (DataType::Decimal { precision: p, scale: s }, DataType::Decimal { precision, scale }) => {
            scale >= s && precision - scale >= p - s
        }
        (whole, DataType::Decimal { precision, scale }) => {
            whole_digits(whole).is_some_and(|digits| precision - scale >= digits)
        }
        (whole, wider) => match (whole_digits(whole), whole_digits(wider)) {
            (Some(digits), Some(wider)) => wider >= digits,
            _ => false,
        },
    }
}
