//! MLflow's REST: what its client and its pages ask for, under `/api/2.0/mlflow` and `/ajax-api/2.0/mlflow`.

mod artifacts;
mod experiments;
mod graphql;
pub(crate) mod inputs;
mod links;
mod logged_models;
mod logging;
mod metrics;
mod model_inputs;
mod pages;
mod registry;
mod runs;
mod server;
mod unity_catalog;
mod wire;

use crannog_kit::Registry;

use crate::Tracking;

/// A route of MLflow, under both prefixes.
macro_rules! route {
    ($method:ident $path:literal, $about:literal) => {
        crannog_kit::Route::new(
            crannog_kit::Method::$method,
            concat!("/api/2.0/mlflow/", $path),
            crannog_kit::Dialect::Mlflow,
            $about,
        )
        .also(&[concat!("/ajax-api/2.0/mlflow/", $path)])
    };
}
pub(crate) use route;

pub(crate) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    experiments::endpoints(registry, tracking);
    runs::endpoints(registry, tracking);
    logging::endpoints(registry, tracking);
    links::endpoints(registry, tracking);
    metrics::endpoints(registry, tracking);
    logged_models::endpoints(registry, tracking);
    artifacts::endpoints(registry, tracking);
    registry::endpoints(registry, tracking);
    unity_catalog::endpoints(registry, tracking);
    graphql::endpoints(registry, tracking);
    server::endpoints(registry);
    pages::endpoints(registry, tracking);
}
