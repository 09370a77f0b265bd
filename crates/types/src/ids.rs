//! Typed ids. An id says what it names, so that a group's id cannot be handed in where a table's is wanted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user, a group or a service principal.
///
/// A positive decimal below 2^53: Databricks' clients parse ids of principals and owners of tokens as integers, some in
/// languages whose numbers are doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(pub i64);

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PrincipalId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(PrincipalId)
    }
}

/// Anything that grants can be given on: a catalog, a table, a warehouse, a secret scope.
///
/// UUIDv7: sorted by the time of making, which keeps index pages warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecurableId(pub Uuid);

impl SecurableId {
    /// The root of all securables, the metastore. The same in every installation, so that code can name it.
    pub const METASTORE: SecurableId = SecurableId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));

    /// A new id, later in order than any made before it in this process.
    pub fn new() -> Self {
        SecurableId(Uuid::now_v7())
    }
}

impl Default for SecurableId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for SecurableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SecurableId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(SecurableId)
    }
}
