//! Files of runs and models. A content is kept once, under its hash; what it is called stands in the database.
//!
//! A file is there when its row is: the content is durable before. A content that has no row, because its files were deleted or a
//! crash came between, is deleted in the background ([`Artifacts::collect`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crannog_governance::service::files::Downloads;
use crannog_kit::Recorder;
use crannog_kit::steps::Steps;
use crannog_security::actions::{logged_models, metastore, runs};
use crannog_security::{Action, Evidence, Lease, Permit, Securable, System, Task, kinds};
use crannog_storage::{Access, ByteStream, Folder, Managed, Storage, StorageError};
use crannog_store::query::{Expr, ExprTrait, Query};
use crannog_store::{Audit, AuditEvent, Db, Tx, params, until_won};
use crannog_types::{Micros, Problem, Result, SecurableId};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{logged_models as model_verbs, logging, not_active, part_of, runs as run_verbs};
use crate::model::experiments::Lifecycle;

/// A part of an experiment that has files.
pub trait Holder: Securable {
    /// What stands before its id in the database.
    const ROOT: &'static str;
    /// What the audit calls its id.
    const ID: &'static str;

    /// Where its files are, for clients.
    fn address(db: &Db, evidence: &dyn Evidence, id: &str) -> impl Future<Output = Result<String>> + Send;

    /// Refuses what is deleted, without a transaction: a hint to whoever is about to send a file.
    fn check(db: &Db, evidence: &dyn Evidence, id: &str) -> impl Future<Output = Result<()>> + Send;

    /// Refuses what is deleted.
    fn active(tx: &mut Tx, id: &str) -> impl Future<Output = Result<()>> + Send;
}

impl Holder for kinds::Run {
    const ROOT: &'static str = "runs";
    const ID: &'static str = "runId";

    async fn address(db: &Db, evidence: &dyn Evidence, id: &str) -> Result<String> {
        Ok(run_verbs::info_of(db, evidence, id).await?.artifact_uri)
    }

    async fn check(db: &Db, evidence: &dyn Evidence, id: &str) -> Result<()> {
        match run_verbs::info_of(db, evidence, id).await?.lifecycle {
            Lifecycle::Active => Ok(()),
            Lifecycle::Deleted => Err(not_active(db, evidence, id).await),
        }
    }

    async fn active(tx: &mut Tx, id: &str) -> Result<()> {
        logging::active(tx, id).await.map(|_| ())
    }
}

impl Holder for kinds::LoggedModel {
    const ROOT: &'static str = "models";
    const ID: &'static str = "modelId";

    async fn address(db: &Db, evidence: &dyn Evidence, id: &str) -> Result<String> {
        Ok(model_verbs::info_of(db, evidence, id).await?.artifact_uri)
    }

    async fn check(db: &Db, evidence: &dyn Evidence, id: &str) -> Result<()> {
        match model_verbs::info_of(db, evidence, id).await?.lifecycle {
            Lifecycle::Active => Ok(()),
            Lifecycle::Deleted => Err(model_verbs::no_model(id)),
        }
    }

    async fn active(tx: &mut Tx, id: &str) -> Result<()> {
        model_verbs::active(tx, id).await
    }
}

/// What has to be granted to read files.
pub trait Reads: Action<On: Holder> {}
impl Reads for runs::Read {}
impl Reads for logged_models::Read {}

/// What has to be granted to write and delete files.
pub trait Writes: Action<On: Holder> {}
impl Writes for runs::Edit {}
impl Writes for logged_models::Edit {}

/// Where the files are of whom a permit is for, for clients.
pub async fn address<A: Action<On: Holder>>(db: &Db, permit: &Permit<A>) -> Result<String> {
    A::On::address(db, permit, &part_of(permit)?).await
}

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Below the folder of its run or model.
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
    /// Held by whoever names a content, alone by who deletes one that has no name.
    naming: Arc<RwLock<()>>,
}

/// A content that is there, and is not deleted while this is held: until a row names it.
#[must_use = "who drops it before its row is committed may find the content gone"]
pub(crate) struct Content {
    /// Its name.
    pub(crate) hash: String,
    /// In bytes.
    pub(crate) size: i64,
    _naming: OwnedRwLockReadGuard<()>,
}

/// A content that nobody names is as old as this before it is deleted: longer than a cancelled request may need to be over.
const GRACE: i64 = 3_600_000_000;

/// How many contents are looked at together.
const CONTENTS: usize = 1000;

/// Whose files an import brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    /// A run's.
    Run(String),
    /// A logged model's.
    Model(String),
}

impl Imported {
    /// Reads `runs/<id>` and `models/<id>`.
    pub(crate) fn of_root(root: &str) -> Result<Self> {
        match root.split_once('/') {
            Some(("runs", id)) if !id.is_empty() => Ok(Imported::Run(id.to_owned())),
            Some(("models", id)) if !id.is_empty() => Ok(Imported::Model(id.to_owned())),
            _ => Err(Problem::invalid(format!("'{root}' has no files here")).hint("runs/<id> and models/<id> have")),
        }
    }

    /// The root of its files, as the database has it.
    pub(crate) fn root(&self) -> String {
        match self {
            Imported::Run(id) => format!("{}/{id}", kinds::Run::ROOT),
            Imported::Model(id) => format!("{}/{id}", kinds::LoggedModel::ROOT),
        }
    }

    fn id(&self) -> &str {
        match self {
            Imported::Run(id) | Imported::Model(id) => id,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Imported::Run(_) => kinds::Run::ID,
            Imported::Model(_) => kinds::LoggedModel::ID,
        }
    }

    fn there(&self) -> &'static str {
        match self {
            Imported::Run(_) => "SELECT 1 FROM run WHERE run_id = $1",
            Imported::Model(_) => "SELECT 1 FROM logged_model WHERE model_id = $1",
        }
    }
}

/// The root of the files of whom a permit is for, as the database has it.
fn root<A: Action<On: Holder>>(id: &str) -> String {
    format!("{}/{id}", A::On::ROOT)
}

impl Artifacts {
    /// Over a database and the door to files. One for both: it knows who is naming a content.
    pub fn new(db: Db, storage: Arc<Storage>) -> Self {
        Artifacts { db, storage, naming: Arc::default() }
    }

    fn folder(&self, evidence: &dyn Evidence, access: Access) -> Result<Folder> {
        // One folder for the contents of all, so that equal ones meet.
        let at = self.storage.managed(Managed::Artifacts, SecurableId::METASTORE.0);
        Ok(self.storage.open(evidence, &at, access)?)
    }

    /// Keeps a file, in place of one of the same name. The lease is asked for once more when all of it was received.
    ///
    /// # Errors
    /// When the run or the model is deleted; when the body ends early; when a folder has the name, or a file that of a folder
    /// on the way.
    pub async fn put<A: Writes>(&self, permit: &Permit<A>, lease: &Lease, path: &str, body: ByteStream) -> Result<()> {
        if path.is_empty() {
            return Err(Problem::invalid("Invalid path").hint("name a file"));
        }
        let id = part_of(permit)?;
        // Before the body is read: nobody wants to send a gigabyte to learn this.
        A::On::check(&self.db, permit, &id).await?;
        let content = self.receive(permit, lease, body).await?;
        // Its content came once, so the request cannot be run again as a whole.
        until_won(|| self.note(permit, &id, path, &content.hash, content.size)).await
    }

    /// Keeps a content under its hash. The lease is asked for once more when all of it was received.
    pub(crate) async fn receive(&self, permit: &dyn Evidence, lease: &Lease, body: ByteStream) -> Result<Content> {
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
        let naming = Arc::clone(&self.naming).read_owned().await;
        received.publish(&hash).await?;
        Ok(Content { hash, size, _naming: naming })
    }

    /// Keeps a file that comes from another tracker, of a run or a model that may be deleted.
    ///
    /// # Errors
    /// When nobody of that root is here; when the body ends early.
    pub(crate) async fn put_imported(
        &self,
        permit: &Permit<metastore::Administer>,
        lease: &Lease,
        (holder, path): (&Imported, &str),
        body: ByteStream,
    ) -> Result<()> {
        let content = self.receive(permit, lease, body).await?;
        until_won(|| async {
            let about = Audit::of("mlflowAcledArtifact", "importArtifact").with(holder.word(), holder.id());
            let about = about.with("artifactPath", path).with("size", content.size);
            let mut tx = self.db.write(permit, about).await?;
            if tx.row(holder.there(), params![holder.id()]).await?.is_none() {
                return Err(missing(&holder.root()));
            }
            put_row(&mut tx, &holder.root(), path, &content.hash, content.size).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn note<A: Writes>(&self, permit: &Permit<A>, id: &str, path: &str, hash: &str, size: i64) -> Result<()> {
        let about = Audit::of("mlflowAcledArtifact", "writeArtifact").with(A::On::ID, id).with("artifactPath", path);
        let mut tx = self.db.write(permit, about.with("size", size)).await?;
        A::On::active(&mut tx, id).await?;
        put_row(&mut tx, &root::<A>(id), path, hash, size).await?;
        Ok(tx.commit().await?)
    }

    /// The folder and the name of a file's content, and when it was written under its own name.
    ///
    /// # Errors
    /// When there is no such file.
    pub async fn find<A: Reads>(&self, permit: &Permit<A>, path: &str) -> Result<(Folder, String, Micros)> {
        self.find_in(permit, &root::<A>(&part_of(permit)?), path).await
    }

    /// The same of a root.
    pub(crate) async fn find_in(
        &self,
        permit: &dyn Evidence,
        root: &str,
        path: &str,
    ) -> Result<(Folder, String, Micros)> {
        let one = "SELECT hash, written_at FROM artifact WHERE root = $1 AND path = $2";
        let row = self.db.read(permit).row(one, params![root, path]).await?;
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

    /// Deletes contents that no file is called by any more; gives how many bytes they were. Each look at the database, and each
    /// deletion, is one of the steps.
    ///
    /// # Errors
    /// What storage or the database says; calling again goes on.
    pub async fn collect(&self, steps: &Steps) -> Result<u64> {
        #[expect(clippy::disallowed_methods, reason = "a content without a name is nobody's to ask for")]
        let system = System::task(Task::Track);
        let before = Micros(self.db.now().0 - GRACE);
        let folder = self.folder(&system, Access::ReadWrite)?;
        let (mut files, mut bytes) = (0_u64, 0_u64);
        let mut some = folder.files(CONTENTS);
        while let Some(found) = some.recv().await {
            let mut old: BTreeMap<String, u64> =
                found?.into_iter().filter(|file| file.modified < before).map(|file| (file.path, file.size)).collect();
            if old.is_empty() {
                continue;
            }
            let step = steps.begin();
            let named = Query::select()
                .distinct()
                .column("hash")
                .from("artifact")
                .and_where(Expr::col("hash").is_in(old.keys().map(String::as_str)))
                .to_owned();
            for row in self.db.read(&system).select(&named).await? {
                old.remove(&row.text(0)?);
            }
            drop(step);
            for (hash, size) in old {
                let _step = steps.begin();
                let _alone = self.naming.write().await;
                // Once more, now that nobody can be about to name it.
                let file = folder.head(&hash).await?.filter(|file| file.modified < before);
                let one = "SELECT 1 FROM artifact WHERE hash = $1 LIMIT 1";
                let named = self.db.read(&system).row(one, params![&*hash]).await?;
                if file.is_some() && named.is_none() && folder.delete(&hash).await? {
                    files += 1;
                    bytes += size;
                }
            }
        }
        if files > 0 {
            tracing::info!(files, bytes, "contents that no file is called by any more were deleted");
        }
        Ok(bytes)
    }

    /// What is directly in a folder, by name; nothing for a file.
    pub async fn list<A: Reads>(&self, permit: &Permit<A>, path: &str) -> Result<Vec<Artifact>> {
        self.list_in(permit, &root::<A>(&part_of(permit)?), path).await
    }

    /// The same of a root.
    pub(crate) async fn list_in(&self, permit: &dyn Evidence, root: &str, path: &str) -> Result<Vec<Artifact>> {
        // Everything below a folder: its name and a slash, up to that with the character after the slash.
        let (from, to) = match path {
            "" => (String::new(), String::from("\u{10ffff}")),
            path => (format!("{path}/"), format!("{path}0")),
        };
        let below = "SELECT path, size FROM artifact WHERE root = $1 AND path >= $2 AND path < $3 ORDER BY path";
        let rows = self.db.read(permit).rows(below, params![root, from.as_str(), to]).await?;
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

    /// Deletes a file, or a folder with everything in it, if there is one.
    pub async fn delete<A: Writes>(&self, permit: &Permit<A>, path: &str) -> Result<()> {
        let id = part_of(permit)?;
        let about = Audit::of("mlflowAcledArtifact", "deleteArtifact").with(A::On::ID, &*id).with("artifactPath", path);
        let mut tx = self.db.write(permit, about).await?;
        let gone = match path {
            "" => tx.run("DELETE FROM artifact WHERE root = $1", params![root::<A>(&id)]).await?,
            path => {
                let below = "DELETE FROM artifact WHERE root = $1 AND ((path >= $2 AND path < $3) OR path = $4)";
                let values = params![root::<A>(&id), format!("{path}/"), format!("{path}0"), path];
                tx.run(below, values).await?
            }
        };
        if gone == 0 {
            // Of what is not there nothing is left, as MLflow sees it; and nothing happened that the audit could tell.
            return Ok(());
        }
        Ok(tx.commit().await?)
    }
}

/// The audit of reads: a row a download, as for files of volumes.
pub struct Reading {
    downloads: Downloads,
    recorder: Arc<Recorder>,
    db: Db,
}

impl Reading {
    /// Nothing was read yet.
    pub fn new(db: Db, recorder: Arc<Recorder>) -> Self {
        Reading { downloads: Downloads::default(), recorder, db }
    }

    /// Adds the row about a file of a run or a model, unless this download has one.
    pub fn of_artifact<A: Reads>(&self, permit: &Permit<A>, path: &str, since: Micros, size: u64) {
        let id = permit.target().part.as_deref().unwrap_or_default();
        let about = Audit::of("mlflowAcledArtifact", "readArtifact").with(A::On::ID, id).with("artifactPath", path);
        self.record(permit, format!("{}/{path}", root::<A>(id)), since, about.with("contentLength", size));
    }

    /// The same with a row of the caller's own. `file` tells the file from all others of the object.
    pub fn record<A: Action>(&self, permit: &Permit<A>, file: String, since: Micros, what: Audit) {
        let now = self.db.now();
        if self.downloads.is_new((permit.who().id, permit.target().id, file, since), now) {
            let (who, origin) = (Some(permit.who().clone()), permit.origin().cloned());
            self.recorder.event(AuditEvent { at: now, who, origin, what, status: 200, error: None });
        }
    }
}

/// Says that a file of a root has a content, in place of one of the same name.
///
/// # Errors
/// When a folder has the name, or a file that of a folder on the way.
pub(crate) async fn put_row(tx: &mut Tx, root: &str, path: &str, hash: &str, size: i64) -> Result<()> {
    let above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
    for folder in above {
        let file = "SELECT 1 FROM artifact WHERE root = $1 AND path = $2";
        if tx.row(file, params![root, folder]).await?.is_some() {
            return Err(Problem::invalid(format!("'{folder}' is a file, so nothing can be in it")));
        }
    }
    let below = "SELECT 1 FROM artifact WHERE root = $1 AND path >= $2 AND path < $3 LIMIT 1";
    if tx.row(below, params![root, format!("{path}/"), format!("{path}0")]).await?.is_some() {
        return Err(Problem::invalid(format!("'{path}' is a folder")));
    }
    let now = tx.now();
    tx.run(
        "INSERT INTO artifact (root, path, hash, size, written_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (root, path) DO UPDATE SET hash = excluded.hash, size = excluded.size, \
         written_at = excluded.written_at",
        params![root, path, hash, size, now],
    )
    .await?;
    Ok(())
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
