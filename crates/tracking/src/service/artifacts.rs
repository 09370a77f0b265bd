//! Files of runs. A content is kept once, under its hash; what it is called stands in the database.
//!
//! A file is there when its row is: the content is durable before. What a crash leaves without a row is nobody's.

use std::sync::{Arc, Mutex, PoisonError};

use crannog_security::actions::runs;
use crannog_security::{Evidence, Lease, Permit, System, Task};
use crannog_storage::{Access, ByteStream, Folder, Managed, Storage, StorageError};
use crannog_store::{Audit, Db, params};
use crannog_types::{Micros, Problem, Result, SecurableId};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::{logging, not_active, run_of, runs as run_verbs};
use crate::model::experiments::Lifecycle;

/// A file or a folder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Below the run's folder.
    pub path: String,
    /// In bytes; none for a folder.
    pub size: Option<i64>,
}

/// Where files are.
#[derive(Clone)]
pub struct Artifacts {
    /// The metadata database.
    pub db: Db,
    /// The door to files.
    pub storage: Arc<Storage>,
}

/// How often the row of a file is written again when another change came first: its content came once.
const RUNS: u32 = 10;

fn root(run_id: &str) -> String {
    format!("runs/{run_id}")
}

impl Artifacts {
    fn folder(&self, evidence: &dyn Evidence, access: Access) -> Result<Folder> {
        // One folder for the contents of all, so that equal ones meet.
        let at = self.storage.managed(Managed::Artifacts, SecurableId::METASTORE.0);
        Ok(self.storage.open(evidence, &at, access)?)
    }

    /// Keeps a file, in place of one of the same name. The lease is asked for once more when all of it was received.
    ///
    /// # Errors
    /// When the run is deleted; when the body ends early; when a folder has the name, or a file that of a folder on the way.
    pub async fn put(&self, permit: &Permit<runs::Edit>, lease: &Lease, path: &str, body: ByteStream) -> Result<()> {
        if path.is_empty() {
            return Err(Problem::invalid("Invalid path").hint("name a file"));
        }
        let run_id = run_of(permit)?;
        // Before the body is read: nobody wants to send a gigabyte to learn this.
        if run_verbs::get_info(&self.db, permit).await?.lifecycle == Lifecycle::Deleted {
            return Err(not_active(&self.db, permit, &run_id).await);
        }
        let folder = self.folder(permit, Access::ReadWrite)?;
        let hashed = Arc::new(Mutex::new((Sha256::new(), 0_i64)));
        let hashing = Arc::clone(&hashed);
        let body: ByteStream = Box::pin(body.inspect_ok(move |bytes| {
            let mut hashing = hashing.lock().unwrap_or_else(PoisonError::into_inner);
            hashing.0.update(bytes);
            hashing.1 += i64::try_from(bytes.len()).unwrap_or_default();
        }));
        let received = folder.receive(body).await?;
        let (hash, size) = {
            let mut hashed = hashed.lock().unwrap_or_else(PoisonError::into_inner);
            (hex(&std::mem::take(&mut hashed.0).finalize()), hashed.1)
        };
        lease.renew().await?;
        received.publish(&hash).await?;
        for run in 1.. {
            match self.note(permit, &run_id, path, &hash, size).await {
                Err(problem) if run < RUNS && problem.vendor_reason() == Some("SERIALIZATION_FAILURE") => {}
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn note(&self, permit: &Permit<runs::Edit>, run_id: &str, path: &str, hash: &str, size: i64) -> Result<()> {
        let about = Audit::of("mlflowAcledArtifact", "writeArtifact").with("runId", run_id).with("artifactPath", path);
        let mut tx = self.db.write(permit, about.with("size", size)).await?;
        logging::active(&mut tx, run_id).await?;
        let above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        for folder in above {
            let file = "SELECT 1 FROM artifact WHERE root = $1 AND path = $2";
            if tx.row(file, params![root(run_id), folder]).await?.is_some() {
                return Err(Problem::invalid(format!("'{folder}' is a file, so nothing can be in it")));
            }
        }
        let below = "SELECT 1 FROM artifact WHERE root = $1 AND path >= $2 AND path < $3 LIMIT 1";
        if tx.row(below, params![root(run_id), format!("{path}/"), format!("{path}0")]).await?.is_some() {
            return Err(Problem::invalid(format!("'{path}' is a folder")));
        }
        let now = tx.now();
        tx.run(
            "INSERT INTO artifact (root, path, hash, size, written_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (root, path) DO UPDATE SET hash = excluded.hash, size = excluded.size, \
             written_at = excluded.written_at",
            params![root(run_id), path, hash, size, now],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// The folder and the name of a file's content, and when it was written under its own name.
    ///
    /// # Errors
    /// When there is no such file.
    pub async fn find(&self, permit: &Permit<runs::Read>, path: &str) -> Result<(Folder, String, Micros)> {
        let run_id = run_of(permit)?;
        let one = "SELECT hash, written_at FROM artifact WHERE root = $1 AND path = $2";
        let row = self.db.read(permit).row(one, params![root(&run_id), path]).await?;
        let row = row.ok_or_else(|| missing(path))?;
        Ok((self.folder(permit, Access::Read)?, row.text(0)?, row.micros(1)?))
    }

    /// Deletes what uploads left that a crash ended, more than a day ago.
    pub async fn sweep(&self) -> Result<usize> {
        #[expect(clippy::disallowed_methods, reason = "what nobody's upload is any more is nobody's to ask for")]
        let system = System::task(Task::Track);
        let day_ago = Micros(self.db.now().0 - 86_400_000_000);
        Ok(self.folder(&system, Access::ReadWrite)?.sweep(day_ago).await?)
    }

    /// What is directly in a folder of a run, by name; nothing for a file.
    pub async fn list(&self, permit: &Permit<runs::Read>, path: &str) -> Result<Vec<Artifact>> {
        let run_id = run_of(permit)?;
        // Everything below a folder: its name and a slash, up to that with the character after the slash.
        let (from, to) = match path {
            "" => (String::new(), String::from("\u{10ffff}")),
            path => (format!("{path}/"), format!("{path}0")),
        };
        let below = "SELECT path, size FROM artifact WHERE root = $1 AND path >= $2 AND path < $3 ORDER BY path";
        let rows = self.db.read(permit).rows(below, params![root(&run_id), from.as_str(), to]).await?;
        let mut found: Vec<Artifact> = Vec::new();
        for row in rows {
            let (full, size) = (row.text(0)?, row.int(1)?);
            let rest = full.strip_prefix(&from).unwrap_or(&full);
            let (name, size) = match rest.split_once('/') {
                Some((folder, _)) => (format!("{from}{folder}"), None),
                None => (full, Some(size)),
            };
            if found.last().is_none_or(|last| last.path != name) {
                found.push(Artifact { path: name, size });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Deletes a file, or a folder with everything in it.
    ///
    /// # Errors
    /// When there is no such thing.
    pub async fn delete(&self, permit: &Permit<runs::Edit>, path: &str) -> Result<()> {
        let run_id = run_of(permit)?;
        let about =
            Audit::of("mlflowAcledArtifact", "deleteArtifact").with("runId", &*run_id).with("artifactPath", path);
        let mut tx = self.db.write(permit, about).await?;
        let gone = match path {
            "" => tx.run("DELETE FROM artifact WHERE root = $1", params![root(&run_id)]).await?,
            path => {
                let below = "DELETE FROM artifact WHERE root = $1 AND ((path >= $2 AND path < $3) OR path = $4)";
                let values = params![root(&run_id), format!("{path}/"), format!("{path}0"), path];
                tx.run(below, values).await?
            }
        };
        if gone == 0 {
            return Err(missing(path));
        }
        Ok(tx.commit().await?)
    }
}

/// The answer about a file that is not there.
pub fn missing(path: &str) -> Problem {
    Problem::not_found(format!("No such artifact: '{path}'")).reason("RESOURCE_DOES_NOT_EXIST")
}

/// A failure of reading a file that its row names.
pub fn unreadable(path: &str, error: StorageError) -> Problem {
    match error {
        // Its row is there, so its content has to be.
        StorageError::NotFound(_) => Problem::internal(format!("the content of '{path}' is gone"), error),
        other => other.into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
