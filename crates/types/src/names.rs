//! Names of governed objects, by Unity Catalog's rules.
//!
//! A name is at most 255 bytes of UTF-8 in Unicode's NFC, compared without case, and kept as it was written. It holds no
//! dot, slash, space or control character, so that `a.b.c` and `/Volumes/a/b/c` have one reading.

use std::fmt;

use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{Code, Problem};

/// The most bytes that one part of a name may have.
const MAX_BYTES: usize = 255;

/// Why a text is not a name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or only blanks.
    #[error("a name is empty")]
    Empty,
    /// Longer than 255 bytes.
    #[error("the name has {0} bytes of UTF-8, more than 255")]
    TooLong(usize),
    /// A character that would make a path or a full name ambiguous.
    #[error("the name {0:?} holds {1:?}, which names may not")]
    Forbidden(String, char),
    /// A full name with the wrong number of parts.
    #[error("the full name {0:?} has {1} part{s}, not {2}", s = if *.1 == 1 { "" } else { "s" })]
    Parts(String, usize, usize),
    /// A backtick that is not closed, or text behind a closing one.
    #[error("the full name {0:?} has a backtick that does not match")]
    Backtick(String),
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Problem::new(Code::InvalidArgument, error.to_string())
            .hint("names have 1 to 255 bytes and hold no dot, slash, space or control character")
    }
}

/// Checks one part of a name and gives it in NFC.
pub fn check_name(text: &str) -> Result<String, NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty);
    }
    let name: String = if is_nfc(text) { text.to_owned() } else { text.nfc().collect() };
    if name.len() > MAX_BYTES {
        return Err(NameError::TooLong(name.len()));
    }
    match name.chars().find(|c| matches!(c, '.' | '/' | '\\' | ' ') || c.is_control()) {
        Some(bad) => Err(NameError::Forbidden(name, bad)),
        None => Ok(name),
    }
}

/// A name as it is compared: NFC and lower case.
pub fn fold(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.nfc().collect::<String>().to_lowercase() }
}

/// A name of one to three parts: `catalog`, `catalog.schema`, `catalog.schema.table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullName(Vec<String>);

impl FullName {
    /// A full name from parts that were checked or come from the database.
    pub fn of<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        FullName(parts.into_iter().map(Into::into).collect())
    }

    /// Reads `a.b.c`, with backticks around any part, and checks each part.
    pub fn parse(text: &str, parts: usize) -> Result<Self, NameError> {
        let found = split(text)?;
        if found.len() != parts {
            return Err(NameError::Parts(text.to_owned(), found.len(), parts));
        }
        Ok(FullName(found.iter().map(|part| check_name(part)).collect::<Result<_, _>>()?))
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The last part.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// This name with one part more.
    pub fn child(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        FullName(parts)
    }

    /// The name as SQL reads it back: backticks around parts that need them.
    pub fn quoted(&self) -> String {
        let quote = |part: &String| {
            let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && part.chars().next().is_some_and(|c| !c.is_ascii_digit());
            if plain { part.clone() } else { format!("`{}`", part.replace('`', "``")) }
        };
        self.0.iter().map(quote).collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Splits at dots outside backticks; a doubled backtick inside a quoted part stands for one.
fn split(text: &str) -> Result<Vec<String>, NameError> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    let (mut quoted, mut closed) = (false, false);
    while let Some(c) = chars.next() {
        let Some(part) = parts.last_mut() else { break };
        match c {
            '`' if quoted && chars.peek() == Some(&'`') => {
                chars.next();
                part.push('`');
            }
            '`' if quoted => (quoted, closed) = (false, true),
            '`' if part.is_empty() && !closed => quoted = true,
            '.' if !quoted => {
                parts.push(String::new());
                closed = false;
            }
            _ if closed || (c == '`' && !quoted) => return Err(NameError::Backtick(text.to_owned())),
            _ => part.push(c),
        }
    }
    if quoted { Err(NameError::Backtick(text.to_owned())) } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_normalised() {
        assert_eq!(check_name("cafe\u{301}").unwrap(), "café");
        assert_eq!(check_name("🦫שלום").unwrap(), "🦫שלום");
        assert_eq!(check_name("a".repeat(255).as_str()).unwrap().len(), 255);
        assert_eq!(check_name(&"é".repeat(128)), Err(NameError::TooLong(256)));
        for bad in ["", "  ", "a.b", "a/b", "a\\b", "a b", "a\u{0}", "a\nb"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn full_names_round_trip_through_backticks() {
        let name = FullName::parse("main.`we``ird`.`t-1`", 3).unwrap();
        assert_eq!(name.parts(), ["main", "we`ird", "t-1"]);
        assert_eq!(name.quoted(), "main.`we``ird`.`t-1`");
        assert_eq!(FullName::parse(&name.quoted(), 3).unwrap(), name);
        assert!(FullName::parse("a.b", 3).is_err());
        assert!(FullName::parse("a.`b", 2).is_err());
        assert!(FullName::parse("a.`b`c", 2).is_err());
    }
}
