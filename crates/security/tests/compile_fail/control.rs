//! compiles
use crannog_security::actions::{metastore, tables};
use crannog_security::{Caller, Evidence, NameOf, Permit};

fn select(_: &Permit<tables::Select>) {}
fn open(_: &dyn Evidence) {}

pub fn right(permit: Permit<tables::Select>) {
    select(&permit);
    open(&permit);
    let _ = permit.target().id;
}

pub async fn asked(caller: &Caller) -> bool {
    caller.ask::<metastore::Work>(NameOf::root()).await.is_ok()
}
