//! `CAST` and `try_cast`, in ANSI mode.
//!
//! A value that does not fit or is malformed is an error (`CAST_INVALID_INPUT`, `CAST_OVERFLOW`,
//! `NUMERIC_VALUE_OUT_OF_RANGE`), or NULL for `try_cast`. Source of the rules: Spark's `Cast.scala` (`canAnsiCast`).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use crannog_lake::model::interval::Span;

use super::error::{Result, cast_invalid, cast_overflow, spark, spark_hint};
use super::zone::Zone;
use super::{interval, parse, text, types};

/// How a cast goes on when a value does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// An error.
    Ansi,
    /// NULL.
    Try,
}

/// Whether ANSI mode knows the cast at all.
pub(crate) fn allowed(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Null, _) => true,
        (_, T::Null) => false,
        (_, T::Utf8) => true,
        (T::Utf8, to) => types::is_atomic(to),
        (T::Boolean, to) => types::is_numeric(to),
        (from, T::Boolean) => types::is_numeric(from),
        (from, to) if types::is_numeric(from) && types::is_numeric(to) => true,
        (from, T::Timestamp(_, Some(_))) if types::is_numeric(from) => true,
        (T::Timestamp(_, Some(_)), to) if types::is_numeric(to) => true,
        (from, to) if types::is_datetime(from) && types::is_datetime(to) => true,
        (T::List(a), T::List(b)) => allowed(a.data_type(), b.data_type()),
        (T::Map(a, _), T::Map(b, _)) => match (types::map_fields(a), types::map_fields(b)) {
            (Some((ak, av)), Some((bk, bv))) => {
                allowed(ak.data_type(), bk.data_type()) && allowed(av.data_type(), bv.data_type())
            }
            _ => false,
        },
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| allowed(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

/// Why a cast is refused while planning.
pub(crate) fn refusal(from: &DataType, to: &DataType) -> datafusion::error::DataFusionError {
    use DataType as T;
    let text = format!("cannot cast \"{}\" to \"{}\" in ANSI mode", types::sql(from), types::sql(to));
    let function = match (from, to) {
        (from, T::Date32) if types::is_integral(from) => Some("DATE_FROM_UNIX_DATE"),
        (T::Date32, to) if types::is_numeric(to) => Some("UNIX_DATE"),
        _ => None,
    };
    match (function, from, to) {
        (Some(function), ..) => spark_hint(
            "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION",
            text,
            format!("use the function {function} instead"),
        ),
        (None, from, T::Binary) if types::is_integral(from) => {
            spark("DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION", text)
        }
        (None, T::Boolean, T::Timestamp(..)) | (None, T::Timestamp(..), T::Boolean) => {
            spark("DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION", text)
        }
        _ => spark("DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION", text),
    }
}

/// Whether no value can fail or change, so that Arrow's own cast does it and files can be pruned through it.
pub(crate) fn is_widening(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    matches!(
        (from, to),
        (T::Int8, T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64)
            | (T::Int16, T::Int32 | T::Int64 | T::Float32 | T::Float64)
            | (T::Int32, T::Int64 | T::Float64 | T::Float32)
            | (T::Int64, T::Float32 | T::Float64)
            | (T::Float32, T::Float64)
            | (T::Null, _)
    )
}

/// Whether no value can fail, though it may change: to text, to a wider decimal, among days and moments.
pub(crate) fn is_total(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (_, T::Utf8) => true,
        (T::Boolean, to) => types::is_integral(to),
        (T::Decimal128(p, s), T::Decimal128(q, t)) => {
            // Fewer digits of fraction may be rounded up to one more digit before the point.
            let (before, after) = (i16::from(*p) - i16::from(*s), i16::from(*q) - i16::from(*t));
            after > before || after == before && t >= s
        }
        (T::Int8 | T::Int16 | T::Int32 | T::Int64, T::Decimal128(q, t)) => {
            let digits = match from {
                T::Int8 => 3,
                T::Int16 => 5,
                T::Int32 => 10,
                _ => 19,
            };
            i16::from(*q) - i16::from(*t) >= digits
        }
        (T::Decimal128(..), to) => types::is_float(to),
        (T::Date32, T::Timestamp(..)) | (T::Timestamp(..), T::Date32) => true,
        _ => false,
    }
}

type Maker<'a, T> = Box<dyn Fn(usize) -> Result<Option<T>> + 'a>;

fn collect<T, A: FromIterator<Option<T>> + Array + 'static>(
    array: &ArrayRef,
    mode: Mode,
    make: Maker<'_, T>,
) -> Result<ArrayRef> {
    let values = (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return Ok(None);
            }
            match make(row) {
                Err(_) if mode == Mode::Try => Ok(None),
                other => other,
            }
        })
        .collect::<Result<A>>()?;
    Ok(Arc::new(values))
}

fn malformed(text: &str, to: &DataType) -> datafusion::error::DataFusionError {
    cast_invalid(text, "STRING", &types::sql(to))
}

fn out_of_range(text: &str, precision: u8, scale: i8) -> datafusion::error::DataFusionError {
    spark_hint(
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
        format!("the value {text} cannot be represented as Decimal({precision}, {scale})"),
        "use try_cast to get NULL instead",
    )
}

/// 10 to the power of a scale difference.
pub(super) fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// Another scale, rounded half up; `None` on overflow of 38 digits.
pub(crate) fn rescale(value: i128, from: i8, to: i8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(power_of_ten(u32::try_from(to - from).ok()?)?);
    }
    let Some(divisor) = power_of_ten(u32::try_from(from - to).ok()?) else { return Some(0) };
    let (quotient, rest) = (value / divisor, value % divisor);
    let up = rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2);
    Some(if up { quotient + value.signum() } else { quotient })
}

enum Number {
    Whole(i128),
    Real(f64),
    Scaled(i128, i8),
}

fn number_at(array: &ArrayRef, row: usize) -> Option<Number> {
    Some(match array.data_type() {
        DataType::Boolean => Number::Whole(i128::from(array.as_boolean().value(row))),
        DataType::Int8 => Number::Whole(i128::from(array.as_primitive::<Int8Type>().value(row))),
        DataType::Int16 => Number::Whole(i128::from(array.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => Number::Whole(i128::from(array.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Number::Whole(i128::from(array.as_primitive::<Int64Type>().value(row))),
        DataType::Float32 => Number::Real(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Number::Real(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Number::Scaled(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Timestamp(..) => {
            Number::Scaled(i128::from(array.as_primitive::<TimestampMicrosecondType>().value(row)), 6)
        }
        _ => return None,
    })
}

struct Caster<'a> {
    array: &'a ArrayRef,
    to: &'a DataType,
    zone: &'a Zone,
}

impl Caster<'_> {
    fn text(&self, row: usize) -> &str {
        self.array.as_string::<i32>().value(row)
    }

    fn shown(&self, row: usize) -> String {
        text::value(self.array, row, self.zone).ok().flatten().unwrap_or_default()
    }

    fn is_text(&self) -> bool {
        *self.array.data_type() == DataType::Utf8
    }

    fn overflow(&self, row: usize) -> datafusion::error::DataFusionError {
        cast_overflow(&self.shown(row), &types::sql(self.array.data_type()), &types::sql(self.to))
    }

    fn whole(&self, row: usize, low: i128, high: i128) -> Result<Option<i128>> {
        let value = if self.is_text() {
            let text = self.text(row);
            let value = parse::integer(text).ok_or_else(|| malformed(text, self.to))?;
            if value < low || value > high {
                return Err(malformed(text, self.to));
            }
            value
        } else {
            match number_at(self.array, row) {
                Some(Number::Whole(value)) => value,
                Some(Number::Scaled(value, 6)) if matches!(self.array.data_type(), DataType::Timestamp(..)) => {
                    value.div_euclid(1_000_000)
                }
                Some(Number::Scaled(value, scale)) => {
                    value / power_of_ten(u32::try_from(scale).unwrap_or(0)).unwrap_or(1)
                }
                #[expect(clippy::cast_possible_truncation, reason = "checked against the range just below")]
                Some(Number::Real(value)) => {
                    if value.is_nan() {
                        return Err(self.overflow(row));
                    }
                    value.trunc() as i128
                }
                None => return Err(refusal(self.array.data_type(), self.to)),
            }
        };
        if value < low || value > high { Err(self.overflow(row)) } else { Ok(Some(value)) }
    }

    fn real(&self, row: usize) -> Result<Option<f64>> {
        if self.is_text() {
            let text = self.text(row);
            return parse::double(text).map(Some).ok_or_else(|| malformed(text, self.to));
        }
        #[expect(clippy::cast_precision_loss, reason = "DOUBLE is what was asked for")]
        Ok(match number_at(self.array, row) {
            Some(Number::Whole(value)) => Some(value as f64),
            Some(Number::Real(value)) => Some(value),
            Some(Number::Scaled(value, scale)) => text::decimal(value, scale).parse().ok(),
            None => return Err(refusal(self.array.data_type(), self.to)),
        })
    }

    fn decimal(&self, row: usize, precision: u8, scale: i8) -> Result<Option<i128>> {
        let value = if self.is_text() {
            let text = self.text(row);
            parse::digits(text).ok_or_else(|| malformed(text, self.to))?.at_scale(precision, scale)
        } else {
            match number_at(self.array, row) {
                Some(Number::Whole(value)) => rescale(value, 0, scale),
                Some(Number::Scaled(value, from)) => rescale(value, from, scale),
                Some(Number::Real(value)) => {
                    let text = if *self.array.data_type() == DataType::Float32 {
                        #[expect(clippy::cast_possible_truncation, reason = "it came from a FLOAT")]
                        text::float(value as f32)
                    } else {
                        text::double(value)
                    };
                    parse::digits(&text).and_then(|digits| digits.at_scale(precision, scale))
                }
                None => return Err(refusal(self.array.data_type(), self.to)),
            }
        };
        match value.filter(|value| parse::fits(*value, precision)) {
            Some(value) => Ok(Some(value)),
            None => Err(out_of_range(&self.shown(row), precision, scale)),
        }
    }

    fn instant(&self, row: usize) -> Result<Option<i64>> {
        Ok(Some(match self.array.data_type() {
            DataType::Utf8 => {
                let text = self.text(row);
                parse::timestamp(text, self.zone).ok_or_else(|| malformed(text, self.to))?
            }
            DataType::Date32 => {
                let days = i64::from(self.array.as_primitive::<Date32Type>().value(row));
                let local = days.checked_mul(86_400_000_000).ok_or_else(|| self.overflow(row))?;
                self.zone.to_instant(local)
            }
            DataType::Timestamp(_, None) => {
                self.zone.to_instant(self.array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            _ => match number_at(self.array, row) {
                Some(Number::Whole(value)) => {
                    i64::try_from(value.saturating_mul(1_000_000)).map_err(|_| self.overflow(row))?
                }
                Some(Number::Scaled(value, scale)) => {
                    let micros = if scale > 6 {
                        value / power_of_ten(u32::try_from(scale - 6).unwrap_or(0)).unwrap_or(1)
                    } else {
                        rescale(value, scale, 6).unwrap_or(i128::MAX)
                    };
                    i64::try_from(micros).map_err(|_| self.overflow(row))?
                }
                #[expect(clippy::cast_possible_truncation, reason = "microseconds of a double, as Spark truncates")]
                Some(Number::Real(value)) => {
                    if value.is_nan() || value.is_infinite() {
                        return Err(self.overflow(row));
                    }
                    (value * 1_000_000.0) as i64
                }
                None => return Err(refusal(self.array.data_type(), self.to)),
            },
        }))
    }

    fn wall_clock(&self, row: usize) -> Result<Option<i64>> {
        Ok(Some(match self.array.data_type() {
            DataType::Utf8 => {
                let text = self.text(row);
                parse::timestamp_ntz(text).ok_or_else(|| malformed(text, self.to))?
            }
            DataType::Date32 => {
                let days = i64::from(self.array.as_primitive::<Date32Type>().value(row));
                days.checked_mul(86_400_000_000).ok_or_else(|| self.overflow(row))?
            }
            DataType::Timestamp(_, Some(_)) => {
                self.zone.to_local(self.array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            other => return Err(refusal(other, self.to)),
        }))
    }

    fn day(&self, row: usize) -> Result<Option<i32>> {
        let local = match self.array.data_type() {
            DataType::Utf8 => {
                let text = self.text(row);
                return parse::date(text).map(Some).ok_or_else(|| malformed(text, self.to));
            }
            DataType::Timestamp(_, with_zone) => {
                let micros = self.array.as_primitive::<TimestampMicrosecondType>().value(row);
                if with_zone.is_some() { self.zone.to_local(micros) } else { micros }
            }
            other => return Err(refusal(other, self.to)),
        };
        Ok(i32::try_from(local.div_euclid(86_400_000_000)).ok())
    }

    fn truth(&self, row: usize) -> Result<Option<bool>> {
        if self.is_text() {
            let text = self.text(row);
            return parse::boolean(text).map(Some).ok_or_else(|| malformed(text, self.to));
        }
        Ok(match number_at(self.array, row) {
            Some(Number::Whole(value) | Number::Scaled(value, _)) => Some(value != 0),
            Some(Number::Real(value)) => Some(value != 0.0),
            None => return Err(refusal(self.array.data_type(), self.to)),
        })
    }
}

/// Texts of which those that are a time of day alone (`12:30`, `T12:30:00Z`) are one of that day, in days since 1970.
pub(crate) fn dated(texts: &ArrayRef, day: i64) -> ArrayRef {
    fn time(text: &str) -> Option<&str> {
        let text = parse::trim(text);
        let hour = text.split(':').next().unwrap_or_default();
        let bare = hour.len() < text.len() && hour.len() <= 2 && hour.bytes().all(|byte| byte.is_ascii_digit());
        text.strip_prefix('T').or(bare.then_some(text))
    }
    let strings = texts.as_string::<i32>();
    if !strings.iter().flatten().any(|text| time(text).is_some()) {
        return Arc::clone(texts);
    }
    let day = text::date(i32::try_from(day).unwrap_or(0));
    let dated = |text: &str| time(text).map_or_else(|| text.to_owned(), |time| format!("{day}T{time}"));
    Arc::new(strings.iter().map(|text| text.map(dated)).collect::<StringArray>())
}

/// Casts a whole array.
///
/// # Errors
/// In [`Mode::Ansi`], for the first value that does not fit; in both modes for a cast that does not exist.
pub(crate) fn cast(array: &ArrayRef, to: &DataType, zone: &Zone, mode: Mode) -> Result<ArrayRef> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    if *from == DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    if !allowed(from, to) {
        // Types that differ only in how Arrow spells them.
        if types::normal(from) == *to {
            return Ok(arrow::compute::cast(array, to)?);
        }
        return Err(refusal(from, to));
    }
    if is_widening(from, to) {
        return Ok(arrow::compute::cast(array, to)?);
    }
    if let Some(span) = Span::of_type(to) {
        return interval::read(array, span, mode);
    }
    let caster = Caster { array, to, zone };
    let whole = |low: i128, high: i128| move |row: usize, caster: &Caster<'_>| caster.whole(row, low, high);
    macro_rules! integers {
        ($array:ty, $native:ty) => {{
            let make = whole(i128::from(<$native>::MIN), i128::from(<$native>::MAX));
            collect::<$native, $array>(
                array,
                mode,
                Box::new(move |row| Ok(make(row, &caster)?.and_then(|value| <$native>::try_from(value).ok()))),
            )
        }};
    }
    match to {
        DataType::Boolean => collect::<bool, BooleanArray>(array, mode, Box::new(|row| caster.truth(row))),
        DataType::Int8 => integers!(Int8Array, i8),
        DataType::Int16 => integers!(Int16Array, i16),
        DataType::Int32 => integers!(Int32Array, i32),
        DataType::Int64 => integers!(Int64Array, i64),
        #[expect(clippy::cast_possible_truncation, reason = "FLOAT is what was asked for")]
        DataType::Float32 => {
            collect::<f32, Float32Array>(array, mode, Box::new(|row| Ok(caster.real(row)?.map(|value| value as f32))))
        }
        DataType::Float64 => collect::<f64, Float64Array>(array, mode, Box::new(|row| caster.real(row))),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            let values =
                collect::<i128, Decimal128Array>(array, mode, Box::new(|row| caster.decimal(row, precision, scale)))?;
            Ok(Arc::new(values.as_primitive::<Decimal128Type>().clone().with_precision_and_scale(precision, scale)?))
        }
        DataType::Utf8 => collect::<String, StringArray>(array, mode, Box::new(|row| text::value(array, row, zone))),
        DataType::Binary => {
            let make: Maker<'_, Vec<u8>> = Box::new(|row| Ok(Some(caster.text(row).as_bytes().to_vec())));
            collect::<Vec<u8>, BinaryArray>(array, mode, make)
        }
        DataType::Date32 => collect::<i32, Date32Array>(array, mode, Box::new(|row| caster.day(row))),
        DataType::Timestamp(_, Some(_)) => {
            let values = collect::<i64, TimestampMicrosecondArray>(array, mode, Box::new(|row| caster.instant(row)))?;
            Ok(Arc::new(values.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC")))
        }
        DataType::Timestamp(_, None) => {
            collect::<i64, TimestampMicrosecondArray>(array, mode, Box::new(|row| caster.wall_clock(row)))
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = cast(list.values(), field.data_type(), zone, mode)?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?))
        }
        DataType::Map(entries, ordered) => {
            let map = array.as_map();
            let Some((key, value)) = types::map_fields(entries) else { return Err(refusal(from, to)) };
            let keys = cast(map.keys(), key.data_type(), zone, mode)?;
            let values = cast(map.values(), value.data_type(), zone, mode)?;
            let fields = vec![Arc::clone(key), Arc::clone(value)].into();
            let inner = StructArray::try_new(fields, vec![keys, values], None)?;
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                map.offsets().clone(),
                inner,
                map.nulls().cloned(),
                *ordered,
            )?))
        }
        DataType::Struct(fields) => {
            let from = array.as_struct();
            let columns = from
                .columns()
                .iter()
                .zip(fields.iter())
                .map(|(column, field)| cast(column, field.data_type(), zone, mode))
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, from.nulls().cloned(), from.len())?))
        }
        _ => Err(refusal(from, to)),
    }
}
