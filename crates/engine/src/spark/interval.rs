//! Intervals with their units: literals, and casts from and to them.
//!
//! Arrow's type says only whether an interval is of months or of microseconds; which units it has stands beside it, in
//! [`Bound`]. Source of the rules: Spark's `IntervalUtils` and `Cast`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, DurationMicrosecondArray, Int64Array, IntervalYearMonthArray};
use arrow::array::{PrimitiveArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, DurationMicrosecondType, Int64Type, IntervalUnit as ArrowUnit,
    IntervalYearMonthType,
};
use crannog_lake::model::interval::{IntervalUnit, Span};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::casts::{self, Mode};
use super::error::{Result, cast_overflow, spark};
use super::{kernel, parse, types};
use crate::bind::{Binder, Bound};

/// The Arrow type of intervals of these units.
pub(crate) fn arrow_type(span: Span) -> DataType {
    if span.is_months() { DataType::Interval(ArrowUnit::YearMonth) } else { types::day_time() }
}

/// A literal of so many months or microseconds.
pub(crate) fn literal(value: i64, span: Span) -> Bound {
    let scalar = if span.is_months() {
        ScalarValue::IntervalYearMonth(i32::try_from(value).ok())
    } else {
        ScalarValue::DurationMicrosecond(Some(value))
    };
    Bound::literal(scalar, span.text(value)).spanned(Some(span))
}

/// `1 year 2 months`, with or without `INTERVAL` before it: months or microseconds, and the units named.
pub(crate) fn words(text: &str) -> Option<(i64, Span)> {
    let mut words = text.split_whitespace().peekable();
    words.next_if(|word| word.eq_ignore_ascii_case("interval"));
    let (mut total, mut span) = (0_i64, None::<Span>);
    while let Some(amount) = words.next() {
        let (unit, size) = unit(words.next()?)?;
        let named = Span::new(unit, unit)?;
        let known = *span.get_or_insert(named);
        if known.is_months() != named.is_months() {
            return None;
        }
        span = Some(known.union(named));
        // A fraction only of seconds.
        if amount.contains('.') && size != IntervalUnit::Second.size() {
            return None;
        }
        let millionths = parse::digits(amount)?.at_scale(38, 6)?;
        let value = millionths.checked_mul(i128::from(size))? / 1_000_000;
        total = total.checked_add(i64::try_from(value).ok()?)?;
    }
    let span = span?;
    (!span.is_months() || i32::try_from(total).is_ok()).then_some((total, span))
}

/// The unit that a literal of it has, and its length in months or microseconds.
fn unit(word: &str) -> Option<(IntervalUnit, i64)> {
    let word = word.to_ascii_lowercase();
    let single = word.strip_suffix('s').unwrap_or(&word);
    Some(match single {
        "week" => (IntervalUnit::Day, 7 * IntervalUnit::Day.size()),
        "millisecond" => (IntervalUnit::Second, 1_000),
        "microsecond" => (IntervalUnit::Second, 1),
        other => {
            let unit = IntervalUnit::parse(other)?;
            (unit, unit.size())
        }
    })
}

/// Months or microseconds of a column, as they are.
fn values(column: &ArrayRef) -> Int64Array {
    match column.data_type() {
        DataType::Interval(_) => column.as_primitive::<IntervalYearMonthType>().unary(i64::from),
        _ => column.as_primitive::<DurationMicrosecondType>().reinterpret_cast::<Int64Type>(),
    }
}

/// One value as text; `None` for NULL.
pub(crate) fn text(column: &ArrayRef, row: usize, span: Span) -> Option<String> {
    values(&column.slice(row, 1)).iter().next().flatten().map(|value| span.text(value))
}

/// A column of intervals, from values that [`Span::read`] or [`fitting`] let through.
fn column_of(values: &Int64Array, span: Span) -> ArrayRef {
    if span.is_months() {
        let months = values.iter().map(|value| value.and_then(|value| i32::try_from(value).ok()));
        return Arc::new(months.collect::<IntervalYearMonthArray>());
    }
    let micros: DurationMicrosecondArray = values.reinterpret_cast::<DurationMicrosecondType>();
    Arc::new(micros)
}

/// Runs `f` over the values of a column that are there.
fn each<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    mode: Mode,
    f: impl Fn(T::Native) -> Result<i64>,
) -> Result<Int64Array> {
    column.iter().map(|value| done(value.map(&f), mode)).collect()
}

fn done(value: Option<Result<i64>>, mode: Mode) -> Result<Option<i64>> {
    match value {
        Some(Err(_)) if mode == Mode::Try => Ok(None),
        other => other.transpose(),
    }
}

/// The cast of an interval to what is none: as a number, it counts the smallest of its units.
///
/// # Errors
/// `DATATYPE_MISMATCH` where Spark has no such cast.
pub(crate) fn cast_from(binder: &Binder, value: Bound, span: Span, to: &DataType, mode: Mode) -> Result<Bound> {
    let name = value.name.clone();
    let label = if mode == Mode::Try { "try_cast" } else { "cast" };
    if *to == DataType::Utf8 {
        let expr = kernel::cast(true, label, format!("{span} as text"), DataType::Utf8, value.expr, move |column| {
            let texts: StringArray = values(column).iter().map(|value| value.map(|value| span.text(value))).collect();
            Ok(Arc::new(texts))
        });
        return Ok(Bound::new(expr, DataType::Utf8, name));
    }
    if !types::is_integral(to) && !types::is_decimal(to) {
        return Err(casts::refusal(&value.ty, to));
    }
    let (unit, key) = (span.last(), format!("{span} as number"));
    let number = if unit == IntervalUnit::Second && types::is_decimal(to) {
        let ty = DataType::Decimal128(18, 6);
        let expr = kernel::cast(true, label, key, ty.clone(), value.expr, |column| {
            let micros: Decimal128Array = values(column).unary::<_, Decimal128Type>(i128::from);
            Ok(Arc::new(micros.with_precision_and_scale(18, 6)?))
        });
        Bound::new(expr, ty, name)
    } else {
        let expr = kernel::cast(true, label, key, DataType::Int64, value.expr, move |column| {
            Ok(Arc::new(values(column).unary::<_, Int64Type>(|value| value / unit.size())))
        });
        Bound::new(expr, DataType::Int64, name)
    };
    binder.cast_mode(number, to, mode)
}

/// The cast to an interval of these units; a number counts the smallest of them.
///
/// # Errors
/// `DATATYPE_MISMATCH` where Spark has no such cast.
pub(crate) fn cast_to(binder: &Binder, value: Bound, to: Span, mode: Mode) -> Result<Bound> {
    let (name, ty) = (value.name.clone(), arrow_type(to));
    if value.ty == DataType::Null || value.as_literal().is_some_and(ScalarValue::is_null) {
        return Ok(Bound::literal(ScalarValue::try_from(&ty)?, name).spanned(Some(to)));
    }
    let label = if mode == Mode::Try { "try_cast" } else { "cast" };
    let key = format!("{mode:?} {} to {to}", value.ty);
    let from = value.span();
    let unit = to.last();
    let expr = match &value.ty {
        DataType::Utf8 => {
            kernel::cast(mode == Mode::Try, label, key, ty.clone(), value.expr, move |column| read(column, to, mode))
        }
        same if *same == ty => {
            // What is smaller than the last unit is cut off.
            if from.is_some_and(|from| from.last() <= to.last()) {
                return Ok(value.spanned(Some(to)));
            }
            kernel::cast(true, label, key, ty.clone(), value.expr, move |column| {
                let whole: Int64Array = values(column).unary(|value| value - value % unit.size());
                Ok(column_of(&whole, to))
            })
        }
        whole if types::is_integral(whole) => {
            let number = binder.cast(value, &DataType::Int64)?;
            kernel::cast(mode == Mode::Try, label, key, ty.clone(), number.expr, move |column| {
                let fit = |value: i64| fitting(i128::from(value).checked_mul(i128::from(unit.size())), to, value);
                Ok(column_of(&each(column.as_primitive::<Int64Type>(), mode, fit)?, to))
            })
        }
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            kernel::cast(mode == Mode::Try, label, key, ty.clone(), value.expr, move |column| {
                let fit = |value: i128| {
                    let exact = value.checked_mul(i128::from(unit.size()));
                    fitting(exact.and_then(|exact| casts::rescale(exact, scale, 0)), to, value)
                };
                Ok(column_of(&each(column.as_primitive::<Decimal128Type>(), mode, fit)?, to))
            })
        }
        other => return Err(casts::refusal(other, &ty)),
    };
    Ok(Bound::new(expr, ty, name).spanned(Some(to)))
}

/// Texts as intervals of these units.
pub(crate) fn read(column: &ArrayRef, to: Span, mode: Mode) -> Result<ArrayRef> {
    let read = |text: &str| {
        to.read(text).ok_or_else(|| {
            spark(
                "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING_WITH_NOTICE",
                format!("'{text}' is no INTERVAL {}", to.to_string().to_uppercase()),
            )
        })
    };
    let texts = column.as_string::<i32>().iter();
    let values = texts.map(|text| done(text.map(read), mode)).collect::<Result<Int64Array>>()?;
    Ok(column_of(&values, to))
}

/// A value that the type of these units holds.
fn fitting(value: Option<i128>, to: Span, written: impl std::fmt::Display) -> Result<i64> {
    value
        .and_then(|value| i64::try_from(value).ok())
        .filter(|value| !to.is_months() || i32::try_from(*value).is_ok())
        .ok_or_else(|| cast_overflow(&written.to_string(), "NUMERIC", &format!("INTERVAL {to}").to_uppercase()))
}

/// The mean of intervals, of their sum and their number; all units of their kind.
pub(crate) fn mean(sum: Bound, count: Expr) -> Bound {
    let (ty, months) = (sum.ty.clone(), matches!(sum.ty, DataType::Interval(_)));
    let span = if months { Span::YEAR_TO_MONTH } else { Span::DAY_TO_SECOND };
    let expr =
        kernel::pure("mean_interval", format!("{months}"), ty.clone(), vec![sum.expr, count], move |columns, _| {
            let counts = columns[1].as_primitive::<Int64Type>();
            let sums = values(&columns[0]);
            let means = sums.iter().zip(counts).map(|(sum, count)| {
                let (sum, count) = (sum?, count.filter(|count| *count > 0)?);
                let (whole, rest) = (sum / count, sum % count);
                // Rounded half away from 0.
                let up = rest.unsigned_abs() >= (count - rest.abs()).unsigned_abs();
                Some(if up { whole + rest.signum() } else { whole })
            });
            Ok(column_of(&means.collect(), span))
        });
    Bound::new(expr, ty, sum.name)
}
