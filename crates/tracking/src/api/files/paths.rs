//! `/Models/<catalog>/<schema>/<model>/<version>/<path>`

use crannog_types::{FullName, Problem, Result, check_name};

use crate::model::artifacts::plain;

/// A path of a version's files, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ModelPath {
    /// The model's full name.
    pub(super) model: FullName,
    /// The version's number.
    pub(super) number: i64,
    /// The path below the version; empty for the version itself.
    pub(super) rest: String,
}

impl ModelPath {
    /// Reads what stands after `/Models/`.
    ///
    /// # Errors
    /// What names no version, or leads out of it.
    pub(super) fn below(path: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = path.chars().take(200).collect();
            Problem::invalid(format!("the path {shown:?} names no version of a model"))
                .hint("write /Models/<catalog>/<schema>/<model>/<version>/<path>")
        };
        let mut parts = path.splitn(5, '/');
        let mut names = Vec::with_capacity(3);
        for _ in 0..3 {
            names.push(check_name(parts.next().filter(|part| !part.is_empty()).ok_or_else(wrong)?)?);
        }
        let number = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
        Ok(ModelPath { model: FullName::of(names), number, rest: plain(parts.next().unwrap_or_default())? })
    }

    /// Reads a whole path.
    ///
    /// # Errors
    /// What does not begin with `/Models/`: files of volumes have no addresses of this kind.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let below = path.strip_prefix('/').unwrap_or(path).strip_prefix("Models/");
        Self::below(below.ok_or_else(|| {
            Problem::invalid("addresses are made for files of models alone")
                .hint("files of volumes go through /api/2.0/fs/files")
        })?)
    }

    /// The path of something below the version, as the wire writes it.
    pub(super) fn of(&self, rest: &str) -> String {
        format!("/Models/{}/{}/{rest}", self.model.parts().join("/"), self.number)
    }

    /// Nothing has the name.
    pub(super) fn missing(&self) -> Problem {
        Problem::not_found(format!("'{}' does not exist", self.of(&self.rest))).reason("NOT_FOUND")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_version_and_what_is_below_it() {
        let path = ModelPath::parse("/Models/main/flights/late/3/code/a b.py").unwrap();
        assert_eq!(
            (path.model.to_string().as_str(), path.number, path.rest.as_str()),
            ("main.flights.late", 3, "code/a b.py")
        );
        assert_eq!(path.of("MLmodel"), "/Models/main/flights/late/3/MLmodel");
        assert_eq!(ModelPath::below("main/flights/late/3").unwrap().rest, "");
        assert_eq!(ModelPath::below("main/flights/late/3/a/").unwrap().rest, "a");
        for wrong in [
            "/Volumes/a/b/c/d",
            "/Models/a/b/c",
            "/Models/a/b/c/x/y",
            "/Models//b/c/1/y",
            "/Models/a/b/c/1/../y",
            "/Models/a/b/c/1/x//y",
            "/Models/a/b/c/1/%2e%2e/y",
        ] {
            assert!(ModelPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
