//! Failures of identity, in words for the person who called.
//!
//! Reasons why somebody could not be authenticated are deliberately one variant with one text: an attacker learns nothing
//! from it. The log has the reason.

use std::time::Duration;

use crannog_types::{Code, Problem};
use thiserror::Error;

/// A failure of identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The token, session or password is not one that is in force. The same for every reason.
    #[error("the token, or the name and password, are not valid")]
    NotSignedIn,
    /// Too many failures from this address or for this account.
    #[error("too many failed sign-ins")]
    TooManyFailures {
        /// When trying again can work.
        after: Duration,
    },
    /// No principal of this id or name.
    #[error("there is no {kind} {what:?}")]
    NoPrincipal {
        /// `user`, `group`, `service principal`, `principal`.
        kind: &'static str,
        /// As the caller wrote it.
        what: String,
    },
    /// Names are unique over users, groups and service principals, as a GRANT names any of them.
    #[error("a user, group or service principal named {0:?} is there already")]
    NameTaken(String),
    /// Not a name that a principal can have.
    #[error("{0:?} cannot be the name of a principal")]
    BadName(String),
    /// Users are named by their e-mail address.
    #[error("{0:?} is not an e-mail address, which the name of a user is")]
    NotAnAddress(String),
    /// A principal that owns objects stays, or the objects would have no owner.
    #[error("{name} owns {count} objects, among them {example}")]
    Owns {
        /// Whose.
        name: String,
        /// How many.
        count: i64,
        /// One of them: `catalog main`.
        example: String,
    },
    /// A group would be its own member.
    #[error("{member} holds {group} already, directly or by nesting")]
    Cycle {
        /// The group that was to take a member.
        group: String,
        /// The member.
        member: String,
    },
    /// Databricks' limit of nesting.
    #[error("groups would be nested {0} deep, more than 10")]
    TooDeep(usize),
    /// `admins` and `account users` are part of the program.
    #[error("the group {0:?} belongs to the program")]
    SystemGroup(String),
    /// Somebody must be able to administer.
    #[error("nobody would be left who administers this server")]
    LastAdministrator,
    /// No such token of this person.
    #[error("there is no token {0:?}")]
    NoToken(String),
    /// No such client secret.
    #[error("there is no client secret {0:?}")]
    NoClientSecret(String),
    /// No such secret.
    #[error("there is no secret {key:?} in scope {scope:?}")]
    NoSecret {
        /// The scope's name.
        scope: String,
        /// As the caller wrote it.
        key: String,
    },
    /// A limit of secrets or scopes.
    #[error("{0}")]
    Limit(String),
    /// The root key is missing or another one.
    #[error("secrets cannot be opened: {0}")]
    RootKey(String),
    /// Stored ciphertext does not open under its key.
    #[error("a stored secret is damaged")]
    Damaged,
    /// The operating system gave no random numbers, or argon2 failed.
    #[error("cryptography failed: {0}")]
    Crypto(String),
    /// The database was never set up.
    #[error("this database was not set up yet")]
    NotBootstrapped,
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        use IdentityError as E;
        let text = error.to_string();
        match error {
            E::NotSignedIn => Problem::new(Code::Unauthenticated, text)
                .hint("`crannog token create` or the page /login makes a new token"),
            E::TooManyFailures { after } => Problem::new(Code::ResourceExhausted, text)
                .hint("wait, or use a valid token: those are never locked out")
                .retry_after(after),
            E::NoPrincipal { .. } | E::NoToken(_) | E::NoClientSecret(_) | E::NoSecret { .. } => {
                Problem::new(Code::NotFound, text)
            }
            E::NameTaken(_) => Problem::new(Code::AlreadyExists, text),
            E::BadName(_) => {
                Problem::invalid(text).hint("names have 1 to 255 bytes, no control characters, no blanks at the ends")
            }
            E::NotAnAddress(_) => Problem::invalid(text).hint("use a name such as ana@example.com"),
            E::Owns { .. } => Problem::new(Code::FailedPrecondition, text)
                .hint("give them another owner first, or deactivate instead"),
            E::Cycle { .. } | E::TooDeep(_) => Problem::invalid(text),
            E::SystemGroup(_) => Problem::invalid(text).hint("`account users` has every active user as its members"),
            E::LastAdministrator => {
                Problem::new(Code::FailedPrecondition, text).hint("put somebody else into the group admins first")
            }
            E::Limit(_) => Problem::new(Code::ResourceExhausted, text).reason("RESOURCE_LIMIT_EXCEEDED"),
            E::RootKey(_) => Problem::new(Code::FailedPrecondition, text)
                .hint("an administrator can put the root key file back; without it stored secrets are lost"),
            E::Damaged => Problem::new(Code::DataLoss, text),
            E::Crypto(_) | E::NotBootstrapped => Problem::internal("identity failed", error),
        }
    }
}
