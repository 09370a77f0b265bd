//! Queries and writes on threads of their own, and their rows over a channel.
//!
//! Nothing that computes runs on the threads that serve requests, or it would keep everybody waiting: health, cancelling,
//! stopping. Nor do queries share threads among each other ([`crate::crews`]). What a query reads are files: nothing of
//! the metadata database is touched there.

use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use crannog_lake::ports::{ExplainMode, Prepared, RelationKey, RowStream};
use crannog_types::{Problem, Result};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::crews::{Crew, Crews, TakePriority};

/// Batches that are computed before the first is taken.
const AHEAD: usize = 2;

/// The threads. Cheap to clone; they end with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Compute(Arc<Crews>);

/// Work that is given up when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Compute {
    /// So many threads for each query and each write.
    ///
    /// # Errors
    /// When the system has no threads.
    pub(crate) fn new(threads: usize, take: Option<TakePriority>) -> Result<Self> {
        Ok(Compute(Crews::new(threads, take)?))
    }

    /// Does something there. Dropping the future gives it up.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let crew = self.0.take()?;
        run(&crew, work).await
    }

    /// A query that is computed there.
    pub(crate) fn query(&self, plan: Box<dyn Prepared>) -> Box<dyn Prepared> {
        Box::new(Query { plan, compute: self.clone() })
    }

    /// Pieces of work of which something still computes.
    pub(crate) fn busy(&self) -> usize {
        self.0.busy()
    }
}

async fn run<T: Send + 'static>(crew: &Crew, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let mut task = Task(crew.spawn(work)?);
    (&mut task.0)
        .await
        .unwrap_or_else(|panic| Err(Problem::internal("the query failed by a fault of the engine", panic)))
}

/// Rows that are computed there. Dropping the stream gives them up.
fn rows(crew: Crew, mut rows: RowStream) -> Result<RowStream> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let task = Task(crew.spawn(async move {
        while let Some(batch) = rows.next().await {
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    })?);
    Ok(Box::pin(Computed { receiver, task: Some((task, crew)) }))
}

struct Computed {
    receiver: mpsc::Receiver<Result<arrow::array::RecordBatch>>,
    task: Option<(Task<()>, Crew)>,
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
        let Some((task, _)) = &mut self.task else { return Poll::Ready(None) };
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
        let crew = compute.0.take()?;
        let stream = run(&crew, plan.run()).await?;
        rows(crew, stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A query whose only thread stands still in the middle of a step, from the first barrier to the second.
    fn stands_still(compute: &Compute) -> (RowStream, Arc<Barrier>, Arc<Barrier>) {
        let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (at_begin, at_end) = (Arc::clone(&begun), Arc::clone(&end));
        let stream: RowStream = Box::pin(futures::stream::once(async move {
            at_begin.wait();
            at_end.wait();
            Err(Problem::invalid("the end"))
        }));
        (rows(compute.0.take().unwrap(), stream).unwrap(), begun, end)
    }

    /// The threads that serve go on, and other queries too, though more stand still than a query has threads.
    #[tokio::test]
    async fn what_computes_keeps_nobody_else_waiting() {
        let compute = Compute::new(1, None).unwrap();
        let mut still: Vec<_> = (0..4).map(|_| stands_still(&compute)).collect();
        for (rows, begun, _) in &mut still {
            begun.wait();
            assert!(futures::poll!(rows.next()).is_pending());
        }
        assert_eq!(compute.run(async { Ok(1) }).await.unwrap(), 1);
        while compute.busy() > still.len() {
            tokio::task::yield_now().await;
        }
        for (mut rows, _, end) in still {
            end.wait();
            assert_eq!(rows.next().await.unwrap().unwrap_err().message(), "the end");
            assert!(rows.next().await.is_none());
        }
    }

    /// What was given up knows it in the middle of a step, and its threads work for others when it is over.
    #[tokio::test]
    async fn what_was_given_up_is_told_so() {
        let compute = Compute::new(1, None).unwrap();
        let (told, listen) = std::sync::mpsc::channel();
        let stream: RowStream = Box::pin(futures::stream::once(async move {
            told.send(()).unwrap();
            while crate::crews::wanted().is_ok() {
                std::thread::yield_now();
            }
            told.send(()).unwrap();
            Err(Problem::invalid("nobody reads this"))
        }));
        let rows = rows(compute.0.take().unwrap(), stream).unwrap();
        listen.recv().unwrap();
        drop(rows);
        listen.recv().unwrap();
        while compute.busy() > 0 {
            tokio::task::yield_now().await;
        }
        let again = async { crate::crews::wanted().map_err(|error| Problem::internal("it is wanted", error)) };
        compute.run(again).await.unwrap();
    }

    #[tokio::test]
    async fn what_computes_for_long_loses_priority() {
        static LOST: AtomicUsize = AtomicUsize::new(0);
        let compute = Compute::new(2, Some(|_| _ = LOST.fetch_add(1, Ordering::SeqCst))).unwrap();
        let long = async {
            while LOST.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        compute.run(long).await.unwrap();
        assert_eq!(LOST.load(Ordering::SeqCst), 2, "both threads of the query, no other");
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_not_the_end_of_the_rows() {
        let compute = Compute::new(1, None).unwrap();
        fn fails<T>() -> Result<T> {
            panic!("a fault of the test")
        }
        let panics: RowStream = Box::pin(futures::stream::once(async { fails() }));
        let mut rows = rows(compute.0.take().unwrap(), panics).unwrap();
        assert!(rows.next().await.unwrap().is_err());
        assert!(rows.next().await.is_none());
        assert!(compute.run(async { fails::<()>() }).await.is_err());
    }
}
