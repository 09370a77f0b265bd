//! `/Volumes/<catalog>/<schema>/<volume>/<path>`

use crannog_types::{FullName, Problem, Result, check_name};

/// A path of the Files API, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VolumePath {
    /// The volume's full name.
    pub(super) volume: FullName,
    /// The path below it, as it was sent; empty for the volume itself.
    pub(super) rest: String,
}

impl VolumePath {
    /// Reads a path that was percent-decoded once, with or without a slash in front.
    ///
    /// # Errors
    /// Anything that does not name a volume. What stands after the volume is checked where it is used, by `storage`.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let wrong = || {
            Problem::invalid(format!("the path {} names no volume", shown(path)))
                .hint("write /Volumes/<catalog>/<schema>/<volume>/<path>")
        };
        let path_below = path.strip_prefix('/').unwrap_or(path);
        let mut parts = path_below.splitn(5, '/');
        if parts.next() != Some("Volumes") {
            return Err(wrong());
        }
        let mut names = Vec::with_capacity(3);
        for _ in 0..3 {
            names.push(check_name(parts.next().filter(|part| !part.is_empty()).ok_or_else(wrong)?)?);
        }
        Ok(VolumePath { volume: FullName::of(names), rest: parts.next().unwrap_or_default().to_owned() })
    }

    /// The path of something below the volume, as the wire writes it.
    pub(super) fn of(&self, rest: &str) -> String {
        format!("/Volumes/{}/{rest}", self.volume.parts().join("/"))
    }

    /// The path below the volume, of a file.
    ///
    /// # Errors
    /// When it is the volume itself.
    pub(super) fn file(&self) -> Result<&str> {
        if self.rest.is_empty() {
            return Err(Problem::invalid(format!("{} is a volume, not a file", self.volume)));
        }
        Ok(&self.rest)
    }

    /// The path below the volume, of a directory: one slash may stand at the end.
    pub(super) fn directory(&self) -> &str {
        self.rest.strip_suffix('/').unwrap_or(&self.rest)
    }
}

/// A text that a stranger sent, fit for a message.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_volume_and_what_is_below_it() {
        let path = VolumePath::parse("/Volumes/main/s/v/a/b c.csv").unwrap();
        assert_eq!(path.volume, FullName::of(["main", "s", "v"]));
        assert_eq!(path.rest, "a/b c.csv");
        assert_eq!(path.of("a/b c.csv"), "/Volumes/main/s/v/a/b c.csv");
        assert_eq!(VolumePath::parse("Volumes/main/s/v").unwrap().rest, "");
        assert_eq!(VolumePath::parse("Volumes/main/s/v/a/").unwrap().directory(), "a");
        // Nothing is decoded here: what looks encoded is a name.
        assert_eq!(VolumePath::parse("Volumes/main/s/v/%2e%2e/x").unwrap().rest, "%2e%2e/x");
        for bad in [
            "",
            "/",
            "Volumes",
            "Volumes/a/b",
            "volumes/a/b/c",
            "//Volumes/a/b/c",
            "Volumes//a/b/c",
            "x/a/b/c/d",
            "Volumes/a/b\u{0}/c",
            "Volumes/a.b/c/d",
        ] {
            assert!(VolumePath::parse(bad).is_err(), "{bad}");
        }
    }
}
