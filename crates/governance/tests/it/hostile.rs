//! Paths that try to leave their volume: none does, and none is an error of ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crannog_store::testing::Kind;

use crate::world::{World, tree};

/// Pieces that have broken others (`../`, encodings, overlong UTF-8, separators of other systems, names of devices).
const PIECES: [&str; 46] = [
    "..",
    ".",
    "...",
    "....//",
    "../..",
    "../../../../../../../../etc/passwd",
    "%2e%2e",
    "%2E%2E",
    "%2e%2e%2f",
    "%2e%2e%2f%2e%2e%2fsecret.txt",
    "..%2f",
    "..%2f..%2f..%2fsecret.txt",
    "%2e.",
    ".%2e",
    "%252e%252e%252f",
    "..%255c",
    "..%5c",
    "..\\..\\",
    "%5c%5cserver%5cshare",
    "%c0%ae%c0%ae%c0%af",
    "%c0%2e",
    "%e0%80%ae",
    "%ff",
    "%80",
    "%00",
    "a%00.csv",
    "%0a",
    "%0d%0aX-Evil:%201",
    "%1b%5b2J",
    "%7f",
    "",
    "/",
    "//",
    "%2f",
    "%2fetc%2fpasswd",
    "..;/",
    ";",
    "~",
    "~root/.ssh",
    ".crannog-upload-0",
    ".crannog-",
    "%EF%BC%8E%EF%BC%8E%EF%BC%8F",
    "%E2%80%AE",
    "CON",
    "nul.txt",
    "file:%2f%2f%2fetc%2fpasswd",
];

/// Where a piece is put; `P` is the piece.
const PLACES: [&str; 9] = [
    "Volumes/main/flights/raw/P",
    "Volumes/main/flights/raw/P/x",
    "Volumes/main/flights/raw/a/P",
    "Volumes/main/flights/raw/a/P/P/P/secret.txt",
    "Volumes/main/flights/P/x",
    "Volumes/main/P/raw/x",
    "Volumes/P/flights/raw/x",
    "P/main/flights/raw/x",
    "P",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leaves_its_volume() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        let canary = "a-secret-that-no-answer-may-hold";
        std::fs::write(world.dir.join("secret.txt"), canary).unwrap();
        std::fs::write(world.dir.join("data/secret.txt"), canary).unwrap();
        std::fs::write(world.dir.join("data/storage/secret.txt"), canary).unwrap();
        let volume = world.get("admin", "/api/2.1/unity-catalog/volumes/main.flights.raw").await.ok();
        let volume = world.folder_of(&volume["storage_location"]);
        let outside = |world: &World| -> BTreeMap<PathBuf, Vec<u8>> {
            let meta = world.dir.join("meta.db").display().to_string();
            let others = |path: &PathBuf| !path.starts_with(&volume) && !path.display().to_string().starts_with(&meta);
            tree(&world.dir).into_iter().filter(|(path, _)| others(path)).collect()
        };
        let before = outside(&world);
        let mut long = vec!["x".repeat(256), "x/".repeat(1_600), format!("{}y", "../".repeat(400))];
        long.extend(PIECES.iter().map(|piece| (*piece).to_owned()));
        let mut asked = 0;
        for piece in &long {
            for place in PLACES {
                let path = place.replace('P', piece);
                for (method, door) in [("PUT", "files"), ("GET", "files"), ("GET", "directories"), ("DELETE", "files")]
                {
                    let answer =
                        world.send("admin", method, &format!("/api/2.0/fs/{door}/{path}"), &[], b"written").await;
                    asked += 1;
                    assert!(answer.status < 500, "{method} {door} {path}: {}", answer.status);
                    let body = String::from_utf8_lossy(&answer.body);
                    assert!(!body.contains(canary) && !body.contains("root:x:"), "{method} {door} {path}: {body}");
                    assert!(!answer.headers.contains_key("x-evil"), "{path}");
                }
            }
        }
        assert!(asked >= 1_600, "{asked}");
        assert_eq!(outside(&world), before, "something was written outside of the volume");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_a_volume_lead_nowhere() {
    for kind in Kind::ALL {
        let world = World::flights(kind).await;
        std::fs::write(world.dir.join("secret.txt"), "secret").unwrap();
        let volume = world.get("admin", "/api/2.1/unity-catalog/volumes/main.flights.raw").await.ok();
        let volume = world.folder_of(&volume["storage_location"]);
        std::os::unix::fs::symlink(&world.dir, volume.join("link")).unwrap();
        std::os::unix::fs::symlink(world.dir.join("secret.txt"), volume.join("file")).unwrap();
        for (method, path) in [
            ("GET", "files/Volumes/main/flights/raw/link/secret.txt"),
            ("PUT", "files/Volumes/main/flights/raw/link/new.txt"),
            ("DELETE", "files/Volumes/main/flights/raw/link/secret.txt"),
            ("GET", "files/Volumes/main/flights/raw/file"),
            ("GET", "directories/Volumes/main/flights/raw/link"),
            ("PUT", "directories/Volumes/main/flights/raw/link/new"),
        ] {
            let answer = world.send("admin", method, &format!("/api/2.0/fs/{path}"), &[], b"x").await;
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!String::from_utf8_lossy(&answer.body).contains("secret\n"));
        }
        assert_eq!(std::fs::read(world.dir.join("secret.txt")).unwrap(), b"secret");
        assert!(!world.dir.join("new.txt").exists() && !world.dir.join("new").exists());
        world.stop().await;
    }
}
