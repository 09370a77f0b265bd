//! Rows that nobody waits for, written in batches: kept in memory, in the database within a second, or at once when
//! somebody is about to read them ([`Batches::flush`]).

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use crannog_store::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::steps::Steps;
use crate::tasks::Tasks;

/// Rows that may wait; more than these are in the log alone.
const CAPACITY: usize = 16_384;

/// A batch is written when it has this many rows.
const BATCH: usize = 1_000;

/// How long a row waits for others.
const WITHIN: Duration = Duration::from_secs(1);

/// Where batches end up.
pub trait Sink: Send + Sync + 'static {
    /// A row.
    type Row: Debug + Send + Sync + 'static;

    /// Writes rows, all or none.
    fn write(&self, rows: &[Self::Row]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

enum Message<R> {
    Row(Box<R>),
    Flush(oneshot::Sender<()>),
}

/// Where rows are handed in.
pub struct Batches<R> {
    name: &'static str,
    sender: mpsc::Sender<Message<R>>,
    writes: Steps,
}

impl<R: Debug + Send + Sync + 'static> Batches<R> {
    /// Starts the writer, a task of this name. It writes what waits when it is told to stop.
    pub fn start(name: &'static str, sink: impl Sink<Row = R>, tasks: &Tasks) -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let writes = Steps::default();
        let writer = Writer { name, sink, writes: writes.clone() };
        tasks.spawn(name, run(writer, receiver, tasks.stopping()));
        Batches { name, sender, writes }
    }

    /// Whether one write has been under way for longer than this. A database that is away fails sooner than that, so what
    /// is found here is a way to it that hangs.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.writes.stuck(longer_than)
    }

    /// Hands in a row. When the buffer is full it is lost to the table, but not to the log.
    pub fn add(&self, row: R) {
        if let Err(
            mpsc::error::TrySendError::Full(Message::Row(row)) | mpsc::error::TrySendError::Closed(Message::Row(row)),
        ) = self.sender.try_send(Message::Row(Box::new(row)))
        {
            tracing::error!(writer = self.name, ?row, "the buffer is full: a row is only in this log");
        }
    }

    /// Waits until everything handed in so far can be read.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

struct Writer<S> {
    name: &'static str,
    sink: S,
    writes: Steps,
}

async fn run<S: Sink>(writer: Writer<S>, mut receiver: mpsc::Receiver<Message<S::Row>>, stop: CancellationToken) {
    let mut waiting = Vec::new();
    // Counted from the first row that waits: a slow, steady stream must not put the writing off.
    let mut due = Instant::now();
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message,
            () = sleep_until(due), if !waiting.is_empty() => {
                write(&writer, &mut waiting).await;
                due = Instant::now() + WITHIN;
                continue;
            }
            () = stop.cancelled() => None,
        };
        match message {
            Some(Message::Row(row)) => {
                if waiting.is_empty() {
                    due = Instant::now() + WITHIN;
                }
                waiting.push(*row);
                if waiting.len() >= BATCH {
                    write(&writer, &mut waiting).await;
                }
            }
            Some(Message::Flush(done)) => {
                write(&writer, &mut waiting).await;
                let _ = done.send(());
            }
            None => {
                while let Ok(message) = receiver.try_recv() {
                    if let Message::Row(row) = message {
                        waiting.push(*row);
                    }
                }
                write(&writer, &mut waiting).await;
                return;
            }
        }
    }
}

async fn write<S: Sink>(writer: &Writer<S>, waiting: &mut Vec<S::Row>) {
    if waiting.is_empty() {
        return;
    }
    let name = writer.name;
    let step = writer.writes.begin();
    let written = writer.sink.write(waiting).await;
    drop(step);
    match written {
        Ok(()) => waiting.clear(),
        // Kept and tried again with the next batch; a database that stays away must not eat the memory.
        Err(error) if waiting.len() < CAPACITY => {
            tracing::error!(writer = name, %error, "a batch could not be written")
        }
        Err(error) => {
            tracing::error!(writer = name, %error, rows = ?waiting, "a batch could not be written and is only in this log");
            waiting.clear();
        }
    }
}
