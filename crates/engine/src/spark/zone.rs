//! Time zones and the calendar.
//!
//! TIMESTAMP is an instant in microseconds UTC; what a person reads or writes is a wall-clock time in the session's zone.
//! In a gap (clocks go forward) a wall-clock time moves forward by the gap's length, in an overlap the earlier instant
//! counts: Java's `ZonedDateTime.ofLocal`.

use chrono::{Offset, TimeZone};
pub(crate) use crannog_types::calendar::{civil, days_from_civil, days_in_month};

use super::error::{Result, spark};

/// A zone: fixed offset in seconds, or IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    /// A region.
    Region(chrono_tz::Tz),
}

impl Zone {
    /// `Europe/Berlin`, `+02:00`, `UTC+3`, `Z`, `EST`.
    ///
    /// # Errors
    /// `INVALID_TIMEZONE`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        Self::read(trimmed).ok_or_else(|| spark("INVALID_TIMEZONE", format!("the timezone '{text}' is not known")))
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "Z" | "UTC" | "GMT" | "UT" | "z" => return Some(Zone::Fixed(0)),
            "EST" => return Some(Zone::Fixed(-5 * 3600)),
            "MST" => return Some(Zone::Fixed(-7 * 3600)),
            "HST" => return Some(Zone::Fixed(-10 * 3600)),
            "PST" => return Some(Zone::Region(chrono_tz::America::Los_Angeles)),
            "CST" => return Some(Zone::Region(chrono_tz::America::Chicago)),
            "JST" => return Some(Zone::Region(chrono_tz::Asia::Tokyo)),
            "IST" => return Some(Zone::Region(chrono_tz::Asia::Kolkata)),
            _ => {}
        }
        let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if let Some(seconds) = read_offset(offset) {
            return Some(Zone::Fixed(seconds));
        }
        text.parse::<chrono_tz::Tz>().ok().map(Zone::Region)
    }

    /// Seconds east of UTC at an instant.
    pub(crate) fn offset_at(&self, micros: i64) -> i64 {
        match self {
            Zone::Fixed(seconds) => i64::from(*seconds),
            Zone::Region(region) => match in_calendar(micros) {
                Some(instant) => i64::from(region.offset_from_utc_datetime(&instant).fix().local_minus_utc()),
                None => 0,
            },
        }
    }

    /// The wall-clock time of an instant.
    pub(crate) fn to_local(&self, micros: i64) -> i64 {
        micros.saturating_add(self.offset_at(micros) * 1_000_000)
    }

    /// The instant of a wall-clock time.
    pub(crate) fn to_instant(&self, local: i64) -> i64 {
        let Zone::Region(region) = self else {
            let Zone::Fixed(seconds) = self else { return local };
            return local.saturating_sub(i64::from(*seconds) * 1_000_000);
        };
        let Some(naive) = in_calendar(local) else { return local };
        match region.offset_from_local_datetime(&naive) {
            chrono::LocalResult::Single(offset) => local - i64::from(offset.fix().local_minus_utc()) * 1_000_000,
            chrono::LocalResult::Ambiguous(earlier, _) => {
                local - i64::from(earlier.fix().local_minus_utc()) * 1_000_000
            }
            chrono::LocalResult::None => {
                let before = self.offset_at(local - 86_400_000_000);
                local - before * 1_000_000
            }
        }
    }

    /// As `current_timezone()` shows it.
    pub(crate) fn name(&self) -> String {
        match self {
            Zone::Fixed(0) => "Z".into(),
            Zone::Fixed(seconds) => offset_text(*seconds, true),
            Zone::Region(region) => region.name().to_owned(),
        }
    }

    /// `EST`, `CET`.
    pub(crate) fn abbreviation(&self, micros: i64) -> String {
        match self {
            Zone::Fixed(0) => "UTC".into(),
            Zone::Fixed(seconds) => offset_text(*seconds, true),
            Zone::Region(region) => match in_calendar(micros) {
                Some(instant) => region.offset_from_utc_datetime(&instant).to_string(),
                None => region.name().to_owned(),
            },
        }
    }
}

/// A wall clock that chrono's calendar has, with a day to spare on either side; beyond it every zone counts as UTC.
fn in_calendar(micros: i64) -> Option<chrono::NaiveDateTime> {
    let near = micros.checked_add(86_400_000_000).and_then(chrono::DateTime::from_timestamp_micros).is_some()
        && micros.checked_sub(86_400_000_000).and_then(chrono::DateTime::from_timestamp_micros).is_some();
    if near { chrono::DateTime::from_timestamp_micros(micros).map(|instant| instant.naive_utc()) } else { None }
}

/// `+02:00` or `+0200`.
pub(crate) fn offset_text(seconds: i32, colon: bool) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let colon = if colon { ":" } else { "" };
    format!("{sign}{:02}{colon}{:02}", seconds / 3600, seconds / 60 % 60)
}

/// `+2`, `+02`, `+02:00`, `+0200`, `-7:30`.
fn read_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let parts: Vec<&str> = if rest.contains(':') {
        rest.split(':').collect()
    } else if rest.len() > 2 && rest.len() % 2 == 0 && rest.is_ascii() {
        rest.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or("x")).collect()
    } else {
        vec![rest]
    };
    if parts.len() > 3
        || parts.iter().any(|part| part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (number(0)?, number(1)?, number(2)?);
    (hours <= 18 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// The same day some months later; the last day of the month when it has no such day.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil(days);
    // Farther than any date or moment reaches, and near enough for the arithmetic below.
    let months = months.clamp(-(1 << 40), 1 << 40);
    let total = year * 12 + i64::from(month) - 1 + months;
    let (year, month) = (total.div_euclid(12), u32::try_from(total.rem_euclid(12)).unwrap_or(0) + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month))).unwrap_or(days)
}
