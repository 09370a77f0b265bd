//! Steps of background work that must come to an end: a row written, a commit published.
//!
//! A task that hangs ends in no way that anybody would see. So it says when it begins a step, and whoever watches it
//! ([`crate::health::Health::watch_steps`]) asks whether one has been under way for too long. A step is something that is
//! short by itself: work whose length depends on its data is several steps, or health would call slow what is large.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The steps that are under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Begun>>);

#[derive(Debug, Default)]
struct Begun {
    next: u64,
    /// By number: the first has been under way for the longest.
    steps: BTreeMap<u64, Instant>,
}

/// A step that is under way until this is dropped.
#[derive(Debug)]
#[must_use = "the step ends where this is dropped"]
pub struct Step {
    steps: Steps,
    number: u64,
}

impl Steps {
    /// Begins one.
    pub fn begin(&self) -> Step {
        let mut begun = self.lock();
        let number = begun.next;
        begun.next += 1;
        begun.steps.insert(number, Instant::now());
        Step { steps: self.clone(), number }
    }

    /// Whether one has been under way for longer than this.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.lock().steps.first_key_value().is_some_and(|(_, since)| since.elapsed() > longer_than)
    }

    fn lock(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.steps.lock().steps.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_step_counts_until_it_ends() {
        let steps = Steps::default();
        assert!(!steps.stuck(Duration::ZERO), "nothing is under way");
        let first = steps.begin();
        let begun = Instant::now();
        while !steps.stuck(Duration::from_millis(5)) {
            tokio::task::yield_now().await;
        }
        let second = steps.begin();
        assert!(steps.stuck(Duration::from_millis(5)), "the first is under way all the same");
        drop(first);
        assert!(!steps.stuck(begun.elapsed()), "the second began later");
        while !steps.stuck(Duration::from_millis(5)) {
            tokio::task::yield_now().await;
        }
        drop(second);
        assert!(!steps.stuck(Duration::ZERO));
    }
}
