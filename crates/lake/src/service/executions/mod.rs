//! Statements that run beside the request that began them: their states, their results, cancelling them.
//!
//! A result is kept in memory for an hour after its statement ended, and for its owner alone. Of very many the oldest go
//! earlier; looking after them costs the same however many there are.

mod execution;
mod work;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crannog_kit::metrics::Metrics;
use crannog_kit::{Tasks, clock};
use crannog_security::actions::warehouses;
use crannog_security::{Caller, Lease, Permit};
use crannog_store::{Audit, AuditEvent, params};
use crannog_types::{Micros, PrincipalId, Problem, Result};
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

pub use self::execution::{Chunk, Execution, ResultSet, State, not_succeeded};
use self::work::Work;
use super::limits::{Limits, Places, Room, Taken};
use super::statements::held::Held;
use super::statements::{Context, Lake};
use crate::grammar::{Parameters, Statement};
use crate::model::seal;

/// Results are kept for this long, in seconds.
const KEPT_SECONDS: i64 = 3_600;
/// Statements that ended and are kept, at most; and people whose groups are remembered.
const KEPT: usize = 50_000;

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
        let held = Held::new(Lease::of(caller, permit));
        let execution = Arc::new(Execution::new(id.clone(), caller.who().id, held));
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
        let good = |execution: &Arc<Execution>| seal::same(&execution.link_proof(chunk, expires), proof);
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

fn no_statement(id: &str) -> Problem {
    Problem::not_found(format!("there is no statement {id}"))
        .hint("statements and their results are kept for an hour, for whoever ran them")
}
