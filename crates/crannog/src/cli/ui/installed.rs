//! The build of MLflow's pages out of an installed mlflow. Its Python says where that is; MLflow itself is not loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crannog_tracking::service::ui::{Build, MOST_BYTES, MOST_FILES};

use crate::cli::Failure;

/// Where a build is in the package.
pub(super) const BUILD: &str = "mlflow/server/js/build";

/// Prints version and folder of the installed mlflow, a line each. The folder that a person is in is not looked into.
const ASK: &str = "import sys; sys.path = [p for p in sys.path if p]\n\
                   from importlib.metadata import distribution\n\
                   found = distribution('mlflow'); print(found.version); print(found.locate_file('mlflow/server/js/build'))";

pub(super) fn read(python: &Path) -> Result<Build, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the person's own command starts the Python that they name")]
    let mut command = std::process::Command::new(python);
    let asked = command.args(["-c", ASK]).stdin(std::process::Stdio::null()).output();
    let named = python.display();
    let asked = asked.map_err(|error| {
        Failure::new(format!(
            "{named} cannot be started: {error}; name the Python that mlflow is installed for with --python"
        ))
    })?;
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    let [version, folder] = said.lines().collect::<Vec<_>>()[..] else {
        return Err(Failure::new(format!(
            "mlflow is not installed for {named}; name the Python that it is installed for with --python, or a wheel of it \
             with --wheel"
        )));
    };
    let mut files = BTreeMap::new();
    walk(Path::new(folder), "", &mut files, &mut 0)?;
    Ok(Build { version: version.to_owned(), files })
}

/// Reads what is in a folder. Links are refused: they may lead anywhere.
fn walk(folder: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>, bytes: &mut usize) -> Result<(), Failure> {
    let unreadable =
        |path: &Path, error: std::io::Error| Failure::new(format!("{} cannot be read: {error}", path.display()));
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let path: PathBuf = entry.path();
        let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{below}{name}")) else {
            return Err(Failure::new(format!("{} has a name that is no text", path.display())));
        };
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), files, bytes)?;
        } else if kind.is_file() {
            let content = fs::read(&path).map_err(|error| unreadable(&path, error))?;
            *bytes += content.len();
            files.insert(name, content);
            if files.len() > MOST_FILES || *bytes > MOST_BYTES {
                return Err(Failure::new(format!("{} holds more than a build of MLflow's pages", folder.display())));
            }
        } else {
            return Err(Failure::new(format!("{} is no file: links are not followed", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_a_build_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("static")).unwrap();
        fs::write(scratch.path().join("static/a.js"), "a").unwrap();
        let mut files = BTreeMap::new();
        walk(scratch.path(), "", &mut files, &mut 0).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["static/a.js"]);
        std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("static/b.js")).unwrap();
        let refused = walk(scratch.path(), "", &mut BTreeMap::new(), &mut 0).err().unwrap().to_string();
        assert!(refused.contains("links are not followed"), "{refused}");
    }
}
