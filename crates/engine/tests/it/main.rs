//! The engine's tests, in one binary: linking it is what takes time.

mod fixture;
mod golden;
mod tables;
