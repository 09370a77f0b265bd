//! The doors of the catalog: Unity Catalog's REST, the Files API, and `explain`.
//!
//! A folder a protocol. A door reads the wire, says what it is about, calls one verb of [`crate::service`] and writes the
//! wire again. It must never decide who may do what, and never touch the database or files by itself.

mod explain;
pub mod files;
pub mod unity;

use crannog_kit::Registry;

use crate::Governance;

pub(crate) fn endpoints(registry: &mut Registry, governance: &Governance) {
    unity::endpoints(registry, governance);
    files::endpoints(registry, governance);
    registry.add(explain::Explain(governance.clone()));
}
