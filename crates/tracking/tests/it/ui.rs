//! MLflow's own pages: kept, found, replaced and removed; what is no build is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crannog_security::{System, Task};
use crannog_storage::{External, Storage};
use crannog_tracking::service::ui::{self, Build};
use futures::TryStreamExt;

#[expect(clippy::disallowed_methods, reason = "the tests stand where the command line does")]
fn owner() -> System {
    System::task(Task::Install)
}

fn storage() -> (PathBuf, Storage) {
    let folder = std::env::temp_dir().join(format!("crannog-ui-{}", uuid::Uuid::new_v4().simple()));
    let storage = Storage::new(&folder, External::Nowhere).unwrap();
    (folder, storage)
}

fn build(version: &str, script: &str) -> Build {
    let index = "<script src=\"static-files/static/js/main.js\"></script>";
    let files = [("index.html", index), ("static/js/main.js", script), ("static/media/a.png", "picture")];
    let files = files.map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()));
    Build { version: version.to_owned(), files: BTreeMap::from(files) }
}

async fn read(storage: &Storage, path: &str, unpacks: bool) -> Option<(Vec<u8>, bool)> {
    let found = ui::find(storage, &owner(), path, unpacks).await.unwrap()?;
    let size = usize::try_from(found.meta.size).unwrap();
    let content: Vec<_> = found.content.try_collect().await.unwrap();
    let content = content.concat();
    assert_eq!(content.len(), size);
    Some((content, found.packed))
}

#[tokio::test]
async fn a_build_is_there_as_a_whole_or_not_at_all() {
    let (folder, storage) = storage();
    assert_eq!(ui::current(&storage, &owner()).await.unwrap(), None);
    assert!(read(&storage, "index.html", true).await.is_none());
    assert_eq!(ui::remove(&storage, &owner()).await.unwrap(), None);

    let script = "let x = 1;\n".repeat(1000);
    ui::add(&storage, &owner(), build("3.17.1", &script)).await.unwrap();
    let (packed, is_packed) = read(&storage, "static/js/main.js", true).await.unwrap();
    assert!(is_packed && packed.starts_with(&[0x1f, 0x8b]) && packed.len() < script.len() / 10);
    assert_eq!(read(&storage, "static/js/main.js", false).await.unwrap(), (script.into_bytes(), false));
    assert!(!read(&storage, "static/media/a.png", true).await.unwrap().1);

    ui::add(&storage, &owner(), build("3.17.2", "short")).await.unwrap();
    assert_eq!(ui::current(&storage, &owner()).await.unwrap().as_deref(), Some("3.17.2"));
    assert_eq!(read(&storage, "static/js/main.js", true).await.unwrap(), (b"short".to_vec(), false));
    assert!(!folder.join("ui/mlflow/3.17.1").exists());

    for path in ["", "static", "static/js/none.js", "none"] {
        assert!(read(&storage, path, true).await.is_none(), "{path}");
    }
    for path in ["..", "../current", "/etc/passwd", "static//js", "a/../../../meta.db"] {
        assert!(ui::find(&storage, &owner(), path, true).await.is_err(), "{path:?}");
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.join("ui/mlflow/3.17.2/link.js")).unwrap();
    assert!(read(&storage, "link.js", true).await.is_none());

    assert_eq!(ui::remove(&storage, &owner()).await.unwrap().as_deref(), Some("3.17.2"));
    assert!(read(&storage, "index.html", true).await.is_none());
    assert!(!folder.join("ui/mlflow").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_is_no_build_changes_nothing() {
    let (folder, storage) = storage();
    ui::add(&storage, &owner(), build("3.17.2", "x")).await.unwrap();
    for version in ["", "..", "../x", "3/4", "3.17.2\n", "current"] {
        assert!(ui::add(&storage, &owner(), build(version, "x")).await.is_err(), "{version:?}");
    }
    for path in ["../x", "/x", "a//b", "a/", ".", "a\\b"] {
        let mut other = build("3.17.3", "x");
        other.files.insert(path.to_owned(), Vec::new());
        assert!(ui::add(&storage, &owner(), other).await.is_err(), "{path:?}");
    }
    let mut skinny = build("3.17.3", "x");
    skinny.files.remove("index.html");
    assert!(ui::add(&storage, &owner(), skinny).await.is_err());
    assert_eq!(ui::current(&storage, &owner()).await.unwrap().as_deref(), Some("3.17.2"));
    assert!(!folder.join("ui/mlflow/3.17.3").exists());
    std::fs::remove_dir_all(folder).unwrap();
}
