//! Values of results as text, by the rules of the Statement Execution API's JSON_ARRAY: what Spark's CAST to STRING gives,
//! but timestamps in ISO 8601 and UTC, binary in base64, and arrays, maps and structs as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_types::Micros;
use serde_json::{Map, Number, Value};

use crate::model::interval::{Span, calendar_text};
use crate::model::schema::DataType as DeltaType;

/// A type as clients of results see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// `LONG`, `STRING`, `DECIMAL` …
    pub name: &'static str,
    /// `BIGINT`, `DECIMAL(10,2)`, `ARRAY<INT>` …
    pub text: String,
    /// Of decimals.
    pub precision: Option<u8>,
    /// Of decimals.
    pub scale: Option<i8>,
}

/// The type of a column of a result.
pub fn column_type(field: &Field) -> ColumnType {
    let arrow = field.data_type();
    let (precision, scale) = match arrow {
        DataType::Decimal128(precision, scale) => (Some(*precision), Some(*scale)),
        _ => (None, None),
    };
    let (name, text) = match (arrow, DeltaType::from_arrow(arrow)) {
        (DataType::Duration(_) | DataType::Interval(_), _) => {
            let units = Span::of_field(field).map_or_else(String::new, |span| format!(" {span}"));
            ("INTERVAL", format!("INTERVAL{units}").to_uppercase())
        }
        (_, Ok(delta)) => (delta.type_name(), delta.to_type_text().to_uppercase()),
        (_, Err(_)) => ("STRING", "STRING".to_owned()),
    };
    ColumnType { name, text, precision, scale }
}

/// The rows of a batch, each value a text or null.
pub fn rows(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let columns: Vec<_> = batch.columns().iter().zip(schema.fields()).collect();
    (0..batch.num_rows())
        .map(|row| {
            let cell = |(column, field): &(&ArrayRef, &FieldRef)| text_of(column, field, row);
            Value::Array(columns.iter().map(cell).map(|text| text.map_or(Value::Null, Value::String)).collect())
        })
        .collect()
}

/// One value of a column as text; `None` for NULL.
fn text_of(array: &dyn Array, field: &Field, row: usize) -> Option<String> {
    match Span::of_field(field) {
        Some(span) if array.is_valid(row) => Some(span.text(interval(array, row))),
        _ => text(array, row),
    }
}

/// Months or microseconds.
fn interval(array: &dyn Array, row: usize) -> i64 {
    match array.data_type() {
        DataType::Interval(_) => i64::from(array.as_primitive::<IntervalYearMonthType>().value(row)),
        _ => array.as_primitive::<DurationMicrosecondType>().value(row),
    }
}

/// One value as text; `None` for NULL.
pub fn text(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Null => return None,
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            java_float(f64::from(value), &format!("{value:?}"), &format!("{value:e}"))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            java_float(value, &format!("{value:?}"), &format!("{value:e}"))
        }
        DataType::Decimal128(_, scale) => decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        DataType::Binary => STANDARD.encode(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => STANDARD.encode(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => STANDARD.encode(array.as_binary_view().value(row)),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let text = timestamp(micros);
            if zone.is_some() { text } else { text.trim_end_matches('Z').to_owned() }
        }
        DataType::Interval(IntervalUnit::YearMonth) => Span::YEAR_TO_MONTH.text(interval(array, row)),
        DataType::Duration(TimeUnit::Microsecond) => Span::DAY_TO_SECOND.text(interval(array, row)),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let parts = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            calendar_text(parts.months, parts.days, parts.nanoseconds / 1_000)
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) | DataType::Map(..) => {
            json(array, row).to_string()
        }
        // No result has another type.
        other => other.to_string(),
    })
}

/// One value as JSON, inside an array, a map or a struct.
fn json(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            text(array, row).and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
        }
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => {
            let text = text(array, row).unwrap_or_default();
            // Numbers keep the digits that they have; what JSON has no number for is a text.
            text.parse::<Number>().map_or(Value::String(text), Value::Number)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            Value::Array((0..list.len()).map(|at| json(&list, at)).collect())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>().value(row);
            Value::Array((0..list.len()).map(|at| json(&list, at)).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let pairs =
                fields.iter().zip(columns.columns()).map(|(field, column)| (field.name().clone(), json(column, row)));
            Value::Object(pairs.collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pairs = (0..entries.len()).map(|at| (text(keys, at).unwrap_or_default(), json(values, at)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        _ => text(array, row).map_or(Value::Null, Value::String),
    }
}

/// Java's `Double.toString`: a fraction always, and an exponent outside 10^-3 to 10^7.
fn java_float(value: f64, plain: &str, scientific: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return plain.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{dot}E{exponent}")
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let Ok(scale) = usize::try_from(scale) else {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    if scale == 0 {
        return unscaled.to_string();
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn date(days: i32) -> String {
    let text = Micros(i64::from(days) * 86_400_000_000).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// `2024-01-31T12:30:00.000Z`, with six digits when microseconds ask for them.
fn timestamp(micros: i64) -> String {
    let text = Micros(micros).to_string();
    match micros.rem_euclid(1_000) {
        0 => text,
        rest => format!("{}{rest:03}Z", text.trim_end_matches('Z')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::types::IntervalMonthDayNano;
    use arrow_array::{
        Decimal128Array, DurationMicrosecondArray, Float64Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray,
    };
    use arrow_schema::Schema;
    use serde_json::json;

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        let doubles = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (1e-3, "0.001"),
            (1e-4, "1.0E-4"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (9_999_999.0, "9999999.0"),
        ];
        for (value, expected) in doubles {
            assert_eq!(text(&Float64Array::from(vec![value]), 0).unwrap(), expected);
        }
        let decimals = Decimal128Array::from(vec![-5, 12_345]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(text(&decimals, 0).unwrap(), "-0.05");
        assert_eq!(text(&decimals, 1).unwrap(), "123.45");
    }

    #[test]
    fn moments_are_iso_in_utc() {
        let zoned = TimestampMicrosecondArray::from(vec![1_357_016_400_000_000, 1]).with_timezone("UTC");
        assert_eq!(text(&zoned, 0).unwrap(), "2013-01-01T05:00:00.000Z");
        assert_eq!(text(&zoned, 1).unwrap(), "1970-01-01T00:00:00.000001Z");
        let plain = TimestampMicrosecondArray::from(vec![0]);
        assert_eq!(text(&plain, 0).unwrap(), "1970-01-01T00:00:00.000");
        assert_eq!(date(-1), "1969-12-31");
    }

    #[test]
    fn intervals_have_the_units_of_their_column() {
        let field = Field::new("a", DataType::Duration(TimeUnit::Microsecond), true);
        let days = Span::DAY.mark(field.clone());
        assert_eq!(column_type(&field).text, "INTERVAL DAY TO SECOND");
        assert_eq!(column_type(&days).text, "INTERVAL DAY");
        let column = Arc::new(DurationMicrosecondArray::from(vec![Some(172_800_000_000), None]));
        let schema = Arc::new(Schema::new(vec![field, days]));
        let batch = RecordBatch::try_new(schema, vec![column.clone(), column]).unwrap();
        let two = json!(["INTERVAL '2 00:00:00' DAY TO SECOND", "INTERVAL '2' DAY"]);
        assert_eq!(rows(&batch), [two, json!([null, null])]);

        let months = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000_000_000)]);
        assert_eq!(text(&months, 0).unwrap(), "1 months 2 days 3 seconds");
        let calendar = Field::new("a", DataType::Interval(IntervalUnit::MonthDayNano), true);
        assert_eq!(column_type(&calendar).text, "INTERVAL");
    }
}
