//! `_metadata`: what is known of the file that a row came from.
//!
//! A column that is there when it is named and not in `*`, as Spark's. The path is that under which the caller knows the
//! file (`/Volumes/…`), never one of this machine.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use crannog_storage::FileMeta;
use crannog_types::{Problem, Result};

/// The column's name.
pub(crate) const NAME: &str = "_metadata";
/// A key of a field that says: only by name.
const HIDDEN: &str = "crannog.hidden";

fn fields() -> Fields {
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Fields::from(vec![
        text("file_path"),
        text("file_name"),
        long("file_size"),
        long("file_block_start"),
        long("file_block_length"),
        Field::new("file_modification_time", moment, true),
    ])
}

/// The column.
pub(super) fn field() -> Field {
    Field::new(NAME, DataType::Struct(fields()), true).with_metadata([(HIDDEN.to_owned(), String::new())].into())
}

/// Whether a column is one that `*` does not give.
pub(crate) fn is_hidden(field: &Field) -> bool {
    field.metadata().contains_key(HIDDEN)
}

/// The column's values for rows of one file, which is `shown` in messages.
pub(super) fn column(shown: &str, file: &FileMeta, rows: usize) -> Result<ArrayRef> {
    let text = |text: &str| Arc::new(StringArray::new_repeated(text, rows)) as ArrayRef;
    let long = |value: i64| Arc::new(Int64Array::from_value(value, rows)) as ArrayRef;
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    let moment = TimestampMicrosecondArray::from_value(file.modified.0, rows).with_timezone("UTC");
    let name = shown.rsplit('/').next().unwrap_or(shown);
    let columns = vec![text(shown), text(name), long(size), long(0), long(size), Arc::new(moment)];
    let made = StructArray::try_new_with_length(fields(), columns, None, rows);
    Ok(Arc::new(made.map_err(|error| Problem::internal("the files' metadata cannot be put together", error))?))
}
