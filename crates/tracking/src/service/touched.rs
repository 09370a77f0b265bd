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
    /// A change of somebody to a run: whether it is the first in this hour, for the audit.
    pub(crate) fn by<'a>(&'a self, who: PrincipalId, run_id: &'a str, now: Micros) -> Touch<'a> {
        let hour = now.0 / HOUR;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.number != hour || kept.seen.len() >= KEPT {
            *kept = Hour { number: hour, seen: HashSet::new() };
        }
        let first = kept.seen.insert((who, run_id.into()));
        Touch { touched: self, who, run_id, first, done: false }
    }
}

/// A change that is under way. Dropped before it is done, it was none.
pub(crate) struct Touch<'a> {
    touched: &'a Touched,
    who: PrincipalId,
    run_id: &'a str,
    first: bool,
    done: bool,
}

impl Touch<'_> {
    /// Whether it is to be audited.
    pub(crate) fn first(&self) -> bool {
        self.first
    }

    /// It was made, with its audit row if it was the first.
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Touch<'_> {
    fn drop(&mut self) {
        if self.first && !self.done {
            let mut kept = self.touched.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.seen.remove(&(self.who, self.run_id.into()));
        }
    }
}
