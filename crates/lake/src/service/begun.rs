//! Logs that were begun in folders that are not ours, for tables that were not made in the end.
//!
//! What is taken back is our own first commit and the data files that it names, and only while no other program has committed
//! after it: then the table is somebody's. Nothing else in such a folder is ever deleted, and nothing at all while the
//! table's row is in the catalog or may still come there.

use crannog_governance::Governance;
use crannog_governance::service::locations::{self, NewLog};
use crannog_governance::service::reconcile;
use crannog_security::{System, Task};
use crannog_storage::{Access, Folder};
use crannog_types::Result;

use super::arbiter::delete_files;
use super::table_log::{commit_path, read_commit};
use crate::model::actions::Action;

/// At start, before the first request: takes back what a crash left.
///
/// # Errors
/// Those of the database. What cannot be taken back now is tried again at a later start.
pub async fn take_back_all(governance: &Governance) -> Result<()> {
    for log in reconcile::begun_logs(governance).await? {
        let taken = async {
            let folder = governance.storage.open(&system(), &log.location, Access::ReadWrite)?;
            take_back(&folder, &log.table).await?;
            locations::end_log(governance, &log).await
        };
        if let Err(problem) = taken.await {
            tracing::warn!(location = %log.location, cause = problem.chain(), "a log that was begun in vain stays");
        }
    }
    Ok(())
}

/// After a failure: takes the log back, unless its table was made all the same.
///
/// # Errors
/// Those of the database and of storage; the next start tries again.
pub async fn give_up(governance: &Governance, folder: &Folder, log: &NewLog) -> Result<()> {
    if locations::give_up_log(governance, log).await? {
        take_back(folder, &log.table).await?;
        locations::end_log(governance, log).await?;
    }
    Ok(())
}

async fn take_back(folder: &Folder, table: &str) -> Result<()> {
    let Some(first) = read_commit(folder, 0).await? else { return Ok(()) };
    let ours = first.iter().any(|action| matches!(action, Action::Metadata(metadata) if metadata.id == table));
    if !ours || folder.head(&commit_path(1)).await?.is_some() {
        return Ok(());
    }
    folder.delete(&commit_path(0)).await?;
    let adds = first.iter().filter_map(|action| if let Action::Add(add) = action { Some(add.clone()) } else { None });
    delete_files(folder, &adds.collect::<Vec<_>>()).await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it takes back what the program itself began; it acts for nobody")]
fn system() -> System {
    System::task(Task::Reconcile)
}
