//! Values as Spark shows them: `CAST(… AS STRING)`, and with it results in text.
//!
//! Floating point follows Java's `Double.toString` (scientific from 1.0E7 on and below 0.001), timestamps drop trailing
//! zeros of the fraction and stand in the session's time zone.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimestampMicrosecondType,
};
use crannog_lake::model::interval::{Span, calendar_text};

use super::error::{Result, unsupported};
use super::zone::Zone;

fn java_float(shortest_scientific: &str, value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0.0" }.into();
    }
    // "-1.234e5" → digits and exponent
    let (sign, rest) = match shortest_scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", shortest_scientific),
    };
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if (-3..7).contains(&exponent) {
        if exponent < 0 {
            let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
            return format!("{sign}0.{zeros}{digits}");
        }
        let whole = usize::try_from(exponent).unwrap_or(0) + 1;
        let mut padded = digits;
        while padded.len() < whole {
            padded.push('0');
        }
        let (left, right) = padded.split_at(whole);
        let right = if right.is_empty() { "0" } else { right };
        return format!("{sign}{left}.{right}");
    }
    let (first, others) = digits.split_at(1);
    let others = if others.is_empty() { "0" } else { others };
    format!("{sign}{first}.{others}E{exponent}")
}

/// A DOUBLE.
pub(crate) fn double(value: f64) -> String {
    // Java shows two digits of the smallest double, Rust the one that suffices.
    if value.abs() == f64::from_bits(1) {
        return if value < 0.0 { "-4.9E-324".into() } else { "4.9E-324".into() };
    }
    java_float(&format!("{value:e}"), value)
}

/// A FLOAT.
pub(crate) fn float(value: f32) -> String {
    java_float(&format!("{value:e}"), f64::from(value))
}

/// A DECIMAL of that scale, never in scientific form.
pub(crate) fn decimal(unscaled: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        return unscaled.to_string();
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// A DATE, in days since 1970-01-01.
pub(crate) fn date(days: i32) -> String {
    let (year, month, day) = super::zone::civil(i64::from(days));
    if year > 9999 {
        format!("+{year:05}-{month:02}-{day:02}")
    } else if year < 0 {
        format!("-{:04}-{month:02}-{day:02}", -year)
    } else {
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// A wall-clock time in microseconds since 1970-01-01.
pub(crate) fn local_time(micros: i64) -> String {
    let days = micros.div_euclid(86_400_000_000);
    let of_day = micros.rem_euclid(86_400_000_000);
    let mut text = date(i32::try_from(days).unwrap_or(0));
    let seconds = of_day / 1_000_000;
    let _ = write!(text, " {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = of_day % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text
}

/// One value as `CAST(… AS STRING)` gives it; `None` for NULL.
///
/// # Errors
/// A type that has no text form.
pub(crate) fn value(array: &ArrayRef, row: usize, zone: &Zone) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let nested = |child: &ArrayRef, at: usize| -> Result<String> {
        Ok(value(child, at, zone)?.unwrap_or_else(|| "null".into()))
    };
    Ok(Some(match array.data_type() {
        DataType::Null => return Ok(None),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into_owned(),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(_, with_zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            local_time(if with_zone.is_some() { zone.to_local(micros) } else { micros })
        }
        DataType::Duration(_) => Span::DAY_TO_SECOND.text(array.as_primitive::<DurationMicrosecondType>().value(row)),
        DataType::Interval(IntervalUnit::YearMonth) => {
            Span::YEAR_TO_MONTH.text(i64::from(array.as_primitive::<IntervalYearMonthType>().value(row)))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let parts = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            calendar_text(parts.months, parts.days, parts.nanoseconds / 1_000)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let parts = (0..items.len()).map(|at| nested(&items, at)).collect::<Result<Vec<_>>>()?;
            format!("[{}]", parts.join(", "))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let parts = (0..entries.len())
                .map(|at| Ok(format!("{} -> {}", nested(keys, at)?, nested(values, at)?)))
                .collect::<Result<Vec<_>>>()?;
            format!("{{{}}}", parts.join(", "))
        }
        DataType::Struct(_) => {
            let fields = array.as_struct();
            let parts = fields.columns().iter().map(|child| nested(child, row)).collect::<Result<Vec<_>>>()?;
            format!("{{{}}}", parts.join(", "))
        }
        other => return Err(unsupported(format!("the text of type {other}"))),
    }))
}
