//! How much statements may take: how many run, how many wait, what their results hold in memory.
//!
//! One person must not be able to take the server from the others. So of one person half of the places at most are taken at
//! a time, what is over waits in line, and what is over that is refused with a time to come back. Results count from
//! the first row that is collected until the last copy is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crannog_types::{Code, PrincipalId, Problem, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What an operator may set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Statements that run at a time; others wait.
    pub running: usize,
    /// Statements of one person that run or wait.
    pub per_person: usize,
    /// Bytes of all results, those being made and those kept.
    pub result_bytes: usize,
    /// How old the permits of a running statement may get.
    pub lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            running: 128,
            per_person: 200,
            result_bytes: 1024 * 1024 * 1024,
            lease: crannog_kit::lease::RENEWED_WITHIN,
        }
    }
}

/// Who has how many places.
pub struct Places {
    limits: Limits,
    all: Arc<Semaphore>,
    people: Mutex<HashMap<PrincipalId, Person>>,
}

struct Person {
    turns: Arc<Semaphore>,
    /// Running and waiting.
    statements: usize,
}

/// A place in line. Dropped, it is somebody else's.
pub struct Place {
    places: Arc<Places>,
    person: PrincipalId,
    turns: Arc<Semaphore>,
}

impl Places {
    /// All free.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Places { limits, all: Arc::new(Semaphore::new(limits.running)), people: Mutex::default() })
    }

    /// A place in line for one more statement of a person.
    ///
    /// # Errors
    /// `ResourceExhausted`, with when to come back, when they have as many as one person may have.
    pub fn line_up(self: &Arc<Self>, person: PrincipalId) -> Result<Place> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let known = people.entry(person).or_insert_with(|| Person {
            turns: Arc::new(Semaphore::new((self.limits.running / 2).max(1))),
            statements: 0,
        });
        if known.statements >= self.limits.per_person {
            return Err(Problem::new(
                Code::ResourceExhausted,
                format!("you have {} statements running or waiting, as many as one person may have", known.statements),
            )
            .retry_after(Duration::from_secs(1))
            .hint("wait for some of them to end, or cancel them; an administrator can raise statements.per_person"));
        }
        known.statements += 1;
        Ok(Place { places: Arc::clone(self), person, turns: Arc::clone(&known.turns) })
    }
}

impl Place {
    /// Waits for the person's turn, then for the server's.
    pub async fn turn(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some((own, Arc::clone(&self.places.all).acquire_owned().await.ok()?))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut people = self.places.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(person) = people.get_mut(&self.person) {
            person.statements -= 1;
            if person.statements == 0 {
                people.remove(&self.person);
            }
        }
    }
}

/// The memory of results.
pub struct Room {
    most: usize,
    used: Mutex<usize>,
}

/// A part of it that a result takes. Dropped, it is free.
pub struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    /// All of it free.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Room { most, used: Mutex::new(0) })
    }

    /// What all results together may take.
    pub fn most(&self) -> usize {
        self.most
    }

    /// None of it, for a new result.
    pub fn nothing(self: &Arc<Self>) -> Taken {
        Taken { room: Arc::clone(self), bytes: 0 }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes more; `false`, and nothing, when there is not as much.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let mut used = self.room.used();
        if used.saturating_add(bytes) > self.room.most {
            return false;
        }
        *used += bytes;
        self.bytes += bytes;
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.room.used() -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: PrincipalId = PrincipalId(1);
    const BEN: PrincipalId = PrincipalId(2);

    #[tokio::test]
    async fn one_person_takes_half_of_the_places_and_no_more_than_their_share_of_the_line() {
        let places = Places::new(Limits { running: 4, per_person: 3, ..Limits::default() });
        let line: Vec<Place> = (0..3).map(|_| places.line_up(ANA).unwrap()).collect();
        let refused = places.line_up(ANA).err().unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.retry().is_some());
        let first = line[0].turn().await.unwrap();
        let _second = line[1].turn().await.unwrap();
        assert!(futures::poll!(Box::pin(line[2].turn())).is_pending(), "two of four are half");
        let ben = places.line_up(BEN).unwrap();
        assert!(futures::poll!(Box::pin(ben.turn())).is_ready(), "the other half is others'");
        drop(first);
        assert!(futures::poll!(Box::pin(line[2].turn())).is_ready());
        drop(line);
        assert!(places.line_up(ANA).is_ok());
        assert_eq!(places.people.lock().unwrap().len(), 1, "who has no statement is forgotten");
    }

    #[test]
    fn room_is_given_back() {
        let room = Room::new(10);
        let (mut one, mut two) = (room.nothing(), room.nothing());
        assert!(one.grow(6) && !two.grow(5) && two.grow(4));
        drop(one);
        assert!(two.grow(6) && !two.grow(1));
    }
}
