//! E0277
use crannog_security::Permit;
use crannog_security::actions::tables;

pub fn stronger(permit: Permit<tables::ReadMetadata>) -> Permit<tables::Modify> {
    permit.into()
}
