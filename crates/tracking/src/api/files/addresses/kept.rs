//! Secrets that are out, with what each is for: so many for all, and a share of them for each person, so that one who asks for many
//! takes none from others. Who has their share loses the oldest of their own; clients ask for another then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crannog_types::{Micros, PrincipalId};
use uuid::Uuid;

/// Secrets that are out at a time.
const MOST: usize = 100_000;

/// Those of one person.
const SHARE: usize = 10_000;

/// What a person keeps when their share is full: as much is done for each secret as for one, however many they ask for.
const KEPT_OF_SHARE: usize = SHARE - SHARE / 10;

/// Secrets, and what each is for.
pub(super) struct Kept<P>(Mutex<Out<P>>);

struct Out<P> {
    places: HashMap<String, (Micros, Arc<P>)>,
    /// The secrets of each person, in the order in which they were made.
    of: HashMap<PrincipalId, VecDeque<String>>,
}

impl<P> Default for Kept<P> {
    fn default() -> Self {
        Kept(Mutex::new(Out { places: HashMap::new(), of: HashMap::new() }))
    }
}

impl<P> Kept<P> {
    /// Makes a secret of somebody's for a place; `None` when too many of all people are out.
    pub(super) fn add(&self, owner: PrincipalId, place: P, expires_at: Micros, now: Micros) -> Option<String> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { places, of } = &mut *out;
        let mine = of.entry(owner).or_default();
        if mine.len() >= SHARE {
            for old in mine.drain(..mine.len() - KEPT_OF_SHARE) {
                places.remove(&old);
            }
        }
        if places.len() >= MOST {
            places.retain(|_, (expires_at, _)| *expires_at > now);
            of.retain(|_, theirs| {
                theirs.retain(|secret| places.contains_key(secret));
                !theirs.is_empty()
            });
        }
        if places.len() >= MOST {
            return None;
        }
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        places.insert(secret.clone(), (expires_at, Arc::new(place)));
        of.entry(owner).or_default().push_back(secret.clone());
        Some(secret)
    }

    /// What a secret is for, while it is good.
    pub(super) fn find(&self, secret: &str, now: Micros) -> Option<Arc<P>> {
        let out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.places.get(secret).filter(|(expires_at, _)| *expires_at > now).map(|(_, place)| Arc::clone(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(0);
    const LATER: Micros = Micros(10);

    #[test]
    fn who_asks_for_many_loses_their_own_and_nobody_elses() {
        let kept = Kept::default();
        let (ana, ben) = (PrincipalId(1), PrincipalId(2));
        let hers = kept.add(ana, "hers", LATER, NOW).unwrap();
        let his: Vec<String> = (0..=SHARE).map(|_| kept.add(ben, "his", LATER, NOW).unwrap()).collect();
        assert_eq!(kept.find(&hers, NOW).as_deref(), Some(&"hers"));
        let good = his.iter().filter(|secret| kept.find(secret, NOW).is_some()).count();
        assert_eq!(good, KEPT_OF_SHARE + 1, "the oldest are gone");
        assert!(kept.find(&his[SHARE], NOW).is_some() && kept.find(&his[0], NOW).is_none());
        assert!(kept.find(&hers, LATER).is_none(), "it has expired");
    }

    #[test]
    fn of_all_people_there_are_so_many_until_they_expire() {
        let kept = Kept::default();
        for n in 0..MOST {
            assert!(kept.add(PrincipalId((n / KEPT_OF_SHARE) as i64), (), LATER, NOW).is_some());
        }
        assert_eq!(kept.add(PrincipalId(99), (), LATER, NOW), None);
        assert!(kept.add(PrincipalId(99), (), Micros(20), LATER).is_some());
    }
}
