//! Envelope encryption of stored secrets.
//!
//! Each scope has a random data key; the root key, from a file outside the database, wraps it. Both are AES-256-GCM-SIV
//! with a random nonce in front of the ciphertext; what is encrypted is bound to its place by associated data (scope, key,
//! version), so that a row that was moved does not open. Without the root key a copy of the database is useless, and
//! changing the root key means wrapping the data keys anew.
//!
//! Key material must never be printed, cloned or kept longer than a call.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use crate::errors::IdentityError;
use crate::model::credentials::{fill, hash, hex};

const NONCE: usize = 12;

/// A key of 256 bits.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new random one.
    pub(crate) fn new() -> Result<Self, IdentityError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        fill(&mut bytes[..])?;
        Ok(Key(bytes))
    }

    /// The key of a file, in hexadecimal; a file that is not there is made with mode 0600 and made durable.
    pub(crate) fn of_file(file: &Path) -> Result<Self, IdentityError> {
        let failed = |error: io::Error| IdentityError::RootKey(format!("{}: {error}", file.display()));
        match File::open(file) {
            Ok(opened) => Key::read(opened, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Key::new()?;
                let text = Zeroizing::new(hex(&key.0[..]) + "\n");
                let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
                match made {
                    Ok(mut made) => {
                        made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
                        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
                        }
                        Ok(key)
                    }
                    // Another process came first.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Key::read(File::open(file).map_err(failed)?, file)
                    }
                    Err(error) => Err(failed(error)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn read(mut opened: File, file: &Path) -> Result<Self, IdentityError> {
        let failed = |what: &str| IdentityError::RootKey(format!("{}: {what}", file.display()));
        let mode = opened.metadata().map_err(|error| failed(&error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(failed("others can read it; set its mode to 0600"));
        }
        let mut text = Zeroizing::new(String::new());
        opened.read_to_string(&mut text).map_err(|error| failed(&error.to_string()))?;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(failed("it does not hold 64 hexadecimal digits"));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(failed("it does not hold 64 hexadecimal digits"));
            };
            *byte = high << 4 | low;
        }
        Ok(Key(bytes))
    }

    /// Tells keys apart without telling anything about them: for a clear message when the wrong file is there.
    pub(crate) fn fingerprint(&self) -> String {
        let text = Zeroizing::new(format!("crannog root key {}", hex(&self.0[..])));
        hex(&hash(&text)[..8])
    }

    /// Encrypts, bound to a place.
    pub(crate) fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let mut nonce = [0_u8; NONCE];
        fill(&mut nonce)?;
        let sealed = self.cipher()?.encrypt(Nonce::from_slice(&nonce), Payload { msg: plain, aad: place });
        let sealed = sealed.map_err(|error| IdentityError::Crypto(error.to_string()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts what was bound to the same place.
    pub(crate) fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(IdentityError::Damaged)?;
        let plain = self.cipher()?.decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: place });
        Ok(Zeroizing::new(plain.map_err(|_| IdentityError::Damaged)?))
    }

    /// This key, encrypted under another.
    pub(crate) fn wrapped_by(&self, root: &Key, place: &[u8]) -> Result<Vec<u8>, IdentityError> {
        root.seal(&self.0[..], place)
    }

    /// A key that [`Key::wrapped_by`] encrypted.
    pub(crate) fn unwrap(root: &Key, wrapped: &[u8], place: &[u8]) -> Result<Self, IdentityError> {
        let plain = root.open(wrapped, place)?;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if plain.len() != bytes.len() {
            return Err(IdentityError::Damaged);
        }
        bytes.copy_from_slice(&plain);
        Ok(Key(bytes))
    }

    fn cipher(&self) -> Result<Aes256GcmSiv, IdentityError> {
        Aes256GcmSiv::new_from_slice(&self.0[..]).map_err(|error| IdentityError::Crypto(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let (root, key) = (Key::new().unwrap(), Key::new().unwrap());
        let wrapped = key.wrapped_by(&root, b"scope").unwrap();
        let again = Key::unwrap(&root, &wrapped, b"scope").unwrap();
        let sealed = key.seal(b"value", b"a/1").unwrap();
        assert_eq!(&again.open(&sealed, b"a/1").unwrap()[..], b"value");
        assert!(again.open(&sealed, b"a/2").is_err());
        assert!(root.open(&sealed, b"a/1").is_err());
        assert!(Key::unwrap(&root, &wrapped, b"other").is_err());
        assert!(again.open(b"short", b"a/1").is_err());
    }

    #[test]
    fn the_file_of_the_root_key_is_private_and_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.key");
        let made = Key::of_file(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Key::of_file(&file).unwrap().fingerprint(), made.fingerprint());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Key::of_file(&file).is_err());
    }
}
