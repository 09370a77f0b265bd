//! The registry as MLflow's client finds it in Unity Catalog (registry URI `databricks-uc`): names of three parts, no stages,
//! files that are the version's own and come through the Files API.

mod models;
mod versions;
mod wire;

use crannog_governance::api::unity::names;
use crannog_kit::Registry;
use crannog_types::{FullName, Problem, Result};

use crate::Tracking;

/// A route of MLflow for Unity Catalog, under both prefixes.
macro_rules! uc {
    ($method:ident $path:literal, $about:literal) => {
        crannog_kit::Route::new(
            crannog_kit::Method::$method,
            concat!("/api/2.0/mlflow/unity-catalog/", $path),
            crannog_kit::Dialect::Mlflow,
            $about,
        )
        .also(&[concat!("/ajax-api/2.0/mlflow/unity-catalog/", $path)])
    };
}
use uc;

/// A model's name.
///
/// # Errors
/// When it has not three parts.
fn model_name(text: &str) -> Result<FullName> {
    if text.split('.').count() != 3 {
        // MLflow's client looks for "specify all three levels".
        return Err(Problem::invalid(format!(
            "'{text}' is not a valid name of a model in Unity Catalog. Please specify all three levels of the model in the form \
             `catalog_name.schema_name.model_name`"
        )));
    }
    names::full_name(text, 3)
}

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    models::endpoints(registry, tracking);
    versions::endpoints(registry, tracking);
}

/// The last part of a new name of a model, which may be written in full.
///
/// # Errors
/// When it is a name in another schema.
pub(super) fn renamed(target: &crannog_security::Target, name: &str) -> Result<String> {
    if !name.contains('.') {
        return Ok(name.to_owned());
    }
    let name = model_name(name)?;
    let (old, new) = (target.name.parts(), name.parts());
    let same = old.iter().zip(new).take(2).all(|(old, new)| crannog_types::fold(old) == crannog_types::fold(new));
    if !same {
        return Err(Problem::invalid(format!("a model stays in its schema: '{}' cannot become '{name}'", target.name)));
    }
    Ok(name.last().to_owned())
}
