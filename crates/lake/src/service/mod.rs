//! Verbs of the lake: commits, tables, statements.

pub mod arbiter;
pub mod begun;
pub mod executions;
pub mod follow;
pub mod limits;
mod problems;
pub mod statements;
pub mod table_log;
pub mod warehouses;
