//! Spark's types on Arrow's, and the rules by which two types meet (ANSI mode).
//!
//! One Arrow type stands for each Spark type: STRING is `Utf8`, TIMESTAMP is microseconds with zone `UTC`, a day-time
//! interval is a duration in microseconds, everything nested is nullable. Relations are brought to these at the scan, so
//! that equality of Arrow types is equality of Spark types from there on. Source of the rules: Spark's
//! `AnsiTypeCoercion` and `DecimalPrecision`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};

/// TIMESTAMP.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// TIMESTAMP_NTZ.
pub(crate) fn timestamp_ntz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// INTERVAL DAY TO SECOND.
pub(crate) fn day_time() -> DataType {
    DataType::Duration(TimeUnit::Microsecond)
}

/// ARRAY.
pub(crate) fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

/// MAP.
pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// STRUCT.
pub(crate) fn struct_of<N: Into<String>>(fields: impl IntoIterator<Item = (N, DataType)>) -> DataType {
    DataType::Struct(fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect())
}

/// The key's and the value's field of a map.
pub(crate) fn map_fields(entries: &FieldRef) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// The one Arrow type that stands for the Spark type that this Arrow type holds.
pub(crate) fn normal(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Utf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, Some(_)) => timestamp(),
        DataType::Timestamp(_, None) => timestamp_ntz(),
        DataType::Duration(_) => day_time(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, value) => normal(value),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::FixedSizeList(field, _) => list_of(normal(field.data_type())),
        DataType::Map(entries, _) => match map_fields(entries) {
            Some((key, value)) => map_of(normal(key.data_type()), normal(value.data_type())),
            None => data_type.clone(),
        },
        DataType::Struct(fields) => {
            struct_of(fields.iter().map(|field| (field.name().clone(), normal(field.data_type()))))
        }
        other => other.clone(),
    }
}

/// Spark's `simpleString`: `bigint`, `array<string>`.
pub(crate) fn text(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "bigint".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp_ntz".into(),
        DataType::Duration(_) => "interval day to second".into(),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::List(field) => format!("array<{}>", text(field.data_type())),
        DataType::Map(entries, _) => match map_fields(entries) {
            Some((key, value)) => format!("map<{},{}>", text(key.data_type()), text(value.data_type())),
            None => "map".into(),
        },
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}:{}", field.name(), text(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        other => format!("{other}").to_lowercase(),
    }
}

/// As error messages and column names show a type: `BIGINT`, `DECIMAL(10,2)`.
pub(crate) fn sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name(), sql(field.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match map_fields(entries) {
            Some((key, value)) => format!("MAP<{}, {}>", sql(key.data_type()), sql(value.data_type())),
            None => "MAP".into(),
        },
        DataType::List(field) => format!("ARRAY<{}>", sql(field.data_type())),
        other => text(other).to_uppercase(),
    }
}

/// TINYINT to BIGINT.
pub(crate) fn is_integral(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// FLOAT and DOUBLE.
pub(crate) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// DECIMAL.
pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

/// Any number.
pub(crate) fn is_numeric(data_type: &DataType) -> bool {
    is_integral(data_type) || is_float(data_type) || is_decimal(data_type)
}

/// DATE, TIMESTAMP, TIMESTAMP_NTZ.
pub(crate) fn is_datetime(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
}

/// Both kinds of ANSI interval, and the old one.
pub(crate) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Duration(_) | DataType::Interval(_))
}

/// Not nested.
pub(crate) fn is_atomic(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::List(_) | DataType::Map(..) | DataType::Struct(_) | DataType::Null)
}

/// Precision and scale of the decimal that holds every value of an integral type.
pub(crate) fn integral_as_decimal(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (20, 0),
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        _ => return None,
    })
}

/// `DecimalType.adjustPrecisionScale`: keeps whole digits, and at least six of the fraction.
pub(crate) fn adjusted(precision: i32, scale: i32) -> (u8, i8) {
    let narrow = |precision: i32, scale: i32| (u8::try_from(precision).unwrap_or(38), i8::try_from(scale).unwrap_or(0));
    if precision <= 38 {
        return narrow(precision, scale);
    }
    let whole = precision - scale;
    narrow(38, (38 - whole).max(scale.min(6)))
}

/// `DecimalType.bounded`.
pub(crate) fn bounded(precision: i32, scale: i32) -> (u8, i8) {
    (u8::try_from(precision.min(38)).unwrap_or(38), i8::try_from(scale.min(38)).unwrap_or(38))
}

/// The decimal that holds both, as far as 38 digits go.
pub(crate) fn wider_decimal(left: (u8, i8), right: (u8, i8)) -> DataType {
    let scale = i32::from(left.1.max(right.1));
    let whole = (i32::from(left.0) - i32::from(left.1)).max(i32::from(right.0) - i32::from(right.1));
    let (precision, scale) =
        if whole + scale > 38 { (38, scale.min((38 - whole).max(scale.min(6)))) } else { (whole + scale, scale) };
    let (precision, scale) = bounded(precision, scale);
    DataType::Decimal128(precision, scale)
}

fn rank(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Int8 => 0,
        DataType::Int16 => 1,
        DataType::Int32 => 2,
        DataType::Int64 => 3,
        DataType::Float32 => 4,
        DataType::Float64 => 5,
        _ => return None,
    })
}

/// The type that two numbers, dates or equal types meet in, without strings.
fn tightest(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        (DataType::Null, other) | (other, DataType::Null) => return Some(other.clone()),
        _ => {}
    }
    if let (Some(a), Some(b)) = (rank(left), rank(right)) {
        let (low, high, wide) = if a < b { (a, b, right) } else { (b, a, left) };
        // An integer and a FLOAT meet in DOUBLE, so that no digit is lost.
        return Some(if high == 4 && low < 4 { DataType::Float64 } else { wide.clone() });
    }
    if is_numeric(left) && is_numeric(right) {
        if is_float(left) || is_float(right) {
            return Some(DataType::Float64);
        }
        return Some(wider_decimal(integral_as_decimal(left)?, integral_as_decimal(right)?));
    }
    if is_datetime(left) && is_datetime(right) {
        let zoned = |t: &DataType| matches!(t, DataType::Timestamp(_, Some(_)));
        return Some(if zoned(left) || zoned(right) { timestamp() } else { timestamp_ntz() });
    }
    match (left, right) {
        (DataType::List(a), DataType::List(b)) => Some(list_of(common(a.data_type(), b.data_type())?)),
        (DataType::Map(a, _), DataType::Map(b, _)) => {
            let ((ak, av), (bk, bv)) = (map_fields(a)?, map_fields(b)?);
            Some(map_of(common(ak.data_type(), bk.data_type())?, common(av.data_type(), bv.data_type())?))
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len() => {
            let fields: Option<Vec<_>> = a
                .iter()
                .zip(b.iter())
                .map(|(a, b)| Some((a.name().clone(), common(a.data_type(), b.data_type())?)))
                .collect();
            Some(struct_of(fields?))
        }
        _ => None,
    }
}

/// What a string becomes beside another type, in ANSI mode.
fn beside_string(other: &DataType) -> Option<DataType> {
    if is_integral(other) {
        return Some(DataType::Int64);
    }
    if is_float(other) || is_decimal(other) {
        return Some(DataType::Float64);
    }
    match other {
        DataType::Binary | DataType::Duration(_) | DataType::Interval(_) => None,
        other if is_atomic(other) => Some(other.clone()),
        _ => None,
    }
}

/// The type in which two operands meet; `None` where Spark says `DATATYPE_MISMATCH`.
pub(crate) fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    tightest(left, right).or_else(|| match (left, right) {
        (DataType::Utf8, other) | (other, DataType::Utf8) => beside_string(other),
        _ => None,
    })
}

/// [`common`] of several; strings do not decide before all others met.
pub(crate) fn common_of<'t>(types: impl IntoIterator<Item = &'t DataType>) -> Option<DataType> {
    let types: Vec<&DataType> = types.into_iter().collect();
    let (strings, others): (Vec<&DataType>, Vec<&DataType>) = types.into_iter().partition(|t| **t == DataType::Utf8);
    let mut found = DataType::Null;
    for data_type in others.into_iter().chain(strings) {
        found = common(&found, data_type)?;
    }
    Some(found)
}

/// Whether ANSI mode inserts this cast by itself, for an argument of a function.
pub(crate) fn implicitly_castable(from: &DataType, to: &DataType) -> bool {
    if from == to || *from == DataType::Null {
        return true;
    }
    match (from, to) {
        (DataType::Utf8, to) => is_atomic(to) && *to != DataType::Utf8,
        (from, DataType::Utf8) => is_atomic(from) && *from != DataType::Binary,
        (from, to) if is_numeric(from) && is_numeric(to) => {
            let float = |t: &DataType| is_float(t);
            match (rank(from), rank(to)) {
                (Some(a), Some(b)) => a <= b,
                _ => is_decimal(to) && !float(from) || float(to),
            }
        }
        (from, to) if is_datetime(from) && is_datetime(to) => *to != DataType::Date32,
        (DataType::List(a), DataType::List(b)) => implicitly_castable(a.data_type(), b.data_type()),
        _ => false,
    }
}
