//! Nouns and their rules, pure.

pub mod artifacts;
pub mod experiments;
pub mod limits;
pub mod points;
pub mod runs;
pub mod search;
