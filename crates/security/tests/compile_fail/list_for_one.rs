//! E0308
use crannog_security::actions::tables;
use crannog_security::{Permit, Visible};

fn read(_: &Permit<tables::ReadMetadata>) {}

pub fn with_list(visible: &Visible<tables::ReadMetadata>) {
    read(visible)
}
