//! Data files that no commit names yet.
//!
//! Writing them takes as long as their query does, and whoever asked may go away in the middle. Then the rows end, and what was
//! stored of them is deleted: a reader never sees such files, but the disk holds them. From the commit on they are not touched
//! here any more: a commit that cannot be told from one that failed may name them.

use std::sync::Arc;

use crannog_kit::Tasks;
use crannog_storage::Folder;
use crannog_types::{Code, Problem, Result};
use futures::{StreamExt, stream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Arbiter, delete_files};
use crate::model::actions::Add;
use crate::ports::{RowStream, WriteSpec};

/// Data files that were written for a commit. Dropped, they are deleted.
pub struct NewFiles {
    adds: Vec<Add>,
    folder: Folder,
    tasks: Tasks,
}

impl NewFiles {
    /// What the commit adds.
    pub fn adds(&self) -> &[Add] {
        &self.adds
    }

    /// Gives them to the commit, which is about to be made: they are its own to delete.
    #[must_use]
    pub fn into_commit(mut self) -> Vec<Add> {
        std::mem::take(&mut self.adds)
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        if self.adds.is_empty() {
            return;
        }
        let (adds, folder) = (std::mem::take(&mut self.adds), self.folder.clone());
        self.tasks.spawn_job("delete data files", async move { delete_files(&folder, &adds).await });
    }
}

impl Arbiter {
    /// Writes rows into data files. When the caller stops waiting, none are left.
    ///
    /// # Errors
    /// The rows' own; those of [`crate::ports::Engine::write`].
    pub async fn write(&self, folder: &Folder, spec: WriteSpec, rows: RowStream) -> Result<NewFiles> {
        let stop = CancellationToken::new();
        let waiting = stop.clone().drop_guard();
        let rows = until(stop, rows);
        let (engine, tasks, folder) = (Arc::clone(&self.engine), self.tasks.clone(), folder.clone());
        let (done, written) = oneshot::channel();
        let work = async move {
            let written = engine.write(&folder, &spec, rows).await;
            // Where nobody waits any more, the files go with the answer.
            drop(done.send(written.map(|adds| NewFiles { adds, folder, tasks })));
        };
        self.tasks.spawn_job("write data files", work.in_current_span());
        let outcome = written.await.unwrap_or_else(|_| {
            Err(Problem::internal("writing data files did not finish", "a panic, which the log has"))
        });
        waiting.disarm();
        outcome
    }

    /// For a table that begins without rows.
    pub fn no_files(&self, folder: &Folder) -> NewFiles {
        NewFiles { adds: Vec::new(), folder: folder.clone(), tasks: self.tasks.clone() }
    }
}

/// The rows, until they are told to stop: then they fail.
pub fn until(stop: CancellationToken, rows: RowStream) -> RowStream {
    Box::pin(stream::try_unfold((stop, rows), |(stop, mut rows)| async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Problem::new(Code::Cancelled, "nobody waits for the rows any more")),
            next = rows.next() => Ok(next.transpose()?.map(|batch| (batch, (stop, rows)))),
        }
    }))
}
