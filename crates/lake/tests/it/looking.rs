//! SHOW, DESCRIBE, `information_schema` and the system tables, by an administrator and by somebody with few grants.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use crannog_governance::Governance;
use crannog_kit::{Authority, Recorder, Tasks};
use crannog_lake::grammar::Parameters;
use crannog_lake::model::actions::Add;
use crannog_lake::model::schema::StructType;
use crannog_lake::model::state::Loaded;
use crannog_lake::ports::{
    BoundQuery, Engine, ExplainMode, FilesScan, Prepared, Relation, RelationKey, RowStream, WriteSpec,
};
use crannog_lake::service::arbiter::Arbiter;
use crannog_lake::service::statements::history::{Ended, History};
use crannog_lake::service::statements::{Context, Lake, Run};
use crannog_security::{Caller, Origin, System, Task, Who};
use crannog_storage::{External, Folder, Storage};
use crannog_store::{Audit, Db, params};
use crannog_types::{PrincipalId, Result, SecurableId, fold};
use futures::{TryStreamExt, stream};

use crate::fake::FakeEngine;

/// Answers a query over one table that the server makes with all of its rows; every other query with no rows.
#[derive(Default)]
struct Mirror(FakeEngine);

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
        for relation in query.relations.into_values() {
            if let Relation::Rows(batches, schema) = relation {
                return Ok(Box::new(Mirrored(schema, batches)));
            }
        }
        let schema =
            Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("d", DataType::Date32, true)]);
        Ok(Box::new(Mirrored(Arc::new(schema), Vec::new())))
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
}

const ADMIN: &str = "admin@example.com";
const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";

const PEOPLE: [(i64, &str, &str); 4] =
    [(10, "account users", "group"), (1, ADMIN, "user"), (2, ANA, "user"), (3, BEN, "user")];

struct World {
    lake: Lake,
    _tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::sqlite(&dir.path().join("meta.db"), crannog_kit::clock::now).await.unwrap();
        ground(&db).await;
        let tasks = Tasks::new();
        let recorder = Recorder::start(db.clone(), &tasks);
        let authority = Authority::new(db.clone(), Arc::clone(&recorder));
        let storage = Arc::new(Storage::new(&dir.path().join("data"), External::Under(Vec::new())).unwrap());
        let history = History::start(db.clone(), recorder, &tasks);
        let engine: Arc<dyn Engine> = Arc::new(Mirror::default());
        let arbiter = Arbiter::new(Arc::clone(&engine), tasks.clone());
        let lake = Lake { governance: Governance { db, storage, authority }, engine, arbiter, history };
        let world = World { lake, _tasks: tasks, _dir: dir };
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

    fn caller(&self, name: &str) -> Caller {
        let (id, name, _) = *PEOPLE.iter().find(|(_, known, _)| *known == name).unwrap();
        let who = Who { id: PrincipalId(id), name: name.into() };
        self.lake.governance.authority.caller(who, Arc::new(Origin::default()))
    }

    /// Rows as texts, the header first.
    async fn run(&self, who: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let context = Context { schema: "flights".to_owned(), ..Context::default() };
        let caller = self.caller(who);
        let at = crannog_kit::clock::now();
        let run = Run::new(&self.lake, caller.clone(), &context, Vec::new(), at);
        let outcome = run.text(sql, &Parameters::default()).await;
        self.lake.history.ended(Ended {
            id: uuid::Uuid::now_v7().to_string(),
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
            reads: run.reads().lock().unwrap().clone(),
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
    async fn lines(&self, who: &str, sql: &str) -> Vec<String> {
        let rows = self.run(who, sql).await.unwrap_or_else(|problem| panic!("{sql}: {}", problem.chain()));
        rows[1..].iter().map(|row| row.join("|")).collect()
    }

    /// Why a statement is refused.
    async fn refusal(&self, who: &str, sql: &str) -> String {
        self.run(who, sql).await.err().map_or_else(|| panic!("{sql} works"), |problem| problem.full_message())
    }

    /// One column of a view of `main.information_schema`, or of a system table.
    async fn column(&self, who: &str, table: &str, column: &str) -> Vec<String> {
        let rows = self.run(who, &format!("SELECT * FROM {table}")).await.unwrap();
        let at = rows[0].iter().position(|name| name == column).unwrap_or_else(|| panic!("{table} has no {column}"));
        rows[1..].iter().map(|row| row[at].clone()).collect()
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

#[tokio::test]
async fn lists_have_databricks_columns_and_follow_patterns() {
    let world = World::new().await;
    for (sql, header, rows) in [
        ("SHOW CATALOGS", "catalog", vec!["main", "system"]),
        ("SHOW SCHEMAS IN `main`", "databaseName", vec!["flights", "information_schema"]),
        ("SHOW SCHEMAS IN system LIKE 'acc*|q*'", "databaseName", vec!["access", "query"]),
        (
            "SHOW TABLES IN main.flights LIKE 'pl*|W*'",
            "database|tableName|isTemporary",
            vec!["flights|planes|false", "flights|weather|false"],
        ),
        ("SHOW TABLES IN system.query", "database|tableName|isTemporary", vec!["query|history|false"]),
        ("SHOW VIEWS", "namespace|viewName|isTemporary|isMaterialized", vec!["flights|flights_public|false|false"]),
        ("SHOW VOLUMES", "database|volume_name", vec!["flights|raw"]),
        ("SHOW COLUMNS IN planes", "col_name", vec!["tailnum", "year", "parts", "price", "m"]),
        ("SHOW TBLPROPERTIES planes ('delta.minReaderVersion')", "key|value", vec!["delta.minReaderVersion|1"]),
        ("SHOW TBLPROPERTIES flights_public", "key|value", vec![]),
        ("SHOW USER FUNCTIONS", "function", vec![]),
        ("SHOW PARTITIONS planes", "partition", vec![]),
    ] {
        let found = world.run(ADMIN, sql).await.unwrap();
        assert_eq!(found[0].join("|"), header, "{sql}");
        assert_eq!(found[1..].iter().map(|row| row.join("|")).collect::<Vec<_>>(), rows, "{sql}");
    }
    assert!(world.refusal(ADMIN, "SHOW FUNCTIONS").await.contains("SHOW USER FUNCTIONS"));
    assert!(world.refusal(ADMIN, "SHOW PARTITIONS weather").await.contains("not partitioned"));
    assert!(world.refusal(ADMIN, "SHOW TABLES IN nope.information_schema").await.contains("does not exist"));
    let extended = world.lines(ADMIN, "SHOW TABLE EXTENDED IN main.flights LIKE 'planes'").await;
    assert!(extended[0].contains("Comment: all planes\nLocation: "), "{extended:?}");
    assert!(extended[0].contains(" |-- tailnum: string (nullable = false)\n"), "{extended:?}");
    assert!(extended[0].contains(" |    |-- element: struct (containsNull = true)\n"), "{extended:?}");
}

#[tokio::test]
async fn what_makes_a_table_again_makes_the_same_table() {
    let world = World::new().await;
    for name in ["planes", "flights_public"] {
        let show = format!("SHOW CREATE TABLE {name}");
        let before = world.run(ADMIN, &show).await.unwrap();
        let described = world.lines(ADMIN, &format!("DESCRIBE {name}")).await;
        let kind = if name == "planes" { "TABLE" } else { "VIEW" };
        world.run(ADMIN, &format!("DROP {kind} {name}")).await.unwrap();
        world.run(ADMIN, &before[1][0]).await.unwrap();
        assert_eq!(world.run(ADMIN, &show).await.unwrap(), before);
        assert_eq!(world.lines(ADMIN, &format!("DESCRIBE {name}")).await, described);
    }
}

#[tokio::test]
async fn tables_are_described_as_clients_read_them() {
    let world = World::new().await;
    let plain = world.lines(ADMIN, "DESCRIBE planes").await;
    assert_eq!(plain[0], "tailnum|string|it's the key");
    assert_eq!(plain[5..], ["# Partition Information||", "# col_name|data_type|comment", "year|int|NULL"]);
    let extended = world.lines(ADMIN, "DESCRIBE EXTENDED planes").await;
    for line in ["||", "# Detailed Table Information||", "Type|MANAGED|", "Provider|delta|", "Owner|admin@example.com|"]
    {
        assert!(extended.iter().any(|found| found == line), "{line}: {extended:?}");
    }
    let json = world.lines(ADMIN, "DESCRIBE TABLE EXTENDED planes AS JSON").await;
    let json: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!((&json["type"], &json["provider"]), (&"MANAGED".into(), &"delta".into()));
    assert_eq!(json["columns"][3]["type"], serde_json::json!({ "name": "decimal", "precision": 10, "scale": 2 }));
    assert_eq!(json["table_properties"]["owner.team"], "fleet");
    let view = world.lines(ADMIN, "DESCRIBE TABLE EXTENDED flights_public AS JSON").await;
    assert!(view[0].contains(r#""view_text":"SELECT id, d FROM weather""#), "{view:?}");

    world.run(ADMIN, "ALTER TABLE planes SET TBLPROPERTIES ('a' = 'b')").await.unwrap();
    let history = world.run(ADMIN, "DESCRIBE HISTORY planes").await.unwrap();
    let of = |row: usize, name: &str| history[row][history[0].iter().position(|found| found == name).unwrap()].clone();
    assert_eq!((of(1, "version"), of(1, "operation")), ("1".to_owned(), "SET TBLPROPERTIES".to_owned()));
    assert_eq!((of(2, "version"), of(2, "userName")), ("0".to_owned(), ADMIN.to_owned()));
    assert_eq!(world.lines(ADMIN, "DESCRIBE HISTORY planes LIMIT 1").await.len(), 1);
    let detail = world.run(ADMIN, "DESCRIBE DETAIL planes").await.unwrap();
    assert_eq!((&*detail[1][0], &*detail[1][2], &*detail[1][7]), ("delta", "main.flights.planes", "[year]"));
    assert!(world.refusal(ADMIN, "DESCRIBE DETAIL flights_public").await.contains("is a view"));
    assert!(world.refusal(ADMIN, "DESCRIBE planes nope").await.contains("tailnum"));
    assert!(world.refusal(ADMIN, "DESCRIBE FUNCTION abs").await.contains("reference"));

    assert_eq!(world.lines(ADMIN, "DESCRIBE CATALOG main").await[0], "Catalog Name|main");
    assert!(world.lines(ADMIN, "DESCRIBE SCHEMA EXTENDED main.flights").await.contains(&"Properties|[a=b]".to_owned()));
    assert!(
        world.lines(ADMIN, "DESCRIBE VOLUME raw").await[0].starts_with("raw|main|flights|admin@example.com|file://")
    );
    assert_eq!(world.lines(ADMIN, "DESCRIBE QUERY SELECT 1").await, ["id|bigint|NULL", "d|date|NULL"]);
    assert!(world.lines(ADMIN, "DESCRIBE system.access.audit").await.contains(&"event_time|timestamp|NULL".to_owned()));
}

#[tokio::test]
async fn nobody_sees_more_than_their_grants_show() {
    let world = World::new().await;
    world.run(ADMIN, "REVOKE BROWSE ON CATALOG main FROM `account users`").await.unwrap();
    assert_eq!(world.column(ANA, "main.information_schema.tables", "table_name").await, ["weather"]);
    assert_eq!(world.column(ANA, "system.information_schema.columns", "column_name").await, ["origin"]);
    assert_eq!(world.lines(ANA, "SHOW TABLES").await, ["flights|weather|false"]);
    // Ben has a grant, but not the gates above it.
    assert!(world.column(BEN, "system.information_schema.tables", "table_name").await.is_empty());
    assert!(world.refusal(BEN, "SELECT * FROM main.information_schema.tables").await.contains("does not exist"));
    assert_eq!(world.lines(BEN, "SHOW CATALOGS").await, ["system"]);

    let grantees = |who| world.column(who, "main.information_schema.table_privileges", "grantee");
    assert_eq!(grantees(ADMIN).await, [BEN, ANA]);
    assert_eq!(grantees(ANA).await, [ANA]);
    world.run(ADMIN, "GRANT MANAGE ON SCHEMA main.flights TO `ana@example.com`").await.unwrap();
    assert!(grantees(ANA).await.contains(&BEN.to_owned()), "who manages an object sees its grants");
    let inherited = world.column(ANA, "main.information_schema.table_privileges", "inherited_from").await;
    assert!(inherited.contains(&"SCHEMA".to_owned()) && inherited.contains(&"NONE".to_owned()), "{inherited:?}");

    for view in ["row_filters", "column_masks", "table_tags", "key_column_usage", "referential_constraints", "routines"]
    {
        assert!(world.lines(ADMIN, &format!("SELECT * FROM main.information_schema.{view}")).await.is_empty());
    }
}

#[tokio::test]
async fn the_audit_shows_everything_to_administrators_and_everybody_their_own() {
    let world = World::new().await;
    world.run(ANA, "SELECT * FROM weather").await.unwrap();
    let refusal = world.refusal(ANA, "SELECT * FROM planes").await;
    assert!(refusal.contains("SELECT on main.flights.planes"), "{refusal}");
    assert!(world.refusal(ANA, "DESCRIBE HISTORY planes").await.contains("SELECT on"), "histories hold values");
    world.run(ANA, "DESCRIBE planes").await.unwrap();

    let people = |who| world.column(who, "system.access.audit", "user_identity");
    assert!(people(ANA).await.iter().all(|who| who == "{ana@example.com,NULL}"));
    assert!(people(ADMIN).await.iter().any(|who| who == "{ana@example.com,NULL}"));
    assert!(people(ADMIN).await.iter().any(|who| who == "{admin@example.com,NULL}"));
    let params = world.column(ANA, "system.access.audit", "request_params").await;
    assert!(params.contains(&"{full_name_arg=main.flights.weather}".to_owned()), "{params:?}");
    let responses = world.column(ANA, "system.access.audit", "response").await;
    assert!(responses.iter().any(|response| response.starts_with("{403,missing SELECT")), "{responses:?}");
    assert!(
        !responses.iter().any(|response| response.contains("ownership")),
        "looking at one's own rows is no refusal"
    );

    assert!(world.column(ANA, "system.query.history", "executed_by").await.iter().all(|who| who == ANA));
    let texts = world.column(ADMIN, "system.query.history", "statement_text").await;
    assert!(texts.contains(&"SELECT * FROM weather".to_owned()));
    let reads = world.column(ADMIN, "system.query.history", "read_tables").await;
    assert!(reads.contains(&"[main.flights.weather]".to_owned()), "{reads:?}");
    let states = world.column(ANA, "system.query.history", "execution_status").await;
    assert!(states.contains(&"FINISHED".to_owned()) && states.contains(&"FAILED".to_owned()));
}
