//! The units of an interval type, such as those of `INTERVAL DAY TO HOUR` (SQL's interval qualifier), and the text of values.
//!
//! Arrow has one type for all day-time intervals and one for all year-month intervals, so the units of a column travel in
//! its field's metadata; a field without them has all units of its kind. Values are microseconds, or months. Source of
//! the texts: Spark's `IntervalUtils`.

use std::fmt;
use std::fmt::Write as _;

use arrow_schema::{DataType, Field, IntervalUnit as ArrowUnit};

/// The field's metadata that says its units: `day to hour`.
const UNITS: &str = "crannog.interval";

/// A unit of an interval, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntervalUnit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

const ALL: [IntervalUnit; 6] = {
    use IntervalUnit as U;
    [U::Year, U::Month, U::Day, U::Hour, U::Minute, U::Second]
};

impl IntervalUnit {
    /// The unit of a word in any case, without the `S` of the plural.
    pub fn parse(word: &str) -> Option<Self> {
        ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(word))
    }

    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    /// Its length in months, or in microseconds.
    pub fn size(self) -> i64 {
        match self {
            Self::Year => 12,
            Self::Month => 1,
            Self::Day => 86_400_000_000,
            Self::Hour => 3_600_000_000,
            Self::Minute => 60_000_000,
            Self::Second => 1_000_000,
        }
    }

    /// Whether months measure it.
    fn is_months(self) -> bool {
        self <= Self::Month
    }

    /// What stands before it where a larger unit goes before.
    fn separator(self) -> char {
        match self {
            Self::Year | Self::Month => '-',
            Self::Day | Self::Hour => ' ',
            Self::Minute | Self::Second => ':',
        }
    }

    /// How many of it the next larger unit has.
    fn modulus(self) -> i64 {
        match self {
            Self::Year | Self::Day => i64::MAX,
            Self::Month => 12,
            Self::Hour => 24,
            Self::Minute | Self::Second => 60,
        }
    }
}

/// The units of an interval type, from the largest to the smallest: either months', or days' and their parts'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    first: IntervalUnit,
    last: IntervalUnit,
}

impl Span {
    /// All units that months measure.
    pub const YEAR_TO_MONTH: Span = Span { first: IntervalUnit::Year, last: IntervalUnit::Month };
    /// All units that microseconds measure.
    pub const DAY_TO_SECOND: Span = Span { first: IntervalUnit::Day, last: IntervalUnit::Second };
    /// Whole days.
    pub const DAY: Span = Span { first: IntervalUnit::Day, last: IntervalUnit::Day };

    /// `None` when they are in the wrong order, or of different kinds.
    pub fn new(first: IntervalUnit, last: IntervalUnit) -> Option<Self> {
        (first <= last && first.is_months() == last.is_months()).then_some(Span { first, last })
    }

    /// All units of an Arrow type's kind; `None` for what is no such interval.
    pub fn of_type(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Duration(_) => Some(Self::DAY_TO_SECOND),
            DataType::Interval(ArrowUnit::YearMonth) => Some(Self::YEAR_TO_MONTH),
            _ => None,
        }
    }

    /// The units of a column; `None` for what is no such interval.
    pub fn of_field(field: &Field) -> Option<Self> {
        let all = Self::of_type(field.data_type())?;
        let read = || {
            let mut words = field.metadata().get(UNITS)?.split(" to ").map(IntervalUnit::parse);
            let first = words.next()??;
            Self::new(first, words.next().unwrap_or(Some(first))?)
        };
        Some(read().filter(|span| span.is_months() == all.is_months()).unwrap_or(all))
    }

    /// The field with these units in its metadata.
    #[must_use]
    pub fn mark(self, field: Field) -> Field {
        let mut metadata = field.metadata().clone();
        metadata.insert(UNITS.to_owned(), self.to_string());
        field.with_metadata(metadata)
    }

    /// The smallest units that have both's; the first where they are of different kinds.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_months() != other.is_months() {
            return self;
        }
        Span { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// Whether values are months.
    pub fn is_months(self) -> bool {
        self.first.is_months()
    }

    /// The smallest unit.
    pub fn last(self) -> IntervalUnit {
        self.last
    }

    /// The unit, if it is one alone.
    pub fn only(self) -> Option<IntervalUnit> {
        (self.first == self.last).then_some(self.first)
    }

    fn units(self) -> impl Iterator<Item = IntervalUnit> {
        ALL.into_iter().filter(move |unit| (self.first..=self.last).contains(unit))
    }

    /// A value as text: `INTERVAL '1 02' DAY TO HOUR`.
    pub fn text(self, value: i64) -> String {
        let mut text = String::from(if value < 0 { "-" } else { "" });
        let mut rest = value.unsigned_abs();
        for unit in self.units() {
            if unit != self.first {
                text.push(unit.separator());
            }
            let size = unit.size().unsigned_abs();
            // Writing to a string cannot fail.
            let _ = match unit {
                IntervalUnit::Year | IntervalUnit::Month | IntervalUnit::Day => write!(text, "{}", rest / size),
                _ => write!(text, "{:02}", rest / size),
            };
            rest %= size;
        }
        if self.last == IntervalUnit::Second && rest != 0 {
            text.push('.');
            text.push_str(format!("{rest:06}").trim_end_matches('0'));
        }
        format!("INTERVAL '{text}' {}", self.to_string().to_uppercase())
    }

    /// The value of a text of exactly these units, `1 02` or `INTERVAL '1 02' DAY TO HOUR`; `None`: it is none.
    pub fn read(self, text: &str) -> Option<i64> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control()).to_ascii_lowercase();
        let (outer, body) = match text.strip_prefix("interval") {
            None => (1, text.as_str()),
            Some(framed) => {
                let (sign, quoted) = signed(framed.strip_prefix(char::is_whitespace)?.trim_start());
                let (body, units) = quoted.strip_prefix('\'')?.split_once('\'')?;
                let words: Vec<&str> = units.strip_prefix(char::is_whitespace)?.split_whitespace().collect();
                if words.join(" ") != self.to_string() {
                    return None;
                }
                (sign, body)
            }
        };
        let (inner, mut rest) = signed(body);
        let mut total = 0_i64;
        for unit in self.units() {
            let mut part = rest;
            if unit != self.last {
                let next = self.units().find(|next| *next > unit)?;
                (part, rest) = rest.split_once(next.separator())?;
            }
            let (whole, fraction) = match (unit, part.split_once('.')) {
                (IntervalUnit::Second, Some((whole, fraction))) => (whole, micros_of(fraction)?),
                (_, Some(_)) => return None,
                (_, None) => (part, 0),
            };
            let amount = number(whole)?;
            if unit != self.first && (whole.len() > 2 || amount >= unit.modulus()) {
                return None;
            }
            total = total.checked_add(amount.checked_mul(unit.size())?)?.checked_add(fraction)?;
        }
        let total = total.checked_mul(outer * inner)?;
        (!self.is_months() || i32::try_from(total).is_ok()).then_some(total)
    }
}

/// `day`, `day to hour`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(unit) => f.write_str(unit.name()),
            None => write!(f, "{} to {}", self.first.name(), self.last.name()),
        }
    }
}

fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn number(digits: &str) -> Option<i64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok()).flatten()
}

/// A fraction of a second; what is finer than a microsecond is dropped.
fn micros_of(fraction: &str) -> Option<i64> {
    number(fraction).filter(|_| fraction.len() <= 9)?;
    format!("{fraction:0<6}").get(..6)?.parse().ok()
}

/// A calendar interval (`make_interval`) as text: `1 years 2 months 25 days`.
pub fn calendar_text(months: i32, days: i32, micros: i64) -> String {
    let mut parts = Vec::new();
    let mut unit = |value: i64, name: &str| {
        if value != 0 {
            parts.push(format!("{value} {name}"));
        }
    };
    unit(i64::from(months / 12), "years");
    unit(i64::from(months % 12), "months");
    unit(i64::from(days), "days");
    unit(micros / 3_600_000_000, "hours");
    unit(micros / 60_000_000 % 60, "minutes");
    let rest = micros % 60_000_000;
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let (whole, fraction) = (rest.unsigned_abs() / 1_000_000, rest.unsigned_abs() % 1_000_000);
        let fraction = match fraction {
            0 => String::new(),
            micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
        };
        parts.push(format!("{sign}{whole}{fraction} seconds"));
    }
    if parts.is_empty() { "0 seconds".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::TimeUnit;

    fn span(first: IntervalUnit, last: IntervalUnit) -> Span {
        Span::new(first, last).unwrap()
    }

    #[test]
    fn texts_go_both_ways() {
        use IntervalUnit as U;
        let all = [
            (Span::DAY, -86_400_000_000, "INTERVAL '-1' DAY"),
            (span(U::Hour, U::Minute), 9_000_000_000, "INTERVAL '02:30' HOUR TO MINUTE"),
            (span(U::Second, U::Second), 1_500_000, "INTERVAL '01.5' SECOND"),
            (Span::DAY_TO_SECOND, -90_061_500_000, "INTERVAL '-1 01:01:01.5' DAY TO SECOND"),
            (Span::YEAR_TO_MONTH, -14, "INTERVAL '-1-2' YEAR TO MONTH"),
            (span(U::Year, U::Year), 24, "INTERVAL '2' YEAR"),
            (span(U::Month, U::Month), 14, "INTERVAL '14' MONTH"),
        ];
        for (span, value, text) in all {
            assert_eq!(span.text(value), text);
            assert_eq!(span.read(text), Some(value), "{text}");
        }
        assert_eq!(Span::DAY_TO_SECOND.text(i64::MIN), "INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND");
        assert_eq!(Span::DAY_TO_SECOND.read(" 1 2:3:4.1234567 "), Some(93_784_123_456));
        assert_eq!(Span::DAY.read("interval -'1' day"), Some(-86_400_000_000));
        let malformed = ["", "x", "1.5", "1 02", "--1", "INTERVAL 1 DAY", "INTERVAL '1' HOUR", "INTERVAL'1' DAY"];
        for text in malformed {
            assert_eq!(Span::DAY.read(text), None, "{text}");
        }
        assert_eq!(Span::DAY_TO_SECOND.read("1 24:00:00"), None);
        assert_eq!(Span::YEAR_TO_MONTH.read("1-12"), None);
        assert_eq!(Span::YEAR_TO_MONTH.read("999999999-1"), None);
    }

    #[test]
    fn a_field_keeps_its_units() {
        let plain = Field::new("a", DataType::Duration(TimeUnit::Microsecond), true);
        assert_eq!(Span::of_field(&plain), Some(Span::DAY_TO_SECOND));
        assert_eq!(Span::of_field(&Span::DAY.mark(plain.clone())), Some(Span::DAY));
        // Units of the other kind say nothing.
        assert_eq!(Span::of_field(&Span::YEAR_TO_MONTH.mark(plain)), Some(Span::DAY_TO_SECOND));
        assert_eq!(Span::of_field(&Field::new("a", DataType::Int32, true)), None);
        assert_eq!(Span::new(IntervalUnit::Month, IntervalUnit::Day), None);
        assert_eq!(Span::new(IntervalUnit::Second, IntervalUnit::Day), None);
        assert_eq!(Span::DAY.union(span(IntervalUnit::Hour, IntervalUnit::Hour)).to_string(), "day to hour");
    }

    #[test]
    fn calendar_intervals_are_written_unit_by_unit() {
        assert_eq!(calendar_text(14, 25, 18_367_008_000), "1 years 2 months 25 days 5 hours 6 minutes 7.008 seconds");
        assert_eq!(calendar_text(0, 0, -500_000), "-0.5 seconds");
        assert_eq!(calendar_text(0, 0, 0), "0 seconds");
    }
}
