//! Statements that run beside the request that began them: their states, their results, cancelling them.
//!
//! A result is kept in memory for an hour after its statement ended, and for its owner alone. Of very many the oldest go
//! earlier; looking after them costs the same however many there are.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use crannog_kit::metrics::Metrics;
use crannog_kit::{Tasks, clock};
use crannog_security::actions::warehouses;
use crannog_security::{Caller, Lease, Permit};
use crannog_store::{Audit, AuditEvent, params};
use crannog_types::{Code, Micros, PrincipalId, Problem, Result};
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::limits::{Limits, Place, Places, Room, Taken};
use super::statements::answer::Answer;
use super::statements::held::Held;
use super::statements::history::Ended;
use super::statements::{Context, Lake, Run};
use crate::grammar::{Parameters, Statement};
use crate::model::seal;

/// Results are kept for this long, in seconds.
const KEPT_SECONDS: i64 = 3_600;
/// Statements that ended and are kept, at most; and people whose groups are remembered.
const KEPT: usize = 50_000;
/// A chunk of a result ends when it has this many rows or bytes.
const CHUNK_ROWS: usize = 50_000;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// What somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The statement's text.
    pub text: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// What it starts with.
    pub context: Context,
    /// At most this many rows.
    pub row_limit: Option<u64>,
    /// At most this many bytes (Arrow's).
    pub byte_limit: Option<u64>,
}

impl Request {
    /// Parses it. What is wrong with the text shows when it is begun: it is the statement that fails.
    pub fn parse(self) -> Parsed {
        let statement = crate::grammar::parse(&self.text).map_err(Problem::from);
        Parsed { request: self, statement }
    }
}

/// What somebody asks, parsed.
pub struct Parsed {
    request: Request,
    statement: Result<Statement>,
}

impl Parsed {
    /// Whether it needs room on the disk: what only reads or frees space goes on when there is none.
    pub fn writes(&self) -> bool {
        let goes_on = ["Query", "Explain", "Show", "Describe", "ShowGrants", "Use", "Set", "Reset", "Drop", "Revoke"];
        self.statement.as_ref().is_ok_and(|statement| !goes_on.contains(&statement.kind()))
    }
}

/// A part of a result.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// The first row's number in the result.
    pub row_offset: usize,
    /// How many rows it has.
    pub rows: usize,
    /// How much memory it takes.
    pub bytes: usize,
}

/// A result.
#[derive(Clone)]
pub struct ResultSet {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows; none where there are no rows.
    pub chunks: Vec<Chunk>,
    /// Whether a limit cut it.
    pub truncated: bool,
    /// The memory that it counts for.
    _taken: Arc<Taken>,
}

impl ResultSet {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }
}

/// Where a statement is.
#[derive(Clone)]
pub enum State {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// Done.
    Succeeded(Arc<ResultSet>),
    /// Not done, and why.
    Failed(Arc<Problem>),
    /// Stopped.
    Canceled,
    /// Done, and the result thrown away.
    Closed,
}

impl State {
    /// Whether nothing more happens to it.
    pub fn ended(&self) -> bool {
        !matches!(self, State::Pending | State::Running)
    }
}

/// One statement.
pub struct Execution {
    /// Its id.
    pub id: String,
    /// What links to its result are made with; see [`Execution::link_proof`].
    secret: [u8; 32],
    owner: PrincipalId,
    state: watch::Sender<State>,
    cancel: CancellationToken,
    ended_at: Mutex<Option<Micros>>,
    /// Whether its result is wanted as Arrow, and whether as links.
    handing_out: Mutex<(bool, bool)>,
    /// What it was allowed by; whoever fetches the result is held to it too.
    held: Arc<Held>,
}

impl Execution {
    /// The proof in a link to a part of the result, which needs no other: good for this part until then.
    pub fn link_proof(&self, chunk: i64, expires: i64) -> String {
        let message = format!("{}/{chunk}/{expires}", self.id);
        seal::hmac(&self.secret, message.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Asks again for everything that the statement was allowed to use.
    ///
    /// # Errors
    /// What was revoked since.
    pub async fn renew(&self) -> Result<()> {
        self.held.renew().await
    }

    /// How its result is wanted: as Arrow (else JSON), as links (else inline).
    pub fn handing_out(&self) -> (bool, bool) {
        *self.handing_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how its result is wanted.
    pub fn hand_out_as(&self, arrow: bool, links: bool) {
        *self.handing_out.lock().unwrap_or_else(PoisonError::into_inner) = (arrow, links);
    }

    /// Where it is now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    fn ended_at(&self) -> Option<Micros> {
        *self.ended_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it ended, or for this long.
    pub async fn wait(&self, at_most: Duration) -> State {
        let mut states = self.state.subscribe();
        let ended = states.wait_for(State::ended);
        match tokio::time::timeout(at_most, ended).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => self.state(),
        }
    }

    /// Stops it. What it committed before stays.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Throws its result away.
    pub fn close(&self) {
        self.cancel.cancel();
        self.state.send_if_modified(|state| {
            let done = matches!(state, State::Succeeded(_));
            if done {
                *state = State::Closed;
            }
            done
        });
    }
}

/// Figures of statements, for `/metrics` and for who waits until none is under way.
#[derive(Default)]
struct Figures {
    under_way: watch::Sender<usize>,
    finished: AtomicU64,
    failed: AtomicU64,
    canceled: AtomicU64,
    micros: AtomicU64,
}

/// One of the figures.
type Count = fn(&Figures) -> &AtomicU64;

/// A statement under way, until this is dropped.
struct UnderWay(Arc<Figures>);

impl UnderWay {
    fn of(figures: &Arc<Figures>) -> Self {
        figures.under_way.send_modify(|count| *count += 1);
        UnderWay(Arc::clone(figures))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}

/// All statements of this process.
pub struct Executions {
    lake: Lake,
    tasks: Tasks,
    running: Mutex<Kept>,
    groups: Mutex<Groups>,
    lease: Duration,
    places: Arc<Places>,
    room: Arc<Room>,
    figures: Arc<Figures>,
}

/// Names of groups by their member, of one version of everything that decisions depend on.
#[derive(Default)]
struct Groups {
    version: u64,
    names: HashMap<PrincipalId, Arc<[String]>>,
}

#[derive(Default)]
struct Kept {
    all: HashMap<String, Arc<Execution>>,
    /// Those that ended, in the order in which they did.
    ended: VecDeque<Arc<Execution>>,
}

impl Kept {
    /// Forgets what was kept for long enough, and the oldest of what is too many.
    fn sweep(&mut self, now: Micros) {
        while let Some(oldest) = self.ended.front() {
            let expired = oldest.ended_at().is_none_or(|ended| ended.plus_seconds(KEPT_SECONDS) <= now);
            if !expired && self.ended.len() <= KEPT {
                return;
            }
            self.all.remove(&oldest.id);
            self.ended.pop_front();
        }
    }
}

impl Executions {
    /// None yet.
    pub fn new(lake: Lake, tasks: Tasks, limits: Limits) -> Arc<Self> {
        let (places, room) = (Places::new(limits), Room::new(limits.result_bytes));
        Arc::new(Executions {
            lake,
            tasks,
            running: Mutex::default(),
            groups: Mutex::default(),
            lease: limits.lease,
            places,
            room,
            figures: Arc::default(),
        })
    }

    /// Shows what is counted of statements.
    pub fn show(&self, metrics: &Metrics) {
        let figures = Arc::clone(&self.figures);
        metrics.gauge("crannog_statements", "Statements under way.", move || *figures.under_way.borrow() as f64);
        let ends: [(_, Count); 3] = [
            ("crannog_statements_total{status=\"FINISHED\"}", |figures| &figures.finished),
            ("crannog_statements_total{status=\"FAILED\"}", |figures| &figures.failed),
            ("crannog_statements_total{status=\"CANCELED\"}", |figures| &figures.canceled),
        ];
        for (name, count) in ends {
            let figures = Arc::clone(&self.figures);
            metrics.counted(name, "Statements that ended, by how.", move || {
                count(&figures).load(Ordering::Relaxed) as f64
            });
        }
        let figures = Arc::clone(&self.figures);
        metrics.counted("crannog_statement_seconds_total", "Time that statements took, in seconds.", move || {
            figures.micros.load(Ordering::Relaxed) as f64 / 1e6
        });
    }

    /// Resolves when no statement is under way.
    pub async fn none_under_way(&self) {
        let mut under_way = self.figures.under_way.subscribe();
        // The sender lives as long as this does.
        let _ = under_way.wait_for(|count| *count == 0).await;
    }

    /// The lake that statements run in.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Begins a statement on a warehouse; it waits for its turn.
    ///
    /// # Errors
    /// `ResourceExhausted` when the caller has as many statements as one person may have.
    pub async fn begin(
        self: &Arc<Self>,
        permit: &Permit<warehouses::Use>,
        caller: &Caller,
        parsed: Parsed,
    ) -> Result<Arc<Execution>> {
        let place = self.places.line_up(caller.who().id)?;
        let groups = self.groups(permit, caller).await?;
        let id = Uuid::now_v7().to_string();
        let execution = Arc::new(Execution {
            id: id.clone(),
            secret: secret(),
            owner: caller.who().id,
            state: watch::Sender::new(State::Pending),
            cancel: CancellationToken::new(),
            ended_at: Mutex::new(None),
            handing_out: Mutex::default(),
            held: Held::new(Lease::of(caller, permit)),
        });
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.sweep(clock::now());
            running.all.insert(id.clone(), Arc::clone(&execution));
        }
        let work = Work {
            executions: Arc::clone(self),
            place,
            caller: caller.in_statement(&id),
            warehouse: permit.target().name.last().to_owned(),
            groups: groups.to_vec(),
            request: parsed.request,
            execution: Arc::clone(&execution),
            stop: self.tasks.stopping(),
            under_way: UnderWay::of(&self.figures),
        };
        // Lines of the statement name the request that began it.
        self.tasks.spawn_job("statement", work.run(parsed.statement).in_current_span());
        Ok(execution)
    }

    /// A statement of the caller's own.
    ///
    /// # Errors
    /// Not found when there is none, or it is somebody else's.
    pub fn get(&self, id: &str, caller: &Caller) -> Result<Arc<Execution>> {
        self.find(id).filter(|execution| execution.owner == caller.who().id).ok_or_else(|| no_statement(id))
    }

    /// Stops a statement of the caller's own.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn cancel(&self, id: &str, caller: &Caller) -> Result<()> {
        self.get(id, caller)?.cancel();
        self.record("cancelQueryExecution", id, caller);
        Ok(())
    }

    /// Stops a statement of the caller's own and throws its result away.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn close(&self, id: &str, caller: &Caller) -> Result<()> {
        self.get(id, caller)?.close();
        self.record("closeQueryExecution", id, caller);
        Ok(())
    }

    /// The audit row of a request that ended something; the history has how the statement itself ended.
    fn record(&self, action: &'static str, id: &str, caller: &Caller) {
        let governance = &self.lake.governance;
        governance.authority.recorder().event(AuditEvent {
            at: governance.db.now(),
            who: Some(caller.who().clone()),
            origin: Some(Arc::clone(caller.origin())),
            what: Audit::of("databrickssql", action).with("queryExecutionId", id),
            status: 200,
            error: None,
        });
    }

    /// A statement by a link to a part of its result.
    pub fn by_link(&self, id: &str, chunk: i64, expires: i64, proof: &str) -> Result<Arc<Execution>> {
        let good = |execution: &Arc<Execution>| execution.link_proof(chunk, expires) == proof;
        self.find(id).filter(good).ok_or_else(|| no_statement(id))
    }

    fn find(&self, id: &str) -> Option<Arc<Execution>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).all.get(id).cloned()
    }

    /// The names of the caller's groups. A change of them moves the version, as every change of names and members does.
    async fn groups(&self, permit: &Permit<warehouses::Use>, caller: &Caller) -> Result<Arc<[String]>> {
        let (db, member) = (&self.lake.governance.db, caller.who().id);
        let version = db.version().await?;
        {
            let known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(groups) = known.names.get(&member).filter(|_| known.version == version) {
                return Ok(Arc::clone(groups));
            }
        }
        let groups: Arc<[String]> = db
            .read(permit)
            .rows(
                "SELECT p.name FROM closure c JOIN principal p ON p.id = c.principal WHERE c.member = $1 AND p.kind = 'group'",
                params![member],
            )
            .await?
            .iter()
            .map(|row| row.text(0))
            .collect::<std::result::Result<_, _>>()?;
        let mut known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version < version || known.names.len() >= KEPT {
            *known = Groups { version, names: HashMap::new() };
        }
        if known.version == version {
            known.names.insert(member, Arc::clone(&groups));
        }
        Ok(groups)
    }

    /// Takes memory for a result; the oldest results go for it.
    fn take(&self, taken: &mut Taken, bytes: usize) -> bool {
        if taken.grow(bytes) {
            return true;
        }
        let mut kept: Vec<(Option<Micros>, Arc<Execution>)> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let succeeded = running.all.values().filter(|one| matches!(&*one.state.borrow(), State::Succeeded(_)));
            succeeded.map(|execution| (execution.ended_at(), Arc::clone(execution))).collect()
        };
        kept.sort_by_key(|(ended_at, _)| *ended_at);
        kept.into_iter().any(|(_, execution)| {
            execution.close();
            taken.grow(bytes)
        })
    }
}

fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    secret[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    secret
}

fn no_statement(id: &str) -> Problem {
    Problem::not_found(format!("there is no statement {id}"))
        .hint("statements and their results are kept for an hour, for whoever ran them")
}

/// What the task of a statement holds.
struct Work {
    executions: Arc<Executions>,
    place: Place,
    caller: Caller,
    warehouse: String,
    groups: Vec<String>,
    request: Request,
    execution: Arc<Execution>,
    stop: CancellationToken,
    under_way: UnderWay,
}

impl Work {
    async fn run(self, statement: Result<Statement>) {
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

/// Why no result can be given in a state.
pub fn not_succeeded(state: &State) -> Problem {
    let what = match state {
        State::Pending | State::Running => "the statement has not ended",
        State::Failed(_) => "the statement failed",
        State::Canceled => "the statement was cancelled",
        State::Closed | State::Succeeded(_) => "the statement was closed",
    };
    Problem::new(Code::NotFound, format!("{what}, so it has no result"))
}
