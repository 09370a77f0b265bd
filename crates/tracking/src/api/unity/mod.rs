//! Registered models in Unity Catalog's REST, as databricks-sdk and Terraform speak it: one model object behind this door and
//! MLflow's.

mod models;
mod versions;
mod wire;

use crannog_kit::Registry;

use crate::Tracking;

/// A route of Unity Catalog.
macro_rules! unity {
    ($method:ident $path:literal, $about:literal) => {
        crannog_kit::Route::new(
            crannog_kit::Method::$method,
            concat!("/api/2.1/unity-catalog/models", $path),
            crannog_kit::Dialect::Unity,
            $about,
        )
    };
}
use unity;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    models::endpoints(registry, tracking);
    versions::endpoints(registry, tracking);
}
