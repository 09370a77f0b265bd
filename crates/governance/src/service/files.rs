//! The audit of files in volumes: a change is in the audit before anybody can see it.
//!
//! A file appears, changes or goes at one moment, and the database is another place: whatever fails between them must leave a
//! row too many, never one too few. So the row is written after everything was received and before the file is. When
//! the change fails after that, a second row says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crannog_kit::{Dialect, dialects};
use crannog_security::actions::volumes;
use crannog_security::{Evidence, Lease, Permit};
use crannog_storage::ByteStream;
use crannog_store::{Audit, AuditEvent};
use crannog_types::{Problem, Result};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Governance;

/// How often the row is written again when others keep coming first: a body cannot be received twice.
const RUNS: u32 = 10;

/// A change of a file or a directory that is about to happen. Services and actions are Databricks' words: `filesystem` and
/// `filesPut`, `filesDelete` …
pub struct FileChange {
    governance: Governance,
    permit: Permit<volumes::Write>,
    action: &'static str,
    path: String,
}

impl FileChange {
    /// Of a path, by whoever holds the permit.
    pub fn new(
        governance: &Governance,
        permit: Permit<volumes::Write>,
        action: &'static str,
        path: String,
    ) -> Arc<Self> {
        Arc::new(FileChange { governance: governance.clone(), permit, action, path })
    }

    /// The permit that it is made with.
    pub fn permit(&self) -> &Permit<volumes::Write> {
        &self.permit
    }

    fn audit(&self, size: Option<u64>) -> Audit {
        let what = Audit::of("filesystem", self.action)
            .with("path", self.path.as_str())
            .with("volume_full_name", self.permit.target().name.to_string());
        size.into_iter().fold(what, |what, size| what.with("receivedContentLength", size))
    }

    /// Writes the row: the change may happen.
    pub async fn record(&self, size: Option<u64>) -> Result<()> {
        for run in 1.. {
            let written = async {
                let tx = self.governance.db.write(&self.permit, self.audit(size)).await?;
                tx.commit().await
            };
            match written.await.map_err(Problem::from) {
                Err(problem) if run < RUNS && problem.vendor_reason() == Some("SERIALIZATION_FAILURE") => {}
                outcome => return outcome,
            }
        }
        Ok(())
    }

    /// A body that asks for the permit once more and writes the row when its last byte was received: storage makes the file
    /// visible only after that.
    pub fn recorded(self: &Arc<Self>, lease: Lease, body: ByteStream) -> ByteStream {
        let (change, size) = (Arc::clone(self), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&size);
        let body = body.inspect_ok(move |bytes| {
            counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        });
        let end = stream::once(async move {
            lease.renew().await?;
            change.record(Some(size.load(Ordering::Relaxed))).await
        });
        Box::pin(body.chain(end.map_ok(|()| bytes::Bytes::new())))
    }

    /// Adds that it did not happen after all; gives the problem back.
    pub fn failed(&self, problem: Problem) -> Problem {
        self.governance.authority.recorder().event(AuditEvent {
            at: self.governance.db.now(),
            who: Some(self.permit.who().clone()),
            origin: self.permit.origin().cloned(),
            what: self.audit(None),
            status: i64::from(dialects::status(problem.code(), Dialect::Databricks).as_u16()),
            error: Some(problem.message().to_owned()),
        });
        problem
    }
}
