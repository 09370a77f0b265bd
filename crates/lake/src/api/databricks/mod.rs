//! Databricks' REST: statements and warehouses.

pub(super) mod statements;
pub(super) mod warehouses;
