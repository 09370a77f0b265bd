//! Delta tables: the log's model, the commit arbiter, the SQL surface.
//!
//! Compiles without DataFusion: what plans and scans stands behind [`ports`], and rows cross it as Arrow batches.

pub mod api;
pub mod grammar;
pub mod model;
pub mod on_server;
pub mod ports;
pub mod render;
pub mod service;
