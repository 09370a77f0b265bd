//! The catalog's doors as clients use them: real HTTP, a real database, real files.

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod files;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod vending;
#[cfg(test)]
mod world;
