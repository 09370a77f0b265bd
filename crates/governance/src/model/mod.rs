//! Nouns of the catalog.

pub mod grants;
pub mod lineage;
pub mod objects;
