//! E0599
use crannog_security::Permit;
use crannog_security::actions::tables;

pub fn forge() -> Permit<tables::Select> {
    Permit::<tables::Select>::default()
}
