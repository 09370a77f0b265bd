//! Background work: named, missed when it is gone, and stopped in order.
//!
//! Nobody awaits background work, so nobody would see it end. A task that is to run as long as the server does and does
//! not, by a panic or by returning, is an error in the log, and [`Tasks::gone`] names it from then on: `/livez` fails by it.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of a server. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    gone: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Tasks::default()
    }

    /// Runs something in the background for as long as the server runs: it ends when [`Tasks::stopping`] says so, and never
    /// before.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stop, gone) = (self.stop.clone(), Arc::clone(&self.gone));
        self.tracker.spawn(async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            if let Err(panic) = &ended {
                tracing::error!(task = name, panic = said(panic.as_ref()), "a background task panicked");
            } else if !stop.is_cancelled() {
                tracing::error!(task = name, "a background task ended while the server goes on");
            }
            if ended.is_err() || !stop.is_cancelled() {
                gone.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            }
        });
    }

    /// Runs something in the background that comes to an end by itself. It watches [`Tasks::stopping`] where it could go on
    /// for long. Its panic is in the log; whoever waits for its outcome has to notice that none comes.
    pub fn spawn_job(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                tracing::error!(task = name, panic = said(panic.as_ref()), "a background job panicked");
            }
        });
    }

    /// Tasks that ended though the server goes on.
    pub fn gone(&self) -> Vec<&'static str> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Resolves when the server stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to stop and waits for them.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// The message of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_ends_before_the_server_is_missed_and_a_job_is_not() {
        let tasks = Tasks::new();
        let stop = tasks.stopping();
        tasks.spawn("watcher", async move { stop.cancelled().await });
        tasks.spawn("panics", async { panic!("a fault of the test") });
        tasks.spawn("returns", async {});
        tasks.spawn_job("job", async {});
        tasks.spawn_job("job that panics", async { panic!("a fault of the test") });
        while tasks.tracker.len() > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.gone(), ["panics", "returns"]);
        tasks.stop().await;
        assert_eq!(tasks.gone(), ["panics", "returns"]);
    }
}
