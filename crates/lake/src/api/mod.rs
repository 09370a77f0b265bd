//! The doors of the lake, a folder a protocol.

mod databricks;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::service::executions::Executions;

/// Adds every route of the lake.
pub fn endpoints(registry: &mut Registry, executions: &Arc<Executions>) {
    databricks::statements::endpoints(registry, executions);
    databricks::warehouses::endpoints(registry, &executions.lake().governance.db);
}
