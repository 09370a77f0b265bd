//! Files of versions: written while the version is pending, then only read. Equal contents are kept once, with those of runs.

use crannog_security::actions::models;
use crannog_security::{Action, Evidence, Lease, Permit, kinds};
use crannog_storage::{ByteStream, Folder};
use crannog_store::{Tx, params, until_won};
use crannog_types::{Code, Micros, Problem, Result, SecurableId};
use futures::TryStreamExt;

use super::{audit, no_version};
use crate::model::registry::Status;
use crate::model::registry::signature::{LONGEST, Signature, of_mlmodel};
use crate::service::artifacts::{Artifact, Artifacts, missing, put_row};

/// The root of a version's files, as the database has it.
pub(crate) fn root(model: SecurableId, number: i64) -> String {
    format!("versions/{model}/{number}")
}

/// The same of the model that a permit is for.
pub fn root_of(permit: &Permit<models::Execute>, number: i64) -> String {
    root(permit.target().id, number)
}

/// Refuses a version whose files are all there, or that is not there.
pub(super) async fn pending(tx: &mut Tx, permit: &Permit<models::CreateVersion>, number: i64) -> Result<()> {
    let target = permit.target();
    let status = "SELECT status FROM model_version WHERE model = $1 AND version = $2";
    let row = tx.row(status, params![target.id, number]).await?.ok_or_else(|| no_version(&target.name, number))?;
    refuse_ready(Status::of_word(&row.text(0)?), number)
}

fn refuse_ready(status: Status, number: i64) -> Result<()> {
    if status == Status::Pending {
        return Ok(());
    }
    Err(Problem::new(
        Code::FailedPrecondition,
        format!("version {number} is {}: its files stay as they are", status.word()),
    )
    .reason("INVALID_STATE")
    .hint("make another version"))
}

/// Keeps a file of a version that is not ready, in place of one of the same name.
///
/// # Errors
/// When the version is ready, or gone; when the body ends early; when a folder has the name, or a file that of a folder on the way.
pub async fn put(
    artifacts: &Artifacts,
    permit: &Permit<models::CreateVersion>,
    lease: &Lease,
    number: i64,
    path: &str,
    body: ByteStream,
) -> Result<()> {
    if path.is_empty() {
        return Err(Problem::invalid("the path names no file of the version"));
    }
    let target = permit.target();
    // Before the body is read: nobody wants to send a gigabyte to learn this.
    let status = "SELECT status FROM model_version WHERE model = $1 AND version = $2";
    let row = artifacts.db.read(permit).row(status, params![target.id, number]).await?;
    refuse_ready(Status::of_word(&row.ok_or_else(|| no_version(&target.name, number))?.text(0)?), number)?;
    let content = artifacts.receive(permit, lease, body).await?;
    // Its content came once, so the request cannot be run again as a whole.
    until_won(|| async {
        let about = audit("writeModelVersionFile", &target.name).with("version", number).with("path", path);
        let mut tx = artifacts.db.write(permit, about.with("size", content.size)).await?;
        pending(&mut tx, permit, number).await?;
        put_row(&mut tx, &root(target.id, number), path, &content.hash, content.size).await?;
        Ok(tx.commit().await?)
    })
    .await
}

/// The folder and the name of a file's content, and when it was written under its own name.
///
/// # Errors
/// When there is no such file.
pub async fn find(
    artifacts: &Artifacts,
    permit: &Permit<models::Execute>,
    number: i64,
    path: &str,
) -> Result<(Folder, String, Micros)> {
    artifacts.find_in(permit, &root(permit.target().id, number), path).await
}

/// What is directly in a folder of a version, by name.
///
/// # Errors
/// When there is no such folder, or no such version.
pub async fn list<A: Action<On = kinds::Model>>(
    artifacts: &Artifacts,
    permit: &Permit<A>,
    number: i64,
    path: &str,
) -> Result<Vec<Artifact>> {
    let target = permit.target();
    let found = artifacts.list_in(permit, &root(target.id, number), path).await?;
    if found.is_empty() && path.is_empty() {
        let there = "SELECT 1 FROM model_version WHERE model = $1 AND version = $2";
        let row = artifacts.db.read(permit).row(there, params![target.id, number]).await?;
        row.ok_or_else(|| no_version(&target.name, number))?;
    } else if found.is_empty() {
        return Err(missing(path));
    }
    Ok(found)
}

/// What the `MLmodel` in a folder says that a model takes and gives.
pub(crate) async fn signature(
    artifacts: &Artifacts,
    evidence: &dyn Evidence,
    root: &str,
    folder: &str,
) -> Result<Option<Signature>> {
    let path = if folder.is_empty() { "MLmodel".to_owned() } else { format!("{folder}/MLmodel") };
    let Ok((folder, name, _)) = artifacts.find_in(evidence, root, &path).await else { return Ok(None) };
    let (meta, stream) = folder.read_range(&name, 0..u64::MAX).await?;
    if meta.size > LONGEST {
        return Ok(None);
    }
    let bytes: Vec<u8> = stream
        .try_fold(Vec::new(), |mut bytes, part| async move {
            bytes.extend_from_slice(&part);
            Ok(bytes)
        })
        .await?;
    Ok(of_mlmodel(&String::from_utf8_lossy(&bytes)))
}

/// Gives a version the files of a folder of somebody else, by the names of their contents: nothing is copied.
pub(crate) async fn share(tx: &mut Tx, from: &str, folder: &str, to: &str) -> Result<u64> {
    let now = tx.now();
    let (first, end, cut) = match folder {
        "" => (String::new(), String::from("\u{10ffff}"), 1),
        folder => (format!("{folder}/"), format!("{folder}0"), i64::try_from(folder.chars().count()).unwrap_or(0) + 2),
    };
    Ok(tx
        .run(
            "INSERT INTO artifact (root, path, hash, size, written_at) \
             SELECT $1, substr(path, CAST($2 AS integer)), hash, size, $3 FROM artifact \
             WHERE root = $4 AND path >= $5 AND path < $6",
            params![to, cut, now, from, first, end],
        )
        .await?)
}
