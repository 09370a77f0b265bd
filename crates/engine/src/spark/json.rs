//! `to_json`: values as JSON text.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMicrosecondType};

use super::error::Result;
use super::text;
use super::zone::Zone;

/// A JSON string.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `2024-01-01T12:00:00.000Z`, in the zone.
pub(crate) fn moment(micros: i64, zone: Option<&Zone>) -> String {
    let local = zone.map_or(micros, |zone| zone.to_local(micros));
    let (days, of_day) = (local.div_euclid(86_400_000_000), local.rem_euclid(86_400_000_000));
    let seconds = of_day / 1_000_000;
    let mut out = format!(
        "{}T{:02}:{:02}:{:02}.{:03}",
        text::date(i32::try_from(days).unwrap_or(0)),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        of_day % 1_000_000 / 1000
    );
    if let Some(zone) = zone {
        let offset = zone.offset_at(micros);
        out.push_str(&if offset == 0 {
            "Z".to_owned()
        } else {
            super::zone::offset_text(i32::try_from(offset).unwrap_or(0), true)
        });
    }
    out
}

/// Whether a value is NULL, one without a type among them.
fn absent(array: &ArrayRef, row: usize) -> bool {
    *array.data_type() == DataType::Null || array.is_null(row)
}

/// Appends one value.
///
/// # Errors
/// A type without a text form.
pub(crate) fn write(out: &mut String, array: &ArrayRef, row: usize, zone: &Zone, keep_nulls: bool) -> Result<()> {
    if absent(array, row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            let shown = text::float(value);
            if value.is_finite() { out.push_str(&shown) } else { quote(out, &shown) }
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            let shown = text::double(value);
            if value.is_finite() { out.push_str(&shown) } else { quote(out, &shown) }
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Decimal128(..) => {
            out.push_str(&text::value(array, row, zone)?.unwrap_or_default());
        }
        DataType::Timestamp(_, with_zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            quote(out, &moment(micros, with_zone.as_ref().map(|_| zone)));
        }
        DataType::Binary => quote(out, &super::functions::encode::base64(array.as_binary::<i32>().value(row))),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for at in 0..items.len() {
                if at > 0 {
                    out.push(',');
                }
                write(out, &items, at, zone, keep_nulls)?;
            }
            out.push(']');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for at in 0..entries.len() {
                if at > 0 {
                    out.push(',');
                }
                quote(out, &text::value(entries.column(0), at, zone)?.unwrap_or_default());
                out.push(':');
                write(out, entries.column(1), at, zone, keep_nulls)?;
            }
            out.push('}');
        }
        DataType::Struct(fields) => {
            out.push('{');
            let mut first = true;
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                if absent(column, row) && !keep_nulls {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                quote(out, field.name());
                out.push(':');
                write(out, column, row, zone, keep_nulls)?;
            }
            out.push('}');
        }
        _ => quote(out, &text::value(array, row, zone)?.unwrap_or_default()),
    }
    Ok(())
}
