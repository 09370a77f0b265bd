//! The audit of files in volumes: a change is in the audit before anybody can see it, and so is whose bytes were read.
//!
//! A file appears, changes or goes at one moment, and the database is another place: whatever fails between them must leave a
//! row too many, never one too few. So the row is written after everything was received and before the file is. When
//! the change fails after that, a second row says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crannog_kit::{Dialect, dialects};
use crannog_security::actions::volumes;
use crannog_security::{Evidence, Lease, Permit};
use crannog_storage::{ByteStream, FileMeta};
use crannog_store::{Audit, AuditEvent, until_won};
use crannog_types::{Micros, PrincipalId, Problem, Result, SecurableId};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Governance;

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
        // A body cannot be received twice, so that no request could be run again for this.
        let write = || async {
            let tx = self.governance.db.write(&self.permit, self.audit(size)).await?;
            Ok::<_, Problem>(tx.commit().await?)
        };
        until_won(write).await
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

/// How long requests for one file, as it is, by one person count as one download.
const ONE_DOWNLOAD: i64 = 600;

/// Downloads that are remembered. A full memory is emptied, which costs a row each.
const REMEMBERED: usize = 10_000;

/// One file, as it was at one time, read by one person.
pub type Download = (PrincipalId, SecurableId, String, Micros);

/// The audit of reads. Clients fetch a large file in many ranges, some of them at once: that is one download and one row,
/// `filesGet`, when its first bytes are handed out. Ten minutes later, or when the file was replaced, it is another.
#[derive(Default)]
pub struct Downloads(Mutex<HashMap<Download, Micros>>);

impl Downloads {
    /// Adds the row, unless this download has one.
    pub fn record(&self, governance: &Governance, permit: &Permit<volumes::Read>, path: String, meta: &FileMeta) {
        let now = governance.db.now();
        if !self.is_new((permit.who().id, permit.target().id, path.clone(), meta.modified), now) {
            return;
        }
        governance.authority.recorder().event(AuditEvent {
            at: now,
            who: Some(permit.who().clone()),
            origin: permit.origin().cloned(),
            what: Audit::of("filesystem", "filesGet")
                .with("path", path)
                .with("volume_full_name", permit.target().name.to_string())
                .with("contentLength", meta.size),
            status: 200,
            error: None,
        });
    }

    /// Whether a request is the first of a download: by whom, of which object, which file of it, as it was since when.
    pub fn is_new(&self, download: Download, now: Micros) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&download).is_some_and(|since| now < since.plus_seconds(ONE_DOWNLOAD)) {
            return false;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(download, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_download_are_one() {
        let downloads = Downloads::default();
        let of = |who: i64, path: &str, modified: i64| {
            (PrincipalId(who), SecurableId::METASTORE, path.to_owned(), Micros(modified))
        };
        let at = |seconds: i64| Micros(0).plus_seconds(seconds);
        assert!(downloads.is_new(of(1, "f", 5), at(0)));
        assert!(!downloads.is_new(of(1, "f", 5), at(ONE_DOWNLOAD - 1)), "it goes on");
        for other in [of(2, "f", 5), of(1, "g", 5), of(1, "f", 6)] {
            assert!(downloads.is_new(other, at(1)));
        }
        assert!(downloads.is_new(of(1, "f", 5), at(ONE_DOWNLOAD)), "begun anew, however long it goes on");
        for number in 0..REMEMBERED {
            downloads.is_new(of(3, &number.to_string(), 5), at(ONE_DOWNLOAD));
        }
        assert!(downloads.0.lock().unwrap().len() <= REMEMBERED);
    }
}
