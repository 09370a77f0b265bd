//! The doors of tracking. A door reads the wire, says what it is about, calls one verb of [`crate::service`] and writes the wire
//! again. It must never decide who may do what, and never touch the database by itself.

mod mlflow;

use crannog_kit::Registry;

use crate::Tracking;

pub(crate) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    mlflow::endpoints(registry, tracking);
}
