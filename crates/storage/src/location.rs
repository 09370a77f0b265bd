//! Where a table or a volume is: an absolute URL in one normal form, so that comparing locations is comparing names.
//!
//! Only `file:` now. A URL is percent-decoded once; a plain absolute path is not decoded. Unicode is kept as it came (NFC
//! and NFD are different names on Linux).

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::errors::{Result, StorageError};
use crate::paths::{self, Relative};

/// What stays as it is in a URL's path: RFC 3986's unreserved and sub-delims, `:` and `@`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// An absolute, normalised location. `Display` gives its URL, which [`Location::parse`] reads back to the same value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Decoded names from the root down; never empty names, `.` or `..`.
    names: Vec<String>,
}

impl Location {
    /// Reads `file:///x`, `file:/x`, `file://localhost/x` or `/x`. One `/` may stand at the end.
    ///
    /// # Errors
    /// [`StorageError::Location`] for relative paths, `.`, `..`, empty names, control characters, broken or
    /// slash-hiding percent-encoding; [`StorageError::Scheme`] for other schemes than `file`.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why| StorageError::Location { location: text.escape_debug().to_string(), why };
        let (path, is_url) = match text.split_once(':') {
            Some((scheme, rest)) if !scheme.contains('/') => {
                if !scheme.eq_ignore_ascii_case("file") {
                    let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                    return Err(match is_scheme && !scheme.is_empty() {
                        true => StorageError::Scheme { scheme: scheme.to_owned() },
                        false => refuse("it is neither a URL nor an absolute path"),
                    });
                }
                let path = match rest.strip_prefix("//") {
                    Some(after) => after.strip_prefix("localhost").unwrap_or(after),
                    None => rest,
                };
                if path.contains(['?', '#']) {
                    return Err(refuse("'?' and '#' stand for themselves only as %3F and %23"));
                }
                (path, true)
            }
            _ => (text, false),
        };
        let Some(path) = path.strip_prefix('/') else {
            return Err(refuse("it must be absolute, on this machine"));
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Err(refuse("it is the root of the file system"));
        }
        let mut names = Vec::new();
        for part in path.split('/') {
            let name = match is_url {
                true => decode(part).map_err(refuse)?,
                false => part.to_owned(),
            };
            paths::check(&name).map_err(refuse)?;
            names.push(name);
        }
        Ok(Self { names })
    }

    /// The location of an absolute path of this machine.
    ///
    /// # Errors
    /// See [`Location::parse`]; also for names that are not UTF-8.
    pub fn of_path(path: &Path) -> Result<Self> {
        match path.to_str() {
            Some(text) => Self::parse(text).map_err(|error| match error {
                // A plain path may hold ':' in its first name; it is not a scheme.
                StorageError::Scheme { .. } => {
                    StorageError::Location { location: text.to_owned(), why: "it must be absolute, on this machine" }
                }
                other => other,
            }),
            None => Err(StorageError::Location { location: path.display().to_string(), why: "its name is not UTF-8" }),
        }
    }

    /// The location below this one at a relative path.
    ///
    /// # Errors
    /// [`StorageError::Path`] for anything but plain names.
    pub fn child(&self, path: &str) -> Result<Self> {
        let mut names = self.names.clone();
        names.extend_from_slice(Relative::file(path)?.names());
        Ok(Self { names })
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Whether this is `other` or lies below it. Whole names count: `/a/bc` is not under `/a/b`.
    pub fn is_under(&self, other: &Location) -> bool {
        self.names.starts_with(&other.names)
    }

    /// Whether one of the two lies below the other, or they are the same.
    pub fn overlaps(&self, other: &Location) -> bool {
        self.is_under(other) || other.is_under(self)
    }

    /// The decoded names from the root down.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The path on this machine.
    pub(crate) fn to_path(&self) -> PathBuf {
        let mut path = PathBuf::from("/");
        path.extend(&self.names);
        path
    }
}

impl fmt::Display for Location {
    /// `file:///data/my%20table`, without a slash at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("file://")?;
        for name in &self.names {
            write!(f, "/{}", utf8_percent_encode(name, ENCODED))?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Location {
    type Err = StorageError;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Decodes one name, once.
fn decode(part: &str) -> Result<String, &'static str> {
    for (at, _) in part.match_indices('%') {
        let digits = part.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)) {
            return Err("'%' must be followed by two hexadecimal digits; '%' itself is %25");
        }
    }
    let name = percent_decode_str(part).decode_utf8().map_err(|_| "its percent-encoding is not UTF-8")?;
    match name.contains('/') {
        true => Err("a name holds an encoded '/'"),
        false => Ok(name.into_owned()),
    }
}
