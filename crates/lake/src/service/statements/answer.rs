//! What a statement answers: a schema and rows.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, Date32Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use crannog_types::{Micros, Problem, Result};
use futures::stream;

use crate::ports::RowStream;

/// The answer of a statement. Rows come as the client takes them.
pub struct Answer {
    /// The columns: Spark's names and types.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: RowStream,
}

/// Columns that the server makes itself: their names and types.
pub type Columns = &'static [(&'static str, Type)];

/// The type of a column that the server makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// STRING
    Text,
    /// BIGINT
    Long,
    /// INT
    Int,
    /// DOUBLE
    Double,
    /// BOOLEAN
    Bool,
    /// TIMESTAMP
    Timestamp,
    /// DATE
    Date,
    /// `MAP<STRING, STRING>`
    TextMap,
    /// `ARRAY<STRING>`
    TextList,
    /// `STRUCT<…>` of these
    Struct(&'static [(&'static str, Type)]),
}

/// One value that the server makes itself. `Null` fits every type.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL
    Null,
    /// STRING
    Text(String),
    /// BIGINT, or INT where the column is one
    Number(i64),
    /// DOUBLE
    Real(f64),
    /// BOOLEAN
    Bool(bool),
    /// TIMESTAMP, or DATE where the column is one
    At(Micros),
    /// `MAP<STRING, STRING>`
    TextMap(Vec<(String, String)>),
    /// `ARRAY<STRING>`
    TextList(Vec<String>),
    /// `STRUCT<…>`, its fields in order
    Struct(Vec<Cell>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Cell::Number(number)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Cell::Bool(flag)
    }
}

impl From<Micros> for Cell {
    fn from(at: Micros) -> Self {
        Cell::At(at)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

impl Answer {
    /// No columns and no rows: what most definitions answer.
    pub fn nothing() -> Self {
        Answer { schema: Arc::new(Schema::empty()), rows: Box::pin(stream::empty()) }
    }

    /// Rows that the server made.
    pub fn table(columns: &[(&'static str, Type)], rows: &[Vec<Cell>]) -> Result<Self> {
        let (schema, batch) = batch(columns, rows)?;
        Ok(Answer { schema, rows: Box::pin(stream::iter([Ok(batch)])) })
    }

    /// Rows that are there.
    pub fn batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Answer { schema, rows: Box::pin(stream::iter(batches.into_iter().map(Ok))) }
    }

    /// What changes of rows answer: `num_affected_rows` and `num_inserted_rows`.
    pub fn changed(affected: i64, inserted: i64) -> Result<Self> {
        let columns = [("num_affected_rows", Type::Long), ("num_inserted_rows", Type::Long)];
        Answer::table(&columns, &[vec![affected.into(), inserted.into()]])
    }
}

/// Rows as one batch.
///
/// # Errors
/// A cell that does not fit its column: a bug, said as one.
pub fn batch(columns: &[(&'static str, Type)], rows: &[Vec<Cell>]) -> Result<(SchemaRef, RecordBatch)> {
    let schema = schema_of(columns);
    let mut arrays = Vec::with_capacity(columns.len());
    for (at, (name, kind)) in columns.iter().enumerate() {
        let cells: Vec<&Cell> = rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null)).collect();
        arrays.push(
            array(*kind, &cells)
                .map_err(|error| Problem::internal(format!("column {name} was made wrongly"), error))?,
        );
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
        .map_err(|error| Problem::internal("rows were made wrongly", error))?;
    Ok((schema, batch))
}

/// The Arrow schema of columns that the server makes.
pub fn schema_of(columns: &[(&'static str, Type)]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, arrow_type(*kind), true)).collect();
    Arc::new(Schema::new(fields))
}

fn arrow_type(kind: Type) -> DataType {
    match kind {
        Type::Text => DataType::Utf8,
        Type::Long => DataType::Int64,
        Type::Int => DataType::Int32,
        Type::Double => DataType::Float64,
        Type::Bool => DataType::Boolean,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::Date => DataType::Date32,
        Type::TextMap => {
            let entries = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
        }
        Type::TextList => DataType::List(Arc::new(text_element())),
        Type::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, kind)| Field::new(*name, arrow_type(*kind), true)).collect())
        }
    }
}

fn text_element() -> Field {
    Field::new("element", DataType::Utf8, true)
}

fn array(kind: Type, cells: &[&Cell]) -> Result<ArrayRef, String> {
    let wrong = |cell: &Cell| format!("{cell:?} in a column of {kind:?}");
    macro_rules! build {
        ($builder:expr, $($pattern:pat => $value:expr),+) => {{
            let mut builder = $builder;
            for cell in cells {
                match cell {
                    Cell::Null => builder.append_null(),
                    $($pattern => builder.append_value($value),)+
                    other => return Err(wrong(other)),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match kind {
        Type::Text => build!(StringBuilder::new(), Cell::Text(text) => text),
        Type::Long => build!(Int64Builder::new(), Cell::Number(number) => *number),
        Type::Int => build!(Int32Builder::new(), Cell::Number(number) => i32::try_from(*number).unwrap_or(i32::MAX)),
        Type::Double => build!(Float64Builder::new(), Cell::Real(number) => *number),
        Type::Bool => build!(BooleanBuilder::new(), Cell::Bool(flag) => *flag),
        Type::Timestamp => {
            build!(TimestampMicrosecondBuilder::new().with_timezone("UTC"), Cell::At(at) => at.0)
        }
        Type::Date => {
            let days = cells.iter().map(|cell| match cell {
                Cell::Null => Ok(None),
                Cell::At(at) => Ok(i32::try_from(at.0.div_euclid(86_400_000_000)).ok()),
                other => Err(wrong(other)),
            });
            Arc::new(days.collect::<Result<Date32Array, String>>()?)
        }
        Type::TextMap => {
            let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
            for cell in cells {
                let entries = match cell {
                    Cell::Null => None,
                    Cell::TextMap(entries) => Some(entries),
                    other => return Err(wrong(other)),
                };
                for (key, value) in entries.into_iter().flatten() {
                    builder.keys().append_value(key);
                    builder.values().append_value(value);
                }
                builder.append(entries.is_some()).map_err(|error| error.to_string())?;
            }
            Arc::new(builder.finish())
        }
        Type::TextList => {
            let mut builder = ListBuilder::new(StringBuilder::new()).with_field(text_element());
            for cell in cells {
                match cell {
                    Cell::Null => builder.append_null(),
                    Cell::TextList(texts) => builder.append_value(texts.iter().map(Some)),
                    other => return Err(wrong(other)),
                }
            }
            Arc::new(builder.finish())
        }
        Type::Struct(fields) => {
            let mut arrays = Vec::with_capacity(fields.len());
            for (at, (_, field)) in fields.iter().enumerate() {
                let of_field: Vec<&Cell> = cells
                    .iter()
                    .map(|cell| match cell {
                        Cell::Struct(values) => values.get(at).unwrap_or(&Cell::Null),
                        _ => &Cell::Null,
                    })
                    .collect();
                arrays.push(array(*field, &of_field)?);
            }
            let DataType::Struct(arrow_fields) = arrow_type(kind) else { return Err("not a struct".to_owned()) };
            let nulls: Vec<bool> = cells.iter().map(|cell| !matches!(cell, Cell::Null)).collect();
            Arc::new(
                arrow_array::StructArray::try_new(arrow_fields, arrays, Some(nulls.into()))
                    .map_err(|error| error.to_string())?,
            )
        }
    })
}
