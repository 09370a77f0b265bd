//! The lake's verbs against real folders, with an engine that writes no Parquet.

#[cfg(test)]
mod arbiter;
#[cfg(test)]
mod external;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod following;
#[cfg(test)]
mod lineage;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod running;
#[cfg(test)]
mod system;
#[cfg(test)]
mod world;
