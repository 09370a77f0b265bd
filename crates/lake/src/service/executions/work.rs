//! The task of a statement: it waits for its turn, runs, and takes the rows in, cut to limits and into chunks.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use arrow_array::Array;
use crannog_kit::clock;
use crannog_security::Caller;
use crannog_types::{Code, Problem, Result};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{Chunk, Execution, Executions, Request, ResultSet, State, UnderWay};
use crate::grammar::Statement;
use crate::service::limits::Place;
use crate::service::statements::Run;
use crate::service::statements::answer::Answer;
use crate::service::statements::history::Ended;

/// A chunk of a result ends when it has this many rows or bytes.
const CHUNK_ROWS: usize = 50_000;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// What the task of a statement holds.
pub(super) struct Work {
    pub(super) executions: Arc<Executions>,
    pub(super) place: Place,
    pub(super) caller: Caller,
    pub(super) warehouse: String,
    pub(super) groups: Vec<String>,
    pub(super) request: Request,
    pub(super) execution: Arc<Execution>,
    pub(super) stop: CancellationToken,
    pub(super) under_way: UnderWay,
}

impl Work {
    pub(super) async fn run(self, statement: Result<Statement>) {
        let kind = statement.as_ref().ok().map(Statement::kind);
        let started_at = clock::now();
        let lake = &self.executions.lake;
        let context = &self.request.context;
        let held = Arc::clone(&self.execution.held);
        let run = Run::new(lake, self.caller.clone(), context, self.groups.clone(), started_at, Arc::clone(&held));
        let touched = run.touched();
        let outcome = tokio::select! {
            biased;
            () = self.execution.cancel.cancelled() => None,
            () = self.stop.cancelled() => None,
            problem = held.lost(self.executions.lease) => Some(Err(problem)),
            outcome = AssertUnwindSafe(self.result(&run, statement)).catch_unwind() => Some(outcome.unwrap_or_else(|_| {
                Err(Problem::internal("the statement failed by a fault of the server", "a panic, which the log has"))
            })),
        };
        let (status, error, rows, state) = match outcome {
            Some(Ok(result)) => ("FINISHED", None, result.rows(), State::Succeeded(Arc::new(result))),
            Some(Err(problem)) => {
                if problem.code().fault() == crannog_types::Fault::Us {
                    tracing::error!(statement = self.execution.id, cause = problem.chain(), "a statement failed");
                }
                ("FAILED", Some(problem.full_message()), 0, State::Failed(Arc::new(problem)))
            }
            None => ("CANCELED", None, 0, State::Canceled),
        };
        let ended_at = clock::now();
        let figures = &self.under_way.0;
        match state {
            State::Succeeded(_) => &figures.finished,
            State::Failed(_) => &figures.failed,
            _ => &figures.canceled,
        }
        .fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(ended_at.0 - started_at.0).unwrap_or_default();
        figures.micros.fetch_add(took, Ordering::Relaxed);
        self.executions.lake.history.ended(Ended {
            id: self.execution.id.clone(),
            who: self.caller.who().clone(),
            origin: Arc::clone(self.caller.origin()),
            warehouse: Some(self.warehouse),
            kind,
            text: self.request.text,
            status,
            error,
            started_at,
            ended_at,
            rows_produced: i64::try_from(rows).unwrap_or(i64::MAX),
            touched: touched.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        });
        *self.execution.ended_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended_at);
        self.execution.state.send_replace(state);
        let mut running = self.executions.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.ended.push_back(Arc::clone(&self.execution));
    }

    async fn result(&self, run: &Run, statement: Result<Statement>) -> Result<ResultSet> {
        let _turn = self.place.turn().await;
        self.execution.state.send_replace(State::Running);
        let answer = run.parsed(statement?, &self.request.parameters).await?;
        self.executions.collect(answer, self.request.row_limit, self.request.byte_limit).await
    }
}

impl Executions {
    /// Takes the rows of an answer, cut to limits and into chunks.
    async fn collect(&self, answer: Answer, row_limit: Option<u64>, byte_limit: Option<u64>) -> Result<ResultSet> {
        let row_limit = row_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let byte_limit = byte_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let mut taken = self.room.nothing();
        let (mut chunks, mut truncated): (Vec<Chunk>, bool) = (Vec::new(), false);
        let (mut rows, mut bytes) = (0, 0);
        let mut stream = answer.rows;
        while let Some(batch) = stream.next().await {
            let mut batch = batch?;
            if rows + batch.num_rows() > row_limit {
                batch = batch.slice(0, row_limit - rows);
                truncated = true;
            }
            // What the rows take, not the buffers that a slice shares with others.
            let size = batch
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
                .sum::<usize>();
            if bytes + size > byte_limit && rows > 0 {
                truncated = true;
                break;
            }
            if !self.take(&mut taken, size) {
                let most = self.room.most();
                return Err(Problem::new(
                    Code::ResourceExhausted,
                    format!("the result does not fit: it has more than {bytes} bytes, and all results together {most}"),
                )
                .reason("RESULT_SIZE_EXCEEDED")
                .sql_state("54000")
                .hint("add a LIMIT, or keep it as a table: CREATE TABLE … AS SELECT …"));
            }
            if batch.num_rows() > 0 {
                let row_offset = rows;
                (rows, bytes) = (rows + batch.num_rows(), bytes + size);
                match chunks.last_mut() {
                    Some(chunk) if chunk.rows < CHUNK_ROWS && chunk.bytes < CHUNK_BYTES => {
                        (chunk.rows, chunk.bytes) = (chunk.rows + batch.num_rows(), chunk.bytes + size);
                        chunk.batches.push(batch);
                    }
                    _ => chunks.push(Chunk { rows: batch.num_rows(), bytes: size, batches: vec![batch], row_offset }),
                }
            }
            if truncated {
                break;
            }
        }
        Ok(ResultSet { schema: answer.schema, chunks, truncated, _taken: Arc::new(taken) })
    }
}
