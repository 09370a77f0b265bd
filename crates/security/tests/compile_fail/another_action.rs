//! E0308
use crannog_security::Permit;
use crannog_security::actions::{schemas, tables};

fn select(_: &Permit<tables::Select>) {}

pub fn another(permit: &Permit<schemas::ReadMetadata>) {
    select(permit)
}
