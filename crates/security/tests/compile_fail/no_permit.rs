//! E0061
use crannog_security::Permit;
use crannog_security::actions::tables;

fn select(_: &Permit<tables::Select>) {}

pub fn forgotten() {
    select()
}
