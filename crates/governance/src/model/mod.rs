//! Nouns of the catalog.

pub mod grants;
pub mod objects;
