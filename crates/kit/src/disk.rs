//! How full the disk of the data is. A full disk must lose nothing: below [`Limits::refuse_below`] changes are refused before they
//! begin, and reading goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crannog_types::{Code, Problem, Result};
use tokio_util::sync::CancellationToken;

use crate::health::Pulse;

/// How often the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(1);

/// When a disk is low, and when it is full, in free bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Below this `/readyz` warns.
    pub warn_below: u64,
    /// Below this changes are refused.
    pub refuse_below: u64,
}

impl Default for Limits {
    /// 1 GiB and 200 MiB.
    fn default() -> Self {
        Limits { warn_below: 1 << 30, refuse_below: 200 << 20 }
    }
}

/// How much room is left where the data is. Cheap to clone; asking costs one load.
#[derive(Clone, Debug)]
pub struct Disk(Arc<DiskInner>);

#[derive(Debug)]
struct DiskInner {
    folder: PathBuf,
    limits: Limits,
    free: AtomicU64,
}

impl Disk {
    /// Measures the disk that holds a folder.
    pub fn of(folder: &Path, limits: Limits) -> Self {
        let disk = Disk(Arc::new(DiskInner { folder: folder.to_owned(), limits, free: AtomicU64::new(u64::MAX) }));
        disk.measure();
        disk
    }

    /// Bytes that are free for us.
    pub fn free(&self) -> u64 {
        self.0.free.load(Ordering::Relaxed)
    }

    /// Whether there is room for a change.
    ///
    /// # Errors
    /// `Unavailable`, reason `DISK_FULL`, which clients try again.
    pub fn writable(&self) -> Result<()> {
        let free = self.free();
        if free >= self.0.limits.refuse_below {
            return Ok(());
        }
        let (free, needed) = (free >> 20, self.0.limits.refuse_below >> 20);
        Err(Problem::new(
            Code::Unavailable,
            format!("the server's disk is full: {free} MiB are free, changes need {needed}"),
        )
        .reason("DISK_FULL")
        .hint("reading goes on; an administrator can make room, and changes are taken again by themselves")
        .retry_after(Duration::from_secs(10)))
    }

    fn measure(&self) {
        // A disk that cannot be asked is not called full: the database and the files will say what is wrong with it.
        if let Ok(found) = rustix::fs::statvfs(&self.0.folder) {
            self.0.free.store(found.f_bavail.saturating_mul(found.f_frsize), Ordering::Relaxed);
        }
    }

    /// Keeps measuring until told to stop.
    pub async fn watch(self, pulse: Pulse, stop: CancellationToken) {
        let mut every = tokio::time::interval(DISK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
            }
            let (disk, was) = (self.clone(), self.writable().is_ok());
            // A disk that hangs must not take a thread of the event loop with it; the pulse then stays out.
            if tokio::task::spawn_blocking(move || disk.measure()).await.is_ok() {
                pulse.beat();
            }
            match (was, self.writable()) {
                (true, Err(problem)) => tracing::error!(free = self.free(), "{problem}: changes are refused"),
                (false, Ok(())) => tracing::info!(free = self.free(), "the disk has room again: changes are taken"),
                _ => {}
            }
        }
    }

    /// When it is low, and when full.
    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }
}
