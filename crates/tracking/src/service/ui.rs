//! MLflow's own pages: a build out of somebody's installed mlflow, kept in the data folder, and read from there.
//!
//! `<data>/ui/mlflow/<version>/` has the files as the wheel has them, and beside those that shrink by it the same with `.gz` behind
//! the name. `<data>/ui/mlflow/current` names the version that is shown: it is written last and deleted first, so a build is there
//! as a whole or not at all. Nothing of a build is part of this program, and nothing of it runs here.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use crannog_security::Evidence;
use crannog_storage::{Access, ByteStream, FileMeta, Folder, Storage};
use crannog_types::{Problem, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::model::artifacts::plain;

/// The folder of all builds, below that of all pages.
const FOLDER: &str = "mlflow";
/// The file that names the version that is shown.
const CURRENT: &str = "current";
/// The page that loads all others.
pub const INDEX: &str = "index.html";

/// What a build may have at most: MLflow's has 28 MB in 400 files.
pub const MOST_FILES: usize = 5_000;
/// The same in bytes.
pub const MOST_BYTES: usize = 256 << 20;

/// Files that are worth to be packed: the others are already.
const PACKED: [&str; 8] = ["js", "mjs", "cjs", "css", "html", "svg", "json", "txt"];

/// A build of MLflow's pages.
#[derive(Debug)]
pub struct Build {
    /// The version of MLflow that it is out of.
    pub version: String,
    /// The files by their paths in the build.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Build {
    /// Whether it can be kept, and is what it says.
    ///
    /// # Errors
    /// For paths that lead elsewhere, for too much, and for what is no build of MLflow's pages.
    pub fn check(&self) -> Result<()> {
        let Build { version, files } = self;
        let of_versions = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
        if !version.starts_with(|c: char| c.is_ascii_digit()) || version.len() > 64 || !version.chars().all(of_versions)
        {
            return Err(Problem::invalid(format!("{version:?} is no version of mlflow")));
        }
        for path in files.keys() {
            if plain(path).is_err() || path.ends_with('/') {
                return Err(Problem::invalid(format!(
                    "the build has a file at {path:?}, which is no place inside of it"
                )));
            }
        }
        let bytes: usize = files.values().map(Vec::len).sum();
        if files.len() > MOST_FILES || bytes > MOST_BYTES {
            let (files, most) = (files.len(), MOST_BYTES >> 20);
            return Err(Problem::invalid(format!("the build has {files} files of {bytes} bytes"))
                .hint(format!("MLflow's pages are not as large: {MOST_FILES} files and {most} MiB are the most")));
        }
        let index = files.get(INDEX).map(|index| String::from_utf8_lossy(index));
        if !index.is_some_and(|index| index.contains("static-files/static/js/")) {
            return Err(Problem::invalid(
                "this is no build of MLflow's pages: it has no index.html that loads static-files/",
            )
            .hint("name an mlflow that has its server: `mlflow`, not `mlflow-skinny`"));
        }
        Ok(())
    }
}

/// Keeps a build and shows it from now on, in place of the one before.
///
/// # Errors
/// As [`Build::check`], and what storage says.
pub async fn add(storage: &Storage, evidence: &dyn Evidence, build: Build) -> Result<()> {
    build.check()?;
    let before = current(storage, evidence).await?;
    let Build { version, files } = build;
    let folder = storage.pages(evidence, &of_version(&version), Access::ReadWrite)?;
    for (path, content) in files {
        let packed = if packs(&path) { packed(&content)? } else { None };
        if let Some(packed) = packed {
            folder.put(&format!("{path}.gz"), Bytes::from(packed)).await?;
        }
        folder.put(&path, Bytes::from(content)).await?;
    }
    storage.pages(evidence, FOLDER, Access::ReadWrite)?.put(CURRENT, Bytes::from(version.clone())).await?;
    if let Some(before) = before.filter(|before| *before != version) {
        storage.pages(evidence, &of_version(&before), Access::ReadWrite)?.delete_all().await?;
    }
    Ok(())
}

/// Shows no pages any more, and deletes them. Gives the version that was shown.
///
/// # Errors
/// What storage says; calling again goes on.
pub async fn remove(storage: &Storage, evidence: &dyn Evidence) -> Result<Option<String>> {
    let version = current(storage, evidence).await?;
    let folder = storage.pages(evidence, FOLDER, Access::ReadWrite)?;
    if version.is_some() {
        folder.delete(CURRENT).await?;
    }
    folder.delete_all().await?;
    Ok(version)
}

/// The version that is shown.
///
/// # Errors
/// What storage says.
pub async fn current(storage: &Storage, evidence: &dyn Evidence) -> Result<Option<String>> {
    let folder = storage.pages(evidence, FOLDER, Access::Read)?;
    match folder.get(CURRENT).await {
        Ok(version) => Ok(Some(String::from_utf8_lossy(&version).into_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file of the build that is shown.
pub struct Found {
    /// Its size, and when it came.
    pub meta: FileMeta,
    /// What is in it.
    pub content: ByteStream,
    /// Whether that is packed by gzip.
    pub packed: bool,
}

/// A file of the build that is shown, packed where that is understood; none where there is none.
///
/// # Errors
/// What storage says.
pub async fn find(storage: &Storage, evidence: &dyn Evidence, path: &str, unpacks: bool) -> Result<Option<Found>> {
    let Some(version) = current(storage, evidence).await? else { return Ok(None) };
    let folder = storage.pages(evidence, &of_version(&version), Access::Read)?;
    if unpacks
        && packs(path)
        && let Some((meta, content)) = read(&folder, &format!("{path}.gz")).await?
    {
        return Ok(Some(Found { meta, content, packed: true }));
    }
    Ok(read(&folder, path).await?.map(|(meta, content)| Found { meta, content, packed: false }))
}

async fn read(folder: &Folder, path: &str) -> Result<Option<(FileMeta, ByteStream)>> {
    match folder.head(path).await? {
        Some(meta) if !meta.is_dir => Ok(Some(folder.read_range(path, 0..u64::MAX).await?)),
        _ => Ok(None),
    }
}

fn of_version(version: &str) -> String {
    format!("{FOLDER}/{version}")
}

fn packs(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, kind)| PACKED.contains(&kind))
}

/// The content packed by gzip, where that makes it a good deal smaller.
fn packed(content: &[u8]) -> Result<Option<Vec<u8>>> {
    let failed = |error: std::io::Error| Problem::internal("a file could not be packed", error);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).map_err(failed)?;
    let packed = packer.finish().map_err(failed)?;
    Ok((packed.len() < content.len() / 10 * 9).then_some(packed))
}
