//! The doors, one folder a protocol.

mod databricks;
mod html;
mod oauth;
mod scim;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Identity;

pub(crate) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    scim::endpoints(registry, identity);
    databricks::endpoints(registry, identity);
    oauth::endpoints(registry, identity);
    html::endpoints(registry, identity);
}
