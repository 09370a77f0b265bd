//! Writes points of several requests together: what comes while one group is being written is the next group. A lone request is a
//! group of its own, at once. An answer is given when its points are durable; one that is refused (its run is deleted) costs the
//! others of its group nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crannog_kit::{Steps, Tasks};
use crannog_security::{Origin, System, Task, Who};
use crannog_store::{AuditEvent, Db, Tx, params, until_won};
use crannog_types::Result;
use tokio::sync::{mpsc, oneshot};

use super::audit;
use super::latest::Latest;
use crate::model::points;
use crate::model::runs::Metric;
use crate::service::together::Rowed;

/// How many requests are written together, at most.
const GROUP: usize = 256;

/// How many points are written together: a few thousand statements' worth, while everybody else waits.
const GROUP_POINTS: usize = 20_000;

/// How many runs' keys are kept.
const KEPT: usize = 100_000;

/// Points of one request.
pub(super) struct Entry {
    pub(super) run_id: Arc<str>,
    pub(super) points: Vec<Metric>,
    /// Who logs, when the audit is to say so.
    pub(super) first: Option<(Who, Option<Arc<Origin>>)>,
    /// Where the answer is waited for.
    pub(super) done: oneshot::Sender<Result<(), Refused>>,
}

/// Why points of a request were not written.
#[derive(Debug, Clone)]
pub(super) enum Refused {
    /// The run is deleted, or not there.
    NotActive,
    /// The whole group was not.
    Group(String),
}

/// Starts writing; it ends with the tasks, after what is waiting then. Gives where entries go, and the steps of the writing.
pub(super) fn start(db: Db, tasks: &Tasks) -> (mpsc::Sender<Entry>, Steps) {
    let (queue, mut waiting) = mpsc::channel::<Entry>(GROUP * 4);
    let stop = tasks.stopping();
    let writes = Steps::default();
    let mut writer = Writer { db, known: Mutex::default(), writes: writes.clone(), rows: Rowed::default() };
    tasks.spawn("what runs log", async move {
        loop {
            let first = tokio::select! {
                biased;
                entry = waiting.recv() => entry,
                () = stop.cancelled() => return,
            };
            let Some(first) = first else { return };
            let mut points = first.points.len();
            let mut group = vec![first];
            while group.len() < GROUP
                && points < GROUP_POINTS
                && let Ok(entry) = waiting.try_recv()
            {
                points += entry.points.len();
                group.push(entry);
            }
            writer.write(group).await;
            writer.rows.put_together(&writer.db).await;
        }
    });
    (queue, writes)
}

/// Writes groups.
struct Writer {
    db: Db,
    /// Runs' keys and experiments, which never change.
    known: Mutex<HashMap<Arc<str>, (i64, i64)>>,
    /// Groups on their way to the database.
    writes: Steps,
    /// Of runs that log.
    rows: Rowed,
}

impl Writer {
    /// Writes a group.
    async fn write(&mut self, group: Vec<Entry>) {
        match until_won(|| self.try_write(&group)).await {
            Ok(keys) => {
                for (entry, key) in group.into_iter().zip(keys) {
                    if let Some(key) = key {
                        self.rows.note(key);
                    }
                    // Whoever no longer waits was cancelled; the points stand all the same.
                    let _ = entry.done.send(key.map(|_| ()).ok_or(Refused::NotActive));
                }
            }
            Err(problem) => {
                tracing::error!(cause = problem.chain(), "what runs logged could not be written");
                for entry in group {
                    let _ = entry.done.send(Err(Refused::Group(problem.chain())));
                }
            }
        }
    }

    /// Gives of each the key of its run, if it is there.
    async fn try_write(&self, group: &[Entry]) -> Result<Vec<Option<i64>>> {
        let _step = self.writes.begin();
        #[expect(clippy::disallowed_methods, reason = "a group is of several people; each has shown a permit")]
        let system = System::task(Task::Track);
        let mut tx = self.db.write_unaudited(&system).await?;
        let mut latest = Latest::default();
        let mut keys = Vec::with_capacity(group.len());
        for entry in group {
            let Some((seq, experiment)) = self.key(&mut tx, &entry.run_id).await? else {
                keys.push(None);
                continue;
            };
            // The id too: a key of before a purge may be another run's now.
            let log = "INSERT INTO metric_log (run, points) SELECT seq, $2 FROM run \
                       WHERE seq = $1 AND run_id = $3 AND lifecycle = 'active'";
            let there = tx.run(log, params![seq, points::encode(&entry.points), &*entry.run_id]).await? == 1;
            keys.push(there.then_some(seq));
            if !there {
                continue;
            }
            latest.add(seq, experiment, &entry.points);
            if let Some((who, origin)) = &entry.first {
                let (at, what) = (tx.now(), audit(&entry.run_id));
                let (who, origin) = (Some(who.clone()), origin.clone());
                tx.record(&AuditEvent { at, who, origin, what, status: 200, error: None }).await?;
            }
        }
        latest.put(&mut tx).await?;
        tx.commit().await?;
        Ok(keys)
    }

    async fn key(&self, tx: &mut Tx, run_id: &Arc<str>) -> Result<Option<(i64, i64)>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(run_id).copied();
        if known.is_some() {
            return Ok(known);
        }
        let row = tx.row("SELECT seq, experiment FROM run WHERE run_id = $1", params![&**run_id]).await?;
        let Some(row) = row else { return Ok(None) };
        let key = (row.int(0)?, row.int(1)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(Arc::clone(run_id), key);
        Ok(Some(key))
    }
}
