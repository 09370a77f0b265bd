//! What a kill, a power cut and a full disk leave.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crannog_types::{Code, Problem};
use futures::StreamExt;
use uuid::Uuid;

use super::{Scratch, open, paths};
use crate::faults::{Faults, PowerCut, Step};
use crate::{Body, ByteStream, Folder, Location, Managed, StorageError};

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_exactly_one_wins() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    for round in 0..20 {
        let path = format!("_delta_log/{round:020}.json");
        let (path, folder) = (&path, &folder);
        let tasks = (0..16).map(|writer| async move { folder.put_if_absent(path, format!("{writer}")).await.unwrap() });
        let won: Vec<bool> = futures::future::join_all(tasks).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(folder.get(path).await.unwrap(), winner.to_string());
    }
    assert_eq!(folder.list("_delta_log", false).await.unwrap().len(), 20);
    assert_eq!(folder.sweep(crannog_types::Micros(i64::MAX)).await.unwrap(), 0, "temporary files were left");
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.put("f", "old").await.unwrap();
    for path in ["f", "g"] {
        let items = vec![Ok("half".into()), Err(Problem::new(Code::Cancelled, "the client went away"))];
        let stream: ByteStream = futures::stream::iter(items).boxed();
        let error = folder.put(path, Body::Stream(stream)).await.unwrap_err();
        assert!(matches!(error, StorageError::Body(_)));
        assert_eq!(Problem::from(error).code(), Code::Cancelled);
    }
    assert_eq!(folder.get("f").await.unwrap(), "old");
    assert_eq!(paths(&folder.list("", true).await.unwrap()), ["f"]);
    assert_eq!(folder.sweep(crannog_types::Micros(i64::MAX)).await.unwrap(), 0);
}

/// The work whose every step is cut: what had returned is noted.
async fn work(folder: &Folder, done: &mut Vec<&'static str>) -> Result<(), StorageError> {
    folder.put("data/part", "rows").await?;
    done.push("part");
    assert!(folder.put_if_absent("_delta_log/0.json", "v0").await?);
    done.push("commit");
    folder.put("data/part", "more rows").await?;
    done.push("replace");
    let upload = folder.begin_upload("big").await?;
    folder.put_part(upload, 1, "parts").await?;
    folder.complete_upload(upload, &[1], true).await?;
    done.push("upload");
    folder.delete("_delta_log/0.json").await?;
    done.push("delete");
    let (staged, untold) =
        futures::join!(folder.stage("_delta_log/7.json", "v7".into()), folder.put_untold("day=1/rows", "seven".into()));
    untold?;
    done.push("untold");
    assert!(staged?.publish().await?);
    done.push("published");
    assert!(!folder.stage("_delta_log/7.json", "late".into()).await?.publish().await?);
    Ok(())
}

#[tokio::test]
async fn what_has_returned_survives_a_power_cut_at_every_step() {
    let mut steps = usize::MAX;
    let mut cut_after = 0;
    while cut_after < steps {
        let scratch = Scratch::new();
        let aside = scratch.path().join("aside");
        std::fs::create_dir(&aside).unwrap();
        let at = |storage: &crate::Storage| storage.managed(Managed::Tables, Uuid::nil());
        if steps == usize::MAX {
            let counting = Arc::new(PowerCut::after(usize::MAX, &aside));
            let storage = scratch.storage().with_faults(counting.clone());
            work(&open(&storage, &at(&storage)), &mut Vec::new()).await.unwrap();
            steps = counting.taken();
            assert!(steps > 40, "{steps}");
            continue;
        }
        let cut = Arc::new(PowerCut::after(cut_after, &aside));
        let storage = scratch.storage().with_faults(cut.clone());
        let mut done = Vec::new();
        work(&open(&storage, &at(&storage)), &mut done).await.unwrap_err();
        drop(storage);
        cut.lose_what_was_not_synced().unwrap();

        let storage = scratch.storage();
        let folder = open(&storage, &at(&storage));
        let content = async |path: &str| match folder.get(path).await {
            Ok(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("{error}"),
        };
        let (part, commit, big) =
            (content("data/part").await, content("_delta_log/0.json").await, content("big").await);
        let at = format!("cut after {cut_after} of {steps}, done {done:?}");
        // Never part of a file, never an older one than was promised.
        let some = |text: &str| Some(text.to_owned());
        assert!([None, some("rows"), some("more rows")].contains(&part), "{at}: {part:?}");
        assert!([None, some("v0")].contains(&commit), "{at}: {commit:?}");
        assert!([None, some("parts")].contains(&big), "{at}: {big:?}");
        if done.contains(&"part") {
            assert!(part.is_some(), "{at}");
        }
        if done.contains(&"replace") {
            assert_eq!(part, some("more rows"), "{at}");
        }
        if done.contains(&"commit") && !done.contains(&"upload") {
            assert_eq!(commit, some("v0"), "{at}");
        }
        if done.contains(&"upload") {
            assert_eq!(big, some("parts"), "{at}");
        }
        if done.contains(&"delete") {
            assert_eq!(commit, None, "{at}");
        }
        let (staged, untold) = (content("_delta_log/7.json").await, content("day=1/rows").await);
        assert!([None, some("v7")].contains(&staged), "{at}: {staged:?}");
        assert!(staged.is_none() || done.contains(&"untold"), "{at}: the commit came before its rows");
        if done.contains(&"untold") {
            assert_eq!(untold, some("seven"), "{at}");
        }
        if done.contains(&"published") {
            assert_eq!(staged, some("v7"), "{at}");
        }
        // The next start works, whatever was left.
        folder.sweep(crannog_types::Micros(i64::MAX)).await.unwrap();
        folder.put_if_absent("_delta_log/1.json", "v1").await.unwrap();
        cut_after += 1;
    }
}

/// Fails the first fsync of a folder after it was armed, and counts them.
#[derive(Default)]
struct FirstSyncFails {
    armed: AtomicBool,
    syncs: AtomicUsize,
}

impl Faults for FirstSyncFails {
    fn before(&self, step: &Step) -> io::Result<()> {
        let counts = matches!(step, Step::SyncDir(_)) && self.armed.load(Ordering::SeqCst);
        match counts && self.syncs.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Err(rustix::io::Errno::IO.into()),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn who_finds_a_folder_deleted_makes_that_durable() {
    let scratch = Scratch::new();
    let disk = Arc::new(FirstSyncFails::default());
    let storage = scratch.storage().with_faults(disk.clone());
    let folder = open(&storage, &storage.managed(Managed::Tables, Uuid::nil()));
    folder.put("f", "x").await.unwrap();
    disk.armed.store(true, Ordering::SeqCst);
    folder.delete_all().await.unwrap_err();
    assert!(folder.head("").await.unwrap().is_none());
    folder.delete_all().await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2);
}

struct DiskFull;

impl Faults for DiskFull {
    fn before(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(..) => Err(rustix::io::Errno::NOSPC.into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_full_disk_says_so_and_leaves_nothing() {
    let scratch = Scratch::new();
    let storage = scratch.storage().with_faults(Arc::new(DiskFull));
    let folder = open(&storage, &storage.managed(Managed::Volumes, Uuid::nil()));
    let problem: Problem = folder.put("f", "x").await.unwrap_err().into();
    assert_eq!(problem.code(), Code::Unavailable);
    assert_eq!(
        problem.full_message(),
        "the disk is full: 'f' was not written; free space on the disk of the server's data folder, then try again"
    );
    assert!(folder.list("", true).await.unwrap().is_empty());
    let writable = open(&scratch.storage(), folder.location());
    assert_eq!(writable.sweep(crannog_types::Micros(i64::MAX)).await.unwrap(), 0);
}

/// A file system that was mounted for reading.
struct DiskReadOnly;

impl Faults for DiskReadOnly {
    fn before(&self, _: &Step) -> io::Result<()> {
        Err(rustix::io::Errno::ROFS.into())
    }
}

#[tokio::test]
async fn a_message_about_a_folder_does_not_tell_where_the_server_keeps_its_data() {
    let scratch = Scratch::new();
    let storage = scratch.storage().with_faults(Arc::new(DiskReadOnly));
    let managed = open(&storage, &storage.managed(Managed::Tables, Uuid::nil()));
    let hidden = scratch.path().display().to_string();
    let failures: [Problem; 5] = [
        managed.put_if_absent("_delta_log/0.json", "x").await.unwrap_err().into(),
        managed.make_dir("").await.unwrap_err().into(),
        managed.get("").await.unwrap_err().into(),
        managed.list("", true).await.err().map_or_else(|| Problem::invalid("an empty list"), Into::into),
        managed.read_only().put("f", "x").await.unwrap_err().into(),
    ];
    for problem in &failures {
        assert!(!problem.chain().contains(&hidden), "{}", problem.chain());
    }
    assert_eq!(
        failures[0].message(),
        "the disk is read-only: 'storage/tables/00000000-0000-0000-0000-000000000000' was not written"
    );
    // A folder that somebody named is named again.
    let given = Location::of_path(&scratch.path().join("outside")).unwrap();
    let problem: Problem = open(&storage, &given).put("f", "x").await.unwrap_err().into();
    assert_eq!(problem.message(), format!("the disk is read-only: '{given}' was not written"));
}

#[tokio::test]
async fn files_are_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let folder = scratch.folder();
    folder.put("a/f", "x").await.unwrap();
    for (path, mode) in [("a/f", 0o640), ("a", 0o750)] {
        let found = std::fs::metadata(super::disk(&folder).join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found & !mode, 0, "{path} has mode {found:o}");
    }
}
