//! Misuse of permits does not compile: each file of `compile_fail/` is tried, and fails for the reason in its first line.
//!
//! `control.rs` is the right use of the same things and compiles, so that no case fails for want of something else. What
//! the compiler cannot refuse (making a caller, the program's own permit) is refused by clippy: `clippy.toml`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_misuse_is_refused_by_the_compiler() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 19, "{} cases", cases.len());
    for case in &cases {
        let text = std::fs::read_to_string(case).unwrap();
        let wanted = text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap();
        let (compiles, errors) = compile(case);
        let codes: BTreeSet<&str> = errors.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
        let name = case.file_name().unwrap();
        if wanted == "compiles" {
            assert!(compiles, "{name:?}\n{errors}");
        } else {
            assert!(!compiles && codes == BTreeSet::from([wanted]), "{name:?}: {codes:?}, not {wanted}\n{errors}");
        }
    }
}

/// Compiles a file against this crate as it was just built; gives whether it did, and what the compiler said.
#[expect(clippy::disallowed_methods, reason = "the compiler is what is tested")]
fn compile(case: &Path) -> (bool, String) {
    let built = std::env::current_exe().unwrap();
    let built = built.parent().unwrap();
    let library = newest(built, "libcrannog_security-");
    let out = folder();
    let done = Command::new(option_env!("RUSTC").unwrap_or("rustc"))
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--cap-lints", "allow"])
        .arg("--extern")
        .arg(format!("crannog_security={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", built.display()))
        .arg("--out-dir")
        .arg(&out)
        .arg(case)
        .output()
        .unwrap();
    std::fs::remove_dir_all(out).unwrap();
    (done.status.success(), String::from_utf8(done.stderr).unwrap())
}

/// The library of the newest build: several lie there when it was built for several others.
fn newest(folder: &Path, prefix: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let libraries = entries.filter(|entry| {
        let name = entry.file_name().into_string().unwrap_or_default();
        name.starts_with(prefix) && name.ends_with(".rlib")
    });
    libraries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap().path()
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("misuse-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
