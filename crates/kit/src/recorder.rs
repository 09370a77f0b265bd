//! What is recorded of decisions, in batches: denials, and reads of governed data.
//!
//! A change writes its audit row in its own transaction. A denial changes nothing, so it goes through here: kept in memory,
//! written within a second, or at once when somebody reads the audit ([`Recorder::flush`]).

use std::sync::Arc;
use std::time::Duration;

use crannog_security::{System, Task};
use crannog_store::{AuditEvent, Db};
use tokio::sync::{mpsc, oneshot};

use crate::tasks::Tasks;

/// Events that may wait; more than these are in the log alone.
const CAPACITY: usize = 16_384;

/// How long an event waits for others.
const WITHIN: Duration = Duration::from_secs(1);

enum Message {
    Event(Box<AuditEvent>),
    Flush(oneshot::Sender<()>),
}

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Message>,
}

impl Recorder {
    /// Starts the writer of batches.
    pub fn start(db: Db, tasks: &Tasks) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        tasks.spawn("audit writer", write_batches(db, receiver, tasks.stopping()));
        Arc::new(Recorder { sender })
    }

    /// Keeps an event. When the buffer is full it is lost to the table, but not to the log.
    pub fn event(&self, event: AuditEvent) {
        if let Err(error) = self.sender.try_send(Message::Event(Box::new(event))) {
            let lost = match error {
                mpsc::error::TrySendError::Full(Message::Event(event))
                | mpsc::error::TrySendError::Closed(Message::Event(event)) => event,
                _ => return,
            };
            tracing::error!(event = ?lost, "the audit's buffer is full: an event is only in this log");
        }
    }

    /// Waits until everything recorded so far can be read.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

async fn write_batches(db: Db, mut receiver: mpsc::Receiver<Message>, stop: tokio_util::sync::CancellationToken) {
    let mut waiting: Vec<AuditEvent> = Vec::new();
    // Counted from the first event that waits: a slow, steady stream must not put the writing off.
    let mut due = tokio::time::Instant::now();
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message,
            () = tokio::time::sleep_until(due), if !waiting.is_empty() => {
                write(&db, &mut waiting).await;
                due = tokio::time::Instant::now() + WITHIN;
                continue;
            }
            () = stop.cancelled() => None,
        };
        match message {
            Some(Message::Event(event)) => {
                if waiting.is_empty() {
                    due = tokio::time::Instant::now() + WITHIN;
                }
                waiting.push(*event);
                if waiting.len() >= 1_000 {
                    write(&db, &mut waiting).await;
                }
            }
            Some(Message::Flush(done)) => {
                write(&db, &mut waiting).await;
                let _ = done.send(());
            }
            None => {
                while let Ok(message) = receiver.try_recv() {
                    if let Message::Event(event) = message {
                        waiting.push(*event);
                    }
                }
                write(&db, &mut waiting).await;
                return;
            }
        }
    }
}

async fn write(db: &Db, waiting: &mut Vec<AuditEvent>) {
    if waiting.is_empty() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the recorder writes what others were refused; it acts for nobody")]
    let system = System::task(Task::Record);
    let written = async {
        let mut tx = db.write_unaudited(&system).await?;
        for event in waiting.iter() {
            tx.record(event).await?;
        }
        tx.commit().await
    };
    match written.await {
        Ok(()) => waiting.clear(),
        // Kept and tried again with the next batch; a database that stays away must not eat the memory.
        Err(error) if waiting.len() < CAPACITY => tracing::error!(%error, "audit events could not be written"),
        Err(error) => {
            tracing::error!(%error, events = ?waiting, "audit events could not be written and are only in this log");
            waiting.clear();
        }
    }
}
