//! Where a client says that a version's files are, and MLflow's rules for it: what our server serves has to be of the run or the
//! logged model that the version names, so that nobody makes a version of files that they may not read.

use crannog_types::{Problem, Result};

use crate::model::artifacts::{Holder, Place};

/// What a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files that this server keeps: of a run or of a logged model, below a path.
    Ours {
        /// Whose they are.
        holder: Holder,
        /// Where they are, for clients: to be compared with the address of the holder.
        place: Option<Place>,
        /// The folder below.
        path: String,
    },
    /// The files of another version: `models:/name/3`, `models:/name@alias`.
    Version(String),
    /// Elsewhere: in a bucket that clients read by themselves.
    Elsewhere,
}

fn contained(source: &str, by: &str) -> Problem {
    Problem::invalid(format!(
        "Invalid model version source: '{source}'. The {by} request parameter must identify the resource that contains the \
         source."
    ))
}

/// Reads a source of a version that names a run, a logged model, or neither.
///
/// # Errors
/// A path of this machine, one that leads elsewhere when it is followed, and what is not of the run or the model that is named.
pub fn parse(source: &str, run_id: Option<&str>, model_id: Option<&str>) -> Result<Source> {
    let by = if model_id.is_some() { "model_id" } else { "run_id" };
    let scheme = source
        .split_once(':')
        .map(|(scheme, _)| scheme)
        .filter(|scheme| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let Some(scheme) = scheme.map(str::to_ascii_lowercase).filter(|scheme| scheme != "file") else {
        return Err(Problem::invalid(format!(
            "Invalid model version source: '{source}'. To use a local path as a model version source, the {by} request \
             parameter has to be specified and the local path has to be contained within the artifact directory of the run \
             specified by the {by}."
        )));
    };
    refuse_relative(source)?;
    let rest = source.split_once(':').map_or("", |(_, rest)| rest);
    match scheme.as_str() {
        "runs" => {
            let (of, path) = rest.trim_start_matches('/').split_once('/').unwrap_or((rest.trim_start_matches('/'), ""));
            if model_id.is_some() || rest.starts_with("//") || run_id != Some(of) {
                return Err(contained(source, by));
            }
            Ok(Source::Ours {
                holder: Holder::Run(of.to_owned()),
                place: None,
                path: path.trim_matches('/').to_owned(),
            })
        }
        "models" => {
            let name = rest.strip_prefix('/').filter(|name| !name.is_empty() && !name.starts_with('/'));
            let name = name.ok_or_else(|| contained(source, "model_id"))?;
            if name.starts_with("m-") && !name.contains(['/', '@']) {
                if model_id != Some(name) {
                    return Err(contained(source, "model_id"));
                }
                return Ok(Source::Ours { holder: Holder::Model(name.to_owned()), place: None, path: String::new() });
            }
            Ok(Source::Version(name.to_owned()))
        }
        "mlflow-artifacts" => {
            let path = match rest.strip_prefix("//") {
                // With the name of a server: this one, whatever it is called.
                Some(rest) if !rest.starts_with('/') => rest.split_once('/').map_or("", |(_, path)| path),
                _ => rest,
            };
            let place = Place::parse(path.trim_matches('/')).map_err(|_| contained(source, by))?;
            let fits = match &place.holder {
                Holder::Run(of) => model_id.is_none() && run_id == Some(of),
                Holder::Model(of) => model_id == Some(of),
            };
            if !fits {
                return Err(contained(source, by));
            }
            let (holder, path) = (place.holder.clone(), place.path.clone());
            Ok(Source::Ours { holder, place: Some(place), path })
        }
        "http" | "https" if source.contains("/api/2.0/mlflow-artifacts/artifacts") => Err(contained(source, by)),
        _ => Ok(Source::Elsewhere),
    }
}

/// The logged model whose files a source says, where it says one of ours.
pub fn named_model(source: &str) -> Option<String> {
    if let Some(id) = source.strip_prefix("models:/").filter(|id| id.starts_with("m-") && !id.contains(['/', '@'])) {
        return Some(id.to_owned());
    }
    match Place::parse(source.strip_prefix("mlflow-artifacts:/")?.trim_matches('/')).ok()?.holder {
        Holder::Model(id) => Some(id),
        Holder::Run(_) => None,
    }
}

/// The problem of a source that is not where the run or the model has its files.
pub fn not_there(source: &str, model_id: Option<&str>) -> Problem {
    contained(source, if model_id.is_some() { "model_id" } else { "run_id" })
}

/// So often a source may be encoded over and over: each time costs as much as it is long, and `%2525…25` has a time for each 25.
const DECODED: usize = 10;

/// Refuses what would be another path when somebody decodes or follows it, however often.
fn refuse_relative(source: &str) -> Result<()> {
    let mut text = source.to_owned();
    let settles = (0..DECODED).any(|_| {
        let decoded = percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let settled = decoded == text;
        text = decoded;
        settled
    });
    let strange = text.contains('\0') || text.split('/').any(|part| part == ".." || part == ".");
    if strange || !settles {
        return Err(Problem::invalid(format!(
            "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, \
             objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references \
             present. Please provide an absolute path."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(source: &str, run_id: Option<&str>, model_id: Option<&str>) -> Option<(Holder, String)> {
        match parse(source, run_id, model_id) {
            Ok(Source::Ours { holder, path, .. }) => Some((holder, path)),
            _ => None,
        }
    }

    #[test]
    fn what_we_keep_is_of_the_run_or_the_model_that_is_named() {
        let run = (Holder::Run("r".to_owned()), "m".to_owned());
        for source in ["runs:/r/m", "mlflow-artifacts:/1/r/artifacts/m", "mlflow-artifacts://host:80/1/r/artifacts/m"] {
            assert_eq!(ours(source, Some("r"), None), Some(run.clone()), "{source}");
            for (run_id, model_id) in [(None, None), (Some("other"), None), (Some("r"), Some("m-1"))] {
                assert!(parse(source, run_id, model_id).is_err(), "{source}");
            }
        }
        for source in ["models:/m-1", "mlflow-artifacts:/1/models/m-1/artifacts"] {
            assert_eq!(named_model(source).as_deref(), Some("m-1"));
        }
        assert_eq!(named_model("mlflow-artifacts:/1/r/artifacts/m").or(named_model("models:/late/1")), None);
        let model = (Holder::Model("m-1".to_owned()), String::new());
        for source in ["models:/m-1", "mlflow-artifacts:/1/models/m-1/artifacts"] {
            assert_eq!(ours(source, Some("r"), Some("m-1")), Some(model.clone()), "{source}");
            assert!(parse(source, Some("r"), None).is_err() && parse(source, None, Some("m-2")).is_err());
        }
    }

    #[test]
    fn paths_of_this_machine_and_those_that_lead_elsewhere_are_refused() {
        for source in [
            "/etc",
            "file:///etc",
            "etc",
            "./x",
            "s3://bucket/../x",
            "s3://bucket/%2e%2e/x",
            "s3://bucket/%252e%252e/x",
            "mlflow-artifacts:/1/r/artifacts/../../x",
            "mlflow-artifacts:/1/other",
            "http://host/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/m",
            "models:/",
            "models://host/m",
        ] {
            assert!(parse(source, Some("r"), None).is_err(), "{source}");
        }
        // Each time it is decoded it loses one 25.
        let again_and_again = format!("s3://bucket/%{}2e", "25".repeat(1000));
        assert!(parse(&again_and_again, None, None).is_err());
        assert_eq!(parse("s3://bucket/m", None, None).unwrap(), Source::Elsewhere);
        assert_eq!(parse("models:/late/3", None, None).unwrap(), Source::Version("late/3".to_owned()));
    }
}
