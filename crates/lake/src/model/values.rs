//! Single values of Delta's primitive types, and their texts: what partition values and statistics are made of.
//!
//! Dates are days, timestamps are microseconds since the epoch (proleptic Gregorian, as Spark 3 and later), decimals are
//! unscaled integers. A text that does not parse is an error: guessing here would hide rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use crannog_types::calendar::{civil, days_from_civil};

use super::LogError;
use super::schema::DataType;

const DAY_MICROS: i64 = 86_400_000_000;

/// A value of a primitive type.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Scalar {
    Boolean(bool),
    /// Byte, short, integer, long; days of a date; microseconds of a timestamp.
    Int(i64),
    Double(f64),
    /// Unscaled: the column's type has the scale.
    Decimal(i128),
    String(String),
    Binary(Vec<u8>),
}

impl Scalar {
    /// Reads the text of a value, as partition values spell it. Timestamps without a zone are taken as UTC.
    ///
    /// # Errors
    /// [`LogError::Value`] when the text is no value of the type, or the type is nested.
    pub fn parse(text: &str, data_type: &DataType) -> Result<Self, LogError> {
        let int = |min: i64, max: i64| text.parse().ok().filter(|v| (min..=max).contains(v)).map(Self::Int);
        let parsed = match data_type {
            DataType::String => Some(Self::String(text.to_owned())),
            DataType::Binary => Some(Self::Binary(text.as_bytes().to_vec())),
            DataType::Byte => int(i8::MIN.into(), i8::MAX.into()),
            DataType::Short => int(i16::MIN.into(), i16::MAX.into()),
            DataType::Integer => int(i32::MIN.into(), i32::MAX.into()),
            DataType::Long => int(i64::MIN, i64::MAX),
            DataType::Float | DataType::Double => parse_double(text).map(Self::Double),
            DataType::Decimal { precision, scale } => parse_decimal(text, *precision, *scale).map(Self::Decimal),
            DataType::Boolean if text.eq_ignore_ascii_case("true") => Some(Self::Boolean(true)),
            DataType::Boolean if text.eq_ignore_ascii_case("false") => Some(Self::Boolean(false)),
            DataType::Date => parse_date(text).map(|d| Self::Int(d.into())),
            DataType::Timestamp | DataType::TimestampNtz => parse_timestamp(text).map(Self::Int),
            _ => None,
        };
        parsed.ok_or_else(|| LogError::Value {
            text: text.to_owned(),
            data_type: data_type.to_type_text(),
            reason: "it does not parse, or is out of range".to_owned(),
        })
    }

    /// The text of a value, as partition values spell it: timestamps in UTC as ISO 8601 (the protocol's recommendation),
    /// decimals with all their fraction digits.
    ///
    /// # Errors
    /// [`LogError::Value`] for binary that is not UTF-8, which the protocol's spelling cannot hold.
    pub fn to_text(&self, data_type: &DataType) -> Result<String, LogError> {
        Ok(match (self, data_type) {
            (Self::Int(days), DataType::Date) => format_date(*days),
            (Self::Int(micros), DataType::Timestamp) => format!("{}Z", format_timestamp(*micros, 'T', 6)),
            (Self::Int(micros), DataType::TimestampNtz) => format_timestamp(*micros, ' ', 6),
            (Self::Decimal(unscaled), DataType::Decimal { scale, .. }) => format_decimal(*unscaled, *scale),
            (Self::Double(v), DataType::Float) => format_double(&format!("{:?}", *v as f32)),
            (Self::Double(v), _) => format_double(&format!("{v:?}")),
            (Self::Boolean(v), _) => v.to_string(),
            (Self::Int(v), _) => v.to_string(),
            (Self::Decimal(v), _) => v.to_string(),
            (Self::String(v), _) => v.clone(),
            (Self::Binary(bytes), _) => String::from_utf8(bytes.clone()).map_err(|_| LogError::Value {
                text: format!("{bytes:02x?}"),
                data_type: "binary".to_owned(),
                reason: "a binary partition value must be UTF-8; partition by hex() of the column".to_owned(),
            })?,
        })
    }

    /// The value in one row of a column; `None` is null.
    ///
    /// # Errors
    /// [`LogError::Value`] when the array is not of the type's own Arrow type (cast it first) or the type is nested.
    pub fn at(array: &dyn Array, row: usize, data_type: &DataType) -> Result<Option<Self>, LogError> {
        if array.is_null(row) || matches!(array.data_type(), ArrowType::Null) {
            return Ok(None);
        }
        Ok(Some(match (data_type, array.data_type()) {
            (DataType::Boolean, ArrowType::Boolean) => Self::Boolean(array.as_boolean().value(row)),
            (DataType::Byte, ArrowType::Int8) => Self::Int(array.as_primitive::<Int8Type>().value(row).into()),
            (DataType::Short, ArrowType::Int16) => Self::Int(array.as_primitive::<Int16Type>().value(row).into()),
            (DataType::Integer, ArrowType::Int32) => Self::Int(array.as_primitive::<Int32Type>().value(row).into()),
            (DataType::Long, ArrowType::Int64) => Self::Int(array.as_primitive::<Int64Type>().value(row)),
            (DataType::Date, ArrowType::Date32) => Self::Int(array.as_primitive::<Date32Type>().value(row).into()),
            (DataType::Timestamp | DataType::TimestampNtz, ArrowType::Timestamp(TimeUnit::Microsecond, _)) => {
                Self::Int(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            (DataType::Float, ArrowType::Float32) => {
                Self::Double(array.as_primitive::<Float32Type>().value(row).into())
            }
            (DataType::Double, ArrowType::Float64) => Self::Double(array.as_primitive::<Float64Type>().value(row)),
            (DataType::Decimal { scale, .. }, ArrowType::Decimal128(_, s)) if i8::try_from(*scale) == Ok(*s) => {
                Self::Decimal(array.as_primitive::<Decimal128Type>().value(row))
            }
            (DataType::String, ArrowType::Utf8) => Self::String(array.as_string::<i32>().value(row).to_owned()),
            (DataType::String, ArrowType::LargeUtf8) => Self::String(array.as_string::<i64>().value(row).to_owned()),
            (DataType::String, ArrowType::Utf8View) => Self::String(array.as_string_view().value(row).to_owned()),
            (DataType::Binary, ArrowType::Binary) => Self::Binary(array.as_binary::<i32>().value(row).to_vec()),
            (_, other) => {
                return Err(LogError::Value {
                    text: format!("row {row} of a column of {other}"),
                    data_type: data_type.to_type_text(),
                    reason: "the column was not cast to the table's type".to_owned(),
                });
            }
        }))
    }
}

/// A column of values in the type's Arrow type. A value of another kind, which only a caller's mistake can produce,
/// becomes null; nested types give all nulls.
#[must_use]
pub fn to_array(data_type: &DataType, values: &[Option<Scalar>]) -> ArrayRef {
    let int = |v: &Option<Scalar>| if let Some(Scalar::Int(v)) = v { Some(*v) } else { None };
    let double = |v: &Option<Scalar>| if let Some(Scalar::Double(v)) = v { Some(*v) } else { None };
    let values = values.iter();
    match data_type {
        DataType::Byte => Arc::new(Int8Array::from_iter(values.map(|v| int(v).and_then(|v| v.try_into().ok())))),
        DataType::Short => Arc::new(Int16Array::from_iter(values.map(|v| int(v).and_then(|v| v.try_into().ok())))),
        DataType::Integer => Arc::new(Int32Array::from_iter(values.map(|v| int(v).and_then(|v| v.try_into().ok())))),
        DataType::Date => Arc::new(Date32Array::from_iter(values.map(|v| int(v).and_then(|v| v.try_into().ok())))),
        DataType::Long => Arc::new(Int64Array::from_iter(values.map(int))),
        DataType::Timestamp => Arc::new(TimestampMicrosecondArray::from_iter(values.map(int)).with_timezone("UTC")),
        DataType::TimestampNtz => Arc::new(TimestampMicrosecondArray::from_iter(values.map(int))),
        DataType::Float => Arc::new(Float32Array::from_iter(values.map(|v| double(v).map(|v| v as f32)))),
        DataType::Double => Arc::new(Float64Array::from_iter(values.map(double))),
        DataType::Boolean => Arc::new(BooleanArray::from_iter(
            values.map(|v| if let Some(Scalar::Boolean(v)) = v { Some(*v) } else { None }),
        )),
        DataType::String => Arc::new(StringArray::from_iter(
            values.map(|v| if let Some(Scalar::String(v)) = v { Some(v.as_str()) } else { None }),
        )),
        DataType::Binary => Arc::new(BinaryArray::from_iter(
            values.map(|v| if let Some(Scalar::Binary(v)) = v { Some(v.as_slice()) } else { None }),
        )),
        DataType::Decimal { .. } => {
            let unscaled = values.map(|v| if let Some(Scalar::Decimal(v)) = v { Some(*v) } else { None });
            // `with_data_type` cannot fail for a decimal type; its values are within the precision by construction.
            Arc::new(Decimal128Array::from_iter(unscaled).with_data_type(data_type.to_arrow()))
        }
        DataType::Void | DataType::Variant | DataType::Struct(_) | DataType::Array(_) | DataType::Map(_) => {
            new_null_array(&data_type.to_arrow(), values.len())
        }
    }
}

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// Java's spelling of the values that Rust spells otherwise.
fn format_double(text: &str) -> String {
    text.replace("inf", "Infinity")
}

/// `12.340` at scale 3 is 12340. Exponents are understood; digits beyond the scale must be zeros.
fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut unscaled: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    let unscaled = match (shift >= 0, factor) {
        _ if unscaled == 0 => 0,
        (true, factor) => unscaled.checked_mul(factor?)?,
        (false, factor) => (unscaled % factor? == 0).then_some(unscaled / factor?)?,
    };
    let limit = 10_i128.checked_pow(precision.into())?;
    (unscaled < limit).then_some(if negative { -unscaled } else { unscaled })
}

/// 12340 at scale 3 is `12.340`.
pub(super) fn format_decimal(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

pub(super) fn format_date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

pub(super) fn parse_date(text: &str) -> Option<i32> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut parts =
        text.splitn(3, '-').map(|p| p.parse::<u32>().ok().filter(|_| p.bytes().all(|b| b.is_ascii_digit())));
    let (year, month, day) = (parts.next()?.filter(|year| *year <= 999_999)?, parts.next()??, parts.next()??);
    let year = if negative { -i64::from(year) } else { i64::from(year) };
    i32::try_from(days_from_civil(year, month, day)?).ok()
}

/// Date, separator and time with so many fraction digits (at most 6, cut off), without a zone.
pub(super) fn format_timestamp(micros: i64, separator: char, fraction_digits: usize) -> String {
    let (days, within) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    let (seconds, fraction) = (within / 1_000_000, format!("{:06}", within % 1_000_000));
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let date = format_date(days);
    format!("{date}{separator}{hour:02}:{minute:02}:{second:02}.{}", &fraction[..fraction_digits.min(6)])
}

/// `1970-01-01 00:00:00[.f]` or ISO 8601 with `T` and a zone (`Z`, `+02:00`, `+0200`); no zone is UTC.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let Some((date, time)) = text.split_once(['T', ' ']) else {
        return i64::from(parse_date(text)?).checked_mul(DAY_MICROS);
    };
    let (time, offset_minutes) = if let Some(time) = time.strip_suffix('Z') {
        (time, 0)
    } else if let Some(at) = time.rfind(['+', '-']) {
        let (sign, zone) = (if time.as_bytes()[at] == b'-' { -1 } else { 1 }, time[at + 1..].replace(':', ""));
        let zone: i64 = zone.parse().ok().filter(|_| zone.len() == 4)?;
        (&time[..at], sign * (zone / 100 * 60 + zone % 100))
    } else {
        (time, 0)
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':').map(|p| p.parse::<i64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let seconds = hour * 3600 + minute * 60 + second - offset_minutes * 60;
    let micros = seconds * 1_000_000 + digits.parse::<i64>().ok()?;
    i64::from(parse_date(date)?).checked_mul(DAY_MICROS)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways_over_all_of_time() {
        for days in (-800_000..800_000).step_by(37) {
            assert_eq!(parse_date(&format_date(days)).map(i64::from), Some(days));
        }
        assert_eq!(format_date(0), "1970-01-01");
        assert_eq!(format_date(-1), "1969-12-31");
        assert_eq!(parse_date("2024-02-29"), Some(19_782));
        for bad in ["2023-02-29", "2024-13-01", "2024-1", "x", "", "2024-01-01x", "2024-+1-01"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_in_every_spelling_of_the_protocol() {
        for (text, micros) in [
            ("1970-01-01 00:00:00", 0),
            ("1970-01-01 00:00:00.123456", 123_456),
            ("1970-01-01T00:00:00.123456Z", 123_456),
            ("1970-01-01T02:00:00.1+02:00", 100_000),
            ("1969-12-31T23:59:59.999Z", -1_000),
            ("1970-01-02", DAY_MICROS),
        ] {
            assert_eq!(parse_timestamp(text), Some(micros), "{text}");
        }
        assert_eq!(parse_timestamp("1970-01-01 25:00:00"), None);
        assert_eq!(format_timestamp(-1, 'T', 3), "1969-12-31T23:59:59.999");
        assert_eq!(format_timestamp(-1, ' ', 6), "1969-12-31 23:59:59.999999");
    }

    #[test]
    fn decimals_keep_every_digit() {
        let t = DataType::Decimal { precision: 38, scale: 10 };
        let text = "1234567890123456789012345678.0123456789";
        let v = Scalar::parse(text, &t).unwrap();
        assert_eq!(v.to_text(&t).unwrap(), text);
        assert_eq!(parse_decimal("-0.05", 3, 2), Some(-5));
        assert_eq!(format_decimal(-5, 2), "-0.05");
        assert_eq!(parse_decimal("1.5E3", 10, 0), Some(1500));
        assert_eq!(parse_decimal("1.50", 3, 1), Some(15));
        for bad in ["1.55", "", "-", "1e", "100", "1_0"] {
            assert_eq!(parse_decimal(bad, 2, 1), None, "{bad}");
        }
    }

    #[test]
    fn values_outside_their_type_are_refused() {
        for (text, t) in
            [("128", DataType::Byte), ("yes", DataType::Boolean), ("1.0", DataType::Long), ("a", DataType::Double)]
        {
            assert!(Scalar::parse(text, &t).is_err(), "{text}");
        }
        assert_eq!(Scalar::Double(f64::NEG_INFINITY).to_text(&DataType::Double).unwrap(), "-Infinity");
        assert_eq!(Scalar::Double(0.1_f32.into()).to_text(&DataType::Float).unwrap(), "0.1");
        assert!(Scalar::Binary(vec![0xff]).to_text(&DataType::Binary).is_err());
    }
}
