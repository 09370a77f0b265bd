//! `sequence`: numbers, dates and instants at equal steps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, ListArray, TimestampMicrosecondArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Field, Int64Type, IntervalUnit, IntervalYearMonthType,
    TimestampMicrosecondType,
};

use super::Call;
use super::lists::limited;
use crate::bind::{Binder, Bound};
use crate::spark::arithmetic::{plus_day_time, plus_months};
use crate::spark::error::{Result, overflow, spark, spark_hint};
use crate::spark::zone::Zone;
use crate::spark::{kernel, types};

const DAY: i64 = 86_400_000_000;

#[derive(Clone, Copy)]
enum Step {
    /// Whole numbers.
    By(i64),
    Months(i64),
    Micros(i64),
}

fn wrong_types(text: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "DATATYPE_MISMATCH.SEQUENCE_WRONG_INPUT_TYPES",
        format!("cannot resolve \"{text}\": start and stop must be integers, or dates or timestamps with an interval"),
        "cast the arguments",
    )
}

/// The n-th value after the start; `None` when it is beyond all values.
fn nth(start: i64, step: Step, n: i64, zone: Option<&Zone>) -> Option<i64> {
    match step {
        Step::By(step) => start.checked_add(step.checked_mul(n)?),
        Step::Months(months) => plus_months(start, months.checked_mul(n)?, zone),
        Step::Micros(micros) => plus_day_time(start, micros.checked_mul(n)?, zone),
    }
}

fn fill(out: &mut Vec<i64>, start: i64, stop: i64, step: Step, zone: Option<&Zone>) -> Result<()> {
    let (Step::By(amount) | Step::Months(amount) | Step::Micros(amount)) = step;
    if amount == 0 && start != stop || amount > 0 && start > stop || amount < 0 && start < stop {
        return Err(spark_hint(
            "INVALID_PARAMETER_VALUE",
            "the boundaries of sequence are illegal: the step does not lead from the start to the stop",
            "change the sign of the step",
        ));
    }
    if amount == 0 {
        out.push(start);
        return Ok(());
    }
    // About known beforehand: no room and no time is taken for a sequence that is too long.
    let width = match step {
        Step::By(amount) | Step::Micros(amount) => i128::from(amount),
        Step::Months(months) => i128::from(months) * 31 * i128::from(DAY),
    };
    let count = (i128::from(stop) - i128::from(start)) / width + 1;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    limited(out.len().saturating_add(count))?;
    out.reserve(count);
    let mut n = 0;
    while let Some(value) = nth(start, step, n, zone) {
        if amount > 0 && value > stop || amount < 0 && value < stop {
            return Ok(());
        }
        out.push(value);
        limited(out.len())?;
        n += 1;
    }
    // The next value is beyond the type, so beyond the stop.
    Ok(())
}

fn moments(column: &ArrayRef) -> Result<Vec<i64>> {
    Ok(match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().values().iter();
            let micros: Option<Vec<i64>> = days.map(|day| i64::from(*day).checked_mul(DAY)).collect();
            micros.ok_or_else(|| overflow("timestamp"))?
        }
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().values().to_vec(),
        _ => column.as_primitive::<Int64Type>().values().to_vec(),
    })
}

fn step_at(column: Option<&ArrayRef>, row: usize, numeric: bool, rising: bool) -> Step {
    let sign = if rising { 1 } else { -1 };
    match column.map(|column| (column, column.data_type())) {
        None if numeric => Step::By(sign),
        None => Step::Micros(sign * DAY),
        Some((column, DataType::Duration(_))) => {
            Step::Micros(column.as_primitive::<DurationMicrosecondType>().value(row))
        }
        Some((column, DataType::Interval(_))) => {
            Step::Months(i64::from(column.as_primitive::<IntervalYearMonthType>().value(row)))
        }
        Some((column, _)) => Step::By(column.as_primitive::<Int64Type>().value(row)),
    }
}

/// Binds `sequence(start, stop [, step])`.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>, text: &str) -> Result<Bound> {
    call.arity(2, 3)?;
    let mut args = std::mem::take(&mut call.args);
    let step = if args.len() == 3 { args.pop() } else { None };
    let numeric = args.iter().all(|arg| types::is_integral(&arg.ty) || arg.ty == DataType::Null);
    let mut ty = types::common_of(args.iter().map(|arg| &arg.ty)).ok_or_else(|| wrong_types(text))?;
    let mut exprs = Vec::new();
    if numeric {
        if let Some(step) = &step {
            if !types::is_integral(&step.ty) && step.ty != DataType::Null {
                return Err(wrong_types(text));
            }
            ty = types::common(&ty, &step.ty).ok_or_else(|| wrong_types(text))?;
        }
        if ty == DataType::Null {
            return Err(wrong_types(text));
        }
        for arg in args.into_iter().chain(step) {
            exprs.push(binder.cast(arg, &DataType::Int64)?.expr);
        }
    } else {
        if !types::is_datetime(&ty) {
            return Err(wrong_types(text));
        }
        for arg in args {
            exprs.push(binder.cast(arg, &ty)?.expr);
        }
        match step {
            Some(step) if matches!(step.ty, DataType::Duration(_) | DataType::Interval(IntervalUnit::YearMonth)) => {
                exprs.push(step.expr);
            }
            Some(step) if step.ty == DataType::Null => exprs.push(binder.cast(step, &types::day_time())?.expr),
            Some(_) => return Err(wrong_types(text)),
            None => {}
        }
    }
    let (zone, element) = (binder.zone(), ty.clone());
    let list = types::list_of(ty.clone());
    let expr = kernel::pure("sequence", format!("{zone:?}"), list.clone(), exprs, move |columns, rows| {
        let (starts, stops) = (moments(&columns[0])?, moments(&columns[1])?);
        let zone = matches!(element, DataType::Timestamp(_, Some(_))).then_some(&zone);
        let (mut out, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let present = columns.iter().all(|column| column.is_valid(row));
            let before = out.len();
            if present {
                let step = step_at(columns.get(2), row, numeric, starts[row] <= stops[row]);
                if element == DataType::Date32 && matches!(step, Step::Micros(micros) if micros % DAY != 0) {
                    return Err(spark(
                        "INVALID_PARAMETER_VALUE",
                        "the step of a sequence of dates must be whole days or months",
                    ));
                }
                fill(&mut out, starts[row], stops[row], step, zone)?;
            }
            lengths.push(out.len() - before);
            valid.push(present);
        }
        let values: ArrayRef = match &element {
            DataType::Date32 => {
                let days = out.iter().map(|micros| i32::try_from(micros.div_euclid(DAY)));
                Arc::new(Date32Array::from(days.collect::<Result<Vec<_>, _>>().map_err(|_| overflow("date"))?))
            }
            DataType::Timestamp(_, with_zone) => {
                Arc::new(TimestampMicrosecondArray::from(out).with_timezone_opt(with_zone.clone()))
            }
            whole => arrow::compute::cast(&Int64Array::from(out), whole)?,
        };
        let field = Arc::new(Field::new("element", element.clone(), true));
        let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid));
        Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(nulls))?))
    });
    Ok(Bound::new(expr, list, text))
}
