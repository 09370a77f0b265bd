//! The only wall clock of the program.

use std::time::{SystemTime, UNIX_EPOCH};

use crannog_types::Micros;

/// Now, in microseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
