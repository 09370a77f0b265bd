//! Java's date patterns (`yyyy-MM-dd HH:mm:ss`), for formatting and parsing.
//!
//! Letters that are not here are refused, never passed through.

use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::zone::{Zone, civil, days_from_civil, offset_text};

#[derive(Clone, Debug)]
enum Part {
    Letter(char, usize),
    Text(String),
}

/// A pattern, understood.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    written: String,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAY: i64 = 86_400_000_000;

/// 0 for Monday.
pub(crate) fn weekday(days: i64) -> usize {
    usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)
}

/// The name of a month, 1 to 12.
pub(crate) fn month_name(month: u32) -> &'static str {
    MONTHS.get(usize::try_from(month).unwrap_or(1).saturating_sub(1)).copied().unwrap_or("")
}

/// The name of a day.
pub(crate) fn day_name(days: i64) -> &'static str {
    DAYS[weekday(days)]
}

impl Pattern {
    /// # Errors
    /// `INVALID_DATETIME_PATTERN`; for letters that Spark 3 dropped, `INCONSISTENT_BEHAVIOR_CROSS_VERSION`.
    pub(crate) fn parse(written: &str) -> Result<Self> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = written.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let mut text = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            text.push('\'');
                        }
                        Some('\'') => break,
                        Some(other) => text.push(other),
                        None => {
                            return Err(spark(
                                "INVALID_DATETIME_PATTERN.WITH_SUGGESTION",
                                format!("the pattern '{written}' has an open quotation"),
                            ));
                        }
                    }
                }
                parts.push(Part::Text(if text.is_empty() { "'".into() } else { text }));
                continue;
            }
            if c.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.peek() == Some(&c) {
                    chars.next();
                    count += 1;
                }
                if "YwWueFc".contains(c) {
                    return Err(spark_hint(
                        "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION",
                        format!(
                            "the pattern '{written}' is not recognised: the letter '{c}' has no meaning since Spark 3"
                        ),
                        "use yyyy for the year, and extract(WEEK FROM …) for the week",
                    ));
                }
                if !"yMLdDHhKkmsSaEQqzVXxZG".contains(c) {
                    return Err(spark(
                        "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER",
                        format!("illegal pattern character '{c}' in '{written}'"),
                    ));
                }
                parts.push(Part::Letter(c, count));
                continue;
            }
            if c == '[' || c == ']' {
                continue;
            }
            parts.push(Part::Text(c.to_string()));
        }
        Ok(Pattern { parts, written: written.to_owned() })
    }

    /// Formats an instant; without a zone the micros are a wall clock.
    pub(crate) fn format(&self, micros: i64, zone: &Zone) -> String {
        let local = zone.to_local(micros);
        let (days, of_day) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let seconds = of_day / 1_000_000;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let mut out = String::new();
        let padded = |value: i64, width: usize| format!("{value:0width$}");
        for part in &self.parts {
            let (letter, count) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Letter(letter, count) => (*letter, *count),
            };
            out.push_str(&match letter {
                'y' if count == 2 => padded(year.rem_euclid(100), 2),
                'y' => padded(year, count),
                'M' | 'L' => match count {
                    1 | 2 => padded(i64::from(month), count),
                    3 => month_name(month).chars().take(3).collect(),
                    _ => month_name(month).to_owned(),
                },
                'd' => padded(i64::from(day), count),
                'D' => padded(days - days_from_civil(year, 1, 1).unwrap_or(days) + 1, count),
                'H' => padded(hour, count),
                'h' => padded((hour + 11) % 12 + 1, count),
                'K' => padded(hour % 12, count),
                'k' => padded(if hour == 0 { 24 } else { hour }, count),
                'm' => padded(minute, count),
                's' => padded(second, count),
                'S' => format!("{:06}000", of_day % 1_000_000).chars().take(count).collect(),
                'a' => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
                'E' if count < 4 => day_name(days).chars().take(3).collect(),
                'E' => day_name(days).to_owned(),
                'Q' | 'q' => match count {
                    1 | 2 => padded(i64::from(month.div_ceil(3)), count),
                    _ => format!("Q{}", month.div_ceil(3)),
                },
                'z' => zone.abbreviation(micros),
                'V' => zone.name(),
                'X' | 'x' | 'Z' => {
                    let offset = i32::try_from(zone.offset_at(micros)).unwrap_or(0);
                    if offset == 0 && letter == 'X' {
                        "Z".to_owned()
                    } else {
                        let full = offset_text(offset, letter != 'Z' && count >= 3);
                        if count == 1 && letter != 'Z' && full.ends_with("00") { full[..3].to_owned() } else { full }
                    }
                }
                'G' => "AD".to_owned(),
                _ => String::new(),
            });
        }
        out
    }

    /// Reads a text: the wall clock in microseconds and the zone that the text names.
    pub(crate) fn read(&self, text: &str) -> Option<(i64, Option<Zone>)> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (1970_i64, 1_i64, 1_i64);
        let (mut hour, mut minute, mut second, mut micros) = (0_i64, 0_i64, 0_i64, 0_i64);
        let (mut afternoon, mut twelve) = (None, false);
        let mut zone = None;
        for (place, part) in self.parts.iter().enumerate() {
            let (letter, count) = match part {
                Part::Text(expected) => {
                    rest = rest.strip_prefix(expected.as_str())?;
                    continue;
                }
                Part::Letter(letter, count) => (*letter, *count),
            };
            let adjacent = matches!(self.parts.get(place + 1), Some(Part::Letter(..)));
            let number = |rest: &mut &str, widest: usize| -> Option<i64> {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let exact = count > 1 || adjacent;
                let take = if exact { count.min(digits) } else { digits.min(widest) };
                if take == 0 || exact && digits < count || exact && !adjacent && digits > count && count < 4 {
                    return None;
                }
                let value = rest[..take].parse().ok()?;
                *rest = &rest[take..];
                Some(value)
            };
            match letter {
                'y' => {
                    let value = number(&mut rest, 7)?;
                    year = if count == 2 { 2000 + value } else { value };
                }
                'M' | 'L' if count <= 2 => month = number(&mut rest, 2)?,
                'M' | 'L' => {
                    let at = MONTHS.iter().position(|name| {
                        let wanted = if count == 3 { &name[..3] } else { name };
                        rest.get(..wanted.len()) == Some(wanted)
                    })?;
                    rest = &rest[if count == 3 { 3 } else { MONTHS[at].len() }..];
                    month = i64::try_from(at).ok()? + 1;
                }
                'd' => day = number(&mut rest, 2)?,
                'H' | 'k' => hour = number(&mut rest, 2)?,
                'h' | 'K' => {
                    hour = number(&mut rest, 2)?;
                    twelve = true;
                }
                'm' => minute = number(&mut rest, 2)?,
                's' => second = number(&mut rest, 2)?,
                'S' => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(count);
                    if digits == 0 {
                        return None;
                    }
                    let padded: String = rest[..digits].chars().chain("000000".chars()).take(6).collect();
                    micros = padded.parse().ok()?;
                    rest = &rest[digits..];
                }
                'a' => {
                    let word = rest.get(..2)?.to_ascii_uppercase();
                    afternoon = Some(match word.as_str() {
                        "AM" => false,
                        "PM" => true,
                        _ => return None,
                    });
                    rest = &rest[2..];
                }
                'E' => {
                    let length = rest.chars().take_while(|c| c.is_alphabetic()).count();
                    rest = rest.get(length..)?;
                }
                'X' | 'x' | 'Z' | 'z' | 'V' => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || "+-:/_".contains(c))).unwrap_or(rest.len());
                    zone = Some(Zone::read(&rest[..end])?);
                    rest = &rest[end..];
                }
                _ => return None,
            }
        }
        if !rest.is_empty() || hour > 24 || minute > 59 || second > 59 {
            return None;
        }
        if twelve {
            hour = hour % 12 + if afternoon == Some(true) { 12 } else { 0 };
        }
        let days = days_from_civil(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
        Some((days * DAY + (hour * 3600 + minute * 60 + second) * 1_000_000 + micros, zone))
    }

    /// `CANNOT_PARSE_TIMESTAMP`.
    pub(crate) fn cannot(&self, text: &str) -> datafusion::error::DataFusionError {
        spark_hint(
            "CANNOT_PARSE_TIMESTAMP",
            format!("text '{text}' could not be parsed with the pattern '{}'", self.written),
            "use the try_ function to get NULL instead",
        )
    }
}
