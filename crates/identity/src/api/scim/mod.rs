//! SCIM 2.0 as Databricks serves it, under `/api/2.0/preview/scim/v2`.

mod groups;
mod patch;
mod service_principals;
mod users;
mod wire;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Identity;

pub(crate) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    users::endpoints(registry, identity);
    groups::endpoints(registry, identity);
    service_principals::endpoints(registry, identity);
}
