//! Functions that make intervals and take them apart.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, DurationMicrosecondType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, IntervalYearMonthType,
};
use datafusion::common::ScalarValue;

use super::Call;
use super::calendar::DAY;
use super::rows::call as row;
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, overflow, spark};
use crate::spark::{kernel, parse, types};

const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;
const SECOND: i64 = 1_000_000;

/// One unit of an interval, as `extract` gives it; `unit` in capitals.
///
/// # Errors
/// `INVALID_EXTRACT_FIELD`: an interval of this type has no such unit.
pub(super) fn part(binder: &Binder, unit: &str, value: Bound) -> Result<Bound> {
    let wrong = || spark("INVALID_EXTRACT_FIELD", format!("cannot extract {unit} from an interval"));
    // Whether months hold it, its length, and how many of it are one of the next larger.
    let (months, divisor, modulus) = match unit.trim_end_matches('S') {
        "YEAR" | "Y" | "YR" => (true, 12, i64::MAX),
        "MONTH" | "MON" => (true, 1, 12),
        "DAY" | "D" => (false, DAY, i64::MAX),
        "HOUR" | "H" | "HR" => (false, HOUR, 24),
        "MINUTE" | "M" | "MIN" => (false, MINUTE, 60),
        "SECOND" | "SEC" => (false, SECOND, 60),
        _ => return Err(wrong()),
    };
    let ty = match divisor {
        SECOND if !months => DataType::Decimal128(8, 6),
        DAY | 12 => DataType::Int32,
        _ => DataType::Int8,
    };
    let calendar = value.ty == DataType::Interval(IntervalUnit::MonthDayNano);
    if !calendar && months != matches!(value.ty, DataType::Interval(_)) {
        return Err(wrong());
    }
    let expr = kernel::pure("part_of_interval", unit, DataType::Int64, vec![value.expr], move |columns, _| {
        let column = &columns[0];
        Ok(Arc::new(match column.data_type() {
            DataType::Interval(IntervalUnit::YearMonth) => {
                column.as_primitive::<IntervalYearMonthType>().unary::<_, Int64Type>(i64::from)
            }
            DataType::Interval(_) => column.as_primitive::<IntervalMonthDayNanoType>().unary(|parts| match divisor {
                _ if months => i64::from(parts.months),
                DAY => i64::from(parts.days) * DAY,
                _ => parts.nanoseconds / 1_000,
            }),
            _ => column.as_primitive::<DurationMicrosecondType>().reinterpret_cast(),
        }))
    });
    let whole = Bound::new(expr, DataType::Int64, value.name);
    if divisor == SECOND {
        return Ok(seconds(whole));
    }
    // A calendar interval has as many hours as it has.
    let modulus = if calendar && divisor == HOUR { i64::MAX } else { modulus };
    let part =
        row("date_part", format!("{unit} {calendar}"), vec![whole], move |r| Ok(Some(r.long(0) / divisor % modulus)));
    binder.cast(part, &ty)
}

/// `SECOND` of microseconds.
fn seconds(micros: Bound) -> Bound {
    let name = micros.name.clone();
    let expr = kernel::pure("seconds", "", DataType::Decimal128(8, 6), vec![micros.expr], |columns, _| {
        let within =
            columns[0].as_primitive::<Int64Type>().unary::<_, Decimal128Type>(|micros| i128::from(micros % MINUTE));
        Ok(Arc::new(within.with_precision_and_scale(8, 6)?))
    });
    Bound::new(expr, DataType::Decimal128(8, 6), name)
}

/// The arguments as BIGINT, those that are missing 0; seconds, which come last, in microseconds. And the call's name.
fn parts(binder: &Binder, call: &mut Call<'_>, count: usize, with_seconds: bool) -> Result<(Vec<Bound>, String)> {
    call.arity(0, count)?;
    let (mut values, mut shown) = (Vec::new(), Vec::new());
    let mut given = std::mem::take(&mut call.args).into_iter();
    for at in 0..count {
        let seconds = with_seconds && at + 1 == count;
        let arg = given.next().unwrap_or_else(|| match seconds {
            true => Bound::literal(ScalarValue::Decimal128(Some(0), 18, 6), "0.000000"),
            false => Bound::literal(ScalarValue::Int32(Some(0)), "0"),
        });
        shown.push(arg.name.clone());
        let text = call.name;
        values.push(if seconds {
            let exact = binder.cast(binder.implicit(arg, &DataType::Decimal128(18, 6), text)?, &DataType::Utf8)?;
            row("micros", "", vec![exact], |r| {
                let digits = parse::digits(r.text(0)).and_then(|digits| digits.at_scale(38, 6));
                Ok(digits.and_then(|micros| i64::try_from(micros).ok()))
            })
        } else {
            binder.cast(binder.implicit(arg, &DataType::Int32, text)?, &DataType::Int64)?
        });
    }
    Ok((values, format!("{}({})", call.name, shown.join(", "))))
}

/// `make_dt_interval([days[, hours[, minutes[, seconds]]]])`, `make_ym_interval([years[, months]])`.
pub(super) fn make_ansi(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    let overflow =
        || spark("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "integer overflow while making an interval");
    let days = call.name == "make_dt_interval";
    let factors: &'static [i64] = if days { &[DAY, HOUR, MINUTE, 1] } else { &[12, 1] };
    let (values, shown) = parts(binder, call, factors.len(), days)?;
    let total = row(call.name, "", values, move |r| {
        let parts = factors.iter().enumerate().map(|(at, factor)| r.long(at).checked_mul(*factor));
        let total = parts.reduce(|a, b| a?.checked_add(b?)).unwrap_or(Some(0));
        total.filter(|total| days || i32::try_from(*total).is_ok()).map(Some).ok_or_else(overflow)
    });
    let ty = if days { types::day_time() } else { DataType::Interval(IntervalUnit::YearMonth) };
    let out = ty.clone();
    let expr = kernel::pure("interval", "", ty.clone(), vec![total.expr], move |columns, _| {
        let totals = columns[0].as_primitive::<Int64Type>();
        Ok(match out {
            DataType::Duration(_) => Arc::new(totals.reinterpret_cast::<DurationMicrosecondType>()) as ArrayRef,
            _ => Arc::new(totals.unary::<_, IntervalYearMonthType>(|months| i32::try_from(months).unwrap_or(0))),
        })
    });
    Ok(Bound::new(expr, ty, shown))
}

/// `make_interval([years[, months[, weeks[, days[, hours[, minutes[, seconds]]]]]]])`, and the one that gives NULL where
/// a part overflows.
pub(super) fn make_calendar(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    let safe = call.name.starts_with("try_");
    let (values, shown) = parts(binder, call, 7, true)?;
    let made = row(call.name, "", values, move |r| {
        let make = || {
            let months = r.long(0).checked_mul(12)?.checked_add(r.long(1))?;
            let days = r.long(2).checked_mul(7)?.checked_add(r.long(3))?;
            let micros = [(4, HOUR), (5, MINUTE), (6, 1)]
                .into_iter()
                .try_fold(0_i64, |sum, (at, unit)| sum.checked_add(r.long(at).checked_mul(unit)?))?;
            let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
            Some(IntervalMonthDayNano::new(months, days, micros.checked_mul(1_000)?))
        };
        match make() {
            None if !safe => Err(overflow("integer")),
            made => Ok(made),
        }
    });
    Ok(made.named(shown))
}
