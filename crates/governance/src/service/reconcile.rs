//! At start: what a crash left between the database and files.

use crannog_security::{System, Task};
use crannog_store::params;
use crannog_types::Result;

use super::locations::{Intent, finish_deleting, take_over};
use crate::Governance;

/// Deletes the files of every intent that is still open: of objects that were never made, and of objects that were dropped.
///
/// Run before the server takes requests. Each is first taken over in a transaction of its own: of two processes that start
/// together one deletes, and a process that is still at work on a new object is told so when it wants to keep the files.
pub async fn open_intents(governance: &Governance) -> Result<usize> {
    let system = system();
    let rows = governance.db.read(&system).rows("SELECT id, location FROM intent", params![]).await?;
    let mut intents = Vec::with_capacity(rows.len());
    for row in &rows {
        let intent = Intent { id: row.text(0)?, location: row.text(1)? };
        match take_over(governance, &intent.id).await {
            Ok(true) => intents.push(intent),
            Ok(false) => {}
            // Somebody else takes it at this moment.
            Err(problem) if problem.vendor_reason() == Some("SERIALIZATION_FAILURE") => {}
            Err(problem) => return Err(problem),
        }
    }
    let found = intents.len();
    finish_deleting(governance, &system, intents).await?;
    Ok(found)
}

#[expect(clippy::disallowed_methods, reason = "intents are the program's own bookkeeping")]
pub(crate) fn system() -> System {
    System::task(Task::Reconcile)
}
