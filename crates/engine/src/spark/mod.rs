//! Spark's semantics on Arrow arrays: types, casts, arithmetic, text, time, functions.
//!
//! Nothing here knows of queries; `bind` builds plans out of it.

pub mod arithmetic;
pub mod casts;
pub mod error;
pub mod functions;
pub mod gather;
pub mod json;
pub mod kernel;
pub mod parse;
pub mod text;
pub mod types;
pub mod zone;
