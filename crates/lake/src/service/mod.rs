//! Verbs of the lake: commits, tables, statements.

pub mod arbiter;
mod problems;
pub mod table_log;
