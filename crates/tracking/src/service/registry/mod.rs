//! The registry of models: one set of model objects behind all doors (`docs/adr/0008-one-registry.md`).
//!
//! A model is a securable of `governance`, and what it has besides (tags, aliases, versions) is here. Permits are on the model:
//! its versions have no grants of their own. A number is given to one version for good; a version's files may be written
//! until it is ready, and never after.

pub mod aliases;
pub mod files;
pub mod models;
pub mod search;
pub mod versions;

use crannog_security::Kind;
use crannog_store::Audit;
use crannog_types::{FullName, Problem, fold};

use crate::model::registry::{full_name, plain_name};

/// How a model is found by the name that MLflow's plain registry knows it by.
pub static BY_NAME: crannog_security::Finder = crannog_security::Finder {
    kind: Kind::Model,
    sql: "SELECT id FROM securable WHERE kind = 'registered_model' AND path = $1",
    key: |name| fold(&full_name(name).to_string()),
    missing: "Registered Model with name={} not found",
};

pub(crate) fn audit(action: &'static str, model: &FullName) -> Audit {
    Audit::of("unityCatalog", action).with("full_name_arg", model.to_string())
}

/// The answer about a version that is not there.
pub fn no_version(model: &FullName, number: i64) -> Problem {
    Problem::not_found(format!("Model Version (name={}, version={number}) not found", plain_name(model)))
        .reason("RESOURCE_DOES_NOT_EXIST")
}

/// The answer about a model that was dropped a moment ago.
pub(crate) fn no_model(model: &FullName) -> Problem {
    Problem::not_found(BY_NAME.missing.replace("{}", &plain_name(model))).reason("RESOURCE_DOES_NOT_EXIST")
}
