//! kit over real loopback connections, with a tiny registry of endpoints, on both databases.

mod decisions;
mod errors;
mod requests;
mod world;
