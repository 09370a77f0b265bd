//! What the audit says of many small changes: the first of somebody to a run in an hour.
//!
//! A training loop logs thousands of points. A row of the audit for each would be more than what is logged, and say no more
//! than the first: who logs to which run, from where. Everything else that is changed has its own row.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crannog_types::{Micros, PrincipalId};

const HOUR: i64 = 3_600_000_000;

/// Runs that the audit knows of, this hour.
#[derive(Default)]
pub(crate) struct Touched(Mutex<Hour>);

/// An hour, and who logged to which run in it.
#[derive(Default)]
struct Hour {
    number: i64,
    seen: HashSet<(PrincipalId, Box<str>)>,
}

/// How many are kept; then all are forgotten, which costs a row each.
const KEPT: usize = 100_000;

impl Touched {
    /// Whether a change of somebody to a run would be the first in this hour: then it is written with an audit row. Of several at
    /// once each is the first; a row too many says nothing wrong.
    pub(crate) fn is_first(&self, who: PrincipalId, run_id: &str, now: Micros) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.number != now.0 / HOUR || !kept.seen.contains(&(who, run_id.into()))
    }

    /// Notes that the audit has one, durably.
    pub(crate) fn note(&self, who: PrincipalId, run_id: &str, now: Micros) {
        let hour = now.0 / HOUR;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.number != hour || kept.seen.len() >= KEPT {
            *kept = Hour { number: hour, seen: HashSet::new() };
        }
        kept.seen.insert((who, run_id.into()));
    }
}
