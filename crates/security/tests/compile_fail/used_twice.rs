//! E0382
use crannog_security::Permit;
use crannog_security::actions::tables;

fn drop_table(_: Permit<tables::Manage>) {}

pub fn twice(permit: Permit<tables::Manage>) {
    drop_table(permit);
    drop_table(permit);
}
