//! E0271
use crannog_security::actions::Action;
use crannog_security::{NameOf, kinds};

fn of_table<A: Action<On = kinds::Table>>(_: NameOf<A>) {}

pub fn mixed(name: NameOf<crannog_security::actions::schemas::Manage>) {
    of_table(name)
}
