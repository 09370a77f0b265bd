//! A handle on one location: reading. Writing is in `writes.rs`, lists in `listing.rs`, uploads in `uploads.rs`.
//!
//! Every verb takes a relative path and does its system calls on the blocking pool.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use crannog_types::{Micros, Problem};
use futures::Stream;
use object_store::ObjectStore;
use rustix::fs::Stat;

use crate::beneath::{self, Dir};
use crate::durable::Durable;
use crate::errors::{Result, StorageError};
use crate::location::Location;
use crate::object::FolderStore;
use crate::paths::Relative;

/// How much of a file is in memory at a time while it is streamed.
pub(crate) const CHUNK: usize = 512 * 1024;

/// Bytes as they come. An error ends the stream.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Problem>> + Send>>;

/// What a handle may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and list.
    Read,
    /// Everything.
    ReadWrite,
}

/// A file or a folder, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Relative to the [`Folder`], `/` between names.
    pub path: String,
    /// In bytes; 0 for folders.
    pub size: u64,
    /// When its content last changed.
    pub modified: Micros,
    /// A folder.
    pub is_dir: bool,
}

/// A handle bound to one location. Cheap to clone; holds nothing open.
#[derive(Clone)]
pub struct Folder {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    location: Location,
    /// What messages call it: the location, or the part of it inside of the server's data folder.
    named: String,
    /// The location with its links resolved.
    root: PathBuf,
    access: Access,
    pub(crate) durable: Durable,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({}, {:?})", self.inner.location, self.inner.access)
    }
}

impl Folder {
    pub(crate) fn new(location: Location, named: String, root: PathBuf, access: Access, durable: Durable) -> Self {
        Self { inner: Arc::new(Inner { location, named, root, access, durable }) }
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.inner.location
    }

    /// What messages call it: never the folder of this machine in which the server keeps its data.
    pub(crate) fn named(&self) -> &str {
        &self.inner.named
    }

    /// What it may do.
    pub fn access(&self) -> Access {
        self.inner.access
    }

    /// The same folder for reading only: what is handed to code that only reads.
    #[must_use]
    pub fn read_only(&self) -> Self {
        let Inner { location, named, root, durable, access: _ } = &*self.inner;
        Self::new(location.clone(), named.clone(), root.clone(), Access::Read, durable.clone())
    }

    /// The whole file in memory. For small files; [`Folder::read`] streams.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::IsDirectory`], [`StorageError::Link`].
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let at = Relative::file(path)?;
        self.blocking(move |inner| {
            let (file, stat) = inner.open(&at)?;
            read_exactly(&file, &at, 0, size(&stat))
        })
        .await
    }

    /// Some of the file's bytes: `range.end` is the byte after the last one.
    ///
    /// # Errors
    /// [`StorageError::Range`] when the file does not have all of them; else as [`Folder::get`].
    pub async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let mut all = self.get_ranges(path, vec![range]).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Several ranges of one file, opened once.
    ///
    /// # Errors
    /// As [`Folder::get_range`].
    pub async fn get_ranges(&self, path: &str, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let at = Relative::file(path)?;
        self.blocking(move |inner| {
            let (file, stat) = inner.open(&at)?;
            let size = size(&stat);
            let one = |range: Range<u64>| match range.start <= range.end && range.end <= size {
                true => read_exactly(&file, &at, range.start, range.end - range.start),
                false => Err(StorageError::Range { path: at.text(), start: range.start, end: range.end, size }),
            };
            ranges.into_iter().map(one).collect()
        })
        .await
    }

    /// The file's bytes as a stream of chunks of at most 512 KiB. The file is opened now: deleting or replacing it
    /// meanwhile does not change what the stream gives.
    ///
    /// # Errors
    /// As [`Folder::get`].
    pub async fn read(&self, path: &str) -> Result<ByteStream> {
        Ok(self.read_range(path, 0..u64::MAX).await?.1)
    }

    /// The file's metadata and some of its bytes as a stream. A range that ends behind the file ends with it.
    ///
    /// # Errors
    /// [`StorageError::Range`] when the range begins behind the file's end; else as [`Folder::get`].
    pub async fn read_range(&self, path: &str, range: Range<u64>) -> Result<(FileMeta, ByteStream)> {
        let at = Relative::file(path)?;
        let (meta, stream) = self
            .blocking(move |inner| {
                let (file, stat) = inner.open(&at)?;
                let size = size(&stat);
                if range.start > size || range.start > range.end {
                    let path = at.text();
                    return Err(StorageError::Range { path, start: range.start, end: range.end, size });
                }
                let end = range.end.min(size);
                Ok((meta(&at, &stat, false), Reading { file: Arc::new(file), at, next: range.start, end }))
            })
            .await?;
        Ok((meta, Box::pin(futures::stream::try_unfold(stream, Reading::chunk))))
    }

    /// What is at a path; the empty path is the folder itself. `None`: nothing that can be read.
    ///
    /// # Errors
    /// [`StorageError::Path`] for paths that are refused, [`StorageError::Link`] when a link is on the way.
    pub async fn head(&self, path: &str) -> Result<Option<FileMeta>> {
        let at = Relative::folder(path)?;
        self.blocking(move |inner| {
            let found = match at.parent() {
                None => inner.dir(&at).and_then(|dir| {
                    let stat = rustix::fs::fstat(&dir.fd).map_err(|error| inner.error("read", &at, error))?;
                    Ok(Some((stat, true)))
                }),
                Some((above, name)) => inner
                    .dir(&above)
                    .and_then(|dir| beneath::stat(&dir, name).map_err(|error| inner.error("read", &at, error))),
            };
            match found {
                Ok(found) => Ok(found.map(|(stat, is_dir)| meta(&at, &stat, is_dir))),
                Err(StorageError::NotFound(_) | StorageError::NotADirectory(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// The folder as an object store whose paths are relative to it: for DataFusion and delta_kernel. With
    /// [`Access::Read`] whatever writes fails. Unlike object_store's own local files, writes are durable.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FolderStore::new(self.clone()))
    }

    /// Runs file work on the blocking pool.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T> + Send + 'static,
    {
        let inner = self.inner.clone();
        run(move || work(&inner)).await
    }

    /// Refuses handles that are for reading only.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.inner.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(StorageError::ReadOnly(self.inner.named.clone())),
        }
    }
}

/// Runs file work on the blocking pool.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StorageError::Io {
            what: "finish",
            path: "a file operation".to_owned(),
            source: std::io::Error::other(error),
        }),
    }
}

impl Inner {
    /// The root folder.
    pub(crate) fn root(&self) -> Result<Dir> {
        beneath::open_absolute(&self.root).map_err(|error| self.error("open", &Relative::ROOT, error))
    }

    /// The root folder, made if it is not there.
    pub(crate) fn make_root(&self) -> Result<Dir> {
        self.durable.make_absolute(&self.root).map_err(|error| self.error("make", &Relative::ROOT, error))
    }

    /// The folder that holds the root, and the root's name in it.
    pub(crate) fn above_root(&self) -> Result<(Dir, &str)> {
        let above = self.root.parent().unwrap_or(&self.root);
        let dir = beneath::open_absolute(above).map_err(|error| self.error("open", &Relative::ROOT, error))?;
        Ok((dir, self.root.file_name().and_then(|name| name.to_str()).unwrap_or("")))
    }

    /// A folder beneath the root.
    pub(crate) fn dir(&self, at: &Relative) -> Result<Dir> {
        beneath::open_beneath(self.root()?, at).map_err(|error| self.error("open", at, error))
    }

    /// A folder beneath the root, made if it is not there.
    pub(crate) fn make_dir(&self, at: &Relative) -> Result<Dir> {
        let root = self.make_root()?;
        self.durable.make_beneath(root, at).map_err(|error| self.error("make", at, error))
    }

    /// A file beneath the root.
    pub(crate) fn open(&self, at: &Relative) -> Result<(File, Stat)> {
        let Some((above, name)) = at.parent() else {
            return Err(StorageError::IsDirectory(self.named.clone()));
        };
        let dir = match self.dir(&above) {
            Err(StorageError::NotFound(_) | StorageError::NotADirectory(_)) => {
                return Err(StorageError::NotFound(at.text()));
            }
            other => other?,
        };
        beneath::open_file(&dir, name).map_err(|error| self.error("read", at, error))
    }

    /// A failure about a path, or about the folder itself.
    pub(crate) fn error(&self, what: &'static str, at: &Relative, error: impl Into<std::io::Error>) -> StorageError {
        match at.names().is_empty() {
            true => StorageError::of(what, &self.named, error),
            false => StorageError::of(what, &at.text(), error),
        }
    }
}

/// A file that is being streamed.
struct Reading {
    file: Arc<File>,
    at: Relative,
    next: u64,
    end: u64,
}

impl Reading {
    async fn chunk(self) -> Result<Option<(Bytes, Reading)>, Problem> {
        let length = (self.end - self.next).min(CHUNK as u64);
        if length == 0 {
            return Ok(None);
        }
        let reading = run(move || {
            let bytes = read_exactly(&self.file, &self.at, self.next, length)?;
            Ok((bytes, Reading { next: self.next + length, ..self }))
        });
        Ok(Some(reading.await?))
    }
}

fn read_exactly(file: &File, at: &Relative, from: u64, length: u64) -> Result<Bytes> {
    let failed = |error| StorageError::of("read", &at.text(), error);
    let Ok(length) = usize::try_from(length) else {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::OutOfMemory)));
    };
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, from).map_err(failed)?;
    Ok(bytes.into())
}

pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(crate) fn meta(at: &Relative, stat: &Stat, is_dir: bool) -> FileMeta {
    let micros =
        stat.st_mtime.saturating_mul(1_000_000).saturating_add(i64::try_from(stat.st_mtime_nsec).unwrap_or(0) / 1_000);
    FileMeta { path: at.text(), size: if is_dir { 0 } else { size(stat) }, modified: Micros(micros), is_dir }
}
