//! A lake with a few people and tables, in a folder that is deleted afterwards, over either database.

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use crannog_governance::Governance;
use crannog_kit::{Authority, Recorder, Tasks};
use crannog_lake::grammar::Parameters;
use crannog_lake::model::actions::Add;
use crannog_lake::model::schema::StructType;
use crannog_lake::model::state::Loaded;
use crannog_lake::ports::{
    BoundQuery, DataFile, Engine, ExplainMode, FilesScan, Prepared, Relation, RelationKey, RowStream, Wanted, WriteSpec,
};
use crannog_lake::service::arbiter::Arbiter;
use crannog_lake::service::follow::Follower;
use crannog_lake::service::statements::answer::schema_of;
use crannog_lake::service::statements::held::Held;
use crannog_lake::service::statements::history::{Ended, History};
use crannog_lake::service::statements::{Context, Lake, Run};
use crannog_security::{Caller, Origin, System, Task, Who};
use crannog_storage::{External, Folder, Location, Storage};
use crannog_store::testing::{Kind, fresh};
use crannog_store::{Audit, Db, params};
use crannog_types::{PrincipalId, Result, SecurableId, fold};
use futures::{TryStreamExt, stream};
use sqlparser::ast::SetExpr;

use crate::fake::FakeEngine;

/// Answers a query over one table that the server makes with all of its rows, and VALUES with as many rows; every other
/// query with no rows.
#[derive(Default)]
struct Mirror(FakeEngine, Arc<Mutex<Wanted>>);

/// A query that never ends.
struct ForEver;

#[async_trait]
impl Prepared for ForEver {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }
    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)> {
        Vec::new()
    }
    fn explain(&self, _: ExplainMode) -> Result<String> {
        Ok(String::new())
    }
    async fn run(self: Box<Self>) -> Result<RowStream> {
        Ok(Box::pin(stream::pending()))
    }
}

struct Mirrored(SchemaRef, Vec<RecordBatch>);

#[async_trait]
impl Prepared for Mirrored {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }
    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)> {
        Vec::new()
    }
    fn explain(&self, _: ExplainMode) -> Result<String> {
        Ok(String::new())
    }
    async fn run(self: Box<Self>) -> Result<RowStream> {
        Ok(Box::pin(stream::iter(self.1.into_iter().map(Ok))))
    }
}

#[async_trait]
impl Engine for Mirror {
    async fn prepare(&self, query: BoundQuery) -> Result<Box<dyn Prepared>> {
        if query.query.to_string().contains("for ever") {
            return Ok(Box::new(ForEver));
        }
        if let SetExpr::Values(values) = &*query.query.body {
            let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("origin", DataType::Utf8, true)]));
            let column: ArrayRef = Arc::new(StringArray::new_null(values.rows.len()));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
            return Ok(Box::new(Mirrored(schema, vec![batch])));
        }
        for relation in query.relations.into_values() {
            if let Relation::Rows(batches, schema) = relation {
                return Ok(Box::new(Mirrored(schema, batches)));
            } else if let Relation::Served(served) = relation {
                let columns = (0..served.columns().len()).collect();
                let wanted = Wanted { columns, ..self.1.lock().unwrap().clone() };
                let batches = served.rows(wanted).try_collect().await?;
                return Ok(Box::new(Mirrored(schema_of(served.columns()), batches)));
            }
        }
        let schema =
            Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("d", DataType::Date32, true)]);
        Ok(Box::new(Mirrored(Arc::new(schema), Vec::new())))
    }
    fn knows_time_zone(&self, zone: &str) -> bool {
        self.0.knows_time_zone(zone)
    }
    async fn infer(&self, files: &FilesScan) -> Result<StructType> {
        self.0.infer(files).await
    }
    async fn load(&self, folder: &Folder) -> Result<Option<(i64, Loaded)>> {
        self.0.load(folder).await
    }
    async fn checkpoint(&self, folder: &Folder, version: i64) -> Result<()> {
        self.0.checkpoint(folder, version).await
    }
    async fn write(&self, folder: &Folder, spec: &WriteSpec, rows: RowStream) -> Result<Vec<Add>> {
        self.0.write(folder, spec, rows).await
    }
    async fn encode(&self, spec: &WriteSpec, rows: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
        self.0.encode(spec, rows).await
    }
}

pub(crate) const ADMIN: &str = "admin@example.com";
pub(crate) const ANA: &str = "ana@example.com";
pub(crate) const BEN: &str = "ben@example.com";

const PEOPLE: [(i64, &str, &str); 4] =
    [(10, "account users", "group"), (1, ADMIN, "user"), (2, ANA, "user"), (3, BEN, "user")];

pub(crate) struct World {
    pub(crate) lake: Lake,
    pub(crate) tasks: Tasks,
    /// What queries tell system tables of their conditions.
    pub(crate) told: Arc<Mutex<Wanted>>,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = fresh(kind, dir.path(), crannog_kit::clock::now).await.unwrap();
        ground(&db).await;
        let tasks = Tasks::new();
        let recorder = Recorder::start(db.clone(), &tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let outside = Location::parse(&format!("file://{}/outside", dir.path().display())).unwrap();
        let storage = Arc::new(Storage::new(&dir.path().join("data"), External::Under(vec![outside])).unwrap());
        let history = History::start(db.clone(), recorder, &tasks);
        let told = Arc::default();
        let engine: Arc<dyn Engine> = Arc::new(Mirror(FakeEngine::default(), Arc::clone(&told)));
        let arbiter = Arbiter::new(Arc::clone(&engine), tasks.clone());
        let governance = Governance { db, storage, authority };
        let follower = Follower::start(governance.clone(), Arc::clone(&arbiter), &tasks).await.unwrap();
        let lake = Lake { governance, engine, arbiter, history, follower, system_tables: Vec::new() };
        let world = World { lake, tasks, told, dir };
        for sql in [
            "CREATE CATALOG main COMMENT 'the first'",
            "CREATE SCHEMA main.flights COMMENT 'nyc' WITH DBPROPERTIES ('a' = 'b')",
            "CREATE TABLE main.flights.planes (tailnum STRING NOT NULL COMMENT 'it''s the key', year INT, \
             parts ARRAY<STRUCT<n: INT, `odd name`: STRING>>, price DECIMAL(10,2), m MAP<STRING, TIMESTAMP>) \
             PARTITIONED BY (year) COMMENT 'all planes' TBLPROPERTIES ('owner.team' = 'fleet')",
            "CREATE TABLE main.flights.weather (origin STRING)",
            "CREATE VIEW main.flights.flights_public (i COMMENT 'the id', day) COMMENT 'public' AS SELECT id, d FROM weather",
            "CREATE VOLUME main.flights.raw COMMENT 'files'",
            "GRANT BROWSE ON CATALOG main TO `account users`",
            "GRANT USE CATALOG ON CATALOG main TO `ana@example.com`",
            "GRANT USE SCHEMA ON SCHEMA main.flights TO `ana@example.com`",
            "GRANT SELECT ON TABLE main.flights.weather TO `ana@example.com`",
            "GRANT SELECT ON TABLE main.flights.planes TO `ben@example.com`",
        ] {
            world.run(ADMIN, sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        }
        world
    }

    /// A folder that is not ours, and where administrators may put external tables.
    pub(crate) fn outside(&self, name: &str) -> String {
        format!("file://{}/outside/{name}", self.dir.path().display())
    }

    pub(crate) fn caller(&self, name: &str) -> Caller {
        let (id, name, _) = *PEOPLE.iter().find(|(_, known, _)| *known == name).unwrap();
        let who = Who { id: PrincipalId(id), name: name.into() };
        self.lake.governance.authority.caller(who, Arc::new(Origin::default()))
    }

    /// Rows that nobody has to have made.
    pub(crate) async fn insert(&self, statements: &[&'static str]) {
        #[expect(clippy::disallowed_methods, reason = "a test stands in for who makes them")]
        let system = System::task(Task::Bootstrap);
        let mut tx = self.lake.governance.db.write_unaudited(&system).await.unwrap();
        for sql in statements {
            tx.run(sql, params![]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        tx.bump().await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Rows as texts, the header first.
    pub(crate) async fn run(&self, who: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let context = Context { schema: "flights".to_owned(), ..Context::default() };
        let id = uuid::Uuid::now_v7().to_string();
        let caller = self.caller(who).in_statement(&id);
        let at = crannog_kit::clock::now();
        let run = Run::new(&self.lake, caller.clone(), &context, Vec::new(), at, Held::nothing());
        let outcome = run.text(sql, &Parameters::default()).await;
        self.lake.history.ended(Ended {
            id,
            who: caller.who().clone(),
            origin: Arc::clone(caller.origin()),
            warehouse: None,
            text: sql.to_owned(),
            kind: Some("Show"),
            status: if outcome.is_ok() { "FINISHED" } else { "FAILED" },
            error: outcome.as_ref().err().map(|problem| problem.message().to_owned()),
            started_at: at,
            ended_at: crannog_kit::clock::now(),
            rows_produced: 0,
            touched: run.touched().lock().unwrap().clone(),
        });
        let answer = outcome?;
        let mut rows = vec![answer.schema.fields().iter().map(|field| field.name().clone()).collect()];
        let batches: Vec<RecordBatch> = answer.rows.try_collect().await?;
        for batch in batches {
            for at in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|column| cell(column.as_ref(), at)).collect());
            }
        }
        Ok(rows)
    }

    /// The rows of a statement that works, without the header, cells joined by `|`.
    pub(crate) async fn lines(&self, who: &str, sql: &str) -> Vec<String> {
        let rows = self.run(who, sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        rows[1..].iter().map(|row| row.join("|")).collect()
    }

    /// Why a statement is refused.
    pub(crate) async fn refusal(&self, who: &str, sql: &str) -> String {
        self.run(who, sql).await.err().map_or_else(|| panic!("{sql} works"), |problem| problem.full_message())
    }

    /// One column of a view of `main.information_schema`, or of a system table.
    pub(crate) async fn column(&self, who: &str, table: &str, column: &str) -> Vec<String> {
        let rows = self.run(who, &format!("SELECT * FROM {table}")).await.unwrap();
        let at = rows[0].iter().position(|name| name == column).unwrap_or_else(|| panic!("{table} has no {column}"));
        rows[1..].iter().map(|row| row[at].clone()).collect()
    }
}

/// Drops what is under way after so many looks at it.
pub(crate) async fn given_up_after<T>(looks: usize, work: impl Future<Output = T>) {
    let mut work = Box::pin(work);
    for _ in 0..looks {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if work.as_mut().poll(&mut cx).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn cell(column: &dyn Array, at: usize) -> String {
    if column.is_null(at) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).to_string(),
        DataType::Boolean => column.as_boolean().value(at).to_string(),
        DataType::List(_) => {
            let inner = column.as_list::<i32>().value(at);
            format!("[{}]", (0..inner.len()).map(|at| cell(inner.as_ref(), at)).collect::<Vec<_>>().join(","))
        }
        DataType::Struct(_) => {
            let columns = column.as_struct().columns();
            format!("{{{}}}", columns.iter().map(|column| cell(column.as_ref(), at)).collect::<Vec<_>>().join(","))
        }
        DataType::Map(_, _) => {
            let entries = column.as_map().value(at);
            let pair = |at: usize| {
                format!("{}={}", cell(entries.column(0).as_ref(), at), cell(entries.column(1).as_ref(), at))
            };
            format!("{{{}}}", (0..entries.len()).map(pair).collect::<Vec<_>>().join(","))
        }
        other => format!("<{other}>"),
    }
}

async fn ground(db: &Db) {
    #[expect(clippy::disallowed_methods, reason = "a test sets the ground up by itself")]
    let system = System::task(Task::Bootstrap);
    let mut tx = db.write(&system, Audit::of("accounts", "bootstrap")).await.unwrap();
    for (id, name, kind) in PEOPLE {
        let sql =
            "INSERT INTO principal (id, kind, name, folded, created_at, updated_at) VALUES ($1, $2, $3, $4, 0, 0)";
        tx.run(sql, params![id, kind, name, fold(name)]).await.unwrap();
        tx.run("INSERT INTO closure (member, principal) VALUES ($1, $1)", params![id]).await.unwrap();
        if kind == "user" {
            tx.run("INSERT INTO closure (member, principal) VALUES ($1, 10)", params![id]).await.unwrap();
        }
    }
    tx.run("INSERT INTO setting (name, value) VALUES ('workspace_id', '77')", params![]).await.unwrap();
    let root = "INSERT INTO securable (id, kind, parent, name, folded, path, owner, created_at, created_by, updated_at, \
         updated_by) VALUES ($1, 'metastore', NULL, 'metastore', 'metastore', '', 1, 0, 'x', 0, 'x')";
    tx.run(root, params![SecurableId::METASTORE]).await.unwrap();
    tx.bump().await.unwrap();
    tx.commit().await.unwrap();
}
