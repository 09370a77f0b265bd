//! What a wall clock says, in microseconds since 1970: its fields, the starts of its units, the months between two.

use super::pattern::weekday;
use crate::spark::zone::{civil, days_from_civil, days_in_month};

pub(super) const DAY: i64 = 86_400_000_000;

fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - i64::try_from(weekday(days)).unwrap_or(0) + 3;
    let (year, ..) = civil(thursday);
    let first = days_from_civil(year, 1, 1).unwrap_or(thursday);
    (year, (thursday - first) / 7 + 1)
}

/// A whole-number field of a wall clock.
pub(super) fn field(name: &str, local: i64) -> Option<i64> {
    let days = local.div_euclid(DAY);
    let seconds = local.rem_euclid(DAY) / 1_000_000;
    let (year, month, day) = civil(days);
    let of_week = i64::try_from(weekday(days)).unwrap_or(0);
    Some(match name {
        "year" => year,
        "quarter" => i64::from(month.div_ceil(3)),
        "month" => i64::from(month),
        "day" | "dayofmonth" => i64::from(day),
        "dayofweek" => (of_week + 1) % 7 + 1,
        "dayofweek_iso" => of_week + 1,
        "weekday" => of_week,
        "dayofyear" => days - days_from_civil(year, 1, 1)? + 1,
        "weekofyear" | "week" => iso_week(days).1,
        "yearofweek" => iso_week(days).0,
        "hour" => seconds / 3600,
        "minute" => seconds / 60 % 60,
        "second" => seconds % 60,
        _ => return None,
    })
}

/// The wall clock at the start of a unit.
pub(super) fn truncated(unit: &str, local: i64) -> Option<i64> {
    let days = local.div_euclid(DAY);
    let (year, month, _) = civil(days);
    let start = |days: Option<i64>| days.and_then(|days| days.checked_mul(DAY));
    match unit.to_ascii_uppercase().as_str() {
        "YEAR" | "YYYY" | "YY" => start(days_from_civil(year, 1, 1)),
        "QUARTER" => start(days_from_civil(year, (month - 1) / 3 * 3 + 1, 1)),
        "MONTH" | "MM" | "MON" => start(days_from_civil(year, month, 1)),
        "WEEK" => start(Some(days - i64::try_from(weekday(days)).unwrap_or(0))),
        "DAY" | "DD" => start(Some(days)),
        "HOUR" => local.checked_sub(local.rem_euclid(3_600_000_000)),
        "MINUTE" => local.checked_sub(local.rem_euclid(60_000_000)),
        "SECOND" => local.checked_sub(local.rem_euclid(1_000_000)),
        "MILLISECOND" => local.checked_sub(local.rem_euclid(1000)),
        "MICROSECOND" => Some(local),
        _ => None,
    }
}

/// How many months lie between two wall clocks: whole where both are on the same day of the month, or on its last.
pub(super) fn months_between(a: i64, b: i64, rounded: bool) -> f64 {
    let ((ad, at), (bd, bt)) = ((a.div_euclid(DAY), a.rem_euclid(DAY)), (b.div_euclid(DAY), b.rem_euclid(DAY)));
    let ((ay, am, aday), (by, bm, bday)) = (civil(ad), civil(bd));
    #[expect(clippy::cast_precision_loss, reason = "months")]
    let months = ((ay - by) * 12 + i64::from(am) - i64::from(bm)) as f64;
    let last = |y: i64, m: u32, d: u32| d == days_in_month(y, m);
    if aday == bday || last(ay, am, aday) && last(by, bm, bday) {
        return months;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of a month")]
    let seconds = ((i64::from(aday) - i64::from(bday)) * 86_400 + at / 1_000_000 - bt / 1_000_000) as f64;
    let value = months + seconds / (31.0 * 86_400.0);
    if rounded { (value * 1e8).round() / 1e8 } else { value }
}
