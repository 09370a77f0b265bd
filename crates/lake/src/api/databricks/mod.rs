//! Databricks' REST: statements and warehouses.

mod answers;
pub(super) mod statements;
pub(super) mod warehouses;
