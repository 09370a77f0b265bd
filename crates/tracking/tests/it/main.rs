//! Tests of tracking over a database.

#[cfg(test)]
mod keeper;
#[cfg(test)]
mod lineage;
#[cfg(test)]
mod logged_models;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod search;
#[cfg(test)]
mod searched;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod ui;
