//! A handle on one location: lists, sorted by path, without links, devices and the server's own files.

use rustix::fs::Stat;

use tokio::sync::mpsc;

use crate::beneath::{self, Dir};
use crate::errors::{Result, StorageError};
use crate::folder::{FileMeta, Folder, Inner, meta};
use crate::paths::{self, Relative};

impl Folder {
    /// What is in a folder beneath this one (the empty path: in this one), sorted by path in the order of bytes.
    /// `recursive`: the files and folders in its folders too. A folder that does not exist has nothing in it.
    ///
    /// # Errors
    /// [`StorageError::NotADirectory`] for a file, [`StorageError::Link`] when a link is on the way.
    pub async fn list(&self, folder: &str, recursive: bool) -> Result<Vec<FileMeta>> {
        self.list_from(folder, "", recursive).await
    }

    /// As [`Folder::list`], only what sorts after `after`, a path relative to this handle's folder (not to `folder`).
    /// The files of a Delta log from a version on: `list_from("_delta_log", "_delta_log/00000000000000000009.json", false)`.
    ///
    /// # Errors
    /// As [`Folder::list`].
    pub async fn list_from(&self, folder: &str, after: &str, recursive: bool) -> Result<Vec<FileMeta>> {
        let at = Relative::folder(folder)?;
        let after = after.to_owned();
        self.blocking(move |inner| {
            let mut found = Vec::new();
            let mut open = vec![at];
            while let Some(at) = open.pop() {
                let dir = match inner.dir(&at) {
                    // Another may delete a folder while this one is being listed.
                    Err(StorageError::NotFound(_)) => continue,
                    other => other?,
                };
                // Names are compared before files are looked at: a log of 100,000 versions is listed by its tail.
                for (name, is_dir) in inner.raw_entries(&at, &dir)? {
                    let path = at.with(&name);
                    let wanted = path.text() > after;
                    if paths::check(&name).is_err() || !(wanted || is_dir && recursive) {
                        continue;
                    }
                    let Some((stat, is_dir)) = inner.stat(&path, &dir, &name)? else { continue };
                    if wanted {
                        found.push(meta(&path, &stat, is_dir));
                    }
                    if is_dir && recursive {
                        open.push(path);
                    }
                }
            }
            found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        })
        .await
    }
}

impl Folder {
    /// The files directly in this folder, some at a time and in no order, for folders that have too many for a list. Those that
    /// come or go meanwhile may be among them or not. A folder that does not exist has none. Ends with the first error.
    pub fn files(&self, at_a_time: usize) -> mpsc::Receiver<Result<Vec<FileMeta>>> {
        let (some, found) = mpsc::channel(1);
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = inner.files(at_a_time, |files| some.blocking_send(Ok(files)).is_ok()) {
                // Whoever no longer listens does not need to know.
                let _ = some.blocking_send(Err(error));
            }
        });
        found
    }
}

impl Inner {
    /// Hands over the visible files of the folder, some at a time, until nobody takes them.
    fn files(&self, at_a_time: usize, take: impl Fn(Vec<FileMeta>) -> bool) -> Result<()> {
        let at = Relative::ROOT;
        let dir = match self.dir(&at) {
            Err(StorageError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let failed = |error| self.error("list", &at, error);
        let mut files = Vec::new();
        for entry in rustix::fs::Dir::read_from(&dir.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if paths::check(name).is_err() {
                continue;
            }
            let path = at.with(name);
            if let Some((stat, false)) = self.stat(&path, &dir, name)? {
                files.push(meta(&path, &stat, false));
            }
            if files.len() >= at_a_time && !take(std::mem::take(&mut files)) {
                return Ok(());
            }
        }
        if !files.is_empty() {
            take(files);
        }
        Ok(())
    }

    /// The visible files and folders in a folder: name, whether it is a folder, and its metadata.
    pub(crate) fn entries(&self, at: &Relative, dir: &Dir) -> Result<Vec<(String, bool, Stat)>> {
        let mut entries = Vec::new();
        for (name, _) in self.raw_entries(at, dir)? {
            if paths::check(&name).is_ok()
                && let Some((stat, is_dir)) = self.stat(&at.with(&name), dir, &name)?
            {
                entries.push((name, is_dir, stat));
            }
        }
        Ok(entries)
    }

    fn stat(&self, path: &Relative, dir: &Dir, name: &str) -> Result<Option<(Stat, bool)>> {
        beneath::stat(dir, name).map_err(|error| self.error("read", path, error))
    }

    /// Every name in a folder that is UTF-8, hidden ones and links too, and whether it is a folder.
    pub(crate) fn raw_entries(&self, at: &Relative, dir: &Dir) -> Result<Vec<(String, bool)>> {
        let failed = |error| self.error("list", at, error);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&dir.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else {
                tracing::debug!(folder = %at.text(), name = ?entry.file_name(), "a name that is not UTF-8 is not listed");
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let is_dir = match entry.file_type() {
                rustix::fs::FileType::Directory => true,
                // Some file systems do not say.
                rustix::fs::FileType::Unknown => {
                    self.stat(&at.with(name), dir, name)?.is_some_and(|(_, is_dir)| is_dir)
                }
                _ => false,
            };
            entries.push((name.to_owned(), is_dir));
        }
        Ok(entries)
    }
}
