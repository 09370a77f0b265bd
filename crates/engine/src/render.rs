//! Results as text: Spark's name of a type, and a value as `CAST(… AS STRING)` or `to_json` gives it.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Field;
use crannog_lake::model::interval::Span;
use crannog_types::Result;

use crate::errors::from_datafusion;
use crate::spark::zone::Zone;
use crate::spark::{interval, json, text, types};

/// Spark's `simpleString` of a column's type: `bigint`, `array<string>`, `interval day to hour`.
#[must_use]
pub fn type_text(field: &Field) -> String {
    match Span::of_field(field) {
        Some(span) => format!("interval {span}"),
        None => types::text(&types::normal(field.data_type())),
    }
}

/// One value of a column as `CAST(… AS STRING)`; `None` for NULL. Timestamps stand in `time_zone`.
///
/// # Errors
/// A time zone that is not known, a type without a text form.
pub fn value_text(array: &ArrayRef, field: &Field, row: usize, time_zone: &str) -> Result<Option<String>> {
    if let Some(span) = Span::of_field(field) {
        return Ok(interval::text(array, row, span));
    }
    let zone = Zone::parse(time_zone).map_err(from_datafusion)?;
    text::value(array, row, &zone).map_err(from_datafusion)
}

/// One value as `to_json` with NULL fields kept; `None` for NULL.
///
/// # Errors
/// As [`value_text`].
pub fn json_text(array: &ArrayRef, row: usize, time_zone: &str) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let zone = Zone::parse(time_zone).map_err(from_datafusion)?;
    let mut out = String::new();
    json::write(&mut out, array, row, &zone, true).map_err(from_datafusion)?;
    Ok(Some(out))
}
