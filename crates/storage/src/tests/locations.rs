//! Locations: one normal form, nothing hidden in an encoding.

use super::Scratch;
use crate::{External, Location, Storage, StorageError};

#[test]
fn spellings_of_the_same_location_are_equal() {
    for spelling in [
        "file:///data/my%20table",
        "file:/data/my%20table",
        "FILE:///data/my table/",
        "file://localhost/data/my table",
        "/data/my table",
        "/data/my table/",
    ] {
        let location = Location::parse(spelling).unwrap();
        assert_eq!(location.to_string(), "file:///data/my%20table", "{spelling}");
        assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
    }
}

#[test]
fn every_name_survives_its_url() {
    for name in ["100%", "%2e%2e", "a#b?c", "🐘", "e\u{301}", "a:b@c", "a\\b", "+ &=", "%", "a%zz"] {
        let location = Location::parse("/data").unwrap().child(name).unwrap();
        assert_eq!(Location::parse(&location.to_string()).unwrap(), location, "{location}");
        assert_eq!(location.name(), name);
    }
}

#[test]
fn refused_locations() {
    for text in [
        "",
        "data",
        "./data",
        "../data",
        "/",
        "//",
        "///",
        "file:",
        "file:///",
        "file://",
        "file:data",
        "file://host/data",
        "file://localhostdata",
        "/data//x",
        "/data/./x",
        "/data/../x",
        "file:///data/%2e%2e/x",
        "file:///data/%2E%2E",
        "file:///a%2fb",
        "file:///a%00b",
        "/a\0b",
        "/a\nb",
        "file:///a%",
        "file:///a%2",
        "file:///a%zz",
        "file:///%ff",
        "file:///a?b",
        "file:///a#b",
        "/data/.crannog-tmp",
        ":x",
        "1 2:x",
    ] {
        let error = Location::parse(text).unwrap_err();
        assert!(matches!(error, StorageError::Location { .. }), "{text:?}: {error}");
    }
    for text in ["s3://bucket/table", "abfss://c@a.dfs.core.windows.net/x", "gs:x", "dbfs:/x"] {
        assert!(matches!(Location::parse(text), Err(StorageError::Scheme { .. })), "{text}");
    }
    let base = Location::parse("/data").unwrap();
    for child in ["", "..", "a/..", "/a", "a/", "a//b"] {
        assert!(base.child(child).is_err(), "{child}");
    }
}

#[test]
fn containment_counts_whole_names() {
    let at = |text: &str| Location::parse(text).unwrap();
    assert!(at("/a/b").is_under(&at("/a")) && at("/a").is_under(&at("/a")));
    assert!(!at("/ab").is_under(&at("/a")) && !at("/a").is_under(&at("/a/b")));
    assert!(at("/a").overlaps(&at("/a/b")) && at("/a/b").overlaps(&at("/a")) && !at("/a/b").overlaps(&at("/a/c")));
}

#[test]
fn only_allowed_roots_may_be_used() {
    let scratch = Scratch::new();
    let at = |path: &str| Location::of_path(&scratch.path().join(path)).unwrap();
    let storage = |external| Storage::new(&scratch.path().join("data"), external).unwrap();
    std::fs::create_dir_all(scratch.path().join("lake")).unwrap();
    std::fs::create_dir_all(scratch.path().join("private")).unwrap();
    std::os::unix::fs::symlink(scratch.path().join("private"), scratch.path().join("lake/escape")).unwrap();
    let some = storage(External::Under(vec![at("lake")]));
    assert!(some.check_external(&at("lake/t")).is_ok() && some.check_external(&at("lake")).is_ok());
    for refused in ["lakes", "private", "lake/escape", "lake/escape/t"] {
        assert!(matches!(some.check_external(&at(refused)), Err(StorageError::Refused { .. })), "{refused}");
    }
    assert!(storage(External::Nowhere).check_external(&at("lake")).is_err());
    assert!(storage(External::Anywhere).check_external(&at("lake")).is_ok());
}
