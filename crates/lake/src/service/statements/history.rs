//! Who asked what: one row of `system.query.history` for every statement, and an audit row for every table and every path of
//! a volume that it read; and the lineage of what it read and wrote, with its row.
//!
//! Rows are written in batches by a task: a statement does not wait for the disk to be remembered. Whoever reads the
//! history flushes first.

use std::sync::Arc;
use std::time::Duration;

use crannog_governance::model::lineage::{Event, Flow, Node, NodeType};
use crannog_governance::service::lineage;
use crannog_kit::batches::{Batches, Sink};
use crannog_kit::{Recorder, Tasks};
use crannog_security::{Origin, System, Task, Who};
use crannog_store::{Audit, AuditEvent, Db, StoreError, params, until_won};
use crannog_types::{FullName, Micros, SecurableId};
use serde_json::{Value as Json, json};

use super::{FilesRead, TableRead, Touched};

/// The parameter of a `getTable` or `getVolume` row that was read with the rights of a view's owner: such rows are for administrators.
pub const VIA_VIEW: &str = "via_view";

/// One statement that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Who asked.
    pub who: Who,
    /// Where the request came from.
    pub origin: Arc<Origin>,
    /// The warehouse that it ran on, as clients call it.
    pub warehouse: Option<String>,
    /// Its text.
    pub text: String,
    /// `Query`, `Insert` …; `None` when it could not be parsed.
    pub kind: Option<&'static str>,
    /// `FINISHED`, `FAILED` or `CANCELED`.
    pub status: &'static str,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Micros,
    /// When it ended.
    pub ended_at: Micros,
    /// Rows that it answered.
    pub rows_produced: i64,
    /// What it read and wrote.
    pub touched: Touched,
}

impl Ended {
    /// What flowed by it: from everything that it read to everything that it wrote rows to or made a view of. What a view of
    /// those reads is not its own: that flowed into the view.
    fn flows(&self) -> Vec<Flow> {
        let Touched { reads, files, writes } = &self.touched;
        // What was written is written, whatever became of the answer. EXPLAIN names what it does not read.
        if self.kind == Some("Explain") || (self.status != "FINISHED" && writes.is_empty()) {
            return Vec::new();
        }
        let node = |id: SecurableId, name: &FullName, view: bool| Node {
            id,
            node_type: if view { NodeType::View } else { NodeType::Table },
            name: name.clone(),
            path: None,
            version: None,
        };
        let tables = reads.iter().filter(|read| read.via.is_none()).map(|read| node(read.id, &read.name, read.view));
        let files = files.iter().filter(|files| files.via.is_none()).map(|files| Node {
            node_type: NodeType::Path,
            path: Some(files.path.clone()),
            ..node(files.id, &files.volume, false)
        });
        let sources: Vec<Node> = tables.chain(files).collect();
        let into = writes.iter().filter(|write| write.view || write.rows.is_some());
        let targets: Vec<Node> = into.map(|write| node(write.id, &write.name, write.view)).collect();
        // An end that is open is one, too.
        let open = |nodes: Vec<Node>| match nodes.is_empty() {
            true => vec![None],
            false => nodes.into_iter().map(Some).collect::<Vec<_>>(),
        };
        let (sources, targets) = (open(sources), open(targets));
        let flows = targets.iter().flat_map(|target| {
            sources.iter().map(|source| Flow { source: source.clone(), target: target.clone(), context: None })
        });
        flows.filter(|flow| flow.source.is_some() || flow.target.is_some()).collect()
    }
}

/// The history's writer.
pub struct History {
    statements: Batches<Ended>,
    recorder: Arc<Recorder>,
}

impl History {
    /// Starts the writer.
    pub fn start(db: Db, recorder: Arc<Recorder>, tasks: &Tasks) -> Arc<Self> {
        Arc::new(History { statements: Batches::start("query history", Table(db), tasks), recorder })
    }

    /// Remembers a statement, and what it read.
    pub fn ended(&self, ended: Ended) {
        for TableRead { name, via, .. } in &ended.touched.reads {
            let what = Audit::of("unityCatalog", "getTable").with("full_name_arg", name.to_string());
            self.read(&ended, what, via.as_ref());
        }
        for FilesRead { volume, path, via, .. } in &ended.touched.files {
            let what = Audit::of("unityCatalog", "getVolume").with("volume_full_name", volume.to_string());
            self.read(&ended, what.with("path", path.as_str()), via.as_ref());
        }
        self.statements.add(ended);
    }

    fn read(&self, ended: &Ended, what: Audit, via: Option<&FullName>) {
        self.recorder.event(AuditEvent {
            at: ended.started_at,
            who: Some(ended.who.clone()),
            origin: Some(Arc::clone(&ended.origin)),
            what: via.into_iter().fold(what, |what, view| what.with(VIA_VIEW, view.to_string())),
            status: 200,
            error: None,
        });
    }

    /// Whether the writer hangs: one write has taken longer than this.
    pub fn stuck(&self, longer_than: Duration) -> bool {
        self.statements.stuck(longer_than)
    }

    /// Waits until everything that ended so far can be read.
    pub async fn flush(&self) {
        self.statements.flush().await;
    }
}

const INSERT: &str = "INSERT INTO statement (id, principal, principal_name, warehouse, text, kind, status, error, \
     started_at, ended_at, rows_produced, rows_written, reads, source_ip, user_agent, writes) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING";

struct Table(Db);

impl Sink for Table {
    type Row = Ended;

    async fn write(&self, statements: &[Ended]) -> Result<(), StoreError> {
        #[expect(clippy::disallowed_methods, reason = "the history's writer acts for nobody")]
        let system = System::task(Task::Record);
        until_won(|| self.insert(&system, statements)).await
    }
}

impl Table {
    async fn insert(&self, system: &System, statements: &[Ended]) -> Result<(), StoreError> {
        let mut tx = self.0.write_unaudited(system).await?;
        for ended in statements {
            let Touched { reads, writes, files: _ } = &ended.touched;
            let reads = reads.iter().map(|read| {
                let via = read.via.as_ref().map(ToString::to_string);
                json!({ "table": read.name.to_string(), "columns": read.columns, "via": via })
            });
            let rows_written: Option<i64> =
                writes.iter().filter_map(|write| write.rows).reduce(|a, b| a.saturating_add(b));
            let writes = writes.iter().filter(|write| !write.view);
            let writes = writes.map(|write| json!({ "table": write.name.to_string(), "rows": write.rows }));
            tx.run(
                INSERT,
                params![
                    ended.id.as_str(),
                    ended.who.id,
                    &*ended.who.name,
                    ended.warehouse.clone(),
                    ended.text.as_str(),
                    ended.kind,
                    ended.status,
                    ended.error.clone(),
                    ended.started_at,
                    ended.ended_at,
                    ended.rows_produced,
                    rows_written,
                    Json::Array(reads.collect()).to_string(),
                    ended.origin.source_ip.clone(),
                    ended.origin.user_agent.clone(),
                    Json::Array(writes.collect()).to_string(),
                ],
            )
            .await?;
            let flows = ended.flows();
            let statement = Some(ended.id.as_str());
            let event = Event { at: ended.started_at, who: &ended.who, statement, part: None, flows: &flows };
            lineage::record(&mut tx, &event).await?;
        }
        tx.commit().await
    }
}
