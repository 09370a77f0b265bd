//! Who asked what: one row of `system.query.history` for every statement, and an audit row for every table it read.
//!
//! Rows are written in batches by a task: a statement does not wait for the disk to be remembered. Whoever reads the
//! history flushes first.

use std::sync::Arc;
use std::time::Duration;

use crannog_kit::{Recorder, Tasks};
use crannog_security::{Origin, System, Task, Who};
use crannog_store::{Audit, AuditEvent, Db, params};
use crannog_types::Micros;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::TableRead;

/// One statement that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Who asked.
    pub who: Who,
    /// Where the request came from.
    pub origin: Arc<Origin>,
    /// The warehouse that it ran on, as clients call it.
    pub warehouse: Option<String>,
    /// Its text.
    pub text: String,
    /// `Query`, `Insert` …; `None` when it could not be parsed.
    pub kind: Option<&'static str>,
    /// `FINISHED`, `FAILED` or `CANCELED`.
    pub status: &'static str,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Micros,
    /// When it ended.
    pub ended_at: Micros,
    /// Rows that it answered.
    pub rows_produced: i64,
    /// Tables and columns that it read.
    pub reads: Vec<TableRead>,
}

enum Message {
    Ended(Box<Ended>),
    Flush(oneshot::Sender<()>),
}

/// The history's writer.
pub struct History {
    sender: mpsc::Sender<Message>,
    recorder: Arc<Recorder>,
}

impl History {
    /// Starts the writer.
    pub fn start(db: Db, recorder: Arc<Recorder>, tasks: &Tasks) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(16_384);
        tasks.spawn("query history", write_batches(db, receiver, tasks.stopping()));
        Arc::new(History { sender, recorder })
    }

    /// Remembers a statement.
    pub fn ended(&self, ended: Ended) {
        for read in &ended.reads {
            self.recorder.event(AuditEvent {
                at: ended.started_at,
                who: Some(ended.who.clone()),
                origin: Some(Arc::clone(&ended.origin)),
                what: Audit::of("unityCatalog", "getTable").with("full_name_arg", read.name.to_string()),
                status: 200,
                error: None,
            });
        }
        if let Err(error) = self.sender.try_send(Message::Ended(Box::new(ended))) {
            tracing::error!(%error, "the history's buffer is full: a statement is missing from it");
        }
    }

    /// Waits until everything that ended so far can be read.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

async fn write_batches(db: Db, mut receiver: mpsc::Receiver<Message>, stop: tokio_util::sync::CancellationToken) {
    let mut waiting: Vec<Ended> = Vec::new();
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message,
            () = tokio::time::sleep(Duration::from_millis(500)), if !waiting.is_empty() => {
                write(&db, &mut waiting).await;
                continue;
            }
            () = stop.cancelled() => None,
        };
        match message {
            Some(Message::Ended(ended)) => {
                waiting.push(*ended);
                if waiting.len() >= 500 {
                    write(&db, &mut waiting).await;
                }
            }
            Some(Message::Flush(done)) => {
                write(&db, &mut waiting).await;
                let _ = done.send(());
            }
            None => {
                while let Ok(message) = receiver.try_recv() {
                    if let Message::Ended(ended) = message {
                        waiting.push(*ended);
                    }
                }
                write(&db, &mut waiting).await;
                return;
            }
        }
    }
}

async fn write(db: &Db, waiting: &mut Vec<Ended>) {
    const INSERT: &str = "INSERT INTO statement (id, principal, principal_name, warehouse, text, kind, status, error, \
         started_at, ended_at, rows_produced, rows_written, reads, source_ip, user_agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
    if waiting.is_empty() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the history's writer acts for nobody")]
    let system = System::task(Task::Record);
    let written = async {
        let mut tx = db.write_unaudited(&system).await?;
        for ended in waiting.iter() {
            let reads: Vec<_> = ended
                .reads
                .iter()
                .map(|read| json!({ "table": read.name.to_string(), "columns": read.columns }))
                .collect();
            tx.run(
                INSERT,
                params![
                    ended.id.as_str(),
                    ended.who.id,
                    &*ended.who.name,
                    ended.warehouse.clone(),
                    ended.text.as_str(),
                    ended.kind,
                    ended.status,
                    ended.error.clone(),
                    ended.started_at,
                    ended.ended_at,
                    ended.rows_produced,
                    Option::<i64>::None,
                    json!(reads).to_string(),
                    ended.origin.source_ip.clone(),
                    ended.origin.user_agent.clone(),
                ],
            )
            .await?;
        }
        tx.commit().await
    };
    if let Err(error) = written.await {
        tracing::error!(%error, statements = waiting.len(), "the history of statements could not be written");
    }
    waiting.clear();
}
