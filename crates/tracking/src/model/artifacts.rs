//! Where files are, as clients write it: `<place of the experiment>/<run>/artifacts/<path>`, those of models
//! `<place of the experiment>/models/<model>/artifacts/<path>`.

use crannog_types::{Problem, Result};

/// Whose files they are, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A run's.
    Run(String),
    /// A logged model's.
    Model(String),
}

/// A place below the root of all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The holder's folder, as it was written: `7/<run id>/artifacts`.
    pub folder: String,
    /// The run, or the model.
    pub holder: Holder,
    /// The path below that folder; empty for the folder itself.
    pub path: String,
}

/// The scheme of what goes through the server.
const SCHEME: &str = "mlflow-artifacts:";

/// The longest path in bytes: both databases find files by it.
const LONGEST: usize = 2000;

/// Whether a place for runs would hide them: a run is what stands before the first folder `artifacts`.
pub fn hides_runs(location: &str) -> bool {
    location.strip_prefix(SCHEME).is_some_and(|path| path.split('/').any(|part| part == "artifacts"))
}

fn invalid() -> Problem {
    Problem::invalid("Invalid path")
}

/// A path in its plain form: parts joined by single slashes, none of which means another place.
///
/// # Errors
/// `Invalid path`, MLflow's words, for everything else.
pub fn plain(path: &str) -> Result<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    let strange = |c: char| c == '\\' || c == '\0' || c.is_control();
    // What would be another path when somebody decodes it once more.
    let encoded = ["%2e", "%2f", "%5c", "%00", "%25"].iter().any(|code| path.to_ascii_lowercase().contains(code));
    if !path.split('/').all(fine) || path.contains(strange) || encoded || path.len() > LONGEST {
        return Err(invalid());
    }
    Ok(path.to_owned())
}

impl Place {
    /// Reads a place: what stands before the first `artifacts` that has two names before it is the run, or after `models` in an
    /// experiment the model.
    ///
    /// # Errors
    /// `Invalid path` for what is none.
    pub fn parse(text: &str) -> Result<Self> {
        let text = plain(text)?;
        let parts: Vec<&str> = text.split('/').collect();
        let at = parts.iter().skip(2).position(|part| *part == "artifacts").map(|at| at + 2);
        let at = at.ok_or_else(|| invalid().hint("files are at <experiment id>/<run id>/artifacts/<path>"))?;
        let id = parts[at - 1].to_owned();
        let model = at > 2 && parts[at - 2] == "models" && id.starts_with("m-");
        let holder = if model { Holder::Model(id) } else { Holder::Run(id) };
        Ok(Place { folder: parts[..=at].join("/"), holder, path: parts[at + 1..].join("/") })
    }

    /// Whether it is the place of somebody whose files are at this address.
    pub fn is_of(&self, artifact_uri: &str) -> bool {
        let path = artifact_uri.strip_prefix(SCHEME).map(|path| match path.strip_prefix("//") {
            // An address with a host: this server, whatever it is called.
            Some(rest) if !rest.starts_with('/') => rest.split_once('/').map_or("", |(_, path)| path),
            _ => path,
        });
        path.is_some_and(|path| path.trim_matches('/') == self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_nothing_leads_out() {
        let place = Place::parse("7/abc/artifacts/model/MLmodel").unwrap();
        assert_eq!((place.holder.clone(), place.path.as_str()), (Holder::Run("abc".to_owned()), "model/MLmodel"));
        assert!(place.is_of("mlflow-artifacts:/7/abc/artifacts"));
        assert!(place.is_of("mlflow-artifacts://host:80/7/abc/artifacts"));
        assert!(!place.is_of("mlflow-artifacts:/8/abc/artifacts") && !place.is_of("s3://7/abc/artifacts"));
        assert_eq!(Place::parse("7/abc/artifacts/").unwrap().path, "");
        let deep = Place::parse("team/a/abc/artifacts/x/artifacts/y").unwrap();
        assert_eq!((deep.holder, deep.path.as_str()), (Holder::Run("abc".to_owned()), "x/artifacts/y"));
        let model = Place::parse("7/models/m-1/artifacts/MLmodel").unwrap();
        assert_eq!((model.holder.clone(), model.path.as_str()), (Holder::Model("m-1".to_owned()), "MLmodel"));
        assert!(model.is_of("mlflow-artifacts:/7/models/m-1/artifacts"));
        // Experiments whose own place is called so.
        assert_eq!(Place::parse("models/abc/artifacts").unwrap().holder, Holder::Run("abc".to_owned()));
        assert_eq!(Place::parse("a/models/abc/artifacts").unwrap().holder, Holder::Run("abc".to_owned()));
        for wrong in [
            "",
            "7",
            "7/abc",
            "7/abc/other/x",
            "../7/abc/artifacts/x",
            "7/abc/artifacts/../x",
            "7/abc/artifacts//x",
            "/7/abc/artifacts/x",
            "7/abc/artifacts/a\\b",
            "7/abc/artifacts/%2e%2e/x",
            "7/abc/artifacts/%252e%252e/x",
            "7/abc/artifacts/a\0b",
            "7/abc/artifacts/./x",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
