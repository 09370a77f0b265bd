//! Moments, as the database keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calendar::civil;

/// A moment in microseconds since 1970-01-01 UTC.
///
/// Wire formats that want milliseconds (Unity Catalog, SCIM's meta, Delta's commitInfo) take [`Micros::millis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Whole milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment `seconds` later (earlier, when negative).
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

impl fmt::Display for Micros {
    /// ISO 8601 in UTC with milliseconds: `2026-11-22T08:30:00.250Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400_000_000);
        let of_day = self.0.rem_euclid(86_400_000_000);
        let (year, month, day) = civil(days);
        let (seconds, millis) = (of_day / 1_000_000, of_day % 1_000_000 / 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::Micros;

    #[test]
    fn iso_text_of_known_moments() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (1_357_016_400_123_456, "2013-01-01T05:00:00.123Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Micros(micros).to_string(), text);
        }
    }
}
