//! OAuth 2.0 and the documents that clients find it by. All of these routes are public.

mod authorize;
mod consent;
mod discovery;
mod token;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Identity;

pub(crate) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    discovery::endpoints(registry, identity);
    registry.add(authorize::Authorize(Arc::clone(identity)));
    registry.add(consent::Consent(Arc::clone(identity)));
    registry.add(token::IssueToken(Arc::clone(identity)));
}
