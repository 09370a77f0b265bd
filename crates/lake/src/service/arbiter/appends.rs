//! Small appends: rows of several statements in one version.
//!
//! A lone append is written at once. Those that arrive while one is under way are written together, one Parquet file and
//! one version for the group. From then on a version waits until all are there who wrote lately: those of the group before,
//! who come back with their next rows, and those who came while it was written. It waits no longer than [`GROUP_PACE`] after
//! the version before began, which is what holds a table to some 20 versions a second when more writers keep coming; writers
//! who wait for their answers get versions as fast as they come back, each with a row of all of them. When a wait has
//! brought nobody, the next append is alone again.
//!
//! The group is written by a task of its own, of which a table has at most one: whoever stops waiting takes nobody else's
//! rows along. Everybody gets an outcome of their own: rows that cannot be written do not fail others, and rows planned on
//! a schema that has changed since are refused as any other commit would be.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use crannog_kit::clock;
use crannog_storage::Folder;
use crannog_types::{Code, Problem, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::desk::Desk;
use super::{Arbiter, Author, Committed, append_plan, delete_files, lock, may_be_committed, winners};
use crate::model::actions::Action;
use crate::model::conflicts::{Proposal, Reads, check};
use crate::model::state::TableState;
use crate::ports::WriteSpec;

/// Rows of a group.
const GROUP_ROWS: usize = 100_000;
/// Once appends are grouped, a version waits for this long at most after the one before began.
const GROUP_PACE: Duration = Duration::from_millis(50);

/// Appends that wait for a version.
#[derive(Default)]
pub(super) struct Waiting {
    appends: Vec<Append>,
    /// A task is writing them.
    writer: bool,
}

struct Append {
    read: Arc<TableState>,
    rows: Vec<RecordBatch>,
    count: usize,
    author: Author,
    done: oneshot::Sender<Outcome>,
}

type Outcome = std::result::Result<Committed, Arc<Problem>>;

impl Append {
    fn answer(self, outcome: Outcome) {
        // Whoever no longer waits was cancelled; the rows are in the table all the same.
        let _ = self.done.send(outcome);
    }
}

/// The writer of a table's small appends. When it ends by a fault, those who wait are told, and the next append starts
/// another one.
struct Writer {
    desk: Arc<Desk>,
    done: bool,
}

impl Writer {
    /// There is nobody left to write for.
    fn end(mut self) {
        self.done = true;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            let mut waiting = lock(&self.desk.waiting);
            waiting.writer = false;
            waiting.appends.clear();
        }
    }
}

impl Arbiter {
    /// Appends a few rows, with exactly the columns of `read`, together with whatever else waits to be appended to the
    /// table. Rows whose owner stopped waiting before their group was taken are not written.
    ///
    /// # Errors
    /// As [`Arbiter::commit`]; what the engine has against the rows.
    pub async fn append_rows(
        self: &Arc<Self>,
        folder: &Folder,
        read: Arc<TableState>,
        rows: Vec<RecordBatch>,
        author: Author,
    ) -> Result<Committed> {
        let desk = self.desk(folder);
        let count = rows.iter().map(RecordBatch::num_rows).sum();
        let (done, outcome) = oneshot::channel();
        let first = {
            let mut waiting = lock(&desk.waiting);
            waiting.appends.push(Append { read, rows, count, author, done });
            !std::mem::replace(&mut waiting.writer, true)
        };
        if first {
            let (arbiter, folder, writer) = (Arc::clone(self), folder.clone(), Writer { desk, done: false });
            self.tasks.spawn_job("append", async move {
                arbiter.append_waiting(&writer.desk, &folder).await;
                writer.end();
            });
        } else {
            desk.arrived.notify_one();
        }
        match outcome.await {
            Ok(outcome) => outcome.map_err(shared),
            Err(_) => Err(Problem::new(Code::Unavailable, "the server stopped while the rows were being appended")
                .hint("look whether they are there before you append them again")),
        }
    }

    /// Writes group after group until nobody waits.
    async fn append_waiting(&self, desk: &Desk, folder: &Folder) {
        let mut last = None;
        loop {
            if let Some(last) = &last {
                gather(desk, last).await;
            }
            let _grouping = desk.grouping.lock().await;
            let Some(group) = take_group(desk) else { return };
            let (began, size) = (Instant::now(), group.len());
            let outcomes = self.append_group(desk, folder, group).await;
            // Counted before anybody is answered, and can be back.
            last = Last::of(began, size, still_waiting(desk));
            for (append, outcome) in outcomes {
                append.answer(outcome);
            }
        }
    }

    async fn append_group(&self, desk: &Desk, folder: &Folder, group: Vec<Append>) -> Vec<(Append, Outcome)> {
        let state = match self.state_for(desk, folder, &group).await {
            Ok(state) => state,
            Err(problem) => return all(group, Err(Arc::new(problem))),
        };
        let (mut outcomes, mut fitting) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for append in group {
            match still_fits(desk, folder, &append, &state).await {
                Ok(()) => fitting.push(append),
                Err(problem) => outcomes.push((append, Err(Arc::new(problem)))),
            }
        }
        match self.append_together(desk, folder, Arc::clone(&state), &fitting).await {
            Err(problem) if fitting.len() > 1 && problem.code() == Code::InvalidArgument => {
                // Somebody's rows are at fault; the others' are not.
                for append in fitting {
                    let outcome =
                        self.append_together(desk, folder, Arc::clone(&state), std::slice::from_ref(&append)).await;
                    outcomes.push((append, outcome.map_err(Arc::new)));
                }
            }
            outcome => outcomes.extend(all(fitting, outcome.map_err(Arc::new))),
        }
        outcomes
    }

    /// The state that a group is written on: no older than any of those that its rows were made for.
    async fn state_for(&self, desk: &Desk, folder: &Folder, group: &[Append]) -> Result<Arc<TableState>> {
        let newest_read = group.iter().map(|append| append.read.version).max().unwrap_or_default();
        match desk.known().filter(|state| state.version >= newest_read) {
            Some(state) => Ok(state),
            None => desk.refresh(self.engine.as_ref(), folder).await,
        }
    }

    async fn append_together(
        &self,
        desk: &Desk,
        folder: &Folder,
        state: Arc<TableState>,
        appends: &[Append],
    ) -> Result<Committed> {
        let spec =
            WriteSpec { schema: (*state.schema).clone(), metadata: (*state.metadata).clone(), now: clock::now() };
        let rows = appends.iter().flat_map(|append| append.rows.iter().cloned()).collect();
        let files = self.engine.encode(&spec, rows).await?;
        let adds: Vec<_> = files.iter().map(|file| file.add.clone()).collect();
        let plan = append_plan(state, adds.clone());
        let stated = appends.iter().map(|append| append.author.stated(i64::try_from(append.count).ok())).collect();
        match self.commit_files(desk, folder, plan, stated, files).await {
            Ok(committed) => Ok(committed),
            Err(problem) => {
                if !may_be_committed(&problem) {
                    delete_files(folder, &adds).await;
                }
                Err(problem)
            }
        }
    }
}

/// The group before, as far as the next one depends on it.
struct Last {
    began: Instant,
    /// Who wrote lately: its own, who may come back, and those who came while it was written.
    writers: usize,
}

impl Last {
    /// `None` after an append that was alone: the next one is not waited with.
    fn of(began: Instant, size: usize, came: usize) -> Option<Self> {
        (size > 1).then_some(Last { began, writers: size + came })
    }

    /// Whether all who are expected are there, or as many rows as a group takes.
    fn is_complete(&self, waiting: usize, rows: usize) -> bool {
        waiting >= self.writers || rows >= GROUP_ROWS
    }

    /// When a version is written even if not all are there.
    fn until(&self) -> Instant {
        self.began + GROUP_PACE
    }
}

/// Waits until all who wrote lately are there, a group is full, or the time has come.
async fn gather(desk: &Desk, last: &Last) {
    loop {
        {
            let waiting = lock(&desk.waiting);
            let rows: usize = waiting.appends.iter().map(|append| append.count).sum();
            if last.is_complete(waiting.appends.len(), rows) {
                return;
            }
        }
        tokio::select! {
            () = desk.arrived.notified() => {}
            () = tokio::time::sleep_until(last.until()) => return,
        }
    }
}

fn still_waiting(desk: &Desk) -> usize {
    lock(&desk.waiting).appends.iter().filter(|append| !append.done.is_closed()).count()
}

fn all(appends: Vec<Append>, outcome: Outcome) -> Vec<(Append, Outcome)> {
    appends.into_iter().map(|append| (append, outcome.clone())).collect()
}

/// The next group; `None`, and the writer's end, when nobody waits.
fn take_group(desk: &Desk) -> Option<Vec<Append>> {
    let mut waiting = lock(&desk.waiting);
    waiting.appends.retain(|append| !append.done.is_closed());
    let (mut rows, mut end) = (0, 0);
    for append in &waiting.appends {
        rows += append.count;
        if end > 0 && rows > GROUP_ROWS {
            break;
        }
        end += 1;
    }
    if end == 0 {
        // Under the same lock as the look: whoever comes now starts another writer.
        waiting.writer = false;
        return None;
    }
    Some(waiting.appends.drain(..end).collect())
}

/// Rows made for one schema are not written under another: the conflict that any other commit would meet.
async fn still_fits(desk: &Desk, folder: &Folder, append: &Append, state: &TableState) -> Result<()> {
    let read = &append.read;
    if read.version >= state.version || Arc::ptr_eq(&read.metadata, &state.metadata) || read.metadata == state.metadata
    {
        return Ok(());
    }
    let actions: Vec<Action> = Vec::new();
    let proposal =
        Proposal { read_version: read.version, reads: Reads::Nothing, read_app_ids: Default::default(), actions };
    let winners = winners(desk, folder, read.version, state.version).await?;
    let winners: Vec<(i64, &[Action])> = winners.iter().map(|(version, won)| (*version, won.as_slice())).collect();
    check(&proposal, &winners, state)?;
    Ok(())
}

/// A group's failure, told to each of its members.
fn shared(problem: Arc<Problem>) -> Problem {
    let mut copy = Problem::new(problem.code(), problem.message().to_owned());
    if let Some(reason) = problem.vendor_reason() {
        copy = copy.reason(reason.to_owned());
    }
    if let Some(state) = problem.state() {
        copy = copy.sql_state(state.to_owned());
    }
    if let Some(hint) = problem.next_step() {
        copy = copy.hint(hint.to_owned());
    }
    copy.caused_by(problem.chain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_waits_for_those_who_wrote_lately_and_not_for_long() {
        let began = Instant::now();
        assert!(Last::of(began, 1, 15).is_none(), "nobody waits after an append that was alone");
        let last = Last::of(began, 12, 4).unwrap();
        assert!(!last.is_complete(15, 15));
        assert!(last.is_complete(16, 16), "the twelve are back, and the four who came meanwhile");
        assert!(last.is_complete(2, GROUP_ROWS), "a group that is full waits for nobody");
        assert_eq!(last.until(), began + GROUP_PACE);
    }
}
