//! E0599
use crannog_security::Permit;
use crannog_security::actions::tables;

pub fn kept(permit: Permit<tables::Select>) -> (Permit<tables::Select>, Permit<tables::Select>) {
    let again = permit.clone();
    (permit, again)
}
