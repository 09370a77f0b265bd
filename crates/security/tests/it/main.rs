//! The security model against a second reading of its rules, and as a table that a person can read.

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod rules;
