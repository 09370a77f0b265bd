//! Databricks' REST for tokens, client secrets, stored secrets, permissions, and who may use tokens and passwords.

mod authorization;
mod client_secrets;
mod permissions;
mod secret_acls;
mod secrets;
mod token_management;
mod tokens;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Identity;

pub(crate) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    tokens::endpoints(registry, identity);
    token_management::endpoints(registry, identity);
    client_secrets::endpoints(registry, identity);
    secrets::endpoints(registry, identity);
    secret_acls::endpoints(registry, identity);
    permissions::endpoints(registry, identity);
    authorization::endpoints(registry, identity);
}
