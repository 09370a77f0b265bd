//! Text that becomes a value: numbers, booleans, dates, times. Spark's `Cast` and `SparkDateTimeUtils`.
//!
//! Every function takes the text as it came and returns `None` when Spark calls it malformed.

use super::zone::{Zone, days_from_civil};

/// `UTF8String.trimAll`: white space and control characters.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// A whole number with optional sign, nothing else.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 38 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// A double; Java's suffixes `d` and `f` are taken.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = trim(text);
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => return Some(f64::INFINITY),
        "-inf" | "-infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    if !number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    number.parse().ok()
}

/// A decimal's sign, digits and the power of ten of the last one.
pub(crate) struct Digits {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

/// Java's `new BigDecimal(text)`.
pub(crate) fn digits(text: &str) -> Option<Digits> {
    let text = trim(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let number = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    Some(Digits { negative, digits, exponent })
}

impl Digits {
    /// The unscaled value at that scale, rounded half up; `None` when it has more than `precision` digits.
    pub(crate) fn at_scale(&self, precision: u8, scale: i8) -> Option<i128> {
        // value = digits * 10^exponent; wanted = value * 10^scale
        let shift = self.exponent.checked_add(i32::from(scale))?;
        let first = self.digits.iter().position(|d| *d != 0).unwrap_or(self.digits.len());
        let significant = &self.digits[first..];
        let mut value: i128 = 0;
        let keep = i32::try_from(significant.len()).ok()?.checked_add(shift.min(0))?;
        if keep < 0 {
            return Some(0);
        }
        let keep = usize::try_from(keep).ok()?;
        if keep > 39 {
            return None;
        }
        for digit in &significant[..keep] {
            value = value.checked_mul(10)?.checked_add(i128::from(*digit))?;
        }
        if shift < 0 && significant.get(keep).is_some_and(|digit| *digit >= 5) {
            value = value.checked_add(1)?;
        }
        if value != 0 {
            for _ in 0..shift.max(0) {
                value = value.checked_mul(10)?;
            }
        }
        let value = if self.negative { -value } else { value };
        fits(value, precision).then_some(value)
    }
}

/// Whether an unscaled value has at most that many digits.
pub(crate) fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < POWERS[usize::from(precision.min(38))]
}

/// Powers of ten.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// `t`, `true`, `y`, `yes`, `1` and their opposites.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match trim(text).to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn number(text: &str, min: usize, max: usize) -> Option<u32> {
    (text.len() >= min && text.len() <= max && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn calendar_date(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut parts = rest.split('-');
    let year = i64::from(number(parts.next()?, 4, 7)?);
    let month = parts.next().map_or(Some(1), |part| number(part, 1, 2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 1, 2))?;
    if parts.next().is_some() {
        return None;
    }
    days_from_civil(if negative { -year } else { year }, month, day)
}

/// `2024-01-31`, `2024-1`, `2024`, with anything after `T` or a blank.
pub(crate) fn date(text: &str) -> Option<i32> {
    let text = trim(text);
    if text.eq_ignore_ascii_case("epoch") {
        return Some(0);
    }
    let dashes = text.bytes().filter(|b| *b == b'-').count();
    let end = if dashes >= 2 { text.find([' ', 'T']).unwrap_or(text.len()) } else { text.len() };
    i32::try_from(calendar_date(&text[..end])?).ok()
}

/// A wall-clock time with the zone that the text names, if it does.
pub(crate) struct Moment {
    /// Microseconds; the day is missing for a time alone.
    pub(crate) local: i64,
    /// Whether there was a date.
    pub(crate) has_date: bool,
    /// The zone in the text.
    pub(crate) zone: Option<Zone>,
}

/// `2024-01-31 12:30:00.123 Europe/Berlin` and its shorter forms.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = trim(text);
    let date_end = text.find([' ', 'T', ':']).unwrap_or(text.len());
    let (day, time) = if text[date_end..].starts_with(':') || text.starts_with('T') {
        (None, text.strip_prefix('T').unwrap_or(text))
    } else {
        let day = calendar_date(&text[..date_end])?;
        let rest = &text[date_end..];
        (Some(day), if rest.is_empty() { "" } else { &rest[1..] })
    };
    let base = day.unwrap_or(0).checked_mul(86_400_000_000)?;
    if time.is_empty() {
        return day.map(|_| Moment { local: base, has_date: true, zone: None });
    }
    let clock_end = time.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock_end);
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 1, 2)?;
    let minute = parts.next().map_or(Some(0), |part| number(part, 1, 2))?;
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let padded: String = fraction.chars().chain("000000".chars()).take(6).collect();
            (number(whole, 1, 2)?, padded.parse::<i64>().ok()?)
        }
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let zone = match trim(zone) {
        "" => None,
        name => Some(Zone::read(name)?),
    };
    let of_day = (i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + micros;
    Some(Moment { local: base.checked_add(of_day)?, has_date: day.is_some(), zone })
}

/// TIMESTAMP: an instant.
pub(crate) fn timestamp(text: &str, session: &Zone) -> Option<i64> {
    let moment = moment(text)?;
    if !moment.has_date {
        return None;
    }
    Some(moment.zone.as_ref().unwrap_or(session).to_instant(moment.local))
}

/// TIMESTAMP_NTZ: a zone in the text is dropped.
pub(crate) fn timestamp_ntz(text: &str) -> Option<i64> {
    let moment = moment(text)?;
    moment.has_date.then_some(moment.local)
}
