//! kit over real loopback connections, with a tiny registry of endpoints, on both databases.

#[cfg(test)]
mod connections;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod world;
