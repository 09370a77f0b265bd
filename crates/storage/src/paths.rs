//! Relative paths: what a caller may write after a folder, and nothing else.
//!
//! A path is taken as it is: never decoded, never normalised. Whoever reads it from a URL decodes it exactly once, before.
//! A backslash is a character like any other, because no supported platform separates by it; what looks encoded
//! (`%2e%2e`) is a name of six characters.

use crate::errors::{Result, StorageError};

/// Names that begin so are the server's own.
pub(crate) const HIDDEN: &str = ".crannog-";

/// The longest name in bytes that every local file system takes.
const LONGEST_NAME: usize = 255;

/// The longest relative path in bytes, so that the absolute one stays below PATH_MAX (4,096).
const LONGEST_PATH: usize = 3_072;

/// A checked path: names from the folder down. Empty: the folder itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relative {
    names: Vec<String>,
}

impl Relative {
    /// The folder itself.
    pub(crate) const ROOT: Relative = Relative { names: Vec::new() };

    /// Checks the path of a file: at least one name.
    ///
    /// # Errors
    /// [`StorageError::Path`] with the rule that it breaks.
    pub(crate) fn file(path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(refuse(path, "it is empty"));
        }
        Self::split(path)
    }

    /// Checks the path of a folder: the empty path is the folder itself, and one `/` may stand at the end.
    ///
    /// # Errors
    /// [`StorageError::Path`] with the rule that it breaks.
    pub(crate) fn folder(path: &str) -> Result<Self> {
        match path {
            "" => Ok(Self::ROOT),
            path => Self::split(path.strip_suffix('/').unwrap_or(path)),
        }
    }

    fn split(path: &str) -> Result<Self> {
        if path.len() > LONGEST_PATH {
            return Err(refuse(path, "it is longer than 3072 bytes"));
        }
        let names = path.split('/').map(|name| check(name).map(|()| name.to_owned()));
        let names = names.collect::<Result<_, _>>().map_err(|why| refuse(path, why))?;
        Ok(Self { names })
    }

    /// A path of the server's own, below this one.
    pub(crate) fn with(&self, name: &str) -> Self {
        let mut names = self.names.clone();
        names.push(name.to_owned());
        Self { names }
    }

    /// The names from the folder down.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The folder that holds it, and its own name; `None` for the folder itself.
    pub(crate) fn parent(&self) -> Option<(Relative, &str)> {
        let (name, above) = self.names.split_last()?;
        Some((Relative { names: above.to_vec() }, name))
    }

    /// The path as text, `/` between the names.
    pub(crate) fn text(&self) -> String {
        self.names.join("/")
    }
}

/// Why a name is not allowed.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it has an empty name (it begins or ends with '/', or has '//')"),
        "." | ".." => Err("'.' and '..' are not names"),
        _ if name.len() > LONGEST_NAME => Err("a name is longer than 255 bytes"),
        _ if name.chars().any(char::is_control) => Err("it has a control character"),
        _ if name.starts_with(HIDDEN) => Err("names that begin with '.crannog-' are the server's"),
        _ => Ok(()),
    }
}

fn refuse(path: &str, why: &'static str) -> StorageError {
    // Errors are logged and shown on terminals: no raw control characters, no page-long names.
    let mut shown = String::new();
    for part in path.chars().take(200) {
        match part {
            part if part.is_control() => shown.extend(part.escape_default()),
            part => shown.push(part),
        }
    }
    StorageError::Path { path: shown, why }
}
