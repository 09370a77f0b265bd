//! What is recorded of decisions: denials, and reads of governed data.
//!
//! A change writes its audit row in its own transaction. A denial changes nothing, so it goes through here, in batches.

use std::sync::Arc;
use std::time::Duration;

use crannog_security::{System, Task};
use crannog_store::{AuditEvent, Db, StoreError, until_won};

use crate::batches::{Batches, Sink};
use crate::tasks::Tasks;

/// Where events go.
pub struct Recorder(Batches<AuditEvent>);

struct Audit(Db);

impl Sink for Audit {
    type Row = AuditEvent;

    async fn write(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the recorder writes what others were refused; it acts for nobody"
        )]
        let system = System::task(Task::Record);
        until_won(|| async {
            let mut tx = self.0.write_unaudited(&system).await?;
            for event in events {
                tx.record(event).await?;
            }
            tx.commit().await
        })
        .await
    }
}

impl Recorder {
    /// Starts the writer of batches.
    pub fn start(db: Db, tasks: &Tasks) -> Arc<Self> {
        Arc::new(Recorder(Batches::start("audit writer", Audit(db), tasks)))
    }

    /// Keeps an event.
    pub fn event(&self, event: AuditEvent) {
        self.0.add(event);
    }

    /// Whether the writer hangs: one write has taken longer than this.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.0.stuck(longer_than)
    }

    /// Waits until everything recorded so far can be read.
    pub async fn flush(&self) {
        self.0.flush().await;
    }
}
