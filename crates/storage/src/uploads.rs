//! Files that come in parts, in any order and over several requests.
//!
//! The parts lie in a hidden folder beside nothing else, named by the upload's id; so an upload survives a restart, and
//! [`Folder::sweep`] removes one that was forgotten. Nothing of it is durable or visible before
//! [`Folder::complete_upload`].

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::errors::{Result, StorageError};
use crate::folder::{FileMeta, Folder, Inner};
use crate::paths::{HIDDEN, Relative};
use crate::writes::{Body, commit_over, fill, name_of};

/// The file in an upload's folder that says which path it is for.
const TARGET: &str = "target";

/// The largest number of a part, as on S3.
const LAST_PART: u32 = 10_000;

/// Names an upload; `Display` and `FromStr` give and take the text that a client keeps. Not guessable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = StorageError;
    fn from_str(text: &str) -> Result<Self> {
        Uuid::try_parse(text).map(UploadId).map_err(|_| StorageError::NoUpload)
    }
}

impl UploadId {
    fn folder(self) -> Relative {
        Relative::ROOT.with(&format!("{HIDDEN}upload-{self}"))
    }
}

impl Folder {
    /// Begins a file in parts.
    ///
    /// # Errors
    /// As [`Folder::put`].
    pub async fn begin_upload(&self, path: &str) -> Result<UploadId> {
        self.writable()?;
        let target = Relative::file(path)?;
        let upload = UploadId(Uuid::new_v4());
        let at = upload.folder().with(TARGET);
        let temp = self.temp_beside(&at).await?;
        let temp = fill(temp, &at, Body::from(target.text())).await?;
        self.blocking(move |inner| commit_over(inner, &at, temp)).await?;
        Ok(upload)
    }

    /// Stores one part, numbered 1 to 10,000; the same number again replaces it. Gives its size in bytes.
    ///
    /// # Errors
    /// [`StorageError::NoUpload`]; else as [`Folder::put`].
    pub async fn put_part(&self, upload: UploadId, number: u32, body: impl Into<Body>) -> Result<u64> {
        self.writable()?;
        let target = self.upload_target(upload).await?;
        if !(1..=LAST_PART).contains(&number) {
            let why = format!("a part's number is 1 to {LAST_PART}, not {number}");
            return Err(StorageError::Upload { path: target, why });
        }
        let at = upload.folder().with(&part_name(number));
        let temp = self.temp_beside(&at).await?;
        let temp = fill(temp, &at, body.into()).await?;
        Ok(self.blocking(move |inner| commit_over(inner, &at, temp)).await?.size)
    }

    /// Makes the file of the listed parts, in that order, durably, and forgets the upload. With `replace` false it fails
    /// with [`StorageError::Exists`] where something has the name.
    ///
    /// # Errors
    /// [`StorageError::NoUpload`]; [`StorageError::Upload`] when a part is missing; else as [`Folder::put`].
    pub async fn complete_upload(&self, upload: UploadId, parts: &[u32], replace: bool) -> Result<FileMeta> {
        self.writable()?;
        let path = self.upload_target(upload).await?;
        let target = Relative::file(&path)?;
        let mut temp = self.temp_beside(&target).await?;
        let parts = parts.to_vec();
        self.blocking(move |inner| {
            let failed = |error| inner.error("write", &target, error);
            for number in parts {
                let (mut part, _) = match inner.open(&upload.folder().with(&part_name(number))) {
                    Err(error) if error.is_not_found() => {
                        let why = format!("part {number} was not uploaded");
                        return Err(StorageError::Upload { path: target.text(), why });
                    }
                    other => other?,
                };
                temp.append(&mut part).map_err(failed)?;
            }
            let meta = match replace {
                true => commit_over(inner, &target, temp)?,
                false => match temp.commit_new(name_of(&target)).map_err(failed)? {
                    Some(file) => {
                        let stat = rustix::fs::fstat(&file).map_err(|error| inner.error("read", &target, error))?;
                        crate::folder::meta(&target, &stat, false)
                    }
                    None => return Err(StorageError::Exists(target.text())),
                },
            };
            // The file is there: a failure to tidy up must not say that it is not.
            if let Err(error) = inner.delete_tree(&upload.folder()) {
                tracing::warn!(%error, "the parts of a completed upload are left for the sweep");
            }
            Ok(meta)
        })
        .await
    }

    /// Forgets an upload and its parts; `false`: there was none.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn abort_upload(&self, upload: UploadId) -> Result<bool> {
        self.writable()?;
        self.blocking(move |inner| inner.delete_tree(&upload.folder())).await
    }

    /// The path that an upload is for.
    ///
    /// # Errors
    /// [`StorageError::NoUpload`].
    pub async fn upload_target(&self, upload: UploadId) -> Result<String> {
        self.blocking(move |inner| inner.upload_target(upload)).await
    }
}

impl Inner {
    fn upload_target(&self, upload: UploadId) -> Result<String> {
        let at = upload.folder().with(TARGET);
        let (file, _) = match self.open(&at) {
            Err(error) if error.is_not_found() => return Err(StorageError::NoUpload),
            other => other?,
        };
        std::io::read_to_string(file).map_err(|error| self.error("read", &at, error))
    }
}

fn part_name(number: u32) -> String {
    format!("part-{number:05}")
}
