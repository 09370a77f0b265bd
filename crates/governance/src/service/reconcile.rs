//! At start: what a crash left between the database and files.

use crannog_security::{System, Task};
use crannog_store::params;
use crannog_types::Result;

use super::locations::{Intent, NewLog, finish_deleting, take_over};
use crate::Governance;

/// Deletes the files of every intent that is still open: of objects that were never made, and of objects that were dropped.
///
/// Run before the server takes requests. Each is first taken over in a transaction of its own, so that a process that is still
/// at work on a new object is told so when it wants to keep the files. That another process took it over before changes nothing:
/// it may be gone. Gives how many there were.
pub async fn open_intents(governance: &Governance) -> Result<usize> {
    const FILES: &str = "SELECT id, location FROM intent WHERE kind IN ('create_files', 'delete_files')";
    let intents = taken_over(governance, FILES).await?;
    let found = intents.len();
    finish_deleting(governance, &system(), intents).await?;
    Ok(found)
}

/// Logs that were begun in folders that are not ours, for tables that were never made: to be taken back, and ended.
pub async fn begun_logs(governance: &Governance) -> Result<Vec<NewLog>> {
    const LOGS: &str = "SELECT id, location FROM intent WHERE kind = 'begin_log'";
    taken_over(governance, LOGS).await?.into_iter().map(NewLog::of).collect()
}

async fn taken_over(governance: &Governance, select: &'static str) -> Result<Vec<Intent>> {
    let rows = governance.db.read(&system()).rows(select, params![]).await?;
    let mut intents = Vec::with_capacity(rows.len());
    for row in &rows {
        let intent = Intent { id: row.text(0)?, location: row.text(1)? };
        if take_over(governance, &intent.id).await? {
            intents.push(intent);
        }
    }
    Ok(intents)
}

#[expect(clippy::disallowed_methods, reason = "intents are the program's own bookkeeping")]
pub(crate) fn system() -> System {
    System::task(Task::Reconcile)
}
