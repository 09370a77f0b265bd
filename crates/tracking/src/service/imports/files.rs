//! Files that come from another tracker. A file that is there under its name, with its size, is taken for the same.

use crannog_security::actions::metastore;
use crannog_security::{Lease, Permit};
use crannog_storage::ByteStream;
use crannog_store::{Db, params};
use crannog_types::{Problem, Result};

use crate::model::artifacts::plain;
use crate::model::imports::File;
use crate::service::artifacts::{Artifacts, Imported};

/// Of some files, those that are not here.
///
/// # Errors
/// A file of nobody who has files.
pub async fn missing(db: &Db, permit: &Permit<metastore::Administer>, files: &[File]) -> Result<Vec<File>> {
    let reader = db.read(permit);
    let mut missing = Vec::new();
    for file in files {
        let root = Imported::of_root(&file.holder)?.root();
        let row =
            reader.row("SELECT size FROM artifact WHERE root = $1 AND path = $2", params![root, file.path.as_str()]);
        match row.await? {
            Some(row) if row.int(0)? == file.size => {}
            _ => missing.push(file.clone()),
        }
    }
    Ok(missing)
}

/// Takes a file over: `runs/<id>/<path>` or `models/<id>/<path>`.
///
/// # Errors
/// A path that is none; when its run or model is not here.
pub async fn take_over(
    artifacts: &Artifacts,
    permit: &Permit<metastore::Administer>,
    lease: &Lease,
    at: &str,
    body: ByteStream,
) -> Result<()> {
    let parts: Vec<&str> = at.splitn(3, '/').collect();
    let [kind, id, path] = parts.as_slice() else {
        return Err(
            Problem::invalid(format!("'{at}' names no file")).hint("runs/<id>/<path> and models/<id>/<path> do")
        );
    };
    let (holder, path) = (Imported::of_root(&format!("{kind}/{id}"))?, plain(path)?);
    if path.is_empty() {
        return Err(Problem::invalid(format!("'{at}' names no file")));
    }
    artifacts.put_imported(permit, lease, (&holder, &path), body).await
}
