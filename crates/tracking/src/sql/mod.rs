//! Queries that are built from parts, and texts of many rows.

mod compare;
mod keyset;
mod page;
mod rows;
pub mod search_experiments;
pub mod search_logged_models;
pub mod search_registry;
pub mod search_runs;

pub use page::Page;
pub(crate) use rows::Rows;
