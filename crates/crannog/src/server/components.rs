//! The components, wired: what each is given, and every route of the program.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crannog_engine::{LakeEngine, Limits as EngineLimits, QueryLimits};
use crannog_governance::Governance;
use crannog_identity::{Identity, IdentityConfig};
use crannog_kit::config::Config;
use crannog_kit::connections::{Connections, Limits};
use crannog_kit::health::{self, Failure as Unhealthy, Health, Matters};
use crannog_kit::http::{HttpConfig, Server};
use crannog_kit::metrics::Metrics;
use crannog_kit::{Authenticate, Authority, Disk, Recorder, Registry, Tasks};
use crannog_lake::ports::SystemTables;
use crannog_lake::service::arbiter::Arbiter;
use crannog_lake::service::executions::Executions;
use crannog_lake::service::follow::Follower;
use crannog_lake::service::limits as statements;
use crannog_lake::service::statements::Lake;
use crannog_lake::service::statements::history::History;
use crannog_storage::{External, Location, Storage, StorageError};
use crannog_store::Db;
use crannog_tracking::Tracking;
use crannog_tracking::service::artifacts::{Artifacts, Reading};
use crannog_tracking::service::tables::Tables;
use crannog_tracking::service::{Keeper, Logger};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

use super::folder::{DataFolder, hostname};
use super::openapi::{Described, OpenApi};
use super::root_key::{self, Notice};
use crate::cli::Failure;

/// A commit that takes longer than this hangs: it writes one small file, or one Parquet file of at most 100,000 rows.
const STUCK: Duration = Duration::from_secs(8);

/// A step of background work that takes longer than this hangs: a batch of rows, a few rows read or changed. A database that
/// is away is given up sooner.
const HANGS: Duration = Duration::from_secs(7);

/// The same for the purge of what was deleted, whose steps wait for the changes of others.
const PURGE_HANGS: Duration = Duration::from_secs(60);

/// What a step of the writers of batches is.
const ROWS: &str = "a batch of rows on its way to the database";

/// Everything that serves.
pub(super) struct Components {
    pub(super) authority: Arc<Authority>,
    pub(super) identity: Arc<Identity>,
    pub(super) governance: Governance,
    /// What is to be said about the root key at every start.
    pub(super) root_key: Option<Notice>,
    pub(super) executions: Arc<Executions>,
    tracking: Tracking,
    pub(super) health: Arc<Health>,
    pub(super) connections: Connections,
    http: HttpConfig,
}

/// Which folders external tables and volumes may lie in.
fn external(config: &Config) -> Result<External, Failure> {
    let named = |folder: &PathBuf| {
        let unusable = |why: String| Failure::new(format!("the external location {} {why}", folder.display()));
        let real = std::fs::canonicalize(folder).map_err(|error| unusable(format!("cannot be used: {error}")))?;
        Location::of_path(&real).map_err(|error| unusable(format!("cannot be used: {}", super::chain(&error))))
    };
    let locations = config.external_locations.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(if locations.is_empty() { External::Nowhere } else { External::Under(locations) })
}

/// The engine, with its folder for what does not fit into memory: emptied at every start, as nobody reads it again.
fn engine(config: &Config, folder: &DataFolder) -> Result<LakeEngine, Failure> {
    let spill = folder.path().join("spill");
    let unusable = |error: std::io::Error| Failure::new(format!("{} cannot be used: {error}", spill.display()));
    match std::fs::remove_dir_all(&spill) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => std::fs::create_dir(&spill).map_err(unusable)?,
    }
    let queries = QueryLimits {
        memory: usize::try_from(config.query_memory).unwrap_or(usize::MAX),
        partitions: std::thread::available_parallelism().map_or(2, usize::from),
        spill_folder: Some(spill),
        take_priority: Some(take_priority),
        ..QueryLimits::default()
    };
    Ok(LakeEngine::new(&queries, EngineLimits::default())?)
}

/// A tenth of the processors that others get, where there are not enough for all.
fn take_priority(thread: i32) {
    // A thread keeps what it has where this is not allowed: queries are as right, but beside each other.
    let _ = setpriority_process(Pid::from_raw(thread), 10);
}

/// What connections may take. Half of the files that this process may have open are for them, the rest for data; so it
/// takes as many as the system lets it have, where many systems begin with 1,024.
fn connection_limits(config: &Config) -> Limits {
    let was = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: was.maximum, maximum: was.maximum });
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let usual = Limits::default();
    Limits { per_address: config.connections_per_address, all: usual.all.min(files / 2).max(64), ..usual }
}

/// What is counted besides requests.
fn figures(authority: &Arc<Authority>, db: &Db) -> Metrics {
    let metrics = Metrics::default();
    let (hits, misses) = (Arc::clone(authority), Arc::clone(authority));
    metrics.counted("crannog_decision_cache_hits_total", "Decisions from rows in memory.", move || {
        hits.cache_figures().0 as f64
    });
    metrics.counted("crannog_decision_cache_misses_total", "Decisions for which rows were read.", move || {
        misses.cache_figures().1 as f64
    });
    let (open, idle) = (db.clone(), db.clone());
    metrics.gauge("crannog_database_connections", "Connections to the metadata database.", move || {
        f64::from(open.connections().0)
    });
    metrics.gauge("crannog_database_connections_idle", "Those of them that wait for work.", move || {
        idle.connections().1 as f64
    });
    metrics
}

/// What `/readyz` says when no file can be made. It names no path.
fn files_failure(error: StorageError) -> Unhealthy {
    tracing::error!(error = super::chain(&error), "no file can be made where tables and volumes lie");
    let (code, message, next_step) = match error {
        StorageError::Full(_) => ("STORAGE_FULL", "the disk of tables and volumes has no room", "make room on it"),
        StorageError::ReadOnlyDisk(_) => (
            "STORAGE_READ_ONLY",
            "the disk of tables and volumes is read-only",
            "look in the system's log for a fault of the disk, and mount it for writing",
        ),
        _ => (
            "STORAGE_DOWN",
            "no file can be made where tables and volumes lie",
            "look for the cause in the server's log; the disk must answer, and the server's user may write there",
        ),
    };
    Unhealthy { code, message: message.to_owned(), next_step }
}

impl Components {
    /// Opens them over a database that was set up.
    pub(super) async fn open(config: &Config, folder: &DataFolder, db: Db, tasks: &Tasks) -> Result<Self, Failure> {
        let recorder = Recorder::start(db.clone(), tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let root_key = root_key::place(config.root_key_file.as_deref(), folder, true)?;
        let identity = Identity::open(db.clone(), IdentityConfig { root_key_file: root_key.file }).await?;
        let storage =
            Storage::new(folder.path(), external(config)?).map_err(|error| Failure::new(super::chain(&error)))?;
        let governance = Governance { db: db.clone(), storage: Arc::new(storage), authority: Arc::clone(&authority) };
        crannog_governance::service::reconcile::open_intents(&governance).await?;
        crannog_lake::service::begun::take_back_all(&governance).await?;
        let engine: Arc<dyn crannog_lake::ports::Engine> = Arc::new(engine(config, folder)?);
        let arbiter = Arbiter::new(Arc::clone(&engine), tasks.clone());
        let history = History::start(db.clone(), Arc::clone(&recorder), tasks);
        let (commits, remembered) = (Arc::clone(&arbiter), Arc::clone(&history));
        let follower = Follower::start(governance.clone(), Arc::clone(&arbiter), tasks).await?;
        let follows = Arc::clone(&follower);
        let system_tables: Vec<Arc<dyn SystemTables>> = vec![Arc::new(Tables::new(db.clone()))];
        let lake = Lake { governance: governance.clone(), engine, arbiter, history, follower, system_tables };
        let limits = statements::Limits {
            running: config.statements_running,
            per_person: config.statements_per_person,
            result_bytes: usize::try_from(config.result_memory).unwrap_or(usize::MAX),
            ..statements::Limits::default()
        };
        let executions = Executions::new(lake, tasks.clone(), limits);
        let files = Arc::clone(&governance.storage);
        let metrics = figures(&authority, &db);
        executions.show(&metrics);

        let ground = identity.ground();
        crannog_tracking::service::experiments::bootstrap(&db, ground.admins, ground.account_users).await?;
        let artifacts = Artifacts::new(db.clone(), Arc::clone(&governance.storage));
        let keeper = Keeper::new(db.clone(), artifacts.clone(), config.keep_deleted).start(tasks);
        let swept = artifacts.clone();
        tasks.spawn_job("sweep of uploads", async move {
            if let Err(problem) = swept.sweep().await {
                tracing::warn!(cause = problem.chain(), "what broken uploads left could not be deleted");
            }
        });
        let logger = Logger::start(db.clone(), tasks);
        let reading = Arc::new(Reading::new(db.clone(), Arc::clone(&recorder)));
        let tracking = Tracking { logger, db: db.clone(), artifacts, reading, keeper: keeper.clone() };

        let disk = Disk::of(folder.path(), config.disk);
        let health = Health::new(disk.clone());
        health.watch_database(&db);
        health.probe("files", Matters::Ready, move || {
            let files = Arc::clone(&files);
            async move { files.rehearse().await.map_err(files_failure) }
        });
        let audit = Arc::clone(&recorder);
        health.watch_steps("audit writer", ROWS, move || audit.stuck(HANGS));
        health.watch_steps("query history", ROWS, move || remembered.stuck(HANGS));
        let logger = tracking.logger.clone();
        health
            .watch_steps("metrics writer", "a group of points on its way to the database", move || logger.stuck(HANGS));
        health.watch_steps("catalog follower", "a step in following a table's log", move || follows.stuck(HANGS));
        health.watch_steps("purge of deleted runs", "a step in deleting what was deleted long ago", move || {
            keeper.stuck(PURGE_HANGS)
        });
        health.probe("arbiter", Matters::Live, move || {
            let hangs = commits.stuck(STUCK);
            async move {
                match hangs {
                    None => Ok(()),
                    Some(location) => {
                        tracing::error!(%location, "a commit to a table hangs");
                        Err(Unhealthy {
                            code: "COMMIT_STUCK",
                            message: format!(
                                "a commit to a table has been under way for more than {} s",
                                STUCK.as_secs()
                            ),
                            next_step: "look whether the disk of the table answers; the log names the table",
                        })
                    }
                }
            }
        });
        health.watch_tasks(tasks);
        let pulse = health.pulse("disk watcher", Duration::from_secs(1));
        tasks.spawn("disk watcher", disk.clone().watch(pulse, tasks.stopping()));

        let limits = connection_limits(config);
        let connections = Connections::new(limits, config.trusted_proxies.clone(), &metrics);
        let mut allowed_hosts = config.allowed_hosts.clone();
        allowed_hosts.extend(hostname().map(|name| name.to_lowercase()));
        let http = HttpConfig {
            allowed_hosts,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            workspace_id: identity.ground().workspace_id.clone(),
            https_only: config.listen.is_none(),
            disk: Some(disk),
            metrics,
            limits,
            lease: crannog_kit::lease::RENEWED_WITHIN,
        };
        let root_key = root_key.notice;
        Ok(Components { authority, identity, governance, root_key, executions, tracking, health, connections, http })
    }

    /// Every route, in one registry.
    fn registry(&self, described: &Arc<Described>) -> Registry {
        let mut registry = Registry::new();
        let authenticate: Arc<dyn Authenticate> = Arc::clone(&self.identity) as Arc<dyn Authenticate>;
        health::endpoints(&mut registry, &self.health, &self.http.metrics, authenticate);
        registry.add(OpenApi(Arc::clone(described)));
        crannog_identity::endpoints(&mut registry, &self.identity);
        crannog_governance::endpoints(&mut registry, &self.governance);
        crannog_lake::api::endpoints(&mut registry, &self.executions);
        crannog_tracking::endpoints(&mut registry, &self.tracking);
        registry
    }

    /// The routes as a service.
    pub(super) fn router(&self) -> crannog_kit::Router {
        let described = Arc::new(Described::default());
        let authenticate = Arc::clone(&self.identity) as Arc<dyn Authenticate>;
        let server = Server::new(self.http.clone(), Arc::clone(&self.authority), authenticate);
        server.router(described.set(self.registry(&described)))
    }
}
