//! The text of tokens, and what is kept of them.
//!
//! `crg_` + 43 random base62 digits (256 bits) + 6 digits of a checksum. Secret scanners match
//! `\bcr[gosrcu]_[0-9A-Za-z]{49}\b` and can check the checksum without asking us: the first four bytes of SHA-256 over
//! everything before it, big-endian, in base62. Kept is only SHA-256: with 256 random bits no slow hash is needed.
//!
//! A credential's text must never reach a log, an audit row or an error: [`Secret`] prints as `Secret(…)`.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::errors::IdentityError;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 43;
const CHECK: usize = 6;

/// What a credential is for; its prefix says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A personal access token.
    Personal,
    /// An OAuth access token.
    OAuth,
    /// A browser's session.
    Session,
    /// An OAuth refresh token.
    Refresh,
    /// An OAuth authorization code or client secret.
    Client,
    /// A one-time set-up code.
    SetUp,
}

impl CredentialKind {
    const ALL: [CredentialKind; 6] = [
        CredentialKind::Personal,
        CredentialKind::OAuth,
        CredentialKind::Session,
        CredentialKind::Refresh,
        CredentialKind::Client,
        CredentialKind::SetUp,
    ];

    /// The first four characters.
    pub fn prefix(self) -> &'static str {
        match self {
            CredentialKind::Personal => "crg_",
            CredentialKind::OAuth => "cro_",
            CredentialKind::Session => "crs_",
            CredentialKind::Refresh => "crr_",
            CredentialKind::Client => "crc_",
            CredentialKind::SetUp => "cru_",
        }
    }

    /// The word of the database.
    pub(crate) fn word(self) -> &'static str {
        match self {
            CredentialKind::Personal => "personal",
            CredentialKind::OAuth => "oauth",
            CredentialKind::Session => "session",
            CredentialKind::Refresh => "refresh",
            CredentialKind::Client => "client",
            CredentialKind::SetUp => "setup",
        }
    }
}

/// SHA-256 of a credential.
pub(crate) type Hash = [u8; 32];

/// A credential as its owner gets it, once.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A new random one.
    pub(crate) fn new(kind: CredentialKind) -> Result<Self, IdentityError> {
        let mut text = Zeroizing::new(String::with_capacity(4 + BODY + CHECK));
        text.push_str(kind.prefix());
        let mut random = Zeroizing::new([0_u8; 64]);
        while text.len() < 4 + BODY {
            fill(&mut random[..])?;
            // 248 is 4 × 62: bytes above it would make some digits likelier than others.
            for byte in random.iter().filter(|byte| **byte < 248).take(4 + BODY - text.len()) {
                text.push(char::from(DIGITS[usize::from(*byte % 62)]));
            }
        }
        let check = checksum(&text);
        text.push_str(&check);
        Ok(Secret(text))
    }

    /// The text, to hand it out.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> String {
        hex(&hash(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The kind and the hash of a text that has the shape of one of our credentials.
pub(crate) fn read(text: &str) -> Option<(CredentialKind, Hash)> {
    let kind = CredentialKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
    let shaped = text.len() == 4 + BODY + CHECK && text.bytes().skip(4).all(|byte| byte.is_ascii_alphanumeric());
    if !shaped {
        return None;
    }
    let (before, check) = text.split_at(4 + BODY);
    (checksum(before) == check).then(|| (kind, hash(text)))
}

pub(crate) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        text
    })
}

/// Random bytes from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), IdentityError> {
    getrandom::fill(bytes).map_err(|error| IdentityError::Crypto(error.to_string()))
}

fn checksum(text: &str) -> String {
    let digest = hash(text);
    let mut number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number % 62).unwrap_or_default()];
        number /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_credential_has_the_documented_shape() {
        for kind in CredentialKind::ALL {
            let secret = Secret::new(kind).unwrap();
            let text = secret.reveal();
            assert_eq!(text.len(), 53);
            assert_eq!(read(text), Some((kind, hash(text))));
            assert_eq!(format!("{secret:?}"), "Secret(…)");
            let mut wrong = text.to_owned();
            let last = wrong.pop().unwrap();
            wrong.push(if last == 'a' { 'b' } else { 'a' });
            assert_eq!(read(&wrong), None);
        }
        assert_eq!(read("dapi0123"), None);
        assert_eq!(read("crg_é"), None);
    }
}
