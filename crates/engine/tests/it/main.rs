//! The engine's tests, in one binary: linking it is what takes time.

#[cfg(test)]
mod extremes;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod generators;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod heavy;
#[cfg(test)]
mod lazily;
#[cfg(test)]
mod many_files;
#[cfg(test)]
mod pushdown;
#[cfg(test)]
mod subqueries;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tpch;
#[cfg(test)]
mod types;
#[cfg(test)]
mod zones;
