//! The lake's verbs against real folders, with an engine that writes no Parquet.

mod arbiter;
mod fake;
mod looking;
