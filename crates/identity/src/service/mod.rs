//! Verbs. Each takes the permit that it needs; those of signing in act for nobody and say so.

pub(crate) mod bootstrap;
pub(crate) mod clients;
pub(crate) mod membership;
pub(crate) mod oauth;
pub(crate) mod passwords;
pub(crate) mod permissions;
pub(crate) mod principals;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod signin;
pub(crate) mod tokens;
pub(crate) mod ways;
