//! A Delta table in a folder of its own, with commits made by hand.

use std::collections::HashMap;
use std::sync::Arc;

use crannog_engine::{DataFusionEngine, Limits, testing};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::model::actions::{Action, Add, CommitInfo, Metadata, Protocol};
use crannog_lake::model::commit_file::render_commit;
use crannog_lake::model::schema::StructType;
use crannog_lake::model::state::{Loaded, TableState};
use crannog_lake::ports::{BoundQuery, Session, WriteSpec};
use crannog_security::{System, Task};
use crannog_storage::{Access, External, Folder, Managed, Storage};
use crannog_types::{Micros, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use uuid::Uuid;

pub(crate) const NOW: Micros = Micros(1_700_000_000_000_000);

pub(crate) struct Table {
    pub(crate) folder: Folder,
    pub(crate) engine: DataFusionEngine,
    next: i64,
}

/// Whose query it is: root's, in UTC.
pub(crate) fn session() -> Session {
    Session {
        catalog: "main".into(),
        schema: "default".into(),
        time_zone: "UTC".into(),
        user: "root".into(),
        groups: Vec::new(),
        now: NOW,
    }
}

/// A query over no table.
pub(crate) fn bound(sql: &str) -> BoundQuery {
    let Ok(Statement::Query(query)) = grammar::parse(sql) else { panic!("{sql} is no query") };
    BoundQuery { query: *query, relations: HashMap::new(), session: session(), into: None }
}

/// What a query gave.
pub(crate) struct Answer {
    pub(crate) rows: RecordBatch,
    /// What the scan of the table opened.
    pub(crate) opened: testing::Opened,
    /// The plan as EXPLAIN shows it.
    pub(crate) plan: String,
}

impl Table {
    /// A table that is not there yet. It is left behind when the test is over, in the build's folder for such things.
    pub(crate) fn new(name: &str) -> Self {
        let data = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine").join(name);
        let _ = std::fs::remove_dir_all(&data);
        let storage = Storage::new(&data, External::Nowhere).unwrap();
        let location = storage.managed(Managed::Tables, Uuid::nil());
        #[expect(clippy::disallowed_methods, reason = "a test stands in for a permit")]
        let system = System::task(Task::Bootstrap);
        let folder = storage.open(&system, &location, Access::ReadWrite).unwrap();
        Self { folder, engine: DataFusionEngine::new(Limits::default()), next: 0 }
    }

    /// Version 0.
    pub(crate) async fn create(name: &str, schema: &StructType, partition_by: &[&str], protocol: Protocol) -> Self {
        let mut table = Self::new(name);
        table.commit(vec![Action::Protocol(protocol), Action::Metadata(metadata(schema, partition_by))]).await;
        table
    }

    pub(crate) async fn commit(&mut self, mut actions: Vec<Action>) {
        let info = CommitInfo {
            timestamp: Some(NOW.millis() + self.next),
            operation: Some("WRITE".to_owned()),
            ..CommitInfo::default()
        };
        actions.insert(0, Action::CommitInfo(info));
        let path = format!("_delta_log/{:020}.json", self.next);
        assert!(self.folder.put_if_absent(&path, render_commit(&actions).unwrap()).await.unwrap());
        self.next += 1;
    }

    pub(crate) async fn load(&self) -> (i64, Loaded) {
        self.engine.load_version(&self.folder, None).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self) -> Arc<TableState> {
        let (version, loaded) = self.load().await;
        Arc::new(TableState::new(version, loaded).unwrap())
    }

    pub(crate) async fn spec(&self) -> WriteSpec {
        let state = self.state().await;
        WriteSpec { schema: (*state.schema).clone(), metadata: (*state.metadata).clone(), now: NOW }
    }

    /// Writes the rows into files without committing them.
    pub(crate) async fn write(&self, batches: Vec<RecordBatch>) -> Result<Vec<Add>> {
        self.engine.write_rows(&self.folder, &self.spec().await, rows(batches.into_iter().map(Ok))).await
    }

    /// Writes and commits the rows.
    pub(crate) async fn append(&mut self, batches: Vec<RecordBatch>) -> Vec<Add> {
        let adds = self.write(batches).await.unwrap();
        self.commit(adds.iter().cloned().map(Action::Add).collect()).await;
        adds
    }

    /// Names of the data files that are there.
    pub(crate) async fn data_files(&self) -> Vec<String> {
        let all = self.folder.list("", true).await.unwrap();
        all.into_iter().filter(|f| !f.is_dir && !f.path.starts_with("_delta_log")).map(|f| f.path).collect()
    }

    /// Runs a query in which the table is `t`.
    pub(crate) async fn query(&self, sql: &str) -> Answer {
        let context = SessionContext::new_with_config(
            SessionConfig::new().with_target_partitions(4).with_repartition_file_min_size(0),
        );
        let store = self.folder.object_store();
        context.register_table("t", testing::table("main.test.t", store, self.state().await).unwrap()).unwrap();
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let opened = find(plan.as_ref()).unwrap_or_else(|| testing::Opened {
            table: String::new(),
            files: 0,
            of: 0,
            pruned_by: vec![],
            deletion_vectors: 0,
        });
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        let schema = plan.schema();
        let batches = collect(plan, context.task_ctx()).await.unwrap();
        Answer { rows: concat_batches(&schema, &batches).unwrap(), opened, plan: shown }
    }

    /// The rows of a query as text, without lines around them.
    pub(crate) async fn show(&self, sql: &str) -> String {
        text(&self.query(sql).await.rows)
    }
}

/// Rows, cells separated by `|`, without the head.
pub(crate) fn text(rows: &RecordBatch) -> String {
    let table = pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>().join("|");
    lines.map(cells).collect::<Vec<_>>().join("\n")
}

fn find(plan: &dyn ExecutionPlan) -> Option<testing::Opened> {
    testing::opened(plan).cloned().or_else(|| plan.children().into_iter().find_map(|child| find(child.as_ref())))
}

pub(crate) fn rows(batches: impl Iterator<Item = Result<RecordBatch>>) -> crannog_lake::ports::RowStream {
    Box::pin(futures::stream::iter(batches.collect::<Vec<_>>()))
}

pub(crate) fn metadata(schema: &StructType, partition_by: &[&str]) -> Metadata {
    Metadata {
        id: Uuid::nil().to_string(),
        name: Some("t".to_owned()),
        schema_string: schema.to_schema_string(),
        partition_columns: partition_by.iter().map(|c| (*c).to_owned()).collect(),
        created_time: Some(NOW.millis()),
        ..Metadata::default()
    }
}

pub(crate) fn plain() -> Protocol {
    Protocol { min_reader_version: 1, min_writer_version: 2, reader_features: None, writer_features: None }
}

pub(crate) fn features(names: &[&str]) -> Protocol {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: Some(names.clone()),
        writer_features: Some(names),
    }
}
