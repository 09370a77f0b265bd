//! MLflow's plain registry: models of one name, which are those of `main.default`, and all others by their full names. Stages
//! are kept here for old clients.

mod models;
mod versions;
mod wire;

pub(super) use self::versions::of_runs;

use crannog_kit::Registry;
use crannog_security::{Action, NameOf, kinds};
use crannog_types::{Problem, Result};
use serde_json::Value;

use crate::Tracking;
use crate::model::limits::shown;
use crate::service::registry::BY_NAME;

/// A model by the name that MLflow's client knows it by.
///
/// # Errors
/// What no model is called, in MLflow's words.
fn by_name<A: Action<On = kinds::Model>>(name: &str) -> Result<NameOf<A>> {
    check_name("name", name)?;
    Ok(NameOf::found(&BY_NAME, name))
}

/// Checks a model's name as MLflow does; what Unity Catalog asks of it besides is said when one is made.
fn check_name(field: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Problem::invalid(format!("Missing value for required parameter '{field}'.")));
    }
    if name.contains(['/', ':']) {
        return Err(Problem::invalid(format!("Invalid model name '{name}'. Names cannot contain '/' or ':'.")));
    }
    if [".", ".."].contains(&name) {
        let value = shown(&Value::from(name));
        return Err(Problem::invalid(format!(
            "Invalid value {value} for parameter 'name' supplied: Names may be treated as files in certain cases, and must not \
             resolve to other names when treated as such. This name would resolve to '{name}'"
        )));
    }
    Ok(())
}

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    models::endpoints(registry, tracking);
    versions::endpoints(registry, tracking);
}
