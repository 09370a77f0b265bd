//! Spark's semantics on Arrow arrays: types, casts, arithmetic, text, time, functions.
//!
//! Nothing here knows of queries; `bind` builds plans out of it.

pub(crate) mod arithmetic;
pub(crate) mod casts;
pub(crate) mod error;
pub(crate) mod functions;
pub(crate) mod gather;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod kernel;
pub(crate) mod parse;
pub(crate) mod text;
pub(crate) mod types;
pub(crate) mod zone;
