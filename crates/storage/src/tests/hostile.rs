//! Paths that try to leave the folder: a corpus of encodings times positions, and links.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crannog_types::{Code, Problem};
use object_store::ObjectStoreExt;
use percent_encoding::percent_decode_str;

use super::{Scratch, disk, open};
use crate::{Location, StorageError};

/// `..` and its relatives, as attackers of artifact stores wrote them.
const UPWARD: &[&str] = &[
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%25252e%25252e",
    "..%00",
    "..\0",
    "%c0%ae%c0%ae",
    "%u002e%u002e",
    "\u{2024}\u{2024}",
    "\u{ff0e}\u{ff0e}",
    "..;",
    "..%3b",
    "..\\",
    "..%5c",
    "..%255c",
    "..%2f..",
    "..%252f..",
    "..%c0%af..",
    "..\u{2215}..",
    "..\u{ff0f}..",
    "..\\..\\..\\secret",
    "..\r",
    "..\n",
    "..\t",
    "\u{7f}..",
    " ..",
    ".. ",
];

/// Where it stands in a path that ends in the file to be reached.
const AROUND: &[(&str, &str)] = &[
    ("", "/secret"),
    ("", "/../secret"),
    ("a/", "/secret"),
    ("a/", "/../secret"),
    ("a/b/", "/../../../secret"),
    ("./", "/secret"),
    ("/", "/secret"),
    ("//", "/secret"),
    ("a//", "/secret"),
    ("", ""),
    ("a/", ""),
    ("a/", "/"),
    ("file:///", "/secret"),
    ("\\", "\\secret"),
    ("C:\\", "\\secret"),
];

fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> =
        UPWARD.iter().flat_map(|up| AROUND.iter().map(move |(before, after)| format!("{before}{up}{after}"))).collect();
    corpus.extend(
        ["", "/", "//", "/etc/passwd", "//etc/passwd", "\0", "a\0b", "a/\0", ".crannog-x", "a/.crannog-tmp/b"]
            .map(String::from),
    );
    // What a door that decodes once hands on.
    let decoded: Vec<String> = corpus
        .iter()
        .filter_map(|path| percent_decode_str(path).decode_utf8().ok().map(|path| path.into_owned()))
        .collect();
    corpus.extend(decoded);
    corpus.push("x".repeat(256));
    corpus.push("x/".repeat(3_000));
    corpus
}

#[tokio::test]
async fn no_hostile_path_reaches_outside() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.put("a/b/inside", "inside").await.unwrap();
    // A canary in every folder above the table.
    let canaries: Vec<_> = disk(&folder)
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(scratch.path()))
        .map(|above| above.join("secret"))
        .collect();
    for canary in &canaries {
        std::fs::write(canary, "canary").unwrap();
    }
    let corpus = corpus();
    assert!(corpus.len() >= 400, "{}", corpus.len());
    let (mut refused, mut names) = (0, 0);
    for path in &corpus {
        let written = folder.put(path, "attack").await;
        match &written {
            Err(StorageError::Path { .. }) => refused += 1,
            // A name that only looks hostile is a plain name beneath the folder.
            Ok(meta) => {
                names += 1;
                assert_eq!(&meta.path, path);
                assert!(disk(&folder).join(path).is_file(), "{path:?}");
                assert!(std::fs::canonicalize(disk(&folder).join(path)).unwrap().starts_with(disk(&folder)));
            }
            Err(StorageError::IsDirectory(_) | StorageError::NotADirectory(_)) => {}
            Err(other) => panic!("{path:?}: {other}"),
        }
        for (verb, failed) in [
            ("get", folder.get(path).await.map(drop)),
            ("read", folder.read(path).await.map(drop)),
            ("put_if_absent", folder.put_if_absent(path, "attack").await.map(drop)),
            ("delete", folder.delete(path).await.map(drop)),
            ("begin_upload", folder.begin_upload(path).await.map(drop)),
        ] {
            if matches!(written, Err(StorageError::Path { .. })) {
                assert!(matches!(failed, Err(StorageError::Path { .. })), "{verb} {path:?}");
            }
        }
        if let Ok(path) = object_store::path::Path::parse(path) {
            let _ = folder.object_store().put(&path, "attack".into()).await;
        }
        let _ = folder.make_dir(path).await;
        let _ = folder.list(path, true).await;
        let _ = folder.head(path).await;
        let _ = folder.remove_dir(path).await;
    }
    assert!(refused > 200 && names > 20, "{refused} refused, {names} plain names");
    for canary in &canaries {
        assert_eq!(std::fs::read_to_string(canary).unwrap(), "canary", "{}", canary.display());
    }
    // Nothing new stands above the table either.
    let tables = disk(&folder).parent().unwrap().to_owned();
    let mut beside: Vec<_> =
        std::fs::read_dir(tables).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    beside.sort();
    assert_eq!(beside, ["00000000-0000-0000-0000-000000000007", "secret"]);
}

#[tokio::test]
async fn a_refused_path_is_shown_without_control_characters() {
    let scratch = Scratch::new();
    let problem: Problem = scratch.folder().get("a\u{1b}[31m/..").await.unwrap_err().into();
    assert_eq!(problem.code(), Code::InvalidArgument);
    assert_eq!(problem.message(), "the path 'a\\u{1b}[31m/..' is not allowed: it has a control character");
}

#[tokio::test]
async fn names_may_hold_anything_that_is_text() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let names = [
        "with space.csv",
        "100%.csv",
        "%2e%2e",
        "a#b?c&d=e",
        "שלום.txt",
        "\u{202e}gpj.exe",
        "🐘🚀.parquet",
        "e\u{301}",
        "\u{e9}",
        "back\\slash",
        "quote'\"`",
        "-rf",
        "~root",
        "$HOME",
        "*",
        "CON",
        "trailing.",
        " leading",
        "date=2013-01-01 00%3A00",
    ];
    for name in names {
        let path = format!("dir {name}/{name}");
        folder.put(&path, name.to_owned()).await.unwrap();
        assert_eq!(folder.get(&path).await.unwrap(), name);
        let key = object_store::path::Path::parse(&path).unwrap();
        assert_eq!(folder.object_store().get(&key).await.unwrap().bytes().await.unwrap(), name);
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("dir {name}/{name}")).collect();
    expected.sort();
    let found = folder.list("", true).await.unwrap();
    let files: Vec<_> = found.iter().filter(|meta| !meta.is_dir).map(|meta| meta.path.clone()).collect();
    assert_eq!(files, expected);
}

#[tokio::test]
async fn links_are_not_followed_and_not_listed() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.put("real/file", "inside").await.unwrap();
    let outside = scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let root = disk(&folder);
    symlink(&outside, root.join("dir_out")).unwrap();
    symlink(outside.join("secret"), root.join("file_out")).unwrap();
    symlink("real", root.join("dir_in")).unwrap();
    symlink(outside.join("new"), root.join("dangling")).unwrap();

    for path in ["dir_out/secret", "dir_in/file", "file_out", "dangling"] {
        let error = folder.get(path).await.unwrap_err();
        assert!(matches!(error, StorageError::Link(_)), "{path}: {error}");
        assert_eq!(Problem::from(error).code(), Code::PermissionDenied);
    }
    for path in ["dir_out/new", "dir_in/new", "dir_out/deep/new"] {
        assert!(matches!(folder.put(path, "attack").await, Err(StorageError::Link(_))), "{path}");
        assert!(matches!(folder.put_if_absent(path, "attack").await, Err(StorageError::Link(_))), "{path}");
        assert!(matches!(folder.delete("dir_out/secret").await, Err(StorageError::Link(_))), "{path}");
    }
    assert!(matches!(folder.list("dir_out", true).await, Err(StorageError::Link(_))));
    assert_eq!(folder.head("file_out").await.unwrap(), None);
    assert_eq!(super::paths(&folder.list("", true).await.unwrap()), ["real", "real/file"]);

    // A file put under a link's name takes the name; what the link led to stays as it was.
    assert!(!folder.put_if_absent("dangling", "x").await.unwrap());
    folder.put("file_out", "mine").await.unwrap();
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    folder.delete_all().await.unwrap();
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert!(!root.exists());
}

#[tokio::test]
async fn pipes_do_not_hold_a_reader() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.make_dir("").await.unwrap();
    let root = std::fs::File::open(disk(&folder)).unwrap();
    rustix::fs::mkfifoat(&root, "pipe", rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(folder.get("pipe").await, Err(StorageError::Forbidden(_))));
    assert!(folder.list("", true).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_put_in_place_during_the_walk_wins_nothing() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let outside = scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "secret").unwrap();
    folder.put("dir/file", "inside").await.unwrap();
    let root = disk(&folder);
    symlink(&outside, root.join("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let (stop, root) = (stop.clone(), root.clone());
        move || {
            let root = std::fs::File::open(root).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let swap = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&root, "dir", &root, "link", swap).unwrap();
            }
        }
    });
    let (mut inside, mut refused) = (0, 0);
    while inside < 100 || refused < 100 {
        match folder.get("dir/file").await {
            Ok(bytes) => {
                assert_eq!(bytes, Bytes::from_static(b"inside"));
                inside += 1;
            }
            Err(StorageError::Link(_)) => refused += 1,
            Err(StorageError::NotADirectory(_) | StorageError::NotFound(_)) => {}
            Err(other) => panic!("{other}"),
        }
        let _ = folder.put("dir/new", "attack").await;
    }
    stop.store(true, Ordering::Relaxed);
    attacker.join().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file"]);
}

#[tokio::test]
async fn a_location_that_leads_into_the_data_folder_is_refused() {
    let scratch = Scratch::new();
    let storage = scratch.storage();
    let data = scratch.path().join("data");
    std::fs::write(data.join("admin.token"), "secret").unwrap();
    symlink(&data, scratch.path().join("innocent")).unwrap();
    let inside = ["data", "data/storage", "data/storage/tables", "data/other", "innocent", "innocent/sub"];
    let inside = inside.map(|path| scratch.path().join(path).to_str().unwrap().to_owned());
    let around = scratch.path().to_str().unwrap().to_owned();
    for path in inside.iter().chain([&around]).map(String::as_str).chain(["/proc/self", "/sys", "/dev/shm"]) {
        let at = Location::parse(path).unwrap();
        assert!(matches!(storage.check_external(&at), Err(StorageError::Refused { .. })), "{path}");
    }
    let fine = Location::of_path(&scratch.path().join("elsewhere/table")).unwrap();
    open(&storage, &fine).put("part", "rows").await.unwrap();
    assert!(scratch.path().join("elsewhere/table/part").is_file());
    let odd = storage.managed(crate::Managed::Tables, uuid::Uuid::nil()).to_string().replace("tables", "tables/x");
    assert!(storage.check_external(&Location::parse(&odd).unwrap()).is_err());
}
