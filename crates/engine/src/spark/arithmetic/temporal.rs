//! Dates, moments and intervals with `+ - * /`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DurationMicrosecondArray, Float64Array, IntervalYearMonthArray};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Float64Type, Int32Type, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimestampMicrosecondType,
};
use crannog_lake::model::interval::Span;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::{Op, each, mismatch, operate, wrong_type};
use crate::bind::{Binder, Bound, span_of, unexpected_type};
use crate::spark::casts::{self, Mode};
use crate::spark::error::{Result, overflow, spark, spark_hint};
use crate::spark::zone::{Zone, add_months};
use crate::spark::{kernel, types};

/// What a function does with its arguments' columns.
type Compute = Box<dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;

const DAY: i64 = 86_400_000_000;

/// A date and months, or a moment and months, in a zone; `None` beyond the last moment.
pub(crate) fn plus_months(micros: i64, months: i64, zone: Option<&Zone>) -> Option<i64> {
    let local = zone.map_or(micros, |zone| zone.to_local(micros));
    let (day, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let moved = add_months(day, months).checked_mul(DAY)?.checked_add(rest)?;
    Some(zone.map_or(moved, |zone| zone.to_instant(moved)))
}

/// A moment and a day-time interval: whole days move the wall clock, the rest the instant.
pub(crate) fn plus_day_time(micros: i64, interval: i64, zone: Option<&Zone>) -> Option<i64> {
    let Some(zone) = zone else { return micros.checked_add(interval) };
    let days = interval / DAY;
    let rest = interval % DAY;
    let moved =
        if days == 0 { micros } else { zone.to_instant(zone.to_local(micros).checked_add(days.checked_mul(DAY)?)?) };
    moved.checked_add(rest)
}

/// Binds the operator if one side is a time or an interval.
pub(super) fn temporal(
    binder: &Binder,
    op: Op,
    left: &Bound,
    right: &Bound,
    name: &str,
    mode: Mode,
) -> Result<Option<Bound>> {
    use DataType as T;
    let zone = binder.zone();
    let (l, r) = (&left.ty, &right.ty);
    if !types::is_datetime(l) && !types::is_datetime(r) && !types::is_interval(l) && !types::is_interval(r) {
        return Ok(None);
    }
    let interval = |ty: &T| types::is_interval(ty);
    let days = |bound: Option<Bound>| bound.map(|bound| bound.spanned(Some(Span::DAY)));
    let both = |bound: Option<Bound>| bound.map(|bound| bound.spanned(span_of([left, right], l)));
    let call = |ty: T, args: Vec<Expr>, f: Compute| {
        let key = format!("{op:?} {l} {r} {zone:?} {mode:?}");
        Ok(Some(Bound::new(kernel::pure(op.sign(), key, ty.clone(), args, move |columns, _| f(columns)), ty, name)))
    };
    let sign: i64 = if op == Op::Subtract { -1 } else { 1 };
    match (op, l, r) {
        // dates and days
        (Op::Add | Op::Subtract, T::Date32, T::Int8 | T::Int16 | T::Int32 | T::Null)
            if !(op == Op::Subtract && *r == T::Null) =>
        {
            let days = binder.cast(right.clone(), &T::Int32)?;
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<Date32Type, Int32Type, Date32Type>(&columns[0], &columns[1], mode, |a, b| {
                    i32::try_from(i64::from(a) + sign * i64::from(b)).map_err(|_| overflow("integer"))
                })?;
                Ok(Arc::new(out))
            };
            call(T::Date32, vec![left.expr.clone(), days.expr], Box::new(f))
        }
        (Op::Add, T::Int8 | T::Int16 | T::Int32, T::Date32) => Ok(temporal(binder, op, right, left, name, mode)?),
        (Op::Add | Op::Subtract, T::Date32, T::Utf8) => {
            if op == Op::Subtract {
                let date = binder.cast(right.clone(), &T::Date32)?;
                return temporal(binder, op, left, &date, name, mode);
            }
            Err(unexpected_type(name, right, "INT, SMALLINT or TINYINT"))
        }
        (Op::Add, T::Utf8, T::Date32) => Err(unexpected_type(name, left, "INT, SMALLINT or TINYINT")),
        (Op::Subtract, T::Date32, T::Date32) => {
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out =
                    each::<Date32Type, Date32Type, DurationMicrosecondType>(&columns[0], &columns[1], mode, |a, b| {
                        (i64::from(a) - i64::from(b)).checked_mul(DAY).ok_or_else(interval_overflow)
                    })?;
                Ok(Arc::new(out))
            };
            call(types::day_time(), vec![left.expr.clone(), right.expr.clone()], Box::new(f)).map(days)
        }
        (Op::Subtract, T::Timestamp(..) | T::Date32 | T::Utf8, T::Timestamp(..) | T::Date32)
        | (Op::Subtract, T::Timestamp(..), T::Utf8) => {
            let ty = match (l, r) {
                (T::Utf8, other) | (other, T::Utf8) => other.clone(),
                _ => types::common(l, r).unwrap_or_else(types::timestamp),
            };
            let zoned = matches!(ty, T::Timestamp(_, Some(_)));
            let (left, right) = (binder.cast(left.clone(), &ty)?, binder.cast(right.clone(), &ty)?);
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<TimestampMicrosecondType, TimestampMicrosecondType, DurationMicrosecondType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    // The difference of wall clocks, as Spark's SubtractTimestamps.
                    |a, b| {
                        let (a, b) = if zoned { (zone.to_local(a), zone.to_local(b)) } else { (a, b) };
                        a.checked_sub(b).ok_or_else(|| overflow("long"))
                    },
                )?;
                Ok(Arc::new(out))
            };
            call(types::day_time(), vec![left.expr, right.expr], Box::new(f))
        }
        // moments and intervals
        (Op::Add | Op::Subtract, T::Date32 | T::Timestamp(..) | T::Utf8, r)
            if interval(r) && !matches!((op, l), (_, T::Utf8)) =>
        {
            moment_and_interval(binder, op, left.clone(), right.clone(), name, mode).map(Some)
        }
        (Op::Add, l, T::Date32 | T::Timestamp(..)) if interval(l) => {
            moment_and_interval(binder, op, right.clone(), left.clone(), name, mode).map(Some)
        }
        // intervals among themselves
        (Op::Add | Op::Subtract, T::Duration(_), T::Duration(_)) => {
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<DurationMicrosecondType, DurationMicrosecondType, DurationMicrosecondType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    |a, b| b.checked_mul(sign).and_then(|b| a.checked_add(b)).ok_or_else(interval_overflow),
                )?;
                Ok(Arc::new(out))
            };
            call(l.clone(), vec![left.expr.clone(), right.expr.clone()], Box::new(f)).map(both)
        }
        (Op::Add | Op::Subtract, T::Interval(IntervalUnit::YearMonth), T::Interval(IntervalUnit::YearMonth)) => {
            let sign = if op == Op::Subtract { -1 } else { 1 };
            let f = move |columns: &[ArrayRef]| -> Result<ArrayRef> {
                let out = each::<IntervalYearMonthType, IntervalYearMonthType, IntervalYearMonthType>(
                    &columns[0],
                    &columns[1],
                    mode,
                    |a, b| b.checked_mul(sign).and_then(|b| a.checked_add(b)).ok_or_else(interval_overflow),
                )?;
                Ok(Arc::new(out))
            };
            call(l.clone(), vec![left.expr.clone(), right.expr.clone()], Box::new(f)).map(both)
        }
        (Op::Multiply | Op::Divide, l, r)
            if interval(l) && (types::is_numeric(r) || matches!(r, T::Utf8 | T::Null)) =>
        {
            scale_interval(binder, op, left.clone(), right.clone(), name, mode).map(Some)
        }
        (Op::Multiply, l, r) if interval(r) && (types::is_numeric(l) || matches!(l, T::Utf8 | T::Null)) => {
            scale_interval(binder, op, right.clone(), left.clone(), name, mode).map(Some)
        }
        (_, T::Null, _) | (_, _, T::Null) => {
            if op == Op::Subtract && (*l == T::Date32 || *r == T::Date32) {
                return Ok(days(Some(Bound::literal(ScalarValue::try_from(&types::day_time())?, name))));
            }
            let given = if *l == T::Null { right } else { left };
            Ok(Some(Bound::literal(ScalarValue::try_from(&given.ty)?, name).spanned(given.span())))
        }
        (Op::Add | Op::Subtract, T::Date32, ty) if types::is_numeric(ty) => Err(spark_hint(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            format!("cannot resolve \"{name}\": days are INT, SMALLINT or TINYINT, not \"{}\"", types::sql(ty)),
            "cast the number to INT",
        )),
        _ if l == r => Err(wrong_type(name, l)),
        (Op::Add, l, r) if interval(l) && interval(r) => Err(spark_hint(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            format!("cannot resolve \"{name}\": months and days make no one interval"),
            "add them to a date or a timestamp one after the other",
        )),
        _ => Err(mismatch(name, l, r)),
    }
}

fn datetime_overflow() -> datafusion::error::DataFusionError {
    spark("DATETIME_OVERFLOW", "datetime operation overflow")
}

fn interval_overflow() -> datafusion::error::DataFusionError {
    spark("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "integer overflow while operating with intervals")
}

fn moment_and_interval(
    binder: &Binder,
    op: Op,
    moment: Bound,
    interval: Bound,
    name: &str,
    mode: Mode,
) -> Result<Bound> {
    let zone = binder.zone();
    let sign: i64 = if op == Op::Subtract { -1 } else { 1 };
    let key = format!("{op:?} {} {} {zone:?} {mode:?}", moment.ty, interval.ty);
    let months = matches!(interval.ty, DataType::Interval(IntervalUnit::YearMonth));
    if matches!(interval.ty, DataType::Interval(IntervalUnit::MonthDayNano)) {
        return calendar(binder, op, moment, interval, name, mode);
    }
    if moment.ty == DataType::Date32 {
        if months {
            let expr =
                kernel::pure(op.sign(), key, DataType::Date32, vec![moment.expr, interval.expr], move |columns, _| {
                    let out = each::<Date32Type, IntervalYearMonthType, Date32Type>(
                        &columns[0],
                        &columns[1],
                        mode,
                        |a, b| {
                            i32::try_from(add_months(i64::from(a), sign * i64::from(b)))
                                .map_err(|_| overflow("integer"))
                        },
                    )?;
                    Ok(Arc::new(out))
                });
            return Ok(Bound::new(expr, DataType::Date32, name));
        }
        // Whole days keep a date a date.
        if interval.span() == Some(Span::DAY) {
            let days = binder.cast(interval, &DataType::Int32)?;
            return operate(binder, op, moment, days, mode).map(|bound| bound.named(name));
        }
    }
    let ty = if moment.ty == DataType::Date32 { types::timestamp() } else { moment.ty.clone() };
    let moment = binder.cast(moment, &ty)?;
    let zoned = matches!(ty, DataType::Timestamp(_, Some(_)));
    let out_ty = ty.clone();
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![moment.expr, interval.expr], move |columns, _| {
        let zone = zoned.then_some(&zone);
        let out = if months {
            each::<TimestampMicrosecondType, IntervalYearMonthType, TimestampMicrosecondType>(
                &columns[0],
                &columns[1],
                mode,
                |a, b| plus_months(a, sign * i64::from(b), zone).ok_or_else(datetime_overflow),
            )?
        } else {
            each::<TimestampMicrosecondType, DurationMicrosecondType, TimestampMicrosecondType>(
                &columns[0],
                &columns[1],
                mode,
                |a, b| b.checked_mul(sign).and_then(|b| plus_day_time(a, b, zone)).ok_or_else(datetime_overflow),
            )?
        };
        Ok(Arc::new(out.with_data_type(out_ty.clone())))
    });
    Ok(Bound::new(expr, ty, name))
}

/// A moment, or a date, and a calendar interval: first the months, then the days, then the rest.
fn calendar(binder: &Binder, op: Op, moment: Bound, interval: Bound, name: &str, mode: Mode) -> Result<Bound> {
    let zone = binder.zone();
    let sign: i64 = if op == Op::Subtract { -1 } else { 1 };
    let (date, ty) = (moment.ty == DataType::Date32, moment.ty.clone());
    let zoned = matches!(ty, DataType::Timestamp(_, Some(_)));
    let key = format!("{op:?} {ty} calendar {zone:?} {mode:?}");
    // A date is a wall clock's midnight.
    let clock = if date { binder.cast(moment, &types::timestamp_ntz())? } else { moment };
    let out_ty = ty.clone();
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![clock.expr, interval.expr], move |columns, _| {
        let zone = zoned.then_some(&zone);
        let out = each::<TimestampMicrosecondType, IntervalMonthDayNanoType, TimestampMicrosecondType>(
            &columns[0],
            &columns[1],
            mode,
            |micros, parts| {
                if date && parts.nanoseconds != 0 {
                    return Err(spark(
                        "INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION",
                        "an interval with hours or less cannot be added to a DATE",
                    ));
                }
                plus_months(micros, sign * i64::from(parts.months), zone)
                    .and_then(|moved| plus_day_time(moved, sign * i64::from(parts.days) * DAY, zone))
                    .and_then(|moved| moved.checked_add(sign * (parts.nanoseconds / 1_000)))
                    .ok_or_else(datetime_overflow)
            },
        )?;
        let out: ArrayRef = Arc::new(out);
        if date {
            return casts::cast(&out, &DataType::Date32, &Zone::Fixed(0), mode);
        }
        Ok(arrow::compute::cast(&out, &out_ty)?)
    });
    Ok(Bound::new(expr, ty, name))
}

fn scale_interval(binder: &Binder, op: Op, interval: Bound, number: Bound, name: &str, mode: Mode) -> Result<Bound> {
    let ty = interval.ty.clone();
    // A product may have smaller units than its factor.
    let span = Span::of_type(&ty);
    let zero = || spark_hint("INTERVAL_DIVIDED_BY_ZERO", "division by zero", "use try_divide to get NULL instead");
    let decimal = types::is_decimal(&number.ty);
    let number = binder.cast(number, &if decimal { DataType::Decimal128(38, 18) } else { DataType::Float64 })?;
    let key = format!("{op:?} {ty} {mode:?} {decimal}");
    let apply = move |value: i64, by: f64| -> Result<i64> {
        #[expect(clippy::cast_precision_loss, reason = "Spark computes it in doubles, rounded half up")]
        let out = match op {
            Op::Divide if by == 0.0 => return Err(zero()),
            Op::Divide => (value as f64 / by).round(),
            _ => (value as f64 * by).round(),
        };
        if out.is_nan() || out.abs() > 9.3e18 {
            return Err(interval_overflow());
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
        Ok(out as i64)
    };
    let as_double = move |columns: &[ArrayRef]| -> Result<Float64Array> {
        let doubles = casts::cast(&columns[1], &DataType::Float64, &Zone::Fixed(0), Mode::Ansi)?;
        Ok(doubles.as_primitive::<Float64Type>().clone())
    };
    let expr = kernel::pure(op.sign(), key, ty.clone(), vec![interval.expr, number.expr], move |columns, _| {
        let by = as_double(columns)?;
        let by: ArrayRef = Arc::new(by);
        match columns[0].data_type() {
            DataType::Interval(_) => {
                let out: IntervalYearMonthArray = each::<IntervalYearMonthType, Float64Type, IntervalYearMonthType>(
                    &columns[0],
                    &by,
                    mode,
                    |a, b| i32::try_from(apply(i64::from(a), b)?).map_err(|_| interval_overflow()),
                )?;
                Ok(Arc::new(out))
            }
            _ => {
                let out: DurationMicrosecondArray = each::<
                    DurationMicrosecondType,
                    Float64Type,
                    DurationMicrosecondType,
                >(&columns[0], &by, mode, apply)?;
                Ok(Arc::new(out))
            }
        }
    });
    Ok(Bound::new(expr, ty, name).spanned(span))
}
