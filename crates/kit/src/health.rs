//! Whether the server lives, and whether it is ready.
//!
//! `/livez` proves progress, not presence: each probe goes through the thing it speaks for (the database's writer, the
//! writer of the audit, the arbiter of commits) and fails when that takes longer than [`PATIENCE`]; restarting may help.
//! `/readyz` says whether requests can be served, and gives each cause its own code and next step; restarting does not
//! help, and the server recovers by itself. Both are public: they name no object, no person and no path.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use crannog_security::{Public, System, Task};
use crannog_store::{Db, params};
use crannog_types::{Problem, Result};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::disk::Disk;
use crate::endpoint::{Authenticate, Cx, Endpoint, Nothing};
use crate::fixture::Fixture;
use crate::http::credentials;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::reply::{Reply, ReplyBody};
use crate::route::{Answer, Dialect, Method, Route};
use crate::tasks::Tasks;

/// A probe that takes longer than this has failed. With [`FRESH`] it keeps a failure from being told later than 10 s.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever asks within this time of somebody else gets the same answer: the routes are public, the probes write.
const FRESH: Duration = Duration::from_secs(1);

/// What a failed probe means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matters {
    /// Something is stuck: the process may as well be started anew.
    Live,
    /// Requests cannot be served as they should.
    Ready,
}

/// A failure that a probe found: code, facts, next step.
#[derive(Clone, Debug)]
pub struct Failure {
    /// For programs: `DATABASE_READ_ONLY`.
    pub code: &'static str,
    /// What is wrong, in one lowercase clause, without names or paths.
    pub message: String,
    /// What to do.
    pub next_step: &'static str,
}

type Probing = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

struct Probe {
    name: &'static str,
    matters: Matters,
    run: Box<dyn Fn() -> Probing + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Fine,
    Warning,
    Failing,
}

#[derive(Clone, Debug)]
struct Check {
    name: &'static str,
    state: State,
    code: &'static str,
    message: String,
    next_step: &'static str,
}

/// The last answer, and when it was found.
type Last = Option<(Instant, Vec<Check>)>;

/// Everything that is probed.
pub struct Health {
    disk: Disk,
    probes: Mutex<Vec<Arc<Probe>>>,
    live: tokio::sync::Mutex<Last>,
    ready: tokio::sync::Mutex<Last>,
    patience: Duration,
}

impl Health {
    /// With the disk only.
    pub fn new(disk: Disk) -> Arc<Self> {
        Health::with_patience(disk, PATIENCE)
    }

    fn with_patience(disk: Disk, patience: Duration) -> Arc<Self> {
        let (live, ready) = Default::default();
        Arc::new(Health { disk, probes: Mutex::default(), live, ready, patience })
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Adds a probe. It must go through what it speaks for and come back; [`PATIENCE`] is its time.
    pub fn probe<F>(&self, name: &'static str, matters: Matters, run: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let probe = Probe { name, matters, run: Box::new(move || Box::pin(run())) };
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(probe));
    }

    /// For a background task that comes by at least every `every`: when it has not for [`PATIENCE`] longer, it is stuck.
    pub fn pulse(&self, name: &'static str, every: Duration) -> Pulse {
        let pulse = Pulse(Arc::new(Mutex::new(Instant::now())));
        let (watched, patience) = (pulse.clone(), self.patience);
        self.probe(name, Matters::Live, move || {
            let silent = watched.last().elapsed();
            std::future::ready(if silent <= every + patience {
                Ok(())
            } else {
                Err(Failure {
                    code: "TASK_STUCK",
                    message: format!("this background task has not come by for {} s", silent.as_secs()),
                    next_step: "look for the task's name in the log; starting the server again ends it",
                })
            })
        });
        pulse
    }

    /// The tasks that run as long as the server does: whether they still do.
    pub fn watch_tasks(&self, tasks: &Tasks) {
        let tasks = tasks.clone();
        self.probe("background tasks", Matters::Live, move || {
            let gone = tasks.gone();
            std::future::ready(if gone.is_empty() {
                Ok(())
            } else {
                Err(Failure {
                    code: "TASK_ENDED",
                    message: format!("background tasks that ended by a fault: {}", gone.join(", ")),
                    next_step: "look for the task's name in the log; starting the server again starts it again",
                })
            })
        });
    }

    /// Work that is done in [`crate::Steps`]: whether one of them hangs. `step` is what one is, for the message.
    pub fn watch_steps(
        &self,
        name: &'static str,
        step: &'static str,
        stuck: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.probe(name, Matters::Live, move || {
            std::future::ready(if stuck() {
                Err(Failure {
                    code: "STUCK",
                    message: format!("{step} has been under way for too long"),
                    next_step: "look for the cause in the log; starting the server again may help",
                })
            } else {
                Ok(())
            })
        });
    }

    /// The database: that its writer makes progress, and that it takes changes.
    pub fn watch_database(&self, db: &Db) {
        let writer = db.clone();
        self.probe("database writer", Matters::Live, move || {
            let db = writer.clone();
            async move {
                db.progress(&system()).await;
                Ok(())
            }
        });
        let db = db.clone();
        self.probe("database", Matters::Ready, move || {
            let db = db.clone();
            async move { try_write(&db).await.map_err(|error| database_failure(&Problem::from(error))) }
        });
    }

    async fn report(&self, matters: Matters) -> Vec<Check> {
        let slot = match matters {
            Matters::Live => &self.live,
            Matters::Ready => &self.ready,
        };
        let mut last = slot.lock().await;
        if let Some((at, checks)) = &*last
            && at.elapsed() < FRESH
        {
            return checks.clone();
        }
        let probes: Vec<Arc<Probe>> = self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ours = probes.iter().filter(|probe| probe.matters == matters);
        let mut checks = join_all(ours.map(|probe| check(probe, self.patience))).await;
        if matters == Matters::Ready {
            checks.push(check_disk(&self.disk));
        }
        *last = Some((Instant::now(), checks.clone()));
        checks
    }
}

async fn check(probe: &Probe, patience: Duration) -> Check {
    let fine = Check { name: probe.name, state: State::Fine, code: "", message: String::new(), next_step: "" };
    // By itself: a probe whose thread hangs with it must not hang whoever waits for it.
    let mut probing = JoinSet::new();
    probing.spawn((probe.run)());
    match tokio::time::timeout(patience, probing.join_next()).await {
        Ok(Some(Ok(Ok(())))) => fine,
        Ok(Some(Ok(Err(failure)))) => {
            let Failure { code, message, next_step } = failure;
            Check { state: State::Failing, code, message, next_step, ..fine }
        }
        // A probe that panicked gave no answer either; the panic is in the log.
        Err(_) | Ok(None | Some(Err(_))) => Check {
            state: State::Failing,
            code: "STUCK",
            message: format!("no answer within {} s", patience.as_secs()),
            next_step: "look for the cause in the log; starting the server again may help",
            ..fine
        },
    }
}

fn check_disk(disk: &Disk) -> Check {
    let free = disk.free();
    let mut check = Check { name: "disk", state: State::Fine, code: "", message: String::new(), next_step: "" };
    if free < disk.limits().warn_below {
        let full = disk.writable().is_err();
        check.state = if full { State::Failing } else { State::Warning };
        check.code = if full { "DISK_FULL" } else { "DISK_LOW" };
        check.message = format!("{} MiB are free on the data folder's disk", free >> 20);
        check.next_step = "make room on it, or move the data folder to a larger disk";
    }
    check
}

async fn try_write(db: &Db) -> Result<(), crannog_store::StoreError> {
    let mut tx = db.write_unaudited(&system()).await?;
    let now = tx.now().0.to_string();
    tx.run(
        "INSERT INTO setting (name, value) VALUES ('probed_at', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![now],
    )
    .await?;
    tx.commit().await
}

fn database_failure(problem: &Problem) -> Failure {
    tracing::error!(cause = problem.chain(), "the metadata database does not take changes");
    let chain = problem.chain().to_lowercase();
    let (code, message, next_step) = if chain.contains("readonly") || chain.contains("read-only") {
        (
            "DATABASE_READ_ONLY",
            "the metadata database cannot be written",
            "give the server's user the right to write the data folder, or connect to a primary",
        )
    } else if chain.contains("disk is full") || chain.contains("no space") {
        ("DATABASE_FULL", "the metadata database has no room", "make room on the database's disk")
    } else if chain.contains("disk i/o error") {
        (
            "DATABASE_IO_ERROR",
            "the metadata database's file cannot be read or written",
            "look in the system's log for a fault of the disk, and whether it is mounted for writing",
        )
    } else {
        (
            "DATABASE_DOWN",
            "the metadata database does not answer as it should",
            "look for the cause in the server's log; a database server must be running and reachable",
        )
    };
    Failure { code, message: message.to_owned(), next_step }
}

#[expect(clippy::disallowed_methods, reason = "probing the database is done for nobody")]
fn system() -> System {
    System::task(Task::Probe)
}

/// How a background task shows that it goes on.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    /// Still going.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(checks: &[Check]) -> Reply {
    let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Fine);
    let word = |state: State| match state {
        State::Fine => "ok",
        State::Warning => "warning",
        State::Failing => "failing",
    };
    let listed: Vec<Value> = checks
        .iter()
        .map(|check| match check.state {
            State::Fine => json!({ "name": check.name, "status": "ok" }),
            state => json!({
                "name": check.name,
                "status": word(state),
                "code": check.code,
                "message": check.message,
                "next_step": check.next_step,
            }),
        })
        .collect();
    let status = if worst == State::Failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Reply::new(status, ReplyBody::Json(json!({ "status": word(worst), "checks": listed })))
        .header("cache-control", "no-store")
}

macro_rules! health_route {
    ($name:ident, $path:literal, $matters:ident, $about:literal) => {
        #[doc = $about]
        pub struct $name(pub Arc<Health>);

        impl Endpoint for $name {
            type Asks = Public;
            type In = Nothing;
            type Out = Reply;
            const ROUTE: Route = Route::new(Method::Get, $path, Dialect::Databricks, $about).answers(&[
                Answer::of(200, "application/json", "all is well, or well enough"),
                Answer::of(503, "application/json", "something that matters is failing; the body says what"),
            ]);

            fn asks(&self, _: &Nothing) -> Result<()> {
                Ok(())
            }

            async fn run(&self, _: &Cx, (): (), _: Nothing) -> Result<Reply> {
                Ok(answer(&self.0.report(Matters::$matters).await))
            }

            fn example(_: &Fixture) -> Value {
                json!({})
            }
        }
    };
}

health_route!(Livez, "/livez", Live, "Whether the server makes progress; 503 when something is stuck.");
health_route!(Readyz, "/readyz", Ready, "Whether requests can be served; 503 with the cause when not.");

/// `/metrics`: open to this machine, for others with any valid token.
pub struct MetricsPage {
    /// What is shown.
    pub metrics: Metrics,
    /// Who checks tokens.
    pub authenticate: Arc<dyn Authenticate>,
}

impl Endpoint for MetricsPage {
    type Asks = Public;
    type In = Nothing;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/metrics",
        Dialect::Databricks,
        "Figures in Prometheus' format; from another machine with a token.",
    )
    .answers(&[
        Answer::of(200, "text/plain", "the figures"),
        Answer::of(401, "application/json", "asked from another machine without a token"),
    ]);

    fn asks(&self, _: &Nothing) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), _: Nothing) -> Result<Reply> {
        let source = cx.origin().source_ip.as_deref();
        let here = source.and_then(|ip| ip.parse::<std::net::IpAddr>().ok()).is_some_and(|ip| ip.is_loopback());
        // A proxy on this machine that is not among the trusted ones speaks for somebody else.
        if !here || cx.header("x-forwarded-for").is_some() || cx.header("forwarded").is_some() {
            self.authenticate.authenticate(&credentials(&cx.headers)?, source).await?;
        }
        let text = self.metrics.text();
        Ok(Reply::new(StatusCode::OK, ReplyBody::Bytes(text.into()))
            .header("content-type", "text/plain; version=0.0.4; charset=utf-8"))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

/// Adds the three routes.
pub fn endpoints(
    registry: &mut Registry,
    health: &Arc<Health>,
    metrics: &Metrics,
    authenticate: Arc<dyn Authenticate>,
) {
    registry.add(Livez(Arc::clone(health)));
    registry.add(Readyz(Arc::clone(health)));
    registry.add(MetricsPage { metrics: metrics.clone(), authenticate });
    let disk = health.disk().clone();
    metrics.gauge("crannog_disk_free_bytes", "Bytes free on the data folder's disk.", move || disk.free() as f64);
}

#[cfg(test)]
mod tests;
