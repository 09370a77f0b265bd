//! Files of versions in the Files API: `/Models/<catalog>/<schema>/<model>/<version>/<path>`, by the caller's token
//! (`fs/files`, `fs/directories`) or by addresses that are secrets (`fs/create-upload-url`, `fs/create-download-url`).

mod addresses;
mod paths;
mod serving;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Tracking;

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    serving::endpoints(registry, tracking);
    addresses::endpoints(registry, tracking, &Arc::default());
}
