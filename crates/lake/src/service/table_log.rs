//! The `_delta_log` of one table as files: reading commits behind a known version, and writing the next one.
//!
//! Put-if-absent is the guard: of two writers of one version exactly one wins, whatever queue or replica they come from.

use std::sync::Arc;

use bytes::Bytes;
use crannog_storage::{Folder, Staged};
use crannog_types::{Problem, Result};

use crate::model::LogError;
use crate::model::actions::Action;
use crate::model::commit_file::{parse_commit, parse_notes, render_commit};
use crate::model::state::{Fault, TableState};

/// From this many bytes on, a commit is not parsed on the threads that serve requests: it takes about a millisecond.
const LARGE: usize = 256 * 1024;
/// The same of adding its actions to a state.
const MANY: usize = 500;

/// The name of a version's commit.
pub fn commit_path(version: i64) -> String {
    format!("_delta_log/{version:020}.json")
}

/// One commit, or `None` when there is no such version (or it was cleaned up).
pub async fn read_commit(folder: &Folder, version: i64) -> Result<Option<Arc<Vec<Action>>>> {
    read(folder, version, parse_commit).await
}

/// As [`read_commit`], but nothing of it than what [`parse_notes`] gives.
pub async fn read_notes(folder: &Folder, version: i64) -> Result<Option<Arc<Vec<Action>>>> {
    read(folder, version, parse_notes).await
}

async fn read(
    folder: &Folder,
    version: i64,
    parse: fn(&[u8]) -> std::result::Result<Vec<Action>, LogError>,
) -> Result<Option<Arc<Vec<Action>>>> {
    let bytes = match folder.get(&commit_path(version)).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let small = bytes.len() < LARGE;
    Ok(Some(Arc::new(aside(small, move || parse(&bytes)).await??)))
}

/// [`TableState::advance_despite_faults`], for commits of any size.
pub async fn advance(
    state: Arc<TableState>,
    version: i64,
    actions: Arc<Vec<Action>>,
) -> Result<(Arc<TableState>, Vec<Fault>)> {
    let small = actions.len() < MANY;
    let (next, faults) = aside(small, move || state.advance_despite_faults(version, &actions)).await??;
    Ok((Arc::new(next), faults))
}

/// Runs work here when it is small, else where it keeps no request waiting.
async fn aside<T: Send + 'static>(small: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if small {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal("reading a commit did not finish", error))
}

/// How writing a version ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is there, durably.
    Ours,
    /// Somebody else wrote it first.
    Taken,
    /// Storage failed when it had its name: it may be there, and it may be lost in a power cut.
    Unknown,
}

/// A commit that is durable, but in the log only when it was published.
pub struct StagedCommit {
    version: i64,
    bytes: Bytes,
    staged: Staged,
}

/// Writes a version's content.
pub async fn stage_commit(folder: &Folder, version: i64, actions: &[Action]) -> Result<StagedCommit> {
    let bytes = Bytes::from(render_commit(actions)?);
    let staged = folder.stage(&commit_path(version), bytes.clone()).await?;
    Ok(StagedCommit { version, bytes, staged })
}

impl StagedCommit {
    /// Puts it into the log, if there is no such version.
    ///
    /// # Errors
    /// Failures of storage after which it is surely not there.
    pub async fn publish(self, folder: &Folder) -> Result<Published> {
        match self.staged.publish().await {
            Ok(true) => Ok(Published::Ours),
            Ok(false) => Ok(Published::Taken),
            Err(error) => match folder.get(&commit_path(self.version)).await {
                Ok(there) if there != self.bytes => Err(error.into()),
                Err(looking) if looking.is_not_found() => Err(error.into()),
                _ => Ok(Published::Unknown),
            },
        }
    }
}
