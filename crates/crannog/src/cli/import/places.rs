//! Where files are, as another tracker writes it: on this machine, behind its server, or in a bucket.
//!
//! A folder is only read when it has the name that the tracker gives it, with the id of its run or model: a database that somebody
//! else could write to must not make an administrator send other files of this machine.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::cli::Failure;

/// Where the folders of a source are.
pub(super) struct Places {
    /// What relative paths are below.
    base: PathBuf,
    /// What `mlflow-artifacts:/` stands for.
    behind: Option<PathBuf>,
}

/// Where files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a folder of this machine.
    Here(PathBuf),
    /// In a bucket.
    Bucket,
    /// Nobody knows, and why.
    Unknown(&'static str),
}

impl Places {
    /// With the folder of the source, and the one that its server keeps files in.
    pub(super) fn new(base: &Path, behind: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(folder) = behind.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Failure::new(format!("{} is no folder; --artifacts names one", folder.display())));
        }
        Ok(Places { base: base.to_owned(), behind })
    }

    /// Where an address leads.
    pub(super) fn of(&self, address: &str) -> Place {
        let path = match address.split_once(':') {
            Some(("mlflow-artifacts", path)) => {
                let Some(folder) = &self.behind else {
                    return Place::Unknown("their folder is not known: --artifacts names that of MLflow's server");
                };
                folder.join(within(path).trim_matches('/'))
            }
            Some(("file", path)) => {
                let path = path.strip_prefix("//localhost").unwrap_or(path);
                let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
                self.base.join(path.strip_prefix("//").unwrap_or(&path))
            }
            Some((scheme, _)) if scheme.len() > 1 && !scheme.contains('/') => return Place::Bucket,
            _ => self.base.join(address),
        };
        match path.components().any(|part| part == Component::ParentDir) {
            true => Place::Unknown("their path leads out of their folder"),
            false => Place::Here(path),
        }
    }

    /// The folder of the files of a run or model: one that ends in `<id>/artifacts`.
    pub(super) fn files_of(&self, address: &str, id: &str) -> Place {
        match self.of(address) {
            Place::Here(path) if !path.ends_with(Path::new(id).join("artifacts")) => {
                Place::Unknown("their folder has another name than the tracker gives it")
            }
            place => place,
        }
    }
}

/// The path of an address behind a server, without the server.
fn within(path: &str) -> &str {
    match path.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => rest.split_once('/').map_or("", |(_, path)| path),
        _ => path,
    }
}

/// Where runs of an experiment have their files here: `None` for this server's own place for it.
pub(super) fn location(experiment: i64, address: &str) -> Option<String> {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| !scheme.contains('/'));
    match scheme {
        Some("mlflow-artifacts") => {
            let path = within(address.split_once(':').map_or("", |(_, path)| path)).trim_matches('/');
            // A place of its own stays, so that addresses in old notes are those of today.
            let own =
                path != experiment.to_string() && !path.is_empty() && !path.split('/').any(|part| part == "artifacts");
            own.then(|| format!("mlflow-artifacts:/{path}"))
        }
        Some("file") | None => None,
        Some(scheme) if scheme.len() == 1 => None,
        Some(_) => Some(address.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_folders_of_runs_and_nowhere_else() {
        let places = Places { base: "/srv/mlflow".into(), behind: Some("/data".into()) };
        for (address, at) in [
            ("/x/1/r/artifacts", "/x/1/r/artifacts"),
            ("file:///x/a%20b/r/artifacts", "/x/a b/r/artifacts"),
            ("file:/x/r/artifacts", "/x/r/artifacts"),
            ("./mlruns/1/r/artifacts", "/srv/mlflow/./mlruns/1/r/artifacts"),
            ("mlflow-artifacts:/1/r/artifacts", "/data/1/r/artifacts"),
            ("mlflow-artifacts://host:80/1/r/artifacts", "/data/1/r/artifacts"),
        ] {
            assert_eq!(places.files_of(address, "r"), Place::Here(at.into()), "{address}");
        }
        assert_eq!(places.of("s3://bucket/1"), Place::Bucket);
        for wrong in
            ["/etc", "file:///etc", "mlflow-artifacts:/../etc/r/artifacts", "/x/r/artifacts/../../other/artifacts"]
        {
            assert!(matches!(places.files_of(wrong, "r"), Place::Unknown(_)), "{wrong}");
        }
        assert!(matches!(Places { behind: None, ..places }.of("mlflow-artifacts:/1"), Place::Unknown(_)));
    }

    #[test]
    fn experiments_keep_places_that_others_serve() {
        for (address, kept) in [
            ("/home/ana/mlruns/7", None),
            ("file:///home/ana/mlruns/7", None),
            ("mlflow-artifacts:/7", None),
            ("mlflow-artifacts://host/7", None),
            ("mlflow-artifacts:/team/a", Some("mlflow-artifacts:/team/a")),
            ("s3://bucket/7", Some("s3://bucket/7")),
        ] {
            assert_eq!(location(7, address).as_deref(), kept, "{address}");
        }
    }
}
