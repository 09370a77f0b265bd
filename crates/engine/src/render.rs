//! Results as text: Spark's name of a type, and a value as `CAST(… AS STRING)` or `to_json` gives it.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use crannog_types::Result;

use crate::errors::from_datafusion;
use crate::spark::zone::Zone;
use crate::spark::{json, text, types};

/// Spark's `simpleString`: `bigint`, `array<string>`, `decimal(10,2)`.
#[must_use]
pub fn type_text(data_type: &DataType) -> String {
    types::text(&types::normal(data_type))
}

/// One value as `CAST(… AS STRING)`; `None` for NULL. Timestamps stand in `time_zone`.
///
/// # Errors
/// A time zone that is not known, a type without a text form.
pub fn value_text(array: &ArrayRef, row: usize, time_zone: &str) -> Result<Option<String>> {
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
