//! Threads of their own for queries and writes.
//!
//! A plan computes for long between two points at which it lets others go on. On the threads that serve requests, two heavy
//! queries would keep everybody waiting: health, cancelling, stopping. So rows are computed on other threads, as many as
//! there are processors, and come over a channel; the system shares the processors out between the two. What a query
//! reads are files: nothing of the metadata database is touched there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use crannog_lake::ports::{ExplainMode, Prepared, RelationKey, RowStream};
use crannog_types::{Problem, Result};
use futures::{Stream, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that are computed before the first is taken.
const AHEAD: usize = 2;

/// The threads. Cheap to clone; they end with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Compute(Arc<Threads>);

#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // What still computes ends with the process; nobody waits for it, and here nobody may.
            runtime.shutdown_background();
        }
    }
}

/// Work that is given up when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Compute {
    /// So many threads, with stacks for deep expressions.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("compute")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|error| Problem::internal("the threads of queries could not be started", error))?;
        Ok(Compute(Arc::new(Threads(Some(runtime)))))
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<Task<T>> {
        match &self.0.0 {
            Some(runtime) => Ok(Task(runtime.spawn(work))),
            None => Err(Problem::internal("a query came after the end of its threads", "they are gone")),
        }
    }

    /// Does something there. Dropping the future gives it up.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut task = self.spawn(work)?;
        (&mut task.0)
            .await
            .unwrap_or_else(|panic| Err(Problem::internal("the query failed by a fault of the engine", panic)))
    }

    /// Rows that are computed there. Dropping the stream gives them up.
    fn rows(&self, mut rows: RowStream) -> Result<RowStream> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let task = self.spawn(async move {
            while let Some(batch) = rows.next().await {
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        })?;
        Ok(Box::pin(Computed { receiver, task: Some(task) }))
    }

    /// A query that is computed there.
    pub(crate) fn query(&self, plan: Box<dyn Prepared>) -> Box<dyn Prepared> {
        Box::new(Query { plan, compute: self.clone() })
    }
}

/// The same as for the threads that serve.
const STACK: usize = 8 << 20;

struct Computed {
    receiver: mpsc::Receiver<Result<arrow::array::RecordBatch>>,
    task: Option<Task<()>>,
}

impl Stream for Computed {
    type Item = Result<arrow::array::RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        match self.receiver.poll_recv(cx) {
            Poll::Ready(None) => {}
            other => return other,
        }
        // No more comes. Either that was all, or it ended in a panic: then what came is not the answer.
        let Some(task) = &mut self.task else { return Poll::Ready(None) };
        let ended = std::task::ready!(Pin::new(&mut task.0).poll(cx));
        self.task = None;
        Poll::Ready(ended.err().map(|panic| Err(Problem::internal("the query failed by a fault of the engine", panic))))
    }
}

struct Query {
    plan: Box<dyn Prepared>,
    compute: Compute,
}

#[async_trait]
impl Prepared for Query {
    fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)> {
        self.plan.columns_read()
    }

    fn explain(&self, mode: ExplainMode) -> Result<String> {
        self.plan.explain(mode)
    }

    async fn run(self: Box<Self>) -> Result<RowStream> {
        let Query { plan, compute } = *self;
        let rows = compute.run(plan.run()).await?;
        compute.rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// As many queries as there are threads stand still; the threads that serve go on, and so does what they stop.
    #[tokio::test]
    async fn what_computes_keeps_nobody_else_waiting() {
        let compute = Compute::new(1).unwrap();
        let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (at_begin, at_end) = (Arc::clone(&begun), Arc::clone(&end));
        let stands_still: RowStream = Box::pin(futures::stream::once(async move {
            at_begin.wait();
            at_end.wait();
            Err(Problem::invalid("the end"))
        }));
        let mut rows = compute.rows(stands_still).unwrap();
        begun.wait();
        assert!(futures::poll!(rows.next()).is_pending());
        end.wait();
        assert_eq!(rows.next().await.unwrap().unwrap_err().message(), "the end");
        assert!(rows.next().await.is_none());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_not_the_end_of_the_rows() {
        let compute = Compute::new(1).unwrap();
        fn fails<T>() -> Result<T> {
            panic!("a fault of the test")
        }
        let panics: RowStream = Box::pin(futures::stream::once(async { fails() }));
        let mut rows = compute.rows(panics).unwrap();
        assert!(rows.next().await.unwrap().is_err());
        assert!(rows.next().await.is_none());
        assert!(compute.run(async { fails::<()>() }).await.is_err());
    }
}
