//! Dates and times. Fields of a TIMESTAMP are those of the wall clock in the session's zone.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::Call;
use super::calendar::{DAY, field, months_between, truncated};
use super::intervals;
use super::pattern::{Pattern, day_name, month_name, weekday};
use super::rows::{Clock, Day, Instant, call as row, coerce};
use super::units::{timestamp_add, timestamp_diff, too_far};
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::zone::{Zone, add_months, civil, days_from_civil, days_in_month};
use crate::spark::{parse, types};

const D: DataType = DataType::Date32;
const I: DataType = DataType::Int32;
const L: DataType = DataType::Int64;
const T: DataType = DataType::Utf8;

/// Any date or time as a wall clock.
pub(super) fn clock(binder: &Binder, value: Bound, call: &str) -> Result<Bound> {
    match value.ty {
        DataType::Date32 | DataType::Timestamp(..) | DataType::Null => binder.cast(value, &types::timestamp_ntz()),
        DataType::Utf8 => {
            let instant = binder.cast(value, &types::timestamp())?;
            binder.cast(instant, &types::timestamp_ntz())
        }
        _ => Err(unexpected_type(call, &value, "DATE or TIMESTAMP")),
    }
}

fn out_of_bounds(text: String) -> datafusion::error::DataFusionError {
    spark_hint("DATETIME_FIELD_OUT_OF_BOUNDS.WITH_SUGGESTION", text, "use the try_ function to get NULL instead")
}

/// `to_date`, `to_timestamp` and their kin with a pattern.
fn with_pattern(binder: &Binder, call: &mut Call<'_>, text: String) -> Result<Bound> {
    let safe = call.name.starts_with("try_");
    let pattern = binder.implicit(call.args[1].clone(), &T, &text)?;
    let value = binder.implicit(call.args[0].clone(), &T, &text)?;
    let zone = binder.zone();
    let key = format!("{zone:?} {safe}");
    let read = move |value: &str, pattern: &str| -> Result<Option<(i64, Option<Zone>)>> {
        let pattern = Pattern::parse(pattern)?;
        match pattern.read(value) {
            Some(found) => Ok(Some(found)),
            None if safe => Ok(None),
            None => Err(pattern.cannot(value)),
        }
    };
    let name = call.name;
    let args = vec![value, pattern];
    Ok(match name {
        "to_date" | "try_to_date" => {
            row(name, key, args, move |r| Ok(read(r.text(0), r.text(1))?.map(|(local, _)| Day(local.div_euclid(DAY)))))
        }
        "to_timestamp_ntz" => {
            row(name, key, args, move |r| Ok(read(r.text(0), r.text(1))?.map(|(local, _)| Clock(local))))
        }
        "unix_timestamp" | "to_unix_timestamp" => row(name, key, args, move |r| {
            Ok(read(r.text(0), r.text(1))?
                .map(|(local, named)| named.unwrap_or(zone).to_instant(local).div_euclid(1_000_000)))
        }),
        _ => row(name, key, args, move |r| {
            Ok(read(r.text(0), r.text(1))?.map(|(local, named)| Instant(named.unwrap_or(zone).to_instant(local))))
        }),
    })
}

fn part(binder: &Binder, unit: &str, value: Bound, text: &str) -> Result<Bound> {
    let unit = unit.to_ascii_uppercase();
    if types::is_interval(&value.ty) {
        return intervals::part(binder, &unit, value);
    }
    let local = clock(binder, value, text)?;
    let name = match unit.as_str() {
        "YEAR" | "Y" | "YEARS" | "YR" | "YRS" => "year",
        "QUARTER" | "QTR" => "quarter",
        "MONTH" | "MON" | "MONS" | "MONTHS" => "month",
        "WEEK" | "W" | "WEEKS" => "week",
        "DAY" | "D" | "DAYS" => "day",
        "DOW" | "DAYOFWEEK" => "dayofweek",
        "DOW_ISO" | "DAYOFWEEK_ISO" => "dayofweek_iso",
        "DOY" => "dayofyear",
        "YEAROFWEEK" => "yearofweek",
        "HOUR" | "H" | "HOURS" | "HR" | "HRS" => "hour",
        "MINUTE" | "M" | "MIN" | "MINS" | "MINUTES" => "minute",
        "SECOND" | "S" | "SEC" | "SECONDS" | "SECS" => {
            let micros = row("seconds", "", vec![local], |r| Ok(Some(r.micros(0).rem_euclid(60_000_000))));
            let wide = binder.cast(micros, &DataType::Decimal128(20, 0))?;
            let million = Bound::literal(ScalarValue::Decimal128(Some(1_000_000), 7, 0), "");
            let divided = crate::spark::arithmetic::operate(
                binder,
                crate::spark::arithmetic::Op::Divide,
                wide,
                million,
                Mode::Ansi,
            )?;
            return binder.cast(divided, &DataType::Decimal128(8, 6));
        }
        _ => return Err(spark("INVALID_EXTRACT_FIELD", format!("cannot extract {unit}"))),
    };
    Ok(row("date_part", name, vec![local], move |r| {
        Ok(field(name, r.micros(0)).and_then(|value| i32::try_from(value).ok()))
    }))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let zone = binder.zone();
    let zoned = format!("{zone:?}");
    let moment = types::timestamp();
    let bound = match name {
        "dateadd" | "date_add" | "timestampadd" if call.args.len() == 3 => {
            return Ok(Some(timestamp_add(binder, call)?));
        }
        "datediff" | "date_diff" | "timestampdiff" if call.args.len() == 3 => {
            return Ok(Some(timestamp_diff(binder, call)?));
        }
        "date_add" | "date_sub" | "dateadd" => {
            call.arity(2, 2)?;
            let days = &call.args[1];
            if !matches!(days.ty, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Null | DataType::Utf8)
            {
                return Err(unexpected_type(&text, days, "INT, SMALLINT or TINYINT"));
            }
            let sign = if name == "date_sub" { -1 } else { 1 };
            row(name, "", coerce(binder, call, 2, &[D, I])?, move |r| {
                Ok(Some(Day(r.day(0) + sign * i64::from(r.int(1)))))
            })
        }
        "datediff" | "date_diff" => {
            let values = coerce(binder, call, 2, &[moment.clone(), moment])?;
            let values = values.into_iter().map(|value| binder.cast(value, &D)).collect::<Result<Vec<_>>>()?;
            row(name, "", values, |r| Ok(i32::try_from(r.day(0) - r.day(1)).ok()))
        }
        "add_months" => row(name, "", coerce(binder, call, 2, &[D, I])?, |r| {
            Ok(Some(Day(add_months(r.day(0), i64::from(r.int(1))))))
        }),
        "months_between" => {
            call.arity(2, 3)?;
            let shown = if call.args.len() == 2 {
                format!("months_between({}, {}, true)", call.args[0].name, call.args[1].name)
            } else {
                text.clone()
            };
            let rounded = match call.args.get(2) {
                Some(flag) => !matches!(flag.as_literal(), Some(ScalarValue::Boolean(Some(false)))),
                None => true,
            };
            let (a, b) = (clock(binder, call.args[0].clone(), &text)?, clock(binder, call.args[1].clone(), &text)?);
            return Ok(Some(
                row(name, format!("{rounded}"), vec![a, b], move |r| {
                    Ok(Some(months_between(r.micros(0), r.micros(1), rounded)))
                })
                .named(shown),
            ));
        }
        "last_day" if matches!(call.args.as_slice(), [Bound { ty: DataType::Timestamp(..), .. }]) => {
            let day = binder.cast(call.args.remove(0), &D)?;
            call.args.push(day);
            return dates_again(binder, call, text);
        }
        "last_day" => row(name, "", coerce(binder, call, 1, &[D])?, |r| {
            let (year, month, _) = civil(r.day(0));
            Ok(days_from_civil(year, month, days_in_month(year, month)).map(Day))
        }),
        "next_day" => row(name, "", coerce(binder, call, 2, &[D, T])?, |r| {
            let wanted = r.text(1).to_ascii_uppercase();
            let at = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].iter().zip(0_i64..).find(|(short, at)| {
                let full = day_name(at - 3 + 7).to_ascii_uppercase();
                wanted == **short || wanted == full || wanted == full[..3]
            });
            let Some((_, at)) = at else {
                return Err(spark("ILLEGAL_DAY_OF_WEEK", format!("illegal input for day of week: {}", r.text(1))));
            };
            let today = i64::try_from(weekday(r.day(0))).unwrap_or(0);
            Ok(Some(Day(r.day(0) + (at - today - 1).rem_euclid(7) + 1)))
        }),
        "trunc" => row(name, "", coerce(binder, call, 2, &[D, T])?, |r| {
            let unit = r.text(1).to_ascii_uppercase();
            if !matches!(unit.as_str(), "YEAR" | "YYYY" | "YY" | "QUARTER" | "MONTH" | "MM" | "MON" | "WEEK") {
                return Ok(None);
            }
            Ok(truncated(&unit, r.day(0) * DAY).map(|at| Day(at.div_euclid(DAY))))
        }),
        "date_trunc" => {
            call.arity(2, 2)?;
            let unit = binder.implicit(call.args[0].clone(), &T, &text)?;
            let value = call.args[1].clone();
            let value = binder.implicit(value, &moment, &text)?;
            row(name, zoned, vec![unit, value], move |r| {
                let (unit, at) = (r.text(0), r.micros(1));
                let local = zone.to_local(at);
                let Some(start) = truncated(unit, local) else { return Ok(None) };
                // Within a day the offset stays: an hour that the clock shows twice is not moved to its first time.
                let within = matches!(
                    unit.to_ascii_uppercase().as_str(),
                    "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" | "MICROSECOND"
                );
                Ok(Some(Instant(if within { at.saturating_sub(local - start) } else { zone.to_instant(start) })))
            })
        }
        "year" | "quarter" | "month" | "day" | "dayofmonth" | "dayofweek" | "weekday" | "dayofyear" | "weekofyear" => {
            call.arity(1, 1)?;
            // A string is cast to DATE here, not to TIMESTAMP.
            let value =
                if call.args[0].ty == T { binder.cast(call.args[0].clone(), &D)? } else { call.args[0].clone() };
            let local = clock(binder, value, &text)?;
            let kind = name.to_owned();
            row(name, "", vec![local], move |r| {
                Ok(field(&kind, r.micros(0)).and_then(|value| i32::try_from(value).ok()))
            })
        }
        "hour" | "minute" | "second" => {
            call.arity(1, 1)?;
            let local = clock(binder, call.args[0].clone(), &text)?;
            let kind = name.to_owned();
            row(name, "", vec![local], move |r| {
                Ok(field(&kind, r.micros(0)).and_then(|value| i32::try_from(value).ok()))
            })
        }
        "dayname" => row(name, "", coerce(binder, call, 1, &[D])?, |r| {
            Ok(Some(day_name(r.day(0)).chars().take(3).collect::<String>()))
        }),
        "monthname" => row(name, "", coerce(binder, call, 1, &[D])?, |r| {
            Ok(Some(month_name(civil(r.day(0)).1).chars().take(3).collect::<String>()))
        }),
        "date_part" | "datepart" => {
            call.arity(2, 2)?;
            let Some(unit) = call.args[0].as_text().map(str::to_owned) else {
                return Err(spark("NON_FOLDABLE_ARGUMENT", "the field of date_part must be a literal string"));
            };
            let bound = part(binder, &unit, call.args[1].clone(), &text)?;
            if name == "datepart" {
                let shown = format!("datepart({unit} FROM {})", call.args[1].name);
                return Ok(Some(bound.named(shown)));
            }
            bound
        }
        "date_format" | "to_varchar" | "to_char"
            if call.args.get(1).is_some_and(|arg| arg.ty == T)
                && !call.args.first().is_some_and(|arg| types::is_numeric(&arg.ty)) =>
        {
            call.arity(2, 2)?;
            let shown = format!("date_format({}, {})", call.args[0].name, call.args[1].name);
            let values = coerce(binder, call, 2, &[moment, T])?;
            return Ok(Some(
                row("date_format", zoned, values, move |r| {
                    Ok(Some(Pattern::parse(r.text(1))?.format(r.micros(0), &zone)))
                })
                .named(shown),
            ));
        }
        "to_date" | "try_to_date" | "to_timestamp" | "try_to_timestamp" | "to_timestamp_ltz" | "to_timestamp_ntz" => {
            call.arity(1, 2)?;
            if call.args.len() == 2 {
                with_pattern(binder, call, text.clone())?
            } else {
                let ty = match name {
                    "to_date" | "try_to_date" => D,
                    "to_timestamp_ntz" => types::timestamp_ntz(),
                    _ => moment,
                };
                let mode = if name.starts_with("try_") { Mode::Try } else { Mode::Ansi };
                binder.cast_mode(call.args.remove(0), &ty, mode)?
            }
        }
        "unix_timestamp" | "to_unix_timestamp" => {
            call.arity(0, 2)?;
            if call.args.is_empty() {
                return Ok(Some(Bound::literal(
                    ScalarValue::Int64(Some(binder.facts.now.div_euclid(1_000_000))),
                    "unix_timestamp(current_timestamp(), yyyy-MM-dd HH:mm:ss)",
                )));
            }
            if call.args.len() == 1 {
                call.args.push(Bound::literal(ScalarValue::from("yyyy-MM-dd HH:mm:ss"), "yyyy-MM-dd HH:mm:ss"));
            }
            let shown = call.text();
            if call.args[0].ty == T || call.args[0].ty == DataType::Null {
                with_pattern(binder, call, text.clone())?.named(shown.clone())
            } else {
                let value = binder.implicit(call.args[0].clone(), &moment, &text)?;
                row(name, "", vec![value], |r| Ok(Some(r.micros(0).div_euclid(1_000_000))))
            }
            .named(shown)
        }
        "from_unixtime" => {
            call.arity(1, 2)?;
            if call.args.len() == 1 {
                call.args.push(Bound::literal(ScalarValue::from("yyyy-MM-dd HH:mm:ss"), "yyyy-MM-dd HH:mm:ss"));
            }
            let shown = call.text();
            let values = coerce(binder, call, 2, &[L, T])?;
            return Ok(Some(
                row(name, zoned, values, move |r| {
                    Ok(Some(Pattern::parse(r.text(1))?.format(r.long(0).saturating_mul(1_000_000), &zone)))
                })
                .named(shown),
            ));
        }
        "make_dt_interval" | "make_ym_interval" => return Ok(Some(intervals::make_ansi(binder, call)?)),
        "make_interval" | "try_make_interval" => return Ok(Some(intervals::make_calendar(binder, call)?)),
        "window_time" => {
            call.arity(1, 1)?;
            let end = binder.struct_field(call.args.remove(0), "end")?;
            match end.ty {
                DataType::Timestamp(_, None) => row(name, "", vec![end], |r| Ok(Some(Clock(r.micros(0) - 1)))),
                _ => row(name, "", vec![binder.implicit(end, &moment, &text)?], |r| Ok(Some(Instant(r.micros(0) - 1)))),
            }
        }
        "unix_date" => row(name, "", coerce(binder, call, 1, &[D])?, |r| Ok(i32::try_from(r.day(0)).ok())),
        "unix_seconds" => {
            row(name, "", coerce(binder, call, 1, &[moment])?, |r| Ok(Some(r.micros(0).div_euclid(1_000_000))))
        }
        "unix_millis" => row(name, "", coerce(binder, call, 1, &[moment])?, |r| Ok(Some(r.micros(0).div_euclid(1000)))),
        "unix_micros" => row(name, "", coerce(binder, call, 1, &[moment])?, |r| Ok(Some(r.micros(0)))),
        "timestamp_seconds" => {
            call.arity(1, 1)?;
            let value = call.args.remove(0);
            if !types::is_numeric(&value.ty) {
                return Err(unexpected_type(&text, &value, "NUMERIC"));
            }
            binder.cast(value, &moment)?
        }
        "timestamp_millis" => {
            row(name, "", coerce(binder, call, 1, &[L])?, |r| Ok(r.long(0).checked_mul(1000).map(Instant)))
        }
        "timestamp_micros" => row(name, "", coerce(binder, call, 1, &[L])?, |r| Ok(Some(Instant(r.long(0))))),
        "date_from_unix_date" => row(name, "", coerce(binder, call, 1, &[I])?, |r| Ok(Some(Day(i64::from(r.int(0)))))),
        "make_date" => row(name, "", coerce(binder, call, 3, &[I, I, I])?, |r| {
            let found = u32::try_from(r.int(1))
                .ok()
                .zip(u32::try_from(r.int(2)).ok())
                .and_then(|(month, day)| days_from_civil(i64::from(r.int(0)), month, day));
            found
                .map(|day| Some(Day(day)))
                .ok_or_else(|| out_of_bounds(format!("invalid date {}-{}-{}", r.int(0), r.int(1), r.int(2))))
        }),
        "make_timestamp" | "try_make_timestamp" | "make_timestamp_ntz" | "make_timestamp_ltz" => {
            return make_timestamp(binder, call, text);
        }
        "from_utc_timestamp" | "to_utc_timestamp" => {
            let from = name == "from_utc_timestamp";
            row(name, "", coerce(binder, call, 2, &[moment, T])?, move |r| {
                let zone = Zone::parse(r.text(1))?;
                let at = r.micros(0);
                Ok(Some(Instant(if from { zone.to_local(at) } else { zone.to_instant(at) })))
            })
        }
        "convert_timezone" => {
            call.arity(2, 3)?;
            if call.args.len() == 2 {
                call.args.insert(
                    0,
                    Bound::literal(ScalarValue::Utf8(Some(binder.facts.zone_name.clone())), "current_timezone()"),
                );
            }
            let shown = call.text();
            let values = coerce(binder, call, 3, &[T, T, types::timestamp_ntz()])?;
            return Ok(Some(
                row(name, "", values, |r| {
                    let (from, to) = (Zone::parse(r.text(0))?, Zone::parse(r.text(1))?);
                    Ok(Some(Clock(to.to_local(from.to_instant(r.micros(2))))))
                })
                .named(shown),
            ));
        }
        _ => return Ok(None),
    };
    Ok(Some(if bound.name.starts_with("unix_timestamp(") || bound.name.starts_with("to_unix_timestamp(") {
        bound
    } else {
        bound.named(text)
    }))
}

/// The call with its arguments changed, under the name that it had.
fn dates_again(binder: &Binder, changed: &mut Call<'_>, text: String) -> Result<Option<Bound>> {
    Ok(call(binder, changed)?.map(|bound| bound.named(text)))
}

fn make_timestamp(binder: &Binder, call: &mut Call<'_>, text: String) -> Result<Option<Bound>> {
    let name = call.name;
    let seconds = DataType::Decimal128(16, 6);
    call.arity(6, 7)?;
    let mut values = Vec::new();
    for (at, arg) in std::mem::take(&mut call.args).into_iter().enumerate() {
        values.push(match at {
            5 => {
                let decimal = binder.cast(arg, &seconds)?;
                binder.cast(decimal, &T)?
            }
            6 => binder.implicit(arg, &T, &text)?,
            _ => binder.implicit(arg, &I, &text)?,
        });
    }
    let (ntz, safe, own) = (name == "make_timestamp_ntz", name.starts_with("try_"), values.len() == 7);
    let zone = binder.zone();
    let compute = move |r: &super::rows::Row<'_>| -> Result<Option<(i64, Zone)>> {
        let micros = parse::digits(r.text(5))
            .and_then(|digits| digits.at_scale(38, 6))
            .and_then(|value| i64::try_from(value).ok());
        let day = u32::try_from(r.int(1))
            .ok()
            .zip(u32::try_from(r.int(2)).ok())
            .and_then(|(month, day)| days_from_civil(i64::from(r.int(0)), month, day));
        let (hour, minute) = (i64::from(r.int(3)), i64::from(r.int(4)));
        let valid = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && micros.is_some_and(|micros| (0..=60_000_000).contains(&micros));
        let named = if own { Zone::parse(r.text(6))? } else { zone };
        match (day, micros) {
            (Some(day), Some(micros)) if valid => {
                let of_day = (hour * 3600 + minute * 60) * 1_000_000 + micros;
                let local = day.checked_mul(DAY).and_then(|start| start.checked_add(of_day)).ok_or_else(too_far)?;
                Ok(Some((local, named)))
            }
            _ if safe => Ok(None),
            _ => Err(out_of_bounds(format!(
                "invalid timestamp {}-{}-{} {hour}:{minute}:{}",
                r.int(0),
                r.int(1),
                r.int(2),
                r.text(5)
            ))),
        }
    };
    let key = format!("{zone:?}");
    Ok(Some(
        if ntz {
            row(name, key, values, move |r| Ok(compute(r)?.map(|(local, _)| Clock(local))))
        } else {
            row(name, key, values, move |r| Ok(compute(r)?.map(|(local, zone)| Instant(zone.to_instant(local)))))
        }
        .named(text),
    ))
}
