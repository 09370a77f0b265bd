//! Rules of the workspace, read from `cargo metadata`: which way crates depend, who may own the heavy doors, licences.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::running::root;

/// A crate may depend on those that stand before it; `docs/ARCHITECTURE.md` draws it.
const ORDER: [&str; 11] =
    ["types", "security", "store", "kit", "storage", "identity", "governance", "lake", "tracking", "engine", "crannog"];

/// Dependencies that only some crates may name.
const OWNERS: [(&str, &[&str]); 10] = [
    ("sqlx", &["store"]),
    ("rusqlite", &["store"]),
    ("sea-query", &["store"]),
    ("axum", &["kit"]),
    ("object_store", &["storage", "engine"]),
    ("datafusion", &["engine"]),
    ("datafusion-spark", &["engine"]),
    ("delta_kernel", &["engine"]),
    ("delta_kernel_default_engine", &["engine"]),
    ("sqlparser", &["lake", "engine"]),
];

/// Licences that Apache-2.0 can be distributed with. Of a choice, one has to be among them.
const LICENCES: [&str; 16] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "OpenSSL",
    "bzip2-1.0.6",
];

fn metadata() -> Value {
    #[expect(clippy::disallowed_methods, reason = "the workspace is read by the tool that builds it")]
    let mut cargo = std::process::Command::new(env!("CARGO"));
    // What other systems would need is not on this machine, and not part of what is built here.
    let here = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let done = cargo
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &here])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Each crate of the workspace, by its short name, with what it depends on outside tests.
fn crates(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let ours = metadata["packages"].as_array().unwrap().iter();
    ours.filter(|package| members.contains(package["id"].as_str().unwrap()))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            let names = normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().trim_start_matches("crannog-").to_owned(), names)
        })
        .collect()
}

#[test]
fn crates_depend_one_way() {
    let crates = crates(&metadata());
    let names: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(names, ORDER.into(), "a crate has no place in the order");
    for (name, dependencies) in &crates {
        let at = ORDER.iter().position(|known| known == name).unwrap();
        for dependency in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("crannog-")) {
            let below = ORDER.iter().position(|known| *known == dependency).unwrap();
            assert!(below < at, "{name} depends on {dependency}, which stands after it");
        }
    }
}

#[test]
fn heavy_doors_have_their_owners() {
    for (name, dependencies) in crates(&metadata()) {
        for (door, owners) in OWNERS {
            assert!(!dependencies.contains(door) || owners.contains(&name.as_str()), "{name} must not know {door}");
        }
    }
}

#[test]
fn licences_of_dependencies_fit_ours() {
    let metadata = metadata();
    let built = built(&metadata);
    for package in metadata["packages"].as_array().unwrap() {
        if !built.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(fits(licence), "{name} is under {licence:?}");
    }
}

/// What is part of the program, or of building it: reached without tests' dependencies.
fn built(metadata: &Value) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    let members = metadata["workspace_members"].as_array().unwrap();
    let mut waiting: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    while let Some(id) = waiting.pop() {
        if !found.insert(id.to_owned()) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let part = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
            if part {
                waiting.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    found
}

/// Every part of an AND, one part of an OR; the old slash is an OR.
fn fits(licence: &str) -> bool {
    let plain = licence.replace('/', " OR ");
    let (text, mut depth) = (plain.trim(), 0_i32);
    if LICENCES.contains(&text) {
        return true;
    }
    // AND binds closer than OR, so a text is an OR of ANDs.
    for word in [" OR ", " AND "] {
        let mut parts = Vec::new();
        let mut begin = 0;
        for (at, c) in text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if depth == 0 && at >= begin && text[at..].starts_with(word) => {
                    parts.push(&text[begin..at]);
                    begin = at + word.len();
                }
                _ => {}
            }
        }
        if !parts.is_empty() {
            parts.push(&text[begin..]);
            return if word == " AND " {
                parts.iter().all(|part| fits(part))
            } else {
                parts.iter().any(|part| fits(part))
            };
        }
    }
    text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).is_some_and(fits)
}

#[test]
fn expressions_of_licences_are_read() {
    for (licence, good) in [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT OR GPL-3.0 AND GPL-2.0", true),
        ("", false),
    ] {
        assert_eq!(fits(licence), good, "{licence}");
    }
}

/// Writes down a migration that no program of today has.
pub(crate) fn newer_migration(file: &Path) {
    // The list of migrations is a table; one row more is what a newer program would have left. Written by SQLite's own
    // command line where it is there, else through Python, which the tests need anyway.
    let script = "import sqlite3, sys\n\
         db = sqlite3.connect(sys.argv[1])\n\
         db.execute(\"INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
         VALUES (99, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)\")\n\
         db.commit()\n";
    #[expect(clippy::disallowed_methods, reason = "the test writes into a database as a newer program would")]
    let mut python = std::process::Command::new("python3");
    let done = python.args(["-c", script]).arg(file).status().unwrap();
    assert!(done.success());
}
