//! Grants as people and programs ask for them.

use crannog_security::{Kind, Privilege};
use crannog_types::{FullName, Problem, Result};

/// What one principal holds on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The principal's name.
    pub principal: String,
    /// What was granted to it.
    pub privilege: Privilege,
    /// Where it was granted, when that is a container of the object.
    pub inherited_from: Option<(Kind, FullName)>,
    /// Who granted it.
    pub granted_by: String,
}

/// A change of what one principal holds on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantChange {
    /// The principal's name.
    pub principal: String,
    /// What it gets.
    pub add: Vec<Privilege>,
    /// What it loses.
    pub remove: Vec<Privilege>,
}

/// Reads a privilege for a kind of object, in either spelling.
///
/// # Errors
/// A word that is no privilege, or one that objects of this kind do not have; the hint lists those that they have.
pub fn privilege_on(kind: Kind, word: &str) -> Result<Privilege> {
    let found = Privilege::parse(word);
    if let Some(privilege) = found.filter(|privilege| privilege.applies_to(kind)) {
        return Ok(privilege);
    }
    let has: Vec<&str> =
        Privilege::ALL.iter().filter(|privilege| privilege.applies_to(kind)).map(|privilege| privilege.sql()).collect();
    let what = if found.is_some() { "cannot be granted on a" } else { "is no privilege of a" };
    Err(Problem::invalid(format!("{} {what} {kind}", word.to_uppercase()))
        .hint(format!("a {kind} has: {}", has.join(", "))))
}
