//! The components, wired: what each is given, and every route of the program.

use std::sync::Arc;

use crannog_engine::DataFusionEngine;
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
use crannog_lake::service::statements::Lake;
use crannog_lake::service::statements::history::History;
use crannog_storage::{External, Storage};
use crannog_store::Db;

use super::folder::{DataFolder, hostname};
use super::openapi::{Described, OpenApi};
use crate::cli::Failure;

/// Everything that serves.
pub(super) struct Components {
    pub(super) authority: Arc<Authority>,
    pub(super) identity: Arc<Identity>,
    pub(super) governance: Governance,
    executions: Arc<Executions>,
    health: Arc<Health>,
    http: HttpConfig,
}

/// Where identity keeps what it keeps in files.
pub(super) fn identity_config(_: &Config, folder: &DataFolder) -> IdentityConfig {
    IdentityConfig { root_key_file: folder.path().join("keys").join("root.key") }
}

impl Components {
    /// Opens them over a database that was set up.
    pub(super) async fn open(config: &Config, folder: &DataFolder, db: Db, tasks: &Tasks) -> Result<Self, Failure> {
        let recorder = Recorder::start(db.clone(), tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let identity = Identity::open(db.clone(), identity_config(config, folder)).await?;
        let storage = Storage::new(folder.path(), External::Nowhere).map_err(|error| Failure::new(super::chain(&error)))?;
        let governance = Governance { db: db.clone(), storage: Arc::new(storage), authority: Arc::clone(&authority) };
        crannog_governance::service::reconcile::open_intents(&governance).await?;
        let engine: Arc<dyn crannog_lake::ports::Engine> = Arc::new(DataFusionEngine::default());
        let arbiter = Arbiter::new(Arc::clone(&engine), tasks.clone());
        let history = History::start(db.clone(), Arc::clone(&recorder), tasks);
        let lake = Lake { governance: governance.clone(), engine, arbiter, history };
        let executions = Executions::new(lake, tasks.clone());

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
            metrics: Metrics::default(),
        };
        Ok(Components { authority, identity, governance, executions, health, http })
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
