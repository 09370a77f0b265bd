//! A handle on one location: writing. What these verbs have returned survives a power cut.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use crannog_types::Micros;
use futures::StreamExt;

use crate::durable::TempFile;
use crate::errors::{Result, StorageError};
use crate::folder::{ByteStream, FileMeta, Folder, Inner, meta, run};
use crate::paths::{HIDDEN, Relative};

/// What is to be stored.
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// As it comes; a chunk at a time is in memory.
    Stream(ByteStream),
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Bytes(bytes.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::Bytes(text.into())
    }
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        Body::Stream(stream)
    }
}

/// A file that is durable and has no name yet. Dropping it deletes it.
pub struct Staged {
    folder: Folder,
    at: Relative,
    temp: TempFile,
}

impl Staged {
    /// Gives it its name if nothing has it, durably; else as [`Folder::put_if_absent`]. An error may leave it there.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn publish(self) -> Result<bool> {
        let Staged { folder, at, temp } = self;
        folder
            .blocking(move |inner| {
                let made = temp.link_new(name_of(&at)).map_err(|error| inner.error("write", &at, error))?;
                Ok(made.is_some())
            })
            .await
    }
}

/// A file that was received and has no name yet. Dropping it deletes it.
pub struct Received {
    folder: Folder,
    temp: TempFile,
}

impl Received {
    /// Gives it a name in its folder, durably, in place of what has it. For names that tell the content: who reads that file sees no
    /// difference, and its time of change says that somebody put it there again.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn publish(self, name: &str) -> Result<()> {
        let at = Relative::file(name)?;
        let temp = self.temp;
        self.folder.blocking(move |inner| commit_over(inner, &at, temp).map(drop)).await
    }
}

impl Folder {
    /// Receives a file whose name is known when all of it was received, such as its hash. It will lie in the folder itself.
    ///
    /// # Errors
    /// As [`Folder::put_if_absent`].
    pub async fn receive(&self, body: impl Into<Body>) -> Result<Received> {
        self.writable()?;
        let at = Relative::file("received")?;
        let temp = self.temp_beside(&at).await?;
        let temp = fill(temp, &at, body.into()).await?;
        Ok(Received { folder: self.clone(), temp })
    }

    /// Stores a file under a name that nothing has, whole or not at all; folders on the way are made. Of several at the
    /// same time exactly one gets `true`: Delta's commits rest on this. `false`: something has the name.
    ///
    /// # Errors
    /// [`StorageError::Full`], [`StorageError::ReadOnly`], [`StorageError::Body`] when the stream fails.
    pub async fn put_if_absent(&self, path: &str, body: impl Into<Body>) -> Result<bool> {
        let (at, temp) = self.written(path, body.into()).await?;
        self.blocking(move |inner| {
            let made = temp.commit_new(name_of(&at)).map_err(|error| inner.error("write", &at, error))?;
            Ok(made.is_some())
        })
        .await
    }

    /// Stores a file, in place of one of the same name; readers see the old or the new one, never part of it. Folders on
    /// the way are made.
    ///
    /// # Errors
    /// [`StorageError::IsDirectory`]; else as [`Folder::put_if_absent`].
    pub async fn put(&self, path: &str, body: impl Into<Body>) -> Result<FileMeta> {
        let (at, temp) = self.written(path, body.into()).await?;
        self.blocking(move |inner| commit_over(inner, &at, temp)).await
    }

    /// Stores a new file that nobody looks for before its name is told, such as a data file that no commit names yet.
    /// Content and name are made durable side by side, which takes half the time of [`Folder::put`]; a crash meanwhile may
    /// leave part of the file under its name.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub async fn put_untold(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.writable()?;
        let at = Relative::file(path)?;
        let place = at.clone();
        let placed = self
            .blocking(move |inner| {
                let failed = |error| inner.error("write", &place, error);
                let temp = temp_with(inner, &place, &bytes)?;
                temp.place(name_of(&place)).map_err(failed)
            })
            .await?;
        let failed = |error| StorageError::of("write", path, error);
        let (content, name) = (placed.clone(), placed);
        let (content, name) =
            futures::join!(run(move || Ok(content.sync_content())), run(move || Ok(name.sync_name())));
        content?.and(name?).map_err(failed)
    }

    /// Writes a file durably, but under no name yet: [`Staged::publish`] gives it one.
    ///
    /// # Errors
    /// As [`Folder::put_if_absent`].
    pub async fn stage(&self, path: &str, bytes: Bytes) -> Result<Staged> {
        self.writable()?;
        let at = Relative::file(path)?;
        let folder = self.clone();
        self.blocking(move |inner| {
            let temp = temp_with(inner, &at, &bytes)?;
            temp.sync().map_err(|error| inner.error("write", &at, error))?;
            Ok(Staged { folder, at, temp })
        })
        .await
    }

    /// Deletes a file; `false`: there was none.
    ///
    /// # Errors
    /// [`StorageError::IsDirectory`] for a folder.
    pub async fn delete(&self, path: &str) -> Result<bool> {
        self.writable()?;
        let at = Relative::file(path)?;
        self.blocking(move |inner| {
            let Some((above, name)) = at.parent() else { return Ok(false) };
            let dir = match inner.dir(&above) {
                Err(StorageError::NotFound(_) | StorageError::NotADirectory(_)) => return Ok(false),
                other => other?,
            };
            let failed = |error| inner.error("delete", &at, error);
            let deleted = inner.durable.unlink(&dir, name).map_err(failed)?;
            if deleted {
                inner.durable.sync_dir(&dir).map_err(failed)?;
            }
            Ok(deleted)
        })
        .await
    }

    /// Deletes everything and the folder itself. Links are deleted, not followed. Does nothing where nothing is.
    ///
    /// # Errors
    /// When the operating system refuses; what was deleted until then stays deleted, and calling again goes on.
    pub async fn delete_all(&self) -> Result<()> {
        self.writable()?;
        self.blocking(|inner| inner.delete_tree(&Relative::ROOT).map(drop)).await
    }

    /// Makes a folder, and those above it; `false`: it was there.
    ///
    /// # Errors
    /// [`StorageError::NotADirectory`] when a file has the name, or one of those above it.
    pub async fn make_dir(&self, path: &str) -> Result<bool> {
        self.writable()?;
        let at = Relative::folder(path)?;
        self.blocking(move |inner| match inner.dir(&at) {
            Ok(_) => Ok(false),
            Err(StorageError::NotFound(_)) => inner.make_dir(&at).map(|_| true),
            Err(error) => Err(error),
        })
        .await
    }

    /// Removes an empty folder; `false`: there was none.
    ///
    /// # Errors
    /// [`StorageError::NotEmpty`], [`StorageError::NotADirectory`].
    pub async fn remove_dir(&self, path: &str) -> Result<bool> {
        self.writable()?;
        let at = Relative::folder(path)?;
        self.blocking(move |inner| {
            let dir = match inner.dir(&at) {
                Err(StorageError::NotFound(_)) => return Ok(false),
                other => other?,
            };
            let failed = |error| inner.error("remove", &at, error);
            // What a killed server left must not keep a folder that looks empty from being removed.
            if inner.entries(&at, &dir)?.is_empty() {
                inner.delete_hidden(&at, &dir, Micros(i64::MAX))?;
            }
            let (above, name) = match at.parent() {
                Some((above, name)) => (inner.dir(&above)?, name),
                None => inner.above_root()?,
            };
            let removed = inner.durable.remove_dir(&above, name).map_err(failed)?;
            inner.durable.sync_dir(&above).map_err(failed)?;
            Ok(removed)
        })
        .await
    }

    /// Deletes temporary files and uploads, anywhere in the folder, that nobody has touched since `before`: a killed
    /// server leaves them. Gives how many.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn sweep(&self, before: Micros) -> Result<usize> {
        self.writable()?;
        self.blocking(move |inner| {
            let mut swept = 0;
            let mut open = vec![Relative::ROOT];
            while let Some(at) = open.pop() {
                let dir = match inner.dir(&at) {
                    Err(error) if error.is_not_found() => continue,
                    other => other?,
                };
                swept += inner.delete_hidden(&at, &dir, before)?;
                let below = inner.entries(&at, &dir)?.into_iter().filter(|entry| entry.1);
                open.extend(below.map(|(name, _, _)| at.with(&name)));
            }
            Ok(swept)
        })
        .await
    }

    /// Writes a body into a temporary file in the folder of its path.
    async fn written(&self, path: &str, body: Body) -> Result<(Relative, TempFile)> {
        self.writable()?;
        let at = Relative::file(path)?;
        let temp = self.temp_beside(&at).await?;
        let temp = fill(temp, &at, body).await?;
        Ok((at, temp))
    }

    /// A temporary file in the folder of a path.
    pub(crate) async fn temp_beside(&self, at: &Relative) -> Result<TempFile> {
        let at = at.clone();
        self.blocking(move |inner| {
            let above = at.parent().map_or(Relative::ROOT, |(above, _)| above);
            let dir = Arc::new(inner.make_dir(&above)?);
            inner.durable.create_temp(dir).map_err(|error| inner.error("write", &at, error))
        })
        .await
    }
}

/// A temporary file in the folder of a path, with these bytes.
fn temp_with(inner: &Inner, at: &Relative, bytes: &[u8]) -> Result<TempFile> {
    let failed = |error| inner.error("write", at, error);
    let above = at.parent().map_or(Relative::ROOT, |(above, _)| above);
    let dir = Arc::new(inner.make_dir(&above)?);
    let mut temp = inner.durable.create_temp(dir).map_err(failed)?;
    temp.write(bytes).map_err(failed)?;
    Ok(temp)
}

/// Writes a body into a temporary file.
pub(crate) async fn fill(mut temp: TempFile, at: &Relative, body: Body) -> Result<TempFile> {
    let mut stream = match body {
        Body::Bytes(bytes) => futures::stream::once(async { Ok(bytes) }).boxed(),
        Body::Stream(stream) => stream,
    };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(StorageError::Body)?;
        let at = at.clone();
        temp = run(move || match temp.write(&chunk) {
            Ok(()) => Ok(temp),
            Err(error) => Err(StorageError::of("write", &at.text(), error)),
        })
        .await?;
    }
    Ok(temp)
}

/// Gives a temporary file its name, in place of what has it.
pub(crate) fn commit_over(inner: &Inner, at: &Relative, temp: TempFile) -> Result<FileMeta> {
    let file: File = temp.commit_over(name_of(at)).map_err(|error| inner.error("write", at, error))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| inner.error("read", at, error))?;
    Ok(meta(at, &stat, false))
}

/// `None` for what is not there.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

/// The last name of a file's path.
pub(crate) fn name_of(at: &Relative) -> &str {
    at.names().last().map_or("", String::as_str)
}

impl Inner {
    /// Deletes a folder with everything in it; `false`: there was none. Several may delete the same folder at once.
    pub(crate) fn delete_tree(&self, at: &Relative) -> Result<bool> {
        let mut open = vec![at.clone()];
        let mut emptied = Vec::new();
        while let Some(at) = open.pop() {
            if let Some(dir) = found(self.dir(&at))? {
                // A folder that another removed meanwhile has no entries to tell.
                for (name, is_dir) in found(self.raw_entries(&at, &dir))?.unwrap_or_default() {
                    match is_dir {
                        true => open.push(at.with(&name)),
                        false => {
                            self.durable
                                .unlink(&dir, &name)
                                .map_err(|error| self.error("delete", &at.with(&name), error))?;
                        }
                    }
                }
            }
            emptied.push(at);
        }
        // Folders were opened before those in them, so this one comes last.
        let mut removed = false;
        for at in emptied.into_iter().rev() {
            let failed = |error| self.error("delete", &at, error);
            let above = match at.parent() {
                Some((above, name)) => found(self.dir(&above))?.map(|dir| (dir, name)),
                None => found(self.above_root())?,
            };
            let Some((above, name)) = above else { continue };
            removed = self.durable.remove_dir(&above, name).map_err(failed)?;
            // Also when another removed it: it may not have got to its fsync yet.
            self.durable.sync_dir(&above).map_err(failed)?;
        }
        Ok(removed)
    }

    /// Deletes the server's own files in one folder that are older than a moment; gives how many.
    fn delete_hidden(&self, at: &Relative, dir: &crate::beneath::Dir, before: Micros) -> Result<usize> {
        let mut deleted = 0;
        for (name, is_dir) in self.raw_entries(at, dir)? {
            if !name.starts_with(HIDDEN) {
                continue;
            }
            let path = at.with(&name);
            let found = crate::beneath::stat(dir, &name).map_err(|error| self.error("read", &path, error))?;
            let Some((stat, _)) = found else { continue };
            if meta(&path, &stat, is_dir).modified >= before {
                continue;
            }
            match is_dir {
                true => {
                    self.delete_tree(&path)?;
                }
                false => {
                    self.durable.unlink(dir, &name).map_err(|error| self.error("delete", &path, error))?;
                }
            }
            deleted += 1;
        }
        Ok(deleted)
    }
}
