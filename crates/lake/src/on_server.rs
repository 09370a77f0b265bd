//! Work that a query needs done on the server's own threads, wherever the query computes.
//!
//! A connection of the database belongs to the runtime on which it was made, and the threads of a query end with it. So each read
//! is a task of the server's, and the query waits for it; when nobody waits any more it is given up.

use std::future::Future;

use crannog_types::{Problem, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The server's runtime. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OnServer(Handle);

/// Given up when it is dropped.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl OnServer {
    /// The runtime of whoever calls this.
    pub fn here() -> Self {
        OnServer(Handle::current())
    }

    /// Does a piece of work there.
    ///
    /// # Errors
    /// Those of the work; that the server is stopping.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let mut task = Task(self.0.spawn(work));
        (&mut task.0).await.map_err(|ended| Problem::internal("rows could not be read", ended))?
    }
}
