//! The background task that gives back what deleted runs and files took.

use std::sync::Arc;
use std::time::Duration;

use crannog_kit::Tasks;
use crannog_kit::steps::Steps;
use crannog_security::actions::experiments;
use crannog_security::{Permit, System, Task};
use crannog_store::Db;
use crannog_types::{Micros, Result};
use tokio::sync::Notify;

use super::artifacts::Artifacts;
use super::purge::{Purged, mark_experiment, mark_run, purge};

/// How long what is deleted waits after the retention, at most, and a failed round for the next.
const ROUND: Duration = Duration::from_secs(30);

/// Rounds between two looks at all contents: an hour.
const LOOK: u32 = 120;

/// Gives space back. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    db: Db,
    artifacts: Artifacts,
    kept: Option<Duration>,
    steps: Steps,
    asked: Arc<Notify>,
}

impl Keeper {
    /// Over a database and its files. What is deleted is kept for so long; `None`: for good.
    pub fn new(db: Db, artifacts: Artifacts, kept: Option<Duration>) -> Self {
        Keeper { db, artifacts, kept, steps: Steps::default(), asked: Arc::default() }
    }

    /// Starts the rounds; they end with the tasks.
    pub fn start(self, tasks: &Tasks) -> Self {
        let (keeper, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("purge of deleted runs", async move {
            let (mut look, mut failed, mut again) = (0, false, false);
            // What a server that stopped had begun is gone on with.
            keeper.asked.notify_one();
            loop {
                let asked = tokio::select! {
                    () = stop.cancelled() => return,
                    () = keeper.asked.notified() => true,
                    () = tokio::time::sleep(ROUND) => std::mem::take(&mut failed),
                };
                // Stopping in the middle leaves nothing that the next round would not find.
                let round = async {
                    let purged = if asked || keeper.kept.is_some() { keeper.purge().await? } else { Purged::default() };
                    let gone = purged != Purged::default();
                    if again && !gone {
                        keeper.reclaim().await?;
                    }
                    again = gone;
                    if look == 0 || gone {
                        keeper.collect().await?;
                        look = LOOK;
                    }
                    look -= 1;
                    Ok::<(), crannog_types::Problem>(())
                };
                let outcome = tokio::select! {
                    () = stop.cancelled() => return,
                    outcome = round => outcome,
                };
                if let Err(problem) = outcome {
                    failed = asked;
                    tracing::warn!(cause = problem.chain(), "what was deleted could not be purged; it is tried again");
                }
            }
        });
        self
    }

    /// Whether a step of a round has been under way for longer than this.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.steps.stuck(longer_than)
    }

    /// Purges a run now, deleted or not. Nobody finds it when this comes back; its space follows in the background.
    ///
    /// # Errors
    /// When a version in the registry comes from it.
    pub async fn purge_run(&self, permit: &Permit<experiments::Manage>, run_id: &str) -> Result<()> {
        mark_run(&self.db, permit, run_id).await?;
        self.asked.notify_one();
        Ok(())
    }

    /// Purges a deleted experiment with all of its runs and logged models, in the background. Until then it can be restored.
    ///
    /// # Errors
    /// When it is not deleted; when a version in the registry comes from it; for `Default`.
    pub async fn purge_experiment(&self, permit: &Permit<experiments::Manage>) -> Result<()> {
        mark_experiment(&self.db, permit).await?;
        self.asked.notify_one();
        Ok(())
    }

    /// Purges what was deleted long enough ago and what was asked for, and gives the database's space back.
    ///
    /// # Errors
    /// What the database says.
    pub async fn purge(&self) -> Result<Purged> {
        let before = self.kept.map_or(0, |kept| {
            let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
            self.db.now().0.saturating_sub(kept).max(0)
        });
        let before = Micros(before);
        let purged = purge(&self.db, before, &self.steps).await?;
        if purged != Purged::default() {
            tracing::info!(runs = purged.runs, models = purged.models, experiments = purged.experiments, "purged");
            self.reclaim().await?;
        }
        Ok(purged)
    }

    /// Gives the database's space back, but for what somebody reads at that moment, such as PostgreSQL itself for its statistics. So the
    /// round after a purge does it once more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reclaim(&self) -> Result<()> {
        #[expect(clippy::disallowed_methods, reason = "free space is nobody's")]
        Ok(self.db.reclaim(&System::task(Task::Track)).await?)
    }

    /// Deletes contents that no file has any more.
    ///
    /// # Errors
    /// What storage or the database says.
    pub async fn collect(&self) -> Result<u64> {
        self.artifacts.collect(&self.steps).await
    }
}
