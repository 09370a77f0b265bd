//! Who has failed to sign in too often.
//!
//! After 5 failures of an account or 20 of an address within a minute, the next ones are refused without being looked at:
//! for 15 seconds, and twice as long each time it goes on, up to 15 minutes. Fifteen quiet minutes forget it all. Kept in
//! memory: a restart forgives, and several replicas each count their own.
//!
//! It is asked only after a token was found wrong, or before a password is checked, so a right token passes always.

use std::collections::HashMap;
use std::time::Duration;

use crannog_types::Micros;

const WINDOW: i64 = 60;
const FIRST: i64 = 15;
const LONGEST: i64 = 15 * 60;
/// Keys that are kept; more than that many attackers at once and the calmest are forgotten.
const KEPT: usize = 50_000;

/// What failures are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Suspect {
    /// The folded name of an account, whether there is one or not.
    Account(String),
    /// An address.
    Address(String),
}

impl Suspect {
    fn allowed(&self) -> usize {
        match self {
            Suspect::Account(_) => 5,
            Suspect::Address(_) => 20,
        }
    }
}

#[derive(Default)]
struct Record {
    recent: Vec<Micros>,
    /// The length of the last lock in seconds; 0 before the first.
    lock: i64,
    until: Micros,
    last: Micros,
}

/// Counts failures.
#[derive(Default)]
pub(crate) struct Limiter {
    records: HashMap<Suspect, Record>,
}

impl Limiter {
    /// How long this one must wait, if it must.
    pub(crate) fn wait(&self, suspect: &Suspect, now: Micros) -> Option<Duration> {
        let left = self.records.get(suspect)?.until.0 - now.0;
        u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_micros)
    }

    /// Counts a failure. Says for how long this one is locked out, when this failure did it.
    pub(crate) fn failed(&mut self, suspect: Suspect, now: Micros) -> Option<Duration> {
        if self.records.len() >= KEPT {
            self.records.retain(|_, record| record.last.plus_seconds(WINDOW) > now);
            if self.records.len() >= KEPT {
                self.records.clear();
            }
        }
        let allowed = suspect.allowed();
        let record = self.records.entry(suspect).or_default();
        if record.last.plus_seconds(LONGEST) < now {
            *record = Record::default();
        }
        record.last = now;
        if record.until > now {
            return None;
        }
        record.recent.retain(|at| at.plus_seconds(WINDOW) > now);
        record.recent.push(now);
        if record.recent.len() < allowed && record.lock == 0 {
            return None;
        }
        record.lock = if record.lock == 0 { FIRST } else { (record.lock * 2).min(LONGEST) };
        record.until = now.plus_seconds(record.lock);
        record.recent.clear();
        u64::try_from(record.lock).ok().map(Duration::from_secs)
    }

    /// Forgets the failures of an account that has signed in.
    pub(crate) fn succeeded(&mut self, suspect: &Suspect) {
        self.records.remove(suspect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_after_five_and_doubles_to_fifteen_minutes() {
        let mut limiter = Limiter::default();
        let ana = Suspect::Account("ana".to_owned());
        let mut now = Micros(1_000_000_000);
        for _ in 0..4 {
            assert_eq!(limiter.failed(ana.clone(), now), None);
            assert_eq!(limiter.wait(&ana, now), None);
        }
        for seconds in [15, 30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(limiter.failed(ana.clone(), now), Some(Duration::from_secs(seconds)));
            assert_eq!(limiter.wait(&ana, now), Some(Duration::from_secs(seconds)));
            now = now.plus_seconds(i64::try_from(seconds).unwrap());
            assert_eq!(limiter.wait(&ana, now), None);
        }
        limiter.succeeded(&ana);
        assert_eq!(limiter.failed(ana.clone(), now), None);
    }

    #[test]
    fn slow_failures_are_no_attack_and_addresses_have_more() {
        let mut limiter = Limiter::default();
        let mut now = Micros(1_000_000_000);
        for _ in 0..50 {
            assert_eq!(limiter.failed(Suspect::Account("ana".to_owned()), now), None);
            now = now.plus_seconds(20);
        }
        let address = Suspect::Address("10.0.0.1".to_owned());
        for _ in 0..19 {
            assert_eq!(limiter.failed(address.clone(), now), None);
        }
        assert!(limiter.failed(address, now).is_some());
    }
}
