//! E0594
use crannog_security::Permit;
use crannog_security::actions::tables;

pub fn moved(permit: &Permit<tables::Select>, other: &Permit<tables::Select>) {
    permit.target().id = other.target().id;
}
