//! The catalog's doors as clients use them: real HTTP, a real database, real files.

mod catalog;
mod files;
mod grants;
mod hostile;
mod vending;
mod world;
