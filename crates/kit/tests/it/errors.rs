//! The table of errors, as a golden file for people; and words that our messages must not hold.

use std::path::{Path, PathBuf};

use crannog_kit::{Dialect, dialects};
use crannog_types::{Code, Problem};

const DIALECTS: [Dialect; 6] =
    [Dialect::Databricks, Dialect::Unity, Dialect::Mlflow, Dialect::Scim, Dialect::OAuth, Dialect::Html];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `UPDATE_GOLDEN=1 cargo test -p crannog-kit` writes it anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the person says by the environment that the golden file is to be written"
)]
fn the_table_of_errors_is_the_committed_one() {
    let mut text = String::from(
        "# Errors\n\nWhat each kind of failure is in each protocol: status and vendor string. Routes may send a more exact \
         string, for example `SCHEMA_ALREADY_EXISTS`. Generated from the program; a test keeps it so.\n\n| code |",
    );
    for dialect in DIALECTS {
        text += &format!(" {} |", format!("{dialect:?}").to_lowercase());
    }
    text += &format!("\n|{}\n", "---|".repeat(DIALECTS.len() + 1));
    for code in Code::ALL {
        text += &format!("| {code:?} |");
        for dialect in DIALECTS {
            let (status, body) = dialects::render(&Problem::new(code, "what failed"), dialect, "id");
            let word = ["error_code", "scimType", "error"].iter().find_map(|field| body.get(field)?.as_str());
            text += &format!(" {}{} |", status.as_u16(), word.map(|word| format!(" `{word}`")).unwrap_or_default());
        }
        text += "\n";
    }
    let file = repository().join("docs/errors.md");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "docs/errors.md is not up to date; UPDATE_GOLDEN=1 writes it. It should be:\n{text}");
}

/// databricks-sdk (0.162, `_base_client.py`) repeats a request for minutes when an error's message holds one of these,
/// whatever its status is.
const REPEATED: [&str; 8] = [
    "com.databricks.backend.manager.util.UnknownWorkerEnvironmentException",
    "does not have any associated worker environments",
    "There is no worker environment with id",
    "Unknown worker environment",
    "ClusterNotReadyException",
    "Unexpected error",
    "Please try again later or try a faster operation.",
    "RPC token bucket limit has been exceeded",
];

#[test]
fn no_message_makes_the_sdk_repeat_a_request() {
    let (mut folders, mut looked_at) = (vec![repository().join("crates")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs")
                && path.components().any(|part| part.as_os_str() == "src")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let found = REPEATED.iter().find(|phrase| text.contains(**phrase));
                assert_eq!(found, None, "{}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 50, "{looked_at} files");
}

#[test]
fn our_own_faults_tell_nothing_but_where_to_look() {
    let problem = Problem::internal("the metadata database failed", "password=hunter2").hint("secret hint");
    for dialect in DIALECTS {
        let (_, body) = dialects::render(&problem, dialect, "the-id");
        let text = body.to_string();
        assert!(text.contains("the-id") && !text.contains("hunter2") && !text.contains("secret hint"), "{text}");
    }
}
