//! Whole units of time that are added to a timestamp, and those that lie between two: `timestampadd`, `timestampdiff`.

use arrow::datatypes::DataType;

use super::Call;
use super::calendar::DAY;
use super::dates::clock;
use super::rows::{Clock, Instant, call as row};
use crate::bind::{Binder, Bound};
use crate::spark::arithmetic::plus_months;
use crate::spark::error::{Result, spark};
use crate::spark::types;
use crate::spark::zone::{Zone, civil};

const L: DataType = DataType::Int64;
const NO_ZONE: Zone = Zone::Fixed(0);

fn unit_of(call: &Call<'_>) -> Result<String> {
    call.args[0].as_text().map(str::to_ascii_uppercase).ok_or_else(|| {
        spark("INVALID_PARAMETER_VALUE.DATETIME_UNIT", format!("{} needs a unit such as DAY", call.name))
    })
}

fn bad_unit(function: &str, unit: &str) -> datafusion::error::DataFusionError {
    spark(
        "INVALID_PARAMETER_VALUE.DATETIME_UNIT",
        format!(
            "{function} expects one of the units YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, but got '{unit}'"
        ),
    )
}

pub(super) fn timestamp_add(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    let unit = unit_of(call)?;
    let shown = format!("timestampadd({unit}, {}, {})", call.args[1].name, call.args[2].name);
    let amount = binder.implicit(call.args[1].clone(), &L, &shown)?;
    let value = call.args[2].clone();
    let ntz = value.ty == types::timestamp_ntz();
    let value = binder.implicit(value, &if ntz { types::timestamp_ntz() } else { types::timestamp() }, &shown)?;
    let zone = if ntz { NO_ZONE } else { binder.zone() };
    let (months, days, micros) = match unit.trim_end_matches('S') {
        "YEAR" => (12, 0, 0),
        "QUARTER" => (3, 0, 0),
        "MONTH" => (1, 0, 0),
        "WEEK" => (0, 7, 0),
        "DAY" | "DAYOFYEAR" => (0, 1, 0),
        "HOUR" => (0, 0, 3_600_000_000),
        "MINUTE" => (0, 0, 60_000_000),
        "SECOND" => (0, 0, 1_000_000),
        "MILLISECOND" => (0, 0, 1000),
        "MICROSECOND" => (0, 0, 1),
        _ => return Err(bad_unit("timestampadd", &unit)),
    };
    let key = format!("{unit} {zone:?} {ntz}");
    let apply = move |at: i64, n: i64| -> Option<i64> {
        if months > 0 {
            return plus_months(at, n.checked_mul(months)?, Some(&zone));
        }
        if days > 0 {
            return Some(zone.to_instant(zone.to_local(at).checked_add(n.checked_mul(days * DAY)?)?));
        }
        at.checked_add(n.checked_mul(micros)?)
    };
    let overflow = || spark("DATETIME_OVERFLOW", "datetime operation overflow");
    Ok(if ntz {
        row("timestampadd", key, vec![amount, value], move |r| {
            apply(r.micros(1), r.long(0)).map(|at| Some(Clock(at))).ok_or_else(overflow)
        })
    } else {
        row("timestampadd", key, vec![amount, value], move |r| {
            apply(r.micros(1), r.long(0)).map(|at| Some(Instant(at))).ok_or_else(overflow)
        })
    }
    .named(shown))
}

pub(super) fn timestamp_diff(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    let unit = unit_of(call)?;
    let shown = format!("timestampdiff({unit}, {}, {})", call.args[1].name, call.args[2].name);
    let (a, b) = (clock(binder, call.args[1].clone(), &shown)?, clock(binder, call.args[2].clone(), &shown)?);
    let divisor: i64 = match unit.trim_end_matches('S') {
        "YEAR" | "QUARTER" | "MONTH" => 0,
        "WEEK" => 7 * DAY,
        "DAY" => DAY,
        "HOUR" => 3_600_000_000,
        "MINUTE" => 60_000_000,
        "SECOND" => 1_000_000,
        "MILLISECOND" => 1000,
        "MICROSECOND" => 1,
        _ => return Err(bad_unit("timestampdiff", &unit)),
    };
    let per = match unit.trim_end_matches('S') {
        "YEAR" => 12,
        "QUARTER" => 3,
        _ => 1,
    };
    Ok(row("timestampdiff", unit, vec![a, b], move |r| {
        let (a, b) = (r.micros(0), r.micros(1));
        if divisor > 0 {
            return b.checked_sub(a).map(|micros| Some(micros / divisor)).ok_or_else(too_far);
        }
        let ((ay, am, _), (by, bm, _)) = (civil(a.div_euclid(DAY)), civil(b.div_euclid(DAY)));
        let mut months = (by - ay) * 12 + i64::from(bm) - i64::from(am);
        let moved = plus_months(a, months, None).ok_or_else(too_far)?;
        if months > 0 && moved > b {
            months -= 1;
        } else if months < 0 && moved < b {
            months += 1;
        }
        Ok(Some(months / per))
    })
    .named(shown))
}

pub(super) fn too_far() -> datafusion::error::DataFusionError {
    spark("DATETIME_OVERFLOW", "datetime operation overflow")
}
