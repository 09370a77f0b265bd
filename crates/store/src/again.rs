//! Changes that lost a race, run again: here and nowhere else.
//!
//! On PostgreSQL one of several changes that meet may be refused. Nothing of it was done, so it can be done again, as a whole:
//! what it read must be read again, for that is what changed. It then runs beside no other change
//! ([`crate::postgres`]), so that it does not lose a second time, however many there are. SQLite has one writer, where nobody races.

use std::future::Future;
use std::time::Duration;

use crannog_types::Problem;
use uuid::Uuid;

use crate::StoreError;

/// How often something runs, at most. The second run is the last but for others who take long.
const RUNS: u32 = 5;

tokio::task_local! {
    /// What runs here lost a race before.
    static AGAIN: ();
}

/// Whether the change that begins now lost a race before.
pub(crate) fn is_again() -> bool {
    AGAIN.try_with(|()| ()).is_ok()
}

/// An error that may be a lost race.
pub trait MayBeLostRace {
    /// Whether it is one.
    fn is_lost_race(&self) -> bool;
}

impl MayBeLostRace for Problem {
    fn is_lost_race(&self) -> bool {
        self.vendor_reason() == Some(LOST_RACE)
    }
}

impl MayBeLostRace for StoreError {
    fn is_lost_race(&self) -> bool {
        StoreError::is_lost_race(self)
    }
}

/// What a lost race is called, in PostgreSQL's words.
pub(crate) const LOST_RACE: &str = "SERIALIZATION_FAILURE";

/// Runs something that changes the database, and again as long as it loses a race. Besides its one change it must do
/// nothing that cannot be done twice.
///
/// # Errors
/// Its own; a lost race only when it lost five.
pub async fn until_won<T, E: MayBeLostRace, F: Future<Output = Result<T, E>>>(
    mut run: impl FnMut() -> F,
) -> Result<T, E> {
    let mut outcome = run().await;
    for runs in 1..RUNS {
        if !outcome.as_ref().is_err_and(MayBeLostRace::is_lost_race) {
            break;
        }
        tracing::debug!(runs, "lost a race");
        if runs > 1 {
            // At random, so that those who met do not meet again, and longer each time.
            let longest = 4_000_u128 << runs;
            let random = u64::try_from(Uuid::new_v4().as_u128() % longest).unwrap_or_default();
            tokio::time::sleep(Duration::from_micros(random)).await;
        }
        outcome = AGAIN.scope((), run()).await;
    }
    outcome
}
