//! Users, groups, service principals.

use crannog_store::{Row, StoreError};
use crannog_types::{Micros, PrincipalId};

use crate::errors::IdentityError;
use crate::model::credentials::fill;

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person, named by an e-mail address.
    User,
    /// A group of principals, named by its display name.
    Group,
    /// A program, named by its application id.
    ServicePrincipal,
}

impl PrincipalKind {
    /// The word of the database and of audit rows.
    pub fn word(self) -> &'static str {
        match self {
            PrincipalKind::User => "user",
            PrincipalKind::Group => "group",
            PrincipalKind::ServicePrincipal => "service_principal",
        }
    }

    /// The words of messages.
    pub fn describe(self) -> &'static str {
        match self {
            PrincipalKind::User => "user",
            PrincipalKind::Group => "group",
            PrincipalKind::ServicePrincipal => "service principal",
        }
    }

    fn of_word(word: &str) -> PrincipalKind {
        match word {
            "group" => PrincipalKind::Group,
            "service_principal" => PrincipalKind::ServicePrincipal,
            _ => PrincipalKind::User,
        }
    }
}

/// A user, a group or a service principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// What it is.
    pub kind: PrincipalKind,
    /// The name that grants use.
    pub name: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// A user's given name, as a directory keeps it; nothing is derived from it.
    pub given_name: Option<String>,
    /// A user's family name, likewise.
    pub family_name: Option<String>,
    /// The id in the directory that it is kept in step with.
    pub external_id: Option<String>,
    /// Whether it may sign in. Groups are always active.
    pub active: bool,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed.
    pub updated_at: Micros,
}

/// The columns of [`Principal::read`], in its order.
macro_rules! principal_columns {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.kind, p.name, p.display_name, p.external_id, p.active, p.created_at, \
             p.updated_at, p.given_name, p.family_name ",
            $rest
        )
    };
}
pub(crate) use principal_columns;

/// How many columns [`principal_columns`] are: what a query adds stands after them.
pub(crate) const PRINCIPAL_COLUMNS: usize = 10;

impl Principal {
    pub(crate) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Principal {
            id: row.principal(0)?,
            kind: PrincipalKind::of_word(&row.text(1)?),
            name: row.text(2)?,
            display_name: row.opt_text(3)?,
            external_id: row.opt_text(4)?,
            active: row.flag(5)?,
            created_at: row.micros(6)?,
            updated_at: row.micros(7)?,
            given_name: row.opt_text(8)?,
            family_name: row.opt_text(9)?,
        })
    }

    /// The display name, or the name.
    pub fn shown(&self) -> &str {
        self.display_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.name)
    }
}

/// Checks the name of a principal; blanks inside are fine, as in `account users`.
pub(crate) fn check_name(name: &str) -> Result<(), IdentityError> {
    let fine = !name.is_empty() && name.len() <= 255 && name.trim() == name && !name.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(IdentityError::BadName(name.to_owned())) }
}

/// Checks the name of a user: an e-mail address, as in Databricks. Only its form: one @ with something before and after it
/// and no blanks, so that no user can be taken for a group or a service principal in a GRANT.
pub(crate) fn check_user_name(name: &str) -> Result<(), IdentityError> {
    let parts: Vec<&str> = name.split('@').collect();
    let fine = parts.len() == 2 && parts.iter().all(|part| !part.is_empty()) && !name.contains(char::is_whitespace);
    if fine { Ok(()) } else { Err(IdentityError::NotAnAddress(name.to_owned())) }
}

/// A random positive decimal of 15 or 16 digits below 2^53.
pub(crate) fn random_id() -> Result<i64, IdentityError> {
    const LEAST: u64 = 100_000_000_000_000;
    loop {
        let mut bytes = [0_u8; 8];
        fill(&mut bytes)?;
        let number = u64::from_le_bytes(bytes) >> 11;
        if number >= LEAST {
            return i64::try_from(number).map_err(|error| IdentityError::Crypto(error.to_string()));
        }
    }
}
