//! The `_delta_log` of one table as files: reading commits behind a known version, and writing the next one.
//!
//! Put-if-absent is the guard: of two writers of one version exactly one wins, whatever queue or replica they come from.

use std::sync::Arc;

use crannog_storage::Folder;
use crannog_types::Result;

use crate::model::actions::{Action, parse_commit, render_commit};

/// The name of a version's commit.
pub fn commit_path(version: i64) -> String {
    format!("_delta_log/{version:020}.json")
}

/// One commit, or `None` when there is no such version (or it was cleaned up).
pub async fn read_commit(folder: &Folder, version: i64) -> Result<Option<Arc<Vec<Action>>>> {
    match folder.get(&commit_path(version)).await {
        Ok(bytes) => Ok(Some(Arc::new(parse_commit(&bytes)?))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a version. `false`: somebody else wrote it first.
pub async fn write_commit(folder: &Folder, version: i64, actions: &[Action]) -> Result<bool> {
    Ok(folder.put_if_absent(&commit_path(version), render_commit(actions)?).await?)
}
