//! Nouns and their rules, pure.

pub mod artifacts;
pub mod experiments;
pub mod imports;
pub mod limits;
pub mod logged_models;
pub mod points;
pub mod registry;
pub mod runs;
pub mod search;
