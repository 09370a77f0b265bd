//! The components, wired: what each is given, and every route of the program.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crannog_engine::{LakeEngine, Limits, QueryLimits};
use crannog_governance::Governance;
use crannog_identity::{Identity, IdentityConfig};
use crannog_kit::config::Config;
use crannog_kit::endpoint::Authenticate;
use crannog_kit::health::{self, Disk, Failure as Unhealthy, Health, Matters};
use crannog_kit::http::{HttpConfig, Server};
use crannog_kit::metrics::Metrics;
use crannog_kit::{Authority, Recorder, Registry, Tasks};
use crannog_lake::service::arbiter::Arbiter;
use crannog_lake::service::executions::Executions;
use crannog_lake::service::follow::Follower;
use crannog_lake::service::limits as statements;
use crannog_lake::service::statements::Lake;
use crannog_lake::service::statements::history::History;
use crannog_storage::{External, Location, Storage};
use crannog_store::Db;

use super::folder::{DataFolder, hostname};
use super::openapi::{Described, OpenApi};
use super::root_key::{self, Notice};
use crate::cli::Failure;

/// A commit that takes longer than this hangs: it writes one small file, or one Parquet file of at most 100,000 rows.
const STUCK: Duration = Duration::from_secs(8);

/// Everything that serves.
pub(super) struct Components {
    pub(super) authority: Arc<Authority>,
    pub(super) identity: Arc<Identity>,
    pub(super) governance: Governance,
    /// What is to be said about the root key at every start.
    pub(super) root_key: Option<Notice>,
    executions: Arc<Executions>,
    health: Arc<Health>,
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
        ..QueryLimits::default()
    };
    Ok(LakeEngine::new(&queries, Limits::default())?)
}

/// What is counted besides requests.
fn figures(authority: &Arc<Authority>) -> Metrics {
    let metrics = Metrics::default();
    let (hits, misses) = (Arc::clone(authority), Arc::clone(authority));
    metrics.counted("crannog_decision_cache_hits_total", "Decisions from rows in memory.", move || {
        hits.cache_figures().0 as f64
    });
    metrics.counted("crannog_decision_cache_misses_total", "Decisions for which rows were read.", move || {
        misses.cache_figures().1 as f64
    });
    metrics
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
        let engine: Arc<dyn crannog_lake::ports::Engine> = Arc::new(engine(config, folder)?);
        let arbiter = Arbiter::new(Arc::clone(&engine), tasks.clone());
        let history = History::start(db.clone(), Arc::clone(&recorder), tasks);
        let (commits, remembered) = (Arc::clone(&arbiter), Arc::clone(&history));
        let follower = Follower::start(governance.clone(), Arc::clone(&arbiter), tasks).await?;
        let lake = Lake { governance: governance.clone(), engine, arbiter, history, follower };
        let limits = statements::Limits {
            running: config.statements_running,
            per_person: config.statements_per_person,
            result_bytes: usize::try_from(config.result_memory).unwrap_or(usize::MAX),
            ..statements::Limits::default()
        };
        let executions = Executions::new(lake, tasks.clone(), limits);

        let disk = Disk::of(folder.path(), config.disk);
        let health = Health::new(disk.clone());
        health.watch_database(&db);
        let audit = Arc::clone(&recorder);
        health.probe("audit writer", Matters::Live, move || {
            let audit = Arc::clone(&audit);
            async move {
                audit.flush().await;
                Ok::<(), Unhealthy>(())
            }
        });
        health.probe("query history", Matters::Live, move || {
            let history = Arc::clone(&remembered);
            async move {
                history.flush().await;
                Ok::<(), Unhealthy>(())
            }
        });
        health.probe("arbiter", Matters::Live, move || {
            let hangs = commits.stuck(STUCK);
            async move {
                match hangs {
                    None => Ok(()),
                    Some(_) => Err(Unhealthy {
                        code: "COMMIT_STUCK",
                        message: format!("a commit to a table has been under way for more than {} s", STUCK.as_secs()),
                        next_step: "look whether the disk of the table answers; the log names the table",
                    }),
                }
            }
        });
        let pulse = health.pulse("disk watcher", std::time::Duration::from_secs(1));
        tasks.spawn("disk watcher", disk.clone().watch(pulse, tasks.stopping()));

        let mut allowed_hosts = config.allowed_hosts.clone();
        allowed_hosts.extend(hostname().map(|name| name.to_lowercase()));
        let http = HttpConfig {
            allowed_hosts,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            workspace_id: identity.ground().workspace_id.clone(),
            https_only: config.listen.is_none(),
            disk: Some(disk),
            metrics: figures(&authority),
            lease: crannog_kit::lease::RENEWED_WITHIN,
        };
        Ok(Components { authority, identity, governance, root_key: root_key.notice, executions, health, http })
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
