//! Addresses of single files: whoever has one may send or fetch what it leads to, without a token, for an hour at most.
//!
//! An address is a secret of this process; after a restart it is gone. So many are out at a time, and a share of them for each
//! person, so that one who asks for many takes none from others. Who has their share loses the oldest of their own; clients ask for
//! another then. What an address leads to is kept by whoever makes it, with the lease that it was made by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crannog_types::{Code, Micros, PrincipalId, Problem, Result};
use uuid::Uuid;

/// How long an address is good, in seconds.
pub const LIFETIME: i64 = 3_600;

/// Addresses that are out at a time.
const MOST: usize = 100_000;

/// Those of one person.
const SHARE: usize = 10_000;

/// The addresses that are out, and what each leads to.
pub struct Addresses<P>(Mutex<Out<P>>);

struct Out<P> {
    kept: HashMap<String, Kept<P>>,
    /// The secrets by the order in which they were made, which is that in which they expire.
    order: BTreeMap<u64, String>,
    /// The places in that order of each person's.
    of: HashMap<PrincipalId, BTreeSet<u64>>,
    next: u64,
}

struct Kept<P> {
    number: u64,
    owner: PrincipalId,
    expires_at: Micros,
    place: Arc<P>,
}

impl<P> Default for Addresses<P> {
    fn default() -> Self {
        let (kept, order, of) = Default::default();
        Addresses(Mutex::new(Out { kept, order, of, next: 0 }))
    }
}

impl<P> Addresses<P> {
    /// Makes an address of somebody's for a place: its secret, good for [`LIFETIME`].
    ///
    /// # Errors
    /// `ResourceExhausted` when too many of all people are out.
    pub fn add(&self, owner: PrincipalId, place: P, now: Micros) -> Result<String> {
        let mut out = self.locked();
        if let Some(oldest) = out.of.get(&owner).filter(|theirs| theirs.len() >= SHARE).and_then(BTreeSet::first) {
            let oldest = *oldest;
            out.remove_number(oldest);
        }
        out.remove_expired(now);
        if out.kept.len() >= MOST {
            return Err(Problem::new(Code::ResourceExhausted, "too many files are being sent and fetched")
                .retry_after(Duration::from_secs(5)));
        }
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let number = out.next;
        out.next += 1;
        out.order.insert(number, secret.clone());
        out.of.entry(owner).or_default().insert(number);
        let expires_at = now.plus_seconds(LIFETIME);
        out.kept.insert(secret.clone(), Kept { number, owner, expires_at, place: Arc::new(place) });
        Ok(secret)
    }

    /// What an address leads to, while it is good.
    pub fn find(&self, secret: &str, now: Micros) -> Option<Arc<P>> {
        self.locked().kept.get(secret).filter(|kept| kept.expires_at > now).map(|kept| Arc::clone(&kept.place))
    }

    /// Ends an address.
    pub fn remove(&self, secret: &str) {
        self.locked().remove(secret);
    }

    /// Ends all that lead to such places.
    pub fn remove_all(&self, such: impl Fn(&P) -> bool) {
        let mut out = self.locked();
        let numbers: Vec<u64> = out.kept.values().filter(|kept| such(&kept.place)).map(|kept| kept.number).collect();
        for number in numbers {
            out.remove_number(number);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Out<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Out<P> {
    fn remove(&mut self, secret: &str) {
        let Some(kept) = self.kept.remove(secret) else { return };
        self.order.remove(&kept.number);
        if let Some(theirs) = self.of.get_mut(&kept.owner) {
            theirs.remove(&kept.number);
            if theirs.is_empty() {
                self.of.remove(&kept.owner);
            }
        }
    }

    fn remove_number(&mut self, number: u64) {
        if let Some(secret) = self.order.remove(&number) {
            self.remove(&secret);
        }
    }

    fn remove_expired(&mut self, now: Micros) {
        while let Some((number, secret)) = self.order.first_key_value() {
            if self.kept.get(secret).is_some_and(|kept| kept.expires_at > now) {
                break;
            }
            let number = *number;
            self.remove_number(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(0);
    const ANA: PrincipalId = PrincipalId(1);
    const BEN: PrincipalId = PrincipalId(2);

    fn later() -> Micros {
        NOW.plus_seconds(LIFETIME)
    }

    fn sizes<P>(addresses: &Addresses<P>) -> [usize; 3] {
        let out = addresses.locked();
        [out.kept.len(), out.order.len(), out.of.values().map(BTreeSet::len).sum()]
    }

    #[test]
    fn who_asks_for_many_loses_their_own_and_nobody_elses() {
        let addresses = Addresses::default();
        let hers = addresses.add(ANA, "hers", NOW).unwrap();
        let his: Vec<String> = (0..SHARE + 2).map(|_| addresses.add(BEN, "his", NOW).unwrap()).collect();
        assert_eq!(addresses.find(&hers, NOW).as_deref(), Some(&"hers"));
        let gone: Vec<bool> = his.iter().map(|secret| addresses.find(secret, NOW).is_none()).collect();
        assert_eq!(gone[..3], [true, true, false], "the oldest are gone");
        assert!(!gone[2..].contains(&true), "and no others");
        assert!(addresses.find(&hers, later()).is_none(), "it has expired");
        assert_eq!(sizes(&addresses), [SHARE + 1; 3]);
    }

    #[test]
    fn one_that_is_used_up_makes_room() {
        let addresses = Addresses::default();
        let first = addresses.add(BEN, 0, NOW).unwrap();
        for n in 1..=3 * SHARE {
            let used = addresses.add(BEN, n, NOW).unwrap();
            addresses.remove(&used);
            assert!(addresses.find(&used, NOW).is_none());
        }
        assert_eq!(addresses.find(&first, NOW).as_deref(), Some(&0));
        assert_eq!(sizes(&addresses), [1; 3]);
        addresses.add(ANA, 1, NOW).unwrap();
        addresses.remove_all(|place| *place == 0);
        assert!(addresses.find(&first, NOW).is_none());
        assert_eq!(sizes(&addresses), [1; 3]);
    }

    #[test]
    fn of_all_people_there_are_so_many_until_they_expire() {
        let addresses = Addresses::default();
        for n in 0..MOST {
            addresses.add(PrincipalId((n / SHARE) as i64), (), NOW).unwrap();
        }
        let refused = addresses.add(PrincipalId(99), (), NOW).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        // Whoever has a share goes on in it.
        addresses.add(PrincipalId(0), (), NOW).unwrap();
        addresses.add(PrincipalId(99), (), later()).unwrap();
        assert_eq!(sizes(&addresses), [1; 3]);
    }
}
