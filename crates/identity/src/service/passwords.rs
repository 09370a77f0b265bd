//! Passwords: argon2id with the parameters of RFC 9106's second choice as the argon2 crate gives them (19 MiB, 2 passes).
//!
//! Each check takes memory and tens of milliseconds on purpose, so at most two run at a time, off the async threads.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use crannog_types::{Problem, Result};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::errors::IdentityError;
use crate::model::credentials::{self, fill};

/// The least characters of a password (NIST SP 800-63B asks for 8 at least).
pub(crate) const LEAST: usize = 10;
const MOST: usize = 1_024;

/// Passwords that are remembered as right; a full memory is emptied, which costs one check each.
const KEPT: usize = 10_000;

pub(crate) struct Passwords {
    turns: Semaphore,
    /// What was found right of what is asked about again: of the password and the hash that it was held against, the keyed
    /// hash. Another password has another hash, so that nothing has to be forgotten.
    right: Mutex<HashSet<credentials::Hash>>,
    key: [u8; 32],
    /// Stands in for the hash of somebody who is not there.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, IdentityError> {
        let mut key = [0; 32];
        fill(&mut key)?;
        let nobody = hash("nobody has this password")?;
        Ok(Passwords { turns: Semaphore::new(2), right: Mutex::default(), key, nobody })
    }

    /// Whether a password that was right is the one of this hash. Asked again and again it costs next to nothing.
    pub(crate) async fn is_still(&self, password: &str, stored: String) -> Result<bool> {
        let mut mark = Sha256::new();
        for part in [&self.key, stored.as_bytes(), b"\0", password.as_bytes()] {
            mark.update(part);
        }
        let mark = mark.finalize().into();
        if self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark) {
            return Ok(true);
        }
        let right = self.verify(password, Some(stored)).await?;
        if right {
            let mut kept = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(mark);
        }
        Ok(right)
    }

    /// Whether the password is the one of the hash. False when there is no hash, after the same time.
    pub(crate) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool> {
        if password.len() > MOST {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let password = Zeroizing::new(password.to_owned());
        let right = self
            .run(move || {
                let parsed = PasswordHash::new(&stored).map_err(|error| IdentityError::Crypto(error.to_string()))?;
                Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
            })
            .await?;
        Ok(right && known)
    }

    /// The hash of a new password.
    pub(crate) async fn make(&self, password: &str) -> Result<String> {
        if password.chars().count() < LEAST || password.len() > MOST {
            return Err(Problem::invalid(format!(
                "a password has at least {LEAST} characters and at most {MOST} bytes"
            )));
        }
        let password = Zeroizing::new(password.to_owned());
        self.run(move || hash(&password)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T> {
        let crypto = |error: String| IdentityError::Crypto(error);
        let _turn = self.turns.acquire().await.map_err(|error| crypto(error.to_string()))?;
        Ok(tokio::task::spawn_blocking(work).await.map_err(|error| crypto(error.to_string()))??)
    }
}

fn hash(password: &str) -> Result<String, IdentityError> {
    let mut random = [0_u8; 16];
    fill(&mut random)?;
    let crypto = |error: argon2::password_hash::Error| IdentityError::Crypto(error.to_string());
    let salt = SaltString::encode_b64(&random).map_err(crypto)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(crypto)?.to_string())
}
