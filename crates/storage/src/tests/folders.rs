//! The verbs of a folder.

use bytes::Bytes;
use crannog_security::{System, Task};
use crannog_types::Micros;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Scratch, all, disk, paths};
use crate::{Access, Body, ByteStream, Managed, StorageError, UploadId};

#[tokio::test]
async fn reads_whole_files_and_ranges() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let content: Vec<u8> = (0..1_500_000_u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
    let meta = folder.put("a/big", content.clone()).await.unwrap();
    assert_eq!((meta.path.as_str(), meta.size, meta.is_dir), ("a/big", 1_500_000, false));
    assert_eq!(folder.head("a/big").await.unwrap(), Some(meta.clone()));
    assert_eq!(folder.get("a/big").await.unwrap(), content);
    assert_eq!(all(folder.read("a/big").await.unwrap()).await, content);
    assert_eq!(folder.get_range("a/big", 10..20).await.unwrap(), content[10..20]);
    assert_eq!(folder.get_range("a/big", 0..0).await.unwrap(), Bytes::new());
    let ranges = folder.get_ranges("a/big", vec![1_499_999..1_500_000, 5..6]).await.unwrap();
    assert_eq!(ranges, [&content[1_499_999..], &content[5..6]]);
    let (_, tail) = folder.read_range("a/big", 1_000_000..u64::MAX).await.unwrap();
    assert_eq!(all(tail).await, content[1_000_000..]);
    #[expect(clippy::reversed_empty_ranges, reason = "what a careless caller sends")]
    for bad in [1_499_999..1_500_001, 1_500_001..1_500_002, 7..3] {
        assert!(matches!(folder.get_range("a/big", bad).await, Err(StorageError::Range { size: 1_500_000, .. })));
    }
    assert!(folder.get("a/none").await.unwrap_err().is_not_found());
    assert!(folder.get("a/big/none").await.unwrap_err().is_not_found());
    assert!(matches!(folder.get("a").await, Err(StorageError::IsDirectory(_))));
    assert_eq!(folder.head("none/none").await.unwrap(), None);
    assert!(folder.head("").await.unwrap().unwrap().is_dir);
}

#[tokio::test]
async fn a_reader_keeps_what_it_opened() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.put("f", vec![1; 2_000_000]).await.unwrap();
    let reading = folder.read("f").await.unwrap();
    folder.put("f", vec![2; 10]).await.unwrap();
    assert_eq!(all(reading).await, vec![1; 2_000_000]);
    assert_eq!(folder.get("f").await.unwrap(), vec![2; 10]);
}

#[tokio::test]
async fn lists_are_sorted_and_hide_what_is_the_servers() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    assert!(folder.list("", true).await.unwrap().is_empty());
    for path in ["b/2", "b/1", "a", "b.x", "c/d/e"] {
        folder.put(path, "x").await.unwrap();
    }
    folder.begin_upload("later").await.unwrap();
    std::fs::write(disk(&folder).join(".crannog-tmp-1"), "left by a kill").unwrap();
    assert_eq!(paths(&folder.list("", false).await.unwrap()), ["a", "b", "b.x", "c"]);
    assert_eq!(paths(&folder.list("", true).await.unwrap()), ["a", "b", "b.x", "b/1", "b/2", "c", "c/d", "c/d/e"]);
    assert_eq!(paths(&folder.list("b", false).await.unwrap()), ["b/1", "b/2"]);
    assert_eq!(paths(&folder.list("c/", true).await.unwrap()), ["c/d", "c/d/e"]);
    assert_eq!(paths(&folder.list_from("b", "b/1", false).await.unwrap()), ["b/2"]);
    assert_eq!(paths(&folder.list_from("", "c", true).await.unwrap()), ["c/d", "c/d/e"]);
    assert!(folder.list("none", true).await.unwrap().is_empty());
    assert!(matches!(folder.list("a", false).await, Err(StorageError::NotADirectory(_))));
    // Both the file and the upload, once they are old enough.
    assert_eq!(folder.sweep(Micros(0)).await.unwrap(), 0);
    assert_eq!(folder.sweep(Micros(i64::MAX)).await.unwrap(), 2);
    assert_eq!(folder.list("", true).await.unwrap().len(), 8);
}

#[tokio::test]
async fn deletes_and_folders() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    assert!(!folder.delete("f").await.unwrap());
    folder.delete_all().await.unwrap();
    assert!(folder.make_dir("a/b").await.unwrap());
    assert!(!folder.make_dir("a/b").await.unwrap());
    folder.put("a/f", "x").await.unwrap();
    assert!(matches!(folder.make_dir("a/f").await, Err(StorageError::NotADirectory(_))));
    assert!(matches!(folder.put("a/f/g", "x").await, Err(StorageError::NotADirectory(_))));
    assert!(matches!(folder.put("a/b", "x").await, Err(StorageError::IsDirectory(_))));
    assert!(!folder.put_if_absent("a/b", "x").await.unwrap());
    assert!(matches!(folder.delete("a/b").await, Err(StorageError::IsDirectory(_))));
    assert!(matches!(folder.remove_dir("a").await, Err(StorageError::NotEmpty(_))));
    std::fs::write(disk(&folder).join("a/b/.crannog-tmp-1"), "left by a kill").unwrap();
    assert!(folder.remove_dir("a/b").await.unwrap());
    assert!(!folder.remove_dir("a/b").await.unwrap());
    assert!(folder.delete("a/f").await.unwrap());
    assert!(folder.remove_dir("a").await.unwrap());
    folder.put("x/y/z", "x").await.unwrap();
    folder.delete_all().await.unwrap();
    assert_eq!(folder.head("").await.unwrap(), None);
}

#[tokio::test]
async fn a_handle_for_reading_changes_nothing() {
    let scratch = Scratch::new();
    let storage = scratch.storage();
    scratch.folder().put("f", "x").await.unwrap();
    let at = storage.managed(Managed::Tables, uuid::Uuid::from_u128(7));
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a permit")]
    let folder = storage.open(&System::task(Task::Probe), &at, Access::Read).unwrap();
    let refused = |result: Result<(), StorageError>| assert!(matches!(result, Err(StorageError::ReadOnly(_))));
    refused(folder.put("f", "y").await.map(drop));
    refused(folder.put_if_absent("g", "y").await.map(drop));
    refused(folder.delete("f").await.map(drop));
    refused(folder.delete_all().await);
    refused(folder.make_dir("d").await.map(drop));
    refused(folder.remove_dir("d").await.map(drop));
    refused(folder.begin_upload("g").await.map(drop));
    refused(folder.sweep(Micros(i64::MAX)).await.map(drop));
    let store = folder.object_store();
    for result in [
        store.put(&Path::from("f"), "y".into()).await.map(drop),
        store.delete(&Path::from("f")).await,
        store.copy(&Path::from("f"), &Path::from("g")).await,
        store.rename(&Path::from("f"), &Path::from("g")).await,
        store.put_multipart(&Path::from("g")).await.map(drop),
    ] {
        assert!(matches!(result, Err(object_store::Error::PermissionDenied { .. })), "{result:?}");
    }
    assert_eq!(folder.get("f").await.unwrap(), "x");
}

#[tokio::test]
async fn uploads_in_parts() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let upload = folder.begin_upload("models/m.bin").await.unwrap();
    // The id survives as text, the upload a restart.
    let upload: UploadId = upload.to_string().parse().unwrap();
    let folder_again = scratch.folder();
    assert_eq!(folder_again.upload_target(upload).await.unwrap(), "models/m.bin");
    assert_eq!(folder_again.put_part(upload, 2, "world").await.unwrap(), 5);
    folder.put_part(upload, 1, "HELLO ").await.unwrap();
    folder.put_part(upload, 1, "hello ").await.unwrap();
    assert_eq!(folder.head("models/m.bin").await.unwrap(), None);
    assert!(matches!(folder.put_part(upload, 0, "x").await, Err(StorageError::Upload { .. })));
    assert!(matches!(folder.complete_upload(upload, &[1, 2, 3], true).await, Err(StorageError::Upload { .. })));
    let meta = folder.complete_upload(upload, &[1, 2], false).await.unwrap();
    assert_eq!((meta.path.as_str(), meta.size), ("models/m.bin", 11));
    assert_eq!(folder.get("models/m.bin").await.unwrap(), "hello world");
    assert!(matches!(folder.complete_upload(upload, &[1], true).await, Err(StorageError::NoUpload)));
    assert!(matches!("../../x".parse::<UploadId>(), Err(StorageError::NoUpload)));

    let second = folder.begin_upload("models/m.bin").await.unwrap();
    folder.put_part(second, 1, "other").await.unwrap();
    assert!(matches!(folder.complete_upload(second, &[1], false).await, Err(StorageError::Exists(_))));
    assert!(folder.abort_upload(second).await.unwrap());
    assert!(!folder.abort_upload(second).await.unwrap());
    assert_eq!(std::fs::read_dir(disk(&folder)).unwrap().count(), 1);
}

#[tokio::test]
async fn behind_object_store() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let store = folder.object_store();
    let at = |path: &str| Path::parse(path).unwrap();
    store.put(&at("a/1"), "one".into()).await.unwrap();
    let create = object_store::PutOptions::from(object_store::PutMode::Create);
    let again = object_store::ObjectStore::put_opts(&*store, &at("a/1"), "uno".into(), create).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })));
    assert_eq!(store.get(&at("a/1")).await.unwrap().bytes().await.unwrap(), "one");
    assert_eq!(store.get_range(&at("a/1"), 1..3).await.unwrap(), "ne");
    assert_eq!(store.head(&at("a/1")).await.unwrap().size, 3);
    assert!(matches!(store.get(&at("none")).await, Err(object_store::Error::NotFound { .. })));
    store.copy(&at("a/1"), &at("b/2")).await.unwrap();
    store.rename(&at("b/2"), &at("b/3")).await.unwrap();
    let mut parts = store.put_multipart(&at("c")).await.unwrap();
    let (first, second) = (parts.put_part("x".into()), parts.put_part("y".into()));
    second.await.unwrap();
    first.await.unwrap();
    parts.complete().await.unwrap();
    assert_eq!(folder.get("c").await.unwrap(), "xy");
    let listed = |prefix: Option<&'static str>| {
        let prefix = prefix.map(Path::from);
        store.list(prefix.as_ref()).map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await.unwrap(), ["a/1", "b/3", "c"]);
    assert_eq!(listed(Some("b")).await.unwrap(), ["b/3"]);
    assert!(listed(Some("c")).await.unwrap().is_empty() && listed(Some("none")).await.unwrap().is_empty());
    let after: Vec<_> = store.list_with_offset(None, &Path::from("a/1")).try_collect().await.unwrap();
    assert_eq!(after.len(), 2);
    let level = object_store::ObjectStore::list_with_delimiter(&*store, None).await.unwrap();
    assert_eq!((level.common_prefixes, level.objects.len()), (vec![at("a"), at("b")], 1));
    store.delete(&at("c")).await.unwrap();
    assert_eq!(folder.head("c").await.unwrap(), None);
}

#[tokio::test]
async fn streams_64_mebibytes_in_constant_memory() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let (chunk, count) = (Bytes::from(vec![7; 256 * 1024]), 256);
    let stream: ByteStream = futures::stream::iter((0..count).map({
        let chunk = chunk.clone();
        // Each a copy of its own, as a socket would give.
        move |_| Ok(Bytes::copy_from_slice(&chunk))
    }))
    .boxed();
    let before = resident();
    let meta = folder.put("big", Body::Stream(stream)).await.unwrap();
    assert_eq!(meta.size, 64 * 1024 * 1024);
    let mut reading = folder.read("big").await.unwrap();
    let (mut total, mut largest) = (0, 0);
    while let Some(chunk) = reading.next().await {
        let chunk = chunk.unwrap();
        largest = largest.max(chunk.len());
        total += chunk.len() as u64;
    }
    assert_eq!(total, meta.size);
    assert_eq!(largest, 512 * 1024);
    let grown = resident().saturating_sub(before);
    // Other tests run in this process; a stream that gathered would hold all 64 MiB.
    assert!(grown < 48 * 1024 * 1024, "grew by {grown} bytes");
}

/// The resident set of this process in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
