//! Nouns and rules, without I/O.

pub(crate) mod credentials;
pub(crate) mod filters;
pub(crate) mod limiter;
pub(crate) mod nesting;
pub(crate) mod principals;
pub(crate) mod vault;
