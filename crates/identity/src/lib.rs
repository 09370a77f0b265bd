//! Who is who: users, nested groups, service principals, tokens, sign-in, secrets.
//!
//! It finds out who is calling ([`crannog_kit::Authenticate`]) and keeps the closure of groups that every decision reads.
//! Verbs are methods of [`Identity`] and take the permit that they need; routes are in `api/`, one folder a protocol.
//!
//! **Invariants.** The text of a token, a password or a secret is in no log, no audit row and no error. A revoked token or
//! a deactivated principal is out at the next request. A right token is never locked out by others' failures. The closure
//! changes in the transaction that changes a membership.

mod api;
mod errors;
mod model;
mod service;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crannog_kit::Registry;
use crannog_store::Db;
use crannog_types::{Micros, Result};

pub use errors::IdentityError;
pub use model::credentials::{CredentialKind, Secret};
pub use model::principals::{Principal, PrincipalKind};
pub use service::bootstrap::{FirstStart, Ground, bootstrap};
pub use service::clients::ClientSecret;
pub use service::permissions::{Level, ObjectAcl};
pub use service::principals::{Changes, Membership, NewPrincipal};
pub use service::secrets::{ScopeAcl, SecretInfo};
pub use service::tokens::TokenInfo;
pub use service::ways::Way;

use model::limiter::Limiter;
use service::passwords::Passwords;
use service::secrets::Vault;
use service::signin::TokenCache;

/// What identity is told.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// The file of the root key that secrets are encrypted under. Made at the first start with mode 0600; it must not lie
    /// in what backups of the data folder take.
    pub root_key_file: PathBuf,
}

/// Principals, tokens, sign-in and secrets of one installation.
pub struct Identity {
    db: Db,
    ground: Ground,
    tokens: TokenCache,
    limiter: Mutex<Limiter>,
    passwords: Passwords,
    vault: Vault,
}

impl Identity {
    /// Opens identity over a database that [`bootstrap`] has set up.
    ///
    /// # Errors
    /// When it was not set up, or fails.
    pub async fn open(db: Db, config: IdentityConfig) -> Result<Arc<Self>> {
        let ground = Ground::read(&db).await?.ok_or(IdentityError::NotBootstrapped)?;
        let vault = Vault::open(&db, &config.root_key_file).await?;
        Ok(Arc::new(Identity {
            db,
            ground,
            vault,
            tokens: TokenCache::default(),
            limiter: Mutex::default(),
            passwords: Passwords::new()?,
        }))
    }

    /// The time by the database's clock.
    pub(crate) fn now(&self) -> Micros {
        self.db.now()
    }

    /// What every database has after its first start: workspace id and the program's groups.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }
}

/// Adds every route of identity.
pub fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    api::endpoints(registry, identity);
}
