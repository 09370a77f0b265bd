//! A folder as object_store sees it: for DataFusion's scans and delta_kernel.
//!
//! Paths are the folder's relative ones, raw: object_store hands them over decoded. Everything goes through [`Folder`],
//! so that neither safety nor durability depends on who asks.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::errors::StorageError;
use crate::folder::{ByteStream, FileMeta, Folder};
use crate::uploads::UploadId;
use crate::writes::Body;

/// The name in object_store's errors.
const STORE: &str = "crannog";

/// A [`Folder`] behind object_store's trait.
#[derive(Debug)]
pub(crate) struct FolderStore {
    folder: Folder,
}

impl FolderStore {
    pub(crate) fn new(folder: Folder) -> Self {
        Self { folder }
    }
}

impl fmt::Display for FolderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder.named())
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = location.as_ref();
        let body = body_of(payload);
        match opts.mode {
            PutMode::Overwrite => {
                let meta = self.folder.put(path, body).await.map_err(|error| fail(path, error))?;
                Ok(PutResult { e_tag: Some(tag(&meta)), version: None })
            }
            PutMode::Create => match self.folder.put_if_absent(path, body).await.map_err(|error| fail(path, error))? {
                true => Ok(PutResult { e_tag: None, version: None }),
                false => Err(fail(path, StorageError::Exists(path.to_owned()))),
            },
            PutMode::Update(_) => {
                Err(Error::NotImplemented { operation: "conditional update".to_owned(), implementer: STORE.to_owned() })
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = location.as_ref();
        let upload = self.folder.begin_upload(path).await.map_err(|error| fail(path, error))?;
        Ok(Box::new(Parts { folder: self.folder.clone(), path: path.to_owned(), upload, count: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = location.as_ref();
        let whole = 0..u64::MAX;
        let (meta, stream) = self.folder.read_range(path, whole).await.map_err(|error| fail(path, error))?;
        let object = object_meta(location.clone(), &meta);
        options.check_preconditions(&object)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|error| generic(Box::new(error)))?,
            None => 0..meta.size,
        };
        let stream: ByteStream = match options.head {
            true => stream::empty().boxed(),
            false if range == (0..meta.size) => stream,
            false => self.folder.read_range(path, range.clone()).await.map_err(|error| fail(path, error))?.1,
        };
        let stream = stream.map_err(|problem| generic(Box::new(problem))).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta: object,
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let path = location.as_ref();
        self.folder.get_ranges(path, ranges.to_vec()).await.map_err(|error| fail(path, error))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let folder = self.folder.clone();
        let delete = move |location: Path| {
            let folder = folder.clone();
            async move {
                match folder.delete(location.as_ref()).await {
                    Ok(true) => Ok(location),
                    Ok(false) => Err(fail(location.as_ref(), StorageError::NotFound(location.to_string()))),
                    Err(error) => Err(fail(location.as_ref(), error)),
                }
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, String::new())
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, offset.to_string())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.map_or("", |prefix| prefix.as_ref());
        let found = self.folder.list(path, false).await.map_err(|error| fail(path, error))?;
        let (mut common_prefixes, mut objects) = (Vec::new(), Vec::new());
        for meta in found {
            let location = Path::parse(&meta.path)?;
            match meta.is_dir {
                true => common_prefixes.push(location),
                false => objects.push(object_meta(location, &meta)),
            }
        }
        Ok(ListResult { common_prefixes, objects })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (source, target) = (from.as_ref(), to.as_ref());
        let stream = self.folder.read(source).await.map_err(|error| fail(source, error))?;
        let done = match options.mode {
            CopyMode::Overwrite => self.folder.put(target, stream).await.map(|_| true),
            CopyMode::Create => self.folder.put_if_absent(target, stream).await,
        };
        match done.map_err(|error| fail(target, error))? {
            true => Ok(()),
            false => Err(fail(target, StorageError::Exists(target.to_owned()))),
        }
    }
}

impl FolderStore {
    /// Files below a prefix after an offset, in the order of their paths.
    fn listed(&self, prefix: Option<&Path>, after: String) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = self.folder.clone();
        let path = prefix.map_or_else(String::new, |prefix| prefix.to_string());
        let found = async move {
            let found = match folder.list_from(&path, &after, true).await {
                // A prefix that is a file has nothing below it.
                Err(StorageError::NotADirectory(_)) => Vec::new(),
                other => other.map_err(|error| fail(&path, error))?,
            };
            let files = found.into_iter().filter(|meta| !meta.is_dir);
            Ok::<_, Error>(stream::iter(files.map(|meta| Ok(object_meta(Path::parse(&meta.path)?, &meta)))))
        };
        found.into_stream().try_flatten().boxed()
    }
}

/// object_store's upload in parts.
#[derive(Debug)]
struct Parts {
    folder: Folder,
    path: String,
    upload: UploadId,
    count: u32,
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.count += 1;
        let (folder, path, upload, number) = (self.folder.clone(), self.path.clone(), self.upload, self.count);
        async move {
            folder.put_part(upload, number, body_of(data)).await.map_err(|error| fail(&path, error))?;
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts: Vec<u32> = (1..=self.count).collect();
        let done = self.folder.complete_upload(self.upload, &parts, true).await;
        let meta = done.map_err(|error| fail(&self.path, error))?;
        Ok(PutResult { e_tag: Some(tag(&meta)), version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.folder.abort_upload(self.upload).await.map_err(|error| fail(&self.path, error))?;
        Ok(())
    }
}

fn body_of(payload: PutPayload) -> Body {
    Body::Stream(stream::iter(payload.into_iter().map(Ok)).boxed())
}

fn object_meta(location: Path, meta: &FileMeta) -> ObjectMeta {
    let since = Duration::from_micros(u64::try_from(meta.modified.0).unwrap_or(0));
    let last_modified = (SystemTime::UNIX_EPOCH + since).into();
    ObjectMeta { location, last_modified, size: meta.size, e_tag: Some(tag(meta)), version: None }
}

/// Changes when the content does: files are replaced, never written in place.
fn tag(meta: &FileMeta) -> String {
    format!("\"{:x}-{:x}\"", meta.modified.0, meta.size)
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: STORE, source }
}

fn fail(path: &str, error: StorageError) -> Error {
    let path = path.to_owned();
    match &error {
        StorageError::NotFound(_) => Error::NotFound { path, source: Box::new(error) },
        StorageError::Exists(_) => Error::AlreadyExists { path, source: Box::new(error) },
        StorageError::ReadOnly(_) | StorageError::Forbidden(_) | StorageError::Link(_) => {
            Error::PermissionDenied { path, source: Box::new(error) }
        }
        _ => generic(Box::new(error)),
    }
}
