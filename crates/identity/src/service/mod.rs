//! Verbs. Each takes the permit that it needs; those of signing in act for nobody and say so.

pub(crate) mod bootstrap;
pub(crate) mod membership;
pub(crate) mod passwords;
pub(crate) mod principals;
pub(crate) mod signin;
pub(crate) mod tokens;
