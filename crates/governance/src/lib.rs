//! Unity Catalog: catalogs, schemas, tables, volumes, grants, credentials, files of volumes.
//!
//! Rooms: `model` nouns and their rules; `sql` texts and row mapping; `service` verbs, each of which takes a permit; `api`
//! the doors, a folder a protocol. Data lives elsewhere: a table's rows and schema in its Delta log (`lake`).
//!
//! **Invariants.** No two securables' locations overlap. A managed object's files are deleted with it, and nothing else's.

pub mod api;
pub mod model;
pub mod service;
mod sql;

use std::sync::Arc;

use crannog_kit::{Authority, Registry};
use crannog_storage::Storage;
use crannog_store::Db;

/// What the verbs and doors of this crate work with. Cheap to clone.
#[derive(Clone)]
pub struct Governance {
    /// The metadata database.
    pub db: Db,
    /// The door to files.
    pub storage: Arc<Storage>,
    /// Who may do what.
    pub authority: Arc<Authority>,
}

/// Adds the routes of this crate: Unity Catalog's REST, the Files API, `explain`.
pub fn endpoints(registry: &mut Registry, governance: &Governance) {
    api::endpoints(registry, governance);
}
