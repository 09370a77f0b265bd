//! What the arbiter keeps of one table: the newest state, the last commits, and who is writing.
//!
//! Reading a table takes no turn: whoever finds a newer commit in the log adds it to the state, and two who find the same
//! one get the same state.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crannog_storage::Folder;
use crannog_types::{Code, Problem, Result};
use serde::Deserialize;
use tokio::time::Instant;

use super::appends::Waiting;
use super::lock;
use crate::model::actions::{Action, commit_info};
use crate::model::state::TableState;
use crate::ports::Engine;
use crate::service::table_log::{advance, commit_path, read_commit};

/// Commits that are remembered for checks of proposals planned on older versions, and their actions in all; older ones are
/// read again.
const REMEMBERED: usize = 256;
const REMEMBERED_ACTIONS: usize = 200_000;
/// How long the end of the log as we know it is believed without a look at `_last_checkpoint`: commits behind it may have
/// been cleaned away by somebody who went far ahead of us.
const BELIEVED: Duration = Duration::from_secs(60);
const NO_VERSION: i64 = -1;

/// What is kept of one table.
#[derive(Default)]
pub(super) struct Desk {
    known: RwLock<Known>,
    /// Held while a log is read from its beginning.
    loading: tokio::sync::Mutex<()>,
    /// Held while a version is written.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Held while small appends are taken from those that wait, and written.
    pub(super) grouping: tokio::sync::Mutex<()>,
    /// Small appends that wait for a version.
    pub(super) waiting: Mutex<Waiting>,
    /// Wakes the writer of small appends.
    pub(super) arrived: tokio::sync::Notify,
    writing: Mutex<Option<Writing>>,
    /// The version that a checkpoint was last begun for, or that the table had when it was loaded.
    pub(super) checkpointed: AtomicI64,
    pub(super) checkpointing: Arc<AtomicBool>,
}

#[derive(Default)]
struct Known {
    state: Option<Arc<TableState>>,
    recent: VecDeque<(i64, Arc<Vec<Action>>)>,
    /// A foreign commit that broke the protocol.
    broken: Option<String>,
    looked: Option<Instant>,
}

/// The version in the making.
struct Writing {
    version: i64,
    /// `commitInfo.txnId`: tells our commit from another of the same version.
    txn_id: Option<String>,
    since: Instant,
}

/// While this lives, a version is in the making.
pub(super) struct Busy<'a>(&'a Desk);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *lock(&self.0.writing) = None;
    }
}

impl Desk {
    /// Says that a version is being written.
    pub(super) fn busy(&self, version: i64, actions: &[Action]) -> Busy<'_> {
        *lock(&self.writing) = Some(Writing { version, txn_id: txn_id(actions), since: Instant::now() });
        Busy(self)
    }

    /// For how long a version has been in the making.
    pub(super) fn busy_for(&self) -> Duration {
        lock(&self.writing).as_ref().map_or(Duration::ZERO, |writing| writing.since.elapsed())
    }

    /// The newest state known, without looking.
    pub(super) fn known(&self) -> Option<Arc<TableState>> {
        self.read().state.clone()
    }

    /// The foreign commit that broke the protocol, if one did.
    pub(super) fn broken(&self) -> Option<String> {
        self.read().broken.clone()
    }

    /// A commit that is still remembered.
    pub(super) fn remembered(&self, version: i64) -> Option<Arc<Vec<Action>>> {
        let known = self.read();
        let first = known.recent.front()?.0;
        let at = usize::try_from(version.checked_sub(first)?).ok()?;
        known.recent.get(at).filter(|(kept, _)| *kept == version).map(|(_, actions)| Arc::clone(actions))
    }

    /// The newest state in the log. A version that we are writing ourselves does not count before it is durable.
    pub(super) async fn newest(&self, engine: &dyn Engine, folder: &Folder) -> Result<Arc<TableState>> {
        if let Some(state) = self.known().filter(|_| self.believes()) {
            let next = state.version + 1;
            let ours = lock(&self.writing).as_ref().filter(|w| w.version == next).and_then(|w| w.txn_id.clone());
            if folder.head(&commit_path(next)).await?.is_none() {
                return Ok(state);
            }
            if ours.is_some() && read_commit(folder, next).await?.is_some_and(|there| txn_id(&there) == ours) {
                return Ok(state);
            }
        }
        self.refresh(engine, folder).await
    }

    /// Brings the state up to the newest version in the log.
    pub(super) async fn refresh(&self, engine: &dyn Engine, folder: &Folder) -> Result<Arc<TableState>> {
        let mut state = match self.known() {
            Some(state) => state,
            None => self.load(engine, folder, NO_VERSION).await?,
        };
        let mut ahead = None;
        loop {
            let version = state.version + 1;
            let found = match ahead.take() {
                Some(found) => found,
                None => read_commit(folder, version).await?,
            };
            let Some(actions) = found else {
                if self.believes() {
                    return Ok(state);
                }
                self.write().looked = Some(Instant::now());
                match last_checkpoint(folder).await {
                    Some(checkpoint) if checkpoint > state.version => {
                        state = self.load(engine, folder, state.version).await?;
                    }
                    _ => return Ok(state),
                }
                continue;
            };
            // While one commit is added to the state, the next one is read.
            let advanced = advance(state, version, Arc::clone(&actions));
            let (advanced, following) = futures::join!(advanced, read_commit(folder, version + 1));
            let (next, faults) = advanced?;
            let broken = faults.first().map(|fault| format!("version {version} breaks the protocol: {fault}"));
            if let Some(what) = &broken {
                tracing::error!(location = %folder.location(), what, "a foreign commit damaged a table");
            }
            state = self.take(next, actions, broken);
            // Unless somebody else was quicker, and further.
            if state.version == version {
                ahead = Some(following?);
            }
        }
    }

    /// Reads the log from its last checkpoint, unless somebody else has done so and got further than `known`.
    async fn load(&self, engine: &dyn Engine, folder: &Folder, known: i64) -> Result<Arc<TableState>> {
        let _loading = self.loading.lock().await;
        if let Some(state) = self.known().filter(|state| state.version > known) {
            return Ok(state);
        }
        let (version, loaded) = engine.load(folder).await?.ok_or_else(|| no_table(folder))?;
        let state = Arc::new(TableState::new(version, loaded)?);
        let mut known = self.write();
        if let Some(newer) = known.state.as_ref().filter(|newer| newer.version >= version) {
            return Ok(Arc::clone(newer));
        }
        known.recent.clear();
        known.state = Some(Arc::clone(&state));
        known.looked = Some(Instant::now());
        self.checkpointed.fetch_max(version, Ordering::AcqRel);
        Ok(state)
    }

    /// The state of a table that was just created.
    pub(super) fn begin(&self, state: Arc<TableState>, actions: Vec<Action>) {
        let mut known = self.write();
        *known = Known { state: Some(state), looked: Some(Instant::now()), ..Known::default() };
        known.recent.push_back((0, Arc::new(actions)));
    }

    /// Adds a version; gives the newest one, which somebody else may have added before.
    pub(super) fn take(
        &self,
        next: Arc<TableState>,
        actions: Arc<Vec<Action>>,
        broken: Option<String>,
    ) -> Arc<TableState> {
        let mut known = self.write();
        if let Some(newer) = known.state.as_ref().filter(|state| state.version >= next.version) {
            return Arc::clone(newer);
        }
        known.recent.push_back((next.version, actions));
        let mut held: usize = known.recent.iter().map(|(_, actions)| actions.len()).sum();
        while known.recent.len() > REMEMBERED || held > REMEMBERED_ACTIONS {
            held -= known.recent.pop_front().map_or(held, |(_, actions)| actions.len());
        }
        known.state = Some(Arc::clone(&next));
        known.broken = broken.or(known.broken.take());
        next
    }

    fn believes(&self) -> bool {
        self.read().looked.is_some_and(|looked| looked.elapsed() < BELIEVED)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn txn_id(actions: &[Action]) -> Option<String> {
    commit_info(actions).and_then(|info| info.txn_id.clone())
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: i64,
}

/// What `_last_checkpoint` says; it is a hint, so one that cannot be read says nothing.
async fn last_checkpoint(folder: &Folder) -> Option<i64> {
    let bytes = folder.get("_delta_log/_last_checkpoint").await.ok()?;
    serde_json::from_slice::<LastCheckpoint>(&bytes).ok().map(|last| last.version)
}

fn no_table(folder: &Folder) -> Problem {
    Problem::new(Code::NotFound, format!("there is no Delta table at {}", folder.location()))
        .reason("DELTA_TABLE_NOT_FOUND")
        .sql_state("42P01")
}
