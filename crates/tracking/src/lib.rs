//! Experiment tracking: experiments, runs, metrics, parameters, tags, datasets, logged models, files; MLflow's REST.
//!
//! Rooms: `model` nouns and their rules; `sql` names and texts; `service` verbs, each of which takes a permit; `api` the doors, a
//! folder a protocol.
//!
//! **Invariants.** Runs, models and what is logged have no grants of their own: a permit on a run is one on its experiment. What was
//! logged and acknowledged is in the database, durable.

pub mod api;
pub mod model;
pub mod service;
pub mod sql;

use std::sync::Arc;

use crannog_kit::Registry;
use crannog_store::Db;

use self::service::artifacts::{Artifacts, Reading};
use self::service::{Keeper, Logger};

/// What the verbs and doors of this crate work with. Cheap to clone.
#[derive(Clone)]
pub struct Tracking {
    /// The metadata database.
    pub db: Db,
    /// What writes points.
    pub logger: Logger,
    /// Files of runs and models.
    pub artifacts: Artifacts,
    /// The audit of files that are read.
    pub reading: Arc<Reading>,
    /// What gives space back.
    pub keeper: Keeper,
}

/// Adds the routes of this crate.
pub fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    api::endpoints(registry, tracking);
}
