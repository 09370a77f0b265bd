//! Storage against a real file system: hostile paths, links, races, power cuts.

mod durability;
mod folders;
mod hostile;
mod locations;

use std::path::{Path, PathBuf};

use crannog_security::{System, Task};
use futures::TryStreamExt;
use uuid::Uuid;

use crate::{Access, ByteStream, External, Folder, Location, Managed, Storage};

/// A new empty folder for one test, deleted at its end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("crannog-storage-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(std::fs::canonicalize(path).unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn storage(&self) -> Storage {
        Storage::new(&self.0.join("data"), External::Anywhere).unwrap()
    }

    /// A managed table's folder.
    pub(super) fn folder(&self) -> Folder {
        let storage = self.storage();
        open(&storage, &storage.managed(Managed::Tables, Uuid::from_u128(7)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test stands in for a permit")]
pub(super) fn open(storage: &Storage, at: &Location) -> Folder {
    storage.open(&System::task(Task::Probe), at, Access::ReadWrite).unwrap()
}

/// Where a folder is on disk.
pub(super) fn disk(folder: &Folder) -> PathBuf {
    folder.location().to_path()
}

pub(super) async fn all(stream: ByteStream) -> Vec<u8> {
    stream
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .unwrap()
}

pub(super) fn paths(list: &[crate::FileMeta]) -> Vec<&str> {
    list.iter().map(|meta| meta.path.as_str()).collect()
}
