//! E0616
use crannog_security::actions::tables;
use crannog_security::{Permit, Target};

pub fn moved(mut permit: Permit<tables::Select>, other: Target) -> Permit<tables::Select> {
    permit.target = other;
    permit
}
